"""Payoffs of :mod:`pokerlab.games.payoff_tables` in compiled loops, ``LANES`` terminals at once."""

from collections.abc import Sequence

import numpy as np
import torch

from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN, Floats, PayoffTables
from pokerlab.lanes import LANES, ROWS, add_lanes, multiply_lanes, subtract_lanes
from pokerlab.loops import jit, jit_inline


def workspace_for(tables: PayoffTables, dtype: torch.dtype) -> np.ndarray:
    """Mass, outcomes and sums, ``[2 · (H + LANES) + N + 1, LANES]``, aligned to vectors."""
    rows = 2 * (tables.cards.shape[1] + LANES) + tables.num_cards + 1
    return torch.empty(rows, LANES, dtype=dtype).numpy()


def padded_columns(hands: int) -> int:
    """How many columns a matrix of so many gets."""
    return -(-hands // ROWS) * ROWS


def pad_columns(matrices: Sequence[torch.Tensor], *, hands: int, dtype: torch.dtype) -> Floats:
    """``[R, H, H]`` → ``[R, H, H + padding]``, in whole ``ROWS``."""
    padded = torch.zeros(len(matrices), hands, padded_columns(hands), dtype=dtype)
    for to, matrix in zip(padded, matrices, strict=True):
        to[:, :hands] = matrix
    return padded.numpy()


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
    mass, outcome = workspace[: hands + LANES], workspace[hands + LANES : 2 * (hands + LANES)]
    sums = workspace[2 * (hands + LANES) :]
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
    kind, first, last = tables.kind[row], tables.first[row], tables.last[row]
    order, end = tables.order[row, first:last], tables.end[row, first:last]
    if kind == RUN_OUT:
        matrix = tables.run_outs[tables.run_out[row]]
        flat, hands = matrix.reshape(matrix.size), matrix.shape[0]
        for hand in range(0, hands, ROWS):
            multiply_lanes(outcome, hand, flat, matrix.shape[1], mass, hands)
        return
    outcome[:] = 0
    sums[:] = 0
    if kind == SHOWDOWN:
        _show_down(order, end, tables.cards, mass, outcome, sums)
    else:
        _meet(order, tables.cards, mass, outcome, sums)


@jit_inline
def _meet(order: np.ndarray, cards: np.ndarray, mass: Floats, met: Floats, sums: Floats) -> None:
    """The mass that each hand meets; ``sums`` are of all hands, and of those with each card."""
    everything = sums.shape[0] - 1
    for hand in order:
        add_lanes(sums, everything, mass, hand)
        add_lanes(sums, cards[0, hand], mass, hand)
        add_lanes(sums, cards[1, hand], mass, hand)
    for hand in order:
        add_lanes(met, hand, sums, everything)
        add_lanes(met, hand, mass, hand)
        subtract_lanes(met, hand, sums, cards[0, hand])
        subtract_lanes(met, hand, sums, cards[1, hand])


@jit_inline
def _show_down(
    order: np.ndarray, end: np.ndarray, cards: np.ndarray, mass: Floats, beaten: Floats, sums: Floats
) -> None:
    """Mass beaten less mass that beats. ``sums``, of all hands and of those with each card, are twice what is
    weaker less everything; within a tie group, what ties is counted once."""
    everything = sums.shape[0] - 1
    for hand in order:
        subtract_lanes(sums, everything, mass, hand)
        subtract_lanes(sums, cards[0, hand], mass, hand)
        subtract_lanes(sums, cards[1, hand], mass, hand)
    begin = 0
    while begin < order.shape[0]:
        tied = order[begin : end[begin]]
        for half in range(2):
            for hand in tied:
                add_lanes(sums, everything, mass, hand)
                add_lanes(sums, cards[0, hand], mass, hand)
                add_lanes(sums, cards[1, hand], mass, hand)
            if half == 0:
                for hand in tied:
                    add_lanes(beaten, hand, sums, everything)
                    subtract_lanes(beaten, hand, sums, cards[0, hand])
                    subtract_lanes(beaten, hand, sums, cards[1, hand])
        begin = end[begin]
