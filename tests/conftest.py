"""What all tests share."""

import gc
import os
import pickle
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings
from omegaconf import DictConfig, open_dict

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before numba is imported: kernels for a GPU run in its simulator
os.environ["OMP_WAIT_POLICY"] = "passive"  # before torch is: threads that wait would keep others from a core

settings.register_profile("pokerlab", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("pokerlab")


QUICK = ("callbacks", "evaluation", "games", "league", "learning", "search", "selfplay")
"""Folders whose tests are quick,"""
SLOW = (
    "test_any_forest", "test_card_payoffs_in_loops", "test_cfr_against_openspiel", "test_compiled_cfr",
    "test_holdem_against_openspiel", "test_holdem_against_pokerkit",
    "test_league_folder",
    "test_holdem_payoffs", "test_leaf_values", "test_local_best_response", "test_policies_by_recursion",
    "test_cost_guard", "test_fused_cfr", "test_on_a_gpu", "test_plugins",
    "test_run_checkpoint", "test_search_play_throughs", "test_suit_isomorphism", "test_waits_for_the_host",
    "test_without_numba", "test_worker_pool",
)  # fmt: skip
"""but for these."""


def pytest_configure() -> None:
    """Of pytest's workers that need the same loop, one compiles it; the others then find it on disk."""
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        from numba.core.dispatcher import Dispatcher  # not in the process that only hands out tests

        lock = FileLock(Path(tempfile.gettempdir()) / f"pokerlab-{run}.lock")
        compile_alone = Dispatcher.compile

        def compile_in_turn(self: Any, signature: Any) -> Any:
            began = time.monotonic()
            with lock.acquire(poll_interval=0.01):
                found = compile_alone(self, signature)
            if not lock.is_locked and time.monotonic() > began + 0.1:
                time.sleep(0.03)  # so that others get it before this process's next loop
            return found

        setattr(Dispatcher, "compile", compile_in_turn)  # noqa: B010


gc.disable()  # nothing of what is imported is garbage: looking for it takes a quarter of the time


def pytest_collection_finish() -> None:
    """What is there now stays: garbage is looked for among what comes, and that less often."""
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``make quick`` runs what is marked here."""
    tests = Path(__file__).parent
    for item in items:
        folder, name = item.path.relative_to(tests).parts[0], item.path.stem
        if folder in QUICK and name not in SLOW:
            item.add_marker("quick")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever a command that ran before has set: with more, sums have other last digits."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _interrupts() -> None:
    """Shells start what runs in the background deaf to Ctrl-C, nohup to SIGHUP, and so would be the processes
    of tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _composed_once() -> Iterator[None]:
    """Hydra takes a tenth of a second for a command line: what it made of one is kept for the next that is
    the same, unless it has configs of its own."""
    from pokerlab.config import compose

    compose_anew, kept = compose._compose, dict[tuple[str, ...], bytes]()

    def compose_once(line: compose.CommandLine, overrides: Sequence[str]) -> DictConfig:
        if line.folder is not None:
            return compose_anew(line, overrides)
        if (what := (line.primary, *overrides)) not in kept:
            kept[what] = pickle.dumps(compose_anew(line, overrides))
        GlobalHydra.instance().clear()
        config = pickle.loads(kept[what])
        with open_dict(config):
            config.hydra.runtime.cwd = str(Path.cwd())
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "_compose", compose_once)
        yield


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-play's processes come from one that has imported everything: each would take seconds."""
    from runs.harness import forkserver

    monkeypatch.setattr("pokerlab.selfplay.actors.processes._SPAWN", forkserver())


@pytest.fixture
def _forked_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise the runs that benchmarks kill and resume."""
    from runs.harness import ForkedSession

    popen = SimpleNamespace(Popen=ForkedSession, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("benchmarks.kills.subprocess", popen)


@pytest.fixture(scope="session")
def _forked_app() -> Iterator[None]:
    """Likewise the processes of the app."""
    from runs.harness import forkserver

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pokerlab.app.workers._SPAWN", forkserver())
        yield


@pytest.fixture(scope="session")
def client(_forked_app: None) -> Iterator[Any]:
    """One app for all tests: its processes take seconds to start."""
    from starlette.testclient import TestClient

    from pokerlab.app.server import make_app

    with TestClient(make_app(), base_url="http://127.0.0.1") as found:
        yield found
