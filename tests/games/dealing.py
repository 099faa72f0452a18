"""How hands are dealt in OpenSpiel."""

from typing import Any

import pyspiel

from pokerlab.games.base import Game
from pokerlab.games.liars_dice import LiarsDice


def dealt(game: Game, hands: tuple[int, int]) -> Any:
    """OpenSpiel's state after a pair of hands is dealt; it deals dice one by one."""
    theirs = pyspiel.load_game(game.openspiel_name).new_initial_state()
    moves = [die for hand in hands for die in game.rolls[hand]] if isinstance(game, LiarsDice) else hands
    for move in moves:
        theirs.apply_action(int(move))
    return theirs
