"""Actors for the tests of self-play in processes: modules that take long to import are not among these.

Each worker imports this module.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pokerlab.games.kuhn import Kuhn
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.actors.base import Report
from pokerlab.selfplay.actors.division import Share
from pokerlab.selfplay.actors.processes import Processes
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.trajectories import SelfPlay

GAME = Kuhn(depth_limit=1)


class Scaled(ValueNetwork):
    """Has a buffer."""

    def __init__(self, scale: float) -> None:
        super().__init__(GAME, hidden=8, layers=1)
        self.register_buffer("scale", torch.tensor(scale))

    def _shift_to_zero_sum(self, values: Tensor, beliefs: Tensor) -> Tensor:
        return super()._shift_to_zero_sum(values, beliefs) * self.get_buffer("scale")


def network(seed: int, scale: float = 1) -> Scaled:
    torch.manual_seed(seed)
    return Scaled(scale)


class Play:
    """What ReBeL's actor does."""

    def __init__(self) -> None:
        self.selfplay = SelfPlay(GAME, Solver(), search_iterations=8)

    def generate(self, networks: Any, n: int, place: Place) -> Share:
        like = next(networks.parameters()).detach()[:0]
        values, policies = self.selfplay.generate(networks, n, place.generator(), like)
        return {"values": values, "policies": policies}


class Stuck(Play):
    """Never finishes two games or more; a file named like the process says that it is at them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def generate(self, networks: Any, n: int, place: Place) -> Share:
        if n > 1:
            (self.folder / str(os.getpid())).touch()
            time.sleep(600)
        return super().generate(networks, n, place)


class Waiting(Play):
    """Plays for ten seconds, and says so all the time."""

    report: Report | None = None

    def generate(self, networks: Any, n: int, place: Place) -> Share:
        for hundredth in range(1000):
            time.sleep(0.01)
            assert self.report is not None
            self.report(hundredth / 1000)
        return super().generate(networks, n, place)


class Halves(Stuck):
    """Half of the trajectories need no networks, and these are stuck."""

    def count_without_networks(self, n: int, iteration: int) -> int:
        return n // 2

    def without_networks(self) -> Stuck:
        return Stuck(self.folder)

    def with_networks(self) -> Play:
        return Waiting()


class UnsendableError(Exception):
    """Cannot be made again from what pickle keeps of it."""

    def __init__(self, hand: str, pot: int) -> None:
        super().__init__(f"{hand} in a pot of {pot}")


class Failing(Play):
    def __init__(self, failure: Callable[[], Exception]) -> None:
        super().__init__()
        self.failure = failure

    def generate(self, *_: Any) -> Share:
        raise self.failure()


def same(first: Share, second: Share) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(column, second[stream].columns()[name])
        for stream, examples in first.items()
        for name, column in examples.columns().items()
    )


def threads() -> Exception:
    return RuntimeError(f"{torch.get_num_threads()} thread")


def pids(pool: Processes) -> list[int]:
    found = [worker.process.pid for worker in pool._running]
    assert None not in found
    return found  # type: ignore[return-value]
