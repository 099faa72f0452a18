"""A reservoir: a uniform sample of all examples that were ever added (Vitter 1985, algorithm R)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.selfplay.examples import SomeExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.replay import GROWTH, Replay, divide_rows


class ReservoirReplay(Replay[SomeExamples]):
    """Keeps each example that was ever added with the same probability; once it is full, in place of others.

    Args:
        none: no examples, of the kind to keep.
        capacity: the most examples that are kept.
        seed: of which are.
        rank: of the process that keeps them, where several do.
    """

    always = False

    def __init__(self, none: SomeExamples, *, capacity: int, seed: int, rank: int = 0) -> None:
        super().__init__(none, none.columns(), capacity=capacity, newest=1.0)
        self._seed, self._rank, self._kept = seed, (rank,) if rank else (), dict(none.columns())
        self._replaced: tuple[int, Tensor, dict[str, Tensor]] = (0, torch.empty(0, dtype=torch.int64), {})
        """Before the newest were added: how many had been, and the rows that were then lost."""

    def window(self, added: int) -> int:
        """How many examples are kept after ``added`` were added."""
        return min(added, self.capacity)

    def add(self, examples: SomeExamples) -> None:
        before, new = self.window(self.added), len(examples)
        count = torch.arange(self.added, self.added + new)
        draws = torch.rand(
            new, generator=random_stream(self._seed, self.added, *self._rank), dtype=torch.float64
        )
        row = torch.where(count < self.capacity, count, (draws * (count + 1)).long().clamp(max=count))
        # of those that would go to one row, the last; those beyond the last row are not kept
        rows, at = np.unique(row.numpy()[::-1], return_index=True)
        here = torch.as_tensor(rows[rows < self.capacity])
        which = torch.as_tensor(new - 1 - at[rows < self.capacity])
        old = here[here < before]
        self._replaced = self.added, old, {name: kept[old] for name, kept in self._kept.items()}
        self.added += new
        for name, column in examples.columns().items():
            kept = self._grow(name, self.window(self.added))
            kept[here] = column[which].to(kept.device)

    def _grow(self, name: str, rows: int) -> Tensor:
        kept = self._kept[name]
        if len(kept) < rows:
            larger = kept.new_empty(min(max(rows, int(GROWTH * len(kept))), self.capacity), *kept.shape[1:])
            larger[: len(kept)] = kept
            self._kept[name] = larger
        return self._kept[name]

    def keep_on(self, device: torch.device | None) -> None:
        wanted = device or torch.device("cpu")
        self._kept = {name: kept.to(wanted) for name, kept in self._kept.items()}

    def _read(
        self, index: Tensor, names: Collection[str] | None = None, *, pinned: bool = False
    ) -> dict[str, Tensor]:
        rows = index - (self.added - self.window(self.added))
        found = {name: self._kept[name][rows.to(self._kept[name].device)] for name in names or self._kept}
        return {name: each.pin_memory() for name, each in found.items()} if pinned else found

    def contents(self, added: int) -> dict[str, Any]:
        kept = {name: each[: self.window(added)].cpu().clone() for name, each in self._kept.items()}
        if added != self.added:
            _, rows, lost = self._replaced
            for name, column in lost.items():
                kept[name][rows] = column.cpu()
        return {"added": added, "columns": kept}

    def divide(self, saved: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> dict[str, Any]:
        added, columns = divide_rows(saved, rank, ranks)
        rows = len(next(iter(columns.values())))
        if rows and rows < (
            wanted := self.window(added)
        ):  # of ranks some of which had room: some count twice
            columns = {name: column[torch.arange(wanted) % rows] for name, column in columns.items()}
        return {
            "added": added,
            "columns": {name: column[: self.capacity] for name, column in columns.items()},
        }

    def restore(self, contents: Mapping[str, Any]) -> None:
        self._weights, self.added = None, contents["added"]
        self._kept = dict(contents["columns"])
        self._replaced = (self.added, torch.empty(0, dtype=torch.int64), {})
