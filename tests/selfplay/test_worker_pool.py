"""Self-play in several processes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch
from players import Failing, Halves, Play, Stuck, UnsendableError, network, pids, same, threads
from tiny_rebel import tiny_rebel

from pokerlab.algorithms.rebel import ReBeL
from pokerlab.games.holdem import Holdem
from pokerlab.learning.networks import ValueNetwork
from pokerlab.selfplay.actors.base import Divisible
from pokerlab.selfplay.actors.division import Share
from pokerlab.selfplay.actors.processes import Processes, WorkerDiedError
from pokerlab.selfplay.examples import concatenate
from pokerlab.selfplay.place import Place, random_stream

pytestmark = pytest.mark.timeout(60)  # what goes wrong between processes is that one waits for ever


def by_hand(network: ValueNetwork, shares: list[int], seed: int, iteration: int) -> Share:
    """What workers with these shares must give, made in this process."""
    selfplay = Play().selfplay
    parts = [
        selfplay.generate(network, share, random_stream(seed, iteration, worker), torch.empty(0))
        for worker, share in enumerate(shares)
    ]
    values, policies = zip(*parts, strict=True)
    return {"values": concatenate(values), "policies": concatenate(policies)}


def state(pid: int) -> str:
    """As ``ps`` puts it: empty for a process that is gone, Z for one that is not buried."""
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True).stdout


def until(condition: Callable[[], object], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


@contextmanager
def once(condition: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """Does something while the main thread waits for its workers."""
    thread = threading.Thread(target=lambda: until(condition) and act())
    thread.start()
    yield
    thread.join()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    pool = Processes(Play(), workers=2)
    yield pool
    pool.close()


def test_without_workers_this_process_plays() -> None:
    pool = Processes(Play(), workers=0)
    assert same(pool.generate(network(0), 30, Place(5, 2)), by_hand(network(0), [30], 5, 2))
    assert not pids(pool)
    pool.close()


def test_an_iteration_and_a_seed_have_their_own_randomness() -> None:
    pool = Processes(Play(), workers=0)
    first, iteration, seed = (
        pool.generate(network(0), 30, Place(*place)) for place in ((5, 2), (5, 3), (6, 2))
    )
    assert not same(first, iteration)
    assert not same(first, seed)


def test_random_streams_depend_on_seed_and_place_only() -> None:
    places = [
        *((1, 0), (0, 1), (1, 1), (1, 0, 1), (1, 1, 0, 1), (1, 2**32 - 1)),
        *((1,), (1, 0, 0), (0,), (0, 0), (0, 0, 0, 0), (0, 0, 0, 0, 0)),  # zeros count
        # cut into words of 32 bits, these are like others
        *((2**32 + 1, 0), (2**32, 1), (2**40, 0), (0, 2**8, 0), (2**64 + 1, 1), (1, 0, 1, 1), (2**96,)),
    ]
    draws = [torch.rand(4, generator=random_stream(*place)) for place in places]
    again = [torch.rand(4, generator=random_stream(*place)) for place in places]
    assert torch.equal(torch.stack(draws), torch.stack(again))
    assert len(torch.stack(draws).unique(dim=0)) == len(places)


@pytest.mark.parametrize(("trajectories", "shares"), [(31, [16, 15]), (1, [1])])
def test_workers_play_equal_shares_each_with_its_own_random_stream(
    trajectories: int, shares: list[int], pool: Processes
) -> None:
    expected = by_hand(network(0), shares, 5, 2)
    for _ in range(2):
        assert same(pool.generate(network(0), trajectories, Place(5, 2)), expected)


def test_workers_play_with_the_newest_weights_and_buffers(pool: Processes) -> None:
    games = [
        by_hand(newest, [16, 15], 5, 2)
        for newest in (network(0), network(1), network(1, scale=2), network(0))
    ]
    assert not any(same(*neighbours) for neighbours in pairwise(games))
    first = pids(pool)
    trained = network(0)
    for newest, game in zip((network(0), network(1), network(1, scale=2), network(0)), games, strict=True):
        trained.load_state_dict(newest.state_dict())
        assert same(pool.generate(trained, 31, Place(5, 2)), game)
    assert pids(pool) == first or not first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_workers_leave_signals_of_the_terminal_to_the_trainer(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they start, in the first iteration, and while they play, in the second."""
    pool = Processes(Play(), workers=1)

    def interrupt_workers(pipes: Any) -> Any:
        for pid in pids(pool):
            os.kill(pid, number)
        return wait(pipes)

    monkeypatch.setattr("pokerlab.selfplay.actors.processes.wait", interrupt_workers)
    for iteration in (0, 1):
        pool.generate(network(0), 1, Place(0, iteration))
    pool.close()


