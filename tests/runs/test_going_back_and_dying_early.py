"""Runs that go back, fork, die early, or find foreign files: what an outside review found broken."""

import json
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest
import torch

from pokerlab.config.command import compose
from pokerlab.config.schema import plain
from pokerlab.jobs.modal_app import train_in
from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import process_record
from runs.fake_modal import FakeModal
from runs.harness import (
    KUHN,
    Moment,
    assert_same_run,
    command,
    contents,
    copy,
    interrupted,
    metrics,
    never,
    read,
    refusal,
    trained,
)

HERE = "outputs/run/checkpoints"
PLAYING = "pokerlab.selfplay.trajectories:SelfPlay.play"
LEARNING = "pokerlab.learning.module:Learner.training_step"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "commit_every=1", "run", cwd=tmp_path_factory.mktemp("p"))


@pytest.fixture
def run(good: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(good, tmp_path)


JOB = {
    "experiment": "kuhn",
    "launcher": "modal",
    "submission": "first",
    "state": "submitted",
    "overrides": [],
}


def config(*overrides: str) -> dict[str, Any]:
    return plain(compose("train", [*KUHN, "run_name=run", *overrides]))


def test_on_modal_what_is_not_there_is_not_resumed(tmp_path: Path) -> None:
    assert train_in(tmp_path, config("resume_from=run"), JOB, lambda: None, never) == "refused"
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["a/b", "../out", "3"])
def test_on_modal_names_are_checked_before_they_are_sent(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModal(monkeypatch, tmp_path / "volume")
    command("launch", *KUHN, "launcher=modal", f"run_name={name}", cwd=tmp_path)
    assert all(isinstance(config["run_name"], str) and "/" not in config["run_name"]
               for config, _ in server.spawned)  # fmt: skip


def test_runs_of_a_sweep_on_modal_have_different_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModal(monkeypatch, tmp_path / "volume")
    command("launch", "-m", *KUHN, "launcher=modal", "seed=1,2,3", cwd=tmp_path)
    assert len({config["run_name"] for config, _ in server.spawned}) == 3


def test_going_back_replaces_replays_too(run: RunFolder, good: RunFolder, tmp_path: Path) -> None:
    command("train", "resume_from=2", "run_name=run", "iterations=8", cwd=tmp_path, plots=False)
    other = copy(good, tmp_path, "other")
    for path in other.checkpoints.iterdir():
        if "000002" not in path.name:
            path.unlink()
    command("train", "resume_from=2", "run_name=other", "iterations=8", cwd=tmp_path, plots=False)
    assert_same_run(run, other)


def test_a_truncated_replay_is_written_anew(run: RunFolder, good: RunFolder, tmp_path: Path) -> None:
    replay = run.checkpoints / "replay-000004.pt"
    replay.write_bytes(replay.read_bytes()[:100])
    assert command("train", "resume_from=2", "run_name=run", cwd=tmp_path, plots=False).code == 0
    assert command("train", "resume_from=4", "run_name=run", cwd=tmp_path, plots=False).code == 0


def test_a_run_that_went_back_and_was_killed_has_each_iteration_once(run: RunFolder, tmp_path: Path) -> None:
    back = ("resume_from=2", "run_name=run", "commit_every=10")
    assert interrupted(Moment(PLAYING, 2), SIGKILL, *back, cwd=tmp_path) == -SIGKILL
    assert command("train", "resume_from=run", "iterations=7", cwd=tmp_path, plots=False).code == 0
    assert [line["iteration"] for line in metrics(run)] == list(range(7))  # now: 0 1 2 6


def test_the_path_of_a_numbered_checkpoint_needs_no_quotes(run: RunFolder, tmp_path: Path) -> None:
    path = f"{HERE}/iteration=000004.ckpt"
    assert command("train", f"resume_from={path}", cwd=tmp_path, plots=False).code == 0
    assert command("evaluate", f"run={path}", "search_iterations=2", cwd=tmp_path, plots=False).code == 0


def test_a_run_killed_before_its_first_checkpoint_starts_again(good: RunFolder, tmp_path: Path) -> None:
    start = (*KUHN, "checkpoint_every=2", "commit_every=10", "run_name=run")
    assert interrupted(Moment(LEARNING, 6), SIGKILL, *start, cwd=tmp_path) == -SIGKILL
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / "outputs/run"), good)


