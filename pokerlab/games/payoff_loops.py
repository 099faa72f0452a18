"""Payoffs of :mod:`pokerlab.games.payoff_tables` in compiled loops, ``LANES`` terminals at once."""

from math import prod

import numpy as np
import torch

from pokerlab.games.base import Ints
from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN, Floats, PayoffTables
from pokerlab.lanes import (
    LANES,
    ROWS,
    add_list_up,
    compare_lists,
    meet_lists,
    multiply_lanes,
    sum_list,
)
from pokerlab.loops import jit, jit_inline

ALIGNMENT = 64
"""Bytes, of the longest vectors."""


def workspace_for(tables: PayoffTables, dtype: torch.dtype) -> np.ndarray:
    """Mass, outcomes and the lists' sums, ``[n, LANES]``, aligned to vectors: see :func:`parts_of`."""
    hands = tables.partial.shape[2]
    rows = 2 * (hands + LANES) + tables.members.shape[1] + 2 * tables.list_at.shape[1]
    return torch.zeros(rows, LANES, dtype=dtype).numpy()


@jit_inline
def parts_of(workspace: Floats, tables: PayoffTables) -> tuple[Floats, Floats, Floats]:
    """Mass and outcomes ``[H + LANES, LANES]``, and room for the lists' sums."""
    rows = tables.partial.shape[2] + LANES
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

    ``mass`` of the opponent and ``outcome`` are ``[H + LANES, LANES]``; see :func:`workspace_for`.
    """
    if tables.kind[row] == RUN_OUT:
        matrix = tables.run_outs[tables.run_out[row]]
        flat, hands = matrix.reshape(matrix.size), matrix.shape[0]
        for hand in range(0, hands, ROWS):
            multiply_lanes(outcome, hand, flat, matrix.shape[1], mass, hands)
        return
    outcome[:] = 0
    compare = tables.kind[row] == SHOWDOWN
    value_lists(compare, tables.members[row], tables.list_at[row], tables.partial[row], mass, outcome, sums)


@jit_inline
def value_lists(
    compare: bool,
    members: np.ndarray,
    list_at: Ints,
    partial: np.ndarray,
    mass: Floats,
    outcome: Floats,
    sums: Floats,
) -> None:
    """Mass beaten less mass that beats, or the mass that is met, see :class:`PayoffTables`.

    Sets ``outcome`` of the hands in the last list. ``sums`` has room for two a list and one a member.
    """
    lists = list_at.shape[0] - 1
    for number in range(lists):
        sum_list(sums, mass, members, list_at[number], list_at[number + 1], number)
    first, last = list_at[lists - 1], list_at[lists]
    if not compare:
        meet_lists(outcome, mass, sums, partial, members, first, last)
        return
    # the sum before a hand and the sum after it, less what the whole list has: both less half of that
    added = sums[lists:]
    for number in range(lists):
        begin = list_at[number]
        add_list_up(added, mass, members, begin, list_at[number + 1], begin + number, sums, number)
    compare_lists(outcome, mass, added, partial, members, first, last)


@jit
def list_hands(
    order: np.ndarray,
    end: np.ndarray,
    cards: np.ndarray,
    members: np.ndarray,
    list_at: Ints,
    partial: np.ndarray,
) -> None:
    """Lists hands by their cards: sets ``members``, ``list_at`` and ``partial`` of :class:`PayoffTables`.

    Args:
        order: ``[n]`` the hands.
        end: ``[n]`` at a showdown, where the tie group of each place ends; else empty.
        cards: ``[2, H]``.
        members: ``[3n]`` or longer.
        list_at: ``[N + 2]``.
        partial: ``[6, n]`` or wider.
    """
    hands, every = order.shape[0], list_at.shape[0] - 2
    list_at[:] = 0
    for which in range(3):
        for hand in order:
            list_at[_list_of(which, hand, cards, every) + 1] += 1
    for number in range(every + 1):
        list_at[number + 1] += list_at[number]
    there = list_at.copy()  # where each list's next member goes
    begin = 0
    while begin < hands:
        stop = end[begin] if end.shape[0] > 0 else begin + 1
        for place in range(begin, stop):
            for which in range(3):
                number = _list_of(which, order[place], cards, every)
                if end.shape[0] > 0:
                    partial[2 * which, place] = there[number] + number
                else:
                    partial[which, place] = number
        for hand in order[begin:stop]:
            for which in range(3):
                number = _list_of(which, hand, cards, every)
                members[there[number]] = hand
                there[number] += 1
        if end.shape[0] > 0:
            for place in range(begin, stop):
                for which in range(3):
                    number = _list_of(which, order[place], cards, every)
                    partial[2 * which + 1, place] = there[number] + number
        begin = stop


@jit_inline
def _list_of(which: int, hand: int, cards: np.ndarray, every: int) -> int:
    """The list of all hands, of those with the first card, or of those with the second."""
    number = every
    if which > 0:
        number = cards[which - 1, hand]
    return number
