"""What players call hands on a board: made hands and draws, for filters and tables.

A made hand uses a private card: three of a kind on the board alone is no set, and a board's pair no pair.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from pokerlab.games.base import Bools, Ints
from pokerlab.games.cards import RANKS, Deck

with warnings.catch_warnings():  # as in pokerlab.games.cards
    warnings.simplefilter("ignore", DeprecationWarning)
    import eval7

MADE = (
    "straight flush", "four of a kind", "full house", "flush", "straight", "set", "trips", "two pair",
    "overpair", "top pair", "pocket pair below top", "second pair", "low pair", "ace high", "no made hand",
)  # fmt: skip
"""From the best down."""
DRAWS = ("flush draw", "open-ended", "gutshot", "backdoor flush draw")
"""A hand can have several. A double gutshot counts as open-ended: two ranks complete it."""
_BY_TYPE = {
    "Straight Flush": 0, "Quads": 1, "Full House": 2, "Flush": 3, "Straight": 4,
}  # fmt: skip
_PAIRED, _SET, _TRIPS, _TWO_PAIR, _OVERPAIR, _TOP, _UNDER, _SECOND, _LOW, _ACE, _NOTHING = (-1, *range(5, 15))
ACE = len(RANKS) - 1
FLUSH_DRAW, STRAIGHT = 4, 5
"""Cards."""


def made_hands(deck: Deck, board: Sequence[int]) -> Ints:
    """``[H]`` which of ``MADE`` every hand is; −1 if the board blocks it.

    Args:
        deck: of 52 cards.
        board: three to five cards.
    """
    cards = [eval7.Card(card) for card in deck.cards]
    alone = eval7.evaluate([cards[card] for card in board])
    possible = deck.possible(board)
    found = np.full(deck.num_hands, -1)
    for hand in possible.nonzero()[0]:
        value = eval7.evaluate([cards[card] for card in (*board, *deck.hands[hand])])
        kind = _BY_TYPE.get(eval7.handtype(value), _PAIRED)
        own = sorted((deck.hands[hand] // deck.suits).tolist(), reverse=True)
        if kind == _PAIRED or value == alone:
            kind = _by_ranks(own, [card // deck.suits for card in board])
        found[hand] = kind
    return found


def _by_ranks(own: Sequence[int], board: Sequence[int]) -> int:
    """A hand by the ranks of its cards, the higher first, that is less than a straight or all the board's."""
    ranks = sorted(set(board), reverse=True)
    if own[0] == own[1]:
        if own[0] in ranks:
            return _SET
        return _OVERPAIR if own[0] > ranks[0] else _UNDER
    paired = [rank for rank in own if rank in ranks]
    if any(board.count(rank) >= 2 for rank in paired):
        return _TRIPS
    if len(paired) == 2:
        return _TWO_PAIR
    if paired:
        place = ranks.index(paired[0])
        return _TOP if place == 0 else _SECOND if place == 1 else _LOW
    return _ACE if own[0] == ACE else _NOTHING


def draws(deck: Deck, board: Sequence[int]) -> Bools:
    """``[draws, H]`` which of ``DRAWS`` every hand has; none on a complete board, or if it is blocked.

    Args:
        deck: of 52 cards.
        board: three to five cards.
    """
    found = np.zeros((len(DRAWS), deck.num_hands), dtype=bool)
    if len(board) == STRAIGHT:
        return found
    on_board = [card // deck.suits for card in board]
    suits = np.bincount([card % deck.suits for card in board], minlength=deck.suits)
    completes: dict[tuple[int, ...], int] = {}
    for hand in deck.possible(board).nonzero()[0]:
        cards = deck.hands[hand]
        own = np.bincount(cards % deck.suits, minlength=deck.suits)
        most = int((suits + own)[own > 0].max())
        found[0, hand] = most == FLUSH_DRAW
        found[3, hand] = most == FLUSH_DRAW - 1 and len(board) == 3
        ranks = tuple(sorted((cards // deck.suits).tolist()))
        if ranks not in completes:
            completes[ranks] = _completing(ranks, on_board)
        found[1, hand], found[2, hand] = completes[ranks] >= 2, completes[ranks] == 1
    return found


def _completing(own: Sequence[int], board: Sequence[int]) -> int:
    """How many ranks make a straight of a hand that has none, and none of the board alone."""
    if _straight({*own, *board}):
        return 0
    return sum(
        _straight({*own, *board, rank}) and not _straight({*board, rank}) for rank in range(len(RANKS))
    )


def _straight(ranks: set[int]) -> bool:
    """An ace is also below the deuce."""
    low = ranks | ({-1} if ACE in ranks else set())
    return any(all(first + step in low for step in range(STRAIGHT)) for first in range(-1, len(RANKS) - 4))
