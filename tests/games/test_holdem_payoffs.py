"""Payoff operators of hold'em against sums over pairs of hands, whose strengths are phevaluator's."""

from collections.abc import Sequence
from functools import cache
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from phevaluator.evaluator import evaluate_cards  # type: ignore[import-untyped]
from torch import Tensor

from pokerlab.games.base import PayoffOperator
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import CardMass, DensePayoffs
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.games.showdown import CardPayoffs

DECKS = {"whole": (13, 4), "small": (6, 3), "one suit": (12, 1)}
COMPLETE = 5
WEIGHT = 0.5
"""A power of two: of no consequence for rounding."""
KINDS = [FOLDED, SHOWDOWN, RUN_OUT]
NAMES = {FOLDED: "fold", SHOWDOWN: "showdown", RUN_OUT: "run-out"}
BOARDS = {
    "whole": {
        FOLDED: ["", "Td9d6h", "Td9d6hQc", "Td9d6hQc2s"],
        # with flushes, with a straight flush on the board that ties all, and with a straight
        SHOWDOWN: ["Td9d6hQc2s", "AsKsQsJsTs", "KhTh8h5h2c", "2c3c4d5dAh", "7c7d7h7s2c"],
        RUN_OUT: ["Td9d6hQc", "AhKhQhJh"],
    },
    "small": {
        FOLDED: ["", "7c2d3h", "7c2d3h3c"],
        SHOWDOWN: ["7c2d3h3c4d", "2c3c4c5c6c", "2c2d2h3c3d"],
        RUN_OUT: ["7c2d3h", "7c2d3h3c", "2c3c4c"],
    },
    "one suit": {FOLDED: ["2c4c"], SHOWDOWN: ["2c4c6c8cKc", "2c3c4c5c6c"], RUN_OUT: ["2c4c6c", "2c3c4c5c"]},
}
FORMS: dict[str, type[CardPayoffs] | type[DensePayoffs]] = {"loops": CardPayoffs, "products": DensePayoffs}
CLOSE = {torch.float64: 1e-13, torch.float32: 5e-6}
"""To sums over pairs of hands, relative to the mass that a hand meets: sums of 1,326 lose two digits."""

deck_of = cache(Deck)


@cache
def won(deck_name: str, kind: int, board: tuple[int, ...]) -> Tensor:
    """``[H, H]`` what the row's hand wins of the column's, pair by pair."""
    deck = deck_of(*DECKS[deck_name])
    cards = [set(hand) for hand in deck.hands.tolist()]
    met = np.array([[not (own & other) for other in cards] for own in cards])
    possible = np.array([not (hand & set(board)) for hand in cards])
    met &= possible & possible[:, None]
    if kind == FOLDED:
        return torch.as_tensor(met * WEIGHT)
    rest = [card for card in range(len(deck.cards)) if card not in board]
    total, missing = np.zeros(met.shape), COMPLETE - len(board)
    for more in combinations(rest, missing):
        shown = theirs(deck, [*board, *more])
        left = np.array([not (hand & {*board, *more}) for hand in cards])
        ranks = np.array([
            evaluate_cards(*shown, *theirs(deck, hand)) if at else 0
            for at, hand in zip(left, deck.hands.tolist(), strict=True)
        ])  # fmt: skip
        # phevaluator's best is 1
        total += np.sign(ranks - ranks[:, None]) * (left & left[:, None])
    return torch.as_tensor(total * met * WEIGHT / comb(len(rest) - 4, missing))


