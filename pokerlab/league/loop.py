"""The loop of a league: propose, evaluate, weigh, select; one round after the other."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pokerlab.league.budget import NO_LIMITS, Budget
from pokerlab.league.evaluate import Evaluator
from pokerlab.league.folder import Member, member_name, rank
from pokerlab.league.measure import Exploitability, Measure
from pokerlab.league.population import Mixture, Population, named_weights
from pokerlab.league.propose import Oracle
from pokerlab.league.select import Selection
from pokerlab.league.tables import gained
from pokerlab.league.weigh import Weigh
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
    start: Sequence[str]
    """The first members, see :meth:`Population.first`."""
    seed: int
    budget: Budget = NO_LIMITS
    measure: Measure = field(default_factory=Exploitability)

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
            self.evaluate.evaluate(population, members, place)
            found = population.responses(mixture, range(known, len(population.members)))
            mixture = self.weigh.mix(population, members)
            found |= self.measure.measure(population, mixture, place)
            best = population.best
            if best is None or rank({"round": place.iteration, **found}) < rank(best):
                population.keep_best(mixture)
            line = population.commit(
                kept=self.select.keep(population, members, mixture),
                weights=named_weights(population, mixture),
                **found,
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
        last, best = self.population.rounds[-1], self.population.best
        assert best is not None
        if (gain := gained(last)) is None:
            known = best["lower_bound"]
        elif gain < NOTHING:
            return True
        else:
            known = best["exploitability"]
        return target is not None and known is not None and known <= target

    def _add_members(self, mixture: Mixture | None, place: Place) -> None:
        population = self.population
        if mixture is not None:
            for member, strategy in self.propose.propose(population, mixture, place):
                population.add(member, strategy)
        else:
            known = {member.name for member in population.members if member.origin == "start"}
            for name in self.start:
                if (called := member_name(name)) not in known:
                    population.add(Member(called, 0, "start"), population.first(name))
