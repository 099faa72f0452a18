"""How hands will rank when the next card is dealt."""

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import Deck
from pokerlab.games.ranks import rank_boards
from pokerlab.games.run_out_sums import order_run_outs
from pokerlab.loops import jit


def spread_by_percentile(
    deck: Deck, board: tuple[int, ...], cards: int, mixtures: Floats, bins: int
) -> Floats:
    """The distribution of each hand's percentile after the next card, every card being as likely.

    The histogram that abstractions of hold'em group hands by (Johanson et al. 2013, "Evaluating
    state-space abstractions in extensive-form games", section 4), except that percentiles are of what is
    held there, not of all hands.

    Args:
        deck: with ``H`` hands.
        board: what is dealt.
        cards: how many are on a complete board, at least one more.
        mixtures: ``[n, H]`` what percentiles are of: mass of hands.
        bins: ``X``, from 0 to 1, to which percentiles belong by hat functions.

    Returns:
        ``[n, X, H]`` shares of the cards that can come; 0 for hands that the board blocks.
    """
    shares = np.zeros((len(mixtures), bins, deck.num_hands), mixtures.dtype)
    if len(board) + 1 == cards:
        order, ends = order_run_outs(deck, board, cards)
    else:
        dealt = [(*board, card) for card in range(len(deck.cards)) if card not in board]
        ranked, ends = rank_boards(deck, np.array(dealt, np.int64), cards)
        order = ranked.order
    rest = len(deck.cards) - len(board) - 1
    _spread(order, ends, deck.num_hands - rest * (rest - 1) // 2, rest - 1, mixtures, shares)
    return shares


@jit
def _spread(order: Ints, ends: Ints, first: int, times: int, mixtures: Floats, shares: Floats) -> None:
    """Sets ``shares``.

    Args:
        order: ``[B, H]`` of boards with one card more.
        ends: ``[B, H]`` where the tie group of each place ends.
        first: place of the first hand that these do not block.
        times: how many of them leave a hand possible.
        mixtures: see :func:`spread_by_percentile`.
        shares: the same.
    """
    number, bins = order.shape[1], shares.shape[1]
    one = 1.0 / times
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
                above = (along - lower) * one
                for place in range(begin, end):
                    to[lower, order[board, place]] += one - above
                    to[lower + 1, order[board, place]] += above
                below += tied
                begin = end
