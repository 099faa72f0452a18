"""The opponent that a run's config names."""

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import (
    FORMER_NAMES,
    WAYS_TO_PLAY,
    is_agent_name,
)
from pokerlab.errors import UserError
from pokerlab.games.base import Game
from pokerlab.training.stored_agents import check_trusted, lineup

KEY = "algorithm.opponent"


def find_opponent(name: str, game: Game) -> Agent:
    """An agent by the name that ``match.against`` takes; runs play their policy network, or ``RUN:WAY``.

    Raises:
        UserError: there is none, it is of another game, or nobody trusts its module.
    """
    if is_agent_name(name) and name.partition(":")[2] not in (*WAYS_TO_PLAY, *FORMER_NAMES):
        check_trusted(name, f"{KEY}={name}")
    try:
        return lineup(game).entrant(name).agent
    except (ValueError, UserError) as error:
        raise UserError(f"{KEY}={name}: {error}") from error
