"""The wheel that the source distribution makes, in an empty folder: every command, and classes of one's own.

Dependencies come from this environment; the package does not: the wheel has a folder of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from runs.harness import ROOT

from pokerlab.store.folder import RunFolder

EXAMPLES = ROOT / "docs" / "examples"
TENSORS = "solver.backend=tensors"
"""A package that was just installed has no compiled loops, which take a minute."""
TINY = ("profile=tiny", "workers=0", TENSORS)


EACH = """
import contextlib, io, json, logging, sys
from pokerlab.cli import main
printed = []
for arguments in json.loads(sys.argv[1]):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            code = main(arguments)
        except SystemExit as ending:
            code = ending.code
    if code:
        sys.exit(f"{arguments} ended with {code}: {shown.getvalue()}")
    printed.append(shown.getvalue())
    for handler in list((log := logging.getLogger("pokerlab")).handlers):  # a process would end here
        log.removeHandler(handler)
print(json.dumps(printed))
"""


class Installed:
    """The package, installed alone.

    Args:
        place: where it is, or will be.
        here: an empty folder, to work in.
    """

    def __init__(self, place: Path, here: Path) -> None:
        self.lib, self.here = place / "lib", here
        place.mkdir(exist_ok=True)
        with FileLock(place / "lock"):  # of all workers of pytest, one builds it
            if not self.lib.exists():
                build = ["build", "--no-isolation", "--outdir", str(place / "dist"), str(ROOT)]
                self.python("-m", *build)
                (wheel,) = (place / "dist").glob("*.whl")
                pip = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(self.lib)]
                self.python("-m", *pip, str(wheel))
        (self.wheel,) = (place / "dist").glob("*.whl")

    def python(self, *arguments: str) -> str:
        """What a Python of this environment, with the installed package, prints."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """How such a Python ends."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["PYTHONPATH"] = str(self.lib)
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.here, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def pokerlab(self, *arguments: str) -> str:
        """What the console script prints."""
        return self.python(str(self.lib / "bin" / "pokerlab"), *arguments)

    def each(self, *commands: Sequence[str]) -> list[str]:
        """What commands print that one process runs one after the other: imports take seconds."""
        printed: list[str] = json.loads(self.python("-c", EACH, json.dumps(commands)))
        return printed


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    mine = tmp_path_factory.getbasetemp()
    all_workers = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    return Installed(all_workers / "wheel", tmp_path_factory.mktemp("here"))


def test_the_wheel_holds_configs_and_pins(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
    data = [
        *(ROOT / "conf").rglob("*.yaml"),
        *(path for path in (ROOT / "trained").rglob("*") if path.is_file()),
    ]
    configs_and_runs = {f"pokerlab/{path.relative_to(ROOT)}" for path in data}
    assert configs_and_runs | {"pokerlab/constraints.txt", "pokerlab/py.typed"} <= names
    assert installed.pokerlab("--help").startswith("usage: pokerlab COMMAND")


def test_games_are_made_by_name_in_a_program(installed: Installed) -> None:
    script = "import pokerlab; print(pokerlab.games()); print(pokerlab.make_game('river').rules)"
    assert "'hunl', 'kuhn'" in installed.python("-c", script)


@pytest.mark.timeout(600)
def test_every_command_and_classes_of_ones_own_work_from_an_empty_folder(installed: Installed) -> None:
    own = ("--config-dir", str(EXAMPLES))
    river = ("game=river", "game.board=Td9d6hQc2s", "game.ranges=[QQ,AK]", "iterations=2", TENSORS)
    imitation = ("experiment=kuhn", "algorithm=imitation", *TINY, "run_name=imitation", "launcher=local")
    printed = installed.each(
        ("train", "experiment=leduc", *TINY, "run_name=leduc"),
        ("solve", *river),
        ("evaluate", "run=leduc", "search_iterations=2"),
        ("launch", *own, *imitation),
        ("solve", *own, "game=von_neumann", "iterations=2", TENSORS),
        ("train", *own, "experiment=von_neumann", *TINY, "run_name=own"),
        ("evaluate", *own, "run=own", "match.against=maniac", "match.hands=2"),
        ("jobs", "wait", "imitation"),
        ("jobs", "list"),
        ("jobs", "resume", "imitation", *own, "iterations=3"),
        ("jobs", "wait", "imitation"),
        ("evaluate", *own, "run=imitation"),
    )
    assert "search_average" in printed[2]
    assert printed[3].startswith("run      imitation")
    assert "maniac" in printed[6]
    assert {"leduc", "imitation"} <= set(printed[8].replace("│", " ").split())
    assert len(RunFolder(installed.here / "outputs/imitation").read_metrics()) == 3
    assert "policy_net" in printed[11]


DAMAGED = """
import contextlib, io, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from pokerlab.cli import main
ends = []
for path, damage in json.loads(sys.argv[2]):
    path = pathlib.Path(path)
    kept = path.rename(path.with_name("kept"))
    if damage is not None:
        path.write_text(damage)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(["solve", "game=kuhn", "iterations=1"])
        except SystemExit as ending:
            code = ending.code
    ends.append([code, out.getvalue(), err.getvalue()])
    path.unlink(missing_ok=True)
    kept.rename(path)
print(json.dumps(ends))
"""


def test_a_damaged_config_is_one_line(installed: Installed, tmp_path: Path) -> None:
    # a copy, because other workers of pytest read the installed one
    package = shutil.copytree(installed.lib / "pokerlab", tmp_path / "pokerlab")
    conf = package / "conf"
    damages = (
        (conf / "game" / "kuhn.yaml", "a: [1", "kuhn.yaml"),
        (conf / "solve.yaml", "\0", "solve.yaml"),
        (conf / "solve.yaml", None, "solve"),
        (conf, None, "conf"),
    )
    of = json.dumps([(str(path), damage) for path, damage, _ in damages])
    for (*_, said), (code, out, err) in zip(
        damages, json.loads(installed.python("-c", DAMAGED, str(tmp_path), of)), strict=True
    ):
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert said in err
