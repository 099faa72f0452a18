"""Self-play in processes of this machine."""

import contextlib
import copy
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pokerlab.selfplay.actors.base import Actor, Divisible, Report, Reporter, check_staleness
from pokerlab.selfplay.actors.division import (
    Share,
    count_for_workers,
    for_workers,
    join,
    part_of_stored,
    split,
)
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import Place

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the trainer's threads' locks, and its GPU


class WorkerDiedError(RuntimeError):
    """A self-play process ended on its own."""


class Processes:
    """Has an actor play in processes of this machine, with the newest weights.

    Where networks are on a GPU, this process plays there what needs them, and the others play meanwhile what
    does not (:class:`~pokerlab.selfplay.actors.base.Divisible`).

    Processes start at the first iteration that needs them, and again after one that failed or was
    interrupted, which ends them all: so no answer can be taken for that of a later iteration.

    Args:
        actor: the algorithm's.
        workers: number of processes, which play on the CPU; 0: this process plays, on the networks'
            device. The result depends on the seed, on this number, and on whether networks are on a GPU.
        staleness: see :class:`~pokerlab.selfplay.actors.base.Lagging`.
    """

    def __init__(self, actor: Actor, workers: int, *, staleness: int = 0) -> None:
        if workers < 0:
            raise ValueError(f"workers must not be negative, got {workers}")
        self.staleness = check_staleness(staleness, workers)
        self.actor, self.workers = actor, workers
        self.report: Report | None = None
        self._running: list[_Worker] = []
        self._shared: Any = None  # a copy of the networks, whose weights all workers read

    def generate(self, networks: nn.Module, n: int, place: Place, *stored: Mapping[str, Examples]) -> Share:
        """Plays ``n`` trajectories; each worker gets its part of what is stored.

        Raises:
            WorkerDiedError: a process was killed, or ran out of memory.
            Exception: what a worker raised, with the worker's traceback as a note.
        """
        theirs = count_for_workers(self.actor, networks, n, place.iteration) if self.workers else 0
        if not theirs:
            return self._play(self.actor, self.report, networks, n, place, stored)
        try:
            if not self._running:
                self._start(networks)
            # nobody reads these now: workers compute only until this process has their answers
            self._shared.load_state_dict(networks.state_dict())
            answers = _Answers(self._running, theirs, n - theirs, place.iteration, self.report)
            self._send(answers.shares, place, stored)
            if rest := n - theirs:
                assert isinstance(self.actor, Divisible)
                here = replace(place, worker=self.workers)
                own = self._play(self.actor.with_networks(), answers.watch, networks, rest, here, stored)
                answers.found[self.workers] = own
            answers.collect()
        except BaseException:  # above all KeyboardInterrupt
            self.close()
            raise
        return join(answers.found)

    @staticmethod
    def _play(
        actor: Actor,
        report: Report | None,
        networks: nn.Module,
        n: int,
        place: Place,
        stored: tuple[Mapping[str, Examples], ...],
    ) -> Share:
        """In this process."""
        here = Here(actor)
        here.report = report
        return here.generate(networks, n, place, *stored)

    def _start(self, networks: nn.Module) -> None:
        self._shared = copy.deepcopy(networks).cpu()
        setup, weights = pickle.dumps((for_workers(self.actor, networks), self._shared)), _share(self._shared)
        # Shared as well, for what a process is started with goes through a pipe. Were it more than that
        # holds, start() would wait until the process has read it: for seconds, or for ever if it was killed.
        shared_setup = torch.frombuffer(bytearray(setup), dtype=torch.uint8).share_memory_()
        # A terminal sends Ctrl-C, and that it was closed, to all, and the trainer decides: its processes
        # inherit that both are blocked.
        resource_tracker.ensure_running()  # else the first start() does it, and unblocks
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            for number in range(self.workers):
                self._running.append(_Worker(number, shared_setup, weights))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _send(self, shares: list[int], place: Place, stored: tuple[Mapping[str, Examples], ...]) -> None:
        """Tells every worker whose share is not empty."""
        for worker in self._running:
            if not worker.process.is_alive():
                raise worker.death_error(f"before iteration {place.iteration}")
        for worker in self._running:
            if share := shares[worker.number]:
                parts = part_of_stored(stored, worker.number, self.workers)
                with contextlib.suppress(ConnectionError):  # it has just died, as is about to be seen
                    worker.pipe.send((share, replace(place, worker=worker.number), parts))

    def close(self) -> None:
        """Ends the processes, whatever they are doing.

        They hold nothing that would have to be tidied up, so they are killed: nothing can keep them.
        """
        running, self._running = self._running, []
        for worker in running:
            worker.process.kill()
        for worker in running:
            worker.process.join()
        self._shared = None


