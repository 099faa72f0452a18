"""ReBeL with networks that answer in no time."""

from functools import partial
from typing import Any

from pokerlab.algorithms.rebel import ReBeL
from pokerlab.games.base import Game
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver


def tiny_rebel(game: Game, **options: Any) -> ReBeL:
    """The algorithm, with what else is to be said of it."""
    return ReBeL(
        game,
        solver=Solver(),
        value_network=partial(ValueNetwork, hidden=8, layers=1),
        policy_network=partial(PolicyNetwork, hidden=8, layers=1),
        iterations=1,
        **options,
    )
