"""What a run has cost so far, and the end of a run that would cost too much."""

import logging
import time
from typing import Any

import lightning

from pokerlab.learning.module import log_number

log = logging.getLogger("pokerlab")


class CostGuard(lightning.Callback):
    """Counts time and cost over all of a run's processes; ends a run before a limit, between iterations.

    It stops if another iteration as long as the longest one would go beyond a limit. What a killed process
    did after its last whole iteration is not counted.

    Args:
        price_per_hour: USD; None: the cost is not known.
        max_cost_usd: None: no limit.
        max_hours: None: no limit.
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
        seconds_before: float = 0.0,
        cost_before: float = 0.0,
        since: float | None = None,
    ) -> None:
        self.price_per_hour, self.max_cost_usd, self.max_hours = price_per_hour, max_cost_usd, max_hours
        self.seconds_before, self.cost_before = seconds_before, cost_before
        self._since = time.time() if since is None else since
        self._iteration_began = 0.0
        self._longest = 0.0
        self.reason: str | None = None
        """The limit that stopped the run."""

    @property
    def seconds(self) -> float:
        """Since the run first began, its processes only."""
        return self.seconds_before + self._elapsed

    @property
    def cost(self) -> float | None:
        """USD."""
        return self._cost(self._elapsed)

    @property
    def _elapsed(self) -> float:
        return time.time() - self._since

    def _cost(self, elapsed: float) -> float | None:
        if self.price_per_hour is None:
            return None
        return self.cost_before + elapsed / 3600 * self.price_per_hour

    def on_train_epoch_start(self, *_: Any) -> None:
        """Starts the iteration's clock."""
        self._iteration_began = time.time()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Logs the cost, and decides whether there is another iteration."""
        if (spent := self.cost) is not None:
            log_number(pl_module, "cost_usd", round(spent, 6))
        self._longest = max(self._longest, time.time() - self._iteration_began)
        then = self._elapsed + self._longest
        cost = self._cost(then)
        if trainer.current_epoch + 1 == trainer.max_epochs:
            return
        if self.max_hours is not None and (self.seconds_before + then) / 3600 > self.max_hours:
            self.reason = f"max_hours={self.max_hours:g}"
        elif self.max_cost_usd is not None and cost is not None and cost > self.max_cost_usd:
            self.reason = f"max_cost_usd={self.max_cost_usd:g}"
        if self.reason is not None:
            trainer.should_stop = True
            log.info("another iteration would go beyond launcher.%s", self.reason)
