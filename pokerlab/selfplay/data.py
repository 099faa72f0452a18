"""Self-play as a Lightning data source: one iteration is one epoch."""

import copy
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from pokerlab.ahead import one_ahead
from pokerlab.interrupts import check, interruptible
from pokerlab.selfplay.actors.base import Actors, Lagging, Reporter
from pokerlab.selfplay.examples import Examples, SomeExamples
from pokerlab.selfplay.place import BATCHES, Place
from pokerlab.selfplay.ranks import gather, share
from pokerlab.selfplay.replay import RANKS, IterationReplay, MemoryReplay, Replay, by_rank
from pokerlab.selfplay.replay_on_disk import DiskReplay
from pokerlab.selfplay.reservoir import ReservoirReplay
from pokerlab.selfplay.sums import SumReplay

Batch: TypeAlias = dict[str, Any]
"""What one optimiser step learns from: examples of each stream, by its name."""
MOST_UPDATES = 2**31
GIVEN_BACK = 1
"""Tells the draws of what self-play gets from those of batches."""


@dataclass(frozen=True, slots=True)
class Stream(Generic[SomeExamples]):
    """Examples of one kind, as an algorithm wants them kept."""

    none: SomeExamples
    """No examples; says what one looks like."""
    capacity: int
    """The most to sample from."""
    given_back: float = 0.0
    """How many for each trajectory self-play gets of what earlier iterations added, drawn at random: nothing
    is learned from those. 0: none, these are learned from."""
    kept: Literal["newest", "on_policy", "reservoir", "summed"] = "newest"
    """What is kept: the newest examples; only what the newest iteration added, each of which is learned from
    before any of them again; a uniform sample of all, in memory; or sums of all by their keys
    (:mod:`pokerlab.selfplay.sums`). Of the newest iteration's, and of a reservoir, batches have none if the
    iteration added none."""
    seed: int = 0
    """Of what a reservoir keeps."""

    def replay(
        self, newest: float, folder: Path | None, name: str, rank: int = 0, ranks: int = 1
    ) -> Replay[SomeExamples]:
        """What keeps them.

        Args:
            newest: share of all examples that may be sampled, of the newest.
            folder: where these are kept; None: in memory.
            name: of the stream.
            rank: of those that share the capacity.
            ranks: how many do.
        """
        if self.kept == "on_policy":
            return IterationReplay(self.none)
        if self.kept == "summed":  # of everything, by all
            return SumReplay(self.none, capacity=self.capacity)
        capacity = max(share(self.capacity, rank, ranks), 1)
        if self.kept == "reservoir":
            return ReservoirReplay(self.none, capacity=capacity, seed=self.seed, rank=rank)
        if folder is None:
            return MemoryReplay(self.none, capacity=capacity, newest=newest)
        named = name if ranks == 1 else f"{name}-{rank}of{ranks}"
        return DiskReplay(self.none, folder, named, capacity=capacity, newest=newest)


def count_updates(updates: int | None, draws_per_example: float, examples: float, batch_size: int) -> int:
    """How many batches an iteration has that adds so many examples to the first stream; at least one.

    Args:
        updates: None: as many as draw each of the examples ``draws_per_example`` times.
        draws_per_example: on average.
        examples: how many.
        batch_size: examples a batch.
    """
    return updates or max(math.ceil(draws_per_example * examples / batch_size), 1)


