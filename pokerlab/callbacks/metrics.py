"""A run's numbers on disk: one JSON line an iteration, a summary, and its state in job.json."""

import contextlib
import json
import time
from typing import Any

import lightning

from pokerlab.callbacks.checkpoint import RunCheckpointIO
from pokerlab.callbacks.cost import CostGuard
from pokerlab.learning.module import SelfPlayModule
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.store.files import append_line, now, write_json
from pokerlab.store.folder import LAST, RunFolder

VERSION = 1
"""Of the fields of training_metrics.jsonl and summary.json."""


def module_and_data(trainer: lightning.Trainer) -> tuple[SelfPlayModule, SelfPlayData]:
    """What a run trains, and on what."""
    module, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, SelfPlayModule)
    assert isinstance(data, SelfPlayData)
    return module, data


class Metrics(lightning.Callback):
    """Appends to ``training_metrics.jsonl`` and replaces ``summary.json`` (docs/run-folder.md).

    A line is written before its iteration's checkpoint: a run killed in between writes it again, so each
    iteration stands exactly once.

    Args:
        run: the run's folder.
        checkpoint_every: iterations between checkpoints that are kept.
        cost: knows what the run has cost.
    """

    def __init__(self, run: RunFolder, *, checkpoint_every: int, cost: CostGuard) -> None:
        self.run, self.checkpoint_every, self.cost = run, checkpoint_every, cost
        self._started = self._trained = 0.0
        self._lines = run.read_metrics()

    @property
    def newest(self) -> dict[str, Any]:
        """The line of the last iteration."""
        return self._lines[-1]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forgets what a resumed run will do again."""
        self.run.keep_metrics_before(trainer.current_epoch)
        self._lines = self.run.read_metrics()
        self.write_summary(trainer.max_epochs, "running")

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stops the clock: what comes after the last batch is not training."""
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the iteration's line."""
        module, data = module_and_data(trainer)
        finished = trainer.current_epoch + 1
        kept = self.run.checkpoint(finished).name if finished % self.checkpoint_every == 0 else None
        line = {
            "version": VERSION,
            "timestamp": now(),
            "iteration": trainer.current_epoch,
            "value_loss": None,
            "policy_loss": None,
            "trajectories": data.dataset.trajectories,
            "examples": data.dataset.new_examples,
            "network_updates": trainer.global_step,
            "checkpoint": kept,
            "seconds_selfplay": round(data.dataset.seconds, 6),
            "seconds_training": round(self._trained - self._started - data.dataset.seconds, 6),
            "learning_rate": None,
            "exploitability": None,
            "exploitability_policy_net": None,
            "search_iterations": None,
            "play_throughs": None,
            "cost_usd": _rounded(self.cost.cost),
        } | module.measured
        append_line(self.run.metrics, json.dumps(line, allow_nan=False))
        self._lines.append(line)
        self.write_summary(trainer.max_epochs, "running")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The run is complete, or at a limit."""
        self.write_summary(trainer.max_epochs, "stopped" if self.cost.reason else "finished")

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """The run ends early; a disk that fails now must not hide why."""
        writer = trainer.strategy.checkpoint_io
        with contextlib.suppress(OSError):
            if isinstance(writer, RunCheckpointIO):
                writer.flush()  # first, so that the summary can tell of it
        with contextlib.suppress(OSError):
            self.write_summary(
                trainer.max_epochs, "failed" if isinstance(exception, Exception) else "stopped"
            )

    def _best(self, name: str) -> float | None:
        return min((line[name] for line in self._lines if line[name] is not None), default=None)

    def write_summary(self, total: int | None, state: str) -> None:
        """Replaces summary.json, and the state in job.json.

        Args:
            total: iterations of the run.
            state: ``running``, ``finished``, ``stopped`` or ``failed``.
        """
        last = self.run.checkpoints / LAST
        write_json(
            self.run.summary,
            {
                "version": VERSION,
                "state": state,
                "latest_iteration": self._lines[-1]["iteration"] if self._lines else None,
                "total_iterations": total,
                "latest_exploitability": next(
                    (x for line in reversed(self._lines) if (x := line["exploitability"]) is not None), None
                ),
                "best_value_loss": self._best("value_loss"),
                "best_policy_loss": self._best("policy_loss"),
                "best_exploitability": self._best("exploitability"),
                "last_checkpoint": f"checkpoints/{LAST}" if last.exists() else None,
                "last_updated": now(),
                "seconds": _rounded(self.cost.seconds),
                "cost_usd": _rounded(self.cost.cost),
            },
        )
        self.run.update_job(state=state, reason=self.cost.reason)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
