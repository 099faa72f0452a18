"""Values of depth-limit leaves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pokerlab.search.forest import Forest

LeafValues = Callable[[Tensor], Tensor]
"""Beliefs ``[2, L, H]`` of fixed leaves → infostate values ``[2, L, H]`` in pots.

The beliefs are the solver's own array and change after the call: copy them to keep them.
"""


BOTH = slice(0, 2)
"""Players."""


@runtime_checkable
class PlayersLeafValues(Protocol):
    """:data:`LeafValues` that take less time for one player's values than for both's."""

    def __call__(self, beliefs: Tensor) -> Tensor:
        """See :data:`LeafValues`."""
        ...

    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        """The same of some players, ``[players, L, H]``."""
        ...


@runtime_checkable
class ReachValues(Protocol):
    """:data:`LeafValues` that take less time for counterfactual values than for infostate values."""

    def hold(self, beliefs: Tensor) -> None:
        """``[2, L, H]`` what is believed at leaves that nobody comes to."""
        ...

    def of_reach(self, reach: Tensor, players: slice, changed: slice, pots: Tensor) -> Tensor:
        """Counterfactual values in chips, ``[players, L, H]``.

        Args:
            reach: ``[2, L, H]`` for each player, the opponent's reach × belief. Where it is nothing, beliefs
                stay as they were.
            players: whose values.
            changed: players whose own reach may have changed since the last call.
            pots: ``[L]`` pot × chance, in chips.
        """
        ...


def values_of(values: LeafValues, beliefs: Tensor, players: slice) -> Tensor:
    """``[players, L, H]`` of some players."""
    if isinstance(values, PlayersLeafValues):
        return values.of_players(beliefs, players)
    return values(beliefs)[players]


LEAF_PRECISIONS = ("float32", "tf32", "bfloat16")
"""What a leaf evaluator's matrix products may be rounded to. On a CPU, TF32 is float32; float64 stays so."""


@contextmanager
def multiply_in(precision: str, device: torch.device) -> Iterator[None]:
    """Rounds matrix products of float32 on ``device`` to one of ``LEAF_PRECISIONS`` meanwhile."""
    if device.type == "cpu" and precision != "bfloat16" and not torch.is_autocast_enabled("cpu"):
        yield  # an eighth of the time of a small query
        return
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        if device.type != "cuda":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


class LeafEvaluator(Protocol):
    """Values public belief states, such as a value network."""

    @property
    def floats_per_leaf(self) -> int:
        """The most numbers that evaluating one leaf takes: forests must fit in memory."""
        ...

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """Prepares to evaluate ``L`` leaves, whose beliefs change at every iteration.

        Args:
            features: ``[L, F]``, see :class:`~pokerlab.games.parts.NetworkFeatures`.
            possible: ``[L, H]`` 1 for hands that the board leaves possible.
        """
        ...


@runtime_checkable
class Prior(Protocol):
    """Proposes a strategy before any search, such as a policy network."""

    def strategy(self, forest: Forest, belief: Tensor) -> Tensor:
        """``[A, D, H]`` on a forest, given ``[2, B, H]`` beliefs at its roots."""
        ...
