"""What :mod:`pokerlab.learning.hats` does, in compiled loops: one belief state after the other."""

from typing import NamedTuple

import numpy as np

from pokerlab.games.payoff_tables import Floats
from pokerlab.loops import jit

BESIDE = 2
"""Bins along one coordinate that a hand belongs to."""


class Placed(NamedTuple):
    """Hands of ``n`` belief states, in bins."""

    bins: np.ndarray
    """``[J]`` how far a hand's bins are above the first of them."""
    first: np.ndarray
    """``[n, H]`` that; −1: the hand is in no bin."""
    weight: Floats
    """``[n, H, J]``."""


@jit
def place(places: Floats, knots: int, potentials: int) -> Placed:
    """See :class:`~pokerlab.learning.hats.Hats`."""
    zero, one = places.dtype.type(0), places.dtype.type(1)
    up = min(potentials, BESIDE)
    bins = np.empty(BESIDE * up, np.int64)
    for i in range(BESIDE):
        for j in range(up):
            bins[i * up + j] = i * potentials + j
    number, hands = places.shape[0], places.shape[2]
    first = np.full((number, hands), -1)
    weight = np.empty((number, hands, len(bins)), places.dtype)
    for state in range(number):
        for hand in range(hands):
            percentile, potential = places[state, 0, hand], places[state, 1, hand]
            if percentile < zero:
                continue
            along = min(percentile, one) * places.dtype.type(knots - 1)
            lower = min(int(along), knots - 2)
            near, above, second = along - places.dtype.type(lower), zero, 0
            if potentials > 1:
                above = min(max(potential, zero), one) * places.dtype.type(potentials - 1)
                second = min(int(above), potentials - 2)
                above -= places.dtype.type(second)
            first[state, hand] = lower * potentials + second
            for i in range(BESIDE):
                for j in range(up):
                    weight[state, hand, i * up + j] = (near if i else one - near) * (
                        above if j else one - above
                    )
    return Placed(bins, first, weight)


@jit
def collect(values: Floats, placed: Placed, columns: np.ndarray, signs: Floats, sums: Floats) -> None:
    """Sums over hands.

    Args:
        values: ``[n, C, H]``.
        placed: the hands.
        columns: ``[H, Q]``.
        signs: ``[Q]``.
        sums: ``[n, C, B, X]`` is set.
    """
    sums[:] = values.dtype.type(0)
    for state in range(values.shape[0]):
        for channel in range(values.shape[1]):
            to = sums[state, channel]
            for hand in range(values.shape[2]):
                first, value = placed.first[state, hand], values[state, channel, hand]
                if first < 0:
                    continue
                for beside in range(len(placed.bins)):
                    here = to[first + placed.bins[beside]]
                    spread = placed.weight[state, hand, beside] * value
                    for q in range(len(signs)):
                        here[columns[hand, q]] += signs[q] * spread


@jit
def spread(values: Floats, placed: Placed, columns: np.ndarray, signs: Floats, found: Floats) -> None:
    """The transpose.

    Args:
        values: ``[n, C, B, X]``.
        placed: the hands.
        columns: ``[H, Q]``.
        signs: ``[Q]``.
        found: ``[n, C, H]`` is set.
    """
    zero = values.dtype.type(0)
    for state in range(values.shape[0]):
        for channel in range(values.shape[1]):
            of = values[state, channel]
            for hand in range(found.shape[2]):
                first, total = placed.first[state, hand], zero
                if first >= 0:
                    for beside in range(len(placed.bins)):
                        here, won = of[first + placed.bins[beside]], zero
                        for q in range(len(signs)):
                            won += signs[q] * here[columns[hand, q]]
                        total += placed.weight[state, hand, beside] * won
                found[state, channel, hand] = total
