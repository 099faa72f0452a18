"""Where trajectories are generated: in this process, or in several."""

import copy
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

import numpy as np
import torch

from pokerlab.search.leaves import LeafEvaluator
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples, concatenate
from pokerlab.selfplay.trajectories import SelfPlay

Examples = tuple[ValueExamples, PolicyExamples]


class ValueModule(LeafEvaluator, Protocol):
    """A leaf evaluator that is a torch module."""

    def cpu(self) -> Any: ...
    def parameters(self) -> Any: ...
    def state_dict(self) -> Any: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


class WorkerDiedError(RuntimeError):
    """A self-play process ended on its own."""


def random_stream(seed: int, *place: int) -> torch.Generator:
    """A generator of its own for each place in a run: what is drawn here depends on nothing else.

    So the state of a run's randomness is just (seed, iteration).
    """
    state = np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def generate(
    selfplay: SelfPlay, network: ValueModule, trajectories: int, seed: int, iteration: int, worker: int
) -> Examples:
    """One worker's share of an iteration."""
    like = next(network.parameters()).detach()[:0]
    return selfplay.generate(network, trajectories, random_stream(seed, iteration, worker), like)


class WorkerPool:
    """Generates each iteration's trajectories with the newest weights.

    Args:
        selfplay: how to play.
        workers: number of processes; 0: this one, on the network's device. The result depends on the
            seed and this number.
    """

    def __init__(self, selfplay: SelfPlay, workers: int) -> None:
        self.selfplay, self.workers = selfplay, workers
        self._pool: ProcessPoolExecutor | None = None

    def generate(self, network: ValueModule, trajectories: int, seed: int, iteration: int) -> Examples:
        """Plays ``trajectories`` games.

        Raises:
            WorkerDiedError: a process was killed, or ran out of memory.
        """
        if not self.workers:
            return generate(self.selfplay, network, trajectories, seed, iteration, worker=0)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(self.selfplay, copy.deepcopy(network).cpu()),
            )
        shares = [len(share) for share in np.array_split(np.arange(trajectories), self.workers)]
        weights = {name: weight.cpu().numpy() for name, weight in network.state_dict().items()}
        try:
            tasks = [
                self._pool.submit(_work, weights, share, seed, iteration, worker)
                for worker, share in enumerate(shares)
                if share
            ]
            results: Sequence[Examples] = [task.result() for task in tasks]
        except BrokenProcessPool as error:
            raise WorkerDiedError(
                f"a self-play worker died in iteration {iteration}: killed, or out of memory"
            ) from error
        values, policies = zip(*results, strict=True)
        return concatenate(values), concatenate(policies)

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


_worker: tuple[SelfPlay, ValueModule] | None = None  # this process's, where it is a worker


def _start_worker(selfplay: SelfPlay, network: ValueModule) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the trainer decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _worker = selfplay, network


def _end_with_parent() -> None:
    """A trainer that was killed leaves no workers behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(weights: dict[str, Any], trajectories: int, seed: int, iteration: int, worker: int) -> Examples:
    assert _worker is not None, f"process {os.getpid()} is not a worker"
    selfplay, network = _worker
    network.load_state_dict({name: torch.as_tensor(weight) for name, weight in weights.items()})
    return generate(selfplay, network, trajectories, seed, iteration, worker)
