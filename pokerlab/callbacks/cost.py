"""What a run has cost so far, and the end of a run that would cost too much."""

import logging
import threading
import time
from typing import Any

import lightning

from pokerlab.interrupts import interrupt, interruptible
from pokerlab.learning.module import log_number

log = logging.getLogger("pokerlab")

MARGIN = 120.0
"""Seconds in which a checkpoint is written and committed."""
AGAIN = 5.0
"""Seconds after which an interrupt is sent once more: it may have come where it could not be obeyed."""
TIME_LIMIT = "time_limit"


class CostGuard(lightning.Callback):
    """Counts time and cost over all of a run's processes; ends a run before a limit.

    It ends between iterations if another one as long as the longest would go beyond a limit. The first
    iteration of each process says nothing about the next: it also compiles. Where the end could not be
    foreseen, it comes in the midst of an iteration when the limit is reached, as with Ctrl-C: the last
    finished iteration is saved. What a killed process did after its last whole iteration is not counted.

    Args:
        price_per_hour: USD; None: the cost is not known.
        max_cost_usd: None: no limit.
        max_hours: None: no limit.
        time_limit: seconds that this process has, after which it is killed; it ends ``MARGIN`` before. None:
            no limit.
        seconds_before: of the run's earlier processes.
        cost_before: USD, likewise.
        since: when this process began, seconds since 1970; None: now.
    """

    def __init__(
        self,
        *,
        price_per_hour: float | None = None,
        max_cost_usd: float | None = None,
        max_hours: float | None = None,
        time_limit: float | None = None,
        seconds_before: float = 0.0,
        cost_before: float = 0.0,
        since: float | None = None,
    ) -> None:
        self.price_per_hour, self.max_cost_usd, self.max_hours = price_per_hour, max_cost_usd, max_hours
        self.time_limit = time_limit
        self.seconds_before, self.cost_before = seconds_before, cost_before
        self._since = time.time() if since is None else since
        self._iteration_began = 0.0
        self._longest: float | None = None
        """Seconds, of this process's iterations but its first; None before that has ended."""
        self._alarm: threading.Thread | None = None
        self._over = threading.Event()
        self.reason: str | None = None
        """The limit that stopped the run."""

    @property
    def seconds(self) -> float:
        """Since the run first began, its processes only."""
        return self.seconds_before + self._elapsed

    @property
    def cost(self) -> float | None:
        """USD."""
        if self.price_per_hour is None:
            return None
        return self.cost_before + self._elapsed / 3600 * self.price_per_hour

    @property
    def _elapsed(self) -> float:
        return time.time() - self._since

    def _limits(self) -> dict[str, float]:
        """After how many seconds of this process each limit is reached."""
        limits = {}
        if self.max_hours is not None:
            limits[f"max_hours={self.max_hours:g}"] = self.max_hours * 3600 - self.seconds_before
        if self.max_cost_usd is not None and self.price_per_hour:
            left = self.max_cost_usd - self.cost_before
            limits[f"max_cost_usd={self.max_cost_usd:g}"] = left / self.price_per_hour * 3600
        if self.time_limit is not None:
            limits[f"{TIME_LIMIT}={self.time_limit:g}"] = self.time_limit - min(MARGIN, self.time_limit / 10)
        return limits

    def _set_alarm(self, limits: dict[str, float]) -> None:
        reason = min(limits, key=lambda limit: limits[limit])

        left = limits[reason] - self._elapsed

        def end() -> None:
            if self._over.wait(left):
                return
            self.reason = reason
            log.info("stops in the midst of an iteration: launcher.%s is reached", reason)
            while True:
                interrupt()
                if self._over.wait(AGAIN):
                    return

        self._alarm = threading.Thread(target=end, daemon=True)
        self._alarm.start()
        if left <= 0:
            with interruptible():
                self._alarm.join()

    def teardown(self, *_: Any, **__: Any) -> None:
        """Takes the alarm off."""
        self._over.set()

    on_exception = teardown

    def on_train_epoch_start(self, *_: Any) -> None:
        """Starts the iteration's clock, and before the first iteration the alarm."""
        self._iteration_began = time.time()
        if self._alarm is None and (limits := self._limits()):
            self._set_alarm(limits)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Logs the cost, and decides whether there is another iteration."""
        if (cost := self.cost) is not None:
            log_number(pl_module, "cost_usd", round(cost, 6))
        took = time.time() - self._iteration_began
        self._longest = 0.0 if self._longest is None else max(self._longest, took)
        if trainer.current_epoch + 1 == trainer.max_epochs:
            self._over.set()
            return
        spent = self._elapsed
        over = (
            reason
            for reason, limit in self._limits().items()
            if spent + self._longest > limit or spent >= limit
        )
        self.reason = next(over, None)
        if self.reason is not None:
            trainer.should_stop = True
            self._over.set()
            log.info("another iteration would go beyond launcher.%s", self.reason)
