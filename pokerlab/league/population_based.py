"""Population-based training (Jaderberg et al. 2017, arXiv 1711.09846).

Agents learn side by side. After each round, the worst of them become copies of some of the best
(*exploit*), with other hyperparameters (*explore*); the others go on with their own. Nobody becomes a copy
where ``share`` is 0: that is a random search.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pokerlab.config.schema import RunConfig, plain
from pokerlab.config.stored import read_config
from pokerlab.games.base import Game
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.league.folder import Member
from pokerlab.league.member_runs import WantedRun
from pokerlab.league.population import Mixture, Population
from pokerlab.league.training import MIXTURE, PRIORITISED, SELF, Proposal, RunOracle, opponent, seed_of
from pokerlab.league.where import Where
from pokerlab.selfplay.place import Place
from pokerlab.store.folder import RunFolder

DRAWS = 2**31
"""Stands where an agent's number would in what it draws: hyperparameters, and whom it becomes a copy of."""


class PopulationBased(RunOracle):
    """Agents whose hyperparameters change while they learn.

    Args:
        search: key of a run → least and most. A value is drawn by its logarithm at first, and changed by one
            of the factors in a copy. Several keys, by commas, always have the same value.
        choices: key → values, one of which is drawn at first; a copy has its model's, since weights fit no
            other.
        agents: how many.
        share: of them that become copies, and of them that are copied, if any at least one; at most a half.
        factors: by which a hyperparameter is changed.
        anew: probability that it is drawn anew instead.
        against: whom they are trained against, see :class:`~pokerlab.league.training.Role`.
        options: see :class:`~pokerlab.league.training.RunOracle`.

    Raises:
        ValueError: a number is wrong.
    """

    def __init__(
        self,
        *,
        where: Where,
        game: Mapping[str, Any],
        run: Mapping[str, Any],
        search: Mapping[str, Sequence[float]],
        choices: Mapping[str, Sequence[Any]],
        agents: int = 8,
        share: float = 0.25,
        factors: Sequence[float] = (0.8, 1.25),
        anew: float = 0.25,
        against: str = SELF,
        way: str = "policy_net",
    ) -> None:
        super().__init__(where=where, game=game, run=run, way=way)
        if agents < 1:
            raise ValueError(f"agents must be at least 1, got {agents}")
        if not 0 <= share <= 0.5:
            raise ValueError(f"share must lie between 0 and 0.5, got {share}")
        if not 0 <= anew <= 1:
            raise ValueError(f"anew must lie between 0 and 1, got {anew}")
        if not factors or any(not factor > 0 for factor in factors):
            raise ValueError(f"factors must be positive, got {list(factors)}")
        known = SELF, MIXTURE, PRIORITISED, *(f"agent{agent}" for agent in range(agents))
        if against not in known:
            raise ValueError(f"against must be one of {', '.join(known)}, got {against!r}")
        for key, values in search.items():
            is_range = isinstance(values, list | tuple) and len(values) == 2
            if not is_range or not 0 < values[0] <= values[1]:
                raise ValueError(f"search.{key} must be the least and the most, above 0: got {values}")
        for key, values in choices.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"choices.{key} must be a list of values")
        self._search, self._choices, self._agents = dict(search), dict(choices), agents
        self._copies = min(max(int(share * agents), 1), agents // 2) if share else 0
        self._factors, self._anew = tuple(factors), anew
        self._against = against

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        self._check(self._config(), self._against)
        for edge in (0, -1):
            values = {key: values[edge] for key, values in (self._search | self._choices).items()}
            self._check(self._with(values), self._against)

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Any]]:
        newest = [population.newest(f"agent{agent}") for agent in range(self._agents)]
        parents = self._parents(population, newest, place)
        proposals = []
        for agent, parent in enumerate(parents):
            draws, before = place.generator(DRAWS, agent), 0
            if parent is None:
                values = {key: self._draw(key, draws) for key in self._search}
                values |= {key: _pick(options, draws) for key, options in self._choices.items()}
            else:
                learned = read_config(RunFolder(population.folder.member(population.members[parent].name)))
                values = {key: value_of(learned, key) for key in (*self._search, *self._choices)}
                if parent != newest[agent]:
                    values |= {key: self._change(key, values[key], draws) for key in self._search}
                before = learned.iterations
            config = self._with(values)
            run = WantedRun(
                name=f"r{place.iteration:04d}-agent{agent}",
                config=replace(config, seed=seed_of(place, agent), iterations=before + config.iterations),
                opponent=opponent(self._against, f"agent{agent}", population, mixture),
                weights_of=None if parent is None else population.members[parent].name,
                goes_on=True,
            )
            member = Member(run.name, place.iteration, f"agent{agent}", run.weights_of)
            proposals.append(Proposal(member, run))
        return self._train(population, proposals)

    def _parents(
        self, population: Population, newest: Sequence[int | None], place: Place
    ) -> list[int | None]:
        """Whose weights each agent goes on with: its own, or if it is one of the worst, one of the best's."""
        parents = list(newest)
        if self._copies and None not in newest:
            weakness = _weakness(population, newest)
            order = sorted(range(self._agents), key=weakness.__getitem__)
            draws = place.generator(DRAWS)
            for agent in order[-self._copies :]:
                parents[agent] = newest[_pick(order[: self._copies], draws)]
        return parents

    def _with(self, values: Mapping[str, Any]) -> RunConfig:
        """A run's config with other values, and all that follows from them; whole numbers stay whole.

        Raises:
            ValueError: there is no such key.
            UserError: a value is wrong.
        """
        config, given = self._config(), dict[str, Any]()
        for keys, value in values.items():
            for key in keys.split(","):
                is_whole = isinstance(value_of(config, key), int) and isinstance(value, float)
                given[key] = round(value) if is_whole else value
        return self._config(given)

    def _draw(self, key: str, draws: torch.Generator) -> float:
        least, most = self._search[key]
        return float(math.exp(math.log(least) + _uniform(draws) * math.log(most / least)))

    def _change(self, key: str, value: float, draws: torch.Generator) -> float:
        if _uniform(draws) < self._anew:
            return self._draw(key, draws)
        least, most = self._search[key]
        return float(min(max(value * _pick(self._factors, draws), least), most))


def _weakness(population: Population, members: Sequence[int | None]) -> list[float]:
    """How exploitable members are; where that is not known, what they lose to each other."""
    found = [number for number in members if number is not None]
    known = [population.members[number].exploitability for number in found]
    if None not in known:
        return [each for each in known if each is not None]
    won, _ = population.head_to_head()
    lost: list[float] = (-won[np.ix_(found, found)].mean(1)).tolist()
    return lost


def _uniform(draws: torch.Generator) -> float:
    return float(torch.rand((), dtype=torch.float64, generator=draws))


def _pick(options: Sequence[Any], draws: torch.Generator) -> Any:
    return options[int(_uniform(draws) * len(options))]


def value_of(config: RunConfig, keys: str) -> Any:
    """What stands in a run's config under a dotted key, or under the first of several by commas.

    Raises:
        ValueError: there is no such key.
    """
    value: Any = plain(config)
    for part in keys.partition(",")[0].split("."):
        if not isinstance(value, dict) or part not in value:
            raise ValueError(f"runs have no {keys}")
        value = value[part]
    return value
