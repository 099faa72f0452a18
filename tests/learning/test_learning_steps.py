"""Losses, learning rate and failures of the module, in a trainer where that matters."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from pokerlab.algorithms.rebel import ReBeLModule, ValueScale
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import features_of
from pokerlab.games.registry import make_game
from pokerlab.learning.module import NonFiniteLossError
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.trajectories import SelfPlay

GAME = Leduc()


def module(game: Any = GAME, *, hidden: int = 16, **settings: Any) -> ReBeLModule:
    torch.manual_seed(0)
    networks = ValueNetwork(game, hidden, 2), PolicyNetwork(game, hidden, 2)
    return ReBeLModule(*networks, **{"iterations": 4, **settings})


def played(game: Any = GAME, seed: int = 0) -> Batch:
    """Examples of real self-play: impossible hands, illegal actions, pure strategies."""
    torch.manual_seed(seed)
    network = ValueNetwork(game, 8, 1)
    selfplay = SelfPlay(game, Solver(), search_iterations=10)
    examples = selfplay.generate(network, 30, random_stream(seed), torch.empty(0))
    return dict(zip(("values", "policies"), examples, strict=True))


def gradients(ours: ReBeLModule, loss: Tensor) -> Tensor:
    found = torch.autograd.grad(loss, list(ours.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


@pytest.mark.parametrize("value_loss", ["mse", "huber"])
def test_values_of_impossible_hands_do_not_count(value_loss: str) -> None:
    ours, examples = module(value_loss=value_loss), played()["values"]
    impossible = ~examples.possible[:, None].expand_as(examples.values)
    assert impossible.any()
    other = replace(examples, values=examples.values.masked_fill(impossible, 1e6))
    losses = ours.value_error(examples), ours.value_error(other)
    assert torch.equal(*losses)
    assert torch.equal(*(gradients(ours, loss) for loss in losses))
    every = replace(other, possible=torch.ones_like(other.possible))
    assert ours.value_error(every) > 1e3


def test_strategies_of_impossible_hands_do_not_count() -> None:
    ours, examples = module(), played()["policies"]
    impossible = ~examples.possible[:, None].expand_as(examples.strategy)
    call = torch.tensor([0.0, 1.0, 0.0])[:, None].expand_as(examples.strategy)
    other = replace(examples, strategy=torch.where(impossible, call, examples.strategy))
    assert not torch.equal(other.strategy, examples.strategy)
    losses = ours.policy_error(examples), ours.policy_error(other)
    assert torch.equal(*losses)
    assert torch.equal(*(gradients(ours, loss) for loss in losses))


def test_what_is_predicted_exactly_costs_nothing() -> None:
    ours, batch = module(), played()
    value, policy = batch["values"], batch["policies"]
    with torch.no_grad():
        values = ours.value_network(value.features, value.beliefs)
        log_policy = ours.policy_network(policy.features, policy.beliefs, policy.legal)
    assert ours.value_error(replace(value, values=values)) == 0
    loss = ours.policy_error(replace(policy, strategy=log_policy.exp()))
    assert abs(loss.item()) < 1e-7
    assert gradients(ours, loss).abs().max() < 1e-6
    assert ours.policy_error(policy) > 0.01


def test_a_pure_target_costs_its_negative_log_probability() -> None:
    ours, policy = module(), played()["policies"]
    call = torch.zeros_like(policy.strategy)
    call[:, 1] = 1
    log_policy = ours.policy_network(policy.features, policy.beliefs, policy.legal)[:, 1]
    expected = -log_policy[policy.possible].mean()
    torch.testing.assert_close(ours.policy_error(replace(policy, strategy=call)), expected)


def test_huber_is_half_the_square_up_to_delta_and_linear_beyond() -> None:
    value = played()["values"]
    with torch.no_grad():
        predicted = module().value_network(value.features, value.beliefs)
    for error, expected in ((0.5, 0.125), (-2.0, 2.0), (3.0, 2 * 3 - 2), (-10.0, 2 * 10 - 2)):
        loss = module(value_loss="huber", huber_delta=2.0).value_error(
            replace(value, values=predicted + error)
        )
        assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_the_loss_of_a_step_is_the_weighted_sum(weight: float) -> None:
    ours, batch = module(policy_weight=weight), played()
    expected = ours.value_error(batch["values"]) + weight * ours.policy_error(batch["policies"])
    torch.testing.assert_close(ours.training_step(batch, 0), expected)


class Iterations(IterableDataset[Batch]):
    """``batch_of(iteration, batch_idx)``, three batches an iteration."""

    def __init__(self, batch_of: Callable[[int, int], Batch]) -> None:
        self.batch_of, self.iteration = batch_of, 0

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Batch]:
        iteration, self.iteration = self.iteration, self.iteration + 1
        return (self.batch_of(iteration, batch_idx) for batch_idx in range(3))


class Record(lightning.Callback):
    """What is measured in each iteration, and the optimiser's learning rate."""

    def __init__(self) -> None:
        self.measured: list[dict[str, float]] = []
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if len(self.rates) == len(self.measured):
            self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        assert self.rates[-1] == trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.measured.append({name: value.item() for name, value in trainer.callback_metrics.items()})


