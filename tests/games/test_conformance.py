"""Every game keeps what games promise; a game that does not is told which promise it breaks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from pokerlab.games import game_names, make_game
from pokerlab.games.base import Floats, Game, PayoffOperator, Terminal
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import BET, PASS, Kuhn, KuhnState
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.games.unfolding import walk
from pokerlab.testing import check_game

NAMES = [name for name in game_names() if name not in ("hunl", "push_fold")]
"""They take run-outs of 20 seconds: ``flop`` and a smaller deck stand for them."""


@pytest.mark.parametrize("name", NAMES)
def test_every_game_conforms(name: str) -> None:
    check_game(make_game(name), lines=3 if name == "flop" else 6)


@pytest.mark.parametrize(
    "game",
    [
        Leduc("before_deal"),
        Kuhn(1),
        Holdem("small", stack=12, blinds=(1, 2), bets=[[1]], ranks=4, suits=2, deals=(0, 1, 1)),
        Holdem("push_fold", stack=500, push_fold=True, ranks=4, suits=2, deals=(0, 1, 1)),
        Holdem("flop", board="2c3d4h", pot=4, stack=12, blinds=(1, 2), ranks=4, bets=[[1]], donk_bets=[0.5]),
        Holdem(
            "river",
            board="2c3d4h5c2d",
            pot=4,
            stack=30,
            blinds=(1, 2),
            ranks=4,
            add_all_in=1,
            force_all_in=0.2,
        ),
    ],
    ids=lambda game: game.name,
)
def test_other_forms_conform(game: Game) -> None:
    check_game(game, lines=10)


class Forgets(Kuhn):
    """Calling and being called are one state."""

    def next_state(self, state: KuhnState, action: int) -> KuhnState:
        after = super().next_state(state, action)
        return KuhnState((PASS, BET)) if after.actions == (BET,) else after


class Generous(Kuhn):
    def terminal(self, state: KuhnState) -> Terminal:
        end = super().terminal(state)
        return Terminal(end.payoff_kernel, (end.chips[0], end.chips[1] + 1))


class Descends(Kuhn):
    def actions(self, state: KuhnState) -> tuple[int, ...]:
        return (BET, PASS)


class LacksAFeature(Kuhn):
    def features(self, state: KuhnState) -> list[float]:
        return super().features(state)[1:]


class Unlikely(Leduc):
    def chance_probability(self, state: LeducState) -> float:
        return 1 / 6


class Lopsided(Kuhn):
    def __init__(self) -> None:
        super().__init__()
        self.deal = np.array([[0, 0.3, 0.1], [0.1, 0, 0.2], [0.2, 0.1, 0]])


class Squares(Kuhn):
    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        linear = super().payoff_operator(kernels, like)
        return lambda reach: linear(reach) * reach.sum()


class MassOfAll(Kuhn):
    def mass_operator(self, like: Tensor) -> PayoffOperator:
        return lambda reach: reach.sum(-1, keepdim=True) + 0 * reach


class OtherTree(Leduc):
    def unfold(self, root: LeducState, **options: Any) -> Any:
        found = walk(self, root, **options)
        found.pot[-1] += 1
        return found


class GrowingHands(Leduc):
    def possible_hands(self, state: LeducState) -> Any:
        possible = super().possible_hands(state)
        return possible if state.board is not None else possible & (np.arange(6) != 3)


def beliefs_of_one(game: Game) -> Floats:
    return np.eye(game.num_hands)[[0, 0]]


class NobodyMeets(Kuhn):
    @property
    def initial_beliefs(self) -> Floats:
        return beliefs_of_one(self)


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (Forgets(), "two actions lead to the same state|equal states must have the same public history"),
        (Generous(), "what one player wins the other must lose"),
        (
            Descends(),
            r"kuhn, after nothing: KuhnState\(actions=\(\)\): actions must be ascending, got \(1, 0\)",
        ),
        (LacksAFeature(), "expected 5 features, got 4"),
        (
            Unlikely(),
            "chance's probabilities must add up to 1 for each pair of hands, but for Jh and Js they make",
        ),
        (Lopsided(), r"deal must be symmetric, but hands \[0, 1\]"),
        (Squares(), "payoff_operator must be linear|wins the other must lose|kernel must be"),
        (MassOfAll(), "mass_operator must be the sum"),
        (OtherTree(), "unfold gives another pot than walk"),
        (
            GrowingHands(),
            "hand Qs was blocked, and is no more|hands that the public cards block must be paid nothing",
        ),
        (NobodyMeets(), "no two hands of the initial beliefs can meet"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Game) else "",
)
def test_a_broken_promise_is_named(game: Game, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_game(game)
