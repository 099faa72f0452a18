"""A run's folder: what is written is whole, what is read is whole."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pokerlab.errors import UserError
from pokerlab.store.files import now, write_atomically, write_json
from pokerlab.store.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def lines_of(*iterations: int) -> str:
    return "".join(json.dumps({"iteration": iteration}) + "\n" for iteration in iterations)


def test_now_is_utc_in_iso_8601() -> None:
    parsed = datetime.fromisoformat(now())
    assert parsed.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - parsed) < timedelta(seconds=5)


@pytest.mark.parametrize("content", ["a\nü", b"\x00\xff"])
def test_writing_replaces_the_content(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_atomically(path, "something longer that was there before")
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    broken: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os if broken == "fsync" else Path, broken, fail)
    with pytest.raises(type(error)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file", []
    path.write_text("old")
    sync = os.fsync

    def look(handle: int) -> None:
        seen.append(path.read_text())
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(path, "new")
    assert seen == ["old"]
    assert path.read_text() == "new"


def test_json_that_json_does_not_know_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"loss": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"loss": 1.5}


def test_metrics_are_read_in_order(run: RunFolder) -> None:
    assert run.read_metrics() == []
    write_atomically(run.metrics, lines_of(0, 1, 2))
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1, 2]


@pytest.mark.parametrize("torn", ['{"iter', '{"iteration": 2}', "\N{SNOWMAN}", "{"])
def test_a_last_line_without_its_end_is_left_out(torn: str, run: RunFolder) -> None:
    write_atomically(run.metrics, lines_of(0, 1) + torn)
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1]


@pytest.mark.parametrize(("before", "kept"), [(0, []), (1, [0]), (2, [0, 1]), (9, [0, 1, 2])])
def test_metrics_before_an_iteration_are_kept(before: int, kept: list[int], run: RunFolder) -> None:
    write_atomically(run.metrics, lines_of(0, 1, 2) + '{"iteration": 3')
    run.keep_metrics_before(before)
    assert run.metrics.read_text() == lines_of(*kept)


def test_keeping_metrics_of_a_run_without_any_makes_an_empty_file(run: RunFolder) -> None:
    run.keep_metrics_before(3)
    assert run.metrics.read_text() == ""


def test_job_fields_are_set_one_by_one(run: RunFolder) -> None:
    assert run.read_job() == {}
    run.update_job(state="submitted", pid=3)
    run.update_job(state="running", host="here")
    assert json.loads(run.job.read_text()) == {"state": "running", "pid": 3, "host": "here"}


def test_numbered_checkpoints_ascend(run: RunFolder) -> None:
    run.checkpoints.mkdir(parents=True)
    for iteration in (1_000_000, 200, 30):
        run.checkpoint(iteration).touch()
    (run.checkpoints / "last.ckpt").touch()
    (run.checkpoints / "replay-000030.pt").touch()
    assert list(run.numbered_checkpoints()) == [30, 200, 1_000_000]
    assert run.numbered_checkpoints()[200].name == "iteration=000200.ckpt"


def test_a_folder_can_be_claimed_once(run: RunFolder) -> None:
    assert not run.holds_a_run
    run.claim()
    assert sorted(path.name for path in run.path.rglob("*")) == ["checkpoints", "job.json"]
    assert run.holds_a_run
    with pytest.raises(UserError, match="already holds a run: give another run_name or run_dir, or"):
        run.claim()


def test_a_folder_whose_config_is_lost_is_not_free(run: RunFolder) -> None:
    run.claim()
    run.update_job(pid=2**22 + 1, started=0)  # of a process that is gone
    (run.checkpoints / "last.ckpt").touch()
    run.log.touch()  # it was trained
    with pytest.raises(UserError, match="already holds a run"):
        run.claim()
    assert (run.checkpoints / "last.ckpt").exists()


@pytest.mark.parametrize("file", ["config", "job"])
def test_a_config_or_a_job_makes_a_run(file: str, run: RunFolder) -> None:
    write_atomically(getattr(run, file), "{}")
    assert run.holds_a_run


def test_a_folder_below_a_file_cannot_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write run_dir .*/file/run: Not a directory"):
        RunFolder(tmp_path / "file/run").claim()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
