"""Values and best responses of strategies on forests, against OpenSpiel and sums over hand pairs."""

from typing import Any

import numpy as np
import pyspiel
import pytest
import torch
from belief_states import belief_states, random_beliefs, whole_from
from hypothesis import given
from hypothesis import strategies as st
from oracles import Policy, best_response_values, continuation_values, decision_states, strategy_tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import openspiel_names
from pokerlab.search.best_response import exploitability
from pokerlab.search.forest import Forest, uniform_strategy
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)
GAMES: dict[str, Game] = {"kuhn": Kuhn(), "leduc": Leduc()}
WHOLE = {
    name: Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    for name, game in GAMES.items()
}


def policy_of(game: Game, states: list[Any], seed: int, sharpness: float) -> Policy:
    """Random probabilities; the sharper, the more of them are exactly 0."""
    generator = np.random.default_rng(seed)
    policy = {}
    for state in states:
        weights = np.maximum(generator.random((len(game.actions(state)), game.num_hands)) - sharpness, 0)
        weights[generator.integers(len(weights)), weights.sum(0) == 0] = 1
        policy[state] = weights / weights.sum(0)
    return policy


@pytest.mark.parametrize(("name", "examples"), [("kuhn", 30), ("leduc", 4)])
def test_strategies_with_unreached_states_have_openspiels_nash_conv(name: str, examples: int) -> None:
    game, forest, theirs = (
        GAMES[name],
        WHOLE[name],
        pyspiel.load_game(openspiel_names(GAMES[name]).openspiel_name),
    )
    states = [state for _, state in decision_states(forest)]
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    for seed in range(examples):
        policy = policy_of(game, states, seed, sharpness=0.3 * (seed % 4))
        table = {
            openspiel_names(game).information_state(state, hand): list(
                zip(game.actions(state), plays[:, hand].tolist(), strict=True)
            )
            for state, plays in policy.items()
            for hand in game.possible_hands(state).nonzero()[0].tolist()
        }
        tabular = pyspiel.TabularPolicy(table)
        found = exploitability(forest, strategy_tensor(forest, [policy]), belief)
        assert found.nash_conv.item() == pytest.approx(pyspiel.nash_conv(theirs, tabular, True), abs=1e-9)
        value = pyspiel.expected_returns(theirs.new_initial_state(), tabular, -1, True)
        assert found.value.item() == pytest.approx(value[0], abs=1e-12)
        assert found.exploitability.item() == found.nash_conv.item() / 2


@given(
    st.sampled_from(sorted(GAMES)),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2**32 - 1)), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.5, 0.9]),
)
def test_subgames_of_any_beliefs_have_the_values_of_brute_force(
    name: str, picks: list[tuple[int, int]], sharpness: float
) -> None:
    game = GAMES[name]
    roots = [state for state in belief_states(game) if not whole_from(game, state)]
    states = [roots[number % len(roots)] for number, _ in picks]
    beliefs = [random_beliefs(game, s, seed) for s, (_, seed) in zip(states, picks, strict=True)]
    forest = Subgames(game).forest(states, DOUBLE)
    policies = [
        policy_of(game, [s for at, s in decision_states(forest) if at == b], b, sharpness)
        for b in range(len(states))
    ]
    found = exploitability(forest, strategy_tensor(forest, policies), torch.as_tensor(np.stack(beliefs, 1)))
    assert (found.nash_conv > -1e-12).all()
    for b, (state, belief, policy) in enumerate(zip(states, beliefs, policies, strict=True)):
        joint = game.deal * np.outer(belief[0], belief[1])
        mass = belief[0] * (game.deal @ belief[1])
        values = continuation_values(game, state, belief, policy)[0] * game.pot(state)
        assert found.value[b].item() == pytest.approx(mass @ values / joint.sum(), abs=1e-12)
        for player in (0, 1):
            best = best_response_values(game, state, player, policy, belief[1 - player])
            expected = belief[player] @ best / joint.sum()
            assert found.best_response[player, b].item() == pytest.approx(expected, abs=1e-12)


def test_uniform_strategy_is_uniform_over_legal_actions() -> None:
    forest = WHOLE["leduc"]
    strategy = uniform_strategy(forest)
    for d, (_, state) in enumerate(decision_states(forest)):
        width = len(forest.game.actions(state))
        assert (strategy[:width, d] == 1 / width).all()
        assert (strategy[width:, d] == 0).all()
    assert strategy.data_ptr() != forest.uniform.data_ptr()


def test_depth_limited_forests_have_no_exploitability() -> None:
    game = Leduc(leaves="before_deal")
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    with pytest.raises(ValueError, match="needs complete trees: the forest has 5 leaves"):
        exploitability(forest, uniform_strategy(forest), belief)
