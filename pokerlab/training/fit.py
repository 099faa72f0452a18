"""Whether a checkpoint can be gone on from: it is whole, so is its replay, and both fit the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pokerlab.errors import UserError
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.replay import RANKS, by_rank
from pokerlab.selfplay.replay_on_disk import chunk_files, open_chunk
from pokerlab.store.checkpoints import load, load_weights, read_checkpoint
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts

Columns = Mapping[str, set[str]]
"""Stream of examples → the names of its columns."""


def check_checkpoint(path: Path, run: RunFolder, columns: Columns | None = None) -> dict[str, Any]:
    """A checkpoint's content, after reading it and its replay.

    Args:
        path: the checkpoint.
        run: whose it is.
        columns: what the replay is to hold; None: it is not known.

    Raises:
        UserError: it, or its replay, cannot be used; names the newest one that can.
    """
    try:
        return _read(path, columns)
    except UserError as error:
        raise UserError(f"{error}; {_newest_good(path, run, columns)}") from error


def _read(path: Path, columns: Columns | None) -> dict[str, Any]:
    content = read_checkpoint(path)
    replay = path.parent / content["pokerlab"]["replay"]
    try:
        contents = load(replay, mmap=True, whole=True)
    except UserError as error:
        raise UserError(f"{replay}, the replay of {path.name}, is missing or damaged") from error
    if not isinstance(contents, dict) or not contents or not all(map(_are_replays, contents.values())):
        raise UserError(f"{replay} is not a replay")
    if columns is not None and (
        contents.keys() != columns.keys()
        or any(  # examples of earlier versions have no weights
            set(each.get("columns", columns[name])) | (columns[name] & {"weight"}) != columns[name]
            for name in columns
            for each in by_rank(contents[name])
        )
    ):
        raise UserError(f"{replay} is a replay of other examples")
    for name, examples in chunk_files(contents).items():
        open_chunk(RunFolder(path.parent.parent).replay / name, examples)
    return content


def _are_replays(contents: Any) -> bool:
    """Whether it is the replay of a stream, or those of several ranks."""
    if not isinstance(contents, dict) or not isinstance(contents.get(RANKS, []), list):
        return False
    found = by_rank(contents)
    return bool(found) and all(map(_is_replay, found))


def _is_replay(contents: Any) -> bool:
    if not isinstance(contents, dict) or not isinstance(contents.get("added"), int):
        return False
    if "chunks" in contents:
        chunks = contents["chunks"]
        return (
            isinstance(contents.get("window"), int)
            and isinstance(chunks, dict)
            and all(
                isinstance(name, str) and Path(name).name == name and isinstance(examples, int)
                for name, examples in chunks.items()
            )
        )
    found = contents.get("columns")
    if not isinstance(found, dict) or not found:
        return False
    tensors = [column for column in found.values() if isinstance(column, torch.Tensor) and column.dim()]
    return len(tensors) == len(found) and len({len(column) for column in tensors}) == 1


def _newest_good(bad: Path, run: RunFolder, columns: Columns | None) -> str:
    limit = next((iteration for iteration, path in run.numbered_checkpoints().items() if path == bad), None)
    for iteration, path in reversed(run.numbered_checkpoints().items()):
        if path == bad or (limit is not None and iteration >= limit):
            continue
        try:
            _read(path, columns)
        except UserError:
            continue
        return f"the one before it is {path}"
    return "there is none before it"


def check_fits(path: Path, run: RunFolder, parts: RunParts) -> int:
    """How many iterations a checkpoint has done, if all that is in it fits the run.

    Args:
        path: the checkpoint.
        run: whose it is.
        parts: the run's objects, which take over what the checkpoint holds.

    Raises:
        UserError: something does not; says what.
    """
    streams = parts.algorithm.streams()
    content = check_checkpoint(path, run, {name: set(streams[name].none.columns()) for name in streams})
    ours = content["pokerlab"]
    if ours["game"] != parts.game.name:
        raise UserError(
            f"{path} is a checkpoint of {ours['game']}, but {run.path} is a run of {parts.game.name}"
        )
    load_weights(parts.module, content["state_dict"], path)
    try:
        parts.optimizer().load_state_dict(content["optimizer_states"][0])
        position = content[SelfPlayData.__qualname__]
        counts = [
            content["epoch"],
            content["global_step"],
            *(position[key] for key in ["iteration", *(f"{name}_added" for name in streams)]),
        ]
        if any(isinstance(count, bool) or not isinstance(count, int) for count in counts):
            raise TypeError("a count is not an integer")
        content["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"] + 0
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UserError(f"{path} cannot be gone on from: {what}") from error
    return int(ours["iteration"])
