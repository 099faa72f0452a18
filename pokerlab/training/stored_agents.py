"""Agents in folders of their own, so that they stay what they are; and mixtures of them.

``agent.json`` says of which game, and what plays: a registered agent by its name, a run whose config and
checkpoint are copied beside it, a network whose weights are (npz: numbers, nothing that could run), or a
local best response to a mixture. A mixture is ``mixture.json``: how often each player picks each of the
agents in ``members/``, by name.
"""

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.mixture import MixtureAgent
from pokerlab.agents.registry import (
    AGENTS,
    AGENTS_OF_FILES,
    POLICY_NET,
    make_agent,
)
from pokerlab.config.build import is_trusted
from pokerlab.errors import UserError
from pokerlab.evaluation.lineup import Lineup, difference_of_rules
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.games.base import Game
from pokerlab.learning.infostates import InfostateNetwork
from pokerlab.store.checkpoints import load_weights
from pokerlab.store.files import open_to_read, write_atomically, write_json
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.trained import TrainedRun, load_run

VERSION = 1
AGENT, MIXTURE, WEIGHTS, MEMBERS = "agent.json", "mixture.json", "weights.npz", "members"
Weights = Mapping[str, Sequence[float]]
"""How often each player picks each member, by its name."""


class StoredAgent(ABC):
    """What an agent's folder holds."""

    def write(self, folder: Path, game: Game) -> None:
        """Writes the folder; ``agent.json`` comes last."""
        self._write_files(folder)
        write_json(folder / AGENT, about(game) | self.described)

    @property
    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What ``agent.json`` says."""

    def _write_files(self, folder: Path) -> None:
        """Writes what is beside it."""
        folder.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class NamedAgent(StoredAgent):
    """A registered agent, or ``module:Class``."""

    name: str

    @property
    def described(self) -> dict[str, Any]:
        return {"name": self.name}


@dataclass(frozen=True)
class StoredRun(StoredAgent):
    """A run whose folder this is."""

    way: str

    @property
    def described(self) -> dict[str, Any]:
        return {"run": self.way}


@dataclass(frozen=True)
class CopiedRun(StoredRun):
    """A run as it is: its config, and a checkpoint that stays if the run trains on."""

    run: RunFolder
    checkpoint: Path

    def _write_files(self, folder: Path) -> None:
        copy = RunFolder(folder)
        write_atomically(copy.checkpoints / LAST, self.checkpoint.read_bytes())
        write_atomically(copy.config, self.run.config.read_bytes())


@dataclass(frozen=True)
class StoredNetwork(StoredAgent):
    """A network over information states."""

    agent: InfostateAgent

    @property
    def described(self) -> dict[str, Any]:
        return {"network": self.agent.network.sizes, "greedy": self.agent.greedy}

    def _write_files(self, folder: Path) -> None:
        weights = {name: value.numpy(force=True) for name, value in self.agent.network.state_dict().items()}
        write_atomically(folder / WEIGHTS, lambda file: np.savez_compressed(file, **weights))


@dataclass(frozen=True)
class Responder(StoredAgent):
    """The local best response to a mixture of the agents beside it."""

    weights: Weights
    from_street: int = 0

    @property
    def described(self) -> dict[str, Any]:
        return {"responds_to": dict(self.weights), "from_street": self.from_street}


def about(game: Game) -> dict[str, Any]:
    """What files say of their game."""
    rules = {part: repr(value) for part, value in game.rules}  # some are infinite
    return {"agent": VERSION, "game": game.name, "rules": rules}


def find_agent(name: str, game: Game) -> StoredAgent:
    """An agent, to be kept.

    Args:
        name: of a registered agent, ``module:Class``, or a run as ``RUN`` or ``RUN:WAY``.
        game: the rules.

    Raises:
        ValueError: it is of another game, cannot play it, or draws what it plays.
        UserError: there is none.
    """
    try:
        meant = lineup(game).run_of(name)
    except UserError as error:
        raise UserError(f"{error}; agents that are no runs: {', '.join(AGENTS)}") from error
    except ValueError as error:
        raise ValueError(f"{name} is {error}") from error
    if meant is None:
        check_trusted(name, name)
        return _check(NamedAgent(name), make_agent(name, game), name)
    run, way = meant
    return _check(CopiedRun(way, run.folder, run.checkpoint), run.agent(way), name)


def _check(stored: StoredAgent, agent: Agent, name: str) -> StoredAgent:
    if agent.draws:
        raise ValueError(f"{name} draws what it plays: expected one that does not, such as RUN:policy_net")
    return stored


def check_trusted(name: str, said: str) -> None:
    """Raises a UserError, after what was ``said``, if an agent is of a module that nobody trusts."""
    module, _, attribute = name.partition(":")
    if attribute and module not in AGENTS_OF_FILES and not is_trusted(f"{module}.{attribute}"):
        raise UserError(f"{said}: if you trust that module, say so with --plugin {module}")


def read_agent(folder: Path, game: Game) -> Agent:
    """The agent of a folder.

    Raises:
        UserError: it is gone, damaged, or of another game.
    """
    found = _read(folder / AGENT, game)
    try:
        if "name" in found:
            name = str(found["name"])
            check_trusted(name, name)
            return make_agent(name, game)
        if "run" in found:
            run = load_run(str(RunFolder(folder).checkpoints / LAST), torch.device("cpu"))
            if difference := difference_of_rules(run.game, game):
                raise UserError(f"{folder} is a run of another game: {difference}")
            return run.agent(str(found["run"]))
        if "network" in found:
            return _read_network(folder / WEIGHTS, game, found)
        mixture = _mixture(folder.parent.parent, found["responds_to"], game)
        return LocalBestResponse(game, mixture, from_street=int(found["from_street"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{folder / AGENT} is damaged: {error}") from error


def _read(path: Path, game: Game) -> dict[str, Any]:
    try:
        with open_to_read(path) as file:
            found = json.loads(file.read())
        version, name, rules = found["agent"], found["game"], dict(found["rules"])
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone, or never was") from error
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise UserError(f"{path} is damaged") from error
    if version != VERSION:
        raise UserError(f"{path} is of version {version}: expected {VERSION}")
    if rules != (wanted := about(game)["rules"]):
        parts = [part for part in {**rules, **wanted} if rules.get(part) != wanted.get(part)]
        told = f"{parts[0]}: {rules.get(parts[0])}, not {wanted.get(parts[0])}"
        raise UserError(f"{path} is of another game: of {name}, not of {game.name}: {told}")
    content: dict[str, Any] = found
    return content


def _read_network(path: Path, game: Game, found: dict[str, Any]) -> InfostateAgent:
    try:
        with open_to_read(path) as file, np.load(file, allow_pickle=False) as content:
            weights = {name: torch.as_tensor(content[name]) for name in content.files}
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone, or never was") from error
    except (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is truncated, or no network's weights") from error
    network = InfostateNetwork(game, game.num_actions, **found["network"])
    load_weights(network, weights, path)
    return InfostateAgent(game, network.eval(), greedy=bool(found["greedy"]))


# Mixtures


def write_mixture(folder: Path, game: Game, weights: Weights) -> None:
    """Writes a mixture of the agents in ``folder/members``."""
    write_json(folder / MIXTURE, about(game) | {"weights": dict(weights)})


def read_mixture(folder: Path, game: Game) -> MixtureAgent:
    """The mixture of a folder, as one agent.

    Raises:
        UserError: it is gone, damaged, or of another game, or one of its agents is.
    """
    return _mixture(folder, _read(folder / MIXTURE, game).get("weights"), game)


def _mixture(folder: Path, weights: Any, game: Game) -> MixtureAgent:
    try:
        names, shares = list(weights), np.array([[float(each) for each in of] for of in weights.values()]).T
        if shares.shape[0] != 2 or (shares < 0).any() or not np.allclose(shares.sum(1), 1):
            raise ValueError("weights of two players")
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{folder / MIXTURE} is damaged: expected weights of two players") from error
    return MixtureAgent(game, [read_agent(folder / MEMBERS / name, game) for name in names], shares)


def lineup(game: Game) -> Lineup[TrainedRun]:
    """Agents of a game by name; runs play their policy network, on the CPU, or ``RUN:WAY``."""
    return Lineup(game, partial(load_run, device=torch.device("cpu")), POLICY_NET, make=agent_by_name)


def agent_by_name(name: str, game: Game) -> Agent:
    """As :func:`~pokerlab.agents.registry.make_agent`; ``policy:PATH`` may be a league of agents, too."""
    kind, _, path = name.partition(":")
    if kind == "policy" and (Path(path) / MIXTURE).exists():
        return read_mixture(Path(path), game)
    return make_agent(name, game)
