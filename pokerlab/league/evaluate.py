"""What members win of each other: an evaluator fills the gaps of a population's matrix."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.league.population import Population
from pokerlab.selfplay.place import Place


class Evaluator(ABC):
    """Finds payoffs."""

    @abstractmethod
    def evaluate(self, population: Population, members: Sequence[int], place: Place) -> None:
        """Adds the results that are missing between ``members``; draws, if at all, at ``place``."""


class Exact(Evaluator):
    """Expected values: what a player wins is linear in its own realization plan.

    One pass over the tree with the others' plans gives the payoffs of all members that a player can pick.
    """

    def evaluate(self, population: Population, members: Sequence[int], place: Place) -> None:
        picks = population.missing(members)
        if len(picks):
            payoffs = np.empty(picks.shape)
            of_pairs = population.game.num_players == 2
            (_fill_pairs if of_pairs else _fill)(population, picks, payoffs)
            population.record(picks, payoffs, exact=True)


def _fill_pairs(population: Population, picks: Ints, payoffs: Floats) -> None:
    """Of two players: a pass for each new member in each seat."""
    game, flat = population.game, population.plans.reshape(len(population.plans), -1)
    often = np.bincount(picks[:, 1])[picks[:, 1]] > 1  # whom many meet in the second seat
    for player, chosen in ((0, often), (1, ~often)):
        fixed = picks[:, 1 - player]
        for member in np.unique(fixed[chosen]):
            here = np.flatnonzero(chosen & (fixed == member))
            values = game.end_values(player, population.plans[member]).ravel()
            payoffs[here, player] = flat[picks[here, player]] @ values
            payoffs[here, 1 - player] = -payoffs[here, player]


def _fill(population: Population, picks: Ints, payoffs: Floats) -> None:
    """Of more: a pass for each player and each pick of the others; the last player wins what others lose."""
    game, flat = population.game, population.plans.reshape(len(population.plans), -1)
    for player in range(game.num_players - 1):
        for others, here in _groups(np.delete(picks, player, 1)):
            values = game.end_values(player, population.together(player, others)).ravel()
            payoffs[here, player] = flat[picks[here, player]] @ values
    payoffs[:, -1] = -payoffs[:, :-1].sum(1)


def _groups(rows: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Each different row, and where it stands."""
    different, which = np.unique(rows, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel()))
    yield from zip(different, np.split(order, ends[:-1]), strict=True)
