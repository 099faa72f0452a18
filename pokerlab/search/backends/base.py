"""What :class:`~pokerlab.search.cfr.CFR` leaves to a backend: the arithmetic of iterations on one forest.

Strategies, regrets and their sums are ``[A, D, H]``, beliefs and values at the roots ``[2, B, H]``, all in
the forest's device and dtype.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from pokerlab.games.payoff_tables import Floats
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies

LeafQuery = Callable[[Tensor, slice, float | Tensor], Tensor]
"""(the opponents' reach × belief at the leaves ``[2, L, H]``, the players who update, what the iteration
weighs) → those players' counterfactual values of the leaves, ``[players, L, H]``."""


class EdgeRows(Protocol):
    """``[E, H]`` numbers of a tree's edges: an array, or rows that are made when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(E, H)``."""
        ...

    def __getitem__(self, edges: slice) -> Floats:
        """Those of some edges."""
        ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        """All of them."""
        ...


@runtime_checkable
class KeepsEdges(Protocol):
    """A backend that has the average strategy edge by edge, in less memory than ``[A, D, H]`` takes."""

    def average_edges(self) -> EdgeRows:
        """The average strategy of its one subgame, in the tree's order of edges, as it is now."""
        ...


class Backend(Protocol):
    """Starts from the uniform strategy."""

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        gadget: Gadget | None = None,
    ) -> None: ...

    @property
    def strategy(self) -> Tensor:
        """What the next iteration plays; may be overwritten by it."""
        ...

    @property
    def average_strategy(self) -> Tensor:
        """``[A, D, H]`` weighted by own reach; uniform where never reached."""
        ...

    @property
    def root_value_sum(self) -> Tensor:
        """Counterfactual values at the roots, summed alike; may be overwritten by the next iteration."""
        ...

    @property
    def plays(self) -> Tensor:
        """``[2, B, H]`` with a gadget: how often the opponent's hands play in the next iteration, and that
        summed over those before with their weights; may be overwritten by the next one."""
        ...

    def start_from(self, strategy: Tensor, regret: Tensor) -> None:
        """Sets the strategy and the regrets."""
        ...

    def run(
        self,
        first: int,
        iterations: int,
        leaf_query: LeafQuery | None = None,
        samples: SampledStrategies | None = None,
        *,
        sample_averages: bool = False,
    ) -> None:
        """Takes iterations.

        Args:
            first: the number of the first, from 1.
            iterations: how many.
            leaf_query: values the leaves before each update, where the forest has leaves.
            samples: strategies to keep on the way.
            sample_averages: whether they are the average strategies instead of the current ones.
        """
        ...

    def set_beliefs(self, reach: Tensor, belief: Tensor, players: slice) -> Tensor:
        """Sets beliefs at the leaves.

        Args:
            reach: ``[2, L, H]`` for each player, the opponent's reach × belief.
            belief: ``[2, L, H]`` is set to each player's own; stays as it is where no hand comes.
            players: who updates.

        Returns:
            ``[players, L, H]`` the opponents' mass that their hands meet; the next call may overwrite it.
        """
        ...

    def average_values(self) -> tuple[Tensor, Tensor]:
        """Root values of the average strategies, and of best responses to them, under the belief that
        it was given, whoever leaves; the forest has no leaves."""
        ...
