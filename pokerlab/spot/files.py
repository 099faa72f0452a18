"""Solved spots in files: a strategy and the game's arguments; reading one runs nothing."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np

from pokerlab.games.base import Floats, Game, State
from pokerlab.games.parts import symmetry_of
from pokerlab.games.registry import load_class
from pokerlab.games.tree_size import too_large
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.tree import PublicTree, build_tree
from pokerlab.spot.locking import Given
from pokerlab.spot.solved import VERSION, Progress, Spot
from pokerlab.spot.solving import can_be_solved

GAMES = "pokerlab.games."
MOST_TEXT = 64 * 2**20
"""Bytes of what a file says in words: ranges, and locks hand by hand."""
PRECISION = 1e-3
"""By which probabilities may differ from 1 in sum."""
_NO_SPOT = (
    AttributeError, KeyError, ValueError, TypeError, EOFError, RecursionError, NotImplementedError,
    RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def open_spot(path: str | Path, game: Game[State] | None = None) -> Spot[State]:
    """Reads what :meth:`Spot.save` wrote; runs nothing that the file says.

    Nothing large is read before it is known to belong to the game that the file names.

    Args:
        path: the file.
        game: the same that was solved; needed where it is not one of the package's.

    Raises:
        ValueError: the file is no spot, or of another version or game, or damaged, or of a game that is too
            large to be solved here.
    """
    try:
        with zipfile.ZipFile(path) as file:
            about = _read_about(file)
        version, name = about["spot"], about["game"]
    except _NO_SPOT as error:
        raise ValueError(f"{path} is not a spot") from error
    if version != VERSION:
        raise ValueError(f"{path} is a spot of version {version}: expected {VERSION}")
    try:
        if game is None:
            if not name.startswith(GAMES):
                raise ValueError(f"{path} is a spot of {name}: give open_spot the game")
            game = _game_of(name, about["arguments"])
        iterations, *numbers = about["progress"]
        progress = Progress(
            int(iterations), *(np.nan if number is None else float(number) for number in numbers)
        )
        locks = _read_locks(about.get("locks", {}))
        isomorphism, depth_limited = bool(about["isomorphism"]), bool(about.get("depth_limited"))
    except ValueError:
        raise
    except _NO_SPOT as error:
        raise ValueError(f"{path} is not a spot") from error
    if depth_limited:
        tree = build_tree(game, game.root(), depth_limited=True)
        leaves = _read_numbers(path, game, "leaves", (2, len(tree.leaves), game.num_hands)).astype(float)
        return Spot(game, tree, _read_strategy(path, game, tree), progress, leaves=leaves)
    if not can_be_solved(game, isomorphism=isomorphism):
        raise ValueError(f"{path} is of a game that is too large to be solved to the end")
    states = game.count_states(isomorphism=isomorphism)
    if states and (reason := too_large(states, game.num_hands, free=True)):
        raise ValueError(f"{path} is of a game of {reason}")
    symmetry = symmetry_of(game) if isomorphism else None
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry, features=False)
    return Spot(game, tree, _read_strategy(path, game, tree), progress, symmetry, locks)


def _read_about(file: zipfile.ZipFile) -> dict[str, Any]:
    """What a file says in words."""
    if file.getinfo("about.npy").file_size > MOST_TEXT:
        raise ValueError("about")
    with file.open("about.npy") as member:
        text = np.lib.format.read_array(member, allow_pickle=False)
    about = json.loads(str(text))
    if not isinstance(about, dict):
        raise TypeError("about")
    return about


def _game_of(name: str, arguments: Any) -> Game[Any]:
    """The game that a file names; raises a ValueError if there is none with such arguments."""
    try:
        game = load_class(name)(**arguments)
    except (AttributeError, ImportError, TypeError) as error:
        raise ValueError(f"there is no game {name} with such arguments") from error
    if not isinstance(game, Game):
        raise ValueError(f"{name} is no game of two players")
    return game


def _read_locks(given: Any) -> Given:
    """Strategies that were given: numbers, or lists with None for hands that are free."""
    return {
        str(line): {
            str(action): np.array(of, dtype=float) if isinstance(of, list) else float(of)
            for action, of in actions.items()
        }
        for line, actions in given.items()
    }


def _read_strategy(path: str | Path, game: Game, tree: PublicTree) -> EdgeRows:
    """``[E, H]``."""
    strategy = _read_numbers(path, game, "strategy", (tree.num_edges, game.num_hands))
    total = np.add.reduceat(strategy, tree.first_edge[:-1]) if len(strategy) else strategy
    if not ((strategy >= 0).all() and (np.abs(total - 1) < PRECISION).all()):
        raise ValueError(f"{path} is damaged: it has no distribution over the actions of every hand")
    return cast(EdgeRows, strategy)


def _read_numbers(path: str | Path, game: Game, name: str, expected: tuple[int, ...]) -> Floats:
    """An array of the file; of the right shape before any of it is read."""
    try:
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](member)
            if shape != expected or dtype.kind != "f":
                raise IndexError
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as member:
            numbers: Floats = np.lib.format.read_array(member, allow_pickle=False)
    except IndexError as error:
        raise ValueError(f"{path} is a spot of another game than {game.name}") from error
    except _NO_SPOT as error:
        raise ValueError(f"{path} is not a spot, or is truncated") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{path} is damaged: some of its numbers are none")
    return numbers