class SelfPlayDataset(IterableDataset[Batch]):
    """Plays, then yields batches from the replays; each pass is one iteration.

    Args:
        actors: generate trajectories.
        networks: gives the networks with their present weights.
        replays: of each stream, in the order in which batches are drawn.
        trajectories: games an iteration.
        updates: batches an iteration; None: as many as ``draws_per_example`` takes.
        draws_per_example: how often each new example of the first stream is drawn, on average.
        batch_size: examples of each stream a batch.
        seed: of the run.
        plan: is told the number of batches, once it is known.
        given_back: of streams that self-play gets examples of, how many for each trajectory.
        device_bytes: the most that what is sampled from may take of a GPU's memory. What takes more is read
            from the host's, a batch ahead.
        rank: of the ``ranks`` that share trajectories and batches; each plays and draws at places of its own.
        ranks: how many there are.
        iterations: of the run: nothing is played ahead of the last.
    """

    def __init__(
        self,
        actors: Actors,
        networks: Callable[[], nn.Module],
        replays: Mapping[str, Replay],
        *,
        trajectories: int,
        updates: int | None,
        draws_per_example: float = 6.0,
        batch_size: int,
        seed: int,
        plan: Callable[[int], None] = lambda updates: None,
        given_back: Mapping[str, float] | None = None,
        device_bytes: float = 0.0,
        rank: int = 0,
        ranks: int = 1,
        iterations: float = math.inf,
    ) -> None:
        if not draws_per_example > 0:
            raise ValueError(f"draws_per_example must be positive, got {draws_per_example}")
        self.actors, self.networks, self.replays = actors, networks, replays
        self.trajectories, self.batch_size, self.seed = trajectories, batch_size, seed
        self._updates, self._draws_per_example = updates, draws_per_example
        self._given_back, self._plan, self._device_bytes = given_back or {}, plan, device_bytes
        self.rank = rank
        self.share = share(trajectories, rank, ranks)
        """How many of the trajectories are this rank's."""
        self._batch = share(batch_size, rank, ranks)
        self._iterations, self._thread = iterations, ThreadPoolExecutor(1)
        self._lags = isinstance(actors, Lagging) and bool(actors.staleness)
        self._ahead: Future[Mapping[str, Examples]] | None = None
        """The next iteration's examples."""
        self.older: dict[str, Any] | None = None
        """The weights that those are played with; None: with the newest, when they are wanted."""
        self.lock = threading.Lock()
        """Whoever else looks at the replays holds it."""
        self.device = torch.device("cpu")
        """Where is learned."""
        self.iteration = 0
        """How many iterations' trajectories have been played."""
        self.new_examples = 0
        """Examples of all streams that are learned from that the latest iteration added, on all ranks."""
        self.seconds = 0.0
        """What generating them took; where they are played ahead, waiting for them."""
        self.played = 0.0
        """Share of the present iteration's trajectories that are played."""
        self.batches = 0
        """How many of the present iteration's batches are drawn."""
        self.updates = updates
        """Batches of the latest iteration; None: that is not known yet."""
        self.draws_per_example = math.nan
        """How often each example that the latest iteration added to the first stream is drawn, on average."""
        if isinstance(actors, Reporter):
            actors.report = self._report

    def _report(self, share: float) -> None:
        self.played = share

    def __len__(self) -> int:
        """Batches an iteration; far too many, as long as that is not known."""
        return self._updates or MOST_UPDATES

    def __iter__(self) -> Iterator[Batch]:
        started = time.perf_counter()
        self.played, self.batches = 0.0, 0
        with interruptible():
            examples = self._played() if self._ahead is None else self._ahead.result()
        if examples.keys() != self.replays.keys():
            raise ValueError(
                f"the actor gave examples of {', '.join(examples)}, but the streams are "
                f"{', '.join(self.replays)}"
            )
        with self.lock:
            for name, replay in self.replays.items():
                replay.add(examples[name])
        if self._lags:
            self._play_ahead()
        self.seconds = time.perf_counter() - started
        learned = [name for name in self.replays if name not in self._given_back]
        found = gather(
            {name: (len(examples[name]), self.replays[name].batch(self._batch)) for name in learned}
        )
        new = {name: sum(each[name][0] for each in found) for name in learned}
        new = {name: number for name, number in new.items() if number or self.replays[name].always}
        self.new_examples, (first, of_first) = sum(new.values()), next(iter(new.items()))
        size = sum(each[first][1] for each in found)
        self.updates = count_updates(self._updates, self._draws_per_example, of_first, size)
        self._plan(self.updates)
        self.draws_per_example = self.updates * size / of_first if of_first else math.nan
        here = [name for name in new if len(examples[name]) or self.replays[name].always]
        draws = Place(self.seed, self.iteration, self.rank, BATCHES).generator()
        self.iteration += 1
        self.played = 1.0
        for batch in self._draw_batches({name: self.replays[name] for name in here}, draws):
            check()
            self.batches += 1
            yield batch

    def _played(self) -> Mapping[str, Examples]:
        """The iteration's examples, of the weights that it would have been played with ahead."""
        networks = self.networks()
        if self.older is not None:  # the process that played ahead is gone
            networks = copy.deepcopy(networks).cpu()
            networks.load_state_dict(self.older)
        elif self._lags:
            networks = copy.deepcopy(networks).cpu()
        place = Place(self.seed, self.iteration, self.rank)
        return self.actors.generate(networks, self.share, place, *self._give_back(self.iteration))

    def _play_ahead(self) -> None:
        """Begins to play the next iteration, with the weights that this one has before it learns."""
        networks = copy.deepcopy(self.networks()).cpu()
        self._ahead, following, self.older = None, self.iteration + 1, networks.state_dict()
        if following >= self._iterations:
            return
        self._ahead = self._thread.submit(
            self.actors.generate,
            networks,
            self.share,
            Place(self.seed, following, self.rank),
            *self._give_back(following),
        )

    def close(self) -> None:
        """Ends what plays, also ahead."""
        self.actors.close()
        if self._ahead is not None:
            self._ahead.exception()  # that it was ended
            self._ahead = None
            self.actors.close()

    def _draw_batches(
        self, replays: Mapping[str, Replay[Examples]], draws: torch.Generator
    ) -> Iterator[Batch]:
        """The iteration's batches, on the device."""
        on_gpu = self.device.type == "cuda"
        fits = on_gpu and sum(each.bytes_to_sample for each in replays.values()) <= self._device_bytes
        with self.lock:
            for each in replays.values():
                each.keep_on(self.device if fits else None)
        ahead = on_gpu and not fits

        assert self.updates is not None
        gathered = (
            {name: each.gather(each.draw(self._batch, draws), pinned=ahead) for name, each in replays.items()}
            for _ in range(self.updates)
        )
        for packed in one_ahead(gathered) if ahead else gathered:
            yield {name: each.unpack(packed[name].to(self.device)) for name, each in replays.items()}

    def _give_back(self, iteration: int) -> list[dict[str, Examples]]:
        """What self-play gets in an iteration, if any stream has something for it."""
        if not self._given_back:
            return []
        draws = Place(self.seed, iteration, self.rank, BATCHES).generator(GIVEN_BACK)
        return [
            {
                name: self.replays[name].sample(math.ceil(number * self.share), draws)
                for name, number in self._given_back.items()
                if self.replays[name].window(self.replays[name].added)
            }
        ]


