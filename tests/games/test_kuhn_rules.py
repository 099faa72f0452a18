"""Kuhn poker: exact lines, depth limits, features."""

import pytest

from pokerlab.games.base import TERMINAL
from pokerlab.games.kuhn import BET, FOLD_KERNEL, PASS, SHOWDOWN_KERNEL, Kuhn, KuhnState

LINES = {
    (PASS, PASS): (SHOWDOWN_KERNEL, (1, 1)),
    (BET, BET): (SHOWDOWN_KERNEL, (2, 2)),
    (PASS, BET, BET): (SHOWDOWN_KERNEL, (2, 2)),
    (BET, PASS): (FOLD_KERNEL, (1, -1)),
    (PASS, BET, PASS): (FOLD_KERNEL, (-1, 1)),
}


@pytest.mark.parametrize("line", LINES)
def test_lines_pay(line: tuple[int, ...]) -> None:
    game = Kuhn()
    state = game.root()
    for action in line:
        assert game.actor(state) == len(state.actions) % 2
        assert game.actions(state) == (PASS, BET)
        state = game.next_state(state, action)
    assert game.actor(state) == TERMINAL
    end = game.terminal(state)
    assert (end.payoff_kernel, end.chips) == LINES[line]


def test_pot_is_what_both_have_put_in() -> None:
    game = Kuhn()
    pots = {(): 2, (PASS,): 2, (BET,): 3, (PASS, BET): 3, (BET, PASS): 3, (BET, BET): 4}
    assert {line: game.pot(KuhnState(line)) for line in pots} == pots


def test_depth_limit_counts_actions_below_the_subgames_root() -> None:
    root, after_pass, after_bet = KuhnState(), KuhnState((PASS,)), KuhnState((PASS, BET))
    assert not Kuhn().is_leaf(root, after_bet, 2)
    assert Kuhn(depth_limit=1).is_leaf(root, after_pass, 1)
    assert not Kuhn(depth_limit=2).is_leaf(root, after_pass, 1)
    assert Kuhn(depth_limit=2).is_leaf(root, after_bet, 2)
    assert not Kuhn(depth_limit=2).is_leaf(after_pass, after_bet, 1)


@pytest.mark.parametrize("depth_limit", [0, -1])
def test_a_depth_limit_below_one_is_named(depth_limit: int) -> None:
    with pytest.raises(ValueError, match=f"must be null or an integer of at least 1, got {depth_limit}"):
        Kuhn(depth_limit=depth_limit)


def test_features_are_actor_chips_put_in_and_number_of_actions() -> None:
    game = Kuhn()
    assert game.features(KuhnState()) == [1, 0, 0, 0, 0]
    assert game.features(KuhnState((BET,))) == [0, 1, 1, 0, 0.5]
    assert game.features(KuhnState((PASS, BET))) == [1, 0, 0, 1, 1]
