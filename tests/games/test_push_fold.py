"""Fold or all-in before the flop."""

from typing import Any

import numpy as np
import pytest
import torch

import pokerlab
from pokerlab.games.base import TERMINAL
from pokerlab.games.holdem import Holdem
from pokerlab.games.names import action_name
from pokerlab.games.parts import table_play
from pokerlab.games.run_outs import num_run_outs, run_out_wins

SMALL: dict[str, Any] = {"stack": 800, "push_fold": True, "ranks": 5, "suits": 3, "deals": (0, 3, 1)}


def test_one_folds_or_goes_all_in() -> None:
    game = pokerlab.make_game("push_fold")
    root = game.root()
    pushed = game.next_state(root, 2)
    assert [action_name(game, root, action) for action in game.actions(root)] == ["fold", "all-in"]
    assert [action_name(game, pushed, action) for action in game.actions(pushed)] == ["fold", "call"]
    assert (game.actor(root), game.actor(pushed)) == (1, 0)
    ends = [game.next_state(root, 0), game.next_state(pushed, 0), game.next_state(pushed, 1)]
    assert all(game.actor(end) == TERMINAL for end in ends)
    chips = [game.terminal(end).chips for end in ends]
    assert chips == [(50, -50), (-100, 100), (1000, 1000)]
    assert game.count_states() == 5
    assert game.enumerable
    table = table_play(game)
    assert [table.check_or_call(root), table.check_or_call(pushed)] == [2, 1]  # staying in is all-in
    assert [table.check_or_fold(root), table.check_or_fold(pushed)] == [0, 0]


def naive_push_fold(game: Holdem, iterations: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Fictitious play on the matrix of equities: who pushes, who calls, and what player 1 wins."""
    wins = run_out_wins(game.deck, (), game.complete) / num_run_outs(game.deck, (), game.complete)
    stack = game.root().stack
    meets, all_in = game.deal, game.deal * wins * stack
    push, call = np.ones(game.num_hands), np.ones(game.num_hands)
    for t in range(1, iterations + 1):
        pushing = meets @ (1 - call) * 100 + all_in @ call
        push += ((pushing > -50 * meets.sum(1)) - push) / t
        calling = all_in @ push
        call += ((calling > -100 * (meets @ push)) - call) / t
    value = push @ (meets @ (1 - call) * 100 + all_in @ call) - 50 * ((1 - push) @ meets.sum(1))
    return push, call, float(value)


def test_a_chart_is_that_of_fictitious_play() -> None:
    game = Holdem("push_fold", **SMALL)
    spot = pokerlab.solve(game, iterations=2000, solver="cfr_plus", dtype=torch.float64)
    push, call, value = naive_push_fold(game, 20_000)
    assert spot.exploitability < 0.01
    assert -spot.value == pytest.approx(value, abs=0.02)
    ours = spot.strategy("")["all-in"], spot.strategy("all-in")["call"]
    for mine, theirs in zip(ours, (push, call), strict=True):
        clear = (theirs < 0.01) | (theirs > 0.99)  # the others mix
        assert clear.mean() > 0.9
        assert np.abs(mine - theirs)[clear].max() < 0.05


def test_deeper_stacks_push_less() -> None:
    pushes = []
    for stack in (300, 1500):
        spot = pokerlab.solve(
            Holdem("push_fold", **(SMALL | {"stack": stack})), iterations=200, dtype=torch.float64
        )
        pushes.append(spot.strategy("")["all-in"].mean())
    assert pushes[0] > pushes[1] + 0.1
