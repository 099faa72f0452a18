"""What hands win from ranges over all ways to deal a board's last cards, without a matrix.

:mod:`pokerlab.games.run_outs` counts who beats whom for every pair of hands, for boards that are asked about
many times. A board that is asked about once takes a fraction of the time here. Where one card is to come,
hands are put in order of strength on each complete board, and mass is summed along it; where more are, the
counts are multiplied with as they lie on disk.
"""

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import Deck
from pokerlab.games.run_outs import counts_below, num_run_outs
from pokerlab.loops import jit


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
    won = np.zeros(theirs.shape)
    _add_outcomes(deck.strengths(boards), deck.hands, len(deck.cards), theirs.astype(np.float64), won)
    won /= num_run_outs(deck, board, boards.shape[1])
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
        at = 0
        for i in range(number):
            own, total = mass[i], 0.0
            for j in range(i):
                count = float(below[at + j])
                total += count * mass[j]
                found[j] -= count * own
            found[i] += total
            at += i
        for i in range(number):
            won[k, hands[i]] += found[i]


@jit
def _add_outcomes(
    strengths: np.ndarray, hands: np.ndarray, cards: int, theirs: np.ndarray, won: np.ndarray
) -> None:
    """Adds mass beaten less mass that beats to ``won`` ``[K, H]``, board by board of ``[B, H]`` strengths."""
    number = hands.shape[0]
    first = np.zeros(strengths.max() + 2, np.int64)
    order = np.empty(number, np.int64)
    of_card = np.empty((2, cards))  # of all hands that are possible; of those that are weaker
    for board in range(strengths.shape[0]):
        strength = strengths[board]
        first[:] = 0
        for hand in range(number):
            if strength[hand] >= 0:
                first[strength[hand] + 1] += 1
        for value in range(1, first.shape[0]):
            first[value] += first[value - 1]
        possible = first[-1]
        for hand in range(number):
            if strength[hand] >= 0:
                order[first[strength[hand]]] = hand
                first[strength[hand]] += 1
        for k in range(theirs.shape[0]):
            mass = theirs[k]
            of_card[:] = 0
            every, weaker = 0.0, 0.0
            for place in range(possible):
                hand = order[place]
                every += mass[hand]
                of_card[0, hands[hand, 0]] += mass[hand]
                of_card[0, hands[hand, 1]] += mass[hand]
            begin = 0
            while begin < possible:
                end = begin
                level = strength[order[begin]]
                while end < possible and strength[order[end]] == level:
                    hand = order[end]
                    won[k, hand] += weaker - of_card[1, hands[hand, 0]] - of_card[1, hands[hand, 1]]
                    end += 1
                for place in range(begin, end):
                    hand = order[place]
                    weaker += mass[hand]
                    of_card[1, hands[hand, 0]] += mass[hand]
                    of_card[1, hands[hand, 1]] += mass[hand]
                for place in range(begin, end):
                    hand = order[place]
                    a, b = hands[hand, 0], hands[hand, 1]
                    # the mass that it meets, less that of hands no stronger; the hand itself is in both
                    won[k, hand] -= (
                        every - weaker - (of_card[0, a] - of_card[1, a]) - (of_card[0, b] - of_card[1, b])
                    )
                begin = end
