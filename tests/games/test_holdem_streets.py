"""A street's tree, enumerated by compiled loops, is the one that the rules give state by state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.unfolding import walk

FIELDS = ("kind", "above", "action", "chance", "boards", "board", "pot", "payoff_kernel", "chips", "features")
GAMES = {
    "hunl": Holdem("hunl", stack=2000, bets=[[[0.5, 1.0]], [[0.5, 1.0], [1.0]]]),
    "capped": Holdem("capped", stack=900, bets=[[0.33, 0.75, 2]], most_raises=2),
    "short": Holdem("short", stack=180, bets=[[0.5]]),
    "small_deck": Holdem("small", stack=12, blinds=(1, 2), bets=[[1]], ranks=4, suits=2, deals=(0, 1, 1)),
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


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=12)
@given(st.data())
def test_a_street_unfolds_as_the_rules_say(name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    root = some_state(game, data)
    if game.actor(root) == CHANCE and not root.board:
        return  # 22,100 flops say no more than 49 turns
    fast, plain = game.unfold(root, depth_limited=True), walk(game, root, depth_limited=True)
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(fast, field), getattr(plain, field), rtol=1e-12, atol=1e-12, err_msg=field
        )
    assert list(fast.states) == list(plain.states)
