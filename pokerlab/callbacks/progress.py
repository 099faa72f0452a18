"""What a run shows while it trains."""

import logging
import time
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

from pokerlab.callbacks.metrics import module_and_data

log = logging.getLogger("pokerlab")


class ProgressBar(lightning.Callback):
    """A bar over iterations, with losses, examples per second and the newest exploitability.

    Each evaluation is also logged as a line; without a terminal, so is progress every few seconds.

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
        module, data = module_and_data(trainer)
        measured, finished = module.measured, trainer.current_epoch + 1
        rate = data.dataset.new_examples / (self._trained - self._started)
        numbers = (
            f"value loss {measured['value_loss']:.2e}  policy loss {measured['policy_loss']:.2e}  "
            f"{rate:,.0f} examples/s"
        )
        if (found := measured.get("exploitability")) is not None:
            self._newest = (
                f"exploitability {found:.4f} ({measured['search_iterations']} search iterations), "
                f"policy net {measured['exploitability_policy_net']:.4f}"
            )
            log.info("iteration %d  %s  %s", finished, numbers, self._newest)
            self._said = time.perf_counter()
        elif (
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
