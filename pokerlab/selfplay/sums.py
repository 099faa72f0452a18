"""A replay of examples that are added up by a key: all that was ever added, in a row a key.

A mean squared error, or a cross-entropy, over many examples of the same input has the gradient of one over
their mean, weighted by their number. So where inputs can be listed, nothing is lost, and the most that can be
learned from is one batch.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pokerlab.selfplay.examples import SomeExamples
from pokerlab.selfplay.replay import Replay

KEY = "key"


class SumReplay(Replay[SomeExamples]):
    """Sums in double precision; every sample is all of them.

    Args:
        none: no examples, of the kind to add up: they have ``key``, ``[n]`` int64, and columns to be summed.
        capacity: the number of keys.
    """

    def __init__(self, none: SomeExamples, *, capacity: int) -> None:
        super().__init__(none, none.columns(), capacity=capacity, newest=1.0)
        self._sums = {
            name: torch.arange(capacity)
            if name == KEY
            else column.new_zeros(capacity, *column.shape[1:]).double()
            for name, column in none.columns().items()
        }
        self._before = (0, self._sums)  # the last examples were added

    def window(self, added: int) -> int:
        """How many keys can be sampled, if anything was ever added."""
        return self.capacity if added else 0

    def batch(self, size: int) -> int:
        return self.capacity

    def add(self, examples: SomeExamples) -> None:
        self._before = (self.added, self._sums)
        columns = examples.columns()
        keys = columns.pop(KEY)
        self._sums = self._sums | {
            name: self._sums[name].index_add(0, keys, column.to(self._sums[name]))
            for name, column in columns.items()
        }
        self.added += len(examples)

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        return torch.arange(self.capacity)

    def keep_on(self, device: torch.device | None) -> None:
        """They are small, and stay where they are."""

    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        return self._sums

    def contents(self, added: int) -> dict[str, Any]:
        sums = self._sums if added == self.added else self._before[1]
        return {"added": added, "columns": sums}

    def divide(self, saved: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> dict[str, Any]:
        """An equal part of all sums."""
        columns = {
            name: column
            if name == KEY
            else torch.stack([each["columns"][name] for each in saved]).sum(0) / ranks
            for name, column in saved[0]["columns"].items()
        }
        return {"added": sum(each["added"] for each in saved), "columns": columns}

    def restore(self, contents: Mapping[str, Any]) -> None:
        self.added, self._sums = contents["added"], dict(contents["columns"])
        self._before = (self.added, self._sums)