@pytest.mark.parametrize("place", ["pokerlab.callbacks.checkpoint:write_atomically", "pathlib:Path.replace"])
def test_a_signal_while_last_is_written_does_not_lose_it(place: str, tmp_path: Path) -> None:
    start = (*KUHN, "commit_every=3", "run_name=run")
    assert interrupted(Moment(place, 1, "last.ckpt"), SIGTERM, *start, cwd=tmp_path) == 130
    run = RunFolder(tmp_path / "outputs/run")
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == 3


def test_the_summary_of_a_stopped_run_names_its_checkpoint(tmp_path: Path) -> None:
    start = (*KUHN, "commit_every=10", "run_name=run")
    assert interrupted(Moment(PLAYING, 3), SIGTERM, *start, cwd=tmp_path) == 130
    summary = json.loads((tmp_path / "outputs/run/summary.json").read_text())
    assert summary["last_checkpoint"] == "checkpoints/last.ckpt"


def test_a_run_stopped_while_it_starts_keeps_its_summary(run: RunFolder, tmp_path: Path) -> None:
    place = "pokerlab.learning.module:Learner.configure_optimizers"
    second = Moment(place, 2)  # the first one checks whether the checkpoint fits
    assert interrupted(second, SIGTERM, "resume_from=run", "iterations=8", cwd=tmp_path) == 130
    summary = json.loads(run.summary.read_text())
    assert (summary["state"], summary["latest_iteration"]) == ("stopped", 5)
    assert summary["best_exploitability"] is not None


@pytest.mark.parametrize("text", ["hello", "not a checkpoint", "{}", "PK", "a\nb\nc"])
def test_a_text_file_is_no_checkpoint(text: str, run: RunFolder, tmp_path: Path) -> None:
    (run.checkpoints / "last.ckpt").write_text(text)
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message.endswith(
        f"last.ckpt is damaged, or not a checkpoint; the one before it is {HERE}/iteration=000006.ckpt"
    )


@pytest.mark.parametrize(
    "inside", [{"format": 1}, {"format": 1, "game": "kuhn", "iteration": 6, "replay": "replay-000006.pt"}]
)
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_checkpoint_that_lacks_something_is_refused(
    name: str, inside: Any, run: RunFolder, tmp_path: Path
) -> None:
    torch.save({"pokerlab": inside}, run.checkpoints / "last.ckpt")
    refusal(
        name,
        "resume_from=run" if name == "train" else "run=run",
        *(["iterations=8"] if name == "train" else []),
        cwd=tmp_path,
    )


def test_a_replay_of_something_else_is_refused(run: RunFolder, tmp_path: Path) -> None:
    torch.save({"a": 1}, run.checkpoints / "replay-000006.pt")
    refusal("train", "resume_from=run", "iterations=8", cwd=tmp_path)


def test_the_one_before_it_has_a_replay_that_can_be_read(run: RunFolder, tmp_path: Path) -> None:
    replay = run.checkpoints / "replay-000006.pt"
    replay.write_bytes(replay.read_bytes()[:1000])
    assert refusal("train", "resume_from=run", cwd=tmp_path).endswith(
        f"the one before it is {HERE}/iteration=000004.ckpt"
    )


@pytest.mark.parametrize("name", ["a/b", "..", ".", "''", "../x"])
def test_a_name_is_one_folder_of_outputs(name: str, tmp_path: Path) -> None:
    refusal("train", *KUHN, f"run_name={name}", cwd=tmp_path)


def test_a_run_that_was_just_submitted_is_not_resumed(run: RunFolder, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_json(run.job, run.read_job() | {"state": "submitted"} | process_record(process.pid))
    ended = command("train", "resume_from=run", cwd=tmp_path, plots=False)
    process.communicate()
    assert ended.code == 2