def theirs(deck: Deck, cards: Sequence[int]) -> list[int]:
    """phevaluator's numbers of cards."""
    return [card // deck.suits * 4 + card % deck.suits for card in cards]


def operator(
    form: str, deck: Deck, kernels: Sequence[tuple[int, Sequence[int]]], dtype: torch.dtype
) -> PayoffOperator:
    return FORMS[form](deck, kernels, complete=COMPLETE, weight=WEIGHT, like=torch.empty(0, dtype=dtype))


def reaches(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A third of them 0."""
    generator = torch.Generator().manual_seed(seed)
    reach = torch.rand(shape, dtype=torch.float64, generator=generator)
    return (reach * (torch.rand(shape, generator=generator) < 2 / 3)).to(dtype)


def kernels_of(deck_name: str) -> list[tuple[int, tuple[int, ...]]]:
    deck = deck_of(*DECKS[deck_name])
    return [(kind, deck.read_cards(board)) for kind in KINDS for board in BOARDS[deck_name][kind]]


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("deck_name", DECKS)
def test_every_kernel_is_the_sum_over_pairs_of_hands(deck_name: str, form: str, dtype: torch.dtype) -> None:
    """Of a batch, and of more terminals than the loops take at a time."""
    deck, kernels = deck_of(*DECKS[deck_name]), kernels_of(deck_name)
    reach = reaches(0, 2, len(kernels), 19, deck.num_hands, dtype=dtype)
    found = operator(form, deck, kernels, dtype)(reach)
    assert found.dtype == dtype
    for row, (kind, board) in enumerate(kernels):
        against = reach[:, row].double()
        expected, met = (against @ won(deck_name, of, board).T for of in (kind, FOLDED))
        error = (found[:, row].double() - expected).abs()
        assert (error <= CLOSE[dtype] * met).all(), f"{NAMES[kind]} on {deck.board_name(board)}"


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("deck_name", DECKS)
def test_mass_is_that_of_hands_with_other_cards(deck_name: str, dtype: torch.dtype) -> None:
    deck = deck_of(*DECKS[deck_name])
    reach = reaches(1, 3, 2, deck.num_hands, dtype=dtype)
    found = CardMass(deck, WEIGHT, reach)(reach).double()
    expected = reach.double() @ won(deck_name, FOLDED, ())
    torch.testing.assert_close(found, expected, rtol=CLOSE[dtype], atol=0)


@st.composite
def small_kernels(draw: st.DrawFn) -> list[tuple[int, tuple[int, ...]]]:
    """Of the small deck: several, with boards that come again."""
    cards = st.permutations(range(18))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    boards = draw(st.lists(cards, min_size=1, max_size=3))
    length = {FOLDED: (0, 3, 4, 5), SHOWDOWN: (5,), RUN_OUT: (3, 4)}
    return [
        (kind, tuple(boards[number % len(boards)][: draw(st.sampled_from(length[kind]))]))
        for number, kind in enumerate(kinds)
    ]


seeds = st.integers(0, 2**32 - 1)


@given(small_kernels(), st.sampled_from(sorted(FORMS)), seeds)
def test_any_kernels_together_are_sums_over_pairs_of_hands(
    kernels: list[tuple[int, tuple[int, ...]]], form: str, seed: int
) -> None:
    deck = deck_of(*DECKS["small"])
    reach = reaches(seed, len(kernels), 2, deck.num_hands)
    found = operator(form, deck, kernels, torch.float64)(reach)
    for row, (kind, board) in enumerate(kernels):
        expected = reach[row] @ won("small", kind, board).T
        torch.testing.assert_close(found[row], expected, rtol=1e-12, atol=1e-12)


@given(small_kernels(), st.sampled_from(sorted(FORMS)), seeds, st.floats(-10, 10), st.floats(-10, 10))
def test_operators_are_linear_in_the_opponents_reach(
    kernels: list[tuple[int, tuple[int, ...]]], form: str, seed: int, a: float, b: float
) -> None:
    deck = deck_of(*DECKS["small"])
    pay = operator(form, deck, kernels, torch.float64)
    first, second = reaches(seed, 2, len(kernels), 2, deck.num_hands)
    together = pay(a * first + b * second)
    torch.testing.assert_close(together, a * pay(first) + b * pay(second), rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("deck_name", DECKS)
def test_both_players_together_win_nothing(deck_name: str, form: str) -> None:
    """At a fold the winner's chips are the loser's; at showdowns the kernel itself has the sign."""
    deck, kernels = deck_of(*DECKS[deck_name]), kernels_of(deck_name)
    reach = reaches(2, 2, len(kernels), 1, deck.num_hands)
    outcome = operator(form, deck, kernels, torch.float64)(reach.flip(0))
    values = (reach * outcome).sum((-1, -2))  # [player, kernel]
    signs = torch.tensor([[1, 1], [-1, 1]], dtype=torch.float64)[:, [int(k != FOLDED) for k, _ in kernels]]
    both = (signs * values).sum(0)
    torch.testing.assert_close(both, torch.zeros_like(both), rtol=0, atol=1e-12 * values.abs().max().item())
    tied = deck.read_cards("AsKsQsJsTs") if deck_name == "whole" else None
    for number, (_, board) in enumerate(kernels):
        assert (values[0, number].abs().item() > 1e-6) == (board != tied)


def permuted(deck: Deck, suits: Sequence[int]) -> tuple[list[int], Tensor]:
    """What cards and hands become when suits become these."""
    cards = [card // deck.suits * deck.suits + suits[card % deck.suits] for card in range(len(deck.cards))]
    hands = [int(deck.hand_of[cards[low], cards[high]]) for low, high in deck.hands.tolist()]
    return cards, torch.tensor(hands)


@given(small_kernels(), st.permutations(range(3)), st.sampled_from(sorted(FORMS)), seeds)
def test_exchanged_suits_exchange_hands(
    kernels: list[tuple[int, tuple[int, ...]]], suits: list[int], form: str, seed: int
) -> None:
    deck = deck_of(*DECKS["small"])
    cards, hands = permuted(deck, suits)
    there = [(kind, tuple(cards[card] for card in board)) for kind, board in kernels]
    reach = reaches(seed, len(kernels), 2, deck.num_hands)
    moved = torch.empty_like(reach)
    moved[..., hands] = reach
    found = operator(form, deck, kernels, torch.float64)(reach)
    found_there = operator(form, deck, there, torch.float64)(moved)
    torch.testing.assert_close(found_there[..., hands], found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_exchanged_suits_exchange_hands_of_the_whole_deck(form: str) -> None:
    deck = deck_of(*DECKS["whole"])
    board = deck.read_cards("Td9d6hQc2s")
    reach = reaches(3, 2, 1, deck.num_hands)
    kernels: list[tuple[int, tuple[int, ...]]] = [(FOLDED, board[:3]), (SHOWDOWN, board)]
    found = operator(form, deck, kernels, torch.float64)(reach)
    for suits in permutations(range(4)):
        cards, hands = permuted(deck, suits)
        there = [(kind, [cards[card] for card in shown]) for kind, shown in kernels]
        moved = torch.empty_like(reach)
        moved[..., hands] = reach
        outcome = operator(form, deck, there, torch.float64)(moved)
        torch.testing.assert_close(outcome[..., hands], found, rtol=1e-12, atol=1e-12)


def test_two_halves_are_as_exact_as_a_single(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU multiplies with in float16, relative to the mass that is met."""

    def product(rows: Tensor, wins: Tensor, *, out_dtype: torch.dtype) -> Tensor:
        assert rows.dtype == wins.dtype == torch.float16
        return rows.to(out_dtype) @ wins.to(out_dtype)

    monkeypatch.setattr(torch, "bmm", product)
    monkeypatch.setattr(DensePayoffs, "_is_half", lambda self, board: True)
    deck, kernels = deck_of(*DECKS["whole"]), [*kernels_of("whole"), *kernels_of("whole")[-3:]]
    reach = reaches(3, 2, len(kernels), 5, deck.num_hands, dtype=torch.float32) ** 8
    found = operator("products", deck, kernels, torch.float32)(reach)
    expected = operator("loops", deck, kernels, torch.float64)(reach.double())
    assert ((found - expected).abs() / reach.sum(-1, keepdim=True)).max() < 3e-6
