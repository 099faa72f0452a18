"""Reads the arguments of hold'em that say where it starts."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from pokerlab.games.base import Floats
from pokerlab.games.bets import is_number
from pokerlab.games.cards import Deck
from pokerlab.games.holdem.state import HoldemState

MOST_CHIPS = 1e12
MOST_BOARD = 5
HOLE_CARDS = 2
"""Of each player."""


def read_deals(deals: Sequence[int], cards: int) -> tuple[int, ...]:
    """How many cards are on the board on each street, of a deck of ``cards``."""
    whole = isinstance(deals, Sequence) and all(type(cards) is int for cards in deals)
    if not whole or not deals or deals[0] != 0 or any(cards < 1 for cards in deals[1:]):
        raise ValueError(f"deals must be no card before the first street, then some, got {deals!r}")
    if sum(deals) > MOST_BOARD:
        raise ValueError(f"deals must come to {MOST_BOARD} cards at most, got {list(deals)}")
    if cards < (taken := sum(deals) + 2 * HOLE_CARDS):
        raise ValueError(
            f"deals of {sum(deals)} cards and two hands take {taken} cards, and there are {cards}: "
            "expected more ranks or suits, or fewer cards dealt"
        )
    return tuple(accumulate(deals))


def read_root(
    deck: Deck,
    streets: Sequence[int],
    board: str | Sequence[str] | None,
    pot: float,
    stack: float,
    blinds: Sequence[float],
    *,
    small_blind: int,
) -> tuple[HoldemState, float]:
    """The root and the big blind."""
    if not isinstance(board or "", str):
        if not isinstance(board, Sequence) or not all(isinstance(card, str) for card in board):
            raise ValueError(f"board must be cards such as Td9d6h, got {board!r}")
        board = "".join(board)
    cards = deck.read_cards(str(board or ""))
    if len(cards) not in streets:
        raise ValueError(f"board must have {', '.join(map(str, streets))} cards, got {len(cards)}")
    for name, chips in (("pot", pot), ("stack", stack)):
        if not is_number(chips) or not 0 <= chips <= MOST_CHIPS:
            raise ValueError(f"{name} must be a number of chips from 0 to {MOST_CHIPS:g}, got {chips!r}")
    if not isinstance(blinds, Sequence) or len(blinds) != 2 or not all(map(is_number, blinds)):
        raise ValueError(f"blinds must be a small and a big one, got {blinds!r}")
    small, big = blinds
    if not 0 <= small <= big <= MOST_CHIPS:
        raise ValueError(f"blinds must be a small and a big one, got {list(blinds)}")
    before = 0.0 if pot else 1.0
    if cards and not pot:
        raise ValueError(f"pot must be above 0 where the game starts with a board, got {pot}")
    if not stack > big * before:
        raise ValueError(f"stack must be more than the big blind and than 0, got {stack}")
    posted = (big * before, small * before)
    committed = posted if small_blind else posted[::-1]
    return HoldemState(cards, float(pot), float(stack), committed, ((),)), float(big)


def read_ranges(deck: Deck, board: Sequence[int], ranges: Sequence[str | int]) -> Floats:
    """``[2, H]`` each player's initial belief."""
    if isinstance(ranges, str) or not isinstance(ranges, Sequence) or len(ranges) != 2:
        given = len(ranges) if isinstance(ranges, Sequence) and not isinstance(ranges, str) else ranges
        raise ValueError(f"ranges must be two, one for each player, got {given}")
    if not all(type(text) in (str, int) for text in ranges):
        raise ValueError(f"ranges must be such as QQ+,AKs or uniform, got {list(ranges)}")
    weights = np.array([deck.read_range(str(text)) for text in ranges])
    weights *= deck.possible(board)
    for text, of_player in zip(ranges, weights, strict=True):
        if not of_player.any():
            raise ValueError(f"ranges must have hands: the board leaves none of {str(text)!r}")
    held = weights > 0
    of_card = deck.holds.astype(np.int64) @ held[1]
    others = held[1].sum() + held[1] - of_card[deck.hands].sum(1)  # that share no card with each hand
    if not (held[0] & (others > 0)).any():
        raise ValueError(
            f"ranges must have hands that can meet: none of {' and '.join(map(repr, ranges))} do"
        )
    return weights / weights.sum(1, keepdims=True)
