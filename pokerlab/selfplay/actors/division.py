"""An iteration's trajectories, divided among workers and the process that trains."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from pokerlab.selfplay.actors.base import Actor, Divisible
from pokerlab.selfplay.examples import Examples, concatenate

Share = Mapping[str, Examples]
"""What a worker answers: the examples of each stream."""


def is_on_gpu(networks: nn.Module) -> bool:
    """Whether networks are not in the host's memory."""
    return any(parameter.device.type != "cpu" for parameter in networks.parameters())


def for_workers(actor: Actor, networks: nn.Module) -> Actor:
    """What workers play: beside a GPU, which this process keeps, only what hardly needs networks."""
    divided = is_on_gpu(networks) and isinstance(actor, Divisible)
    return actor.without_networks() if divided else actor  # type: ignore[attr-defined]


def count_for_workers(actor: Actor, networks: nn.Module, n: int, iteration: int) -> int:
    """How many of ``n`` trajectories they play."""
    if not is_on_gpu(networks):
        return n
    return actor.count_without_networks(n, iteration) if isinstance(actor, Divisible) else 0


def split(n: int, workers: int) -> list[int]:
    """Trajectories of each worker."""
    return [len(share) for share in np.array_split(np.arange(n), workers)]


def part_of_stored(
    stored: Sequence[Mapping[str, Examples]], number: int, workers: int
) -> list[dict[str, Examples]]:
    """What one worker gets of the examples that self-play is given back."""
    every = slice(number, None, workers)
    return [{name: each.select(every) for name, each in of.items()} for of in stored]


def join(found: Mapping[int, Share]) -> Share:
    """All answers as one, in the order of the workers' numbers."""
    parts = [found[number] for number in sorted(found)]
    return {name: concatenate([part[name] for part in parts]) for name in parts[0]}
