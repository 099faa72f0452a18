"""Members that are training runs: ``members/NAME/`` is the folder of an ordinary run, and can be looked at,
gone on with and measured as any other.

What a run is to be is known before it starts, and the same each time that the league asks for it: so who
finds its folder knows whether it is this run, as far as it came, or one of a round that was given up.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pokerlab.config.command import compose, keeping_hydra, own_folder
from pokerlab.config.schema import RunConfig, plain
from pokerlab.config.stored import as_yaml, read_config, write_config
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.opponents import FOLDER, TABLE, StoredOpponent
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.fork import fork

ELSEWHERE = ("run_name", "run_dir", "resume_from", "launcher")
"""Keys that say where a run is, or how it got there, not what it is."""


@dataclass(frozen=True)
class WantedRun:
    """What a member is to be trained as."""

    name: str
    config: RunConfig
    opponent: StoredOpponent | None = None
    """None: it plays itself, or whom its config names."""
    weights_of: str | None = None
    """The member whose weights it begins with; None: new ones."""
    goes_on: bool = False
    """Whether it goes on where that member is: with its optimiser, replay and iterations too."""


def as_overrides(values: Mapping[str, Any], prefix: str = "") -> tuple[str, ...]:
    """Nested values as ``pokerlab train`` takes them."""
    found: list[str] = []
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += as_overrides(value, f"{key}.")
        elif key != "experiment" or value is not None:  # none is not said
            found.append(f"{key}={json.dumps(value) if isinstance(value, list) or value is None else value}")
    return tuple(found)


def member_config(overrides: tuple[str, ...]) -> RunConfig:
    """The config of a run, as ``pokerlab train`` composes it; the user's own configs are those of the league.

    Raises:
        UserError: there is no such key, group or value.
    """
    return _composed(overrides, own_folder())


@lru_cache(maxsize=64)
def _composed(overrides: tuple[str, ...], own: Path | None) -> RunConfig:
    with keeping_hydra():
        config: RunConfig = compose("train", overrides, own)
    return config


def place_run(league: LeagueFolder, wanted: WantedRun) -> RunConfig:
    """Readies a member's folder: what is there of the same run stays, anything else goes.

    Args:
        league: where.
        wanted: the run.

    Returns:
        Its config, with the paths of here: the league may have been somewhere else before.

    Raises:
        UserError: another run is in its folder, and still goes on.
    """
    folder, opponent = league.member(wanted.name).resolve(), wanted.opponent
    config = replace(wanted.config, run_dir=str(folder), run_name=folder.name)
    if wanted.weights_of is not None:
        weights = league.member(wanted.weights_of).resolve() / "checkpoints" / LAST
        config = replace(config, start_from=str(weights))
    if opponent is not None:
        named = {"opponent": f"policy:{folder / opponent.path}"}
        config = replace(config, algorithm=config.algorithm | named)
    run, old = RunFolder(folder), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if run.config.exists() and not _is_same(run, config, opponent):
        run.lock().release()
        run.path.rename(old)
        shutil.rmtree(old)
    if not run.config.exists():
        if wanted.goes_on and wanted.weights_of is not None:
            fork(RunFolder(league.member(wanted.weights_of)), run, config)
        if opponent is not None:
            opponent.write(folder)
    if run.config.exists() and not is_finished(run, config):
        limited = replace(config, launcher=read_config(run).launcher)  # as it was begun with
        if run.config.read_text() != as_yaml(limited):
            write_config(run, limited)
    return config


def _is_same(run: RunFolder, config: RunConfig, opponent: StoredOpponent | None) -> bool:
    same = opponent is None or opponent.is_in(run.path)
    return same and _essence(read_config(run)) == _essence(config)


def _essence(config: RunConfig) -> dict[str, Any]:
    """A config without the places of things."""
    found: dict[str, Any] = {key: value for key, value in plain(config).items() if key not in ELSEWHERE}
    if (name := Path(str(config.algorithm.get("opponent"))).name) in (TABLE, FOLDER):
        found["algorithm"] = found["algorithm"] | {"opponent": name}
    if config.start_from is not None:
        found["start_from"] = Path(config.start_from).parent.parent.name
    return found


def is_finished(run: RunFolder, config: RunConfig) -> bool:
    """Whether a member's run has done all of its iterations."""
    done = run.read_summary().get("latest_iteration")
    return run.read_job().get("state") == "finished" and done is not None and done + 1 >= config.iterations
