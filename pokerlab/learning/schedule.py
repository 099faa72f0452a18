"""The learning rate of each iteration."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class CosineSchedule(LRScheduler):
    """Falls along half a cosine from the first iteration to the last.

    The rate depends on the iteration alone and a checkpoint keeps nothing of it. A run that goes on with
    more iterations than it had takes the rates of the longer schedule.

    Args:
        optimizer: its learning rate is set, once an iteration.
        first: of iteration 0.
        last: of the last iteration; equal to ``first``: constant.
        iterations: length of the run.
    """

    def __init__(self, optimizer: Optimizer, *, first: float, last: float, iterations: int) -> None:
        self.first, self.last, self.iterations = first, last, iterations
        super().__init__(optimizer)

    def rate(self, iteration: int) -> float:
        """The learning rate in an iteration."""
        progress = min(iteration / max(self.iterations - 1, 1), 1.0)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return self.last + (self.first - self.last) * cosine

    def get_lr(self) -> list[Any]:
        return [self.rate(self.last_epoch)] * len(self.optimizer.param_groups)

    def go_to(self, iteration: int) -> None:
        """Sets the rate of ``iteration``."""
        self.last_epoch = iteration
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to take over: see :meth:`go_to`."""
