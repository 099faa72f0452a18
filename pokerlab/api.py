"""The public functions that stand above all rooms: ``pokerlab.NAME``, see the package."""

import numpy as np
import torch
from matplotlib.figure import Figure

from pokerlab.evaluation import range_grids
from pokerlab.games.holdem import Holdem
from pokerlab.spot import Spot


def range_grid(spot: Spot, player: int, line: str = "") -> Figure:
    """Draws a player's range where a line ends: a grid with a cell for every pair of ranks.

    Args:
        spot: of hold'em.
        player: 0 or 1.
        line: public moves from the spot's root, such as ``check bet 0.5 | 2s``.

    Raises:
        ValueError: the line is not one of the spot's, or the game is not hold'em.
    """
    game, weights = _holdem(spot), torch.as_tensor(spot.weights(line)[player])
    return range_grids.range_grid(game, weights, spot.state(line).board)


def strategy_grid(spot: Spot, line: str = "") -> Figure:
    """Draws how often each hand takes each action where a line ends, a grid an action.

    Args:
        spot: of hold'em.
        line: public moves from the spot's root, such as ``check bet 0.5``.

    Raises:
        ValueError: the line is not one of the spot's, nobody acts there, or the game is not hold'em.
    """
    game, state = _holdem(spot), spot.state(line)
    strategy = torch.as_tensor(np.stack(list(spot.strategy(line).values())))
    weights = torch.as_tensor(spot.weights(line)[game.actor(state)])
    return range_grids.strategy_grid(game, state, strategy, weights)


def _holdem(spot: Spot) -> Holdem:
    if not isinstance(spot.game, Holdem):
        raise ValueError(f"{spot.game.name} has no grid of hands: expected a game of hold'em")
    return spot.game
