"""What a run leaves: every file and field of docs/run-folder.md, and nothing else."""

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, command, config_of, contents, read, trained

Fields = dict[str, tuple[type, ...]]
NONE = type(None)
METRICS: Fields = {
    "version": (int,),
    "timestamp": (str,),
    "iteration": (int,),
    "value_loss": (float,),
    "policy_loss": (float,),
    "trajectories": (int,),
    "examples": (int,),
    "network_updates": (int,),
    "checkpoint": (str, NONE),
    "draws_per_example": (float, NONE),
    "seconds_selfplay": (float,),
    "seconds_training": (float,),
    "learning_rate": (float,),
    "exploitability": (float, NONE),
    "exploitability_policy_net": (float, NONE),
    "search_iterations": (int, NONE),
    "play_throughs": (int, NONE),
    "cost_usd": (NONE,),
}
SUMMARY: Fields = {
    "version": (int,),
    "state": (str,),
    "latest_iteration": (int,),
    "total_iterations": (int,),
    "latest_exploitability": (float,),
    "best_value_loss": (float,),
    "best_policy_loss": (float,),
    "best_exploitability": (float,),
    "last_checkpoint": (str,),
    "last_updated": (str,),
    "seconds": (float,),
    "cost_usd": (NONE,),
}
JOB: Fields = {
    "experiment": (str,),
    "launcher": (str,),
    "host": (str,),
    "pid": (int,),
    "pid_started": (float,),
    "overrides": (list,),
    "reason": (NONE,),
    "call_id": (NONE,),
    "submitted": (str,),
    "state": (str,),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def run(place: Path) -> RunFolder:
    """Six iterations; evaluates after 2, 4, 6, keeps the checkpoints of 3 and 6."""
    rates = ("model.learning_rate=0.01", "model.final_learning_rate=0.001")
    return trained(*KUHN, *rates, "checkpoint_every=3", "run", cwd=place, plots=True)


@pytest.fixture(scope="module")
def lines(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def assert_fields(found: dict[str, Any], fields: Fields) -> None:
    assert found.keys() == fields.keys()
    for name, types in fields.items():
        assert type(found[name]) in types, name


def test_the_files_are_these_and_no_others(run: RunFolder, place: Path) -> None:
    assert {name for name, content in contents(place / "outputs").items() if content is not None} == {
        "run/config.yaml",
        "run/job.json",
        "run/checkpoints/iteration=000003.ckpt",
        "run/checkpoints/iteration=000006.ckpt",
        "run/checkpoints/last.ckpt",
        "run/checkpoints/replay-000003.pt",
        "run/checkpoints/replay-000006.pt",
        "run/training_metrics.jsonl",
        "run/summary.json",
        "run/training.log",
        "run/plots/losses.png",
        "run/plots/exploitability.png",
        "run/plots/exploitability_seconds.png",
    }
    assert [path.name for path in place.iterdir()] == ["outputs"]


def test_each_iteration_has_one_line_of_metrics(lines: list[dict[str, Any]]) -> None:
    assert [line["iteration"] for line in lines] == [0, 1, 2, 3, 4, 5]
    for line in lines:
        assert_fields(line, METRICS)
    assert [line["trajectories"] for line in lines] == [20] * 6
    assert [line["network_updates"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert min(line["examples"] for line in lines) > 0
    assert [line["checkpoint"] for line in lines] == [
        None, None, "iteration=000003.ckpt", None, None, "iteration=000006.ckpt",
    ]  # fmt: skip


def test_what_is_measured_every_other_iteration_is_null_between(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        evaluated = line["iteration"] % 2 == 1
        for field in ("exploitability", "exploitability_policy_net"):
            assert (line[field] is not None) is evaluated
        assert line["search_iterations"] == (10 if evaluated else None)
        assert line["play_throughs"] == (2 if evaluated else None)


def test_numbers_in_the_metrics_make_sense(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        for field in ("value_loss", "policy_loss", "seconds_selfplay", "seconds_training"):
            assert 0 < line[field] < 100, field
    times = [datetime.fromisoformat(line["timestamp"]) for line in lines]
    assert times == sorted(times)
    assert times[0].utcoffset() == timedelta(0)
    for before, after, line in zip(times, times[1:], lines[1:], strict=False):
        assert line["seconds_selfplay"] + line["seconds_training"] < (after - before).total_seconds() + 0.01
    cosine = [0.001 + 0.009 * (1 + math.cos(math.pi * i / 5)) / 2 for i in range(6)]
    assert [line["learning_rate"] for line in lines] == pytest.approx(cosine, rel=1e-12)


def test_the_summary_sums_up_the_metrics(run: RunFolder, lines: list[dict[str, Any]]) -> None:
    summary = json.loads(run.summary.read_text())
    assert_fields(summary, SUMMARY)
    assert summary.pop("last_updated") >= lines[-1]["timestamp"]
    assert summary.pop("seconds") > sum(line["seconds_selfplay"] + line["seconds_training"] for line in lines)
    assert summary == {
        "version": 1,
        "state": "finished",
        "latest_iteration": 5,
        "total_iterations": 6,
        "latest_exploitability": lines[-1]["exploitability"],
        "best_value_loss": min(line["value_loss"] for line in lines),
        "best_policy_loss": min(line["policy_loss"] for line in lines),
        "best_exploitability": min(line["exploitability"] for line in lines if line["exploitability"]),
        "last_checkpoint": "checkpoints/last.ckpt",
        "cost_usd": None,
    }
    assert (run.path / "checkpoints/last.ckpt").is_file()


def test_the_job_says_where_it_ran(run: RunFolder, lines: list[dict[str, Any]]) -> None:
    job = json.loads(run.job.read_text())
    assert_fields(job, JOB)
    assert (job["experiment"], job["launcher"], job["state"]) == ("kuhn", "foreground", "finished")
    assert job["submitted"] < lines[0]["timestamp"]


def test_the_config_is_resolved_and_names_the_folder(run: RunFolder) -> None:
    config = config_of(run)
    assert (config["run_name"], config["run_dir"]) == ("run", "outputs/run")
    assert config["iterations"] == 6
    assert config["game"]["_target_"] == "pokerlab.games.kuhn.Kuhn"
    assert config["model"]["value_network"]["hidden"] == 16
    assert "hydra" not in config
    assert "${" not in run.config.read_text()


def test_checkpoints_hold_the_state_after_their_iteration(run: RunFolder) -> None:
    for name, iteration in (("iteration=000003", 3), ("iteration=000006", 6), ("last", 6)):
        checkpoint = read(run.checkpoints / f"{name}.ckpt")
        assert checkpoint["pokerlab"]["iteration"] == iteration
        assert checkpoint["pokerlab"]["game"] == "kuhn"
        assert checkpoint["pokerlab"]["replay"] == f"replay-{iteration:06d}.pt"
        assert checkpoint["global_step"] == 4 * iteration
        assert len(checkpoint["optimizer_states"]) == 1


def test_the_log_names_the_run_and_each_evaluation(run: RunFolder) -> None:
    log = run.log.read_text().splitlines()
    assert log[0].endswith("outputs/run: kuhn, 6 iterations, seed 1")
    assert [line.split("iteration ")[1].split()[0] for line in log if "exploitability" in line] == [
        "2/6", "4/6", "6/6",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["losses", "exploitability", "exploitability_seconds"])
def test_plots_are_pictures(name: str, run: RunFolder) -> None:
    path = run.plots / f"{name}.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    picture = imread(path)
    assert min(picture.shape[:2]) >= 400
    assert len(np.unique(picture)) > 50  # more than an empty frame


def test_the_last_exploitability_is_printed(place: Path) -> None:
    ended = command("train", *KUHN, "run_name=printed", cwd=place, plots=False)
    last = RunFolder(place / "outputs/printed").read_metrics()[-1]
    assert f"{last['exploitability']:.5f}" in ended.out
    assert f"{2 * last['exploitability']:.5f}" in ended.out
    assert f"{last['exploitability_policy_net']:.5f}" in ended.out
    assert ended.out.endswith("run:   outputs/printed\n")


def test_a_run_without_a_name_is_named_by_experiment_and_time(tmp_path: Path) -> None:
    for _ in range(2):  # in the same second
        assert command("train", *KUHN, "iterations=1", cwd=tmp_path, plots=False).code == 0
    names = sorted(path.name for path in (tmp_path / "outputs").iterdir())
    assert len(names) == 2
    for name in names:
        assert name.startswith("kuhn-20")
        assert config_of(RunFolder(tmp_path / "outputs" / name))["run_name"] == name


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    ended = command("train", *KUHN, "run_name=run", "model.learning_rate=1e30", cwd=tmp_path)
    run = RunFolder(tmp_path / "outputs/run")
    assert ended.code == 1
    assert json.loads(run.summary.read_text())["state"] == "failed"
    assert run.read_job()["state"] == "failed"
    assert "failed: NonFiniteLossError: non-finite loss in iteration 0, batch 1: " in run.log.read_text()
    assert run.metrics.read_text() == ""
