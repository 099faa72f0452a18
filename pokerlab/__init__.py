"""Train poker agents by self-play and search, and prove how good they are.

The names below are the public API; everything else may change. They are imported when first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pokerlab.api import Run as Run
    from pokerlab.api import exploitability as exploitability
    from pokerlab.api import load as load
    from pokerlab.api import make_agent as make_agent
    from pokerlab.api import play_match as play_match
    from pokerlab.api import range_grid as range_grid
    from pokerlab.api import round_robin as round_robin
    from pokerlab.api import strategy_grid as strategy_grid
    from pokerlab.api import strategy_table as strategy_table
    from pokerlab.games.registry import make_game as make_game
    from pokerlab.league.view import grow_league as grow_league
    from pokerlab.league.view import open_league as open_league
    from pokerlab.spot import Spot as Spot
    from pokerlab.spot import open_spot as open_spot
    from pokerlab.spot import solve as solve

    __version__: str
    agents: Any  # a package, and as a function the names of the agents that need no training
    games: Any  # a package, and as a function the names of the games that it ships

_HOMES = {
    "pokerlab.api": (
        "Run", "exploitability", "load", "make_agent", "play_match", "range_grid", "round_robin",
        "strategy_grid", "strategy_table",
    ),
    "pokerlab.games.registry": ("make_game",),
    "pokerlab.league.view": ("grow_league", "open_league"),
    "pokerlab.spot": ("Spot", "open_spot"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_CALLABLE_MODULES = ("agents", "games", "solve")  # both a module and a function, see pokerlab._callable
__all__ = sorted([*_HOME_OF, *_CALLABLE_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("pokerlab")
    if name in _CALLABLE_MODULES:
        return import_module(f"pokerlab.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'pokerlab' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
