"""Self-play on many machines, by Ray (https://docs.ray.io): on a cluster, or in processes of this machine.

What a worker plays in an iteration is a task. Tasks keep nothing, so Ray runs one that a machine took with it
again on another, with the same result: all that they need is in Ray's object store.
"""

import contextlib
import copy
import importlib.util
import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from pokerlab.selfplay.actors.base import Actor, Divisible, Report, check_staleness
from pokerlab.selfplay.actors.division import (
    Share,
    count_for_workers,
    for_workers,
    join,
    part_of_stored,
    split,
)
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.actors.processes import WorkerDiedError
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import Place

CONNECT = 10.0
"""Seconds in which a cluster has to answer."""
SETTINGS = b"\x04"
"""The kind of frame that either side of HTTP/2 begins with."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + SETTINGS + b"\0\0\0\0\0"
TRIES = "RAY_gcs_server_port_wait_time_s"
"""Environment variable: how often Ray tries to connect, once a second."""
TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what ray get-auth-token says on its head"
"""What to do about a cluster that asks for a token."""
NEEDS_RAY = "actors=ray needs Ray: pip install 'pokerlab[ray]'"
ASKS = 2.0
"""Seconds without an answer after which the cluster's head is asked whether it is there."""
ANSWERS = 60.0
"""Seconds in which each of its machines has to run a first task."""
HEARS = 0.5
"""Seconds after which Ray returns from waiting: it does not hear Ctrl-C meanwhile."""


