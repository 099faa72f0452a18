"""Values and surroundings that are refused or borne: what an outside review found broken."""

import os
import stat
from pathlib import Path
from signal import SIGKILL, SIGTERM
from unittest.mock import patch

import pytest

from pokerlab.store.folder import RunFolder
from runs.harness import (
    KUHN,
    Moment,
    assert_same_run,
    command,
    copy,
    interrupted,
    metrics,
    refusal,
    trained,
)

HERE = "outputs/run/checkpoints"
PLAYING = "pokerlab.selfplay.trajectories:SelfPlay.play"
LEARNING = "pokerlab.learning.module:Learner.training_step"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "commit_every=1", "run", cwd=tmp_path_factory.mktemp("p"))


@pytest.fixture
def run(good: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(good, tmp_path)


BAD = [
    "trainer.gradient_clip=x",
    "trainer.gradient_clip=-1",
    "trainer.accelerator=null",
    "trainer.accelerator=meta",
    "selfplay.search_iterations=1.5",
    "selfplay.search_iterations=x",
    "selfplay.newest=x",
    "selfplay.exploration=x",
    "evaluation.every=1.5",
    "evaluation.every=x",
    "evaluation.search_iterations=1.5",
    "evaluation.play_throughs=1.5",
    "model.learning_rate=x",
    "model.learning_rate=inf",
    "model.policy_weight=x",
    "model.huber_delta=x",
    "model.value_network.hidden=x",
    "solver.alpha=x",
    "solver.alpha=nan",
    "game.depth_limit=1.5",
    "game.depth_limit=x",
    "seed=99999999999999999999999",
    "~game",
    "game=null",
    "solver=null",
    "experiment=null",
    "game._target_=x",
    "model.value_network._target_=builtins.dict",
]


@pytest.mark.parametrize("override", BAD)
def test_a_wrong_value_names_its_key(override: str, tmp_path: Path) -> None:
    message = refusal("train", *KUHN, override, cwd=tmp_path)
    assert override.lstrip("~").partition("=")[0].rpartition(".")[2] in message
    assert "not supported between" not in message


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("solve", "device=null"),
        ("solve", "device=meta"),
        ("solve", "json=/proc/x"),
        ("solve", "export=/proc/x"),
        ("solve", "solver.alpha=x"),
        ("solve", "solver.gamma=400"),
        ("solve", "experiment=kuhn"),
        ("evaluate", "device=null"),
        ("evaluate", "seed=99999999999999999999999"),
        ("evaluate", "json=/proc/x"),
        ("evaluate", "solver=null"),
    ],
)
def test_solve_and_evaluate_too(name: str, override: str, run: RunFolder, tmp_path: Path) -> None:
    refusal(
        name,
        *(["run=run", "search_iterations=2"] if name == "evaluate" else ["game=kuhn", "iterations=100"]),
        override,
        cwd=tmp_path,
    )


def test_a_fork_of_a_finished_run_can_go_on(run: RunFolder, tmp_path: Path) -> None:
    assert command("train", "resume_from=run", "run_name=fork", cwd=tmp_path, plots=False).code == 0
    fork = RunFolder(tmp_path / "outputs/fork")
    assert fork.summary.exists()
    assert command("train", "resume_from=fork", "iterations=8", cwd=tmp_path, plots=False).code == 0


def test_a_fork_that_is_killed_at_once_can_go_on(run: RunFolder, tmp_path: Path) -> None:
    fork = ("resume_from=run", "run_name=fork", "iterations=9", "commit_every=10")
    assert interrupted(Moment(PLAYING, 1), SIGKILL, *fork, cwd=tmp_path) == -SIGKILL
    assert command("train", "resume_from=fork", cwd=tmp_path, plots=False).code == 0
    assert [line["iteration"] for line in metrics(RunFolder(tmp_path / "outputs/fork"))] == list(range(9))


def test_a_run_without_a_last_exploitability_ends_well(tmp_path: Path) -> None:
    run = trained(*KUHN, "checkpoint_every=3", "evaluation.every=100", "run", cwd=tmp_path)
    checkpoint = f"resume_from='{run.checkpoint(3)}'"
    assert command("train", checkpoint, "run_name=fork", "iterations=3", cwd=tmp_path, plots=False).code == 0


