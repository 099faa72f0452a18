"""Self-play on a Ray cluster: two machines that are processes of this one."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from players import Failing, Play, network, same
from runs.harness import command, refusal

from pokerlab.selfplay.actors import on_ray as on_ray_module
from pokerlab.selfplay.actors.base import Actor
from pokerlab.selfplay.actors.division import Share
from pokerlab.selfplay.actors.on_ray import RayTasks, _play
from pokerlab.selfplay.actors.processes import Processes, WorkerDiedError
from pokerlab.selfplay.place import Place

pytestmark = pytest.mark.timeout(300)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


class Marked(Play):
    """Says where each task runs, in a folder, and waits until the folder has a file that says go."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def generate(self, networks: Any, n: int, place: Place) -> Share:
        import ray

        (self.folder / f"{place.worker}-{os.getpid()}-{ray.get_runtime_context().get_node_id()}").touch()
        while not (self.folder / "go").exists():
            time.sleep(0.05)
        return super().generate(networks, n, place)


def marks(folder: Path, worker: int) -> list[list[str]]:
    """Process and machine of each time that a worker's task began."""
    return [path.name.split("-")[1:] for path in folder.glob(f"{worker}-*")]


class TwoMachines:
    """A cluster of two machines: the head, with two cores, and one with one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        small: dict[str, Any] = {"object_store_memory": 100_000_000}
        head = small | {"num_cpus": 2, "include_dashboard": False}
        self.cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.second = self.cluster.add_node(**small, num_cpus=1)
        self.address: str = self.cluster.address

    def lose_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def machines() -> Iterator[TwoMachines]:
    made = TwoMachines()
    yield made
    made.cluster.shutdown()


def by_processes(networks: Any, n: int, place: Place) -> Share:
    pool = Processes(Play(), 3)
    try:
        return pool.generate(networks, n, place)
    finally:
        pool.close()


@pytest.fixture
def on_ray(machines: TwoMachines) -> Iterator[Any]:
    made: list[RayTasks] = []

    def make(actor: Actor, workers: int, **options: Any) -> RayTasks:
        made.append(RayTasks(actor, workers, address=machines.address, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.usefixtures("_forked")
def test_examples_are_those_of_processes_whoever_is_lost(
    machines: TwoMachines, on_ray: Any, tmp_path: Path
) -> None:
    place, reported = Place(3, 5), list[float]()
    before = signal.getsignal(signal.SIGTERM)
    tasks = on_ray(Marked(tmp_path), 3)
    tasks.report = reported.append

    def lose() -> None:
        while not all(marks(tmp_path, worker) for worker in range(3)):
            time.sleep(0.05)
        here = [worker for worker in range(3) if marks(tmp_path, worker)[0][1] != machines.second.node_id]
        os.kill(int(marks(tmp_path, here[0])[0][0]), signal.SIGKILL)
        there = [marks(tmp_path, worker)[0][0] for worker in range(3) if worker not in here]
        machines.lose_second()
        while any(map(psutil.pid_exists, map(int, there))):  # or they may answer yet
            time.sleep(0.05)
        (tmp_path / "go").touch()

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    assert same(tasks.generate(network(1, 2), 10, place), by_processes(network(1, 2), 10, place))
    thread.join()
    assert sum(len(marks(tmp_path, worker)) for worker in range(3)) == 5  # two were played again
    assert sorted(set(reported)) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert signal.getsignal(signal.SIGTERM) is before
    later, newer = Place(3, 6), network(2, 3)
    assert same(tasks.generate(newer, 3, later), by_processes(newer, 3, later))


def fails() -> Exception:
    return ValueError("no such hand")


def test_what_a_task_raises_is_raised_here(on_ray: Any) -> None:
    with pytest.raises(ValueError, match="no such hand") as raised:
        on_ray(Failing(fails), 2).generate(network(1), 4, Place(1, 7))
    assert "In Ray task" in raised.value.__notes__[0]


class Dying(Play):
    def generate(self, *_: Any) -> Share:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_task_that_is_always_lost_ends_the_run(on_ray: Any) -> None:
    with pytest.raises(WorkerDiedError, match="Ray task 0 was lost 1 times in iteration 7"):
        on_ray(Dying(), 1, retries=0).generate(network(1), 4, Place(1, 7))


def test_a_cluster_that_is_not_there_is_a_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkerDiedError, match=rf"no Ray cluster answers at actors.address={address}"):
            RayTasks(Play(), 1, address=address).generate(network(1), 1, Place(1, 1))


def test_why_a_cluster_takes_nobody_is_in_the_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import ray

    def init(*_: Any, **__: Any) -> None:
        os.write(2, b"No cluster ID from GCS server: RPC error: InvalidAuthToken: missing\n")
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(WorkerDiedError) as raised:
        on_ray_module.connect("auto")
    said = "no Ray cluster at actors.address=auto: RPC error: InvalidAuthToken: missing; "
    assert str(raised.value) == f"{said}{on_ray_module.TOKEN}"
    assert capfd.readouterr().err == ""


def test_what_is_no_cluster_is_a_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray_module, "CONNECT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Ray would try for minutes
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        said = refusal(
            "train", "experiment=kuhn", "actors=ray", "workers=1", f"actors.address={address}", cwd=tmp_path
        )
    assert said == f"no Ray cluster answers at actors.address={address}: timed out"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers must be at least 1 with actors=ray, got 0"),
        ({"workers": 1, "retries": -1}, "retries must not be negative, got -1"),
        ({"workers": 1, "timeout": 0}, "timeout must be positive, got 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RayTasks(Play(), **options)


def test_a_mistake_is_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    ended = command("train", "experiment=kuhn", "actors=ray", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "error: workers must be at least 1 with actors=ray, got 0\n")
    assert list(tmp_path.iterdir()) == []


def test_another_version_on_a_machine_is_told_before_the_run_begins(
    machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray_module, "version", lambda _: "7.0")
    on_cluster = ("actors=ray", "workers=1", f"actors.address={machines.address}")
    said = refusal("train", "experiment=kuhn", *on_cluster, cwd=tmp_path)
    assert re.fullmatch(r"pokerlab is [\d.]+ on \S+, and 7.0 here: both need the same", said)


def test_another_version_on_a_machine_that_joined_later_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"pokerlab is [\d.]+ on .*, and 7.0 where the run trains"):
        _play([], {}, 1, Place(1, 1), [], "7.0")


def test_a_lost_head_ends_the_run_with_a_line(
    machines: TwoMachines, on_ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of these two machines."""
    monkeypatch.setattr(on_ray_module, "ASKS", 0.2)
    tasks = on_ray(Marked(tmp_path), 1)

    def lose() -> None:
        while not marks(tmp_path, 0):
            time.sleep(0.05)
        machines.cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    began = time.monotonic()
    said = rf"the head of the Ray cluster at {machines.address} is lost: resume the run on another cluster"
    with pytest.raises(WorkerDiedError, match=said):
        tasks.generate(network(1), 2, Place(1, 1))
    tasks.close()
    assert time.monotonic() - began < 240  # 15 s on a machine that has nothing else to do
    thread.join()