class RayTasks:
    """Has an actor play on a Ray cluster, with the newest weights.

    Args:
        actor: the algorithm's.
        workers: how many tasks an iteration is; a task takes one core. The examples are those of as many
            processes of one machine.
        address: of the cluster, ``host:port``, or ``auto`` on one of its machines; None: processes of this
            machine.
        retries: how often a task is run again that a process or a machine took with it.
        timeout: seconds in which some task has to end.
        staleness: see :class:`~pokerlab.selfplay.actors.base.Lagging`.
    """

    def __init__(
        self,
        actor: Actor,
        workers: int,
        *,
        address: str | None = None,
        retries: int = 5,
        timeout: float = 3600.0,
        staleness: int = 0,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ValueError(NEEDS_RAY)
        if workers < 1:
            raise ValueError(f"workers must be at least 1 with actors=ray, got {workers}")
        if retries < 0:
            raise ValueError(f"retries must not be negative, got {retries}")
        if not timeout > 0:
            raise ValueError(f"timeout must be positive, got {timeout}")
        self.staleness = check_staleness(staleness, workers)
        self._plays, self._closes = threading.Lock(), threading.Event()
        self.actor, self.workers, self.address = actor, workers, address
        self.retries, self.timeout = retries, timeout
        self.report: Report | None = None
        self._setup: Any = (
            None  # in the object store: the actor and the networks, but for their newest weights
        )
        self._connected = False
        self._head: str | None = None
        """Its address, once it is connected; None: it is lost."""

    def generate(self, networks: nn.Module, n: int, place: Place, *stored: Mapping[str, Examples]) -> Share:
        """Plays ``n`` trajectories; each task gets its part of what is stored.

        Raises:
            WorkerDiedError: no cluster answers, its head is lost, or a task is, too often.
            Exception: what a task raised.
        """
        with self._plays:
            return self._generate(networks, n, place, stored)

    def _generate(
        self, networks: nn.Module, n: int, place: Place, stored: tuple[Mapping[str, Examples], ...]
    ) -> Share:
        theirs = count_for_workers(self.actor, networks, n, place.iteration)
        tasks: dict[Any, int] = {}
        found: dict[int, Share] = {}
        try:
            if theirs:
                tasks = self._submit(networks, split(theirs, self.workers), place, stored)
            if rest := n - theirs:
                mine = self.actor.with_networks() if isinstance(self.actor, Divisible) else self.actor
                here = replace(place, worker=self.workers)
                found[self.workers] = Here(mine).generate(networks, rest, here, *stored)
            self._collect(tasks, found, place.iteration)
        except BaseException:  # above all KeyboardInterrupt
            if self._head is not None:
                self._cancel(tasks)
            raise
        return join(found)

    def _submit(
        self, networks: nn.Module, shares: list[int], place: Place, stored: tuple[Mapping[str, Examples], ...]
    ) -> dict[Any, int]:
        """Has Ray play every share that is not empty: the numbers of the tasks' workers."""
        ray = self._connect()
        self._check_head()
        if self._setup is None:
            plain = copy.deepcopy(networks).cpu()
            whole = pickle.dumps((for_workers(self.actor, networks), plain))
            self._setup = ray.put((sys.path, whole))  # where modules of one's own are
        # as arrays, which all processes of a machine read where they are
        weights = ray.put({name: each.numpy(force=True) for name, each in networks.state_dict().items()})
        play = ray.remote(_play).options(num_cpus=1, max_retries=self.retries)
        return {
            play.remote(
                [self._setup],
                weights,
                share,
                replace(place, worker=number),
                part_of_stored(stored, number, self.workers),
                version("pokerlab"),
            ): number
            for number, share in enumerate(shares)
            if share
        }

    def _collect(self, tasks: dict[Any, int], found: dict[int, Share], iteration: int) -> None:
        ray, waiting, heard = self._ray, list(tasks), time.monotonic()
        asked = heard
        while waiting:
            done, waiting = ray.wait(waiting, timeout=HEARS)
            if self._closes.is_set():
                raise WorkerDiedError("the run ends")
            if done:
                heard = time.monotonic()
            elif time.monotonic() > max(asked, heard) + ASKS:
                self._check_head()
                asked = time.monotonic()
            if time.monotonic() > heard + self.timeout:
                raise WorkerDiedError(f"no Ray task ended within {self.timeout:g} s in iteration {iteration}")
            for task in done:
                try:
                    found[tasks[task]] = pickle.loads(ray.get(task, timeout=self.timeout))
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause if isinstance(error.cause, Exception) else error
                    cause.add_note(f"In Ray task {tasks[task]}, iteration {iteration}:\n{error}")
                    raise cause from None
                except ray.exceptions.RayError as error:
                    why = str(error).partition("\n")[0]
                    lost = f"Ray task {tasks[task]} was lost {self.retries + 1} times"
                    raise WorkerDiedError(f"{lost} in iteration {iteration}: {why}") from error
            if self.report is not None:
                self.report(1 - len(waiting) / len(tasks))

    def _cancel(self, tasks: dict[Any, int]) -> None:
        for task in tasks:
            with contextlib.suppress(Exception):
                self._ray.cancel(task, force=True)

    @property
    def _ray(self) -> Any:
        import ray

        return ray

    def _connect(self) -> Any:
        """Ray, connected to the cluster.

        Raises:
            WorkerDiedError: none answers.
        """
        if not self._connected:
            if self.address is None:
                connect("local", num_cpus=self.workers, include_dashboard=False)
            else:
                connect(self.address)
            self._connected, self._head = True, self._ray.get_runtime_context().gcs_address
        return self._ray

    def _check_head(self) -> None:
        """Whether the cluster's head is still there: Ray would end this process after a minute.

        Raises:
            WorkerDiedError: twice, it did not answer.
        """
        for last in (False, True):
            try:
                return check_answers(str(self._head))
            except WorkerDiedError as error:
                if last:
                    lost, self._head = self._head, None
                    why = f"the head of the Ray cluster at {lost} is lost"
                    raise WorkerDiedError(f"{why}: resume the run on another cluster") from error
                time.sleep(ASKS)
        raise AssertionError

    def close(self) -> None:
        """Leaves the cluster; processes of this machine end."""
        self._closes.set()
        with self._plays:  # in another thread
            if self._connected:
                self._ray.shutdown()
            self._connected, self._head, self._setup = False, None, None
        self._closes.clear()


def connect(address: str, **options: Any) -> Any:
    """Ray, connected to a cluster, or started here.

    Args:
        address: ``host:port``, ``auto`` or ``local``.
        options: of ``ray.init``.

    Raises:
        WorkerDiedError: there is none.
    """
    if ":" in address:
        check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it sends nothing anywhere
    if importlib.util.find_spec("ray") is None:
        raise WorkerDiedError(NEEDS_RAY)
    import ray
    import ray.util.scheduling_strategies

    handler, said = signal.getsignal(signal.SIGTERM), list[str]()
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "ignore_reinit_error": False,
    }
    try:
        with contextlib.nullcontext() if address == "local" else _listening(said):
            ray.init(address, **options, **settings)
    except Exception as error:  # of many kinds
        why = next((line for line in reversed(said) if "RPC error" in line), str(error).partition("\n")[0])
        why = why.rpartition("GCS server: ")[2].strip()
        hint = f"; {TOKEN}" if "AuthToken" in why else ""
        raise WorkerDiedError(f"no Ray cluster at actors.address={address}: {why}{hint}") from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray puts one of its own there, which ends the process
    return ray


