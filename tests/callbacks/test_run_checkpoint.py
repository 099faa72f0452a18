"""Checkpoints: when they are written, what belongs to them, and what a failure leaves."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
from fitting import fit
from runs.harness import contents, read

from pokerlab.callbacks.checkpoint import RunCheckpoint
from pokerlab.selfplay.replay_on_disk import chunk_files
from pokerlab.store.folder import LAST, RunFolder


class FailsAt(lightning.Callback):
    """Raises when an iteration begins."""

    def __init__(self, iteration: int, error: BaseException) -> None:
        self.iteration, self.error = iteration, error

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.iteration:
            raise self.error


def test_last_is_written_when_minutes_are_over(run: RunFolder) -> None:
    """Whatever the number of iterations."""
    found: list[int] = []
    fit(
        run.path,
        RunCheckpoint(
            run,
            checkpoint_every=100,
            commit_every=100,
            commit_minutes=1e-9,
            saved=lambda: found.append(iteration_of(run.checkpoints / LAST)),
        ),
    )
    assert found == [1, 2, 3, 4, 5]


class Watch(lightning.Callback):
    """Notes which files there are when an iteration begins."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.seen: list[set[str]] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.seen.append({path.name for path in self.run.checkpoints.iterdir()})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def iteration_of(path: Path) -> int:
    iteration = read(path)["pokerlab"]["iteration"]
    assert isinstance(iteration, int)
    return iteration


@pytest.mark.parametrize(
    ("checkpoint_every", "commit_every", "saved_after"),
    [(100, 1, [1, 2, 3, 4, 5]), (100, 2, [2, 4, 5]), (3, 100, [3, 5]), (2, 3, [2, 3, 4, 5]), (100, 100, [5])],
)
def test_last_is_written_when_due_and_at_the_end(
    checkpoint_every: int, commit_every: int, saved_after: list[int], run: RunFolder
) -> None:
    found: list[int] = []
    fit(
        run.path,
        RunCheckpoint(
            run,
            checkpoint_every=checkpoint_every,
            commit_every=commit_every,
            saved=lambda: found.append(iteration_of(run.checkpoints / LAST)),
        ),
    )
    assert found == saved_after
    assert list(run.numbered_checkpoints()) == list(range(checkpoint_every, 6, checkpoint_every))
    for iteration, path in run.numbered_checkpoints().items():
        assert iteration_of(path) == iteration


def test_only_replays_that_a_checkpoint_needs_are_kept(run: RunFolder) -> None:
    watch = Watch(run)
    fit(run.path, watch, RunCheckpoint(run, checkpoint_every=3, commit_every=1))
    third = {"iteration=000003.ckpt", "replay-000003.pt"}
    assert watch.seen == [
        set(),
        {LAST, "replay-000001.pt"},
        {LAST, "replay-000002.pt"},
        {LAST} | third,
        {LAST, "replay-000004.pt"} | third,
    ]
    assert {path.name for path in run.checkpoints.iterdir()} == {LAST, "replay-000005.pt"} | third


@pytest.mark.parametrize("error", [RuntimeError("worker lost"), OSError(5, "disk"), KeyboardInterrupt()])
def test_whatever_ends_a_run_the_last_finished_iteration_is_saved(
    error: BaseException, run: RunFolder
) -> None:
    checkpoint = RunCheckpoint(run, checkpoint_every=100, commit_every=100)
    with pytest.raises(SystemExit if isinstance(error, KeyboardInterrupt) else type(error)):
        fit(run.path, FailsAt(3, error), checkpoint)
    assert iteration_of(run.checkpoints / LAST) == 3
    assert {path.name for path in run.checkpoints.iterdir()} == {LAST, "replay-000003.pt"}


def test_a_run_that_ends_before_an_iteration_is_finished_saves_nothing(run: RunFolder) -> None:
    checkpoint = RunCheckpoint(run, checkpoint_every=1, commit_every=1)
    with pytest.raises(RuntimeError, match="at once"):
        fit(run.path, FailsAt(0, RuntimeError("at once")), checkpoint)
    assert list(run.checkpoints.iterdir()) == []


def failing_after(calls: int) -> Callable[[int], None]:
    sync, count = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise OSError(28, "No space left on device")
        sync(handle)

    return fsync


@pytest.mark.parametrize("writes", [4, 5], ids=["writing the replay", "writing the checkpoint"])
def test_a_full_disk_leaves_the_checkpoint_before(
    writes: int, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing_after(writes))  # two an iteration
    with pytest.raises(OSError, match="No space left"):
        fit(run.path, RunCheckpoint(run, checkpoint_every=100, commit_every=1))
    assert iteration_of(run.checkpoints / LAST) == 2
    assert (run.checkpoints / "replay-000002.pt").is_file()
    monkeypatch.undo()
    fit(
        run.path,
        RunCheckpoint(run, checkpoint_every=100, commit_every=1),
        resume=run.checkpoints / LAST,
    )
    assert iteration_of(run.checkpoints / LAST) == 5


def test_a_checkpoint_says_what_it_is_of(run: RunFolder) -> None:
    parts = fit(run.path, RunCheckpoint(run, checkpoint_every=2, commit_every=1), iterations=2)
    for name in (LAST, "iteration=000002.ckpt"):
        assert read(run.checkpoints / name)["pokerlab"] == {
            "format": 1,
            "game": "kuhn",
            "iteration": 2,
            "replay": "replay-000002.pt",
        }
    replay = read(run.checkpoints / "replay-000002.pt")
    assert replay["values"]["added"] == parts.data.replays["values"].added
    assert replay["policies"]["added"] == parts.data.replays["policies"].added


