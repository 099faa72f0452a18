"""Payoffs of :mod:`pokerlab.games.payoff_tables` in compiled loops, ``LANES`` terminals at once."""

from math import prod

import numpy as np
import torch

from pokerlab.games.base import Ints
from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN, Floats, PayoffTables
from pokerlab.lanes import ROWS, multiply_lanes
from pokerlab.loops import jit, jit_inline
from pokerlab.vectors import LANES, load, load_row, splat, store, store_row

ALIGNMENT = 64
"""Bytes, of the longest vectors."""


def workspace_for(tables: PayoffTables, dtype: torch.dtype) -> np.ndarray:
    """Mass, outcomes and the lists' sums, ``[n, LANES]``, aligned to vectors: see :func:`parts_of`."""
    hands = tables.row.shape[2]
    rows = 2 * (hands + LANES) + 2 * hands + tables.list_at.shape[1]
    return torch.zeros(rows, LANES, dtype=dtype).numpy()


@jit_inline
def parts_of(workspace: Floats, tables: PayoffTables) -> tuple[Floats, Floats, Floats]:
    """Mass and outcomes ``[H + LANES, LANES]``, and room for the lists' sums."""
    rows = tables.row.shape[2] + LANES
    return workspace[:rows], workspace[rows : 2 * rows], workspace[2 * rows :]


