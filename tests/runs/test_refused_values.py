"""Mistakes on the command line: one line that says what was expected, exit code 2, nothing written."""

import re
from pathlib import Path

import pytest

from runs.harness import KUHN, ROOT, command, contents, refusal, trained

EXPERIMENTS = ", ".join(sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")))
INTEGERS = {
    "iterations": 1, "trajectories": 1, "batch_size": 1, "workers": 0, "seed": 0,
    "checkpoint_every": 1, "commit_every": 1, "trainer.threads": 1, "selfplay.value_capacity": 1,
    "selfplay.policy_capacity": 1, "selfplay.targets": 1,
}  # fmt: skip
"""Keys that must be integers, and the least that they may be."""


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("game=kuhm", "unknown game 'kuhm': did you mean kuhn or kuhn3?"),
        ("trainer=abacus", "unknown trainer 'abacus': expected one of cpu, gpu"),
        ("solver=dfcr", "unknown solver 'dfcr': did you mean dcfr?"),
        ("launcher=modol", "unknown launcher 'modol': did you mean modal?"),
        ("launcher=aws", "unknown launcher 'aws': expected one of local, modal, modal_h100, slurm"),
        ("experiment=leduk", "unknown experiment 'leduk': did you mean leduc?"),
        ("experiment=zzz", f"unknown experiment 'zzz': expected one of {EXPERIMENTS}"),
        ("model=smal", "unknown model 'smal': did you mean small?"),
        ("trainer=tpu", "unknown trainer 'tpu': did you mean gpu or cpu?"),
    ],
)
def test_an_unknown_choice_names_what_there_is(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("train", override, cwd=tmp_path) == expected


@pytest.mark.parametrize("value", ["tape", "null", "true", "[disk]"])
def test_a_replay_is_in_memory_or_on_disk(value: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", f"selfplay.replay={value}", cwd=tmp_path)
    assert message.startswith("selfplay.replay must be one of memory, disk, got ")


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("iteration=3", "iterations"),
        ("batchsize=3", "batch_size"),
        ("run_nam=x", "run_name"),
        ("trainer.thread=1", "trainer.threads"),
        ("threads=1", "trainer.threads"),
        ("game.depth_limt=3", "game.depth_limit"),
        ("model.value_network.hiden=3", "model.value_network.hidden"),
        ("solver.aplha=1", "solver.alpha"),
    ],
)
def test_an_unknown_key_names_the_near_matches(override: str, meant: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", override, cwd=tmp_path)
    key = override.partition("=")[0]
    assert message.startswith(f"unknown key '{key}': did you mean ")
    assert meant in re.split(" or |[ ?]", message)


def test_a_key_of_another_game_is_unknown(tmp_path: Path) -> None:
    assert "unknown key 'game.leaves'" in refusal("train", "game=kuhn", "game.leaves=x", cwd=tmp_path)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("+unread=1", "unknown key 'unread'"),
        ("+iteration=1", "unknown key 'iteration': did you mean iterations or evaluation or trainer?"),
        (
            "++trainer.thread=1",
            "unknown key 'trainer.thread': did you mean trainer.threads or "
            "trainer.strategy or trainer.precision?",
        ),
        ("+game.depth=1", "unknown key 'game.depth': did you mean game.depth_limit?"),
        ("+iterations=1", "iterations is there already: leave out the +"),
        ("~iterations", "iterations is missing"),
        ("~trainer.threads", "trainer.threads is missing"),
    ],
)
def test_what_is_added_must_be_a_key_and_what_is_removed_must_not(
    override: str, expected: str, tmp_path: Path
) -> None:
    assert refusal("train", "game=kuhn", override, cwd=tmp_path) == expected


@pytest.mark.parametrize("key", INTEGERS)
def test_an_integer_that_is_too_small_names_the_least(key: str, tmp_path: Path) -> None:
    least = INTEGERS[key]
    message = refusal("train", "experiment=kuhn", f"{key}={least - 1}", cwd=tmp_path)
    assert message == f"{key} must be an integer of at least {least}, got {least - 1}"


