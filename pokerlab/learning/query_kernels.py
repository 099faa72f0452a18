"""What :class:`~pokerlab.learning.fused_query.FusedQuery` does on a GPU: a block of threads for each leaf.

A leaf's hands stay in the block's shared memory meanwhile. No sum depends on which thread is faster: equal
inputs give equal results. Sizes are named as in :mod:`pokerlab.learning.kernel_products`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from pokerlab.cuda import NUMBERS, Kernel
from pokerlab.cuda import numba_cuda as cuda
from pokerlab.learning.kernel_layer import CONTEXT, OF_BIN, STACK_NUMBERS, HistogramLayer, KernelLayer
from pokerlab.learning.kernel_loops import LEAST_MASS

THREADS = 256
"""In a block."""
MOST_SHARED = 48 * 1024 - 128
"""Bytes of a block's shared arrays: what any GPU has, less what aligning them takes."""
AT_ONCE = 4
"""Numbers of a hand's vector that a block holds at once, see :mod:`pokerlab.learning.further_kernels`."""
IN_BIN = CONTEXT + STACK_NUMBERS + OF_BIN
"""Where what lies in a bin begins among the inputs of the layers that bins share."""


class Sizes(NamedTuple):
    """What kernels are compiled for."""

    real: Any
    """Numpy's type of numbers."""
    hands: int
    cards: int
    bins: int
    """Along the percentile."""
    potentials: int
    rank: int
    """Of the network's kernels."""
    later: int = 0
    """Further bins along the percentile later, and as many along the check-down value."""


def sizes_of(layer: KernelLayer, dtype: torch.dtype) -> Sizes:
    """What kernels for a network are compiled for."""
    later = layer.later if isinstance(layer, HistogramLayer) else 0
    shape = len(layer.cards), layer.number, layer.bins, layer.potentials, layer.rank
    return Sizes(NUMBERS[dtype], *shape, later)


def fit(sizes: Sizes) -> bool:
    """Whether a block's shared memory holds what kernels put there."""
    real, hands, cards, bins, potentials, rank, later = sizes
    every = bins * potentials
    collect = 6 * hands + 1 + 2 * potentials * THREADS + bins + 1
    spread = every * (cards + 2 + 4 * rank) + 2 * hands
    further = 4 * (hands + THREADS), AT_ONCE * (hands + cards + 1 + every + 2 * later)
    return max(collect, spread, *further) * np.dtype(real).itemsize <= MOST_SHARED


class QueryKernels(NamedTuple):
    """See the functions that make them."""

    hold: Kernel
    collect: Kernel
    spread: Kernel


@cache
def query_kernels(sizes: Sizes) -> QueryKernels:
    """For networks of one size."""
    makers: dict[str, Callable[[Sizes], Callable]] = {
        "hold": _make_hold, "collect": _make_collect, "spread": _make_spread,
    }  # fmt: skip
    return QueryKernels(*(Kernel(make(sizes), f"{name} {sizes}") for name, make in makers.items()))


def _make_hold(sizes: Sizes) -> Callable:
    real, hands, number = sizes.real, sizes.hands, sizes.cards
    zero, one, threads = real(0), real(1), THREADS
    least = np.finfo(real).tiny  # one over it is finite: beliefs are right however few come

    def hold(  # type: ignore[no-untyped-def]
        weights, possible, board_of, at, cards, with_card, held, met, totals, largest, rows, weight, rounding,
        times, rows_of_player, halves, first_player, opponents
    ):  # fmt: skip
        """What is believed, and the mass that the other player's hands meet. Blocks ``[n, players]``.

        Args:
            weights: ``[2, n, H]`` of hands.
            possible: ``[U, H]`` 1 or 0.
            board_of: ``[n]``.
            at: ``[n]`` a leaf's row among a player's ``rows``.
            cards: ``[2, H]``.
            with_card: ``[N, hands]`` the hands with each card.
            held: ``[2, n, H]`` is set to beliefs in possible hands.
            met: ``[2, n, H]`` is set, the other player's row.
            totals: ``[2, n]`` is set to sums of weights.
            largest: ``[2, n]`` is set to each row's largest number.
            rows: ``[rows, H]`` is set to what to multiply matrices with: shares of the largest, player 1's
                below player 0's; in halves, the second ones ``times`` rows below.
            weight: of a pair of hands.
            rounding: share of all mass that may be a difference of rounding errors.
            times: leaves of a board.
            rows_of_player: how many.
            halves: whether numbers are split in two.
            first_player: of the players.
            opponents: whether ``weights`` are each player's opponent's; what nobody comes to stays then.
        """
        row = cuda.shared.array(hands, real)
        of_card = cuda.shared.array(number, real)
        sums = cuda.shared.array(threads, real)
        tops = cuda.shared.array(threads, real)
        leaf, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        player, board = first_player + cuda.blockIdx.y, board_of[leaf]
        source = 1 - player if opponents else player
        total, top = zero, zero
        for hand in range(thread, hands, step):
            mass = weights[source, leaf, hand] * possible[board, hand]
            row[hand] = mass
            total += mass
            top = max(top, mass)
        sums[thread], tops[thread] = total, top
        cuda.syncthreads()
        for card in range(thread, number, step):
            mass = zero
            for i in range(with_card.shape[1]):
                mass += row[with_card[card, i]]
            of_card[card] = mass
        width = step
        while width > 1:  # halves, to the first thread's
            rest = (width + 1) // 2
            if thread + rest < width:
                sums[thread] += sums[thread + rest]
                tops[thread] = max(tops[thread], tops[thread + rest])
            cuda.syncthreads()
            width = rest
        total, top = sums[0], tops[0]
        if thread == 0:
            totals[player, leaf] = total
        if opponents and total <= zero:
            return
        per = one / max(total, least)
        every = total * per
        top = max(top * per, least)
        if thread == 0:
            largest[player, leaf] = top
        to = at[leaf] + player * rows_of_player
        for hand in range(thread, hands, step):
            mass = row[hand] * per
            meets = every + mass - (of_card[cards[0, hand]] + of_card[cards[1, hand]]) * per
            meets = real(weight) * meets
            held[player, leaf, hand] = mass
            met[1 - player, leaf, hand] = zero if meets < real(weight) * real(rounding) * every else meets
            share = mass / top
            if halves:
                first = rows.dtype.type(share)
                rows[to, hand] = first
                rows[to + times, hand] = rows.dtype.type(share - real(first))
            else:
                rows[to, hand] = share

    return hold


