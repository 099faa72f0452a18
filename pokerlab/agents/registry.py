"""Agents by name: those that come with the package, and anybody's as ``module:Class``."""

import re
from collections.abc import Callable
from importlib import import_module

from pokerlab.agents.base import Agent
from pokerlab.agents.baselines import AlwaysCall, AlwaysFold, EquityPlayer, Uniform
from pokerlab.agents.donksolver import DonkSolver
from pokerlab.agents.stored_policy import stored_policy
from pokerlab.agents.tabular import equilibrium
from pokerlab.errors import near
from pokerlab.games.base import Game
from pokerlab.search.resolving import WAYS_TO_SEARCH

POLICY_NET, SNAPSHOTS = "policy_net", "snapshots"
WAYS_TO_PLAY = (POLICY_NET, SNAPSHOTS, *WAYS_TO_SEARCH)
"""How a trained run can play: as its policy network says, as the average of all iterations' strategies (see
algorithms/deep_cfr.py), or by search (see search/resolving.py)."""
FORMER_NAMES = {"search": "search_iteration", "search_deterministic": "search_average"}
"""Of ways to play, in version 0.1.0."""

AGENTS: dict[str, Callable[[Game], Agent]] = {
    "uniform": Uniform,
    "call": AlwaysCall,
    "fold": AlwaysFold,
    "equity": EquityPlayer,
    "equilibrium": equilibrium,
}
"""What makes each from a game."""


AGENTS_OF_FILES: dict[str, Callable[[Game, str], Agent]] = {"donksolver": DonkSolver, "policy": stored_policy}
"""What makes each from a game and a file: ``NAME:PATH``."""


def is_agent_name(name: str) -> bool:
    """Whether :func:`make_agent` is meant: a name in :data:`AGENTS`, ``NAME:PATH`` or ``module:Class``."""
    named = name in AGENTS or name.partition(":")[0] in AGENTS_OF_FILES
    return named or bool(re.fullmatch(r"[^\W\d]\w*(\.\w+)*:[^\W\d]\w*", name))


def make_agent(name: str, game: Game) -> Agent:
    """An agent of a game.

    Args:
        name: one of :data:`AGENTS`, ``donksolver:PATH`` with the path of a bundle, ``policy:PATH`` with that
            of a stored policy or of a league, or ``module:Class``, whose class is given the game.
        game: the rules.

    Raises:
        ValueError: there is no such agent, or none of this game.
    """
    if name in AGENTS:
        return AGENTS[name](game)
    if not is_agent_name(name):
        raise ValueError(f"unknown agent {name!r}{near(name, list(AGENTS))}")
    module, _, attribute = name.partition(":")
    if module in AGENTS_OF_FILES:
        return AGENTS_OF_FILES[module](game, attribute)
    try:
        agent_class = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"no agent {name}: {error}") from error
    if not (isinstance(agent_class, type) and issubclass(agent_class, Agent)):
        raise ValueError(f"{name} is not a class of agents (pokerlab.agents.base.Agent)")
    return agent_class(game)  # type: ignore[call-arg]


def check_way(way: str, what: str = "way") -> str:
    """Returns a way to play that there is.

    Args:
        way: its name.
        what: what the error calls it.

    Raises:
        ValueError: there is none; says what it is called now, or which there are.
    """
    if way in FORMER_NAMES:
        raise ValueError(f"{what}: {way!r} is now called {FORMER_NAMES[way]}")
    if way not in WAYS_TO_PLAY:
        raise ValueError(f"{what} must be one of {', '.join(WAYS_TO_PLAY)}, got {way!r}")
    return way