def fit(
    ours: ReBeLModule,
    batch_of: Callable[[int, int], Batch],
    until: int,
    *callbacks: lightning.Callback,
    resume: Path | None = None,
    **options: Any,
) -> lightning.Trainer:
    trainer = lightning.Trainer(
        **options,
        max_epochs=until,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on loaders
        trainer.fit(ours, DataLoader(Iterations(batch_of), batch_size=None), ckpt_path=resume)
    return trainer


def cosine(iteration: int, iterations: int, first: float, last: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * iteration / (iterations - 1))) / 2


def test_the_learning_rate_depends_on_the_iteration_alone(tmp_path: Path) -> None:
    batch = played()
    settings: dict[str, Any] = {"iterations": 5, "learning_rate": 1e-2, "final_learning_rate": 1e-3}
    whole, first, second = Record(), Record(), Record()
    fit(module(**settings), lambda *_: batch, 5, whole)
    expected = [cosine(i, 5, 1e-2, 1e-3) for i in range(5)]
    assert whole.rates == pytest.approx(expected, rel=1e-12)
    assert [measured["learning_rate"] for measured in whole.measured] == whole.rates

    fit(module(**settings), lambda *_: batch, 2, first).save_checkpoint(tmp_path / "two.ckpt")
    fit(module(**settings), lambda *_: batch, 5, second, resume=tmp_path / "two.ckpt")
    assert first.rates + second.rates == whole.rates
    assert first.measured + second.measured == whole.measured


@pytest.mark.parametrize(("iterations", "final", "expected"), [(1, 1e-5, [1e-2]), (3, 1e-2, [1e-2] * 3)])
def test_the_learning_rate_starts_where_it_is_told_and_may_stay(
    iterations: int, final: float, expected: list[float]
) -> None:
    record, batch = Record(), played()
    ours = module(iterations=iterations, learning_rate=1e-2, final_learning_rate=final)
    fit(ours, lambda *_: batch, iterations, record)
    assert record.rates == expected


