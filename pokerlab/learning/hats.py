"""Bins of hands: which of them hands belong to, and sums over bins of what hands have."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pokerlab.cuda import send
from pokerlab.learning import hat_loops
from pokerlab.loops import NUMBA


class Columns(NamedTuple):
    """Sums are by bin and column, such as a card: a hand has part in some of ``X`` columns."""

    of: Tensor
    """``[H, Q]`` a hand's columns."""
    signs: Tensor
    """``[Q]`` what it counts there."""
    number: int
    """``X``."""


class Hats:
    """Hands in bins: hat functions along two coordinates, ``J`` bins a hand.

    In compiled loops on the CPU, by tensor operations elsewhere.

    Args:
        places: ``[n, 2, H]`` percentiles, negative: no bin, and potentials, from 0 to 1.
        bins: ``K`` along the percentile.
        potentials: ``P`` along the potential.
    """

    def __init__(self, places: Tensor, bins: int, potentials: int) -> None:
        self.bins = bins * potentials
        self.possible = places[:, 0] >= 0
        """``[n, H]``."""
        self._in_loops = NUMBA and places.device.type == "cpu"
        if self._in_loops:
            self._placed = hat_loops.place(places.numpy(), bins, potentials)
            return
        first, along = find_hat(places[:, 0], bins)
        weight = _of_both(along) * self.possible[..., None]
        if potentials > 1:
            second, above = find_hat(places[:, 1], potentials)
            first = torch.add(second, first, alpha=potentials)
            weight = (weight[..., None] * _of_both(above)[..., None, :]).flatten(-2)
        self._index = first[..., None] + _steps(potentials, places.device)  # [n, H, J]
        self._weight = weight
        self._index_by: tuple[Tensor, Tensor] | None = None

    def collect(self, values: Tensor, by: Columns | None = None) -> Tensor:
        """``[n, C, H]`` of hands → ``[n, C, B]`` sums in bins, or ``[n, C, B, X]`` by column too."""
        shape = (*values.shape[:2], self.bins, by.number if by else 1)
        if self._in_loops:
            sums = values.new_empty(shape)
            hat_loops.collect(values.numpy(), self._placed, *self._columns(by), sums.numpy())
            return sums if by else sums[..., 0]
        spread = values[..., None] * self._weight[:, None]
        if by:
            spread = spread[..., None] * by.signs
        sums = values.new_zeros(shape).flatten(2)
        sums.scatter_add_(2, self._index_of(by).expand(-1, values.shape[1], -1), spread.flatten(2))
        return sums.view(shape) if by else sums

    def spread(self, values: Tensor, by: Columns | None = None) -> Tensor:
        """The transpose of :meth:`collect`, with gradients: ``[n, C, B]``, or by column, → ``[n, C, H]``."""
        found: Tensor = _Spread.apply(values, self, by)  # type: ignore[no-untyped-call]
        return found

    def pick(self, values: Tensor, by: Columns | None) -> Tensor:
        """:meth:`spread` without a gradient."""
        if self._in_loops:
            found = values.new_empty(*values.shape[:2], self.possible.shape[1])
            given = values if by else values[..., None]
            hat_loops.spread(given.contiguous().numpy(), self._placed, *self._columns(by), found.numpy())
            return found
        found = values.flatten(2).gather(2, self._index_of(by).expand(-1, values.shape[1], -1))
        weight = self._weight[..., None] * by.signs if by else self._weight
        weight = weight[:, None].flatten(3)  # [n, 1, H, J · Q]
        return (found.unflatten(2, weight.shape[2:]) * weight).sum(3)

    def _columns(self, by: Columns | None) -> tuple[np.ndarray, np.ndarray]:
        """Of loops, with signs."""
        hands = self.possible.shape[1]
        if by is None:
            return np.zeros((hands, 1), np.int64), np.ones(1, self._placed.weight.dtype)
        return by.of.numpy(), by.signs.numpy()

    def _index_of(self, by: Columns | None) -> Tensor:
        """``[n, 1, H · J]`` or ``[n, 1, H · J · Q]``."""
        if by is None:
            return self._index.flatten(1)[:, None]
        if self._index_by is None or self._index_by[0] is not by.of:
            index = torch.add(by.of[:, None], self._index[..., None], alpha=by.number)
            self._index_by = by.of, index.flatten(1)[:, None]
        return self._index_by[1]


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, hats: Hats, by: Columns | None) -> Tensor:
        ctx.given = hats, by
        return hats.pick(values, by)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        hats, by = ctx.given
        return hats.collect(gradient, by), None, None


def find_hat(coordinate: Tensor, knots: int) -> tuple[Tensor, Tensor]:
    """The knot at or below each coordinate in [0, 1], and how far it is above that, in knots."""
    place = coordinate.clamp(0, 1) * (knots - 1)
    lower = place.long().clamp(0, knots - 2)  # NaN has a bin, too
    return lower, place - lower


@cache
def _steps(potentials: int, device: torch.device) -> Tensor:
    """``[J]`` how far a hand's bins are above the first of them: a CUDA graph must find them there."""
    steps = [0, potentials] if potentials == 1 else [0, 1, potentials, potentials + 1]
    return send(torch.tensor(steps), device)


def _of_both(above: Tensor) -> Tensor:
    """``[..., 2]`` the weights of the knots below and above."""
    return torch.stack([1 - above, above], -1)
