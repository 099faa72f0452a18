"""A solved spot: a game that is small enough to be solved to the end, and its average strategy.

    spot = pokerlab.solve(pokerlab.make_game("river", board="Td9d6hQc2s"), target=0.5)
    print(spot.table("check bet 0.5"))

EVs are the chips that a hand takes out of the pot in the end, less what it still puts in: a fold is worth 0,
and both players' EVs add up to the pot. ``Spot.value`` is the root's EV of player 0 less what it has put into
the pot by then: what it wins or loses.
"""

from pokerlab.spot.files import open_spot
from pokerlab.spot.solved import Progress, Spot, SpotAgent
from pokerlab.spot.solving import MANY_HANDS, can_be_solved, solve
from pokerlab.spot.tables import Node, Table

__all__ = [
    "MANY_HANDS", "Node", "Progress", "Spot", "SpotAgent", "Table", "can_be_solved", "open_spot", "solve",
]  # fmt: skip
