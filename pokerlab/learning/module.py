"""What every algorithm's module does: steps on named losses, a learning rate, numbers for the log."""

import functools
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pokerlab.learning.schedule import CosineSchedule
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.place import LEARNING, Place
from pokerlab.selfplay.ranks import gather, means

log = logging.getLogger("pokerlab")

MakeOptimizer = Callable[..., Optimizer]
"""Gets the parameters and ``lr``: a class of torch.optim, or the like."""


class NonFiniteLossError(RuntimeError):
    """A loss, or a weight, became infinite or NaN."""


def log_number(module: lightning.LightningModule, name: str, value: float) -> None:
    """Logs a number of the iteration to the last bit: Lightning would keep it in single precision."""
    module.log(name, torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True, batch_size=1)


class Learner(lightning.LightningModule):
    """Learns from batches of an algorithm's streams; the algorithm says what :meth:`losses` there are.

    Each iteration logs ``learning_rate`` and every loss by its name, the mean over the iteration's batches
    on all ranks.

    Args:
        iterations: length of the run, for the learning rate's cosine.
        seed: of the run.
        optimizer: makes the optimiser.
        learning_rate: at the start.
        final_learning_rate: at the end; it falls along a cosine, by iterations. Equal to
            ``learning_rate``: constant.
        weights: of the losses in their sum; 1 where it says nothing.
    """

    def __init__(
        self,
        *,
        iterations: int,
        seed: int = 0,
        optimizer: MakeOptimizer = torch.optim.Adam,
        learning_rate: float = 1e-3,
        final_learning_rate: float = 1e-5,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if not learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {learning_rate}")
        if not final_learning_rate >= 0:
            raise ValueError(f"final_learning_rate must not be negative, got {final_learning_rate}")
        self.iterations, self.seed, self.weights = iterations, seed, weights or {}
        self.make_optimizer = optimizer
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        self._losses: list[dict[str, Tensor]] = []

    @property
    @abstractmethod
    def networks(self) -> nn.Module:
        """What self-play and agents ask."""

    @abstractmethod
    def losses(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Scalar losses of one batch, by the names under which they are logged.

        They are the same ones in all batches of an iteration; none, if it found nothing."""

    @property
    def place(self) -> Place:
        """Where what is drawn while learning is drawn."""
        return Place(self.seed, self.current_epoch, self.global_rank, LEARNING)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The weighted sum of the losses."""
        losses = self.losses(batch, batch_idx)
        self._losses.append({name: loss.detach() for name, loss in losses.items()})
        total = self.weigh(losses)
        return total if total.requires_grad else total.requires_grad_()  # nothing to learn from

    def weigh(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The sum of losses, by their weights."""
        weighted = [self.weights.get(name, 1.0) * loss for name, loss in losses.items()]
        return functools.reduce(torch.add, weighted, torch.zeros((), device=self.device))

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By their norm. Lightning would refuse an optimiser in one kernel with mixed precision, since such a
        one undoes the scaling of gradients itself; nothing is scaled here."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def on_train_start(self) -> None:
        """Goes to the iteration's learning rate; says so if that is not as the run before had it."""
        schedule = self.lr_schedulers()
        assert isinstance(schedule, CosineSchedule)
        before, iteration = self.trainer.optimizers[0].param_groups[0]["lr"], self.current_epoch
        schedule.go_to(iteration)
        # runs of 0.1.0 kept the rate of the iteration before
        if iteration and before not in (schedule.rate(iteration), schedule.rate(iteration - 1)):
            log.info(
                "the learning rate goes from %.3g to %.3g: it falls over %d iterations now",
                before,
                schedule.rate(iteration),
                self.iterations,
            )

    def on_train_epoch_start(self) -> None:
        """Forgets the losses of the iteration before."""
        self._losses.clear()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """At the iteration's last batch: its losses, read from the device once.

        Raises:
            NonFiniteLossError: naming the iteration, and the batch if a loss is to blame.
        """
        if batch_idx + 1 < self.trainer.num_training_batches:
            return
        names = list(self._losses[0])
        nothing = torch.zeros(0, device=self.device)
        losses = torch.stack([torch.stack([*each.values()]) if each else nothing for each in self._losses])
        weights = torch.stack([parameter.detach().isfinite().all() for parameter in self.parameters()])
        finite = torch.cat([losses.isfinite().all(1), weights.all()[None]]).tolist()
        wrong = None if all(finite) else self._not_finite(finite, names, losses)
        mine = dict(zip(names, losses.double().mean(0).tolist(), strict=True))
        found = gather((wrong, mine))
        if said := next((wrong for wrong, _ in found if wrong is not None), None):
            raise NonFiniteLossError(said)
        schedule = self.lr_schedulers()
        assert isinstance(schedule, CosineSchedule)
        log_number(self, "learning_rate", schedule.rate(self.current_epoch))
        for name, mean in means([losses for _, losses in found]).items():
            log_number(self, name, mean)

    def _not_finite(self, finite: list[bool], names: list[str], losses: Tensor) -> str:
        bad = finite.index(False)
        if bad == len(losses):
            return f"non-finite weights after iteration {self.current_epoch}"
        found = zip(names, losses[bad].tolist(), strict=True)
        said = (f"{name.replace('_', ' ')} {value}" for name, value in found)
        return f"non-finite loss in iteration {self.current_epoch}, batch {bad}: {', '.join(said)}"

    def configure_optimizers(self) -> Any:
        """The optimiser, and its learning rate by iterations."""
        optimizer = self.make_optimizer(self.parameters(), lr=self.learning_rate)
        schedule = CosineSchedule(
            optimizer,
            first=self.learning_rate,
            last=self.final_learning_rate,
            iterations=self.iterations,
        )
        return {"optimizer": optimizer, "lr_scheduler": schedule}