def test_what_plays_is_the_moving_average_of_what_is_learned() -> None:
    """Over the first steps, of nearly the last ten; later, as the decay says."""
    batch, plain, ours = played(), module(), module(ema_decay=0.8)
    trails: list[list[Tensor]] = []

    class Keep(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            trails.append([each.detach().clone() for each in pl_module.learned.parameters()])

    expected = [each.detach().clone() for each in ours.networks.parameters()]
    fit(plain, lambda *_: batch, 20)
    fit(ours, lambda *_: batch, 20, Keep())
    for step, weights in enumerate(trails, start=1):
        share = max(0.2, 9 / (step + 9))
        expected = [old + share * (new - old) for old, new in zip(expected, weights, strict=True)]
    assert len(trails) >= 20
    torch.testing.assert_close([*ours.networks.parameters()], expected)
    torch.testing.assert_close([*ours.learned.parameters()], [*plain.networks.parameters()])


def test_losses_are_the_means_over_an_iterations_batches() -> None:
    """With steps too small to move a weight."""
    batches, record = [[played(seed=3 * i + j) for j in range(3)] for i in range(2)], Record()
    still = module(iterations=2, learning_rate=1e-30, final_learning_rate=1e-30)
    fit(still, lambda i, j: batches[i][j], 2, record)
    for iteration, measured in zip(batches, record.measured, strict=True):
        values = [still.value_error(batch["values"]).item() for batch in iteration]
        policies = [still.policy_error(batch["policies"]).item() for batch in iteration]
        assert measured["value_loss"] == pytest.approx(sum(values) / 3, rel=1e-6)
        assert measured["policy_loss"] == pytest.approx(sum(policies) / 3, rel=1e-6)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_where_adam_is_one_kernel(precision: str) -> None:
    """Adam's memory of them is then as small as they are."""
    norms = []
    for clip in (None, 1e-3):
        ours = module(iterations=1, optimizer=partial(torch.optim.Adam, fused=True, betas=(0.0, 0.999)))
        fit(ours, lambda *_: played(), 1, precision=precision, gradient_clip_val=clip)
        state = ours.trainer.optimizers[0].state
        norms.append(torch.cat([each["exp_avg"].flatten() for each in state.values()]).norm().item())
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", ["value", "policy"])
def test_the_first_non_finite_loss_is_named(kind: str, bad: float) -> None:
    good = played()
    value = replace(good["values"], values=torch.full_like(good["values"].values, bad))
    policy = replace(good["policies"], strategy=torch.full_like(good["policies"].strategy, bad))
    broken = good | ({"values": value} if kind == "value" else {"policies": policy})

    def batch_of(iteration: int, batch_idx: int) -> Batch:
        return broken if (iteration, batch_idx) == (2, 1) else good

    said = rf"^non-finite loss in iteration 2, batch 1: .*{kind} loss (nan|inf)"
    record = Record()
    with pytest.raises(NonFiniteLossError, match=said):
        fit(module(), batch_of, 4, record)
    assert len(record.measured) == 2  # the iterations before it are finished


@pytest.mark.parametrize("game", [Kuhn(depth_limit=1), Leduc()], ids=["kuhn", "leduc"])
def test_both_losses_fall_on_what_self_play_found(game: Any) -> None:
    batch = played(game)
    ours = module(game, hidden=64)
    optimizer = torch.optim.Adam(ours.parameters(), lr=3e-3)
    before = ours.value_error(batch["values"]).item(), ours.policy_error(batch["policies"]).item()
    for _ in range(300):
        optimizer.zero_grad()
        ours.training_step(batch, 0).backward()
        optimizer.step()
    after = ours.value_error(batch["values"]).item(), ours.policy_error(batch["policies"]).item()
    assert after[0] < before[0] / 20
    assert after[1] < before[1] / 20


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("value_loss", "MSE", "must be one of mse, huber"),
        ("huber_delta", 0.0, "must be positive"),
        ("huber_delta", math.nan, "must be positive"),
        ("learning_rate", -1e-3, "must be positive"),
        ("final_learning_rate", -1e-9, "must not be negative"),
        ("policy_weight", math.nan, "must not be negative"),
        ("ema_decay", 1.0, "must be at least 0 and less than 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, value: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=rf"^{setting} {wanted}, got {value!r}$"):
        module(**{setting: value})


def test_errors_count_more_where_little_is_left_to_be_won() -> None:
    game = Holdem("small", ranks=4, suits=3, stack=60, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1))
    chips = [(118.0, 1.0), (60.0, 30.0), (8.0, 56.0)]
    states = [HoldemState((0, 1), pot, stack, (0.0, 0.0), ((), ())) for pot, stack in chips]
    torch.manual_seed(0)
    values = ValueExamples(
        features=torch.as_tensor(features_of(game, states)).float(),
        beliefs=torch.full((3, 2, game.num_hands), 1 / game.num_hands),
        possible=torch.as_tensor(np.array([game.possible_hands(state) for state in states])),
        values=torch.randn(3, 2, game.num_hands),
    )
    scale = ValueScale(game, 0.5)(values.features)
    torch.testing.assert_close(scale.square(), 1 + 1 / torch.tensor([0.05, 0.5, 7.0]))
    ours, scaled = module(game), module(game, value_scale=ValueScale(game, 0.5))
    one_by_one = [values.select(slice(row, row + 1)) for row in range(3)]
    each = [ours.value_error(one) for one in one_by_one]
    found = [scaled.value_error(one) for one in one_by_one]
    torch.testing.assert_close(torch.stack(found), torch.stack(each) * scale.square())


@pytest.mark.parametrize(
    ("game", "exponent", "message"),
    [(Leduc(), 0.5, "be 0 in leduc, got 0.5"), (make_game("hunl"), 1.5, "lie between 0 and 1, got 1.5")],
)
def test_stacks_cannot_be_weighed_where_there_are_none_or_beyond_one(
    game: Any, exponent: float, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^shallow_weight must {message}$"):
        ValueScale(game, exponent)


@pytest.mark.parametrize(("longer", "says"), [(4, False), (8, True)])
def test_a_longer_run_takes_the_rates_of_the_longer_schedule_and_says_so(
    longer: int, says: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("pokerlab")
    batch, record = played(), Record()
    settings: dict[str, Any] = {"learning_rate": 1e-2, "final_learning_rate": 1e-5}
    fit(module(iterations=4, **settings), lambda *_: batch, 2 if longer == 4 else 4).save_checkpoint(
        tmp_path / "half.ckpt"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger, "propagate", True)
        caplog.set_level(logging.INFO, "pokerlab")
        again = module(iterations=longer, **settings)
        fit(again, lambda *_: batch, longer, record, resume=tmp_path / "half.ckpt")
    done = 2 if longer == 4 else 4
    expected = [cosine(i, longer, 1e-2, 1e-5) for i in range(done, longer)]
    assert record.rates == pytest.approx(expected, rel=1e-12)
    said = [each.getMessage() for each in caplog.records if "learning rate" in each.getMessage()]
    assert said == (
        ["the learning rate goes from 1e-05 to 0.00389: it falls over 8 iterations now"] if says else []
    )
