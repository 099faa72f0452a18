"""How hands rank on a board: what they beat on average over run-outs, and how much that varies.

Boards that differ in the names of suits only are ranked once. A flop takes 50 ms: what is found of boards
that lack two cards or more is kept on disk.
"""

import threading
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
"""The most up to suits whose ranks are remembered, 16 kB each: 52 cards make 18,370 of up to four."""
UNITS = 10**9
"""Ranks are whole numbers of so many to 1."""


def rank_boards(deck: Deck, boards: Ints, cards: int) -> tuple[RankedBoards, NDArray[np.signedinteger]]:
    """How hands rank on boards of equal length, and ``[n, H]`` where the tie group of each place ends.

    Args:
        deck: with ``H`` hands.
        boards: ``[n, k]`` what is dealt.
        cards: how many are on a complete board.
    """
    number, hands = len(boards), deck.num_hands
    order, ends, begin, end = np.empty((4, number, hands), np.int32)
    potential = np.empty((number, hands))
    if boards.shape[1] == cards:
        for part in range(0, number, AT_ONCE):
            here = slice(part, part + AT_ONCE)
            strengths = deck.strengths(boards[here])
            np.minimum(strengths, 0, out=potential[here])
            _order(strengths, order[here], ends[here], begin[here], end[here])
    elif number:
        firsts, exchanges = deck.first_of_suits(boards)
        known = _known(deck, cards)
        _rename(
            known.places, known.units, known.rows(firsts), deck.hand_permutations, deck.hands_before,
            exchanges, order, ends, begin, end, potential,
        )  # fmt: skip
    return RankedBoards(order, begin, end, potential >= 0, potential), ends


@jit
def _order(
    levels: np.ndarray, order: np.ndarray, ends: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> None:
    """Sets ``[n, H]`` from how high hands rank, from −1."""
    for board in range(levels.shape[0]):
        of_hand = levels[board]
        first = np.zeros(of_hand.max() + 3, np.int32)
        for hand in range(of_hand.shape[0]):
            first[of_hand[hand] + 2] += 1
        for level in range(1, first.shape[0]):
            first[level] += first[level - 1]
        place = first.copy()
        for hand in range(of_hand.shape[0]):
            level = of_hand[hand] + 1
            begin[board, hand], end[board, hand] = first[level], first[level + 1]
            order[board, place[level]], ends[board, place[level]] = hand, first[level + 1]
            place[level] += 1


@jit
def _rename(
    places: np.ndarray, units: np.ndarray, rows: Ints, there: np.ndarray, back: np.ndarray, exchange: Ints,
    order: np.ndarray, ends: np.ndarray, begin: np.ndarray, end: np.ndarray, potential: Floats,
) -> None:  # fmt: skip
    """Sets ``[n, H]`` from ``rows`` of what is known of boards of the first suits, where hands are
    ``there[exchange]``, and of which ``back[exchange]`` makes hands again."""
    for board in range(rows.shape[0]):
        of_place, ends_of, begins, ends_at = places[rows[board]]
        of_hand, to_there, to_here = units[rows[board]], there[exchange[board]], back[exchange[board]]
        for hand in range(of_place.shape[0]):
            other = to_there[hand]
            begin[board, hand], end[board, hand] = begins[other], ends_at[other]
            potential[board, hand] = of_hand[other] / UNITS
            order[board, hand], ends[board, hand] = to_here[of_place[hand]], ends_of[hand]


class _Known:
    """Boards of the first suits, as they are met.

    Args:
        deck: with ``H`` hands.
        cards: how many are on a complete board.
    """

    def __init__(self, deck: Deck, cards: int) -> None:
        self._deck, self._cards = deck, cards
        self._row_of, self._lock = dict[tuple[int, ...], int](), threading.Lock()
        self.places = np.empty((BOARDS, 4, deck.num_hands), np.int16)  # memory is taken when it is written to
        """Order, ends, begin and end."""
        self.units = np.empty((BOARDS, deck.num_hands), np.int32)
        """Potentials."""

    def rows(self, boards: Ints) -> Ints:
        """``[n]`` where each of ``[n, k]`` boards is."""
        firsts = [tuple(board) for board in boards.tolist()]
        with self._lock:
            for board in dict.fromkeys(firsts):
                if board not in self._row_of:
                    self._add(board)
        return np.array([self._row_of[board] for board in firsts], np.int64)

    def _add(self, board: tuple[int, ...]) -> None:
        row = len(self._row_of)
        ranks, self.units[row] = kept_ranks(self._deck, board, self._cards)
        levels = np.unique(ranks, return_inverse=True)[1].astype(np.int16) - np.int16(1)
        _order(levels[None], *self.places[row][:, None])
        self._row_of[board] = row


_known = lru_cache(4)(_Known)


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
