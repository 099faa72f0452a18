"""Self-play as a Lightning data source: one iteration is one epoch."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias

import lightning
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from pokerlab.selfplay.actors.base import Actors
from pokerlab.selfplay.examples import Examples, SomeExamples
from pokerlab.selfplay.place import BATCHES, Place
from pokerlab.selfplay.replay import MemoryReplay, Replay
from pokerlab.selfplay.replay_on_disk import DiskReplay

Batch: TypeAlias = dict[str, Any]
"""What one optimiser step learns from: examples of each stream, by its name."""


@dataclass(frozen=True, slots=True)
class Stream(Generic[SomeExamples]):
    """Examples of one kind, as an algorithm wants them kept."""

    none: SomeExamples
    """No examples; says what one looks like."""
    capacity: int
    """The most to sample from."""


class SelfPlayDataset(IterableDataset[Batch]):
    """Plays, then yields batches from the replays; each pass is one iteration.

    Args:
        actors: generate trajectories.
        networks: gives the networks with their present weights.
        replays: of each stream, in the order in which batches are drawn.
        trajectories: games an iteration.
        updates: batches an iteration.
        batch_size: examples of each stream a batch.
        seed: of the run.
    """

    def __init__(
        self,
        actors: Actors,
        networks: Callable[[], nn.Module],
        replays: Mapping[str, Replay],
        *,
        trajectories: int,
        updates: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.actors, self.networks, self.replays = actors, networks, replays
        self.trajectories, self.updates, self.batch_size, self.seed = trajectories, updates, batch_size, seed
        self.rank = 0
        self.iteration = 0
        """How many iterations' trajectories have been played."""
        self.new_examples = 0
        """Examples of all streams that the latest iteration added."""
        self.seconds = 0.0
        """What generating them took."""

    def __len__(self) -> int:
        return self.updates

    def __iter__(self) -> Iterator[Batch]:
        started = time.perf_counter()
        place = Place(self.seed, self.iteration, self.rank)
        examples = self.actors.generate(self.networks(), self.trajectories, place)
        if examples.keys() != self.replays.keys():
            raise ValueError(
                f"the actor gave examples of {', '.join(examples)}, but the streams are "
                f"{', '.join(self.replays)}"
            )
        for name, replay in self.replays.items():
            replay.add(examples[name])
        self.new_examples = sum(map(len, examples.values()))
        self.seconds = time.perf_counter() - started
        draws = Place(self.seed, self.iteration, self.rank, BATCHES).generator()
        self.iteration += 1
        for _ in range(self.updates):
            yield {name: replay.sample(self.batch_size, draws) for name, replay in self.replays.items()}


class SelfPlayData(lightning.LightningDataModule):
    """The dataset, its replays and its actors.

    Its part of a checkpoint is the iteration and the replays' positions; their contents are saved beside
    it (:meth:`replay_contents`). Random states need no saving: see :class:`~pokerlab.selfplay.place.Place`.

    Args:
        streams: of the algorithm.
        actors: generate trajectories.
        trajectories: games an iteration.
        updates: batches an iteration.
        batch_size: examples of each stream a batch.
        newest: share of all examples that may be sampled, see :class:`Replay`.
        seed: of the run.
        replay_folder: where the replays keep their examples; None: in memory.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        actors: Actors,
        *,
        trajectories: int,
        updates: int,
        batch_size: int,
        newest: float,
        seed: int,
        replay_folder: Path | None = None,
    ) -> None:
        super().__init__()

        def replay(name: str, stream: Stream[Examples]) -> Replay[Examples]:
            if replay_folder is None:
                return MemoryReplay(stream.none, capacity=stream.capacity, newest=newest)
            return DiskReplay(stream.none, replay_folder, name, capacity=stream.capacity, newest=newest)

        self.replays = {name: replay(name, stream) for name, stream in streams.items()}
        self.dataset = SelfPlayDataset(
            actors,
            self._networks,
            self.replays,
            trajectories=trajectories,
            updates=updates,
            batch_size=batch_size,
            seed=seed,
        )

    def _networks(self) -> nn.Module:
        assert self.trainer is not None
        self.dataset.rank = self.trainer.global_rank
        return self.trainer.lightning_module.networks  # type: ignore[return-value]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches come ready-made."""
        return DataLoader(self.dataset, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """The position; exact at the end of an iteration."""
        added = {f"{name}_added": replay.added for name, replay in self.replays.items()}
        return {"iteration": self.dataset.iteration, **added}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to a position; the replays' contents come from :meth:`restore_replay`."""
        self.dataset.iteration = state_dict["iteration"]

    def replay_contents(self, position: dict[str, Any]) -> dict[str, Any]:
        """The replays as they were at ``position``, the latest or the one before it."""
        return {name: replay.contents(position[f"{name}_added"]) for name, replay in self.replays.items()}

    def restore_replay(self, contents: dict[str, Any]) -> None:
        """Takes over what :meth:`replay_contents` gave."""
        for name, replay in self.replays.items():
            replay.restore(contents[name])

    def teardown(self, stage: str) -> None:
        """Ends the workers."""
        self.dataset.actors.close()
