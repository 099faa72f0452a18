"""What a depth-limit leaf is worth."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from pokerlab.search.forest import Forest

LeafValues = Callable[[Tensor], Tensor]
"""Beliefs ``[2, L, H]`` of fixed leaves → infostate values ``[2, L, H]`` in pots.

The beliefs are the solver's own array, and change after the call: who keeps them makes a copy.
"""


class LeafEvaluator(Protocol):
    """Knows the value of public belief states."""

    @property
    def numbers_a_leaf(self) -> int:
        """How many numbers it takes to evaluate a leaf, at most: forests must fit in memory."""
        ...

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """Prepares the evaluation of ``L`` leaves whose beliefs will change at every iteration.

        Args:
            features: ``[L, F]``, see :meth:`Game.features`.
            possible: ``[L, H]`` 1 for hands that the board leaves possible.
        """
        ...


@runtime_checkable
class Prior(Protocol):
    """Has an idea of how to play, before any search."""

    def strategy(self, forest: Forest, belief: Tensor) -> Tensor:
        """``[A, D, H]`` on a forest, given ``[2, B, H]`` beliefs at its roots."""
        ...
