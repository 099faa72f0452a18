"""What hands win from ranges over all ways to deal a board's last cards, without a matrix.

:mod:`pokerlab.games.run_outs` counts who beats whom for every pair of hands, for boards that are asked about
many times. A board that is asked about once takes a fraction of the time here. Where one card is to come,
hands are put in order of strength on each complete board, and mass is summed along it; where more are, the
counts are multiplied with as they lie on disk.
"""

from functools import lru_cache

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import Deck
from pokerlab.games.hand_order import order_by_strength
from pokerlab.games.ranks import run_outs
from pokerlab.games.run_outs import counts_below, num_run_outs
from pokerlab.loops import jit

ORDERED = 256
"""Boards whose hands' order on all run-outs is remembered, the latest ones: 0.25 MB each."""


def sum_outcomes(deck: Deck, board: tuple[int, ...], cards: int, theirs: Floats) -> Floats:
    """What each hand wins less what it loses, on average over run-outs, however many cards are to come.

    Args:
        deck: with ``H`` hands.
        board: what is dealt, complete or not.
        cards: how many are on a complete board.
        theirs: ``[K, H]`` the other's mass.

    Returns:
        ``[K, H]`` float64, see :func:`win_on_run_outs`.
    """
    if cards - len(board) > 1:
        return win_by_counts(deck, board, cards, theirs)
    return _win_in_order(deck, board, cards, *order_run_outs(deck, board, cards), theirs)


def win_on_run_outs(deck: Deck, board: tuple[int, ...], boards: Ints, theirs: Floats) -> Floats:
    """What each hand wins less what it loses, on average over run-outs.

    Args:
        deck: with ``H`` hands.
        board: what is dealt.
        boards: ``[B, cards]`` all its run-outs, complete.
        theirs: ``[K, H]`` the other's mass.

    Returns:
        ``[K, H]`` float64, the sum over the other's hands of their mass times the share of run-outs won less
        the share lost; 0 for hands that the board blocks.
    """
    return _win_in_order(deck, board, boards.shape[1], *_order_boards(deck, boards), theirs)


def _win_in_order(
    deck: Deck, board: tuple[int, ...], cards: int, order: np.ndarray, ends: np.ndarray, theirs: Floats
) -> Floats:
    won = np.zeros(theirs.shape)
    mass = theirs.astype(np.float64)
    _add_outcomes(order, ends, cards, deck.hands, len(deck.cards), mass[None], won[None])
    won /= num_run_outs(deck, board, cards)
    return won


def win_showdowns(deck: Deck, order: np.ndarray, ends: np.ndarray, cards: int, theirs: Floats) -> Floats:
    """What each hand wins less what it loses on complete boards whose order of hands is known.

    Args:
        deck: with ``H`` hands.
        order: ``[U, H]`` of :func:`~pokerlab.games.hand_order.order_by_strength`, blocked hands first.
        ends: ``[U, H]`` of the same.
        cards: how many are on a board.
        theirs: ``[U, K, H]`` the other's mass.

    Returns:
        ``[U, K, H]`` float64; 0 for hands that the board blocks.
    """
    won = np.zeros(theirs.shape)
    _add_outcomes(order, ends, cards, deck.hands, len(deck.cards), theirs, won)
    return won


def win_by_counts(deck: Deck, board: tuple[int, ...], cards: int, theirs: Floats) -> Floats:
    """The same as :func:`win_on_run_outs`, where at least two of ``cards`` cards are to come."""
    won = np.zeros(theirs.shape)
    _multiply_counts(*counts_below(deck, board, cards), theirs.astype(np.float64), won)
    won /= num_run_outs(deck, board, cards)
    return won


