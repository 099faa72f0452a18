"""From a command line to configs, and near matches for what is not there."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pokerlab.config.command import check_overrides, compose
from pokerlab.config.own_agents import own_agents
from pokerlab.config.schema import plain
from pokerlab.errors import UserError, near
from runs.harness import KUHN, command, contents, refusal


def test_compose_applies_overrides() -> None:
    config = compose("train", ["experiment=kuhn", "seed=5", "solver=cfr_plus"])
    assert (config.seed, config.solver["rule"], config.game["_target_"]) == (
        5, "cfr_plus", "pokerlab.games.kuhn.Kuhn",
    )  # fmt: skip


def test_composing_again_forgets_the_last_time() -> None:
    compose("train", ["seed=5"])
    assert compose("train", []).seed == 1
    assert not hasattr(compose("solve", []), "seed")


def test_what_must_be_given_is_asked_for() -> None:
    with pytest.raises(UserError, match="Missing mandatory value: run: give it on the command line"):
        compose("evaluate", [])


def test_an_interpolation_of_nothing_is_a_mistake() -> None:
    with pytest.raises(UserError, match="Interpolation key 'nothing' not found"):
        compose("train", ["seed=${nothing}"])


LATER_BINS = ("experiment=phase1_laptop", "model.value_network.later_bins=1")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (LATER_BINS, "model.value_network.later_bins must be at least 2, got 1"),
        ([*LATER_BINS, "hydra.job.name=x"], "model.value_network.later_bins must be at least 2, got 1"),
        (["+optimizer.x=1"], "unknown key 'optimizer.x': did you mean optimizer."),
        (["selfplay.bottom_up={flop:1}"], "selfplay.bottom_up must be iterations of root in kuhn"),
        (["algorithm.exploration=2"], "algorithm.exploration must lie between 0 and 1, got 2"),
        (["workers=3", "actors.workers=-1"], "actors.workers must not be negative, got -1"),
    ],
)
def test_a_mistake_is_named_by_the_key_that_was_written(
    overrides: Sequence[str], said: str, tmp_path: Path
) -> None:
    assert refusal("train", "experiment=kuhn", *overrides, cwd=tmp_path).startswith(said)


def test_where_a_value_was_written_is_known_of_what_was_composed() -> None:
    config = compose("train", ["model.policy_network=${model.value_network}", "selfplay.exploration=0.5"])
    assert config.origin("algorithm.policy_network") == "model.value_network"
    assert config.origin("algorithm.exploration") == "selfplay.exploration"
    assert config.origin("actors.workers") == "workers"
    assert config.origin("algorithm._target_") == "algorithm._target_"
    assert "origins" not in plain(config)
    with pytest.raises(UserError, match="unknown key 'origins'"):
        compose("train", ["+origins.seed=x"])


@pytest.mark.parametrize("sweep", ["-m", "--multirun"])
def test_every_job_of_a_sweep_is_checked(sweep: str) -> None:
    check_overrides("train", [sweep, "seed=1,2", "solver=cfr,dcfr"])
    with pytest.raises(UserError, match="unknown solver 'cfrx'"):
        check_overrides("train", [sweep, "seed=1,2", "solver=cfr,cfrx"])


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("ledoc", ["kuhn", "leduc"], ": did you mean leduc?"),
        ("x", ["kuhn", "leduc"], ": expected one of kuhn, leduc"),
        ("x", [], ""),
        ("threads", ["seed", "trainer.threads"], ": did you mean trainer.threads?"),
        ("trainer.seed", ["seed", "trainer.threads"], ": did you mean trainer.threads or seed?"),
        ("x", [f"choice {n}" for n in range(17)], ""),
    ],
)
def test_near_says_what_is_close_or_all_if_that_is_little(word: str, known: list[str], said: str) -> None:
    assert near(word, known) == said


TINY = (*KUHN, "iterations=1", "evaluation.every=null")
PAIR = ("solve", "-m", "game=kuhn,leduc", "iterations=1")
SHARED = "names one file for several jobs: leave it out, or give each its own"


@pytest.mark.parametrize("key", ["run_name", "run_dir"])
def test_the_runs_of_a_sweep_are_named_by_what_differs(key: str, tmp_path: Path) -> None:
    ended = command("train", "-m", *TINY, f"{key}=ks-${{seed}}", "seed=1,2", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    where = tmp_path / "outputs" if key == "run_name" else tmp_path
    assert {path.name for path in where.glob("ks-*")} == {"ks-1", "ks-2"}


@pytest.mark.parametrize("key", ["json", "export", "save"])
def test_the_jobs_of_a_sweep_write_no_file_twice(key: str, tmp_path: Path) -> None:
    assert refusal(*PAIR, f"{key}=x", cwd=tmp_path) == f"{key}=x {SHARED}"


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    message = refusal("solve", "game=kuhn", "json=x", "export=./x", cwd=tmp_path)
    assert message == "export=./x is the file of json: give each its own"


def test_the_jobs_of_a_sweep_can_write_a_file_each(tmp_path: Path) -> None:
    ended = command(*PAIR, "json=${hydra:job.num}.json", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "sweep" not in ended.out, "which jobs list would not find"
    found = [json.loads((tmp_path / f"{number}.json").read_text())["game"] for number in (0, 1)]
    assert found == ["kuhn", "leduc"]


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("own")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\ntrajectories: 5\n")
    return f"--config-dir={folder}"


@pytest.mark.parametrize(
    "flags", ["--resolve", "-cn train", "--config-name=train", "--run", "own mine", "-m"]
)
def test_no_flag_of_hydras_switches_checks_off(flags: str, own: str, tmp_path: Path) -> None:
    given = [own, "experiment=mine", "game=kuhn"] if flags == "own mine" else [*flags.split(" "), *TINY]
    message = refusal("train", *given, "iterations=0", cwd=tmp_path)
    assert message == "iterations must be an integer of at least 1, got 0"
    assert refusal("train", *given, "seeed=0", cwd=tmp_path).startswith("unknown key 'seeed': did you mean ")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--config-dir=none", "--config-dir none: no such folder"),
        ("-cn solve", "unknown key 'target'"),
        ("-cn nothing", "Cannot find primary config 'nothing'. Check that it's in your config search path"),
        ("-cp .", "pokerlab has its own configs: add yours with --config-dir DIR"),
        (
            "--plugin no_such",
            "plugin no_such: cannot import no_such: ModuleNotFoundError: No module named 'no_such'",
        ),
        ("--no-such", "unrecognized arguments: --no-such"),
    ],
)
def test_a_flag_that_cannot_be_is_one_line(flags: str, expected: str, tmp_path: Path) -> None:
    assert refusal("train", *flags.split(" "), "iterations=1", cwd=tmp_path) == expected


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for group in ("experiment", "agent"):
        (own / group).mkdir(parents=True)
        (own / group / "latin.yaml").write_bytes(f"seed: 5\n# {group}: café\n".encode("latin-1"))
    why = "is not UTF-8: byte 0xe9 in '# {}: caf\ufffd'"
    message = refusal("train", f"--config-dir={own}", "experiment=latin", cwd=tmp_path)
    assert message == f"{own}/experiment/latin.yaml: {why.format('experiment')}"
    check_overrides("evaluate", [f"--config-dir={own}", "run=some"])
    with pytest.raises(UserError, match=f"^{own}/agent/latin.yaml: {why.format('agent')}$"):
        own_agents()


@pytest.mark.parametrize("name", ["été", "x" * 200, "1e5", "ks-1,b=2"])
def test_a_run_may_be_called_so(name: str, tmp_path: Path) -> None:
    quoted = f"'{name}'" if "," in name else name
    ended = command("train", *TINY, f"run_name={quoted}", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {name}
    assert command("train", f"resume_from={quoted}", "iterations=2", cwd=tmp_path, plots=False).code == 0
    assert (tmp_path / "outputs" / name / "training_metrics.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("123", "run_name '123' is a number, which resume_from would take for an iteration"),
        ("-x", "run_name '-x' must not begin with -"),
        ("--help", "run_name '--help' must not begin with -"),
        ("..", "run_name '..' must not begin with ."),
        ("a/b", "run_name 'a/b' must consist of letters, digits and any of . , + - _ ="),
        ("x" * 201, f"run_name '{'x' * 60}'… is too long: expected at most 200 bytes"),
        ("x" * 5000, f"run_name '{'x' * 60}'… is too long: expected at most 200 bytes"),
    ],
)
def test_a_run_may_not_be_called_so(name: str, expected: str, tmp_path: Path) -> None:
    assert refusal("train", *TINY, f"run_name={name}", cwd=tmp_path) == expected
    where = refusal("evaluate", f"run={name}", cwd=tmp_path)
    assert where in (
        f"no run {name!r} here: expected one of fhp, hunl-20bb, hunl-laptop, leduc",
        f"run {name!r}",
    )
    assert contents(tmp_path) == {}
