"""The terminals of a forest, put together by payoff kernel."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game, Ints, PayoffOperator

PADDING = 0.15
"""Share of the slots in parts that may be padding, where that takes no more than ``MOST_PARTS``."""
MOST_PARTS = 6
"""Operators that value the terminals of a forest one after the other."""
WORTH_A_PART = 300
"""Terminals: on a GPU, another operator takes longer to launch than padding so few."""


@dataclass(frozen=True, slots=True)
class PayoffPart:
    """Kernels with about as many terminals each."""

    slots: slice
    """Where they are in ``Payoffs``: ``M · K``, kernel by kernel."""
    kernels: int
    """``M``."""
    operator: PayoffOperator
    """``[..., M, K, H]``."""

    def outcomes(self, reach: Tensor) -> Tensor:
        """``[..., T, H]`` opponent reach → ``[..., M · K, H]`` mass won less mass lost."""
        there: Tensor = reach[..., self.slots, :].unflatten(-2, (self.kernels, -1))
        return self.operator(there).flatten(-3, -2)


@dataclass(frozen=True, slots=True)
class Payoffs:
    """The terminals by payoff kernel, ``T`` slots, some of which are padding, with payoff 0."""

    row: Tensor
    """``[2, T]`` each player's sequence row."""
    subgame: Tensor
    """``[T]``."""
    chips: Tensor
    """``[2, T, 1]`` chips × chance probability; 0 in the padding."""
    parts: tuple[PayoffPart, ...]
    slot: Ints
    """Where each of ``Forest.terminals`` stands in ``[T]``."""

    @property
    def operator(self) -> PayoffOperator:
        """``[..., T, H]`` opponent reach → mass won less mass lost."""
        return JoinedOperator(self.parts)


@dataclass(frozen=True)
class JoinedOperator:
    """The operators of all parts."""

    parts: tuple[PayoffPart, ...]

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., T, H]`` → the same shape."""
        return torch.cat([part.outcomes(reach) for part in self.parts], -2) if self.parts else reach


def put_in_slots(game: Game, kernel: Ints, like: Tensor) -> tuple[Ints, int, tuple[PayoffPart, ...]]:
    """Puts terminals together by payoff kernel.

    Args:
        game: makes the operators.
        kernel: ``[n]`` the terminals' payoff kernels.
        like: a tensor with the device and dtype to work in.

    Returns:
        ``[n]`` the slot of each terminal, ``T``, the number of slots, and their parts.
    """
    kernels, which, counts = np.unique(kernel, return_inverse=True, return_counts=True)
    slot_of, parts, end = np.empty(len(kernels), np.int64), [], 0
    for together in split_by_count(counts):
        most = int(counts[together].max())
        slot_of[together] = end + most * np.arange(len(together))
        begin, end = end, end + most * len(together)
        operator = game.payoff_operator(kernels[together].tolist(), like)
        parts.append(PayoffPart(slice(begin, end), len(together), operator))
    by_kernel = np.argsort(which, kind="stable")
    slot = np.empty(len(kernel), np.int64)
    slot[by_kernel] = np.arange(len(kernel)) - np.repeat(np.cumsum(counts) - counts, counts)
    return slot + slot_of[which], end, tuple(parts)


def lay_out_payoffs(
    game: Game, kernel: Ints, row: Ints, subgame: Ints, chips: np.ndarray, like: Tensor
) -> Payoffs:
    """The payoffs of terminals.

    Args:
        game: makes the operators.
        kernel: ``[n]`` the terminals' payoff kernels.
        row: ``[2, n]`` each player's sequence row.
        subgame: ``[n]``.
        chips: ``[2, n]`` payoff × chance.
        like: a tensor with the device and dtype to work in.
    """
    slot, end, parts = put_in_slots(game, kernel, like)

    def pad(values: np.ndarray) -> Tensor:
        padded = np.zeros((*values.shape[:-1], end), dtype=values.dtype)
        padded[..., slot] = values
        return torch.as_tensor(padded, device=like.device)

    return Payoffs(
        row=pad(row), subgame=pad(subgame), chips=pad(chips).to(like.dtype)[..., None], parts=parts,
        slot=slot,
    )  # fmt: skip


def split_by_count(counts: Ints) -> list[Ints]:
    """Kernels that are valued together, ascending: in as few parts as pad little, each to its largest count.

    Where terminals are few, up to half may be padding.

    Args:
        counts: ``[M]`` how many terminals each has.
    """
    if not len(counts):
        return []
    order = np.argsort(counts, kind="stable")
    sizes, begin = np.unique(counts[order], return_index=True)
    end = np.append(begin[1:], len(counts))
    # least[i]: slots of the kernels of the i smallest counts in so many parts; of the last, where it begins
    least, firsts = np.append(0.0, np.full(len(sizes), np.inf)), []
    worthwhile = int(counts.sum()) // WORTH_A_PART
    for number in range(1, MOST_PARTS + 1):
        slots = least[:-1, None] + sizes * (end - begin[:, None])
        slots[np.tri(len(sizes), k=-1, dtype=bool)] = np.inf
        firsts.append(slots.argmin(0))
        least = np.append(0.0, slots.min(0))
        padding = 1 - counts.sum() / least[-1]
        if padding <= PADDING or (number >= worthwhile and padding < 1 / 2):
            break
    cuts, last = [], len(sizes)
    for first in reversed(firsts):
        last = int(first[last - 1])
        cuts.append(int(begin[last]))
    return [np.sort(part) for part in np.split(order, cuts[::-1][1:])]
