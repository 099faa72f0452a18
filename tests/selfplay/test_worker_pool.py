"""Self-play in several processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pokerlab.games.kuhn import Kuhn
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import concatenate
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.selfplay.workers import Examples, WorkerDiedError, WorkerPool, random_stream

GAME = Kuhn(depth_limit=1)


def selfplay() -> SelfPlay:
    return SelfPlay(GAME, Solver(), search_iterations=8)


def network(seed: int) -> ValueNetwork:
    torch.manual_seed(seed)
    return ValueNetwork(GAME, hidden=8, layers=1)


def same(first: Examples, second: Examples) -> bool:
    names = (("features", "beliefs", "values"), ("features", "beliefs", "legal", "strategy"))
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for one, other, columns in zip(first, second, names, strict=True)
        for name in columns
    )


def by_hand(network: ValueNetwork, shares: list[int], seed: int, iteration: int) -> Examples:
    """What workers with these shares must give, made in this process."""
    parts = [
        selfplay().generate(network, share, random_stream(seed, iteration, worker), torch.empty(0))
        for worker, share in enumerate(shares)
    ]
    values, policies = zip(*parts, strict=True)
    return concatenate(values), concatenate(policies)


def workers() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None}


def runs(pid: int) -> bool:
    """Whether a process is there, and not merely unburied."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(selfplay(), workers=2)
    yield pool
    pool.close()


def test_without_workers_this_process_plays() -> None:
    before, pool = workers(), WorkerPool(selfplay(), workers=0)
    played = pool.generate(network(0), 30, seed=5, iteration=2)
    assert same(played, by_hand(network(0), [30], 5, 2))
    assert workers() == before
    pool.close()


def test_an_iteration_and_a_seed_have_their_own_randomness() -> None:
    pool = WorkerPool(selfplay(), workers=0)
    first, iteration, seed = (pool.generate(network(0), 30, *place) for place in ((5, 2), (5, 3), (6, 2)))
    assert not same(first, iteration)
    assert not same(first, seed)


def test_random_streams_depend_on_seed_and_place_only() -> None:
    places = [(1, 0), (0, 1), (1, 1), (1, 0, 1), (1, 1, 0, 1), (2**40, 0), (1, 2**32 - 1)]
    draws = [torch.rand(4, generator=random_stream(*place)) for place in places]
    again = [torch.rand(4, generator=random_stream(*place)) for place in places]
    assert torch.equal(torch.stack(draws), torch.stack(again))
    assert len(torch.stack(draws).unique(dim=0)) == len(places)


def test_two_workers_play_their_shares_with_the_newest_weights_until_one_dies(pool: WorkerPool) -> None:
    """One test, for starting processes takes seconds."""
    before = workers()
    assert same(pool.generate(network(0), 31, seed=5, iteration=2), by_hand(network(0), [16, 15], 5, 2))
    processes = workers() - before
    assert len(processes) == 2
    assert same(pool.generate(network(1), 31, seed=5, iteration=2), by_hand(network(1), [16, 15], 5, 2))
    _, policies = pool.generate(network(0), 31, seed=5, iteration=3)
    at_root = (policies.features == torch.tensor(GAME.features(GAME.root()))).all(1)
    assert at_root.sum() == 31
    assert same(pool.generate(network(0), 1, seed=5, iteration=4), by_hand(network(0), [1], 5, 4))
    assert workers() - before == processes  # the same ones all along

    killer = threading.Timer(0.05, os.kill, (min(processes), signal.SIGKILL))
    killer.start()
    with pytest.raises(WorkerDiedError, match=r"^a self-play worker died in iteration 7: killed, or "):
        pool.generate(network(0), 300_000, seed=5, iteration=7)
    killer.join()
    pool.close()
    assert workers() == before
    assert not any(runs(process) for process in processes)


class Endless(SelfPlay):
    """Never finishes."""

    def generate(self, *_: object) -> Examples:
        print(os.getpid(), flush=True)
        time.sleep(600)
        raise AssertionError("somebody should have ended this")


TRAINER = """
from test_worker_pool import GAME, Endless, Solver, WorkerPool, network
WorkerPool(Endless(GAME, Solver(), search_iterations=1), workers=1).generate(network(0), 1, 0, 0)
"""


def test_a_trainer_that_is_killed_leaves_no_workers_not_even_busy_ones() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    ) as trainer:
        assert trainer.stdout is not None
        worker = int(trainer.stdout.readline())
        assert runs(worker)
        trainer.kill()
    assert until(lambda: not runs(worker))
