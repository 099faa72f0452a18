"""A run's numbers on disk: one JSON line an iteration, a summary, and its state in job.json."""

import contextlib
import json
import math
import time
from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.loggers.logger import Logger

from pokerlab.callbacks.checkpoint import RunCheckpointIO
from pokerlab.callbacks.cost import CostGuard
from pokerlab.errors import UserError
from pokerlab.learning.module import log_number
from pokerlab.selfplay.ranks import RankLostError, mean
from pokerlab.store.files import append_line, now, write_json
from pokerlab.store.folder import LAST, RunFolder

VERSION = 1
"""Of the fields of training_metrics.jsonl and summary.json."""
WHOLE = (
    "iteration", "trajectories", "examples", "network_updates", "search_iterations", "play_throughs",
    "nodes_touched",
)  # fmt: skip
"""Fields that hold whole numbers; Lightning knows none."""
FIELDS = (
    "version", "timestamp", "iteration", "value_loss", "policy_loss", "trajectories", "examples",
    "network_updates", "draws_per_example", "checkpoint", "seconds_selfplay", "seconds_training",
    "learning_rate", "exploitability", "exploitability_policy_net", "search_iterations", "play_throughs",
    "cost_usd",
)  # fmt: skip
"""Of every line; what else is logged comes after them."""


class IterationNumbers(lightning.Callback):
    """Logs which iteration this was, what it made, and how long that took on average over ranks, evaluation
    apart."""

    def __init__(self) -> None:
        self._started = self._trained = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stops the clock: what comes after the last batch is not training."""
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Logs them."""
        data = trainer.datamodule.dataset  # type: ignore[attr-defined]
        numbers = {
            "iteration": trainer.current_epoch,
            "trajectories": data.trajectories,
            "examples": data.new_examples,
            "network_updates": trainer.global_step,
            "draws_per_example": data.draws_per_example,
            "seconds_selfplay": round(mean(data.seconds), 6),
            "seconds_training": round(mean(self._trained - self._started - data.seconds), 6),
        }
        for name, value in numbers.items():
            log_number(pl_module, name, value)


class MetricsFile(Logger):
    """``training_metrics.jsonl`` and ``summary.json`` as a Lightning logger (docs/run-folder.md).

    A line holds whatever was logged since the line before it. It is written before its iteration's
    checkpoint: a run killed in between writes it again, so each iteration stands exactly once.

    Args:
        run: the run's folder.
        checkpoint_every: iterations between checkpoints that are kept.
        cost: knows what the run has cost.
        total: iterations of the run.
    """

    def __init__(self, run: RunFolder, *, checkpoint_every: int, cost: CostGuard, total: int) -> None:
        super().__init__()
        self.run, self.checkpoint_every, self.cost, self.total = run, checkpoint_every, cost, total
        self._lines = run.read_metrics()
        self._collected: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Of the run."""
        return self.run.path.name

    @property
    def version(self) -> int:
        """Of the fields."""
        return VERSION

    @property
    def save_dir(self) -> str:
        """The run's folder: what callbacks of Lightning keep goes there."""
        return str(self.run.path)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: config.yaml has them."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keeps numbers for the iteration's line; writes it when its own numbers have come."""
        self._collected |= metrics
        if "iteration" not in metrics:
            return
        found = {name: _plain(name, value) for name, value in self._collected.items() if name != "epoch"}
        self._collected = {}
        finished = int(metrics["iteration"]) + 1
        kept = self.run.checkpoint(finished).name if finished % self.checkpoint_every == 0 else None
        line = dict.fromkeys(FIELDS) | {"version": VERSION, "timestamp": now(), "checkpoint": kept} | found
        append_line(self.run.metrics, json.dumps(line, allow_nan=False))
        self._lines.append(line)
        self.write_summary("running")

    def keep_before(self, iteration: int) -> None:
        """Forgets what a resumed run will do again."""
        self.run.keep_metrics_before(iteration)
        self.read_again()

    def read_again(self) -> None:
        """Takes the file's word: an interrupt may come between a line and our note of it."""
        self._lines = self.run.read_metrics()

    def _best(self, name: str) -> float | None:
        return min((line[name] for line in self._lines if line.get(name) is not None), default=None)

    def write_summary(self, state: str, reason: str | None = None) -> None:
        """Replaces summary.json, and the state in job.json.

        Args:
            state: ``running``, ``finished``, ``stopped`` or ``failed``.
            reason: why it stopped.
        """
        last = self.run.checkpoints / LAST
        evaluated = (line["exploitability"] for line in reversed(self._lines))
        write_json(
            self.run.summary,
            {
                "version": VERSION,
                "state": state,
                "latest_iteration": self._lines[-1]["iteration"] if self._lines else None,
                "total_iterations": self.total,
                "latest_exploitability": next((value for value in evaluated if value is not None), None),
                "best_value_loss": self._best("value_loss"),
                "best_policy_loss": self._best("policy_loss"),
                "best_exploitability": self._best("exploitability"),
                "last_checkpoint": f"checkpoints/{LAST}" if last.exists() else None,
                "last_updated": now(),
                "seconds": round(self.cost.seconds, 6),
                "cost_usd": None if self.cost.cost is None else round(self.cost.cost, 6),
            },
        )
        self.run.update_job(state=state, reason=reason)


def _plain(name: str, value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if name in WHOLE else value


class RunState(lightning.Callback):
    """Keeps summary.json and job.json true when a run begins and when it ends.

    Args:
        metrics: writes them.
    """

    def __init__(self, metrics: MetricsFile) -> None:
        self.metrics = metrics

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forgets what a resumed run will do again."""
        self.metrics.keep_before(trainer.current_epoch)
        self.metrics.write_summary("running")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The run is complete, at a limit, or a callback has stopped it."""
        if trainer.current_epoch >= self.metrics.total:
            self.metrics.write_summary("finished")
        else:
            self.metrics.write_summary("stopped", self.metrics.cost.reason or "a callback stopped it")

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """The run ends early; a disk that fails now must not hide why."""
        writer = trainer.strategy.checkpoint_io
        with contextlib.suppress(OSError, RankLostError):
            if isinstance(writer, RunCheckpointIO):
                writer.flush()  # first, so that the summary can tell of it
        with contextlib.suppress(OSError, UserError):
            self.metrics.read_again()
        with contextlib.suppress(OSError):
            state = "failed" if isinstance(exception, Exception) else "stopped"
            self.metrics.write_summary(state, self.metrics.cost.reason)
