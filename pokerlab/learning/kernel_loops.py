"""What :mod:`pokerlab.learning.kernel_network` does with hands, in compiled loops: one leaf after the other.

A leaf's hands are spread over bins by hat functions: a hand belongs to two bins along its percentile, times
two along its potential. The loops go over all of a leaf's hands while they are in the nearest cache; only
matrix products are left to torch.
"""

from typing import Any, NamedTuple

import numpy as np

from pokerlab.games.base import Ints
from pokerlab.games.payoff_tables import Floats
from pokerlab.learning.hat_loops import BESIDE
from pokerlab.loops import jit

LEAST_MASS = 1e-6
"""Of the hands that a hand can meet: below that its value means nothing."""


class RankedHands(NamedTuple):
    """``U`` boards, see :class:`~pokerlab.games.parts.RankedBoards`."""

    order: np.ndarray
    """``[U, H]``."""
    begin: np.ndarray
    """``[U, H]``."""
    end: np.ndarray
    """``[U, H]``."""
    possible: Floats
    """``[U, H]`` 1 or 0."""
    uniform: Floats
    """``[U]`` what the mixture has in each possible hand whatever is believed."""
    lower: np.ndarray
    """``[U, H]`` the bin at or below a hand's potential."""
    above: Floats
    """``[U, H]`` how far it is above that, in bins."""
    cards: np.ndarray
    """``[2, H]``."""


class Bins(NamedTuple):
    """Of ``n`` leaves."""

    first: np.ndarray
    """``[n, H]`` the first bin of each hand."""
    near: Floats
    """``[n, H]`` how far it is from that along the percentile, in bins."""


@jit
def meet(
    held: Floats, won: Floats, weight: float, rounding: float, cards: np.ndarray, met: Floats, worth: Floats
) -> None:
    """What one player's hands meet, and what they can expect if nobody bets.

    Args:
        held: ``[n, H]`` the other player's beliefs.
        won: ``[n, H]`` what hands win from these less what they lose, in units of ``weight``.
        weight: of a pair of hands.
        rounding: share of all mass that may be a difference of rounding errors.
        cards: ``[2, H]``.
        met: ``[n, H]`` is set to the mass of the hands that share no card with each.
        worth: ``[n, H]`` is set to the check-down value.
    """
    zero, number = held.dtype.type(0), int(cards.max()) + 1
    one, scale, share = held.dtype.type(1), held.dtype.type(weight), held.dtype.type(rounding)
    of_card = np.empty(number, held.dtype)
    for leaf in range(held.shape[0]):
        mass, row, value, result = held[leaf], met[leaf], won[leaf], worth[leaf]
        least = _sum_others(mass, cards, of_card, row) * share
        for hand in range(mass.shape[0]):
            meets = row[hand] > zero and row[hand] >= least
            expected = value[hand] / (scale * row[hand] if meets else one)
            result[hand] = min(max(expected, -one), one)


@jit
def _sum_others(mass: Floats, cards: np.ndarray, of_card: Floats, sums: Floats) -> np.floating[Any]:
    """Sets ``[H]`` sums over the hands that share no card with each, and returns that over all."""
    of_card[:] = mass.dtype.type(0)
    for hand in range(mass.shape[0]):
        of_card[cards[0, hand]] += mass[hand]
        of_card[cards[1, hand]] += mass[hand]
    total = mass.dtype.type(0)
    for card in range(len(of_card)):
        total += of_card[card]
    total /= mass.dtype.type(2)
    for hand in range(mass.shape[0]):
        sums[hand] = total + mass[hand] - of_card[cards[0, hand]] - of_card[cards[1, hand]]
    return total