@contextlib.contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """While Ray connects: it tries for :data:`CONNECT` seconds, and each time tells standard error why not.

    Args:
        said: gets those lines.
    """
    before = os.environ.get(TRIES)
    os.environ[TRIES] = before or f"{CONNECT:.0f}"
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        shown = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            if before is None:
                del os.environ[TRIES]
            file.seek(0)
            said += file.read().decode(errors="replace").splitlines()


def check_cluster(address: str) -> None:
    """Whether a cluster answers, and each of its machines has this version of the package.

    Args:
        address: ``host:port`` or ``auto``.

    Raises:
        WorkerDiedError: it does not, or one has not.
    """
    ray, ours = connect(address), version("pokerlab")

    def installed() -> str | None:  # pickled whole, so that it imports nothing of a package that may differ
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("pokerlab")
        except PackageNotFoundError:
            return None

    try:
        on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = [
            (
                node["NodeManagerHostname"],
                ray.remote(installed)
                .options(num_cpus=0, scheduling_strategy=on(node["NodeID"], soft=False))
                .remote(),
            )
            for node in ray.nodes()
            if node["Alive"]
        ]
        for host, answer in asked:
            try:
                theirs = ray.get(answer, timeout=ANSWERS)
            except ray.exceptions.RayError as error:
                why = str(error).partition("\n")[0]
                raise WorkerDiedError(f"{host} of the Ray cluster runs no task: {why}") from error
            if theirs != ours:
                there = "not installed" if theirs is None else theirs
                raise WorkerDiedError(f"pokerlab is {there} on {host}, and {ours} here: both need the same")
    finally:
        ray.shutdown()


def check_answers(address: str) -> None:
    """Whether something like a cluster is there: it speaks HTTP/2. Ray itself would try for minutes.

    Args:
        address: ``host:port``.

    Raises:
        WorkerDiedError: it does not answer within ten seconds.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT) as connection:
            connection.sendall(GREETING)
            answer = connection.recv(9)
    except (OSError, ValueError, OverflowError) as error:
        raise WorkerDiedError(f"no Ray cluster answers at actors.address={address}: {error}") from error
    if answer[3:4] != SETTINGS:
        raise WorkerDiedError(f"what answers at actors.address={address} is no Ray cluster")


_prepared: dict[Any, tuple[Actor, nn.Module]] = {}
"""In a process of Ray: what the task before was set up with, by where that lies in the object store."""


def _play(
    setup: list[Any],
    weights: Mapping[str, np.ndarray],
    n: int,
    place: Place,
    stored: list[dict[str, Examples]],
    driver: str,
) -> bytes:
    """A task: plays ``n`` trajectories."""
    import ray

    if (ours := version("pokerlab")) != driver:
        raise RuntimeError(f"pokerlab is {ours} on {socket.gethostname()}, and {driver} where the run trains")
    torch.set_num_threads(1)
    (reference,) = setup
    if reference not in _prepared:
        _prepared.clear()
        paths, whole = ray.get(reference, timeout=600)
        sys.path += [path for path in paths if path not in sys.path]
        _prepared[reference] = pickle.loads(whole)
    actor, networks = _prepared[reference]
    networks.load_state_dict({name: _tensor(each) for name, each in weights.items()}, assign=True)
    return pickle.dumps(actor.generate(networks, n, place, *stored))


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Reads an array of the object store where it is; nobody may write there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is not writable.*")
        return torch.from_numpy(array)
