"""What members win of each other: an evaluator fills the gaps of a population's matrix."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np

from pokerlab.evaluation.contest import value_function
from pokerlab.evaluation.matches import play_match
from pokerlab.games.base import Floats, Game, Ints
from pokerlab.league.population import Population
from pokerlab.league.tables import TabularPopulation
from pokerlab.selfplay.place import Place

SEATS = "apart", "together"
"""Whether members are weighed for each seat by itself."""


class Evaluator(ABC):
    """Finds payoffs."""

    needs_two_players = False
    needs_tables = False

    @abstractmethod
    def evaluate(self, population: Population, members: Sequence[int], place: Place) -> None:
        """Adds the results that are missing between ``members``; draws, if at all, at ``place``."""


class Exact(Evaluator):
    """Expected values: what a player wins is linear in its own realization plan.

    One pass over the tree with the others' plans gives the payoffs of all members that a player can pick.
    """

    needs_tables = True

    def evaluate(self, population: Population, members: Sequence[int], place: Place) -> None:
        assert isinstance(population, TabularPopulation)
        picks = population.missing(members)
        if len(picks):
            payoffs = np.empty(picks.shape)
            of_pairs = population.game.num_players == 2
            (_fill_pairs if of_pairs else _fill)(population, picks, payoffs)
            population.record(picks, payoffs)


def _fill_pairs(population: TabularPopulation, picks: Ints, payoffs: Floats) -> None:
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


def _fill(population: TabularPopulation, picks: Ints, payoffs: Floats) -> None:
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


class Matches(Evaluator):
    """Duplicate matches of two players, with AIVAT, until intervals are narrow enough; what was played stays.

    Args:
        deals: of a match, each played twice with seats swapped; then it is looked at, and may go on.
        half_width: of the 95 % interval, in chips a hand, that is narrow enough.
        share: of what is won, if that is more.
        most: deals of a pair after which it is left at that.
        aivat: whether luck is taken out.
        seats: ``apart``: what is won in each seat, also by a member of itself; ``together``: the mean of
            both seats stands for either, as if who picks members did not know the seat. That is known after
            fewer deals.
    """

    needs_two_players = True

    def __init__(
        self,
        *,
        deals: int = 1000,
        half_width: float = 0.05,
        share: float = 0.0,
        most: int = 20_000,
        aivat: bool = True,
        seats: str = "apart",
    ) -> None:
        for name, value in (("deals", deals), ("most", most)):
            if value < 2:
                raise ValueError(f"{name} must be at least 2, got {value}")
        if not half_width > 0:
            raise ValueError(f"half_width must be above 0, got {half_width}")
        if not 0 <= share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share}")
        if seats not in SEATS:
            raise ValueError(f"seats must be one of {', '.join(SEATS)}, got {seats!r}")
        self._deals, self._half_width, self._most, self._aivat = deals, half_width, most, aivat
        self._share, self._together = share, seats == "together"

    def evaluate(self, population: Population, members: Sequence[int], place: Place) -> None:
        if self._together:
            alone = [m for m in members if population.deals((m, m)) == 0]
            if alone:
                picks = np.array([[member, member] for member in alone])
                population.record(picks, np.zeros(picks.shape))
        for pair in combinations_with_replacement(members, 2):
            while (played := population.deals(pair)) < self._most and not self._is_narrow(population, pair):
                self._play(population, pair, int(played), place)

    def _is_narrow(self, population: Population, pair: tuple[int, int]) -> bool:
        return all(
            population.half_width(picks) <= max(self._half_width, self._share * abs(population.payoff(picks)))
            for picks in (pair, pair[::-1])
        )

    def _play(self, population: Population, pair: tuple[int, int], played: int, place: Place) -> None:
        """One more match; its deals depend on the pair and on how many it has played."""
        game = population.rules
        assert isinstance(game, Game)
        agents = population.agent(pair[0]), population.agent(pair[1])
        seed = np.random.SeedSequence(place.seed, spawn_key=(*pair, played)).generate_state(1)
        values = value_function(None, game, *agents) if self._aivat else None
        match = play_match(game, agents, self._deals, int(seed[0]), values=values)
        first, second = match.position(0), match.position(1)
        if self._together:
            first = second = match.result()
        seats = [(pair, first, 1), (pair[::-1], second, -1)]
        if pair[0] == pair[1]:
            del seats[1]
        population.record(
            np.array([picks for picks, _, _ in seats]),
            np.array([[sign * found.mean, -sign * found.mean] for _, found, sign in seats]),
            half_width=[found.half_width for _, found, _ in seats],
            deals=self._deals,
            **({"seats": "together"} if self._together else {}),
        )
