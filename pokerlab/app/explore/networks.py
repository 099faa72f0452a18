"""Trained networks whose values stand at the end of a street: of runs here, and of those of the package."""

from functools import lru_cache

from pokerlab.config.build import build, check_cards
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.store.folder import RunFolder, local_runs, shipped_runs

REBEL = "pokerlab.algorithms.rebel.ReBeL"
"""What learns values of public belief states; not imported, which takes seconds."""


def networks() -> list[str]:
    """Runs that have learned values of hold'em."""
    return [name for name, folder in _runs().items() if not _why_not(folder, _written(folder))]


def check_network(name: object) -> None:
    """Checks that a run's values can be asked for.

    Raises:
        ValueError: there is no such run, or it learned something else.
    """
    runs = _runs()
    if not isinstance(name, str) or name not in runs:
        raise ValueError(f"leaf: no run {name!r} here: expected one of {', '.join(networks())}")
    if why := _why_not(runs[name], _written(runs[name])):
        raise ValueError(f"leaf={name}: {why}")


def _runs() -> dict[str, RunFolder]:
    here = [run for run in local_runs() if any(run.checkpoints.glob("*.ckpt"))]
    return shipped_runs() | {run.path.name: run for run in here}


def _written(folder: RunFolder) -> int:
    return folder.config.stat().st_mtime_ns


@lru_cache(1000)
def _why_not(folder: RunFolder, written: int) -> str:
    """Why a run's values cannot be asked for here; empty: they can."""
    try:
        config = read_config(folder)
        if config.algorithm.get("_target_") != REBEL:
            return "its algorithm learns no values of public belief states"
        check_cards(build(config.game, key="game", kind=Game), Holdem("hold'em"))
    except (UserError, AttributeError) as error:
        return str(error)
    return ""
