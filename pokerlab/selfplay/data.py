"""Self-play as a Lightning data source: one iteration is one epoch."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, IterableDataset

from pokerlab.games.base import Game
from pokerlab.selfplay.examples import PolicyExamples, SomeExamples, ValueExamples, moved
from pokerlab.selfplay.replay import MemoryReplay, Replay
from pokerlab.selfplay.replay_on_disk import DiskReplay
from pokerlab.selfplay.workers import SearchModule, WorkerPool, random_stream

_BATCHES = -1  # the place of batch sampling among an iteration's random streams; workers count from 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one optimiser step learns from."""

    value: ValueExamples
    policy: PolicyExamples

    def to(self, device: torch.device) -> "Batch":
        """The batch on ``device``: Lightning calls this."""
        return Batch(moved(self.value, device), moved(self.policy, device))


class SelfPlayDataset(IterableDataset[Batch]):
    """Plays, then yields batches from the replay; each pass is one iteration.

    Args:
        pool: generates trajectories.
        network: gives the networks with their present weights.
        values: replay of value examples.
        policies: replay of policy examples.
        trajectories: games an iteration.
        updates: batches an iteration.
        batch_size: value examples and policy examples a batch.
        seed: of the run.
    """

    def __init__(
        self,
        pool: WorkerPool,
        network: Callable[[], SearchModule],
        values: Replay[ValueExamples],
        policies: Replay[PolicyExamples],
        *,
        trajectories: int,
        updates: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.pool, self.network, self.values, self.policies = pool, network, values, policies
        self.trajectories, self.updates, self.batch_size, self.seed = trajectories, updates, batch_size, seed
        self.iteration = 0
        """How many iterations' trajectories have been played."""
        self.new_examples = 0
        """Value and policy examples that the latest iteration added."""
        self.seconds = 0.0
        """What generating them took."""

    def __len__(self) -> int:
        return self.updates

    def __iter__(self) -> Iterator[Batch]:
        started = time.perf_counter()
        values, policies = self.pool.generate(self.network(), self.trajectories, self.seed, self.iteration)
        self.values.add(values)
        self.policies.add(policies)
        self.new_examples = len(values) + len(policies)
        self.seconds = time.perf_counter() - started
        draws = random_stream(self.seed, self.iteration, 2**32 + _BATCHES)
        self.iteration += 1
        for _ in range(self.updates):
            yield Batch(
                self.values.sample(self.batch_size, draws), self.policies.sample(self.batch_size, draws)
            )


class SelfPlayData(lightning.LightningDataModule):
    """The dataset, its replays and its workers.

    Its part of a checkpoint is the iteration and the replays' positions; their contents are saved beside
    it (:meth:`replay_contents`). Random states need no saving: see :func:`random_stream`.

    Args:
        game: the rules.
        pool: generates trajectories.
        trajectories: games an iteration.
        updates: batches an iteration.
        batch_size: value examples and policy examples a batch.
        value_capacity: size of the replay of value examples.
        policy_capacity: size of the replay of policy examples.
        newest: share of all examples that may be sampled, see :class:`Replay`.
        seed: of the run.
        replay_folder: where the replays keep their examples; null: in memory.
    """

    def __init__(
        self,
        game: Game,
        pool: WorkerPool,
        *,
        trajectories: int,
        updates: int,
        batch_size: int,
        value_capacity: int,
        policy_capacity: int,
        newest: float,
        seed: int,
        replay_folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.game = game

        def replay(name: str, none: SomeExamples, capacity: int) -> Replay[SomeExamples]:
            if replay_folder is None:
                return MemoryReplay(none, capacity=capacity, newest=newest)
            return DiskReplay(none, replay_folder, name, capacity=capacity, newest=newest)

        self.values = replay("values", ValueExamples.none(game), value_capacity)
        self.policies = replay("policies", PolicyExamples.none(game), policy_capacity)
        self.dataset = SelfPlayDataset(
            pool,
            self._network,
            self.values,
            self.policies,
            trajectories=trajectories,
            updates=updates,
            batch_size=batch_size,
            seed=seed,
        )

    def _network(self) -> SearchModule:
        assert self.trainer is not None
        return self.trainer.lightning_module.networks  # type: ignore[return-value]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches come ready-made."""
        return DataLoader(self.dataset, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """The position; exact at the end of an iteration."""
        return {
            "iteration": self.dataset.iteration,
            "values_added": self.values.added,
            "policies_added": self.policies.added,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to a position; the replays' contents come from :meth:`restore_replay`."""
        self.dataset.iteration = state_dict["iteration"]

    def replay_contents(self, position: dict[str, Any]) -> dict[str, Any]:
        """The replays as they were at ``position``, the latest or the one before it."""
        return {
            "values": self.values.contents(position["values_added"]),
            "policies": self.policies.contents(position["policies_added"]),
        }

    def restore_replay(self, contents: dict[str, Any]) -> None:
        """Takes over what :meth:`replay_contents` gave."""
        self.values.restore(contents["values"])
        self.policies.restore(contents["policies"])

    def teardown(self, stage: str) -> None:
        """Ends the workers."""
        self.dataset.pool.close()
