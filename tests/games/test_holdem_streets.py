"""Trees that are enumerated street by street are those that the rules give state by state."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.unfolding import unfold, walk

FIELDS = ("kind", "above", "action", "chance", "boards", "board", "pot", "payoff_kernel", "chips", "features")
GAMES = {
    "hunl": Holdem("hunl", stack=2000, bets=[[[0.5, 1.0]], [[0.5, 1.0], [1.0]]]),
    "capped": Holdem("capped", stack=900, bets=[[0.33, 0.75, 2]], most_raises=2),
    "short": Holdem("short", stack=180, bets=[[0.5]]),
    "small_deck": Holdem("small", stack=12, blinds=(1, 2), bets=[[1]], ranks=4, suits=2, deals=(0, 1, 1)),
    "after_deal": Holdem(
        "small", stack=12, blinds=(1, 2), bets=[[1]], ranks=4, suits=2, deals=(0, 1, 1), leaves="after_deal"
    ),
    "to_end": Holdem(
        "small",
        stack=12,
        blinds=(1, 2),
        bets=[[1]],
        ranks=4,
        suits=3,
        deals=(0, 2, 1),
        solve_to_end=300,
        jitter=0.2,
        most_deals=12,
    ),
    "flop": Holdem(
        "flop", board="2d3d", blinds=(1, 2), pot=6, stack=12, bets=[[1]], ranks=4, suits=3, deals=(0, 2, 1, 1)
    ),
    "push_fold": Holdem("push_fold", stack=1000, push_fold=True),
    "endgame": Holdem("turn", board="Td9d6hQc", pot=200, stack=900, bets=[[0.5, 1.0], [1.0]]),
}


def some_state(game: Holdem, data: st.DataObject) -> HoldemState:
    """A public state where somebody acts or cards are dealt, as a line of play comes to it."""
    state = game.root()
    for _ in range(data.draw(st.integers(0, 9))):
        actor = game.actor(state)
        if actor == CHANCE:
            below: tuple[HoldemState, ...] = game.chance_outcomes(state)
        else:
            below = tuple(game.next_state(state, action) for action in game.actions(state))
        going_on = [after for after in below if game.actor(after) != TERMINAL]
        if not going_on:
            break
        state = going_on[data.draw(st.integers(0, len(going_on) - 1))]
    return state


def check(game: Holdem, root: HoldemState, *, depth_limited: bool = True, symmetry: bool = False) -> None:
    options: dict[str, Any] = {
        "depth_limited": depth_limited,
        "symmetry": game.symmetry() if symmetry else None,
    }
    fast, plain = unfold(game, root, **options), walk(game, root, **options)
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(fast, field), getattr(plain, field), rtol=1e-12, atol=1e-12, err_msg=field
        )
    assert list(fast.states) == list(plain.states)


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=12)
@given(st.data())
def test_a_subgame_unfolds_as_the_rules_say(name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    root = some_state(game, data)
    if game.actor(root) == CHANCE and not root.board:
        return  # 22,100 flops say no more than 49 turns
    check(game, root)


@pytest.mark.parametrize("symmetry", [False, True])
@pytest.mark.parametrize("name", ["small_deck", "flop", "push_fold"])
def test_a_whole_game_unfolds_as_the_rules_say(name: str, symmetry: bool) -> None:
    """Boards that come in another order are the same; no deal that is not played is looked at."""
    check(GAMES[name], GAMES[name].root(), depth_limited=False, symmetry=symmetry)


def test_a_tree_without_features_has_none() -> None:
    found = unfold(GAMES["endgame"], GAMES["endgame"].root(), depth_limited=False, features=False)
    assert found.features.shape == (len(found.kind), 0)


@settings(max_examples=5)
@given(seed=st.integers(1, 2**62))
def test_bets_that_vary_do_not_after_a_deal(seed: int) -> None:
    game = GAMES["to_end"]
    deal = game.draw_deal(1, np.random.default_rng(seed))
    check(game, game.vary(game.root(), seed))
    check(game, game.vary(deal, seed))
    check(game, game.vary(game.chance_outcomes(deal)[seed % 7], seed))
