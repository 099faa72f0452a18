"""Networks and losses against what they are defined as."""

import math
import warnings
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pokerlab.algorithms.rebel import ReBeLModule
from pokerlab.games.leduc import Leduc
from pokerlab.learning.module import NonFiniteLossError
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples

GAME = Leduc()


def belief_states(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features, beliefs and possible hands of made-up second-round states."""
    generator = torch.Generator().manual_seed(seed)
    possible = torch.ones(n, 6, dtype=torch.bool)
    possible[torch.arange(n), torch.arange(n) % 6] = False
    beliefs = torch.rand(n, 2, 6, generator=generator) * possible[:, None]
    return torch.rand(n, 13, generator=generator), beliefs / beliefs.sum(-1, keepdim=True), possible


def examples(n: int = 8, seed: int = 0) -> Batch:
    features, beliefs, possible = belief_states(n, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    legal = torch.ones(n, 3, dtype=torch.bool)
    legal[::2, 0] = False
    strategy = torch.rand(n, 3, 6, generator=generator) * legal[:, :, None]
    values = torch.randn(n, 2, 6, generator=generator)
    policies = strategy / strategy.sum(1, keepdim=True)
    return {
        "values": ValueExamples(features, beliefs, possible, values),
        "policies": PolicyExamples(
            features, beliefs, possible, legal, policies, torch.ones(n, dtype=torch.int32)
        ),
    }


def module(**settings: Any) -> ReBeLModule:
    torch.manual_seed(0)
    settings = {"iterations": 4} | settings
    return ReBeLModule(ValueNetwork(GAME, 16, 2), PolicyNetwork(GAME, 16, 2), **settings)


@pytest.mark.parametrize("zero_sum", [True, False])
def test_values_add_up_to_zero_under_the_joint(zero_sum: bool) -> None:
    features, beliefs, _ = belief_states(10)
    torch.manual_seed(0)
    values = ValueNetwork(GAME, 16, 2, zero_sum=zero_sum)(features, beliefs)
    joint = torch.as_tensor(GAME.deal).float() * beliefs[:, 0, :, None] * beliefs[:, 1, None, :]
    total = (joint * (values[:, 0, :, None] + values[:, 1, None, :])).sum((1, 2)) / joint.sum((1, 2))
    assert (total.abs() < 1e-6).all() == zero_sum


def test_as_a_leaf_evaluator_the_network_says_the_same() -> None:
    features, beliefs, possible = belief_states(10)
    network = ValueNetwork(GAME, 16, 3)
    at_leaves = network.at(features, possible)(beliefs.transpose(0, 1))
    torch.testing.assert_close(at_leaves.transpose(0, 1), network(features, beliefs))


def test_illegal_actions_have_probability_zero() -> None:
    batch = examples()["policies"]
    policy = PolicyNetwork(GAME, 16, 2)(batch.features, batch.beliefs, batch.legal).exp()
    torch.testing.assert_close(policy.sum(1), torch.ones(8, 6))
    assert (policy[::2, 0] == 0).all()
    assert (policy[1::2] > 0).all()


@pytest.mark.parametrize(("loss", "delta"), [("mse", 1.0), ("huber", 0.5)])
def test_the_value_loss_is_the_mean_over_possible_hands(loss: str, delta: float) -> None:
    batch, ours = examples()["values"], module(value_loss=loss, huber_delta=delta)
    predicted = ours.value_network(batch.features, batch.beliefs)
    terms = []
    for n in range(len(batch)):
        for player in (0, 1):
            for hand in range(6):
                if batch.possible[n, hand]:
                    error = abs((predicted - batch.values)[n, player, hand].item())
                    linear = delta * (error - delta / 2)
                    quadratic = error**2 if loss == "mse" else error**2 / 2
                    terms.append(linear if loss == "huber" and error > delta else quadratic)
    assert len(terms) == 8 * 2 * 5
    assert ours.value_error(batch).item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_the_policy_loss_is_the_mean_divergence_over_possible_hands() -> None:
    batch, ours = examples()["policies"], module()
    log_policy = ours.policy_network(batch.features, batch.beliefs, batch.legal)
    terms = []
    for n in range(len(batch)):
        for hand in range(6):
            if batch.possible[n, hand]:
                target = batch.strategy[n, :, hand].tolist()
                predicted = log_policy[n, :, hand].tolist()
                terms.append(sum(t * (math.log(t) - p) for t, p in zip(target, predicted, strict=True) if t))
    assert ours.policy_error(batch).item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_hands_can_count_in_the_policy_loss_as_often_as_who_acts_holds_them() -> None:
    batch = examples()["policies"]
    actor = [n % 2 for n in range(len(batch))]
    ours = module(belief_weight=0.3, acting=lambda _: torch.eye(2)[actor])
    log_policy = ours.policy_network(batch.features, batch.beliefs, batch.legal)
    divergence = (torch.xlogy(batch.strategy, batch.strategy) - batch.strategy * log_policy).sum(1)
    held = sum(
        batch.beliefs[n, actor[n], hand].item() * divergence[n, hand].item()
        for n in range(len(batch))
        for hand in range(6)
        if batch.possible[n, hand]
    )
    expected = 0.7 * module().policy_error(batch).item() + 0.3 * held / len(batch)
    assert ours.policy_error(batch).item() == pytest.approx(expected, rel=1e-5)


def fit(ours: ReBeLModule, batches: list[Batch], iterations: int) -> dict[str, Tensor]:
    trainer = lightning.Trainer(
        max_epochs=iterations,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on loaders
        trainer.fit(ours, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return dict(trainer.callback_metrics)


def test_a_non_finite_loss_names_iteration_and_batch() -> None:
    good, bad = examples(), examples(seed=5)
    bad["values"].values[0, 0, 1] = math.inf
    with pytest.raises(NonFiniteLossError, match="iteration 0, batch 2: value loss inf"):
        fit(module(), [good, good, bad, good], 1)


def test_both_losses_fall_and_the_learning_rate_follows_its_cosine() -> None:
    ours, batch = module(iterations=40, learning_rate=1e-2, final_learning_rate=1e-4), examples()
    before = ours.value_error(batch["values"]).item(), ours.policy_error(batch["policies"]).item()
    logged = fit(ours, [batch] * 10, 40)
    assert ours.value_error(batch["values"]).item() < before[0] / 3
    assert ours.policy_error(batch["policies"]).item() < before[1] / 3
    assert logged["learning_rate"].item() == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value_loss": "mae"}, "value_loss must be one of mse, huber, got 'mae'"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0"),
        ({"policy_weight": -1.0}, "policy_weight must not be negative, got -1"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module(**settings)
