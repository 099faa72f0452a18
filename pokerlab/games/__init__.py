"""The rules of games; ``pokerlab.games()`` are the names of those that the package ships."""

from pokerlab._callable import make_callable
from pokerlab.games.registry import game_names, make_game

__all__ = ["game_names", "make_game"]
make_callable(__name__, game_names)
