"""The newest examples, and how they can be saved as of the end of any finished iteration.

More is kept than the window that training samples from, by at least what one iteration adds. So while an
iteration is under way, the window of the one before it is still whole: a run that is interrupted saves that.
In memory this is a ring; on disk, see :mod:`pokerlab.selfplay.replay_on_disk`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, Generic

import torch
from torch import Tensor

from pokerlab.selfplay.examples import SomeExamples


class Replay(ABC, Generic[SomeExamples]):
    """The newest examples, wherever they are kept.

    Args:
        capacity: the most examples to sample from.
        newest: the share of all examples ever added that may be sampled: early ones come from a network
            that knew nothing.
    """

    _kind: type[SomeExamples]

    def __init__(self, *, capacity: int, newest: float) -> None:
        if capacity < 1:
            raise ValueError(f"replay capacity must be at least 1, got {capacity}")
        if not 0 < newest <= 1:
            raise ValueError(f"newest must lie above 0 and up to 1, got {newest}")
        self.capacity, self.newest = capacity, newest
        self.added = 0
        """How many examples were ever added."""
        self._oldest = 0  # how many examples were added before the first that a restored replay has
        self._weights: tuple[int, Tensor] | None = None  # of the window when so many were added, summed up

    def window(self, added: int) -> int:
        """How many examples can be sampled after ``added`` were added."""
        wanted = max(round(added * self.newest), min(added, 1))
        return min(self.capacity, wanted, added - self._oldest)

    def sample(self, size: int, generator: torch.Generator) -> SomeExamples:
        """``size`` examples of the window, by their weights or uniformly, with replacement.

        Raises:
            ValueError: there are none.
        """
        window = self.window(self.added)
        if not window:
            raise ValueError("the replay is empty: self-play produced no examples of this kind")
        weights = self._summed_weights(window)
        total = window if weights is None else int(weights[-1])
        index = torch.randint(total, (size,), generator=generator)
        if weights is not None:
            index = torch.searchsorted(weights, index, right=True)
        return self._kind(**self._read(self.added - window + index))

    def _summed_weights(self, window: int) -> Tensor | None:
        """``[window]`` the weights of each example and those before it; None: examples have none."""
        if "weight" not in self._kind.__dataclass_fields__:
            return None
        if self._weights is None or self._weights[0] != self.added:
            weights = self._read(torch.arange(self.added - window, self.added), ["weight"])["weight"]
            self._weights = self.added, weights.long().cumsum(0)
        return self._weights[1]

    @abstractmethod
    def _read(self, index: Tensor, names: Collection[str] | None = None) -> dict[str, Tensor]:
        """Columns, or some of them, of the examples that ``index`` counts from the first ever added."""

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


class MemoryReplay(Replay[SomeExamples]):
    """A ring in memory; its contents are the examples themselves.

    Args:
        none: no examples, of the kind to keep.
        capacity: see :class:`Replay`.
        newest: likewise.
    """

    def __init__(self, none: SomeExamples, *, capacity: int, newest: float = 1.0) -> None:
        super().__init__(capacity=capacity, newest=newest)
        self._kind = type(none)
        self._columns = none.columns()
        self._rows = 0

    def add(self, examples: SomeExamples) -> None:
        new = len(examples)
        needed = self.window(self.added) + new
        if needed > self._rows:
            self._grow(max(needed, min(2 * self._rows, self.capacity + 2 * new)))
        rows = (self.added + torch.arange(new)) % max(self._rows, 1)
        for name, column in examples.columns().items():
            self._columns[name][rows] = column
        self.added += new

    def _grow(self, rows: int) -> None:
        kept = torch.arange(self.added - self.window(self.added), self.added)
        for name, column in self._columns.items():
            larger = column.new_zeros(rows, *column.shape[1:])
            if len(kept):
                larger[kept % rows] = column[kept % self._rows]
            self._columns[name] = larger
        self._rows = rows

    def _read(self, index: Tensor, names: Collection[str] | None = None) -> dict[str, Tensor]:
        rows = index % max(self._rows, 1)
        return {name: self._columns[name][rows] for name in names or self._columns}

    def contents(self, added: int) -> dict[str, Any]:
        return {"added": added, "columns": self._read(torch.arange(added - self.window(added), added))}

    def restore(self, contents: Mapping[str, Any]) -> None:
        columns = self._kind.complete(contents["columns"])
        self._weights = None
        self.added = contents["added"]
        saved = len(next(iter(columns.values())))
        self._oldest = self.added - saved
        index = torch.arange(self._oldest, self.added)
        self._rows = max(saved, 1)
        for name, column in columns.items():
            self._columns[name] = column.new_zeros(self._rows, *column.shape[1:])
            self._columns[name][index % self._rows] = column
