"""Time and cost of a run, and its end before a limit, on a clock that only iterations move."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
from fitting import fit

from pokerlab.callbacks.checkpoint import RunCheckpoint
from pokerlab.callbacks.cost import CostGuard
from pokerlab.callbacks.metrics import IterationNumbers, MetricsFile, RunState
from pokerlab.config.command import compose
from pokerlab.interrupts import interruptible, listening
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import price_per_hour

HOUR = 3600.0


class Clock(lightning.Callback):
    """Each iteration takes an hour; the first one, which also compiles, two."""

    def __init__(self) -> None:
        self.now = 1e9

    def time(self) -> float:
        return self.now

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.now += HOUR * (2 if trainer.current_epoch == 0 else 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pokerlab.callbacks.cost.time", SimpleNamespace(time=clock.time))
    return clock


def guarded(path: Path, clock: Clock, guard: CostGuard, iterations: int = 20) -> RunFolder:
    run = RunFolder(path)
    metrics = MetricsFile(run, checkpoint_every=100, cost=guard, total=iterations)
    saving = RunCheckpoint(run, checkpoint_every=100, commit_every=100)
    fit(path, IterationNumbers(), clock, guard, metrics, RunState(metrics), saving, iterations=iterations)
    return run


@pytest.mark.parametrize(
    ("limits", "reason", "done"),
    [
        ({"max_hours": 8.0}, "max_hours=8", 7),  # two hours and six times one
        ({"max_hours": 7.9}, "max_hours=7.9", 6),
        ({"max_hours": 3.5}, "max_hours=3.5", 2),  # that the first takes two says nothing about the second
        ({"max_hours": 2.0}, "max_hours=2", 1),
        ({"max_cost_usd": 16.0, "price_per_hour": 2.0}, "max_cost_usd=16", 7),
        ({"max_cost_usd": 15.0, "price_per_hour": 2.0, "max_hours": 100.0}, "max_cost_usd=15", 6),
        ({"max_cost_usd": 99.0, "price_per_hour": 2.0, "max_hours": 4.0}, "max_hours=4", 3),
        ({"max_hours": 9.0, "seconds_before": 4 * HOUR}, "max_hours=9", 4),
        ({"max_cost_usd": 9.0, "cost_before": 4.0, "price_per_hour": 1.0}, "max_cost_usd=9", 4),
    ],
)
def test_a_run_stops_before_a_limit_with_a_checkpoint(
    limits: dict[str, float], reason: str, done: int, tmp_path: Path, clock: Clock
) -> None:
    guard = CostGuard(**limits)
    run = guarded(tmp_path, clock, guard)
    assert guard.reason == reason
    summary, job = run.read_summary(), run.read_job()
    assert (summary["state"], job["state"], job["reason"]) == ("stopped", "stopped", reason)
    assert [line["iteration"] for line in run.read_metrics()] == list(range(done))
    assert summary["last_checkpoint"] == "checkpoints/last.ckpt"
    assert summary["seconds"] == limits.get("seconds_before", 0) + (done + 1) * HOUR


def test_cost_goes_on_where_earlier_processes_ended(tmp_path: Path, clock: Clock) -> None:
    guard = CostGuard(price_per_hour=36.0, seconds_before=100.0, cost_before=5.0, since=clock.now - 50)
    run = guarded(tmp_path, clock, guard, iterations=2)
    assert [line["cost_usd"] for line in run.read_metrics()] == [5.5 + 72, 5.5 + 108]
    summary = run.read_summary()
    assert (summary["cost_usd"], summary["seconds"]) == (5.5 + 108, 150 + 3 * HOUR)
    assert run.read_job()["state"] == "finished"


def test_a_limit_that_the_last_iteration_reaches_stops_nothing(tmp_path: Path, clock: Clock) -> None:
    guard = CostGuard(max_hours=1.9)  # it takes two
    run = guarded(tmp_path, clock, guard, iterations=1)
    assert guard.reason is None
    assert run.read_job()["state"] == "finished"


class Slow(lightning.Callback):
    """From an iteration on, each takes a minute unless it is interrupted."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch >= self.iteration:
            with interruptible():
                time.sleep(60)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_hours": 4 / 3600}, "max_hours=0.00111111"),
        ({"max_cost_usd": 4.0, "price_per_hour": 3600.0}, "max_cost_usd=4"),
        ({"time_limit": 4.0, "max_hours": 1.0}, "time_limit=4"),
    ],
)
def test_a_limit_that_could_not_be_foreseen_ends_a_run_in_the_midst_of_an_iteration(
    limits: dict[str, float], reason: str, tmp_path: Path
) -> None:
    guard, run = CostGuard(**limits), RunFolder(tmp_path)
    metrics = MetricsFile(run, checkpoint_every=100, cost=guard, total=20)
    saving = RunCheckpoint(run, checkpoint_every=100, commit_every=100)
    with listening(), pytest.raises(SystemExit):  # what Lightning makes of Ctrl-C
        fit(tmp_path, IterationNumbers(), Slow(2), guard, metrics, RunState(metrics), saving, iterations=20)
    summary, job = run.read_summary(), run.read_job()
    assert (summary["state"], job["state"], job["reason"]) == ("stopped", "stopped", reason)
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1]
    assert summary["last_checkpoint"] == "checkpoints/last.ckpt"
    assert summary["seconds"] < 30


class Late(lightning.Callback):
    """A limit is reached while the last iteration is being saved."""

    def on_train_epoch_end(self, *_: Any) -> None:
        time.sleep(2)


def test_a_limit_that_is_reached_when_all_is_done_stops_nothing(tmp_path: Path) -> None:
    guard, run = CostGuard(max_hours=1.5 / 3600), RunFolder(tmp_path)
    metrics = MetricsFile(run, checkpoint_every=100, cost=guard, total=1)
    with listening():
        fit(tmp_path, IterationNumbers(), guard, Late(), metrics, RunState(metrics), iterations=1)
    assert (run.read_job()["state"], guard.reason) == ("finished", None)


def test_an_attempt_that_has_nothing_left_plays_nothing(tmp_path: Path) -> None:
    guard, run = CostGuard(max_hours=1.0, seconds_before=3601.0), RunFolder(tmp_path)
    metrics = MetricsFile(run, checkpoint_every=100, cost=guard, total=20)
    with listening(), pytest.raises(SystemExit):
        fit(tmp_path, IterationNumbers(), guard, Slow(0), metrics, RunState(metrics), iterations=20)
    assert (run.read_job()["reason"], run.read_metrics()) == ("max_hours=1", [])


def test_without_a_price_there_is_no_cost(tmp_path: Path, clock: Clock) -> None:
    run = guarded(tmp_path, clock, CostGuard(), iterations=1)
    assert run.read_metrics()[0]["cost_usd"] is None
    assert run.read_summary()["cost_usd"] is None


@pytest.mark.parametrize(
    ("overrides", "price"),
    [
        (["launcher=local"], None),
        (["launcher=local", "launcher.price_per_hour=1.5"], 1.5),
        (["launcher=modal"], 1.10 + 8 * 0.0472 + 32 * 0.008),
        (["launcher=modal", "launcher.gpu=H100", "launcher.gpu_count=8", "launcher.cpu=64"],
         8 * 3.95 + 64 * 0.0472 + 32 * 0.008),
    ],
)  # fmt: skip
def test_an_hour_costs_what_its_parts_cost(overrides: list[str], price: float | None) -> None:
    found = price_per_hour(compose("train", overrides).launcher)
    assert found == (None if price is None else pytest.approx(price))
