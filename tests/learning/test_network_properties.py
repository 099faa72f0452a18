"""What the networks promise whatever their weights are."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import network_features
from pokerlab.learning.networks import BeliefMLP, PolicyNetwork, ValueNetwork

HOLDEM = Holdem("holdem", ranks=4, suits=2, stack=12, blinds=(1, 2), bets=[[1]], deals=(0, 1))
GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "leduc": Leduc(),
    "liars_dice": LiarsDice(2, 2),
    "holdem": HOLDEM,  # its hands share weights
}
EVERY_GAME = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES.keys())


def random_beliefs(game: Game, n: int, seed: int) -> Tensor:
    """``[n, 2, H]``, with zeros, and at least two hands each."""
    generator = np.random.default_rng(seed)
    beliefs = np.zeros((n, 2, game.num_hands))
    for belief in beliefs.reshape(-1, game.num_hands):
        believed = generator.choice(game.num_hands, generator.integers(2, game.num_hands + 1), replace=False)
        belief[believed] = generator.dirichlet(np.full(len(believed), 0.3))
    return torch.as_tensor(beliefs)


def value_network(game: Game, seed: int, *, zero_sum: bool = True, layers: int = 2) -> ValueNetwork:
    torch.manual_seed(seed)
    return ValueNetwork(game, hidden=8, layers=layers, zero_sum=zero_sum).double()


def features_of(game: Game, n: int, seed: int = 0) -> Tensor:
    return torch.rand(
        n,
        network_features(game).num_features,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(seed),
    )


@given(name=st.sampled_from(sorted(GAMES)), seed=st.integers(0, 10_000))
def test_expectations_add_up_to_zero_under_the_joint_belief(name: str, seed: int) -> None:
    """By the sum over pairs of hands, for sharp beliefs too."""
    game = GAMES[name]
    beliefs = random_beliefs(game, 5, seed)
    values = value_network(game, seed)(features_of(game, 5), beliefs).detach().numpy()
    for belief, value in zip(beliefs.numpy(), values, strict=True):
        joint = game.deal * belief[0][:, None] * belief[1][None, :]
        total = (joint * (value[0][:, None] + value[1][None, :])).sum() / joint.sum()
        assert abs(total) < 1e-12


@EVERY_GAME
def test_the_correction_shifts_all_values_of_a_state_alike(game: Game) -> None:
    features, beliefs = features_of(game, 6), random_beliefs(game, 6, 0)
    corrected, plain = (value_network(game, 3, zero_sum=zero_sum) for zero_sum in (True, False))
    shift = (corrected(features, beliefs) - plain(features, beliefs)).flatten(1)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift))
    assert (shift[:, 0].abs() > 1e-6).all()


@pytest.mark.parametrize("game", [Kuhn(), Leduc()], ids=["kuhn", "leduc"])
def test_beliefs_that_no_deal_allows_are_left_uncorrected(game: Game) -> None:
    """Both hold the first card: self-play meets this where a player explored."""
    beliefs = torch.zeros(1, 2, game.num_hands, dtype=torch.float64)
    beliefs[:, :, 0] = 1
    corrected, plain = (value_network(game, 3, zero_sum=zero_sum) for zero_sum in (True, False))
    features = features_of(game, 1)
    assert torch.equal(corrected(features, beliefs), plain(features, beliefs))


@EVERY_GAME
def test_each_state_is_valued_on_its_own(game: Game) -> None:
    network, features, beliefs = value_network(game, 1), features_of(game, 6), random_beliefs(game, 6, 1)
    alone = [network(features[i : i + 1], beliefs[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(torch.cat(alone), network(features, beliefs))


@EVERY_GAME
@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_prepared_leaves_are_valued_as_by_forward(game: Game, zero_sum: bool, layers: int) -> None:
    network = value_network(game, 2, zero_sum=zero_sum, layers=layers)
    features = features_of(game, 7)
    evaluate = network.at(features, torch.ones(7, game.num_hands))
    for seed in (0, 1):  # beliefs change, the leaves stay
        beliefs = random_beliefs(game, 7, seed)
        values = evaluate(beliefs.transpose(0, 1))
        assert values.shape == (2, 7, game.num_hands)
        assert not values.requires_grad
        torch.testing.assert_close(values.transpose(0, 1), network(features, beliefs).detach())


@EVERY_GAME
def test_a_uniform_belief_is_all_ones_to_the_first_layer(game: Game) -> None:
    network, seen = BeliefMLP(game, outputs=4, hidden=8, layers=2), []
    network.from_beliefs.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    uniform = torch.full((3, 2, game.num_hands), 1 / game.num_hands)
    network(network.embed_features(torch.zeros(3, network_features(game).num_features)), uniform)
    torch.testing.assert_close(seen, [torch.ones(3, 2 * game.num_hands)])


@EVERY_GAME
def test_features_and_both_beliefs_matter(game: Game) -> None:
    network, features, beliefs = value_network(game, 1), features_of(game, 1), random_beliefs(game, 1, 1)
    values = network(features, beliefs)
    for player in (0, 1):
        changed = beliefs.clone()
        changed[:, player] = beliefs[:, player].flip(-1)
        assert not torch.allclose(network(features, changed), values)
    assert not torch.allclose(network(features + 1, beliefs), values)


@given(seed=st.integers(0, 10_000))
def test_policies_are_distributions_over_legal_actions(seed: int) -> None:
    game = GAMES["leduc"]
    torch.manual_seed(seed)
    network = PolicyNetwork(game, hidden=8, layers=1).double()
    with torch.no_grad():
        network.mlp.rest[-1].bias.mul_(500)  # type: ignore[operator]
    legal = torch.tensor([[True, True, True], [False, True, True], [False, True, False], [True, True, False]])
    log_policy = network(features_of(game, 4), random_beliefs(game, 4, seed), legal)
    assert log_policy.shape == (4, 3, 6)
    assert log_policy.isfinite().all()
    policy = log_policy.exp()
    torch.testing.assert_close(policy.sum(1), torch.ones(4, 6, dtype=torch.float64))
    assert not policy[~legal].any()
    assert (policy[2, 1] == 1).all()  # the only action


@EVERY_GAME
def test_copies_of_a_network_that_was_used_say_the_same(game: Game) -> None:
    network, features, beliefs = value_network(game, 1), features_of(game, 3), random_beliefs(game, 3, 1)
    values = network(features, beliefs)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(features, beliefs), values)


@EVERY_GAME
def test_a_network_can_change_its_precision_after_use(game: Game) -> None:
    network, features, beliefs = value_network(game, 1), features_of(game, 3), random_beliefs(game, 3, 1)
    values = network(features, beliefs)
    single = network.float()(features.float(), beliefs.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), values, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "outputs"), [(ValueNetwork, 12), (PolicyNetwork, 18)])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_size_is_hidden_times_layers(kind: Any, outputs: int, layers: int) -> None:
    hidden, game = 7, GAMES["leduc"]
    linear = [m for m in kind(game, hidden, layers).modules() if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in linear] == [hidden, hidden, *[hidden] * (layers - 1), outputs]


@pytest.mark.parametrize("kind", [ValueNetwork, PolicyNetwork])
@pytest.mark.parametrize(("hidden", "layers"), [(0, 1), (-4, 2), (8, 0)])
def test_a_network_without_size_is_refused(kind: Any, hidden: int, layers: int) -> None:
    with pytest.raises(ValueError, match=f"got hidden={hidden}, layers={layers}$"):
        kind(GAMES["kuhn"], hidden, layers)


def test_hands_of_a_kind_share_weights() -> None:
    """With weights of their own taken away, hands that differ in nothing are worth the same."""
    network = value_network(HOLDEM, 1, zero_sum=False)
    with torch.no_grad():
        network.mlp.rest[-1].weight.zero_()  # type: ignore[operator]
        network.mlp.rest[-1].bias.zero_()  # type: ignore[operator]
        for feature in (*range(8), 12, 13):  # cards and suits
            network.mlp.to_common.weight.view(2, -1, 8)[:, feature].zero_()
    values = network(features_of(HOLDEM, 1), random_beliefs(HOLDEM, 1, 1))[0, 0]
    hands = {HOLDEM.deck.hand_name(hand): value.item() for hand, value in enumerate(values)}
    assert hands["5c4c"] == pytest.approx(hands["5d4d"], abs=1e-12)
    assert hands["5c4d"] == pytest.approx(hands["5d4c"], abs=1e-12)
    assert abs(hands["5c4c"] - hands["5c4d"]) > 1e-6
    assert abs(hands["5c4c"] - hands["5c3c"]) > 1e-6


@EVERY_GAME
def test_a_search_is_told_what_the_network_says(game: Game) -> None:
    network, features, beliefs = value_network(game, 1), features_of(game, 5), random_beliefs(game, 5, 1)
    told = network.at(features, torch.ones(5, game.num_hands))(beliefs.transpose(0, 1))
    torch.testing.assert_close(told.transpose(0, 1), network(features, beliefs))
