"""Who wins an all-in: how often each hand beats each other, over all ways to deal the board's last cards.

Boards that differ in the names of suits only have the same numbers: one of them is counted, for which a flop
takes a tenth of a second and the empty board twenty; the 1,755 flops that differ make 2.4 GB. So they are
counted when they are first needed, and kept on disk. Turns take two milliseconds, and are not kept.
"""

from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.games.kept_arrays import keep_array
from pokerlab.games.ranks import run_outs
from pokerlab.loops import jit

REMEMBERED = 16
"""Boards whose matrices are remembered, the latest ones."""
COUNTED = 128
"""Boards up to suits whose counts are remembered, the latest ones: up to 1.8 MB each."""
AT_ONCE = 512
"""Run-outs whose strengths are made at once."""


def num_run_outs(deck: Deck, board: tuple[int, ...], cards: int) -> int:
    """In how many ways a board can be completed for two hands.

    Args:
        deck: the deck.
        board: what is dealt.
        cards: how many are on a complete board.
    """
    return comb(len(deck.cards) - len(board) - 4, cards - len(board))


@lru_cache(REMEMBERED)
def run_out_wins(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    """``[H, H]`` on how many run-outs a hand wins less on how many it loses; 0 for hands that cannot meet.

    What is lost is the negative of what is won: the transpose is the negative. Of the smallest type that
    holds :func:`num_run_outs`.

    Args:
        deck: with ``H`` hands.
        board: what is dealt, in any order.
        cards: how many are on a complete board.
    """
    dtype = np.min_scalar_type(-num_run_outs(deck, board, cards))
    wins = np.zeros((deck.num_hands, deck.num_hands), dtype)
    _set_wins(deck, board, cards, 1, wins)
    return wins


def set_shares(deck: Deck, board: tuple[int, ...], cards: int, shares: Floats) -> None:
    """Sets shares of run-outs that a hand wins less those that it loses, the opponent's hand first.

    Args:
        deck: with ``H`` hands.
        board: what is dealt, in any order.
        cards: how many are on a complete board.
        shares: ``[H, H]`` or wider, zeros.
    """
    _set_wins(deck, board, cards, -num_run_outs(deck, board, cards), shares)


def _set_wins(deck: Deck, board: tuple[int, ...], cards: int, unit: int, wins: np.ndarray) -> None:
    if cards - len(board) < 2:
        _compare(deck, board, cards, unit, wins)
    else:
        _spread(*counts_below(deck, board, cards), unit, wins)


def counts_below(deck: Deck, board: tuple[int, ...], cards: int) -> tuple[NDArray[np.signedinteger], Ints]:
    """:func:`run_out_wins` below the diagonal, row by row, of possible hands in some order; and that order.

    At least two cards are to come.
    """
    first, hands = _first_of_suits(deck, board)
    return _counts(deck, first, cards), hands


@lru_cache(COUNTED)
def _first_of_suits(deck: Deck, board: tuple[int, ...]) -> tuple[tuple[int, ...], Ints]:
    """The board that is counted, and the hands here that correspond to those that are possible there."""
    (first,), (exchange,) = deck.first_of_suits(np.array([board], np.int64))
    return tuple(first.tolist()), deck.hands_before[exchange, deck.possible(first)]


def _compare(deck: Deck, board: tuple[int, ...], cards: int, unit: int, wins: np.ndarray) -> None:
    """Sets ``wins`` of a board that lacks a card at most: to count anew takes less time than to look up."""
    hands = np.flatnonzero(deck.possible(board))
    lost = deck.strengths(run_outs(deck, board, cards)).take(hands, 1)
    won = np.where(lost == BLOCKED, np.iinfo(np.int16).max, lost)
    _compare_pairs(lost, won, hands, deck.disjoint, unit, wins)


@jit
def _compare_pairs(
    lost: np.ndarray, won: np.ndarray, hands: Ints, disjoint: np.ndarray, unit: int, wins: np.ndarray
) -> None:
    """Sets ``wins`` of pairs of hands, in units, from ``[B, n]`` strengths: of blocked hands −1 in ``lost``
    and the most there is in ``won``."""
    number = np.empty(hands.shape[0], np.int16)
    for i in range(hands.shape[0]):
        number[:i] = 0
        for b in range(lost.shape[0]):
            own, weaker, stronger = lost[b, i], won[b], lost[b]
            if own >= 0:
                for j in range(i):
                    number[j] += np.int16(own > weaker[j]) - np.int16(own < stronger[j])
        for j in range(i):
            if disjoint[hands[i], hands[j]]:
                wins[hands[i], hands[j]] = number[j] / unit
                wins[hands[j], hands[i]] = -number[j] / unit


@jit
def _spread(triangle: np.ndarray, hands: np.ndarray, unit: int, wins: np.ndarray) -> None:
    """Sets ``wins`` of some hands, in units: below the diagonal to ``triangle``, row by row; above, to its
    negative."""
    at = 0
    for i in range(hands.shape[0]):
        for j in range(i):
            wins[hands[i], hands[j]] = triangle[at] / unit
            wins[hands[j], hands[i]] = -triangle[at] / unit
            at += 1


@lru_cache(COUNTED)
def _counts(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    """:func:`run_out_wins` below the diagonal, row by row, for the hands that the board leaves possible."""
    hands = int(deck.possible(board).sum())
    return keep_array(
        "run_outs",
        f"{deck.ranks}x{deck.suits}-{cards}-{deck.board_name(board) or 'empty'}.bin",
        (hands * (hands - 1) // 2,),
        np.min_scalar_type(-num_run_outs(deck, board, cards)),
        lambda: _count(deck, board, cards),
        "all-ins are counted anew at every start",
    )


def _count(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    boards, alike, exchanges = deck.boards(board, cards)
    won = np.zeros((deck.num_hands, deck.num_hands), np.int32)
    for times in np.unique(alike):
        same = boards[alike == times]
        for part in range(0, len(same), AT_ONCE):
            strengths = deck.strengths(same[part : part + AT_ONCE])
            others = np.where(strengths == BLOCKED, np.iinfo(np.int16).max, strengths)
            _add_wins(strengths, others, times, won)
    won -= won.T
    hands: Ints = deck.permute_hands(exchanges)
    total = sum(won[hand[:, None], hand] for hand in hands) // len(hands)
    possible = deck.possible(board)
    below: NDArray[np.signedinteger] = np.where(deck.disjoint, total, 0)[possible][:, possible]
    return below[np.tri(possible.sum(), k=-1, dtype=bool)]


@jit
def _add_wins(strengths: np.ndarray, others: np.ndarray, times: int, won: np.ndarray) -> None:
    """Adds ``times`` for each board ``[B]`` on which the row's hand beats the column's.

    ``strengths`` and ``others`` are ``[B, H]``, contiguous; others' blocked hands have the most there is.
    """
    wins = np.empty(strengths.shape[1], np.int16)
    for i in range(strengths.shape[1]):
        wins[:] = 0
        for b in range(strengths.shape[0]):
            own, theirs = strengths[b, i], others[b]
            for j in range(theirs.shape[0]):
                wins[j] += np.int16(own > theirs[j])
        for j in range(strengths.shape[1]):
            won[i, j] += times * wins[j]
