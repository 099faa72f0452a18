"""Metrics, summary and state while a run goes on, ends early, or goes on again."""

import json
from pathlib import Path
from typing import Any

import lightning
import pytest
from fitting import fit
from lightning.pytorch.loggers.logger import Logger

from pokerlab.callbacks.checkpoint import RunCheckpoint
from pokerlab.callbacks.cost import CostGuard
from pokerlab.callbacks.metrics import IterationNumbers, MetricsFile, RunState
from pokerlab.store.files import append_line
from pokerlab.store.folder import LAST, RunFolder


class Look(lightning.Callback):
    """Reads the summary after each iteration, and may end the run."""

    def __init__(self, run: RunFolder, at: int | None = None, error: BaseException | None = None) -> None:
        self.run, self.at, self.error = run, at, error
        self.seen: list[tuple[str, str, int, int]] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch:
            self._look(trainer.current_epoch - 1)

    def on_train_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._look(trainer.current_epoch - 1)

    def _look(self, iteration: int) -> None:
        summary = json.loads(self.run.summary.read_text())
        lines = len(self.run.read_metrics())
        self.seen.append((summary["state"], self.run.read_job()["state"], summary["latest_iteration"], lines))
        if self.error is not None and iteration == self.at:
            raise self.error


def kept(run: RunFolder, total: int) -> tuple[lightning.Callback | Logger, ...]:
    metrics = MetricsFile(run, checkpoint_every=2, cost=CostGuard(), total=total)
    return metrics, IterationNumbers(), RunState(metrics)


def each_iteration(run: RunFolder, total: int = 4) -> tuple[lightning.Callback | Logger, ...]:
    return (
        *kept(run, total),
        RunCheckpoint(run, checkpoint_every=2, commit_every=1),
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def state(run: RunFolder) -> tuple[str, str]:
    return json.loads(run.summary.read_text())["state"], run.read_job()["state"]


def test_the_summary_follows_the_run(run: RunFolder) -> None:
    look = Look(run)
    fit(run.path, look, *kept(run, 3), iterations=3)
    assert look.seen == [("running", "running", n, n + 1) for n in range(3)]
    assert state(run) == ("finished", "finished")
    assert [line["checkpoint"] for line in run.read_metrics()] == [None, "iteration=000002.ckpt", None]


@pytest.mark.parametrize(
    ("error", "expected"), [(RuntimeError("no"), "failed"), (KeyboardInterrupt(), "stopped")]
)
def test_a_run_that_ends_early_says_how(error: BaseException, expected: str, run: RunFolder) -> None:
    with pytest.raises((RuntimeError, SystemExit)):
        fit(run.path, *kept(run, 5), Look(run, 1, error))
    assert state(run) == (expected, expected)
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1]
    summary = json.loads(run.summary.read_text())
    assert (summary["latest_iteration"], summary["total_iterations"]) == (1, 5)


def test_an_interrupt_right_after_a_line_leaves_a_summary_that_knows_it(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(path: Path, line: str) -> None:
        append_line(path, line)
        if json.loads(line)["iteration"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pokerlab.callbacks.metrics.append_line", append)
    with pytest.raises(SystemExit):
        fit(run.path, *kept(run, 5))
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1, 2]
    assert state(run) == ("stopped", "stopped")
    assert json.loads(run.summary.read_text())["latest_iteration"] == 2


def test_iterations_that_are_run_again_replace_their_lines(run: RunFolder) -> None:
    callbacks = each_iteration(run)
    fit(run.path, *callbacks, iterations=4)
    first = run.read_metrics()
    callbacks = each_iteration(run)
    fit(run.path, *callbacks, iterations=4, resume=run.checkpoint(2))
    second = run.read_metrics()
    assert [line["iteration"] for line in second] == [0, 1, 2, 3]
    assert second[:2] == first[:2]
    assert all(line["timestamp"] > first[-1]["timestamp"] for line in second[2:])
    assert [line["value_loss"] for line in second] == [line["value_loss"] for line in first]


def test_the_best_of_a_resumed_run_is_the_best_of_all_of_it(run: RunFolder) -> None:
    callbacks = each_iteration(run)
    fit(run.path, *callbacks, iterations=2)
    lines = run.read_metrics()
    lines[0]["value_loss"], lines[1]["policy_loss"] = 1e-9, 1e-8
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    callbacks = each_iteration(run)
    fit(run.path, *callbacks, iterations=3, resume=run.checkpoints / LAST)
    summary = json.loads(run.summary.read_text())
    assert (summary["best_value_loss"], summary["best_policy_loss"]) == (1e-9, 1e-8)
    assert summary["best_exploitability"] is None  # nothing evaluated
