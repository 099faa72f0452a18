"""The rules of games."""

from pokerlab.games.registry import game_names, make_game

__all__ = ["game_names", "make_game"]
