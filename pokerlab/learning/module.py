"""The LightningModule: value and policy networks, their losses, and the optimiser."""

import math
from dataclasses import fields, replace
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.games.base import Relabellings
from pokerlab.learning.networks import Networks, PolicyNetwork, ValueNetwork
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.examples import PolicyExamples, SomeExamples, ValueExamples
from pokerlab.selfplay.workers import random_stream

VALUE_LOSSES = ("mse", "huber")


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or NaN."""


class SelfPlayModule(lightning.LightningModule):
    """Learns the values and strategies that search found.

    Args:
        value_network: predicts infostate values in pots.
        policy_network: predicts average strategies.
        iterations: length of the run, for the learning rate's cosine.
        value_loss: ``mse`` or ``huber``.
        huber_delta: where Huber turns linear, in pots.
        policy_weight: weight of the policy loss beside the value loss.
        learning_rate: of Adam, at the start.
        final_learning_rate: at the end; it falls along a cosine, by iterations. Equal to
            ``learning_rate``: constant.
        fused: Adam as one kernel; with mixed precision Lightning then refuses to clip gradients.
        relabellings: of the game: each example is learned from under one of these names, drawn at random.
    """

    def __init__(
        self,
        value_network: ValueNetwork,
        policy_network: PolicyNetwork,
        *,
        iterations: int,
        value_loss: str = "mse",
        huber_delta: float = 1.0,
        policy_weight: float = 1.0,
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-5,
        fused: bool = True,
        relabellings: Relabellings | None = None,
    ) -> None:
        super().__init__()
        if value_loss not in VALUE_LOSSES:
            raise ValueError(f"model.value_loss must be one of {', '.join(VALUE_LOSSES)}, got {value_loss!r}")
        for name, value in (("huber_delta", huber_delta), ("learning_rate", learning_rate)):
            if not value > 0:
                raise ValueError(f"model.{name} must be positive, got {value}")
        for name, value in (("policy_weight", policy_weight), ("final_learning_rate", final_learning_rate)):
            if not value >= 0:
                raise ValueError(f"model.{name} must not be negative, got {value}")
        self.value_network, self.policy_network = value_network, policy_network
        self.iterations, self.value_loss, self.huber_delta = iterations, value_loss, huber_delta
        self.policy_weight, self.fused = policy_weight, fused
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        self._relabelling = None if relabellings is None else _Relabelling(relabellings)
        self.measured: dict[str, float | None] = {}
        """What is known of the iteration under way; callbacks add to it."""
        self._losses: list[Tensor] = []

    @property
    def networks(self) -> Networks:
        """Both, as search takes them."""
        return Networks(self.value_network, self.policy_network)

    def compile_losses(self) -> None:
        """Has learning's passes compiled by torch; not the networks, which go to other processes."""
        self.value_error = torch.compile(self.value_error)  # type: ignore[method-assign]
        self.policy_error = torch.compile(self.policy_error)  # type: ignore[method-assign]

    def value_error(self, examples: ValueExamples) -> Tensor:
        """The value loss: mean over possible hands, in pots (squared)."""
        predicted = self.value_network(examples.features, examples.beliefs)
        if self.value_loss == "mse":
            errors = (predicted - examples.values).square()
        else:
            errors = functional.huber_loss(
                predicted, examples.values, reduction="none", delta=self.huber_delta
            )
        possible = examples.possible[:, None].expand_as(errors)
        return (errors * possible).sum() / possible.sum()

    def policy_error(self, examples: PolicyExamples) -> Tensor:
        """The policy loss: KL(target ‖ prediction) in nats, mean over possible hands."""
        log_policy = self.policy_network(examples.features, examples.beliefs, examples.legal)
        target = examples.strategy
        divergence = (torch.xlogy(target, target) - target * log_policy).sum(1)
        return (divergence * examples.possible).sum() / examples.possible.sum()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Both losses on one batch."""
        values, policies = batch.value, batch.policy
        if self._relabelling is not None:
            draws = random_stream(0, self.current_epoch, batch_idx)  # that of the place: nothing to be saved
            values, policies = self._relabelling(values, draws), self._relabelling(policies, draws)
        value_loss, policy_loss = self.value_error(values), self.policy_error(policies)
        self._losses.append(torch.stack([value_loss, policy_loss]).detach())
        return value_loss + self.policy_weight * policy_loss

    def on_train_epoch_start(self) -> None:
        """Sets the learning rate from the iteration alone, so that a resumed run agrees."""
        progress = min(self.current_epoch / max(self.iterations - 1, 1), 1.0)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        rate = self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * cosine
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        self._losses.clear()
        self.measured = {"learning_rate": rate}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """At the iteration's last batch: its losses, read from the device once.

        Raises:
            NonFiniteLossError: naming the iteration and the batch.
        """
        if batch_idx + 1 < self.trainer.num_training_batches:
            return
        losses = torch.stack(self._losses)
        finite = losses.isfinite().all(1)
        if not finite.all():
            batch_idx = int((~finite).nonzero()[0])
            value, policy = losses[batch_idx].tolist()
            raise NonFiniteLossError(
                f"non-finite loss in iteration {self.current_epoch}, batch {batch_idx}: "
                f"value loss {value}, policy loss {policy}"
            )
        self.measured["value_loss"], self.measured["policy_loss"] = losses.double().mean(0).tolist()
        self.log("iteration", float(self.current_epoch + 1))  # names the checkpoint file

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, fused=self.fused)


class _Relabelling(torch.nn.Module):
    """Examples under other names."""

    features: Tensor
    hands: Tensor

    def __init__(self, relabellings: Relabellings) -> None:
        super().__init__()
        for name in ("features", "hands"):
            index = torch.as_tensor(getattr(relabellings, name))
            self.register_buffer(name, index, persistent=False)

    def forward(self, examples: SomeExamples, draws: torch.Generator) -> SomeExamples:
        """Each under names of its own: what ends in hands ``[n, ..., H]`` is exchanged, and features."""
        drawn = torch.randint(len(self.hands), (len(examples),), generator=draws).to(self.hands.device)
        features, hands = self.features[drawn], self.hands[drawn]
        changed = {}
        for field in fields(examples):
            values: Tensor = getattr(examples, field.name)
            if field.name == "features":
                changed[field.name] = values.gather(1, features)
            elif field.name != "legal":
                index = hands.view(len(hands), *[1] * (values.dim() - 2), -1).expand_as(values)
                changed[field.name] = values.gather(-1, index)
        return replace(examples, **changed)
