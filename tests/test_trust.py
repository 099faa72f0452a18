"""A stored config may come from anybody: nothing that it names is run unless it is trusted."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from runs.harness import KUHN, refusal, trained

from pokerlab.config.build import PLUGINS, allow, build, plugins, trust_folder
from pokerlab.errors import UserError
from pokerlab.games.base import Game
from pokerlab.store.folder import RunFolder

FOREIGN = [
    "torch.load", "numpy.load", "torch.hub.load", "logging.FileHandler", "numpy.savetxt", "os.system",
    "builtins.dict", "pokerlab.store.disk.os.system", "lightning.pytorch.loggers.csv_logs.os.system",
    "torch.optim.Adam", "pokerlab.store.disk.LogFile", "pokerlab.errors.UserError", "x", "",
]  # fmt: skip


@pytest.mark.parametrize("target", FOREIGN)
def test_a_game_is_a_class_of_games_and_nothing_else_is_called(target: str) -> None:
    with pytest.raises(UserError, match="_target_"):
        build({"_target_": target, "path": "left.txt"}, key="game", kind=Game)
    assert not Path("left.txt").exists()


@pytest.mark.parametrize("target", ["torch.load", "numpy.load", "logging.FileHandler", "numpy.savetxt"])
def test_nested_ones_are_told_apart_too(target: str) -> None:
    component = {"_target_": "pokerlab.games.kuhn.Kuhn", "depth_limit": {"_target_": target, "fname": "x"}}
    with pytest.raises(UserError, match=rf"^game\.depth_limit\._target_ '{target}' is not of pokerlab"):
        build(component, key="game", kind=Game)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "iterations=1", "run", cwd=tmp_path_factory.mktemp("place"))


@pytest.mark.parametrize("group", ["game", "solver", "algorithm"])
def test_evaluate_runs_nothing_that_a_foreign_config_names(group: str, run: RunFolder) -> None:
    text, stored = run.config.read_text(), run.config
    lines = text.splitlines()
    at = lines.index(f"{group}:") + 1
    lines[at] = "  _target_: logging.FileHandler"
    stored.write_text("\n".join(lines))
    try:
        message = refusal("evaluate", "run=run", cwd=run.path.parents[1])
    finally:
        stored.write_text(text)
    assert message.startswith(f"{group}._target_ 'logging.FileHandler' is not of pokerlab: ")
    assert message.endswith("say so with --plugin logging")


MODULE = """
class Pair:
    def __init__(self, one: int, two: float = 1.0) -> None:
        self.sum = one + two
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_own_pair.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(PLUGINS, "")
    monkeypatch.delitem(sys.modules, "my_own_pair", raising=False)
    return "my_own_pair"


def test_what_the_user_names_is_trusted(plugin: str) -> None:
    component: dict[str, Any] = {"_target_": f"{plugin}.Pair", "one": 1}
    with pytest.raises(UserError, match=f"say so with --plugin {plugin}$"):
        build(component, key="pair")
    allow([plugin])
    assert build(component, key="pair").sum == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"one": "x"}, "pair.one must be an integer, got 'x'"),
        ({"one": 1, "two": True}, "pair.two must be a number, got True"),
        ({"one": 1, "two": float("inf")}, "pair.two must be a number, got inf"),
        ({"one": 1, "tow": 2.0}, "unknown key 'pair.tow': did you mean pair.two or pair.one?"),
    ],
)
def test_a_component_says_what_its_class_takes(values: dict[str, Any], message: str, plugin: str) -> None:
    allow([plugin])
    with pytest.raises(UserError) as refused:
        build({"_target_": f"{plugin}.Pair", **values}, key="pair")
    assert str(refused.value) == message


def test_what_lies_in_the_users_folder_is_trusted_and_nothing_else_of_its_name(
    plugin: str, tmp_path: Path
) -> None:
    for name in ("logging.py", "my_own_package/__init__.py", "my_own_file.py", "__main__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('imported')\n")
    trust_folder(tmp_path)
    assert plugins() == ["my_own_file", "my_own_package", plugin]


def test_a_module_that_cannot_be_imported_is_one_line(plugin: str, tmp_path: Path) -> None:
    (tmp_path / "my_broken_module.py").write_text("1 +\n")
    with pytest.raises(UserError, match=r"^plugin my_broken_module: cannot import my_broken_module: Synt"):
        allow(["my_broken_module"])
    with pytest.raises(UserError, match="cannot import no_such_module: ModuleNotFoundError: No module named"):
        allow(["no_such_module"])


def test_a_class_that_lacks_a_method_says_which(plugin: str, tmp_path: Path) -> None:
    (tmp_path / "my_half_game.py").write_text(
        "from pokerlab.games.kuhn import Kuhn\nfrom pokerlab.games.base import Game\n"
        "class Half(Game):\n    root = Kuhn.root\n"
    )
    allow(["my_half_game"])
    with pytest.raises(UserError, match=r"^game: my_half_game\.Half lacks the method .*actions"):
        build({"_target_": "my_half_game.Half"}, key="game", kind=Game)


def test_a_module_that_two_distributions_install_is_refused(
    plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pokerlab.config.build.packages_distributions", lambda: {plugin: ["one", "other"]})
    with pytest.raises(UserError, match=f"^plugin {plugin} is installed twice, by one and other$"):
        allow([plugin])


def test_the_optimiser_of_a_config_is_torchs() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    made = build({"_target_": "torch.optim.SGD", "momentum": 0.5}, [weight], key="optimizer", lr=0.1)
    assert made.param_groups[0]["momentum"] == 0.5
