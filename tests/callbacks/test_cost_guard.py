"""Time and cost of a run, and its end before a limit."""

import time
from pathlib import Path
from typing import Any

import lightning
import pytest
from fitting import fit
from omegaconf import OmegaConf

from pokerlab.callbacks.checkpoint import RunCheckpoint
from pokerlab.callbacks.cost import CostGuard
from pokerlab.callbacks.metrics import Metrics
from pokerlab.runs.command import compose
from pokerlab.runs.cost import price_per_hour
from pokerlab.runs.folder import RunFolder


class Slow(lightning.Callback):
    """Iterations of a tenth of a second."""

    def on_train_epoch_end(self, *_: Any) -> None:
        time.sleep(0.1)


def guarded(path: Path, guard: CostGuard, iterations: int = 50) -> RunFolder:
    run = RunFolder(path)
    metrics = Metrics(run, checkpoint_every=100, cost=guard)
    saving = RunCheckpoint(run, checkpoint_every=100, commit_every=100)
    fit(path, Slow(), guard, metrics, saving, iterations=iterations)
    return run


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_hours": 3 / 3600}, "max_hours=0.000833333"),
        ({"max_cost_usd": 3.0, "price_per_hour": 3600}, "max_cost_usd=3"),
        ({"max_cost_usd": 99.0, "price_per_hour": 3600, "max_hours": 3 / 3600}, "max_hours=0.000833333"),
    ],
)
def test_a_run_stops_before_a_limit_with_a_checkpoint(
    limits: dict[str, float], reason: str, tmp_path: Path
) -> None:
    guard = CostGuard(**limits)
    run = guarded(tmp_path, guard)
    assert guard.reason == reason
    summary, job = run.read_summary(), run.read_job()
    assert (summary["state"], job["state"], job["reason"]) == ("stopped", "stopped", reason)
    done = summary["latest_iteration"] + 1
    assert 1 <= done < 30
    assert [line["iteration"] for line in run.read_metrics()] == list(range(done))
    assert summary["last_checkpoint"] == "checkpoints/last.ckpt"
    assert 1 < summary["seconds"] < 3.2, "the limit, and what writing takes"


def test_cost_goes_on_where_earlier_processes_ended(tmp_path: Path) -> None:
    guard = CostGuard(price_per_hour=36.0, seconds_before=100.0, cost_before=5.0, since=time.time() - 50)
    run = guarded(tmp_path, guard, iterations=2)
    costs = [line["cost_usd"] for line in run.read_metrics()]
    assert costs[0] == pytest.approx(5.5, abs=0.02)
    assert costs[1] - costs[0] == pytest.approx(0.001, abs=0.0005)
    assert run.read_summary()["cost_usd"] >= costs[1]
    assert run.read_summary()["seconds"] == pytest.approx(150, abs=2)
    assert run.read_job()["state"] == "finished"


def test_a_limit_that_the_last_iteration_reaches_stops_nothing(tmp_path: Path) -> None:
    guard = CostGuard(max_hours=1e-9)
    run = guarded(tmp_path, guard, iterations=1)
    assert guard.reason is None
    assert run.read_job()["state"] == "finished"


def test_without_a_price_there_is_no_cost(tmp_path: Path) -> None:
    run = guarded(tmp_path, CostGuard(), iterations=1)
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
    launcher = compose("train", overrides).launcher
    assert price_per_hour(launcher) == (None if price is None else pytest.approx(price))
    assert OmegaConf.is_config(launcher)
