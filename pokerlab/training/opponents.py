"""The opponent that a run's config names."""

from functools import partial

import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import (
    AGENTS,
    AGENTS_OF_FILES,
    FORMER_NAMES,
    POLICY_NET,
    WAYS_TO_PLAY,
    is_agent_name,
)
from pokerlab.config.build import is_trusted
from pokerlab.errors import UserError
from pokerlab.evaluation.lineup import Lineup
from pokerlab.games.base import Game
from pokerlab.training.stored_agents import agent_by_name
from pokerlab.training.trained import load_run

KEY = "algorithm.opponent"


def lineup(game: Game) -> Lineup:
    """Agents of a game by name; runs play their policy network, on the CPU, or ``RUN:WAY``."""
    return Lineup(game, partial(load_run, device=torch.device("cpu")), POLICY_NET, make=agent_by_name)


def find_opponent(name: str, game: Game) -> Agent:
    """An agent by the name that ``match.against`` takes; runs play their policy network, or ``RUN:WAY``.

    Raises:
        UserError: there is none, it is of another game, or nobody trusts its module.
    """
    module, _, attribute = name.partition(":")
    known = name in AGENTS or module in AGENTS_OF_FILES or attribute in (*WAYS_TO_PLAY, *FORMER_NAMES)
    if is_agent_name(name) and not known and not is_trusted(f"{module}.{attribute}"):
        raise UserError(f"{KEY}={name}: if you trust that module, say so with --plugin {module}")
    try:
        return lineup(game).entrant(name).agent
    except (ValueError, UserError) as error:
        raise UserError(f"{KEY}={name}: {error}") from error