def test_a_run_that_lost_its_metrics_is_one_line(run: RunFolder, tmp_path: Path) -> None:
    run.metrics.unlink()
    assert command("train", "resume_from=run", "run_name=fork", cwd=tmp_path, plots=False).code in (0, 2)
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code in (0, 2)


def test_what_a_kill_left_half_written_is_removed(good: RunFolder, tmp_path: Path) -> None:
    start = (*KUHN, "checkpoint_every=2", "commit_every=1", "run_name=run")
    assert (
        interrupted(Moment("pathlib:Path.replace", 2, "last.ckpt"), SIGKILL, *start, cwd=tmp_path) == -SIGKILL
    )
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / "outputs/run"), good)


def test_a_signal_while_a_replay_is_written_leaves_no_part(tmp_path: Path) -> None:
    start = (*KUHN, "commit_every=3", "run_name=run")
    interrupted(Moment("pathlib:Path.replace", 1, "replay-000003.tmp"), SIGTERM, *start, cwd=tmp_path)
    assert not list((tmp_path / "outputs/run/checkpoints").glob("*.tmp"))


def test_a_moved_run_resumes_without_a_warning(run: RunFolder, tmp_path: Path) -> None:
    ended = command("train", "resume_from=run", "iterations=7", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")


def test_checkpoint_every_may_change_without_a_warning(run: RunFolder, tmp_path: Path) -> None:
    ended = command(
        "train", "resume_from=run", "iterations=7", "checkpoint_every=3", cwd=tmp_path, plots=False
    )
    assert (ended.code, ended.err) == (0, "")


def test_fewer_iterations_than_are_done_are_refused(run: RunFolder, tmp_path: Path) -> None:
    refusal("train", "resume_from=run", "iterations=3", cwd=tmp_path)


def test_files_are_as_readable_as_the_umask_says(run: RunFolder) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in (run.config, run.job, run.summary, run.checkpoints / "last.ckpt", run.metrics):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask, path.name


def test_the_same_folder_said_in_two_ways_is_the_same_run(run: RunFolder, tmp_path: Path) -> None:
    ended = command("train", f"resume_from={run.path}", "run_name=run", cwd=tmp_path, plots=False)
    assert ended.code == 0


def test_the_hint_to_resume_works_for_a_run_dir_elsewhere(tmp_path: Path) -> None:
    with patch("subprocess.Popen") as popen:
        popen.return_value.pid = 1
        ended = command("launch", *KUHN, "launcher=local", "run_dir=there/run", cwd=tmp_path)
    hint = next(line for line in ended.out.splitlines() if line.startswith("resume"))
    assert hint == "resume   python -m pokerlab.jobs resume there/run"


def test_a_sweep_of_solve_leaves_nothing(tmp_path: Path) -> None:
    assert command("solve", "-m", "game=kuhn", "iterations=1,2", cwd=tmp_path).code == 0
    assert [p for p in tmp_path.rglob("*") if p.is_dir() and not any(p.iterdir())] == []
    assert not (tmp_path / "multirun").exists()


def test_no_job_of_a_sweep_starts_if_one_has_a_wrong_value(tmp_path: Path) -> None:
    refusal("train", "-m", *KUHN, "iterations=1,0", cwd=tmp_path)


@pytest.mark.parametrize(
    "override",
    [
        "launcher.gpu=FOO",
        "launcher.time_limit=0",
        "launcher.memory=x",
        "launcher.cpu=-1",
        "launcher.cpu=0",
        "launcher.cpu=1000",
        "launcher.memory=99999999",
    ],
)
def test_what_modal_does_not_have_is_not_sent(override: str, tmp_path: Path) -> None:
    with patch("modal.App.deploy") as deploy, patch("modal.Function.from_name"):
        refusal("launch", *KUHN, "launcher=modal", override, cwd=tmp_path)
    assert not deploy.called


def test_hydra_can_show_the_config(tmp_path: Path) -> None:
    assert command("train", "--cfg", "job", cwd=tmp_path).code == 0


def test_metrics_of_something_else_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "outputs/run"
    folder.mkdir(parents=True)
    (folder / "training_metrics.jsonl").write_text('{"iteration": 0}\n')
    refusal("train", *KUHN, "run_name=run", cwd=tmp_path)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_at_the_start_is_one_line(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    ended = command("train", *KUHN, "run_name=run", cwd=tmp_path, plots=False)
    assert "Traceback" not in ended.err