def test_a_checkpoint_restores_the_replay_that_belongs_to_it(run: RunFolder) -> None:
    fit(run.path, RunCheckpoint(run, checkpoint_every=2, commit_every=1), iterations=4)
    before = contents(run.checkpoints)
    parts = fit(run.path, iterations=2, resume=run.checkpoint(2))  # nothing left to do
    replay = read(run.checkpoints / "replay-000002.pt")
    assert parts.data.replays["values"].added == replay["values"]["added"]
    assert parts.data.replays["policies"].added == replay["policies"]["added"]
    assert parts.data.dataset.iteration == 2
    assert contents(run.checkpoints) == before


DISK = ("selfplay.replay=disk",)


def chunks(run: RunFolder) -> set[str]:
    return {path.name for path in run.replay.iterdir()}


def needed(run: RunFolder, *iterations: int) -> set[str]:
    """The chunks that replays name."""
    replays = [read(run.checkpoints / f"replay-{iteration:06d}.pt") for iteration in iterations]
    return {name for replay in replays for name in chunk_files(replay)}


class KeepsChunks(lightning.Callback):
    """Notes when an iteration begins whether the chunks are those that checkpoints need."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.exact: list[bool] = []
        self.counts: list[int] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch:
            saved = {trainer.current_epoch, *self.run.numbered_checkpoints()}
            self.exact.append(chunks(self.run) == needed(self.run, *saved))
            self.counts.append(len(chunks(self.run)))


SMALL = (*DISK, "selfplay.value_capacity=50", "selfplay.policy_capacity=12", "selfplay.newest=1")


def test_only_chunks_that_a_checkpoint_needs_are_kept(run: RunFolder) -> None:
    watch = KeepsChunks(run)
    fit(run.path, watch, RunCheckpoint(run, checkpoint_every=3, commit_every=1), overrides=SMALL)
    assert watch.exact == [True] * 4
    assert chunks(run) == needed(run, 3, 5)
    assert len(chunks(run)) < 2 * 5
    assert sum(path.stat().st_size for path in run.checkpoints.glob("replay-*")) < 10_000


class FailsWhileLearning(FailsAt):
    """Raises when an iteration has played, and is about to learn."""

    def on_train_epoch_start(self, *_: Any) -> None:
        pass

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.iteration:
            raise self.error


def test_chunks_of_an_iteration_under_way_are_kept_until_it_is_run_again(run: RunFolder) -> None:
    checkpoint = RunCheckpoint(run, checkpoint_every=100, commit_every=2)
    with pytest.raises(RuntimeError, match="worker lost"):
        fit(run.path, FailsWhileLearning(3, RuntimeError("worker lost")), checkpoint, overrides=DISK)
    last = run.checkpoints / LAST
    assert iteration_of(last) == 3
    assert needed(run, 3) < chunks(run)
    under_way = chunks(run) - needed(run, 3)
    assert {name.partition("-")[0] for name in under_way} == {"values", "policies"}
    again = RunCheckpoint(run, checkpoint_every=100, commit_every=1)
    fit(run.path, again, iterations=4, resume=last, overrides=DISK)
    assert under_way < chunks(run) == needed(run, 4)


def test_a_checkpoint_restores_the_replay_on_disk_that_belongs_to_it(run: RunFolder) -> None:
    fit(run.path, RunCheckpoint(run, checkpoint_every=2, commit_every=1), iterations=4, overrides=SMALL)
    before = contents(run.path)
    parts = fit(run.path, iterations=2, resume=run.checkpoint(2), overrides=SMALL)  # nothing left to do
    replay = read(run.checkpoints / "replay-000002.pt")
    assert parts.data.replay_contents(parts.data.state_dict()) == replay
    assert contents(run.path) == before


def test_a_replay_of_an_old_checkpoint_that_cannot_be_read_does_not_stop_the_run(run: RunFolder) -> None:
    fit(run.path, RunCheckpoint(run, checkpoint_every=2, commit_every=1), iterations=3, overrides=SMALL)
    (run.checkpoints / "replay-000002.pt").write_bytes(b"PK")
    checkpoint = RunCheckpoint(run, checkpoint_every=100, commit_every=1)
    fit(run.path, checkpoint, iterations=5, resume=run.checkpoints / LAST, overrides=SMALL)
    assert chunks(run) == needed(run, 5)


@pytest.mark.parametrize("writes", [2, 3, 4, 5])  # chunk of values, of policies, replay, checkpoint
def test_a_disk_that_fills_up_while_chunks_are_written_leaves_the_checkpoint_before(
    writes: int, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = 4  # writes an iteration
    monkeypatch.setattr(os, "fsync", failing_after(every + writes - 2))
    with pytest.raises(OSError, match="No space left"):
        fit(run.path, RunCheckpoint(run, checkpoint_every=100, commit_every=1), overrides=DISK)
    assert iteration_of(run.checkpoints / LAST) == 1
    monkeypatch.undo()
    last = run.checkpoints / LAST
    fit(run.path, RunCheckpoint(run, checkpoint_every=100, commit_every=1), resume=last, overrides=DISK)
    assert iteration_of(last) == 5
    assert chunks(run) == needed(run, 5)
