"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before numba is imported: kernels for a GPU run in its simulator

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
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _interrupts() -> None:
    """Shells start what runs in the background deaf to Ctrl-C, nohup to SIGHUP, and so would be the processes
    of tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-play's processes come from one that has imported everything: each would take seconds."""
    from runs.harness import forkserver

    monkeypatch.setattr("pokerlab.selfplay.actors.processes._SPAWN", forkserver())
