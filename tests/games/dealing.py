"""How hands are dealt in OpenSpiel."""

from collections.abc import Sequence
from typing import Any

import pyspiel

from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import openspiel_names


def dealt(game: Game, hands: tuple[int, int]) -> Any:
    """OpenSpiel's state after a pair of hands is dealt; it deals dice and cards one by one."""
    theirs = pyspiel.load_game(openspiel_names(game).openspiel_name).new_initial_state()
    moves: Sequence[int] = hands
    if isinstance(game, LiarsDice):
        moves = [die for hand in hands for die in game.rolls[hand]]
    elif isinstance(game, Holdem):
        moves = [card for hand in hands for card in game.deck.hands[hand]]
    for move in moves:
        theirs.apply_action(int(move))
    return theirs
