"""Who stays: members that are not kept are picked no more; their files and results stay."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from pokerlab.league.meta_solvers import best_of
from pokerlab.league.population import Mixture, Population


class Selection(ABC):
    """Keeps members for the next round."""

    needs_weights = False
    """Whether it can only choose among members that are picked."""

    @abstractmethod
    def keep(self, population: Population, members: Sequence[int], mixture: Mixture) -> list[int]:
        """Some of ``members``, ascending."""


class All(Selection):
    """Everybody, as PSRO's guarantee of convergence needs."""

    def keep(self, population: Population, members: Sequence[int], mixture: Mixture) -> list[int]:
        return list(members)


class Best(Selection):
    """Those that are picked most often; of equal ones the newest.

    Args:
        number: how many.
    """

    needs_weights = True

    def __init__(self, *, number: int = 20) -> None:
        self._number = _count(number)

    def keep(self, population: Population, members: Sequence[int], mixture: Mixture) -> list[int]:
        assert mixture.weights is not None
        weight = np.sum(mixture.weights, 0)
        return sorted(sorted(members, key=lambda member: (-weight[member], -member))[: self._number])


class Newest(Selection):
    """Those that came last.

    Args:
        number: how many.
    """

    def __init__(self, *, number: int = 8) -> None:
        self._number = _count(number)

    def keep(self, population: Population, members: Sequence[int], mixture: Mixture) -> list[int]:
        return list(members)[-self._number :]


class Strongest(Selection):
    """Those that win most of each other, see :func:`~pokerlab.league.meta_solvers.best_of`.

    The pool of the K best was what helped most in AlphaHoldem's ablation (Zhao et al. 2022).

    Args:
        number: how many.
    """

    def __init__(self, *, number: int = 20) -> None:
        self._number = _count(number)

    def keep(self, population: Population, members: Sequence[int], mixture: Mixture) -> list[int]:
        won = population.head_to_head()[0][np.ix_(members, members)]
        return [members[place] for place in best_of(won, self._number)]


def _count(number: int) -> int:
    if number < 1:
        raise ValueError(f"number must be at least 1, got {number}")
    return number
