"""How members are mixed: the meta-solvers as choices of a config, and XDO's restricted game."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from pokerlab.games.base import Floats
from pokerlab.league import meta_solvers
from pokerlab.league.population import Mixture, Population
from pokerlab.league.tables import TabularMixture, TabularPopulation
from pokerlab.search.rules import update_rule
from pokerlab.search.tabular_cfr import TabularCFR


class Weigh(ABC):
    """Mixes members."""

    needs_two_players = False
    needs_tables = False
    picks_members = True
    """Whether mixtures have weights."""

    @abstractmethod
    def mix(self, population: Population, members: Sequence[int]) -> Mixture:
        """The mixture; the same each time that it is asked for."""


class _OfMatrix(Weigh):
    """Mixes whole policies by what they win of each other."""

    def mix(self, population: Population, members: Sequence[int]) -> Mixture:
        payoffs = population.payoffs(members)
        meta_solvers.check_complete(payoffs, [population.members[member].name for member in members])
        found = self._solve(payoffs)
        if isinstance(found, list):
            return population.mix(members, found)
        return population.mix(members, meta_solvers.marginals(found), found)

    @abstractmethod
    def _solve(self, payoffs: Floats) -> list[Floats] | Floats:
        """Weights, or a joint distribution."""


class Nash(_OfMatrix):
    """A Nash equilibrium of two players.

    Args:
        largest_entropy: whether of all equilibria that of largest entropy is wanted.
    """

    needs_two_players = True

    def __init__(self, *, largest_entropy: bool = False) -> None:
        self._solve_by = meta_solvers.largest_entropy_nash if largest_entropy else meta_solvers.nash

    def _solve(self, payoffs: Floats) -> list[Floats]:
        return self._solve_by(payoffs)


class Uniform(_OfMatrix):
    """Every member as often: with best responses, fictitious play."""

    def _solve(self, payoffs: Floats) -> list[Floats]:
        return meta_solvers.uniform(payoffs)


class Prioritised(Weigh):
    """Whom the newest member is to meet, see :func:`~pokerlab.league.meta_solvers.prioritised`.

    That is no equilibrium, but a curriculum: for oracles that train who is to become stronger.

    Args:
        power: the larger, the more it meets those of whom it wins least.
    """

    needs_two_players = True

    def __init__(self, *, power: float = 2.0) -> None:
        if not power >= 0:
            raise ValueError(f"power must be at least 0, got {power}")
        self._power = power

    def mix(self, population: Population, members: Sequence[int]) -> Mixture:
        won = population.head_to_head()[0][members[-1], list(members)]
        weights = meta_solvers.prioritised(won, self._power)
        return population.mix(members, [weights] * population.num_players)


class RegretMatching(_OfMatrix):
    """The average play of regret matching; the arguments are those of the meta-solver."""

    def __init__(self, *, iterations: int = 2000, exploration: float = 1e-6) -> None:
        if not 0 <= exploration <= 1:
            raise ValueError(f"exploration must lie between 0 and 1, got {exploration}")
        self._iterations, self._exploration = _count(iterations, "iterations"), exploration

    def _solve(self, payoffs: Floats) -> list[Floats]:
        return meta_solvers.regret_matching(
            payoffs, iterations=self._iterations, exploration=self._exploration
        )


class ProjectedReplicator(_OfMatrix):
    """The average of projected replicator dynamics; the arguments are those of the meta-solver."""

    def __init__(self, *, iterations: int = 5000, step_size: float = 1e-2, least: float = 1e-6) -> None:
        for name, size in {"step_size": step_size, "least": least}.items():
            if not 0 <= size <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {size}")
        self._iterations, self._step_size = _count(iterations, "iterations"), step_size
        self._least = least

    def _solve(self, payoffs: Floats) -> list[Floats]:
        least = min(self._least, 1 / max(payoffs.shape[1:]))
        return meta_solvers.projected_replicator(
            payoffs, iterations=self._iterations, step_size=self._step_size, least=least
        )


class AlphaRank(_OfMatrix):
    """α-rank; the arguments are those of the meta-solver."""

    def __init__(self, *, alpha: float = 100.0, population: int = 50) -> None:
        if not alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {alpha}")
        self._alpha, self._population = alpha, _count(population, "population")

    def _solve(self, payoffs: Floats) -> Floats:
        return meta_solvers.alpha_rank(payoffs, alpha=self._alpha, population=self._population)


class Correlated(_OfMatrix):
    """The most even correlated equilibrium, or coarse correlated one: for any number of players.

    Args:
        coarse: whether nobody may gain by one member always, before the draw; otherwise, nor after it.
    """

    def __init__(self, *, coarse: bool = True) -> None:
        self._solve_by = meta_solvers.coarse_correlated if coarse else meta_solvers.correlated

    def _solve(self, payoffs: Floats) -> Floats:
        return self._solve_by(payoffs)


class RestrictedGame(Weigh):
    """XDO: not members but their actions are mixed (McAleer et al. 2021, arXiv 2103.06426).

    Each hand may take, at each public state, the actions that some member takes there. That game is solved by
    CFR until what best responses gain within it is a fraction of what they gain in the whole game.

    Args:
        rule: of CFR.
        share: that fraction.
        precision: a NashConv within the restricted game that is small enough in any case, in chips.
        iterations: the most.
    """

    needs_tables = True
    picks_members = False

    def __init__(
        self, *, rule: str = "dcfr", share: float = 0.3, precision: float = 1e-4, iterations: int = 100_000
    ) -> None:
        self._rule, self._iterations = update_rule(rule), _count(iterations, "iterations")
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share}")
        if not precision >= 0:
            raise ValueError(f"precision must be at least 0, got {precision}")
        self._share, self._precision = share, precision

    def mix(self, population: Population, members: Sequence[int]) -> Mixture:
        assert isinstance(population, TabularPopulation)
        allowed = np.zeros((population.game.num_edges, population.game.num_hands), dtype=bool)
        for member in members:
            allowed |= population.strategy(member) > 0
        cfr = TabularCFR(population.game, self._rule, allowed=allowed)
        step = FIRST
        while cfr.iteration < self._iterations:
            cfr.run(min(step, self._iterations - cfr.iteration))
            (inside, _), (whole, _) = cfr.measure(restricted=True), cfr.measure()
            if inside.nash_conv <= max(self._share * whole.nash_conv, self._precision):
                break
            step = cfr.iteration // 2
        return TabularMixture(strategy=cfr.average_strategy(), weights=None)


FIRST = 50
"""Iterations before a restricted game is measured for the first time."""


def _count(value: int, name: str) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value
