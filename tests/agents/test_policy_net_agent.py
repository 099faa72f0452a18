"""A policy network that plays line by line is the policy that it has on the whole tree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.agents.base import Line
from pokerlab.agents.beliefs import after_actions, after_deals
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.learning.networks import PolicyNetwork

GAMES: list[Game] = [Kuhn(), Leduc("after_deal"), Leduc("before_deal"), LiarsDice(1, 3)]
IDS = ["kuhn", "leduc_after", "leduc_before", "liars_dice"]
EACH_GAME = pytest.mark.parametrize("game", GAMES, ids=IDS)
HANDS = 4


def policy_network(game: Game, seed: int = 0) -> PolicyNetwork:
    torch.manual_seed(seed)
    network = PolicyNetwork(game, hidden=16, layers=2).double()
    with torch.no_grad():
        network.mlp.rest[-1].weight.mul_(10)  # type: ignore[operator]  # an untrained one is nearly uniform
    return network


@EACH_GAME
def test_line_by_line_it_plays_what_it_plays_on_the_whole_tree(game: Game) -> None:
    whole, network = WholeGame(game), policy_network(game)
    expected = network.strategy(whole.forest, whole.belief)
    found = whole.policy(PolicyNetworkAgent(game, network))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert (expected - whole.forest.uniform).abs().amax() > 0.1  # it has something to say


@EACH_GAME
def test_in_single_precision_too(game: Game) -> None:
    whole, network = WholeGame(game), policy_network(game).float()
    expected = network.strategy(whole.forest, whole.belief)
    torch.testing.assert_close(whole.policy(PolicyNetworkAgent(game, network)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("game", "seed"), [(Kuhn(), 12), (Leduc(), 3)], ids=["kuhn", "leduc"])
def test_where_pure_play_never_goes_it_does_the_same_up_to_the_deal(game: Game, seed: int) -> None:
    """There a tree takes what no play leads to from the last own edge, and the agent from the last beliefs:
    the same until cards block hands."""
    whole, network = WholeGame(game), policy_network(game, seed)
    with torch.no_grad():
        network.mlp.rest[-1].weight.mul_(3_000)  # type: ignore[operator]
    expected = network.strategy(whole.forest, whole.belief)
    first = torch.tensor([bool(game.possible_hands(state).all()) for state in whole.states])
    unused = (expected[:, first] == 0).all(2) & whole.forest.legal[:, first, 0]
    assert unused.any()  # no hand takes an action
    found = whole.policy(PolicyNetworkAgent(game, network))
    torch.testing.assert_close(found[:, first], expected[:, first], rtol=0, atol=1e-9)


@EACH_GAME
@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_company_of_the_lines_changes_the_answer(game: Game, seed: int) -> None:
    generator, agent = np.random.default_rng(seed), PolicyNetworkAgent(game, policy_network(game))
    lines = [line for line in WholeGame(game).lines if generator.random() < 0.2] + WholeGame(game).lines[:3]
    together = agent.sit_down(0, 0).strategies(lines)
    seat, order, begin = agent.sit_down(0, 0), generator.permutation(len(lines)), 0
    apart = torch.full_like(together, torch.nan)
    while begin < len(lines):
        asked = order[begin : begin + generator.integers(1, 6)]
        apart[torch.as_tensor(asked)] = seat.strategies([lines[number] for number in asked])
        begin += len(asked)
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-9)
    torch.testing.assert_close(seat.strategies(lines), apart, rtol=0, atol=0)  # it remembers


def test_a_line_may_be_asked_twice_at_once_and_before_the_one_that_leads_to_it() -> None:
    game = Kuhn()
    root, state = game.root(), game.next_state(game.root(), 1)
    lines = [Line((root,)).after(1, state), Line((root,)), Line((root,)).after(1, state)]
    found = PolicyNetworkAgent(game, policy_network(game)).sit_down(1, 0).strategies(lines)
    assert found.shape == (3, game.num_actions, game.num_hands)
    assert (found[0] == found[2]).all()
    assert not (found[0] == found[1]).all()


# Beliefs


def tensor(*rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_beliefs_follow_bayes_rule() -> None:
    beliefs = tensor([[0.5, 0.5, 0], [0.2, 0.3, 0.5]], [[1, 0, 0], [0.25, 0.25, 0.5]])
    chances = tensor([1, 0.5, 1], [0, 1, 0.5])
    after = after_actions(beliefs, torch.tensor([0, 1]), chances)
    expected = tensor([[2 / 3, 1 / 3, 0], [0.2, 0.3, 0.5]], [[1, 0, 0], [0, 0.5, 0.5]])
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-15)


def test_beliefs_stay_after_an_action_that_no_believed_hand_takes() -> None:
    beliefs = tensor([[0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    after = after_actions(beliefs, torch.tensor([0]), tensor([0, 0, 1]))
    assert (after == beliefs).all()
    assert (after_actions(beliefs, torch.tensor([1]), tensor([0, 0, 0])) == beliefs).all()


def test_cards_that_block_every_believed_hand_leave_all_possible_ones() -> None:
    beliefs = tensor([[0.5, 0.5, 0, 0], [0, 0.25, 0.25, 0.5]])
    after = after_deals(beliefs, torch.tensor([[0.0, 0, 1, 1]], dtype=torch.float64))
    torch.testing.assert_close(after, tensor([[0, 0, 0.5, 0.5], [0, 0, 1 / 3, 2 / 3]]), rtol=0, atol=1e-15)


CHANCES = st.lists(st.sampled_from([0.0, 1e-30, 0.1, 0.5, 1.0]), min_size=HANDS, max_size=HANDS)


def normalised(weights: Sequence[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights] if sum(weights) else [1 / HANDS] * HANDS


@given(st.tuples(CHANCES, CHANCES), st.integers(0, 1), CHANCES)
def test_beliefs_are_distributions_after_every_action(
    weights: tuple[list[float], list[float]], actor: int, chances: list[float]
) -> None:
    beliefs = tensor([normalised(of_player) for of_player in weights])
    after = after_actions(beliefs, torch.tensor([actor]), tensor(chances))
    torch.testing.assert_close(after.sum(-1), torch.ones(1, 2, dtype=torch.float64))
    assert (after[:, 1 - actor] == beliefs[:, 1 - actor]).all()
    own, taken = beliefs[0, actor], torch.tensor(chances, dtype=torch.float64)
    if (own * taken).any():
        assert not after[0, actor][own * taken == 0].any()
    else:
        assert (after == beliefs).all()


@given(
    st.tuples(CHANCES, CHANCES),
    st.lists(st.booleans(), min_size=HANDS, max_size=HANDS).filter(any),
)
def test_beliefs_are_distributions_over_possible_hands_after_every_deal(
    weights: tuple[list[float], list[float]], possible: list[bool]
) -> None:
    beliefs = tensor([normalised(of_player) for of_player in weights])
    after = after_deals(beliefs, tensor([float(is_possible) for is_possible in possible]))
    torch.testing.assert_close(after.sum(-1), torch.ones(1, 2, dtype=torch.float64))
    assert not after[:, :, ~torch.tensor(possible)].any()
