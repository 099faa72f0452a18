"""How hands will rank when more cards are dealt, against sums over cards and hands."""

from itertools import combinations

import numpy as np
import pytest
import torch

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.games import later_rank_kernels
from pokerlab.games.base import Bools, Floats
from pokerlab.games.cards import Deck
from pokerlab.games.later_ranks import spread_after_next_card, spread_on_complete_boards
from pokerlab.games.ranks import kept_ranks

DECK = Deck(5, 3)
BINS = 4


def add(to: Floats, ranks: np.ndarray, there: Bools, mixture: Floats) -> None:
    """Adds hats at the percentiles of the hands that are there."""
    for hand in np.flatnonzero(there):
        below, tied = there & (ranks < ranks[hand]), there & (ranks == ranks[hand])
        percentile = (mixture[below].sum() + mixture[tied].sum() / 2) / mixture[there].sum()
        to[:, hand] += (1 - abs(percentile - np.linspace(0, 1, BINS)) * (BINS - 1)).clip(0)


@pytest.mark.parametrize(("board", "cards"), [((0, 4), 3), ((2, 8, 13), 5), ((1,), 3)])
def test_percentiles_after_the_next_card_are_those_of_every_card(board: tuple[int, ...], cards: int) -> None:
    possible = DECK.possible(board)
    mixtures = np.random.default_rng(0).random((2, DECK.num_hands)) ** 3 * possible
    found = spread_after_next_card(DECK, board, cards, mixtures, BINS)
    expected = np.zeros_like(found)
    for card in set(range(len(DECK.cards))) - set(board):
        after = (*board, card)
        if len(after) == cards:
            ranks = DECK.strengths(np.array([after]))[0].astype(int)
        else:
            ranks = kept_ranks(DECK, tuple(sorted(after)), cards)[0]
        for to, mixture in zip(expected, mixtures, strict=True):
            add(to, ranks, DECK.possible(after), mixture)
    expected /= expected.sum(1, keepdims=True).clip(1e-30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("boards", "cards"), [([(0, 4), (0, 3), (0, 4)], 3), ([(1,), (5,)], 3), ([()] * 2, 1)]
)
def test_a_gpu_finds_the_same(boards: list[tuple[int, ...]], cards: int, dtype: torch.dtype) -> None:
    """After the next card and on complete boards; in numba's simulator."""
    beliefs = np.random.default_rng(0).random((len(boards), 2, DECK.num_hands)) ** 3
    beliefs[1, 0] = ~DECK.possible(boards[1])  # in nothing that is possible
    expected = []
    for board, both in zip(boards, beliefs, strict=True):
        held = both * (possible := DECK.possible(board))
        held /= held.sum(1, keepdims=True).clip(1e-30)
        mixture = 0.45 * held.sum(0) + 0.1 / possible.sum() * possible
        expected.append(spread_after_next_card(DECK, board, cards, mixture[None], BINS)[0])
    with pretended_cuda(kernels=True):
        there = torch.as_tensor(beliefs).to(dtype).to(CUDA)
        found = later_rank_kernels.spread_after_next_card(DECK, boards, cards, there, 0.1, BINS).cpu()
        of_boards = later_rank_kernels.spread_on_complete_boards(DECK, boards, cards, there, BINS).cpu()
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)
    expected = [spread_on_complete_boards(DECK, board, cards, BINS) for board in boards]
    np.testing.assert_allclose(of_boards.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("board", [(0, 4), (5,), (14, 7), ()])
def test_histograms_are_those_of_all_complete_boards_whatever_suits_are_called(
    board: tuple[int, ...],
) -> None:
    found = spread_on_complete_boards(DECK, board, 3, BINS)
    expected = np.zeros_like(found, dtype=float)
    for dealt in combinations(sorted(set(range(len(DECK.cards))) - set(board)), 3 - len(board)):
        after = (*board, *dealt)
        ranks = DECK.strengths(np.array([after]))[0].astype(int)
        add(expected, ranks, DECK.possible(after), np.ones(DECK.num_hands))
    expected /= expected.sum(0).clip(1e-30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.sum(0), DECK.possible(board), rtol=0, atol=1e-6)
