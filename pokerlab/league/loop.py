"""The loop of a league: propose, evaluate, weigh, select; one round after the other."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pokerlab.agents.stored_policy import write_policy
from pokerlab.games.base import Floats
from pokerlab.league.budget import NO_LIMITS, Budget
from pokerlab.league.evaluate import Evaluator
from pokerlab.league.folder import Member
from pokerlab.league.population import Mixture, Population, named_weights
from pokerlab.league.propose import Oracle
from pokerlab.league.select import Selection
from pokerlab.league.weigh import Weigh
from pokerlab.search.sequence_game import SequenceGame, measure
from pokerlab.selfplay.place import Place

NOTHING = 1e-9
"""Chips that best responses gain where there is nothing to gain."""


@dataclass(frozen=True)
class League:
    """How a population grows."""

    population: Population
    propose: Oracle
    evaluate: Evaluator
    weigh: Weigh
    select: Selection
    start: str
    """The first member: ``uniform``; ``response``, the best response to that; or ``first``, which takes the
    first legal action always."""
    seed: int
    budget: Budget = NO_LIMITS

    def run(
        self,
        rounds: int,
        *,
        target: float | None = None,
        tell: Callable[[dict[str, Any]], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Goes on until there are so many rounds; a league that was killed goes on where it was.

        Args:
            rounds: in all.
            target: exploitability (NashConv / players, chips) that is good enough.
            tell: gets each round's line.
            stop: whether to end after the present round.

        Raises:
            BudgetSpentError: nothing is left of the budget before a round, or before a member is trained.
        """
        population = self.population
        began = time.perf_counter(), time.process_time()
        before = population.rounds[-1] if population.rounds else {"seconds": 0.0, "cpu_seconds": 0.0}
        mixture = self._last_mixture()
        while len(population.rounds) < rounds and not stop() and not self._is_done(target):
            self.budget.check(population.folder)
            place = Place(self.seed, len(population.rounds))
            known = len(population.members)
            self._add_members(mixture, place)
            members = population.active(place.iteration)
            share = mixture and self._response_share(mixture, range(known, len(population.members)))
            self.evaluate.evaluate(population, members, place)
            mixture = self.weigh.mix(population, members)
            strength, _ = measure(population.game, mixture.strategy)
            best = population.best
            if best is None or strength.nash_conv < best["nash_conv"]:
                write_policy(population.folder.policy, population.game, mixture.strategy)
            line = population.commit(
                kept=self.select.keep(members, mixture),
                weights=named_weights(population, mixture),
                values=strength.values,
                gains=strength.gains,
                nash_conv=strength.nash_conv,
                exploitability=strength.nash_conv / population.game.num_players,
                correlated_gain=population.correlated_gain(mixture),
                response_share=share,
                seconds=before["seconds"] + time.perf_counter() - began[0],
                cpu_seconds=before["cpu_seconds"] + time.process_time() - began[1],
            )
            tell(line)

    def _last_mixture(self) -> Mixture | None:
        """Found again: the same, since it depends on the matrix alone."""
        if not self.population.rounds:
            return None
        last = len(self.population.rounds) - 1
        members = self.population.active(last)
        self.evaluate.evaluate(self.population, members, Place(self.seed, last))  # if results were lost
        return self.weigh.mix(self.population, members)

    def _is_done(self, target: float | None) -> bool:
        """Whether the best mixture is good enough, or nobody gains by any response to the last one."""
        if not self.population.rounds:
            return False
        best = self.population.best
        return _gained(self.population.rounds[-1]) < NOTHING or (
            target is not None and best is not None and best["exploitability"] <= target
        )

    def _response_share(self, mixture: Mixture, proposed: range) -> float | None:
        """What new members win of the last mixture, of what exact best responses win; None: there is none.

        Players' values add up to 0, so that what responses win in sum is what they gain in sum.
        """
        population, won = self.population, 0.0
        if not proposed:
            return None
        for player in range(population.game.num_players):
            values = population.end_values(player, mixture)
            won += max(float((population.plans[member] * values).sum()) for member in proposed)
        return won / _gained(population.rounds[-1])

    def _add_members(self, mixture: Mixture | None, place: Place) -> None:
        population = self.population
        if mixture is not None:
            for member, strategy in self.propose.propose(population, mixture, place):
                population.add(member, strategy)
        elif not any(member.origin == "start" for member in population.members):
            population.add(Member(self.start, 0, "start"), first_strategy(population.game, self.start))


def _gained(line: dict[str, Any]) -> float:
    """What best responses to a round's mixture gain in sum."""
    gained = line["nash_conv"] if line["correlated_gain"] is None else line["correlated_gain"]
    return float(gained)


def first_strategy(game: SequenceGame, name: str) -> Floats:
    """``[E, H]`` of the first member: ``uniform``, ``first`` or ``response``."""
    if name == "uniform":
        return game.uniform()
    if name == "response":
        return measure(game, game.uniform())[1]
    strategy = np.zeros((game.num_edges, game.num_hands))
    strategy[game.nodes.first] = 1
    return strategy
