"""Hands in order of strength, on many boards at once: payoffs of showdowns and percentiles need it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Ints
from pokerlab.loops import NUMBA, jit


def order_by_strength(strength: NDArray[Any]) -> tuple[Ints, Ints]:
    """Of ``[n, H]`` strengths: the order, weakest first, and where the tie group of each place ends.

    What ties stays in the order of hands.
    """
    if NUMBA:
        order, ends = np.empty((2, *strength.shape), np.int64)
        _order_by_strength(strength, order, ends)
        return order, ends
    order = strength.argsort(-1, kind="stable")
    ascending = np.take_along_axis(strength, order, -1)
    last = np.ones_like(ascending, dtype=bool)
    last[:, :-1] = ascending[:, 1:] != ascending[:, :-1]
    ends = np.where(last, np.arange(1, strength.shape[1] + 1), strength.shape[1])
    return order, np.minimum.accumulate(ends[:, ::-1], -1)[:, ::-1]


@jit
def _order_by_strength(strength: NDArray[Any], order: Ints, ends: Ints) -> None:
    """Sets order and ends: hands are counted into as many equal parts as there are hands; what is left to do
    in a part is little."""
    hands = strength.shape[1]
    first, part_of = np.empty(hands + 1, np.int64), np.empty(hands, np.int64)
    for row in range(strength.shape[0]):
        of_hand, at = strength[row], order[row]
        lowest, highest = float(of_hand.min()), float(of_hand.max())
        parts = (hands - 1) / (highest - lowest) if highest > lowest else 0.0
        first[:] = 0
        for hand in range(hands):
            part_of[hand] = int((float(of_hand[hand]) - lowest) * parts)
            first[part_of[hand] + 1] += 1
        for part in range(hands):
            first[part + 1] += first[part]
        for hand in range(hands):
            at[first[part_of[hand]]] = hand
            first[part_of[hand]] += 1
        for place in range(1, hands):
            hand, before = at[place], place
            while before > 0 and of_hand[at[before - 1]] > of_hand[hand]:
                at[before] = at[before - 1]
                before -= 1
            at[before] = hand
        end = hands
        for place in range(hands - 1, -1, -1):
            if place + 1 < hands and of_hand[at[place]] != of_hand[at[place + 1]]:
                end = place + 1
            ends[row, place] = end