@jit
def collect(
    held: Floats,
    worth: Floats,
    ranked: RankedHands,
    board_of: Ints,
    mixed: float,
    knots: int,
    potentials: int,
    first_player: int,
    last_player: int,
    bins: Bins,
    sums: Floats,
    by_card: Floats,
) -> None:
    """Finds the bins of hands, and what these hold.

    Args:
        held: ``[2, n, H]`` both players' beliefs.
        worth: ``[2, n, H]`` their check-down values.
        ranked: the boards.
        board_of: ``[n]``.
        mixed: weight of either belief in the mixture that percentiles are of.
        knots: ``K`` along the percentile.
        potentials: ``P`` along the potential.
        first_player: whose hands are summed by card.
        last_player: exclusive.
        bins: are set.
        sums: ``[n, 4, B]`` is set to both beliefs, and these times the check-down values.
        by_card: ``[players, n, B, N + 1]`` is set to the beliefs by card; last, in all hands.
    """
    dtype, hands, every = held.dtype.type, held.shape[2], by_card.shape[3] - 1
    zero, one, last = dtype(0), dtype(1), dtype(knots - 1)
    below = np.empty(hands + 1, np.float64)
    in_bins = np.empty((knots * potentials + potentials, 4), held.dtype)
    for leaf in range(held.shape[1]):
        board = board_of[leaf]
        order, first, near = ranked.order[board], bins.first[leaf], bins.near[leaf]
        own, other = held[0, leaf], held[1, leaf]
        share, uniform = dtype(mixed), ranked.uniform[board]
        below[0] = 0
        for place in range(hands):
            hand = order[place]
            mass = share * (own[hand] + other[hand]) + uniform * ranked.possible[board, hand]
            below[place + 1] = below[place] + mass
        for hand in range(hands):
            percentile = dtype((below[ranked.begin[board, hand]] + below[ranked.end[board, hand]]) / 2)
            where = min(max(percentile, zero), one) * last
            lower = min(int(where), knots - 2)
            first[hand] = lower * potentials + ranked.lower[board, hand]
            near[hand] = where - dtype(lower)
        in_bins[:] = zero
        for hand in range(hands):
            values = (
                own[hand],
                other[hand],
                own[hand] * worth[0, leaf, hand],
                other[hand] * worth[1, leaf, hand],
            )
            at, right, up = first[hand], near[hand], ranked.above[board, hand]
            for i in range(BESIDE):
                along = right if i else one - right
                for j in range(min(potentials, BESIDE)):
                    weight = along * (up if j else one - up)
                    to = in_bins[at + i * potentials + j]
                    for k in range(4):
                        to[k] += weight * values[k]
        for number in range(knots * potentials):
            for k in range(4):
                sums[leaf, k, number] = in_bins[number, k]
        for player in range(first_player, last_player):
            cards = by_card[player - first_player, leaf]
            cards[:] = zero
            for hand in range(hands):
                mass, right, up = held[player, leaf, hand], near[hand], ranked.above[board, hand]
                at, c, d = first[hand], ranked.cards[0, hand], ranked.cards[1, hand]
                for i in range(BESIDE):
                    along = mass * (right if i else one - right)
                    for j in range(min(potentials, BESIDE)):
                        weight = along * (up if j else one - up)
                        cards[at + i * potentials + j, c] += weight
                        cards[at + i * potentials + j, d] += weight
            for number in range(knots * potentials):
                cards[number, every] = sums[leaf, player, number]


