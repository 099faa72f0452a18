"""Many hands played at once: dealt, decided and paid by the rules, and summed up by information state."""

from typing import Any

import numpy as np
import pytest
import torch

from pokerlab.games.base import Game, Ints
from pokerlab.games.kuhn import KuhnState
from pokerlab.games.registry import make_game
from pokerlab.search.best_response import exploitability
from pokerlab.search.forest import Forest, uniform_strategy
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.hands import Answers, Played, play_hands
from pokerlab.selfplay.public_states import FoundStates, ListedStates, PublicStates, list_states

pytestmark = pytest.mark.quick


def uniform(states: PublicStates, at: Ints, hand: Ints) -> Answers:
    """Any legal action; expects a chip."""
    legal = states.legal[at].astype(float)
    return legal / legal.sum(1, keepdims=True), np.ones(len(at))


def play(states: PublicStates, number: int, seed: int = 1, trace: float = 1.0) -> Played:
    everywhere = np.ones((number, 2), bool)
    generator = torch.Generator().manual_seed(seed)
    return play_hands(states, [(uniform, everywhere)], number, generator, trace=trace)


def uniform_value(game: Game) -> float:
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    return exploitability(forest, uniform_strategy(forest), belief).value.item()


def by_infostate(states: PublicStates, played: Played) -> dict[tuple[Any, int], tuple[Any, ...]]:
    keys = zip((states.states[at] for at in played.at), played.hand.tolist(), strict=True)
    rows = zip(played.counts, played.advantages, played.returns, states.moves[played.at], strict=True)
    return dict(zip(keys, rows, strict=True))


@pytest.mark.parametrize("name", ["kuhn", "leduc", "liars_dice_1x4f"])
def test_on_average_they_pay_what_the_game_is_worth(name: str) -> None:
    game, number = make_game(name), 40_000
    won = play(ListedStates(game, 16), number).won
    assert (
        abs(won.mean() - uniform_value(game)) < 4 * won.std() / number**0.5
    )  # once in 16,000 seeds it is more


@pytest.mark.parametrize("name", ["kuhn", "leduc", "liars_dice_1x4f", "push_fold"])
def test_states_that_are_listed_are_those_that_play_finds(name: str) -> None:
    game = make_game(name)
    listed, found = ListedStates(game, 6), FoundStates(game, 6)
    one, other = play(listed, 600), play(found, 600)
    np.testing.assert_allclose(one.won, other.won, atol=1e-9)
    first, second = by_infostate(listed, one), by_infostate(found, other)
    assert first.keys() == second.keys()
    for key, row in first.items():
        for mine, others in zip(row, second[key], strict=True):
            np.testing.assert_allclose(mine, others, atol=1e-9)


@pytest.mark.parametrize("name", ["fhp", "hunl"])
def test_games_too_large_to_be_listed_are_played_all_the_same(name: str) -> None:
    game = make_game(name)
    assert list_states(game, 4) is None
    states = FoundStates(game, 4)
    played = play(states, 20)
    assert played.counts.sum() >= 20
    assert (states.legal[played.at] | (played.counts == 0)).all()
    assert np.isfinite(played.won).all()
    assert played.won.any()


def test_what_came_of_an_action_is_the_mean_of_what_was_paid_less_what_was_expected() -> None:
    states = ListedStates(make_game("kuhn"), 4)
    number = 30_000
    played = play(states, number)
    king = {state.actions: row for (state, hand), row in by_infostate(states, played).items() if hand == 2}
    counts, advantages, returns, moves = king[()]
    assert counts.sum() == pytest.approx(number / 3, rel=0.05)
    # betting a king, half of the others call: (1 + 2) / 2; passing, half bet: 1 or half of 2 less half of 1
    assert advantages[1] == pytest.approx(1.5 - 1, abs=0.03)
    assert advantages[0] == pytest.approx((1 + (2 - 1) / 2) / 2 - 1, abs=0.05)
    assert returns == pytest.approx((counts * advantages).sum() / counts.sum() + 1)
    assert moves.tolist() == [-1] * 4
    assert king[(0, 1)][1].tolist() == [-2, 1]  # folding costs the ante, calling wins 2, where 1 was expected
    assert king[(0, 1)][3].tolist() == [0, 1, -1, -1]


def test_with_no_trace_what_came_is_what_is_expected_at_the_next_own_decision() -> None:
    states = ListedStates(make_game("kuhn"), 4)
    played = by_infostate(states, play(states, 30_000, trace=0.0))
    root, again = (
        next(key for key in played if key == (state, 2)) for state in (KuhnState(), KuhnState((0, 1)))
    )
    # a king that passes meets a pass and wins 1, or a bet and decides again, where it expects 1 as before
    assert played[root][1][0] == 0
    assert played[root][2] == pytest.approx(
        1 + (played[root][0] * played[root][1]).sum() / played[root][0].sum()
    )
    assert played[again][1].tolist() == [-2, 1]


def test_players_sit_where_they_are_told_to_and_only_the_first_learns() -> None:
    states = ListedStates(make_game("leduc"), 4)

    def raises(states: PublicStates, at: Ints, hand: Ints) -> Answers:
        chances = np.zeros((len(at), 3))
        chances[np.arange(len(at)), np.where(states.legal[at, 2], 2, 1)] = 1
        return chances, np.zeros(len(at))

    seats = np.arange(1000)[:, None] % 2 == np.arange(2)
    generator = torch.Generator().manual_seed(1)
    played = play_hands(states, [(raises, seats), (uniform, ~seats)], 1000, generator)
    assert set(np.nonzero(played.counts)[1]) <= {1, 2}
    root = played.at == 0
    assert played.counts[root].sum() == 500
    assert played.counts[root][:, 2].sum() == 500


def test_who_explores_is_told_what_would_have_come_without() -> None:
    states = ListedStates(make_game("kuhn"), 4)

    def passes(states: PublicStates, at: Ints, hand: Ints) -> Answers:
        return np.tile([1.0, 0.0], (len(at), 1)), np.where(states.above[states.above[at]] == 0, -1.0, 0.0)

    number = 20_000
    seats = np.arange(number)[:, None] % 2 == np.arange(2)
    players = [(passes, seats), (uniform, ~seats)]
    played = play_hands(states, players, number, torch.Generator().manual_seed(1), exploration=0.5)
    root = by_infostate(states, played)[KuhnState(), 2]
    counts, advantages, returns, _ = root
    assert counts[1] / counts.sum() == pytest.approx(0.25, abs=0.03)  # half of the half that explores
    # a king that passes and meets a bet folds by its policy, though every fourth time it calls to explore
    assert advantages[0] == pytest.approx((1 - 1) / 2, abs=0.08)
    assert advantages[1] == pytest.approx(1.5, abs=0.05)
    assert returns == pytest.approx(0, abs=0.05)  # a bet, which the policy never plays, does not count
