"""Agents by the names that people give them: registered ones, their own, and trained runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import AGENTS, FORMER_NAMES, WAYS_TO_PLAY, check_way, is_agent_name, make_agent
from pokerlab.errors import UserError, near
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.games.base import Game
from pokerlab.games.parts import table_play

LOCAL_BEST_RESPONSE = "lbr"


@dataclass(frozen=True, slots=True)
class Entrant:
    """An agent and what to call it."""

    name: str
    agent: Agent


class TrainedRun(Protocol):
    """What a run has learned to play."""

    @property
    def name(self) -> str:
        """What its agents are called."""
        ...

    @property
    def game(self) -> Game:
        """The rules."""
        ...

    def agent(self, way: str) -> Agent:
        """Plays in one of the ways to play.

        Raises:
            ValueError: the run cannot play so.
        """
        ...


def enter(run: TrainedRun, way: str) -> Entrant:
    """A run's agent; raises as that does."""
    return Entrant(f"{run.name}:{way}", run.agent(way))


SomeRun = TypeVar("SomeRun", bound=TrainedRun)


@dataclass(frozen=True, slots=True)
class Lineup(Generic[SomeRun]):
    """Finds agents of one game."""

    game: Game
    find_run: Callable[[str], SomeRun]
    """By a run's name, its folder, or a checkpoint."""
    way: str
    """How runs play whose name says nothing else."""
    own: Mapping[str, Callable[[Game], Agent]] = field(default_factory=dict)
    """Makes the user's own agents, by name."""
    make: Callable[[str, Game], Agent] = make_agent
    """Makes those that are neither."""

    def __post_init__(self) -> None:
        if taken := self.own.keys() & {*AGENTS, LOCAL_BEST_RESPONSE}:
            raise ValueError(f"pokerlab itself has an agent {min(taken)}: give yours another name")

    def entrant(self, name: str) -> Entrant:
        """The agent that is meant.

        Args:
            name: of a registered agent or one's own, ``module:Class``, or a run as ``RUN`` or ``RUN:WAY``.

        Raises:
            ValueError: it cannot play this game.
            UserError: there is no such run.
        """
        if name in self.own:
            return Entrant(name, self.own[name](self.game))
        try:
            meant = self.run_of(name)
        except UserError as error:
            others = ", ".join([*self.own, *AGENTS, LOCAL_BEST_RESPONSE])
            raise UserError(f"{error}; agents that are no runs: {others}") from error
        return Entrant(name, self.make(name, self.game)) if meant is None else enter(*meant)

    def run_of(self, name: str) -> tuple[SomeRun, str] | None:
        """The run that is meant, and how it plays; None: an agent that is no run.

        Raises:
            ValueError: it is of another game.
            UserError: there is none.
        """
        if (meant := name_of_run(name, self.way)) is None:
            return None
        found = self.find_run(meant[0])
        if difference := difference_of_rules(found.game, self.game):
            raise ValueError(f"a run of another game: {difference}")
        return found, meant[1]


def name_of_run(name: str, way: str) -> tuple[str, str] | None:
    """The run that ``RUN`` or ``RUN:WAY`` names, and how it plays; None: an agent that is no run.

    Args:
        name: of an agent.
        way: to play, if it does not say.
    """
    run, _, said = name.rpartition(":")
    if run and said in (*WAYS_TO_PLAY, *FORMER_NAMES):
        return run, check_way(said)
    return None if is_agent_name(name) else (name, check_way(way))


def local_best_response(
    game: Game, opponent: Agent, *, from_street: int = 0, actions: Sequence[str] | None = None
) -> Entrant:
    """The local best response to an agent.

    Args:
        game: the rules.
        opponent: the agent.
        from_street: see :class:`LocalBestResponse`.
        actions: labels of what it may do besides folding, checking and calling; None: everything.

    Raises:
        ValueError: the game has no calling or no such action, or the opponent draws what it plays.
    """
    table_play(game)
    labels = game.action_labels
    if unknown := [label for label in actions or () if label not in labels]:
        raise ValueError(f"{game.name} has no action {unknown[0]!r}{near(unknown[0], labels)}")
    chosen = None if actions is None else [labels.index(label) for label in actions]
    return Entrant(
        LOCAL_BEST_RESPONSE, LocalBestResponse(game, opponent, from_street=from_street, actions=chosen)
    )


def difference_of_rules(one: Game, other: Game) -> str | None:
    """What keeps agents of two games from one table; None: nothing."""
    rules, others = dict(one.rules), dict(other.rules)
    for part in rules | others:
        if (value := rules.get(part)) != (wanted := others.get(part)):
            return f"{value}, not {wanted}" if part == "game" else f"{part}: {value}, not {wanted}"
    if not np.array_equal(one.initial_beliefs, other.initial_beliefs):
        return "it has other ranges"
    return None