@pytest.mark.parametrize("key", INTEGERS)
@pytest.mark.parametrize(("value", "got"), [("many", "'many'"), ("1.5", "1.5")])
def test_what_must_be_an_integer_is_no_other_type(key: str, value: str, got: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", f"{key}={value}", cwd=tmp_path)
    assert message == f"{key} must be an integer of at least {INTEGERS[key]}, got {got}"


@pytest.mark.parametrize(("value", "got"), [("0", "0"), ("many", "'many'"), ("1.5", "1.5")])
def test_updates_are_an_integer_or_null(value: str, got: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", f"updates={value}", cwd=tmp_path)
    assert message == f"updates must be null or an integer of at least 1, got {got}"


@pytest.mark.parametrize(
    ("value", "got"),
    [("null", "None"), ("true", "True"), ("-3", "-3"), ("[1]", "[1]"), ("{a:1}", "{'a': 1}")],
)
def test_what_must_be_an_integer_is_really_one(value: str, got: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", f"iterations={value}", cwd=tmp_path)
    assert message == f"iterations must be an integer of at least 1, got {got}"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "selfplay.search_iterations=0",
            "selfplay.search_iterations must be an integer of at least 1, got 0",
        ),
        ("selfplay.exploration=1.5", "selfplay.exploration must lie between 0 and 1, got 1.5"),
        ("selfplay.newest=0", "selfplay.newest must lie above 0 and up to 1, got 0"),
        ("selfplay.policy_examples=0",
         "selfplay.policy_examples must be null or an integer of at least 1, got 0"),
        ("selfplay.policy_examples=x",
         "selfplay.policy_examples must be null or an integer of at least 1, got 'x'"),
        ("selfplay.policy_examples=1.5",
         "selfplay.policy_examples must be null or an integer of at least 1, got 1.5"),
        ("evaluation.every=0", "evaluation.every must be null or an integer of at least 1, got 0"),
        (
            "evaluation.search_iterations=-1",
            "evaluation.search_iterations must be an integer of at least 1, got -1",
        ),
        ("evaluation.play_throughs=-1", "evaluation.play_throughs must be an integer of at least 0, got -1"),
        ("game.depth_limit=0", "game.depth_limit must be null or an integer of at least 1, got 0"),
        ("solver.rule=bestest", "unknown update rule 'bestest': expected one of cfr, cfr_plus, linear_cfr, "
         "dcfr, pcfr_plus"),
        ("solver.averaging=no", "unknown averaging 'no': expected one of uniform, linear, quadratic"),
        ("solver.alternating=3", "solver.alternating must be true or false, got 3"),
        ("model.value_loss=l1", "model.value_loss must be one of mse, huber, got 'l1'"),
        ("model.huber_delta=0", "model.huber_delta must be a number above 0, got 0"),
        ("model.learning_rate=nan", "model.learning_rate must be a number above 0, got nan"),
        ("model.policy_weight=-1", "model.policy_weight must be a number of at least 0, got -1"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_says_what_can(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("train", "experiment=kuhn", override, cwd=tmp_path) == expected


@pytest.mark.parametrize("size", ["hidden", "layers"])
@pytest.mark.parametrize("network", ["value_network", "policy_network"])
def test_a_network_without_size_is_refused(network: str, size: str, tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", f"model.{network}.{size}=0", cwd=tmp_path)
    assert message == f"model.{network}.{size} must be an integer of at least 1, got 0"


@pytest.mark.parametrize("override", ["trainer=gpu", "trainer.accelerator=abacus"])
def test_a_device_that_is_not_here_is_refused(
    override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu() -> None:
        raise RuntimeError("no GPU, whatever this machine has")

    monkeypatch.setattr("torch.cuda._lazy_init", no_gpu)
    message = refusal("train", "experiment=kuhn", override, cwd=tmp_path)
    assert re.fullmatch(r"trainer.accelerator='\w+' is not available here: expected cpu, or cuda .*", message)


def test_several_values_need_a_sweep(tmp_path: Path) -> None:
    message = refusal("train", "experiment=kuhn", "seed=1,2", cwd=tmp_path)
    assert message == "seed=1,2 asks for several values: add -m to run them all"


def test_a_sweep_is_refused_whole_if_one_of_its_jobs_cannot_be(tmp_path: Path) -> None:
    message = refusal("train", "-m", *KUHN, "solver=dcfr,cfrr", cwd=tmp_path)
    assert message.startswith("unknown solver 'cfrr': did you mean ")


def test_the_runs_of_a_sweep_cannot_share_a_folder(tmp_path: Path) -> None:
    message = refusal("train", "-m", *KUHN, "seed=1,2", "run_name=one", cwd=tmp_path)
    assert message == ("run_name=one names one folder for several runs: leave it out, or give each its own")


@pytest.mark.parametrize("argument", ["seed", "leduc"])
def test_what_is_no_override_is_refused(argument: str, tmp_path: Path) -> None:
    message = refusal("train", argument, cwd=tmp_path)
    assert message == f"'{argument}' is not an override: expected key=value"


@pytest.mark.parametrize("argument", ["seed=[", "seed==1"])
def test_what_cannot_be_parsed_is_refused(argument: str, tmp_path: Path) -> None:
    assert refusal("train", argument, cwd=tmp_path).startswith("cannot read the command line: ")


@pytest.mark.parametrize("run_dir", ["file", "file/run", "file/below/run"])
def test_a_folder_that_cannot_be_written_is_refused(run_dir: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal("train", *KUHN, f"run_dir={run_dir}", cwd=tmp_path)
    assert message == f"cannot write run_dir {run_dir}: Not a directory"


def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    assert refusal("train", *KUHN, cwd=tmp_path) == "cannot write run_dir outputs: File exists"


def test_a_name_with_a_space_is_refused(tmp_path: Path) -> None:
    message = refusal("train", *KUHN, "run_name='a b'", cwd=tmp_path)
    assert message == "run_name 'a b' must consist of letters, digits and any of . , + - _ ="


def test_a_folder_that_holds_a_run_is_never_written_over(tmp_path: Path) -> None:
    run = trained(*KUHN, "iterations=1", "one", cwd=tmp_path)
    before = contents(run.path)
    for same in ("run_name=one", "run_dir=outputs/one", f"run_dir={run.path}"):
        message = refusal("train", *KUHN, same, cwd=tmp_path)
        assert re.match(r"\S*outputs/one already holds a run: give another run_name or run_dir", message)
        assert re.search(r"or continue it with resume_from=\S*outputs/one$", message)
    assert contents(run.path) == before


def test_an_unknown_key_in_a_mapping_is_named(tmp_path: Path) -> None:
    given = ("experiment=phase1_laptop", "selfplay.bottom_up={rivr: 3}")
    assert refusal("train", *given, cwd=tmp_path).startswith(
        "unknown key 'selfplay.bottom_up.rivr': did you mean selfplay.bottom_up.river"
    )


def test_help_is_not_a_mistake(tmp_path: Path) -> None:
    ended = command("train", "--help", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert f"experiment: {EXPERIMENTS}" in ended.out
    assert contents(tmp_path) == {}
