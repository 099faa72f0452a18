"""What the ranks of a run tell each other: processes that play and learn together, each with a share.

Where there is only one, it has all of it and tells itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch.distributed

Value = TypeVar("Value")


class RankLostError(RuntimeError):
    """A rank ended, or failed."""


def gather(value: Value) -> list[Value]:
    """Everybody's value, in the order of the ranks; all have to ask. It is sent by pickle."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return found


def mean(value: float) -> float:
    """Of all ranks."""
    found = gather(value)
    return sum(found) / len(found)


def means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name, of those that have it."""
    names = dict.fromkeys(name for each in found for name in each)
    having = {name: [each[name] for each in found if name in each] for name in names}
    return {name: sum(values) / len(values) for name, values in having.items()}


def share(total: int, rank: int, ranks: int) -> int:
    """How much of it is one rank's: all are alike, or the first have one more."""
    return total // ranks + (rank < total % ranks)
