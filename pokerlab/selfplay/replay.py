"""The newest examples, and how they can be saved as of the end of any finished iteration.

More is kept than the window that training samples from, by at least what one iteration adds. So while an
iteration is under way, the window of the one before it is still whole: a run that is interrupted saves that.
In memory this is a ring; on disk, see :mod:`pokerlab.selfplay.replay_on_disk`. Where learning is on a GPU, a
ring there can hold what is sampled.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any, Generic

import torch
from torch import Tensor

from pokerlab.selfplay.examples import SomeExamples
from pokerlab.selfplay.ranks import share

GROWTH = 1.25
"""By how much a ring that is full grows, if it may."""
HOST = torch.device("cpu")
RANKS = "ranks"
"""Under this, saved contents of a stream's replays stand, if it has several: a list."""


def by_rank(contents: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The saved contents of a stream's replays."""
    return list(contents[RANKS]) if RANKS in contents else [dict(contents)]


def divide_rows(saved: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> tuple[int, dict[str, Tensor]]:
    """Of rows that replays have kept, a rank's share, oldest first; and how many it counts as ever added."""
    names = saved[0]["columns"]
    every = slice(rank, None, ranks)
    columns = {name: torch.cat([each["columns"][name][every] for each in saved]) for name in names}
    rows = [len(next(iter(each["columns"].values()))) for each in saved]
    age = torch.cat([torch.arange(number, 0, -1)[every] for number in rows])
    order = age.argsort(descending=True, stable=True)
    added = sum(share(each["added"], rank, ranks) for each in saved)
    return max(added, len(order)), {name: column[order] for name, column in columns.items()}


class Ring:
    """The newest rows of some columns, in the memory of one device, or of the host.

    Args:
        none: the columns, without rows.
        on_host: those that stay in the host's memory.
        device: of the others.
    """

    def __init__(
        self, none: Mapping[str, Tensor], on_host: Collection[str] = (), device: torch.device = HOST
    ) -> None:
        self.device, self._on_host = device, on_host
        self.columns = {name: column.to(self._where(name)) for name, column in none.items()}
        self.rows = 0

    def _where(self, name: str) -> torch.device:
        return HOST if name in self._on_host else self.device

    def add(self, columns: Mapping[str, Tensor], added: int, kept: int, most: int) -> None:
        """Appends rows.

        Args:
            columns: on any device.
            added: how many rows were ever added before.
            kept: how many of these stay.
            most: rows that it need not be larger than.
        """
        new = len(next(iter(columns.values())))
        if kept + new > self.rows:
            self._grow(added, kept, max(kept + new, min(int(GROWTH * self.rows), most)))
        rows = self._places(torch.arange(added, added + new))
        for name, column in columns.items():
            self.columns[name][rows[name]] = column.to(self._where(name))

    def _grow(self, added: int, kept: int, rows: int) -> None:
        for name, column in self.columns.items():
            larger = column.new_zeros(rows, *column.shape[1:])
            if kept:
                index = torch.arange(added - kept, added, device=column.device)
                larger[index % rows] = column[index % self.rows]
            self.columns[name] = larger
        self.rows = rows

    def read(self, index: Tensor, names: Collection[str] | None = None) -> dict[str, Tensor]:
        """Columns, or some of them, of the rows that ``index`` counts from the first ever added."""
        rows = self._places(index)
        return {name: self.columns[name][rows[name]] for name in names or self.columns}

    def _places(self, index: Tensor) -> dict[str, Tensor]:
        """The rows, where each column is."""
        here = index % max(self.rows, 1)
        there = here.to(self.device, non_blocking=self.device.type == "cuda")
        return {name: here if name in self._on_host else there for name in self.columns}

    def to(self, device: torch.device) -> "Ring":
        """The same rows there."""
        moved = Ring(self.columns, self._on_host, device)
        moved.rows = self.rows
        return moved


class Replay(ABC, Generic[SomeExamples]):
    """The newest examples, wherever they are kept.

    Args:
        none: no examples, of the kind to keep.
        kept_as: the columns that are kept of them.
        capacity: the most examples to sample from.
        newest: the share of all examples ever added that may be sampled: early ones come from a network
            that knew nothing.
    """

    always = True
    """Whether batches have some of it after an iteration, too, that added none."""

    def __init__(
        self, none: SomeExamples, kept_as: Mapping[str, Tensor], *, capacity: int, newest: float
    ) -> None:
        if capacity < 1:
            raise ValueError(f"replay capacity must be at least 1, got {capacity}")
        if not 0 < newest <= 1:
            raise ValueError(f"newest must lie above 0 and up to 1, got {newest}")
        self.capacity, self.newest = capacity, newest
        self.added = 0
        """How many examples were ever added."""
        self._kind, self._none = type(none), kept_as
        self._oldest = 0  # how many examples were added before the first that a restored replay has
        self._weights: tuple[int, Tensor] | None = None  # of the window when so many were added, summed up

    def window(self, added: int) -> int:
        """How many examples can be sampled after ``added`` were added."""
        wanted = max(round(added * self.newest), min(added, 1))
        return min(self.capacity, wanted, added - self._oldest)

    def batch(self, size: int) -> int:
        """How many examples there are in a sample of ``size``."""
        return size

    @property
    def bytes_to_sample(self) -> float:
        """About what a ring takes that holds all that is sampled from."""
        each = sum(prod(column.shape[1:]) * column.element_size() for column in self._none.values())
        return GROWTH * self.window(self.added) * each

    def sample(self, size: int, generator: torch.Generator) -> SomeExamples:
        """``size`` examples of the window, by their weights or uniformly, with replacement; the oldest first.

        Raises:
            ValueError: there are none.
        """
        return self.unpack(self.gather(self.draw(size, generator)))

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Which examples to sample, counted from the first ever added, ascending, on the CPU."""
        window = self.window(self.added)
        if not window:
            raise ValueError("the replay is empty: self-play produced no examples of this kind")
        weights = self._summed_weights(window)
        total = window if weights is None else int(weights[-1])
        index = torch.randint(total, (size,), generator=generator)
        if weights is not None:
            index = torch.searchsorted(weights, index, right=True)
        return self.added - window + index.sort().values

    def gather(self, index: Tensor, *, pinned: bool = False) -> SomeExamples:
        """Examples as they are kept, and where they are; :meth:`unpack` makes of them what was added.

        Args:
            index: as :meth:`draw` gives it.
            pinned: whether those in the host's memory come in pages that are quick to copy to a GPU.
        """
        return self._kind(**self._read(index, pinned=pinned))

    def unpack(self, packed: SomeExamples) -> SomeExamples:
        """The inverse of how examples are kept, on their device."""
        return packed

    @abstractmethod
    def keep_on(self, device: torch.device | None) -> None:
        """Has what is sampled lie in the memory of ``device`` from now on; None: where it was at first."""

    def _summed_weights(self, window: int) -> Tensor | None:
        """``[window]`` the weights of each example and those before it; None: examples have none."""
        if "weight" not in self._kind.__dataclass_fields__:
            return None
        if self._weights is None or self._weights[0] != self.added:
            weights = self._read(torch.arange(self.added - window, self.added), ["weight"])["weight"]
            self._weights = self.added, weights.cpu().long().cumsum(0)
        return self._weights[1]

    @abstractmethod
    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        """Columns as they are kept, or some of them, of the examples that ascending ``index`` counts from the
        first ever added."""

    @abstractmethod
    def add(self, examples: SomeExamples) -> None:
        """Appends examples, forgetting the oldest."""

    @abstractmethod
    def contents(self, added: int) -> dict[str, Any]:
        """What to save, as of when ``added`` examples had been added: now, or one iteration ago."""

    @abstractmethod
    def restore(self, contents: Mapping[str, Any]) -> None:
        """Takes over what :meth:`contents` gave, of a replay of any capacity.

        Where this one would sample from more examples than were saved, its window starts with those and
        grows as examples are added.
        """

    def divide(self, saved: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> dict[str, Any]:
        """What to restore as one of ``ranks``, of what another number of them has saved."""
        added, columns = divide_rows(saved, rank, ranks)
        return {"added": added, "columns": columns}


class MemoryReplay(Replay[SomeExamples]):
    """A ring in memory; its contents are the examples themselves.

    Args:
        none: no examples, of the kind to keep.
        capacity: see :class:`Replay`.
        newest: likewise.
    """

    def __init__(self, none: SomeExamples, *, capacity: int, newest: float = 1.0) -> None:
        super().__init__(none, none.columns(), capacity=capacity, newest=newest)
        self._ring = Ring(self._none, self._kind.on_host)

    def add(self, examples: SomeExamples) -> None:
        new = len(examples)
        kept = self.window(self.added)
        self._ring.add(examples.columns(), self.added, kept, self.capacity + 2 * new)
        self.added += new

    def keep_on(self, device: torch.device | None) -> None:
        if self._ring.device != (wanted := device or torch.device("cpu")):
            self._ring = self._ring.to(wanted)

    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        found = self._ring.read(index, names)
        if not pinned or self._ring.device.type != "cpu":
            return found
        return {name: column.pin_memory() for name, column in found.items()}

    def contents(self, added: int) -> dict[str, Any]:
        found = self._read(torch.arange(added - self.window(added), added))
        return {"added": added, "columns": {name: column.cpu() for name, column in found.items()}}

    def restore(self, contents: Mapping[str, Any]) -> None:
        columns = self._kind.complete(contents["columns"])
        self._weights, self.added = None, contents["added"]
        saved = len(next(iter(columns.values())))
        self._oldest = self.added - saved
        self._ring = Ring(self._none, self._kind.on_host)
        self._ring.add(columns, self._oldest, 0, saved)


class IterationReplay(Replay[SomeExamples]):
    """What the newest iteration added, in memory: each example is drawn before any is drawn again.

    For what learns from its own newest play alone. There is nothing to save: play comes first again.

    Args:
        none: no examples, of the kind to keep.
    """

    always = False

    def __init__(self, none: SomeExamples) -> None:
        super().__init__(none, none.columns(), capacity=1, newest=1.0)
        self._examples, self._order = none, torch.zeros(0, dtype=torch.int64)

    def window(self, added: int) -> int:
        return len(self._examples) if added == self.added else 0

    def batch(self, size: int) -> int:
        return min(size, len(self._examples))

    def add(self, examples: SomeExamples) -> None:
        self._examples, self._order = examples, self._order[:0]
        self.added += len(examples)

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """See :meth:`Replay.draw`: all, if there are no more than ``size``; no example twice."""
        if not (window := len(self._examples)):
            raise ValueError("self-play produced no examples of this kind")
        if size >= window:
            drawn = torch.arange(window)
        else:
            if size > len(self._order):
                self._order = torch.randperm(window, generator=generator)
            drawn, self._order = self._order[:size].sort().values, self._order[size:]
        return self.added - window + drawn

    def keep_on(self, device: torch.device | None) -> None:
        self._examples = self._examples.to(device or torch.device("cpu"))

    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        columns, rows = self._examples.columns(), index - (self.added - len(self._examples))
        found = {name: columns[name][rows.to(columns[name].device)] for name in names or columns}
        return {name: column.pin_memory() for name, column in found.items()} if pinned else found

    def contents(self, added: int) -> dict[str, Any]:
        return {"added": added, "columns": dict(self._none)}

    def restore(self, contents: Mapping[str, Any]) -> None:
        self.added = contents["added"]
        self._examples = self._kind(**self._none)
