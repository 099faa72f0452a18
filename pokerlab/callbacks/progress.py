"""What a run shows while it trains."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import lightning
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch import Tensor

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.console import rate

log = logging.getLogger("pokerlab")


class ProgressBar(lightning.Callback):
    """A bar over iterations, with losses, examples per second and the newest exploitability.

    Each evaluation is also logged as a line, and so is the last iteration; without a terminal, so is progress
    every few seconds.

    Args:
        console: where to.
        seconds_between_lines: where there is no terminal.
    """

    def __init__(self, console: Console, seconds_between_lines: float = 10.0) -> None:
        self.seconds_between_lines = seconds_between_lines
        self._bar = Progress(
            TextColumn("iteration"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._below = Text()
        self._live = Live(Group(self._bar, self._below), console=console, transient=True)
        self._terminal = console.is_terminal
        self._started = self._trained = self._said = 0.0
        self._newest = ""

    def show(self, line: str) -> None:
        """Puts a line below the bar, until the iteration is finished."""
        self._below.plain = line

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Shows the bar."""
        self._task = self._bar.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch)
        self._said = time.perf_counter()
        if self._terminal:
            self._live.start()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stops the clock: what comes after the last batch is evaluation."""
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """An iteration is finished."""
        logged, finished = trainer.callback_metrics, trainer.current_epoch + 1
        examples: int = trainer.datamodule.dataset.new_examples  # type: ignore[attr-defined]
        losses = [
            f"{name.replace('_', ' ')} {value:.2e}  " for name, value in logged.items() if "loss" in name
        ]
        numbers = f"{''.join(losses)}{rate(examples / (self._trained - self._started))} examples/s"
        evaluation = [each for each in trainer.callbacks if isinstance(each, ExploitabilityEvery)]  # type: ignore[attr-defined]
        if any(each.evaluated == trainer.current_epoch for each in evaluation):
            self._newest = _strength(logged)
            log.info("iteration %d/%d  %s  %s", finished, trainer.max_epochs, numbers, self._newest)
            self._said = time.perf_counter()
        elif finished == trainer.max_epochs or (
            not self._bar.console.is_terminal
            and time.perf_counter() - self._said > self.seconds_between_lines
        ):
            log.info("iteration %d/%d  %s", finished, trainer.max_epochs, numbers)
            self._said = time.perf_counter()
        self._bar.update(self._task, completed=finished)
        self._below.plain = f"{numbers}\n{self._newest}".rstrip()

    def on_train_end(self, *_: Any) -> None:
        """Takes the bar away."""
        self._live.stop()

    def on_exception(self, *_: Any) -> None:
        """Takes the bar away."""
        self._live.stop()


def _strength(logged: Mapping[str, Tensor]) -> str:
    said = f"exploitability {logged['exploitability']:.4f}"
    if "search_iterations" in logged:
        said += f" ({logged['search_iterations']:.0f} search iterations)"
    alone = logged.get("exploitability_policy_net")
    return said if alone is None else f"{said}, policy net {alone:.4f}"