class _Answers:
    """What workers answer in an iteration, and how far they are.

    Args:
        running: all workers.
        theirs: trajectories that they play together.
        own: that this process plays meanwhile.
        iteration: of the run.
        report: is told how far all are.
    """

    def __init__(
        self, running: list["_Worker"], theirs: int, own: int, iteration: int, report: Report | None
    ) -> None:
        self.shares = split(theirs, len(running))
        """Trajectories of each worker."""
        self.found: dict[int, Share] = {}
        """By the number of the worker; this process's own comes after theirs."""
        self._running, self._iteration, self._report = running, iteration, report
        self._done, self._weights = np.zeros(len(running) + 1), [*self.shares, own]

    def collect(self) -> None:
        """Waits for all answers."""
        while len(self.found) < np.count_nonzero(self._weights):
            self._receive(wait([worker.pipe for worker in self._running]))

    def watch(self, done: float) -> None:
        """Takes what has come while this process plays, which is told here how far it is."""
        self._done[-1] = done
        self._receive(wait([worker.pipe for worker in self._running], 0))

    def _receive(self, ready: Sequence[Any]) -> None:
        for worker in self._running:
            if worker.pipe in ready:
                answer = worker.answer(self._iteration)
                if not isinstance(answer, float):
                    self.found[worker.number], answer = answer, 1.0
                self._done[worker.number] = answer
        if self._report is not None:
            self._report(float(np.average(self._done, weights=self._weights)))


class _Worker:
    """A process that plays, seen from the trainer."""

    def __init__(self, number: int, setup: Tensor, weights: Tensor) -> None:
        self.number = number
        self.pipe, theirs = _SPAWN.Pipe()
        with theirs:  # then open in that process alone: its end is the pipe's
            self.process = _SPAWN.Process(target=_work, args=(theirs, setup, weights), daemon=True)
            self.process.start()

    def __str__(self) -> str:
        return f"self-play worker {self.number} (pid {self.process.pid})"

    def answer(self, iteration: int) -> Share | float:
        """What it sent: its examples, or which share of its work is done.

        Raises:
            WorkerDiedError: it died.
            Exception: what it raised.
        """
        try:
            answer = self.pipe.recv_bytes()
        except (EOFError, OSError):
            raise self.death_error(f"in iteration {iteration}") from None
        examples: Share | float | _Failure = pickle.loads(answer)
        if isinstance(examples, _Failure):
            examples.error.add_note(f"In {self}, iteration {iteration}:\n{examples.traceback}")
            raise examples.error
        return examples

    def death_error(self, when: str) -> WorkerDiedError:
        self.process.join(5)  # its pipe ends a moment earlier
        code = self.process.exitcode
        how = f"exit code {code}" if code is None or code >= 0 else f"killed by {signal.Signals(-code).name}"
        hint = ", out of memory perhaps" if code == -signal.SIGKILL else ""
        return WorkerDiedError(f"{self} died {when}: {how}{hint}")


@dataclass
class _Failure:
    """What a worker raised."""

    error: Exception
    traceback: str

    @staticmethod
    def of(error: Exception) -> "_Failure":
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever its class does
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return _Failure(error, trace)


@dataclass
class _Reports:
    """Tells the trainer how far a worker is, about once a second."""

    pipe: Connection
    told: float = 0.0

    def __call__(self, share: float) -> None:
        if (now := time.monotonic()) > self.told + 1:
            self.told = now
            self.pipe.send_bytes(pickle.dumps(float(share)))


def _share(networks: nn.Module) -> Tensor:
    """Moves weights to one block of bytes that processes share: each block takes a file descriptor."""
    weights = networks.state_dict()
    block = torch.empty(sum(map(_room, weights.values())), dtype=torch.uint8).share_memory_()
    _read_from(block, networks)
    networks.load_state_dict(weights)
    return block


def _read_from(block: Tensor, networks: nn.Module) -> None:
    """Has networks read their weights in a block from now on."""
    weights, at = dict[str, Tensor](), 0
    for name, weight in networks.state_dict().items():
        weights[name] = block[at : at + weight.nbytes].view(weight.dtype).view(weight.shape)
        at += _room(weight)
    networks.load_state_dict(weights, assign=True)


def _room(weight: Tensor) -> int:
    """Bytes that a weight takes in a block, where it begins at a multiple of 64."""
    return -(-weight.nbytes // 64) * 64


def _work(pipe: Connection, setup: Tensor, weights: Tensor) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    with contextlib.suppress(ConnectionError):  # nobody is left to answer
        try:
            actor, networks = pickle.loads(setup.numpy().tobytes())
            _read_from(weights, networks)
            if isinstance(actor, Reporter):
                actor.report = _Reports(pipe)
            while True:
                share, place, stored = pipe.recv()
                examples = actor.generate(networks, share, place, *stored)
                # Bytes through the pipe: shared tensors would save a millisecond or two a megabyte, but each
                # takes a file descriptor, and room in /dev/shm, of which containers have little.
                pipe.send_bytes(pickle.dumps(examples))
        except Exception as error:
            pipe.send_bytes(pickle.dumps(_Failure.of(error)))


def _end_with_parent() -> None:
    """A trainer that was killed leaves no workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