@jit
def _multiply_counts(below: np.ndarray, hands: Ints, theirs: np.ndarray, won: np.ndarray) -> None:
    """Adds the product of ``theirs`` ``[K, H]`` with an antisymmetric matrix to ``won``."""
    number = hands.shape[0]
    mass, found = np.empty(number), np.empty(number)
    for k in range(theirs.shape[0]):
        for i in range(number):
            mass[i] = theirs[k, hands[i]]
        found[:] = 0
        for i in range(0, number, 4):
            done = 0
            if i + 4 <= number:  # four rows at once, so that no sum waits for another
                a, b = i * (i - 1) // 2, i * (i + 1) // 2
                c, d = b + i + 1, b + 2 * i + 3
                own_a, own_b, own_c, own_d = mass[i], mass[i + 1], mass[i + 2], mass[i + 3]
                of_a, of_b, of_c, of_d = 0.0, 0.0, 0.0, 0.0
                for j in range(i):
                    count_a, count_b = float(below[a + j]), float(below[b + j])
                    count_c, count_d = float(below[c + j]), float(below[d + j])
                    of_a += count_a * mass[j]
                    of_b += count_b * mass[j]
                    of_c += count_c * mass[j]
                    of_d += count_d * mass[j]
                    found[j] -= (count_a * own_a + count_b * own_b) + (count_c * own_c + count_d * own_d)
                found[i] += of_a
                found[i + 1] += of_b
                found[i + 2] += of_c
                found[i + 3] += of_d
                done = i
            for row in range(i, min(i + 4, number)):
                at = row * (row - 1) // 2
                for j in range(done, row):
                    count = float(below[at + j])
                    found[row] += count * mass[j]
                    found[j] -= count * mass[row]
        for i in range(number):
            won[k, hands[i]] += found[i]


@lru_cache(ORDERED)
def order_run_outs(deck: Deck, board: tuple[int, ...], cards: int) -> tuple[np.ndarray, np.ndarray]:
    """``[B, H]`` :func:`~pokerlab.games.hand_order.order_by_strength` on all run-outs of a board."""
    return _order_boards(deck, run_outs(deck, board, cards))


def _order_boards(deck: Deck, boards: Ints) -> tuple[np.ndarray, np.ndarray]:
    order, ends = order_by_strength(deck.strengths(boards))
    return order.astype(np.int16), ends.astype(np.int16)


@jit
def _add_outcomes(
    order: np.ndarray,
    ends: np.ndarray,
    dealt: int,
    hands: np.ndarray,
    cards: int,
    theirs: np.ndarray,
    won: np.ndarray,
) -> None:
    """Adds mass beaten less mass that beats to ``won``, board by board of ``[B, H]`` orders.

    A board has ``dealt`` cards of the deck's ``cards``: the hands that it blocks come first. ``theirs`` and
    ``won`` are ``[B, K, H]``, or ``[1, K, H]`` for all boards.
    """
    of_card = np.empty((2, cards))  # of all hands that are possible; of those that are weaker
    number, rest = order.shape[1], cards - dealt
    first = number - rest * (rest - 1) // 2
    for board in range(order.shape[0]):
        at = min(board, theirs.shape[0] - 1)
        for k in range(theirs.shape[1]):
            mass, to = theirs[at, k], won[at, k]
            of_card[:] = 0
            every, weaker = 0.0, 0.0
            for place in range(first, number):
                hand = order[board, place]
                every += mass[hand]
                of_card[0, hands[hand, 0]] += mass[hand]
                of_card[0, hands[hand, 1]] += mass[hand]
            begin = first
            while begin < number:
                end = ends[board, begin]
                for place in range(begin, end):
                    hand = order[board, place]
                    to[hand] += weaker - of_card[1, hands[hand, 0]] - of_card[1, hands[hand, 1]]
                for place in range(begin, end):
                    hand = order[board, place]
                    weaker += mass[hand]
                    of_card[1, hands[hand, 0]] += mass[hand]
                    of_card[1, hands[hand, 1]] += mass[hand]
                for place in range(begin, end):
                    hand = order[board, place]
                    a, b = hands[hand, 0], hands[hand, 1]
                    # the mass that it meets, less that of hands no stronger; the hand itself is in both
                    to[hand] -= (
                        every - weaker - (of_card[0, a] - of_card[1, a]) - (of_card[0, b] - of_card[1, b])
                    )
                begin = end
