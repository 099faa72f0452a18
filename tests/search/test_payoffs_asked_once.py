"""Payoffs that are asked about once are what operators pay, and few rows need no operator."""

from itertools import combinations

import numpy as np
import pytest
import torch

from pokerlab.games.base import Ints
from pokerlab.games.holdem import Holdem
from pokerlab.games.holdem.rules import MOST_SUMMED
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.games.ranks import run_outs
from pokerlab.search.payoffs import DOUBLE, outcomes

GAME = Holdem("small", stack=20, blinds=(1, 2), ranks=5, suits=4, bets=((1,),))
WHOLE = Holdem("whole", stack=20, blinds=(1, 2), bets=((1,),))


def kernels_of(game: Holdem) -> Ints:
    """Folds and all-ins on boards of every size, and showdowns."""
    draws = np.random.default_rng(1)
    boards = [
        tuple(sorted(draws.choice(len(game.deck.cards), size, replace=False).tolist()))
        for size in (0, 3, 3, 4, 4, 5, 5)
    ]
    kinds = [SHOWDOWN if len(board) == game.complete else RUN_OUT for board in boards]
    folds = [game._kernels.encode(FOLDED, board) for board in boards]
    return np.array([*folds, *map(game._kernels.encode, kinds, boards)])


@pytest.mark.parametrize("times", [1, 3, MOST_SUMMED + 1])
@pytest.mark.parametrize("game", [GAME, WHOLE], ids=lambda game: game.name)
def test_they_are_what_operators_pay(game: Holdem, times: int) -> None:
    kernels = np.random.default_rng(2).permutation(np.repeat(kernels_of(game), times))
    reach = torch.rand(len(kernels), game.num_hands, generator=torch.Generator().manual_seed(3)).double()
    expected = torch.cat([
        game.payoff_operator([kernel], DOUBLE)(row[None, None])[0]
        for kernel, row in zip(kernels.tolist(), reach, strict=True)
    ])  # fmt: skip
    found = outcomes(game, kernels, reach)
    assert expected.abs().max() > 0.01 * game._weight * game.num_hands
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9 * game._weight)


def test_few_rows_need_no_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pokerlab.games.holdem.rules.card_payoffs", None)
    kernels = kernels_of(GAME)
    assert outcomes(GAME, kernels, torch.ones(len(kernels), GAME.num_hands).double()).isfinite().all()


def test_possible_hands_hold_no_card_of_the_board() -> None:
    hands = [set(hand) for hand in GAME.deck.hands.tolist()]
    for board in ((), (3,), (0, 5, 19)):
        expected = [not hand & set(board) for hand in hands]
        assert GAME.deck.possible(board).tolist() == expected


def test_nothing_asked_pays_nothing() -> None:
    none = np.array([], dtype=np.int64)
    assert outcomes(GAME, none, torch.empty(0, GAME.num_hands).double()).shape == (0, GAME.num_hands)


def test_rivers_are_their_own_run_outs() -> None:
    board = (0, 4, 8, 13, 17)
    assert run_outs(GAME.deck, board, 5).tolist() == [list(board)]
    rest = [card for card in range(20) if card not in board[:3]]
    expected = [[*board[:3], *cards] for cards in combinations(rest, 2)]
    assert run_outs(GAME.deck, board[:3], 5).tolist() == expected