@jit
def multiply(
    factors: Floats, scale: Floats, player: int, by_card: Floats, knots: int, gains: Floats, itself: Floats
) -> None:
    """What bins win from hands by the kernel, whose rank is low: :meth:`KernelLayer.kernel`.

    The signed part of it is a sum over lower bins less one over higher ones.

    Args:
        factors: ``[n, B, 4 R]`` A, B, C and E.
        scale: ``[n]`` of both parts.
        player: whose bins.
        by_card: ``[n, B, N + 1]`` the other player's beliefs.
        knots: ``K`` along the percentile.
        gains: ``[n, B, N + 1]`` is set.
        itself: ``[n, B]`` is set to what a bin wins from the same bin.
    """
    dtype, columns, rank = by_card.dtype.type, by_card.shape[2], factors.shape[2] // 4
    zero, beside, sign = dtype(0), factors.shape[1] // knots, dtype(1 - 2 * player)
    own, theirs = player * rank, (1 - player) * rank  # A and B, or B and A; C and E, or E and C
    own_signed, theirs_signed = own + 2 * rank, theirs + 2 * rank
    even, signed = np.empty((2, rank, columns), by_card.dtype)
    level = np.empty((knots, rank, columns), by_card.dtype)
    for leaf in range(factors.shape[0]):
        even[:], signed[:], level[:] = zero, zero, zero
        for number in range(factors.shape[1]):
            held, of_bin, here = by_card[leaf, number], factors[leaf, number], level[number // beside]
            for r in range(rank):
                first, second = of_bin[theirs + r], of_bin[theirs_signed + r]
                for column in range(columns):
                    even[r, column] += first * held[column]
                    here[r, column] += second * held[column]
        for k in range(1, knots):
            for r in range(rank):
                for column in range(columns):
                    signed[r, column] -= level[k, r, column]
        for number in range(factors.shape[1]):
            of_bin, gain, k = factors[leaf, number], gains[leaf, number], number // beside
            if number and number % beside == 0:
                for r in range(rank):
                    for column in range(columns):
                        signed[r, column] += level[k - 1, r, column] + level[k, r, column]
            gain[:] = zero
            diagonal = zero
            for r in range(rank):
                first, second = sign * scale[leaf] * of_bin[own + r], scale[leaf] * of_bin[own_signed + r]
                diagonal += first * of_bin[theirs + r]
                for column in range(columns):
                    gain[column] += first * even[r, column] + second * signed[r, column]
            itself[leaf, number] = diagonal


@jit
def spread(
    gains: Floats,
    itself: Floats,
    held: Floats,
    met: Floats,
    worth: Floats,
    ranked: RankedHands,
    board_of: Ints,
    bins: Bins,
    potentials: int,
    values: Floats,
) -> None:
    """Values of one player's hands.

    Args:
        gains: ``[n, B, N + 1]`` what a bin wins from the other's hands with each card; last, from all.
        itself: ``[n, B]`` what it wins from the same bin.
        held: ``[n, H]`` the other player's beliefs.
        met: ``[n, H]`` see :func:`meet`.
        worth: ``[n, H]`` check-down values.
        ranked: the boards.
        board_of: ``[n]``.
        bins: of hands.
        potentials: bins along the potential.
        values: ``[n, H]`` is set, in pots.
    """
    dtype, every = held.dtype.type, gains.shape[2] - 1
    zero, one, half, least = dtype(0), dtype(1), dtype(0.5), dtype(LEAST_MASS)
    for leaf in range(held.shape[0]):
        board = board_of[leaf]
        gain, own, first, near = gains[leaf], itself[leaf], bins.first[leaf], bins.near[leaf]
        for hand in range(held.shape[1]):
            at, right, up = first[hand], near[hand], ranked.above[board, hand]
            c, d = ranked.cards[0, hand], ranked.cards[1, hand]
            total = zero
            for i in range(BESIDE):
                along = right if i else one - right
                for j in range(min(potentials, BESIDE)):
                    weight = along * (up if j else one - up)
                    number = at + i * potentials + j
                    won = gain[number, every] - gain[number, c] - gain[number, d]
                    total += weight * (won + held[leaf, hand] * own[number])
            rest = total / max(met[leaf, hand], least)
            values[leaf, hand] = ranked.possible[board, hand] * (worth[leaf, hand] * half + rest)


@jit
def collect_further(held: Floats, worth: Floats, later: Floats, board_of: Ints, sums: Floats) -> None:
    """What further bins hold, see :class:`~pokerlab.learning.kernel_layer.HistogramLayer`.

    Args:
        held: ``[2, n, H]`` both players' beliefs.
        worth: ``[2, n, H]`` their check-down values.
        later: ``[U, X, H]`` shares of hands in the first ``X`` bins.
        board_of: ``[n]``.
        sums: ``[n, 4, 2 X]`` is set to both beliefs, and these times the check-down values.
    """
    dtype, bins = held.dtype.type, later.shape[1]
    zero, one = dtype(0), dtype(1)
    for leaf in range(held.shape[1]):
        share_of = later[board_of[leaf]]
        for player in range(2):
            mass, value = held[player, leaf], worth[player, leaf]
            to, times = sums[leaf, player], sums[leaf, 2 + player]
            to[bins:], times[bins:] = zero, zero
            for hand in range(held.shape[2]):
                here, expected = mass[hand], mass[hand] * value[hand]
                lower, above = _place(value[hand], bins)
                to[bins + lower] += here * (one - above)
                to[bins + lower + 1] += here * above
                times[bins + lower] += expected * (one - above)
                times[bins + lower + 1] += expected * above
            for x in range(bins):
                total, of_times, share = zero, zero, share_of[x]
                for hand in range(held.shape[2]):
                    here = mass[hand] * share[hand]
                    total += here
                    of_times += here * value[hand]
                to[x], times[x] = total, of_times


@jit
def win_by_vectors(
    factors: Floats,
    further: Floats,
    later: Floats,
    scale: Floats,
    player: int,
    held: Floats,
    met: Floats,
    worth: Floats,
    ranked: RankedHands,
    board_of: Ints,
    bins: Bins,
    potentials: int,
    values: Floats,
) -> None:
    """Adds what one player's hands win by A and B, hand by hand.

    Args:
        factors: ``[n, B, 2 R]`` A and B of bins.
        further: ``[n, 2 X, 2 R]`` of further bins.
        later: ``[U, X, H]`` shares of hands in the first ``X`` of these.
        scale: ``[n]``.
        player: whose hands.
        held: ``[2, n, H]`` both players' beliefs.
        met: ``[n, H]`` see :func:`meet`.
        worth: ``[2, n, H]`` both players' check-down values.
        ranked: the boards.
        board_of: ``[n]``.
        bins: of hands.
        potentials: bins along the potential.
        values: ``[n, H]`` are added to, in pots.
    """
    dtype, hands, rank = held.dtype.type, held.shape[2], further.shape[2] // 2
    zero, least, sign = dtype(0), dtype(LEAST_MASS), dtype(1 - 2 * player)
    own, theirs, other = player * rank, (1 - player) * rank, 1 - player
    vector, met_by, won = np.empty((3, hands), held.dtype)
    of_card = np.empty(int(ranked.cards.max()) + 1, held.dtype)
    for leaf in range(held.shape[1]):
        board = board_of[leaf]
        share_of, above = later[board], ranked.above[board]
        first, near, of_bins, of_further = bins.first[leaf], bins.near[leaf], factors[leaf], further[leaf]
        won[:] = zero
        for r in range(rank):
            _find(
                of_bins[:, theirs + r], of_further[:, theirs + r], first, near, above, potentials, share_of,
                worth[other, leaf], vector,
            )  # fmt: skip
            for hand in range(hands):
                vector[hand] *= held[other, leaf, hand]
            _sum_others(vector, ranked.cards, of_card, met_by)
            _find(
                of_bins[:, own + r], of_further[:, own + r], first, near, above, potentials, share_of,
                worth[player, leaf], vector,
            )  # fmt: skip
            for hand in range(hands):
                won[hand] += vector[hand] * met_by[hand]
        for hand in range(hands):
            gain = sign * scale[leaf] * won[hand] / max(met[leaf, hand], least)
            values[leaf, hand] += ranked.possible[board, hand] * gain


@jit
def _find(
    of_bins: Floats,
    of_further: Floats,
    first: np.ndarray,
    near: Floats,
    above: Floats,
    potentials: int,
    shares: Floats,
    worth: Floats,
    vector: Floats,
) -> None:
    """Sets ``[H]`` hands' part of a column of A or B."""
    dtype, later = vector.dtype.type, len(shares)
    one = dtype(1)
    up = min(potentials, BESIDE) - 1  # bins from a hand's lower one to the next along the potential
    for hand in range(len(vector)):
        at, right, high = first[hand], near[hand], above[hand]
        lower, over = _place(worth[hand], later)
        left = (one - high) * of_bins[at] + high * of_bins[at + up]
        beside = (one - high) * of_bins[at + potentials] + high * of_bins[at + potentials + up]
        expected = (one - over) * of_further[later + lower] + over * of_further[later + lower + 1]
        vector[hand] = (one - right) * left + right * beside + expected
    for x in range(later):
        weight, share = of_further[x], shares[x]
        for hand in range(len(vector)):
            vector[hand] += weight * share[hand]


@jit
def _place(worth: float, bins: int) -> tuple[int, float]:
    """The bin at or below a check-down value, and how far it is above that, in bins."""
    dtype = type(worth)
    along = (worth + dtype(1)) / dtype(2) * dtype(bins - 1)
    lower = min(int(along), bins - 2)
    return lower, along - dtype(lower)
