"""Oracles whose proposals are training runs: agents of some roles, each trained a bit further every round.

With one role, trained against the mixture, that is PSRO. With main agents, and exploiters that look for what
is wrong with them, it is AlphaStar's league (Vinyals et al. 2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from pokerlab.config.fields import convert
from pokerlab.config.schema import RunConfig, check_run_name
from pokerlab.games.base import Game, is_small
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.league.folder import Member
from pokerlab.league.member_runs import WantedRun, as_overrides, member_config, place_run
from pokerlab.league.meta_solvers import prioritised
from pokerlab.league.opponents import StoredOpponent
from pokerlab.league.population import Mixture, Population
from pokerlab.league.propose import Oracle, heaviest
from pokerlab.league.where import Where
from pokerlab.search.resolving import SEARCH_ITERATION
from pokerlab.selfplay.place import Place
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts

MIXTURE, PRIORITISED, SELF = "mixture", "prioritised", "self"


@dataclass(frozen=True)
class Proposal:
    """A member, and the run that it is to be."""

    member: Member
    run: WantedRun
    greedy: bool = False
    """Whether it always plays the likeliest action."""


class RunOracle(Oracle):
    """Has members trained by the ordinary training code.

    Args:
        where: trains them.
        game: the league's, as a config names it.
        run: what a run's config is composed of, such as its ``experiment``, as ``pokerlab train`` takes it.
        way: to play, of those that the algorithm has, by which a member is measured.
    """

    needs_two_players, trains_runs = True, True

    def __init__(
        self, *, where: Where, game: Mapping[str, Any], run: Mapping[str, Any], way: str = "policy_net"
    ) -> None:
        self._where, self._way, self._game, self._run = where, way, dict(game), run

    def _config(self, run: Mapping[str, Any] = {}) -> RunConfig:
        overrides = (*as_overrides(self._run), *as_overrides(run))
        return replace(member_config(overrides), game=self._game)

    def _check(self, config: RunConfig, against: str) -> None:
        """Raises a ValueError, or a UserError, if a run cannot be trained against somebody."""
        self._where.check(config)
        algorithm = RunParts(config).algorithm
        if self._way not in algorithm.agents:
            raise ValueError(f"way must be one of {', '.join(algorithm.agents)}, got {self._way!r}")
        if self._way == SEARCH_ITERATION and not is_small(algorithm.game):
            raise ValueError(f"way={self._way} draws what it plays: expected policy_net")
        if against != SELF and "opponent" not in config.algorithm:
            kind = type(algorithm).__name__
            raise ValueError(f"against={against}: {kind} learns by playing itself: expected against=self")

    def _train(self, population: Population, proposals: Sequence[Proposal]) -> list[tuple[Member, Any]]:
        """Has them trained; says what they play, and how exploitable that is, if it is known."""
        league, found = population.folder, []
        self._where.train(league, [place_run(league, each.run) for each in proposals])
        for each in proposals:
            run = RunFolder(league.member(each.run.name))
            policy = population.trained(run, self._way, greedy=each.greedy)
            found.append((replace(each.member, exploitability=population.exploitability(policy)), policy))
        return found


@dataclass(frozen=True)
class Role:
    """What kind of agent a member is.

    Args:
        against: whom it is trained against: ``mixture``, what the league plays together; ``prioritised``,
            everybody, the more often the less the role's newest member wins of it; ``self``, itself alone;
            or a role, whose newest member it is.
        start_from: the role whose newest member's weights it begins with; None: new ones.
        run: what differs from the league's ``run``.
        greedy: whether it always plays the likeliest action.
    """

    against: str = MIXTURE
    start_from: str | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    greedy: bool = False


class Training(RunOracle):
    """Trains a member of each role.

    Args:
        roles: name → what :class:`Role` takes, in the order in which they come.
        options: see :class:`RunOracle`.

    Raises:
        ValueError: a role is wrong.
    """

    def __init__(
        self,
        *,
        where: Where,
        game: Mapping[str, Any],
        run: Mapping[str, Any],
        roles: Mapping[str, Mapping[str, Any]],
        way: str = "policy_net",
    ) -> None:
        super().__init__(where=where, game=game, run=run, way=way)
        self._roles = {name: _role(name, values) for name, values in roles.items()}
        if not self._roles:
            raise ValueError("roles must name at least one")
        known = {"against": (MIXTURE, PRIORITISED, SELF, *self._roles), "start_from": (None, *self._roles)}
        for name, role in self._roles.items():
            for key, values in known.items():
                if (value := getattr(role, key)) not in values:
                    expected = ", ".join("null" if each is None else each for each in values)
                    raise ValueError(f"roles.{name}.{key} must be one of {expected}, got {value!r}")

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        for name, role in self._roles.items():
            try:
                self._check(self._config(role.run), role.against)
            except ValueError as error:
                raise ValueError(f"roles.{name}: {error}") from error

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Any]]:
        proposals = []
        for number, (name, role) in enumerate(self._roles.items()):
            before = population.newest(role.start_from)
            run = WantedRun(
                name=f"r{place.iteration:04d}" + (f"-{name}" if len(self._roles) > 1 else ""),
                config=replace(self._config(role.run), seed=seed_of(place, number)),
                opponent=opponent(role.against, name, population, mixture),
                weights_of=None if before is None else population.members[before].name,
            )
            parent = run.weights_of or heaviest(population, mixture)
            proposals.append(Proposal(Member(run.name, place.iteration, name, parent), run, role.greedy))
        return self._train(population, proposals)


def opponent(against: str, role: str, population: Population, mixture: Mixture) -> StoredOpponent | None:
    """Whom a role is trained against; None: it plays itself."""
    if against == SELF:
        return None
    newest, met = population.newest(role), population.newest(against)
    if against == PRIORITISED and newest is not None:
        members = population.active(len(population.rounds))
        weights = prioritised(population.head_to_head()[0][newest, members])
        mixture = population.mix(members, [weights] * population.num_players)
    elif met is not None:
        mixture = population.mix([met], [np.ones(1)] * population.num_players)
    return population.opponent(mixture)


def seed_of(place: Place, number: int) -> int:
    """Of a round's run number ``number``."""
    return int(torch.randint(2**31, (), generator=place.generator(number)))


def _role(name: str, values: Mapping[str, Any]) -> Role:
    check_run_name(name, "roles: the name")
    if name in (MIXTURE, PRIORITISED, SELF, "start", "added"):
        raise ValueError(f"roles.{name}: that name means something else")
    key, kinds = f"roles.{name}", {"against": str, "start_from": str | None, "greedy": bool}
    if not isinstance(values, Mapping) or not values.keys() <= {*kinds, "run"}:
        raise ValueError(f"{key} may have {', '.join(kinds)}, run: got {values}")
    if not isinstance(values.get("run", {}), Mapping):
        raise ValueError(f"{key}.run must be a group of keys, got {values['run']!r}")
    for own, kind in kinds.items():
        if own in values:
            convert(kind, values[own], f"{key}.{own}")
    return Role(**values)