def test_a_worker_that_dies_while_starting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Processes(Play(), workers=2)
    started: list[int] = []

    def kill_first(pipes: Any) -> Any:
        if not started:
            started.extend(pids(pool))
            os.kill(started[1], signal.SIGKILL)
        return wait(pipes)

    monkeypatch.setattr("pokerlab.selfplay.actors.processes.wait", kill_first)
    message = (
        r"^self-play worker 1 \(pid \d+\) died in iteration 7: killed by SIGKILL, out of memory perhaps$"
    )
    with at_most(2), pytest.raises(WorkerDiedError, match=message):
        pool.generate(network(0), 2, Place(0, 7))
    assert not any(state(pid) for pid in started)
    pool.close()


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_dies_at_play_is_named_and_the_others_end(tmp_path: Path) -> None:
    pool = Processes(Stuck(tmp_path), workers=2)
    processes: list[int] = []

    def terminate_first() -> None:
        processes.extend(pids(pool))
        os.kill(processes[0], signal.SIGTERM)

    with (
        once(lambda: len(list(tmp_path.iterdir())) == 2, terminate_first),
        pytest.raises(WorkerDiedError, match=r"worker 0 \(pid \d+\) died in iteration 3: killed by SIGTERM$"),
    ):
        pool.generate(network(0), 4, Place(0, 3))
    assert len(processes) == 2
    assert not any(state(pid) for pid in processes)
    pool.close()


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_dies_idle_is_named_and_the_next_iteration_starts_new_ones() -> None:
    pool = Processes(Play(), workers=2)
    pool.generate(network(0), 2, Place(0, 0))
    idle = pids(pool)
    os.kill(idle[1], signal.SIGKILL)
    assert until(lambda: not pool._running[1].process.is_alive())
    message = (
        rf"^self-play worker 1 \(pid {idle[1]}\) died before iteration 1: killed by SIGKILL, out of memory"
    )
    with at_most(1), pytest.raises(WorkerDiedError, match=message):
        pool.generate(network(0), 1, Place(0, 1))
    assert not any(state(pid) for pid in idle)
    assert same(pool.generate(network(0), 2, Place(0, 1)), by_hand(network(0), [1, 1], 0, 1))
    pool.close()


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_exits_is_named_with_its_exit_code() -> None:
    pool = Processes(Failing(partial(sys.exit, 3)), workers=1)
    with pytest.raises(WorkerDiedError, match=r"^self-play worker 0 \(pid \d+\) died .*: exit code 3$"):
        pool.generate(network(0), 1, Place(0, 0))


@pytest.mark.usefixtures("_forked")
@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        pytest.param(partial(KeyError, "Kh"), KeyError, "'Kh'", id="type kept"),
        pytest.param(
            partial(UnsendableError, "aces", 3),
            RuntimeError,
            "UnsendableError: aces in a pot of 3",
            id="type named",
        ),
    ],
)
def test_what_a_worker_raises_is_raised_in_the_trainer_with_both_tracebacks(
    failure: Callable[[], Exception], kind: type[Exception], message: str
) -> None:
    pool = Processes(Failing(failure), workers=1)
    with pytest.raises(kind) as raised:
        pool.generate(network(0), 1, Place(0, 4))
    assert (type(raised.value), str(raised.value)) == (kind, message)
    (note,) = raised.value.__notes__
    assert re.match(r"In self-play worker 0 \(pid \d+\), iteration 4:\nTraceback ", note)
    assert "raise self.failure()" in note
    assert not pids(pool)


@pytest.mark.usefixtures("_forked")
def test_a_worker_computes_with_one_thread() -> None:
    pool = Processes(Failing(threads), workers=1)
    with pytest.raises(RuntimeError, match=r"^1 thread\n"):
        pool.generate(network(0), 1, Place(0, 0))


@pytest.mark.usefixtures("_forked")
def test_an_interrupted_iteration_ends_at_once_and_none_of_it_reaches_the_next(tmp_path: Path) -> None:
    pool = Processes(Stuck(tmp_path), workers=2)
    pool.generate(network(0), 2, Place(0, 0))
    busy = pids(pool)
    interrupted: list[float] = []

    def ctrl_c() -> None:
        interrupted.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with once(lambda: list(tmp_path.iterdir()), ctrl_c), pytest.raises(KeyboardInterrupt):
        pool.generate(network(0), 3, Place(0, 1))  # the second worker has one game, and an answer
    assert time.monotonic() - interrupted[0] < 1
    assert not any(state(pid) for pid in busy)
    assert same(pool.generate(network(1), 2, Place(0, 2)), by_hand(network(1), [1, 1], 0, 2))
    pool.close()
    pool.close()


STREETS = Holdem(
    "small", ranks=3, suits=3, stack=30, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), jitter=0.2, most_deals=4
)


def on_streets(**starts: float) -> ReBeL:
    return tiny_rebel(
        STREETS, seed=0, search_iterations=3, starts=starts, value_capacity=1, policy_capacity=1
    )


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pokerlab.selfplay.actors.division.is_on_gpu", lambda networks: True)


