"""What :class:`~pokerlab.learning.fused_query.FusedHistogramQuery` does besides: a block for each leaf.

See :class:`~pokerlab.learning.kernel_layer.HistogramLayer`. Hands have part in so many further bins that what
they win is found hand by hand: each has a vector, and meets the sum of the others'.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from pokerlab.cuda import Kernel
from pokerlab.cuda import numba_cuda as cuda
from pokerlab.learning.kernel_loops import LEAST_MASS
from pokerlab.learning.query_kernels import AT_ONCE, IN_BIN, THREADS, Sizes

PARTS = 8
"""Threads that share a sum over hands."""


class FurtherKernels(NamedTuple):
    """See the functions that make them."""

    collect: Kernel
    win: Kernel


@cache
def further_kernels(sizes: Sizes) -> FurtherKernels:
    """For networks of one size."""
    return FurtherKernels(
        Kernel(_make_collect(sizes), f"collect further {sizes}"),
        Kernel(_make_win(sizes), f"win further {sizes}"),
    )


def _make_collect(sizes: Sizes) -> Callable:
    real, hands, later = sizes.real, sizes.hands, sizes.later
    zero, one, two, threads, in_bin = real(0), real(1), real(2), THREADS, IN_BIN
    least, scaled, last = real(LEAST_MASS), real(2 * later / 4), real(later - 1)

    def collect(held, worth, shares, board_of, of_summary, of_bins):
        """What further bins hold. Blocks ``[n]``.

        Args:
            held: ``[2, n, H]``.
            worth: ``[2, n, H]`` check-down values.
            shares: ``[U, X, H]`` how often hands will rank how high.
            board_of: ``[n]``.
            of_summary: ``[n, 8 X and more]`` inputs of the summary: mass in bins, check-down values.
            of_bins: ``[n, 2 X, inputs]`` the same of each bin, in the columns from ``IN_BIN`` on.
        """
        values = cuda.shared.array((4, hands), real)
        partial = cuda.shared.array((threads, 4), real)
        leaf, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        board, parts = board_of[leaf], min(PARTS, step)
        for hand in range(thread, hands, step):
            for player in range(2):
                values[player, hand] = held[player, leaf, hand]
                values[2 + player, hand] = worth[player, leaf, hand]
        cuda.syncthreads()
        # tasks: a bin, a part of the hands
        for first_task in range(0, 2 * later * parts, step):
            task = first_task + thread
            part, x = task % parts, task // parts
            for i in range(4):
                partial[thread, i] = zero
            if x < 2 * later:
                for hand in range(part, hands, parts):
                    for player in range(2):
                        expected = values[2 + player, hand]
                        if x < later:
                            share = shares[board, x, hand]
                        else:
                            share = one - abs((expected + one) / two * last - real(x - later))
                        if share > zero:
                            mass = values[player, hand] * share
                            partial[thread, player] += mass
                            partial[thread, 2 + player] += mass * expected
            cuda.syncthreads()
            if x < 2 * later and part == 0:
                for player in range(2):
                    mass, times = zero, zero
                    for i in range(parts):
                        mass += partial[thread + i, player]
                        times += partial[thread + i, 2 + player]
                    value = times / max(mass, least)
                    row = player * 2 * later + x
                    of_summary[leaf, row] = of_bins[leaf, x, in_bin + player] = mass * scaled
                    of_summary[leaf, 4 * later + row] = of_bins[leaf, x, in_bin + 2 + player] = value
            cuda.syncthreads()

    return collect


def _make_win(sizes: Sizes) -> Callable:
    real, hands, number, rank = sizes.real, sizes.hands, sizes.cards, sizes.rank
    bins, potentials, later = sizes.bins, sizes.potentials, sizes.later
    of_bins = bins * potentials
    every = of_bins + 2 * later
    zero, one, two, last = real(0), real(1), real(2), real(later - 1)
    at_once = AT_ONCE

    @cuda.jit(device=True)
    def set_table(factors, further, leaf, column, table):
        """What bins have in columns of A or B."""
        for i in range(cuda.threadIdx.x, every * at_once, cuda.blockDim.x):
            k, r = i // at_once, i % at_once
            if column % rank + r >= rank:  # of the next matrix
                table[k, r] = zero
            elif k < of_bins:
                table[k, r] = factors[leaf, k, column + r]
            else:
                table[k, r] = further[leaf, k - of_bins, column + r]

    @cuda.jit(device=True)
    def set_vector(table, hand, spots, firsts, ups, values, share_of, vector):
        """A hand's part of these columns."""
        k, up = int(spots[hand]), ups[hand]
        near, b = spots[hand] - real(k), k * potentials + firsts[hand]
        along = (values[hand] + one) / two * last
        x = min(int(along), later - 2)
        over = along - real(x)
        for i in range(at_once):
            found = (one - near) * (one - up) * table[b, i]
            found += near * (one - up) * table[b + potentials, i]
            if potentials > 1:
                found += (one - near) * up * table[b + 1, i] + near * up * table[b + potentials + 1, i]
            found += (one - over) * table[of_bins + later + x, i] + over * table[of_bins + later + x + 1, i]
            vector[i] = found
        for x in range(later):
            share = share_of[x, hand]
            for i in range(at_once):
                vector[i] += share * table[of_bins + x, i]

    def win(
        factors, further, held, worth, shares, place, board_of, lower, above, cards, with_card, won,
        first_player,
    ):  # fmt: skip
        """What hands win by A and B, before it is scaled. Blocks ``[n, players]``.

        Args:
            factors: ``[n, B, 4 R]``: A, B and what is not read.
            further: ``[n, 2 X, 2 R]`` what further bins add to A and B.
            held: ``[2, n, H]``.
            worth: ``[2, n, H]``.
            shares: ``[U, X, H]``.
            place: ``[n, H]``.
            board_of: ``[n]``.
            lower: ``[U, H]``.
            above: ``[U, H]``.
            cards: ``[2, H]``.
            with_card: ``[N, hands]``.
            won: ``[players, n, H]`` is set.
            first_player: of them.
        """
        table = cuda.shared.array((every, at_once), real)
        moved = cuda.shared.array((at_once, hands), real)
        of_card = cuda.shared.array((at_once, number), real)
        total = cuda.shared.array(at_once, real)
        vector = cuda.local.array(at_once, real)
        leaf, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        player = first_player + cuda.blockIdx.y
        board, other = board_of[leaf], 1 - player
        own, theirs, sign = (0, rank, one) if player == 0 else (rank, 0, -one)
        spots, firsts, ups, share_of = place[leaf], lower[board], above[board], shares[board]
        for first in range(0, rank, at_once):
            set_table(factors, further, leaf, theirs + first, table)
            cuda.syncthreads()
            for hand in range(thread, hands, step):
                set_vector(table, hand, spots, firsts, ups, worth[other, leaf], share_of, vector)
                for i in range(at_once):
                    moved[i, hand] = vector[i] * held[other, leaf, hand]
            cuda.syncthreads()
            set_table(factors, further, leaf, own + first, table)
            for task in range(thread, at_once * number, step):
                i, card = task // number, task % number
                mass = zero
                for k in range(with_card.shape[1]):
                    mass += moved[i, with_card[card, k]]
                of_card[i, card] = mass
            cuda.syncthreads()
            for i in range(thread, at_once, step):
                mass = zero
                for card in range(number):
                    mass += of_card[i, card]
                total[i] = mass / two
            cuda.syncthreads()
            for hand in range(thread, hands, step):
                set_vector(table, hand, spots, firsts, ups, worth[player, leaf], share_of, vector)
                gain = zero if first == 0 else won[cuda.blockIdx.y, leaf, hand]
                for i in range(at_once):
                    met = total[i] + moved[i, hand] - of_card[i, cards[0, hand]] - of_card[i, cards[1, hand]]
                    gain += sign * vector[i] * met
                won[cuda.blockIdx.y, leaf, hand] = gain
            cuda.syncthreads()

    return win
