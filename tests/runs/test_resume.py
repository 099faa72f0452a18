"""Resuming from a run, an iteration or a checkpoint; into the same folder or another; for longer."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pokerlab.store.folder import RunFolder
from runs.harness import (
    KUHN,
    assert_same_run,
    command,
    config_of,
    contents,
    copy,
    identical,
    metrics,
    read,
    refusal,
    trained,
)  # fmt: skip

# resuming elsewhere makes Lightning say that its own bookkeeping of paths is not taken along


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    place = tmp_path_factory.mktemp("straight")
    return trained(*KUHN, "checkpoint_every=2", "commit_every=1", "run", cwd=place)


@pytest.fixture
def run(straight: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(straight, tmp_path)


def resume(*arguments: str, cwd: Path) -> None:
    ended = command("train", *arguments, cwd=cwd, plots=False)
    assert (ended.code, ended.err) == (0, ""), ended


def forget_after(run: RunFolder, iteration: int) -> None:
    """Leaves of the checkpoints only those up to ``iteration``."""
    for path in run.checkpoints.iterdir():
        if path.name == "last.ckpt" or int(path.stem[-6:]) > iteration:
            path.unlink()


@pytest.fixture(scope="module")
def straight_on_disk(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    place = tmp_path_factory.mktemp("on_disk")
    return trained(*KUHN, "checkpoint_every=2", "commit_every=1", "selfplay.replay=disk", "run", cwd=place)


@pytest.fixture
def on_disk(straight_on_disk: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(straight_on_disk, tmp_path)


@pytest.mark.parametrize("iteration", [2, 4])
def test_an_iteration_of_a_run_gives_the_same_end(
    iteration: int, run: RunFolder, straight: RunFolder, tmp_path: Path
) -> None:
    forget_after(run, iteration)
    resume(f"resume_from={iteration}", "run_name=run", cwd=tmp_path)
    assert_same_run(run, straight)


def test_a_checkpoint_gives_the_same_end(run: RunFolder, straight: RunFolder, tmp_path: Path) -> None:
    forget_after(run, 4)
    resume("resume_from='outputs/run/checkpoints/iteration=000004.ckpt'", cwd=tmp_path)
    assert_same_run(run, straight)


def test_a_run_can_be_named_by_its_folder(run: RunFolder, straight: RunFolder, tmp_path: Path) -> None:
    forget_after(run, 4)
    shutil.copy(run.checkpoint(4), run.checkpoints / "last.ckpt")
    resume(f"resume_from={run.path}", cwd=tmp_path)
    assert_same_run(run, straight)


def test_going_back_replaces_what_came_after(run: RunFolder, straight: RunFolder, tmp_path: Path) -> None:
    resume("resume_from=2", "run_name=run", cwd=tmp_path)
    assert_same_run(run, straight)


def test_a_new_name_makes_another_run_and_leaves_the_old_one(
    run: RunFolder, straight: RunFolder, tmp_path: Path
) -> None:
    before = contents(run.path)
    checkpoint = f"resume_from='{run.checkpoints}/iteration=000002.ckpt'"
    ended = command("train", checkpoint, "run_name=other", cwd=tmp_path, plots=False)
    assert ended.code == 0
    other = RunFolder(tmp_path / "outputs/other")
    assert contents(run.path) == before
    assert [line["iteration"] for line in metrics(other)] == [0, 1, 2, 3, 4, 5]
    assert metrics(other) == metrics(straight)
    ends = [read(each.checkpoints / "last.ckpt") for each in (other, straight)]
    assert identical(ends[0]["state_dict"], ends[1]["state_dict"])
    assert identical(ends[0]["optimizer_states"], ends[1]["optimizer_states"])
    config = config_of(other)
    assert (config["run_name"], config["run_dir"]) == ("other", "outputs/other")
    assert other.read_job()["experiment"] == "kuhn"


def test_going_back_with_a_replay_on_disk_replaces_what_came_after(
    on_disk: RunFolder, straight_on_disk: RunFolder, tmp_path: Path
) -> None:
    resume("resume_from=2", "run_name=run", cwd=tmp_path)
    assert_same_run(on_disk, straight_on_disk)


@pytest.mark.parametrize("links", [True, False])
def test_a_fork_takes_over_the_chunks_and_leaves_them_to_the_old_run(
    links: bool, on_disk: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def refuse(*_: Path) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    before = contents(on_disk.path)
    resume(f"resume_from='{on_disk.checkpoint(2)}'", "run_name=other", cwd=tmp_path)
    other = RunFolder(tmp_path / "outputs/other")
    assert contents(on_disk.path) == before
    assert metrics(other) == metrics(on_disk)
    ends = [read(each.checkpoints / "last.ckpt")["state_dict"] for each in (other, on_disk)]
    assert identical(*ends)
    shutil.rmtree(on_disk.path)
    resume("resume_from=other", "iterations=7", cwd=tmp_path)  # it has all that it needs


def test_a_fork_that_has_nothing_to_do_can_go_on_later(on_disk: RunFolder, tmp_path: Path) -> None:
    resume("resume_from=run", "run_name=other", cwd=tmp_path)
    other = RunFolder(tmp_path / "outputs/other")
    chunk = next(other.replay.iterdir())
    assert chunk.samefile(on_disk.replay / chunk.name)
    shutil.rmtree(on_disk.path)
    resume("resume_from=other", "iterations=7", cwd=tmp_path)


def test_a_run_with_its_replay_on_disk_is_evaluated_without_it(on_disk: RunFolder, tmp_path: Path) -> None:
    shutil.rmtree(on_disk.replay)
    ended = command(
        "evaluate", "run=run", "search_iterations=2", "play_throughs=1", cwd=tmp_path, plots=False
    )
    assert ended.code == 0
    assert not on_disk.replay.exists()


def test_more_iterations_continue_a_finished_run(run: RunFolder, straight: RunFolder, tmp_path: Path) -> None:
    resume("resume_from=run", "iterations=8", cwd=tmp_path)
    lines = metrics(run)
    assert lines[:6] == metrics(straight)
    assert [line["iteration"] for line in lines] == list(range(8))
    assert [line["network_updates"] for line in lines] == [4 * n for n in range(1, 9)]
    assert lines[-1]["exploitability"] is not None
    assert config_of(run)["iterations"] == 8
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == 8


def test_extending_a_run_is_extending_it_from_any_of_its_checkpoints(
    run: RunFolder, straight: RunFolder, tmp_path: Path
) -> None:
    again = copy(straight, tmp_path, "again")
    resume("resume_from=run", "iterations=9", cwd=tmp_path)
    last, before = again.checkpoints / "last.ckpt", again.checkpoints / "iteration=000006.ckpt"
    last.unlink()
    resume("resume_from=6", "run_name=again", "iterations=9", cwd=tmp_path)
    assert before.exists()
    assert_same_run(again, run)


def test_a_finished_run_stays_as_it_is(run: RunFolder, straight: RunFolder, tmp_path: Path) -> None:
    before = contents(run.checkpoints), run.metrics.read_bytes(), run.summary.read_bytes()
    resume("resume_from=run", cwd=tmp_path)
    assert (contents(run.checkpoints), run.metrics.read_bytes(), run.summary.read_bytes()) == before
    assert run.read_job()["state"] == "finished"


def test_what_does_not_decide_the_numbers_may_change(
    run: RunFolder, straight: RunFolder, tmp_path: Path
) -> None:
    forget_after(run, 4)
    resume("resume_from=4", "run_name=run", "commit_every=7", "evaluation.every=5", cwd=tmp_path)
    config = config_of(run)
    assert (config["commit_every"], config["evaluation"]["every"]) == (7, 5)
    assert config["evaluation"]["search_iterations"] == 10
    evaluated = {line["iteration"] for line in metrics(run) if line["exploitability"] is not None}
    assert evaluated == {1, 3, 4, 5}
    ends = [read(each.checkpoints / "last.ckpt")["state_dict"] for each in (run, straight)]
    assert identical(*ends)


@pytest.mark.parametrize(
    "override",
    [
        "seed=2", "trajectories=21", "updates=5", "batch_size=17", "workers=1", "solver=cfr",
        "selfplay.newest=0.6", "selfplay.replay=disk", "model.value_network.hidden=17",
        "model.value_loss=huber",
    ],
)  # fmt: skip
def test_what_decides_the_numbers_may_not_change(override: str, run: RunFolder, tmp_path: Path) -> None:
    message = refusal("train", "resume_from=run", override, cwd=tmp_path)
    assert message.startswith(f"{override} would change the run outputs/run")
    assert message.endswith(": leave it out, or start a new run")


def test_repeating_what_the_run_has_is_no_change(run: RunFolder, tmp_path: Path) -> None:
    resume(*KUHN, "resume_from=run", cwd=tmp_path)