@pytest.mark.usefixtures("on_gpu", "_forked")
def test_beside_a_gpu_workers_play_what_starts_on_the_last_street() -> None:
    """And this process the rest; all of them from what is stored."""
    algorithm, place = on_streets(root=0.5, flop=0.25, turn=0.25), Place(5, 2)
    actor, networks = algorithm.actor(), algorithm.module().networks
    assert isinstance(actor, Divisible)
    first = actor.generate(networks, 200, Place(5, 1), {})
    stored: dict[str, Any] = {name: first[name] for name in ("flop_starts", "turn_starts")}
    assert min(map(len, stored.values())) > 2
    pool = Processes(actor, workers=2)
    found = pool.generate(networks, 21, place, stored)
    assert len(pids(pool)) == 2
    pool.close()
    last: Any = actor.without_networks()
    others: Any = actor.with_networks()
    halves = [{name: of.select(slice(worker, None, 2)) for name, of in stored.items()} for worker in (0, 1)]
    parts = [last.generate(networks, n, Place(5, 2, worker=w), halves[w]) for w, n in enumerate((3, 2))]
    parts.append(others.generate(networks, 16, Place(5, 2, worker=2), stored))
    assert same(found, {name: concatenate([part[name] for part in parts]) for name in parts[0]})
    streets = [set(part["values"].features[:, 7:10].argmax(1).tolist()) for part in parts]
    assert streets == [{1, 2}, {1, 2}, {0, 1, 2}]  # the deal to the last street, and the street


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("starts", [{"root": 0.5, "flop": 0.5}, {"root": 1.0}])
def test_a_gpu_plays_everything_where_nothing_starts_on_the_last_street(starts: dict[str, float]) -> None:
    algorithm = on_streets(**starts)
    networks, pool = algorithm.module().networks, Processes(algorithm.actor(), workers=2)
    expected = algorithm.actor().generate(networks, 9, Place(5, 2))
    assert same(pool.generate(networks, 9, Place(5, 2)), expected)
    assert not pids(pool)


@pytest.mark.usefixtures("on_gpu", "_forked")
def test_a_worker_that_dies_while_the_trainer_plays_is_named_at_once(tmp_path: Path) -> None:
    pool = Processes(Halves(tmp_path), workers=1)
    told: list[float] = []
    pool.report = told.append

    def kill() -> None:
        os.kill(pids(pool)[0], signal.SIGKILL)

    message = (
        r"^self-play worker 0 \(pid \d+\) died in iteration 7: killed by SIGKILL, out of memory perhaps$"
    )
    started = time.monotonic()
    with once(lambda: list(tmp_path.iterdir()), kill), pytest.raises(WorkerDiedError, match=message):
        pool.generate(network(0), 8, Place(0, 7))
    assert time.monotonic() - started < 9
    assert told
    assert told == sorted(told)
    assert not pids(pool)


@pytest.mark.usefixtures("_forked")
def test_a_pool_leaves_nothing_behind() -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    def play_and_close() -> list[int]:
        pool = Processes(Play(), workers=2)
        pool.generate(network(0), 2, Place(0, 0))
        processes = pids(pool)
        os.kill(processes[0], signal.SIGSTOP)  # even so
        with at_most(1):
            pool.close()
        return processes

    play_and_close()  # starts multiprocessing's resource tracker, which stays
    before = held()
    processes = play_and_close()
    files, threads = held()
    assert files <= before[0]  # fewer, if something of an earlier test closes meanwhile
    assert threads <= before[1]
    assert not any(state(pid) for pid in processes)


TRAINER = """
import sys
from pathlib import Path
from players import Place, Processes, Stuck, network, pids
pool = Processes(Stuck(Path(sys.argv[1])), workers=1)
pool.generate(network(0), 1, Place(0, 0))
print(*pids(pool), flush=True)
if sys.argv[2] == "busy":
    pool.generate(network(0), 2, Place(0, 1))
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("doing", ["busy", "idle"])
def test_a_trainer_that_ends_without_closing_leaves_no_workers(
    number: signal.Signals, doing: str, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", TRAINER, str(tmp_path), doing],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as trainer:
        assert trainer.stdout is not None
        assert trainer.stderr is not None
        try:
            processes = [int(pid) for pid in trainer.stdout.readline().split()]
            assert len(processes) == 1
            assert doing == "idle" or until(lambda: list(tmp_path.iterdir()))
            with at_most(5):
                trainer.send_signal(number)
                told = trainer.stderr.read()  # until the last process that could say something has ended
        finally:
            trainer.kill()
        assert not any(state(pid).strip("Z\n") for pid in processes)
    assert told.splitlines()[-1:] == ([] if number == signal.SIGKILL else ["KeyboardInterrupt"])
    assert told.count("Traceback") <= 1
