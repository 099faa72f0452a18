"""Belief states of several kinds, for each of which a network learns: how many there are, the host knows."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pokerlab.cuda import send


class Kinds:
    """``n`` rows of several kinds, and the order in which each kind's rows lie together.

    Args:
        kind_of: ``[n]``; the host waits for it, if it is on a device.
        number: how many kinds there are.
        device: of the rows.
    """

    def __init__(self, kind_of: Tensor, number: int, device: torch.device) -> None:
        kinds = kind_of.cpu().numpy()
        order = kinds.argsort(kind="stable")
        self.counts: list[int] = np.bincount(kinds, minlength=number).tolist()
        """How many rows each kind has."""
        self._sorted = bool((np.diff(kinds) >= 0).all())
        if not self._sorted:
            both = torch.from_numpy(np.stack([order, order.argsort()]))
            self._order, self._back = send(both, device).unbind()

    def sort(self, rows: Tensor) -> Tensor:
        """``[n, ...]`` with the rows of the first kind first."""
        return rows if self._sorted else rows.index_select(0, self._order)

    def unsort(self, rows: Tensor) -> Tensor:
        """The inverse."""
        return rows if self._sorted else rows.index_select(0, self._back)

    def parts(self, *bounds: int) -> Iterator[tuple[slice, slice]]:
        """The kinds before, between and from ``bounds``, as far as they have rows; and those."""
        ends = [*bounds, len(self.counts)]
        for first, last in zip([0, *bounds], ends, strict=True):
            before, here = sum(self.counts[:first]), sum(self.counts[first:last])
            if here:
                yield slice(first, last), slice(before, before + here)


def pad(counts: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Gives each kind as many rows as the most have.

    Args:
        counts: ``[k]`` rows of each kind, at least one, the first kind's first.
        device: to work on.

    Returns:
        ``[k · most]`` rows, copies among them, by kinds; ``[n]`` where each row is there.
    """
    most, ends = max(counts), np.cumsum(counts)
    begins = ends - counts
    within = np.minimum(np.arange(most), np.array(counts)[:, None] - 1)
    places = np.arange(ends[-1]) + np.repeat(most * np.arange(len(counts)) - begins, counts)
    both = np.concatenate([(within + begins[:, None]).ravel(), places])
    rows, place = send(torch.from_numpy(both), device).tensor_split([len(both) - len(places)])
    return rows, place