def padded_columns(hands: int) -> int:
    """How many columns a matrix of so many gets."""
    return -(-hands // ROWS) * ROWS


def new_zeros(shape: tuple[int, ...], dtype: np.dtype) -> Floats:
    """Zeros aligned to vectors, as torch's are, of new pages: they take a third of the time."""
    size = prod(shape) * dtype.itemsize
    content = np.zeros(size + ALIGNMENT, np.uint8)
    begin = -content.ctypes.data % ALIGNMENT
    return content[begin : begin + size].view(dtype).reshape(shape)


@jit
def value_rows(
    first_row: int,
    last_row: int,
    tables: PayoffTables,
    reach: Floats,
    won: Floats,
    weight: np.floating,
    workspace: Floats,
) -> None:
    """Rows ``first_row`` to ``last_row``, exclusive, of arrays ``[n, M, K, H]``.

    Args:
        first_row: where to begin.
        last_row: where to end.
        tables: of the kernels.
        reach: of the opponent.
        won: is set to mass won less mass lost.
        weight: of each pair of hands.
        workspace: see :func:`workspace_for`.
    """
    zero, hands = reach.dtype.type(0), reach.shape[3]
    mass, outcome, sums = parts_of(workspace, tables)
    mass[:] = zero
    for row in range(first_row, last_row):
        outcome[:] = zero
        for n in range(reach.shape[0]):
            for lane in range(0, reach.shape[2], LANES):
                lanes = min(LANES, reach.shape[2] - lane)
                for k in range(lanes):
                    theirs = reach[n, row, lane + k]
                    for hand in range(hands):
                        mass[hand, k] = theirs[hand]
                value_lanes(row, tables, mass, outcome, sums)
                for k in range(lanes):
                    own = won[n, row, lane + k]
                    for hand in range(hands):
                        own[hand] = outcome[hand, k] * weight


@jit_inline
def value_lanes(row: int, tables: PayoffTables, mass: Floats, outcome: Floats, sums: Floats) -> None:
    """What ``LANES`` terminals with the kernel of ``row`` give each hand, before the weight of pairs.

    ``mass`` of the opponent and ``outcome`` are ``[H + LANES, LANES]``; see :func:`workspace_for`. Outcomes
    of hands that the board rules out are left as they are.
    """
    if tables.kind[row] == RUN_OUT:
        matrix = tables.run_outs[tables.run_out[row]]
        flat, hands = matrix.reshape(matrix.size), matrix.shape[0]
        for hand in range(0, hands, ROWS):
            multiply_lanes(outcome, hand, flat, matrix.shape[1], mass, hands)
        return
    value_lists(
        tables.kind[row] == SHOWDOWN, tables.members[row], tables.list_at[row], tables.group_end[row],
        tables.group_at[row], tables.row[row], mass, outcome, sums,
    )  # fmt: skip


@jit_inline
def value_lists(
    compare: bool,
    members: np.ndarray,
    list_at: Ints,
    group_end: np.ndarray,
    group_at: Ints,
    row: np.ndarray,
    mass: Floats,
    outcome: Floats,
    sums: Floats,
) -> None:
    """Mass beaten less mass that beats, or the mass that is met, see :class:`PayoffTables`.

    Sets ``outcome`` of the hands in the last list. ``sums`` has room for one a list, and for one a group of
    the others.
    """
    cards, zero = list_at.shape[0] - 2, splat(mass.dtype.type(0))
    for number in range(cards + 1):
        total, place, end = zero, list_at[number], list_at[number + 1]
        while place + 4 <= end:  # added up in fours, of which one waits for the one before
            two = load_row(mass, members, place, zero) + load_row(mass, members, place + 1, zero)
            three = two + load_row(mass, members, place + 2, zero)
            total = total + (three + load_row(mass, members, place + 3, zero))
            place += 4
        while place < end:
            total = total + load_row(mass, members, place, zero)
            place += 1
        store(sums, number * LANES, total)
    first, last = list_at[cards], list_at[cards + 1]
    whole = load(sums, cards * LANES, zero)
    if not compare:
        for place in range(first, last):
            met = load_row(mass, members, place, zero) + whole
            met = met - load_row(sums, row[0], place - first, zero)
            store_row(outcome, members, place, met - load_row(sums, row[1], place - first, zero))
        return
    # the sum before a group and the sum after it, less what the whole list has: both less half of that
    half, both = splat(mass.dtype.type(-0.5)), sums[cards + 1 :]
    for number in range(cards):
        total, place = load(sums, number * LANES, zero) * half, list_at[number]
        for group in range(group_at[number], group_at[number + 1]):
            before, end = total, np.int64(group_end[group])
            while place < end:
                total = total + load_row(mass, members, place, zero)
                place += 1
            store(both, group * LANES, before + total)
    total, begin = whole * half, first
    for group in range(group_at[cards], group_at[cards + 1]):
        before, end = total, np.int64(group_end[group])
        for place in range(begin, end):
            total = total + load_row(mass, members, place, zero)
        for place in range(begin, end):
            won = before + total - load_row(both, row[0], place - first, zero)
            store_row(outcome, members, place, won - load_row(both, row[1], place - first, zero))
        begin = end


@jit
def list_hands(
    order: np.ndarray,
    end: np.ndarray,
    cards: np.ndarray,
    members: np.ndarray,
    list_at: Ints,
    group_end: np.ndarray,
    group_at: Ints,
    row: np.ndarray,
) -> None:
    """Lists hands by their cards: sets the arrays of :class:`PayoffTables` that are named so.

    Args:
        order: ``[n]`` the hands.
        end: ``[n]`` at a showdown, where the tie group of each place ends; else empty.
        cards: ``[2, H]``.
        members: ``[3n]`` or longer.
        list_at: ``[N + 2]``.
        group_end: ``[3n]`` or longer.
        group_at: ``[N + 2]``.
        row: ``[2, n]`` or wider.
    """
    hands, every, shown = order.shape[0], list_at.shape[0] - 2, end.shape[0] > 0
    list_at[:] = 0
    group_at[:] = 0
    tie = np.full(every + 1, -1)  # where the tie group began that each list had a hand of last
    for step in range(2):
        there, group = list_at.copy(), group_at.copy()  # where each list's next member and group go
        tie[:] = -1
        begin = 0
        while begin < hands:
            stop = end[begin] if shown else begin + 1
            for place in range(begin, stop):
                hand = order[place]
                for which in range(3):
                    number = _list_of(which, hand, cards, every)
                    new = shown and tie[number] != begin
                    tie[number] = begin
                    if step == 0:
                        list_at[number + 1] += 1
                        group_at[number + 1] += new
                        continue
                    members[there[number]] = hand
                    there[number] += 1
                    group[number] += new
                    if shown:
                        group_end[group[number] - 1] = there[number]
                    if which < 2:
                        row[which, place] = group[number] - 1 if shown else number
            begin = stop
        if step == 0:
            for number in range(every + 1):
                list_at[number + 1] += list_at[number]
                group_at[number + 1] += group_at[number]


@jit_inline
def _list_of(which: int, hand: int, cards: np.ndarray, every: int) -> int:
    """The list of those with the first card, of those with the second, or of all hands."""
    number = every
    if which < 2:
        number = cards[which, hand]
    return number