def _make_collect(sizes: Sizes) -> Callable:
    real, hands = sizes.real, sizes.hands
    bins, potentials = sizes.bins, sizes.potentials
    zero, one, two, threads, parts = real(0), real(1), real(2), THREADS, THREADS // 64
    ends, bounds, twice = hands + 1, bins + 1, 2 * potentials  # sizes of shared arrays must be constants
    least, scaled, in_bin = real(LEAST_MASS), real(bins * potentials / 4), IN_BIN
    last, before_last = real(bins - 1), real(bins - 1) - real(1e-5)

    def collect(  # type: ignore[no-untyped-def]
        held, met, largest, won, at, board_of, order, begin, end, uniform, lower, above, worth, place, sums,
        of_summary, of_bins, mixed, scale, times, rows_of_player, halves
    ):  # fmt: skip
        """Check-down values, hands' places along the percentile, and what bins hold. Blocks ``[n]``.

        Args:
            held: ``[2, n, H]``.
            met: ``[2, n, H]``.
            largest: ``[2, n]``.
            won: ``[rows, H]`` the products with ``rows``.
            at: ``[n]``.
            board_of: ``[n]``.
            order: ``[U, H]`` hands by rank.
            begin: ``[U, H]`` where each hand's tie group begins.
            end: ``[U, H]`` and ends.
            uniform: ``[U, H]`` what the mixture has in each hand whatever is believed.
            lower: ``[U, H]`` the bin at or below a hand's potential.
            above: ``[U, H]`` how far it is above that, in bins.
            worth: ``[2, n, H]`` is set to check-down values.
            place: ``[n, H]`` is set to places, from 0 to below ``K - 1``.
            sums: ``[n, 4, B]`` is set to both beliefs in bins, and these times the check-down values.
            of_summary: ``[n, 4 B and more]`` inputs of the summary: mass in bins, check-down values.
            of_bins: ``[n, B, inputs]`` the same of each bin, in the columns from ``IN_BIN`` on.
            mixed: weight of either belief in the mixture that percentiles are of.
            scale: of products.
            times: leaves of a board.
            rows_of_player: in ``won``.
            halves: whether numbers are split in two.
        """
        values = cuda.shared.array((4, hands), real)
        every = 4 * bins * potentials
        below = cuda.shared.array(ends, real)
        places = cuda.shared.array(hands, real)
        partial = cuda.shared.array((threads, twice), real)
        firsts = cuda.shared.array(bounds, np.int32)
        leaf, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        board, row = board_of[leaf], at[leaf]
        for i in range(thread, every, step):
            sums[leaf, i // (bins * potentials), i % (bins * potentials)] = zero
        for player in range(2):
            theirs = row + (1 - player) * rows_of_player
            factor = largest[1 - player, leaf] * real(scale)
            for hand in range(thread, hands, step):
                gain = won[theirs, hand]
                if halves:
                    gain += won[theirs + times, hand]
                meets = met[player, leaf, hand]
                value = gain * factor / (meets if meets > zero else one)
                value = min(max(value, -one), one)
                worth[player, leaf, hand] = value
                mass = held[player, leaf, hand]
                values[player, hand] = mass
                values[2 + player, hand] = mass * value
        cuda.syncthreads()
        # the mixture, summed along the order: each thread a stretch of it
        stretch = (hands + step - 1) // step
        total = zero
        for i in range(min(thread * stretch, hands), min((thread + 1) * stretch, hands)):
            hand = order[board, i]
            total += uniform[board, hand] + real(mixed) * (values[0, hand] + values[1, hand])
            below[i + 1] = total
        partial[thread, 0] = total
        cuda.syncthreads()
        reach = 1
        while reach < step:  # sums of the stretches up to each thread's, of twice as many each time
            before = partial[thread - reach, 0] if thread >= reach else zero
            cuda.syncthreads()
            partial[thread, 0] += before
            cuda.syncthreads()
            reach *= 2
        total = partial[thread - 1, 0] if thread else zero
        if thread == 0:
            below[0] = zero
        for i in range(min(thread * stretch, hands), min((thread + 1) * stretch, hands)):
            below[i + 1] += total
        cuda.syncthreads()
        for i in range(thread, hands, step):
            hand = order[board, i]
            at_bin = (below[begin[board, hand]] + below[end[board, hand]]) * last / two
            at_bin = min(at_bin, before_last)
            place[leaf, hand] = at_bin
            places[i] = at_bin
        cuda.syncthreads()
        for k in range(thread, bins + 1, step):  # the first in the order whose lower bin is no less
            low, high = 0, hands
            while low < high:
                middle = (low + high) // 2
                if places[middle] < k:
                    low = middle + 1
                else:
                    high = middle
            firsts[k] = low
        cuda.syncthreads()
        # tasks: a lower bin, one of four sums, a part of the hands
        for first_task in range(0, bins * 4 * parts, step):
            task = first_task + thread
            part, which, k = task % parts, task // parts % 4, task // (4 * parts)
            if k < bins:
                for p in range(2 * potentials):
                    partial[thread, p] = zero
                for i in range(firsts[k] + part, firsts[k + 1], parts):
                    hand = order[board, i]
                    value = values[which, hand]
                    if value != zero:
                        near, up = places[i] - real(k), above[board, hand]
                        p = lower[board, hand]
                        here, there = value * (one - near), value * near
                        partial[thread, p] += here * (one - up)
                        partial[thread, potentials + p] += there * (one - up)
                        if p + 1 < potentials:
                            partial[thread, p + 1] += here * up
                            partial[thread, potentials + p + 1] += there * up
            cuda.syncthreads()
            # what lies in a bin: the hands above it, then those below
            for half in range(2):
                if k < bins and part == 0 and k + half < bins:
                    for p in range(potentials):
                        found = zero
                        for i in range(min(parts, step)):
                            found += partial[thread + i, half * potentials + p]
                        if half == 0:
                            sums[leaf, which, k * potentials + p] += found
                        else:
                            sums[leaf, which, (k + 1) * potentials + p] += found
                cuda.syncthreads()
        for i in range(thread, 2 * bins * potentials, step):
            player, k = i // (bins * potentials), i % (bins * potentials)
            mass = sums[leaf, player, k]
            value = sums[leaf, 2 + player, k] / max(mass, least)
            of_summary[leaf, i] = of_bins[leaf, k, in_bin + player] = mass * scaled
            of_summary[leaf, 2 * bins * potentials + i] = of_bins[leaf, k, in_bin + 2 + player] = value

    return collect


def _make_spread(sizes: Sizes) -> Callable:
    real, hands, number, rank = sizes.real, sizes.hands, sizes.cards, sizes.rank
    bins, potentials = sizes.bins, sizes.potentials
    every, columns, factors_of_bin = bins * potentials, number + 1, 4 * rank
    by_bins = not sizes.later  # whether A and B are of bins alone
    zero, one, two, least = real(0), real(1), real(2), real(LEAST_MASS)

    def spread(  # type: ignore[no-untyped-def]
        factors, scales, held, met, totals, pots, worth, place, sums, board_of, possible, lower, above, cards,
        with_card, further, values, first_player, weight, counterfactual
    ):  # fmt: skip
        """Values, by the network's kernel between bins. Blocks ``[n, players]``.

        Args:
            factors: ``[n, B, 4 R]``: A, B, C, E; of a histogram layer's, A and B are not read.
            scales: ``[n]`` of kernels.
            held: ``[2, n, H]``.
            met: ``[2, n, H]``.
            totals: ``[2, n]``.
            pots: ``[n]`` what values are times pots and chances, if they are counterfactual.
            worth: ``[2, n, H]``.
            place: ``[n, H]``.
            sums: ``[n, 4, B]``.
            board_of: ``[n]``.
            possible: ``[U, H]`` 1 or 0.
            lower: ``[U, H]``.
            above: ``[U, H]``.
            cards: ``[2, H]``.
            with_card: ``[N, hands]``.
            further: ``[players, n, H]`` what hands win by A and B of a histogram layer; else it is not read.
            values: ``[players, n, H]`` is set.
            first_player: of them.
            weight: of a pair of hands.
            counterfactual: whether values are times the mass that hands meet.
        """
        by_card = cuda.shared.array((every, columns), real)
        factor = cuda.shared.array((every, factors_of_bin), real)
        itself = cuda.shared.array(every, real)
        mass_of = cuda.shared.array(hands, real)
        spot = cuda.shared.array(hands, real)
        leaf, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        player = first_player + cuda.blockIdx.y
        board, other = board_of[leaf], 1 - player
        # what a bin k wins from a bin l is left[k] . right[l] + sign(k - l) mine[k] . theirs[l]
        left, right, mine, theirs, sign = 0, rank, 2 * rank, 3 * rank, one
        if player == 1:
            left, right, mine, theirs, sign = rank, 0, 3 * rank, 2 * rank, -one
        for i in range(thread, every * 4 * rank, step):
            factor[i // (4 * rank), i % (4 * rank)] = factors[leaf, i // (4 * rank), i % (4 * rank)]
        for i in range(thread, every * number, step):
            by_card[i // number, i % number] = zero
        for k in range(thread, every, step):
            by_card[k, number] = sums[leaf, other, k]
        for hand in range(thread, hands, step):
            mass_of[hand] = held[other, leaf, hand]
            spot[hand] = place[leaf, hand]
        cuda.syncthreads()
        for k in range(thread, every, step):
            total = zero
            if by_bins:
                for r in range(rank):
                    total += factor[k, left + r] * factor[k, right + r]
            itself[k] = sign * total
        for card in range(thread, number + 1, step):
            if card < number:
                for i in range(with_card.shape[1]):
                    hand = with_card[card, i]
                    mass = mass_of[hand]
                    if mass != zero:
                        at_bin = spot[hand]
                        k = int(at_bin)
                        near, up = at_bin - real(k), above[board, hand]
                        b = k * potentials + lower[board, hand]
                        here, there = mass * (one - near), mass * near
                        by_card[b, card] += here * (one - up)
                        by_card[b + potentials, card] += there * (one - up)
                        if potentials > 1:
                            by_card[b + 1, card] += here * up
                            by_card[b + potentials + 1, card] += there * up
            # this column, from what bins hold to what they win from it
            total = cuda.local.array(rank, real)
            all_theirs = cuda.local.array(rank, real)
            weaker = cuda.local.array(rank, real)
            same = cuda.local.array(rank, real)
            for r in range(rank):
                total[r] = all_theirs[r] = weaker[r] = zero
            for k in range(every):
                mass = by_card[k, card]
                for r in range(rank):
                    if by_bins:
                        total[r] += factor[k, right + r] * mass
                    all_theirs[r] += factor[k, theirs + r] * mass
            for k in range(bins):
                for r in range(rank):
                    same[r] = zero
                for p in range(potentials):
                    mass = by_card[k * potentials + p, card]
                    for r in range(rank):
                        same[r] += factor[k * potentials + p, theirs + r] * mass
                for p in range(potentials):
                    b, won = k * potentials + p, zero
                    for r in range(rank):
                        if by_bins:
                            won += sign * factor[b, left + r] * total[r]
                        won += factor[b, mine + r] * (two * weaker[r] + same[r] - all_theirs[r])
                    by_card[b, card] = won
                for r in range(rank):
                    weaker[r] += same[r]
        cuda.syncthreads()
        scale = scales[leaf]
        for hand in range(thread, hands, step):
            value = zero
            if possible[board, hand] > zero:
                at_bin = spot[hand]
                k = int(at_bin)
                near, up = at_bin - real(k), above[board, hand]
                first = k * potentials + lower[board, hand]
                a, c = cards[0, hand], cards[1, hand]
                rest, own = zero, zero
                for beside in range(2):
                    b = first + beside * potentials
                    along = near if beside else one - near
                    share = along * (one - up)
                    rest += share * (by_card[b, number] - by_card[b, a] - by_card[b, c])
                    own += share * itself[b]
                    if potentials > 1:
                        share = along * up
                        rest += share * (by_card[b + 1, number] - by_card[b + 1, a] - by_card[b + 1, c])
                        own += share * itself[b + 1]
                if by_bins:
                    rest += own * mass_of[hand]
                else:
                    rest += further[cuda.blockIdx.y, leaf, hand]
                meets = met[player, leaf, hand]
                value = scale * rest / max(meets, least * real(weight)) + worth[player, leaf, hand] / two
                if counterfactual:
                    value *= meets * totals[other, leaf] * pots[leaf]
            values[cuda.blockIdx.y, leaf, hand] = value

    return spread
