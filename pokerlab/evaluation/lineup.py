"""Agents by the names that commands give them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, ListConfig

from pokerlab.agents.base import Agent
from pokerlab.agents.baselines import AlwaysCall, AlwaysFold, EquityPlayer, Uniform
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.config.build import build
from pokerlab.errors import UserError, near
from pokerlab.evaluation.aivat import MOST_HANDS
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.strategy_tables import equilibrium
from pokerlab.games.base import Game
from pokerlab.search.resolving import WAYS_TO_SEARCH
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.assemble import Assembled
from pokerlab.training.restore import find_checkpoint, restored
from pokerlab.training.start import read_config

BASELINES: dict[str, Callable[[Game], Agent]] = {
    "uniform": Uniform,
    "call": AlwaysCall,
    "fold": AlwaysFold,
    "equity": EquityPlayer,
}
EQUILIBRIUM, LBR = "equilibrium", "lbr"
POLICY_NET = "policy_net"
PLAYS = (POLICY_NET, *WAYS_TO_SEARCH)
"""How a run's agent can play."""
EQUILIBRIUM_ITERATIONS = 2000
"""Of DCFR on the whole game."""


@dataclass(frozen=True, slots=True)
class Named:
    """An agent and what to call it."""

    name: str
    agent: Agent


class Lineup:
    """Makes the agents of a command, all of one game.

    Args:
        config: of the ``evaluate`` command.
        game: the rules.
        device: where networks are asked.
    """

    def __init__(self, config: DictConfig, game: Game, device: torch.device) -> None:
        self.config, self.game, self.device = config, game, device

    @classmethod
    def of(cls, config: DictConfig, device: torch.device) -> "Lineup":
        """Of the game that the command's run plays.

        Raises:
            UserError: there is no such run.
        """
        return cls(config, build(read_config(find_checkpoint(str(config.run))[0]).game), device)

    def named(self, text: str) -> Named:
        """A baseline, ``equilibrium``, or a run as ``RUN`` or ``RUN:PLAY`` with one of :data:`PLAYS`.

        Raises:
            UserError: there is no such agent of this game.
        """
        if text in BASELINES:
            return self._baseline(text)
        if text == EQUILIBRIUM:
            return self._equilibrium()
        run, _, play = text.rpartition(":")
        if not run or play not in PLAYS:
            run, play = text, self.config.match.play
        try:
            folder, path = find_checkpoint(run)
        except UserError as error:
            known = ", ".join([*BASELINES, EQUILIBRIUM, LBR])
            raise UserError(f"match.against: {error}; agents that are no runs: {known}") from error
        stored = read_config(folder)
        parts, _ = restored(stored, path)
        if difference := _difference(parts.game, self.game):
            raise UserError(f"match.against={text} is a run of another game: {difference}")
        return self.of_run(parts, stored, name_of(folder, path), play)

    def of_run(self, parts: Assembled, stored: DictConfig, name: str, play: str) -> Named:
        """A run's agent.

        Args:
            parts: the run's objects, restored.
            stored: its config.
            name: the run's.
            play: one of :data:`PLAYS`.
        """
        module, config = parts.module.to(self.device).eval(), self.config
        if play == POLICY_NET:
            return Named(f"{name}:{play}", PolicyNetworkAgent(parts.game, module.policy_network))
        try:
            agent = SearchAgent(
                parts.game,
                build(config.solver) if "solver" in config else parts.solver,
                module.networks,
                iterations=config.search_iterations or stored.evaluation.search_iterations,
                way=play,
                like=torch.empty(0, device=self.device),
            )
        except ValueError as error:
            raise UserError(f"match.play={play}: {error}") from error
        return Named(f"{name}:{play}", agent)

    def local_best_response(self, to: Named) -> Named:
        """To an agent, with the settings of ``match.lbr``.

        Raises:
            UserError: there is none, or a setting is wrong.
        """
        options = self.config.match.lbr
        self._check_calling(LBR)
        chosen = options.actions
        if chosen is not None and not (
            isinstance(chosen, ListConfig) and all(isinstance(label, str) for label in chosen)
        ):
            raise UserError(f"match.lbr.actions must be null or a list of actions' labels, got {chosen!r}")
        labels = self.game.action_labels
        if unknown := [label for label in chosen or () if label not in labels]:
            known = near(unknown[0], labels)
            raise UserError(f"match.lbr.actions: {self.game.name} has no action {unknown[0]!r}{known}")
        actions = None if chosen is None else [labels.index(label) for label in chosen]
        try:
            agent = LocalBestResponse(self.game, to.agent, from_street=options.from_street, actions=actions)
        except ValueError as error:
            raise UserError(f"match.against={LBR}: {error}") from error
        return Named(LBR, agent)

    def _baseline(self, name: str) -> Named:
        if name != "uniform":
            self._check_calling(name)
        return Named(name, BASELINES[name](self.game))

    def _check_calling(self, name: str) -> None:
        try:
            self.game.check_or_call(self.game.root())
        except NotImplementedError as error:
            raise UserError(f"match.against={name}: {error}") from error

    def _equilibrium(self) -> Named:
        if not (self.game.enumerable and self.game.num_hands <= MOST_HANDS):
            raise UserError(f"match.against={EQUILIBRIUM}: {self.game.name} is too large for it")
        whole = WholeGame(self.game)
        return Named(EQUILIBRIUM, TabularAgent.of(whole.forest, equilibrium(whole, EQUILIBRIUM_ITERATIONS)))


def name_of(run: RunFolder, checkpoint: Path) -> str:
    """What a run's agent is called: of another checkpoint than the last, with that."""
    return run.path.name if checkpoint.name == LAST else f"{run.path.name}/{checkpoint.stem}"


def _difference(one: Game, other: Game) -> str | None:
    """What keeps agents of two games from one table; None: nothing."""
    if one.name != other.name:
        return f"{one.name}, not {other.name}"
    if one.root() != other.root():
        return "it starts elsewhere"
    if one.action_labels != other.action_labels:
        return f"its actions are {', '.join(one.action_labels)}"
    if not np.array_equal(one.initial_beliefs, other.initial_beliefs):
        return "it has other ranges"
    return None
