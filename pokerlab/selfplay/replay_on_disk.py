"""A replay on disk, for games whose examples do not fit in memory: of 1,326 hands each takes 12 KB and more.

What one iteration adds is written once, as a *chunk*: a file that never changes, in half precision. It is
mapped into memory, so the system keeps of it what it has room for. What is saved beside a checkpoint is the
list of chunks that the window reaches into. What is sampled from can lie in a GPU's memory as well.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pokerlab.errors import UserError
from pokerlab.selfplay.examples import Examples, SomeExamples
from pokerlab.selfplay.ranks import share
from pokerlab.selfplay.replay import Replay, Ring, by_rank
from pokerlab.store.files import write_atomically


@dataclass(frozen=True, slots=True)
class Chunk:
    """Examples that were added together."""

    name: str
    """Of its file."""
    first: int
    """How many examples were added before."""
    columns: dict[str, Tensor]
    """As :func:`packed` makes them, mapped from the file."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def end(self) -> int:
        """How many examples were added up to its last."""
        return self.first + len(self)


class DiskReplay(Replay[SomeExamples]):
    """The newest examples, in files; what was sampled is as in memory, rounded to half precision.

    It never removes a file: which chunks are still needed depends on the checkpoints there are.

    Args:
        none: no examples, of the kind to keep.
        folder: of the chunks; made when the first is written.
        name: what the chunks' names begin with.
        capacity: see :class:`Replay`.
        newest: likewise.
    """

    def __init__(
        self, none: SomeExamples, folder: Path, name: str, *, capacity: int, newest: float = 1.0
    ) -> None:
        super().__init__(none, pack(none), capacity=capacity, newest=newest)
        self.folder, self.name = folder, name
        self._chunks: list[Chunk] = []  # the window, and the one before the last add, reach into these
        self._ring: Ring | None = None  # of the window, on a device

    def add(self, examples: SomeExamples) -> None:
        """Writes examples, forgetting the oldest.

        Raises:
            OSError: they cannot be written; names the file.
        """
        oldest = self.added - self.window(self.added)
        self._chunks = [chunk for chunk in self._chunks if chunk.end > oldest]
        if new := len(examples):
            name = f"{self.name}-{self.added:012d}.pt"
            columns = pack(examples)
            write_atomically(self.folder / name, lambda file: torch.save(columns, file))
            self._chunks.append(self._open(name, self.added, new))
            if self._ring is not None:
                self._ring.add(columns, self.added, self.window(self.added), self.capacity + new)
        self.added += new

    def _open(self, name: str, first: int, examples: int) -> Chunk:
        return Chunk(name, first, self._kind.complete(open_chunk(self.folder / name, examples)))

    def keep_on(self, device: torch.device | None) -> None:
        if device is None:
            self._ring = None
        elif self._ring is None or self._ring.device != device:
            self._ring = Ring(self._none, self._kind.on_host, device)
            first = self.added - self.window(self.added)
            for chunk in self._chunks:
                columns = {
                    name: column[max(first - chunk.first, 0) :] for name, column in chunk.columns.items()
                }
                before = max(chunk.first, first)
                self._ring.add(columns, before, before - first, self.added - first)

    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        if self._ring is not None:
            return self._ring.read(index, names)
        return gather(self._chunks, index, names, pinned=pinned)

    def unpack(self, packed: SomeExamples) -> SomeExamples:
        return self._kind(**unpack(packed.columns(), self._kind.distributions))

    def contents(self, added: int) -> dict[str, Any]:
        window = self.window(added)
        needed = [chunk for chunk in self._chunks if chunk.first < added and chunk.end > added - window]
        return {"added": added, "window": window, "chunks": {chunk.name: len(chunk) for chunk in needed}}

    def divide(self, saved: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> dict[str, Any]:
        """Every so many of all chunks; ranks have more or less the same number of examples."""
        chunks = dict([chunk for each in saved for chunk in each["chunks"].items()][rank::ranks])
        there, window = sum(chunks.values()), sum(share(each["window"], rank, ranks) for each in saved)
        added = sum(share(each["added"], rank, ranks) for each in saved)
        return {"added": max(added, there), "window": min(window, there), "chunks": chunks}

    def restore(self, contents: Mapping[str, Any]) -> None:
        """Takes over what :meth:`contents` gave, of a replay of any capacity: opens the chunks.

        Raises:
            UserError: one is missing or truncated.
        """
        chunks: Mapping[str, int] = contents["chunks"]
        self.added = contents["added"]
        self._oldest = self.added - contents["window"]
        self._chunks, self._weights, self._ring = [], None, None
        first = self.added - sum(chunks.values())
        for name, examples in chunks.items():
            self._chunks.append(self._open(name, first, examples))
            first += examples


def pack(examples: Examples) -> dict[str, Tensor]:
    """Columns in half precision, probabilities as multiples of the uniform one.

    Half precision has fewer bits below 6e-5 and nothing below 6e-8.
    """
    columns = examples.columns()
    for name in examples.distributions:
        columns[name] = columns[name] * columns[name].shape[-1]
    return {  # copies: saved is all that a view is of
        name: column.to(
            torch.float16 if column.is_floating_point() else column.dtype,
            copy=True,
            memory_format=torch.contiguous_format,
        )
        for name, column in columns.items()
    }


def unpack(columns: Mapping[str, Tensor], distributions: Sequence[str]) -> dict[str, Tensor]:
    """The inverse of :func:`packed`."""
    single = {
        name: column.float() if column.is_floating_point() else column for name, column in columns.items()
    }
    for name in single.keys() & {*distributions}:
        single[name] /= single[name].shape[-1]
    return single


def gather(
    chunks: Sequence[Chunk], index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
) -> dict[str, Tensor]:
    """Columns of the examples that ``index`` counts from the first ever added; visits each chunk once.

    Args:
        chunks: in order, without gaps; ``index`` points into these.
        index: ascending, at least one.
        names: of the columns; None: all.
        pinned: whether they come in pages that are quick to copy to a GPU.
    """
    bounds = [
        *torch.searchsorted(index, torch.tensor([chunk.first for chunk in chunks])).tolist(),
        len(index),
    ]
    found = {
        name: torch.empty(len(index), *column.shape[1:], dtype=column.dtype, pin_memory=pinned)
        for name, column in chunks[0].columns.items()
        if names is None or name in names
    }
    for chunk, begin, end in zip(chunks, bounds, bounds[1:], strict=False):
        if begin < end:
            rows = index[begin:end] - chunk.first
            for name, column in found.items():
                torch.index_select(chunk.columns[name], 0, rows, out=column[begin:end])
    return found


def open_chunk(path: Path, examples: int) -> dict[str, Tensor]:
    """A chunk's columns, mapped into memory.

    Raises:
        UserError: it is not a whole chunk of so many examples.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path)
        columns: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        found = len(next(iter(columns.values())))
    except Exception as error:  # what torch.load raises depends on what the file is
        raise UserError(f"{path}, a part of the replay, is missing or damaged") from error
    if found != examples:
        raise UserError(f"{path}, a part of the replay, has {found} examples instead of {examples}")
    return columns


def chunk_files(contents: Mapping[str, Any]) -> dict[str, int]:
    """What saved replays lie in: name of a chunk's file → its examples. Nothing, if they were in memory."""
    return {
        name: examples
        for replays in contents.values()
        for replay in by_rank(replays)
        for name, examples in replay.get("chunks", {}).items()
    }
