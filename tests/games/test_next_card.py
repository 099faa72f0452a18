"""How hands will rank after the next card, against a sum over cards and hands."""

import numpy as np
import pytest

from pokerlab.games.cards import Deck
from pokerlab.games.next_card import spread_by_percentile
from pokerlab.games.ranks import kept_ranks

DECK = Deck(5, 3)


@pytest.mark.parametrize(("board", "cards"), [((0, 4), 3), ((2, 8, 13), 5), ((1,), 3)])
def test_percentiles_after_the_next_card_are_those_of_every_card(board: tuple[int, ...], cards: int) -> None:
    bins, possible = 4, DECK.possible(board)
    mixtures = np.random.default_rng(0).random((2, DECK.num_hands)) ** 3 * possible
    found = spread_by_percentile(DECK, board, cards, mixtures, bins)
    knots = np.linspace(0, 1, bins)
    expected, times = np.zeros_like(found), np.zeros(DECK.num_hands)
    for card in set(range(len(DECK.cards))) - set(board):
        after = (*board, card)
        there = DECK.possible(after)
        if len(after) == cards:
            ranks = DECK.strengths(np.array([after]))[0].astype(int)
        else:
            ranks = kept_ranks(DECK, tuple(sorted(after)), cards)[0]
        times += there
        for state, mixture in enumerate(mixtures):
            for hand in np.flatnonzero(there):
                below, tied = there & (ranks < ranks[hand]), there & (ranks == ranks[hand])
                percentile = (mixture[below].sum() + mixture[tied].sum() / 2) / mixture[there].sum()
                expected[state, :, hand] += (1 - abs(percentile - knots) * (bins - 1)).clip(0)
    np.testing.assert_allclose(found, expected / times.clip(1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sum(1), np.tile(possible, (2, 1)), rtol=0, atol=1e-12)
