"""How hands rank on a board: what they beat on average over run-outs, and how much that varies.

Boards that differ in the names of suits only are ranked once. A flop takes 50 ms: what is found of boards
that lack two cards or more is kept on disk.
"""

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.games.kept_arrays import keep_array
from pokerlab.games.parts import RankedBoards
from pokerlab.loops import jit

MOST_RUN_OUTS = 2048
"""Of a board, over which a hand's rank is averaged; of more, so many are drawn."""
AT_ONCE = 256
"""Boards that are ranked at once."""
BOARDS = 20_000
"""Of which ranks are remembered, the latest ones, 11 kB each: there are fewer flops and turns up to suits."""
UNITS = 10**9
"""Ranks are whole numbers of so many to 1."""


def rank_boards(deck: Deck, boards: Ints, cards: int) -> tuple[RankedBoards, Ints]:
    """How hands rank on boards of equal length, and ``[n, H]`` where the tie group of each place ends.

    Args:
        deck: with ``H`` hands.
        boards: ``[n, k]`` what is dealt.
        cards: how many are on a complete board.
    """
    number, hands = len(boards), deck.num_hands
    order, ends, begin, end = np.empty((4, number, hands), np.int64)
    potential = np.empty((number, hands))
    if boards.shape[1] == cards:
        same = np.arange(hands)[None]
        for part in range(0, number, AT_ONCE):
            here = slice(part, part + AT_ONCE)
            levels = deck.strengths(boards[here]).astype(np.int32) + 1
            ranked = np.stack([levels, np.where(levels == 0, -UNITS, 0)], 1)
            of = np.zeros(len(levels), np.int64)
            _order(ranked, same, of, order[here], ends[here], begin[here], end[here], potential[here])
    elif number:
        firsts, exchanges = deck.first_of_suits(boards)
        ranked = np.stack([_levels(deck, first, cards) for first in map(tuple, firsts.tolist())])
        _order(ranked, deck.hand_permutations, exchanges, order, ends, begin, end, potential)
    return RankedBoards(order, begin, end, potential >= 0, potential), ends


@jit
def _order(
    ranked: np.ndarray,
    hands: Ints,
    exchange: Ints,
    order: Ints,
    ends: Ints,
    begin: Ints,
    end: Ints,
    potential: Floats,
) -> None:
    """Sets ``[n, H]`` from ``[n, 2, H]`` levels and potentials under other names of suits, where hands are
    ``hands[exchange]``."""
    for board in range(ranked.shape[0]):
        there, of_hand = hands[exchange[board]], ranked[board, 0]
        first = np.zeros(of_hand.max() + 2, np.int64)
        for hand in range(of_hand.shape[0]):
            first[of_hand[hand] + 1] += 1
        for level in range(1, first.shape[0]):
            first[level] += first[level - 1]
        place = first.copy()
        for hand in range(there.shape[0]):
            level = of_hand[there[hand]]
            begin[board, hand], end[board, hand] = first[level], first[level + 1]
            order[board, place[level]], ends[board, place[level]] = hand, first[level + 1]
            place[level] += 1
            potential[board, hand] = ranked[board, 1, there[hand]] / UNITS


@lru_cache(BOARDS)
def _levels(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.int32]:
    """``[2, H]`` of a board of the first suits: which of the different ranks each hand has; its potential, in
    units."""
    ranks, potentials = kept_ranks(deck, board, cards)
    return np.stack([np.unique(ranks, return_inverse=True)[1].astype(np.int32), potentials])


def kept_ranks(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.int32]:
    """``[2, H]`` each hand's rank on a board and its potential, in units; negative where the board blocks it.

    The rank is the share of other hands that it beats on a complete board, ties counted half, on average
    over run-outs; the potential, the percentile among hands of its standard deviation. Both are from 0 to 1.

    Args:
        deck: with ``H`` hands.
        board: what is dealt.
        cards: how many are on a complete board; more than are dealt.
    """
    if cards - len(board) == 1:
        return _average_ranks(deck, board, cards)
    return keep_array(
        "ranks",
        f"{deck.ranks}x{deck.suits}-{cards}-{deck.board_name(board) or 'empty'}.bin",
        (2, deck.num_hands),
        np.int32,
        lambda: _average_ranks(deck, board, cards),
        "hands are ranked anew at every start",
    )


def _average_ranks(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.int32]:
    total, squares, times = np.zeros((3, deck.num_hands))
    boards = run_outs(deck, board, cards)
    for part in range(0, len(boards), AT_ONCE):
        _add_shares(deck.strengths(boards[part : part + AT_ONCE]), total, squares, times)
    ranked = times > 0
    mean = np.where(ranked, total / times.clip(1), BLOCKED)
    spread = np.sqrt((squares / times.clip(1) - mean**2).clip(0))
    if not board:  # run-outs are drawn: suits must not matter
        hands = deck.permute_hands(deck.suit_permutations)
        mean, spread = mean[hands].mean(0), spread[hands].mean(0)
    levels = np.where(ranked, (spread * 3e4).round(), BLOCKED).astype(np.int16)
    # in units, for what ties exactly may differ in its last digit
    return (np.stack([mean, share_beaten(levels[None])[0]]) * UNITS).round().astype(np.int32)


def run_outs(deck: Deck, board: tuple[int, ...], cards: int) -> Ints:
    """``[B, cards]`` complete boards: all there are, or ``MOST_RUN_OUTS`` of them."""
    rest = [card for card in range(len(deck.cards)) if card not in board]
    missing = cards - len(board)
    if (number := comb(len(rest), missing)) <= MOST_RUN_OUTS:
        dealt = np.array(list(combinations(rest, missing)), dtype=np.int64).reshape(number, missing)
    else:
        dealt = np.random.default_rng(0).permuted(np.tile(rest, (MOST_RUN_OUTS, 1)), axis=1)[:, :missing]
    return np.concatenate([np.tile(np.array(board, np.int64), (len(dealt), 1)), dealt], 1)


def share_beaten(strengths: np.ndarray) -> Floats:
    """``[B, H]`` the share of hands that are weaker, and half of those that tie; −1 for blocked hands.

    Strengths are whole numbers from 0, −1 for blocked hands.
    """
    shares = np.full(strengths.shape, float(BLOCKED))
    for strength, share in zip(strengths, shares, strict=True):
        _set_shares(strength, share)
    return shares


@jit
def _set_shares(strengths: np.ndarray, shares: Floats) -> None:
    """Sets ``[H]`` shares of hands that are not blocked."""
    below = np.zeros(strengths.max() + 2, np.int64)
    for hand in range(strengths.shape[0]):
        if strengths[hand] >= 0:
            below[strengths[hand] + 1] += 1
    for strength in range(1, below.shape[0]):
        below[strength] += below[strength - 1]
    twice = 2.0 * max(below[-1], 1)
    for hand in range(strengths.shape[0]):
        if strengths[hand] >= 0:
            shares[hand] = (below[strengths[hand]] + below[strengths[hand] + 1]) / twice


@jit
def _add_shares(strengths: np.ndarray, total: Floats, squares: Floats, times: Floats) -> None:
    """Adds the shares of ``[B, H]`` hands, their squares and their number to ``[H]``."""
    shares = np.empty(strengths.shape[1])
    for board in range(strengths.shape[0]):
        _set_shares(strengths[board], shares)
        for hand in range(shares.shape[0]):
            if strengths[board, hand] >= 0:
                total[hand] += shares[hand]
                squares[hand] += shares[hand] ** 2
                times[hand] += 1
