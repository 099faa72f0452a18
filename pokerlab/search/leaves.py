"""Values of depth-limit leaves."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from pokerlab.search.forest import Forest

LeafValues = Callable[[Tensor], Tensor]
"""Beliefs ``[2, L, H]`` of fixed leaves → infostate values ``[2, L, H]`` in pots.

The beliefs are the solver's own array and change after the call: copy them to keep them.
"""


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
