"""How hands will rank when more cards are dealt: not on average, but how often how high.

That is the histogram by which abstractions of hold'em group hands (Johanson et al. 2013, "Evaluating
state-space abstractions in extensive-form games", section 4). Shares of a hand belong to bins along the
percentile by hat functions, from 0 to 1.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import Deck
from pokerlab.games.hand_order import order_by_strength
from pokerlab.games.kept_arrays import keep_array
from pokerlab.games.ranks import AT_ONCE, rank_boards, run_outs
from pokerlab.games.run_out_sums import order_run_outs
from pokerlab.loops import jit

BOARDS = 2048
"""Up to suits, whose histograms are remembered, the latest ones: 64 kB each for 12 bins."""


def spread_after_next_card(
    deck: Deck, board: tuple[int, ...], cards: int, mixtures: Floats, bins: int
) -> Floats:
    """The histogram of each hand's percentile after the next card, every card being as likely.

    Args:
        deck: with ``H`` hands.
        board: what is dealt.
        cards: how many are on a complete board, at least one more.
        mixtures: ``[n, H]`` what percentiles are of: mass of hands.
        bins: ``X``.

    Returns:
        ``[n, X, H]`` shares of the cards that can come; 0 for hands that the board blocks.
    """
    if len(board) + 1 == cards:
        order, ends = order_run_outs(deck, board, cards)
    else:
        dealt = [(*board, card) for card in range(len(deck.cards)) if card not in board]
        ranked, ends = rank_boards(deck, np.array(dealt, np.int64), cards)
        order = ranked.order
    return _share([(order, ends)], deck, len(board) + 1, mixtures, bins)


def spread_on_complete_boards(deck: Deck, board: tuple[int, ...], cards: int, bins: int) -> Floats:
    """The histogram of each hand's percentile among all hands, over run-outs.

    Of boards that lack two cards or more it is kept on disk: a flop takes 0.02 to 0.04 s.

    Args:
        deck: with ``H`` hands.
        board: what is dealt.
        cards: how many are on a complete board; more than are dealt.
        bins: ``X``.

    Returns:
        ``[X, H]`` float32, not to be written to; 0 for hands that the board blocks.
    """
    (first,), (exchange,) = deck.first_of_suits(np.array([board], np.int64))
    return of_first_suits(deck, tuple(first.tolist()), cards, bins)[:, deck.hand_permutations[exchange]]


@lru_cache(BOARDS)
def of_first_suits(deck: Deck, board: tuple[int, ...], cards: int, bins: int) -> Floats:
    """:func:`spread_on_complete_boards` of a board of the first suits."""

    def make() -> Floats:
        possible = deck.possible(board)[None].astype(float)
        (found,) = _share(_orders(deck, board, cards), deck, cards, possible, bins)
        if not board:  # run-outs are drawn: suits must not matter
            found = found[:, deck.permute_hands(deck.suit_permutations)].mean(1)
        return found.astype(np.float32)

    if cards - len(board) == 1:
        return make()
    return keep_array(
        "histograms",
        f"{deck.ranks}x{deck.suits}-{cards}-{bins}-{deck.board_name(board) or 'empty'}.bin",
        (bins, deck.num_hands),
        np.float32,
        make,
        "hands are ranked anew at every start",
    )


def _orders(deck: Deck, board: tuple[int, ...], cards: int) -> Iterator[tuple[Ints, Ints]]:
    boards = run_outs(deck, board, cards)
    for part in range(0, len(boards), AT_ONCE):
        yield order_by_strength(deck.strengths(boards[part : part + AT_ONCE]))


def _share(
    orders: Iterable[tuple[Ints, Ints]], deck: Deck, dealt: int, mixtures: Floats, bins: int
) -> Floats:
    """``[n, X, H]`` from hands in order on boards of ``dealt`` cards."""
    shares = np.zeros((len(mixtures), bins, deck.num_hands))
    rest = len(deck.cards) - dealt
    for order, ends in orders:
        _add_shares(order, ends, deck.num_hands - rest * (rest - 1) // 2, mixtures, shares)
    shares /= shares.sum(1, keepdims=True).clip(1e-30)
    return shares


@jit
def _add_shares(order: Ints, ends: Ints, first: int, mixtures: Floats, shares: Floats) -> None:
    """Adds to ``[n, X, H]``, of ``[B, H]`` orders in which hands that boards block come before ``first``."""
    number, bins = order.shape[1], shares.shape[1]
    for state in range(mixtures.shape[0]):
        mixture, to = mixtures[state], shares[state]
        for board in range(order.shape[0]):
            every, below = 0.0, 0.0
            for place in range(first, number):
                every += mixture[order[board, place]]
            scale = (bins - 1) / max(every, 1e-30)
            begin = first
            while begin < number:
                end = ends[board, begin]
                tied = 0.0
                for place in range(begin, end):
                    tied += mixture[order[board, place]]
                along = min((below + tied / 2) * scale, bins - 1.0)
                lower = min(int(along), bins - 2)
                above = along - lower
                for place in range(begin, end):
                    to[lower, order[board, place]] += 1 - above
                    to[lower + 1, order[board, place]] += above
                below += tied
                begin = end
