"""Train poker agents by self-play and search, and prove how good they are.

The names below are the public API; everything else may change. They are imported when first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pokerlab.api import range_grid as range_grid
    from pokerlab.api import strategy_grid as strategy_grid
    from pokerlab.games.registry import make_game as make_game
    from pokerlab.spot import Spot as Spot
    from pokerlab.spot import open_spot as open_spot
    from pokerlab.spot import solve as solve

    __version__: str

    games: Any  # a package, and what it ships as a function: tuple of names


_HOMES = {
    "pokerlab.api": ("range_grid", "strategy_grid"),
    "pokerlab.games.registry": ("make_game",),
    "pokerlab.spot": ("Spot", "open_spot"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_CALLABLE_MODULES = ("games", "solve")  # both a module and a function, see pokerlab._callable
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
