"""Games by name: ``conf/game/NAME.yaml`` says which class a name stands for and what it is given."""

import difflib
import inspect
from functools import cache
from importlib import import_module
from typing import Any

import yaml

from pokerlab.games.base import Game
from pokerlab.store.files import shipped_path

FOLDER = shipped_path("conf") / "game"
TARGET = "_target_"
MANY_PLAYERS = "pokerlab.games.many_"
"""What the classes of games of more than two players begin with: :mod:`pokerlab.games.many_players`."""


@cache
def _targets() -> dict[str, str]:
    """The class of each game that has one of its own."""
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: settings.get(TARGET, "") for name, settings in found.items()}


def game_names() -> list[str]:
    """The games of two players that the package ships."""
    return [name for name, target in _targets().items() if not target.startswith(MANY_PLAYERS)]


def make_game(name: str, **arguments: Any) -> Game:
    """Makes a game that the package ships.

    Args:
        name: such as ``leduc``, ``river``, ``hunl``: see :func:`game_names`.
        arguments: of the game's class, instead of those in ``conf/game/NAME.yaml``.

    Raises:
        ValueError: there is no such game, or an argument has a wrong value.
        TypeError: the game has no such argument.
    """
    settings = dict(game_settings(name))
    game_class = load_class(settings.pop(TARGET))
    known = inspect.signature(game_class).parameters
    for argument in arguments:
        if argument not in known:
            close = difflib.get_close_matches(argument, known, 1) or known
            raise TypeError(f"{name} has no argument {argument!r}: did you mean {' or '.join(close)}?")
    game: Game = game_class(**(settings | arguments))
    return game


def load_class(path: str) -> Any:
    """The class ``module.Class``."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


@cache
def game_settings(name: str) -> dict[str, Any]:
    """What ``conf/game/NAME.yaml`` holds, with what it builds on.

    Raises:
        ValueError: there is no such game.
    """
    if name in _targets() and name not in game_names():
        raise ValueError(f"{name} has more than two players: expected one of {', '.join(game_names())}")
    if name not in game_names():
        close = difflib.get_close_matches(str(name), game_names(), 3) or game_names()
        raise ValueError(f"unknown game {name!r}: did you mean {' or '.join(close)}?")
    own = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    settings: dict[str, Any] = {}
    for base in own.pop("defaults", []):
        settings |= own if base == "_self_" else game_settings(base)
    return settings | own
