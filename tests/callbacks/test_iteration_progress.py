"""What is said of an iteration while it lasts."""

import inspect
import json
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
from fitting import fit

from pokerlab.callbacks.iteration_progress import IterationProgress
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.status import read_status


class SlowLearning(lightning.Callback):
    def on_train_batch_start(self, *_: Any) -> None:
        time.sleep(0.05)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("pokerlab"), "propagate", True)
    caplog.set_level(logging.INFO, "pokerlab")
    return caplog


def test_a_long_iteration_says_how_far_it_is(
    tmp_path: Path, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = SelfPlay.play

    def slowly(self: SelfPlay, *arguments: Any) -> Any:
        report = inspect.signature(play).bind(self, *arguments).arguments["report"]
        report(0.25)
        time.sleep(0.2)
        return play(self, *arguments)

    monkeypatch.setattr(SelfPlay, "play", slowly)
    shown: list[str] = []
    run = RunFolder(tmp_path)
    watching = IterationProgress(run, shown.append, seconds_between_looks=0.02, seconds_between_lines=0.04)
    fit(tmp_path, watching, SlowLearning(), iterations=1)
    assert any("iteration 1: self-play, 25% of " in line for line in shown)
    assert any("iteration 1: learning, 100% of " in line for line in shown)
    assert not any("hours" in line for line in shown)
    lines = [record.message for record in logged.records if record.message in shown]
    assert 0 < len(lines) < len(shown)
    written = json.loads(run.progress.read_text())
    assert written["iteration"] == 0
    number = len(shown)
    time.sleep(0.1)
    assert len(shown) == number  # it is over


def test_a_long_run_says_what_it_will_take(tmp_path: Path) -> None:
    watching = IterationProgress(RunFolder(tmp_path), print)
    data = SimpleNamespace(played=0.1, trajectories=1000, batches=0)
    found = watching._progress(data, seconds=20, iterations=180)  # type: ignore[arg-type]
    assert found["text"].startswith("self-play, 10% of 1,000 trajectories, 5.00/s; ")
    assert found["text"].endswith("; self-play of all 180 iterations to go takes about 10 hours")


def test_a_short_iteration_says_nothing(tmp_path: Path) -> None:
    shown: list[str] = []
    fit(tmp_path, IterationProgress(RunFolder(tmp_path), shown.append), iterations=2)
    assert shown == []
    assert not RunFolder(tmp_path).progress.exists()


@pytest.mark.parametrize(("iteration", "state", "expected"), [
    (0, "running", "self-play, 25% of 8 trajectories, 3.00/s"),
    (1, "running", None),  # it is of an iteration that is not under way
    (0, "finished", None),
])  # fmt: skip
def test_the_status_says_how_far_the_present_iteration_is(
    iteration: int, state: str, expected: str | None, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    write_json(run.job, {"state": state})
    text = "self-play, 25% of 8 trajectories, 3.00/s"
    written = {"iteration": iteration, "phase": "self-play", "share": 0.25, "rate": 3.0, "text": text}
    write_json(run.progress, written | {"timestamp": "2026-01-01T00:00:00.000+00:00"})
    assert read_status(run, True, name="run").progress == expected