class SelfPlayData(lightning.LightningDataModule):
    """The dataset, its replays and its actors.

    Its part of a checkpoint is the iteration and the replays' positions; their contents are saved beside
    it (:meth:`replay_contents`). Random states need no saving: see :class:`~pokerlab.selfplay.place.Place`.

    Args:
        streams: of the algorithm.
        actors: generate trajectories.
        trajectories: games an iteration.
        updates: see :class:`SelfPlayDataset`.
        draws_per_example: likewise.
        batch_size: examples of each stream a batch.
        newest: share of all examples that may be sampled, see :class:`Replay`.
        seed: of the run.
        replay_folder: where the replays keep their examples; None: in memory.
        device_bytes: see :class:`SelfPlayDataset`.
        rank: likewise.
        ranks: likewise; the capacity of replays is shared as well.
        iterations: likewise.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        actors: Actors,
        *,
        trajectories: int,
        updates: int | None,
        draws_per_example: float = 6.0,
        batch_size: int,
        newest: float,
        seed: int,
        replay_folder: Path | None = None,
        device_bytes: float = 0.0,
        rank: int = 0,
        ranks: int = 1,
        iterations: float = math.inf,
    ) -> None:
        super().__init__()
        self.rank, self.ranks = rank, ranks
        self.replays = {
            name: stream.replay(newest, replay_folder, name, rank, ranks) for name, stream in streams.items()
        }
        self.dataset = SelfPlayDataset(
            actors,
            self._networks,
            self.replays,
            trajectories=trajectories,
            updates=updates,
            draws_per_example=draws_per_example,
            batch_size=batch_size,
            seed=seed,
            plan=self._plan,
            given_back={name: stream.given_back for name, stream in streams.items() if stream.given_back},
            device_bytes=device_bytes,
            rank=rank,
            ranks=ranks,
            iterations=iterations,
        )

    def _networks(self) -> nn.Module:
        assert self.trainer is not None
        self.dataset.device = self.trainer.strategy.root_device
        return self.trainer.lightning_module.networks  # type: ignore[return-value]

    def _plan(self, updates: int) -> None:
        """Ends the iteration after so many batches: Lightning wants to know when it begins, before play."""
        if self.trainer is not None:
            self.trainer.fit_loop.max_batches = updates

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches come ready-made."""
        return DataLoader(self.dataset, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """The position; exact at the end of an iteration."""
        added = {f"{name}_added": replay.added for name, replay in self.replays.items()}
        older = {} if self.dataset.older is None else {"older_weights": self.dataset.older}
        return {"iteration": self.dataset.iteration, **added, **older}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes to a position; the replays' contents come from :meth:`restore_replay`."""
        self.dataset.iteration = state_dict["iteration"]
        self.dataset.older = state_dict.get("older_weights")

    def replay_contents(self, position: dict[str, Any]) -> dict[str, Any]:
        """This rank's replays as they were at ``position``, the latest or the one before it."""
        with self.dataset.lock:
            return {name: replay.contents(position[f"{name}_added"]) for name, replay in self.replays.items()}

    def restore_replay(self, contents: dict[str, Any]) -> None:
        """Takes over what :meth:`replay_contents` gave on all ranks, see :func:`of_all_ranks`.

        If these were others in number, each takes a share of all.
        """
        for name, replay in self.replays.items():
            saved = by_rank(contents[name])
            same = len(saved) == self.ranks
            replay.restore(saved[self.rank] if same else replay.divide(saved, self.rank, self.ranks))

    def on_exception(self, exception: BaseException) -> None:
        """Ends the workers, which may be playing ahead."""
        self.dataset.close()

    def teardown(self, stage: str) -> None:
        """Ends the workers."""
        self.dataset.close()


def of_all_ranks(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is saved: the contents of each rank's replays, by streams."""
    if len(found) == 1:
        return found[0]
    return {name: {RANKS: [each[name] for each in found]} for name in found[0]}
