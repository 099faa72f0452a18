"""A disk that is full or read-only ends a run in one line, and costs nothing that was saved."""

import errno
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pokerlab.jobs import detached
from pokerlab.store.files import append_line, write_atomically
from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, ROOT, Ended, assert_same_run, command, contents, copy, trained

RUN = (*KUHN, "checkpoint_every=2", "commit_every=2", "run_name=run")
FULL = Path("/dev/full")
HERE = "outputs/run"
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


class Disk:
    """Opens /dev/full instead of a file, from the ``call``-th time on that ``name`` is opened for writing.

    Args:
        name: of the file that is the first.
        call: which time.
        only: whether other files can be written even then.
    """

    def __init__(self, name: str, call: int, *, only: bool) -> None:
        self.name, self.call, self.only = name, call, only
        self.calls = 0
        self._open = Path.open

    def open(self, path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if set(mode) & set("wax"):
            ours = path.name in (self.name, f".{self.name}.tmp")
            self.calls += ours
            if self.calls >= self.call and (ours or not self.only):
                return self._open(FULL, mode.replace("x", "w"), *args, **kwargs)
        return self._open(path, mode, *args, **kwargs)


def full_from(
    monkeypatch: pytest.MonkeyPatch, name: str, call: int, *, only: bool = False
) -> pytest.MonkeyPatch:
    disk = Disk(name, call, only=only)
    monkeypatch.setattr(Path, "open", lambda path, *args, **kwargs: disk.open(path, *args, **kwargs))
    return monkeypatch


@pytest.fixture
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*RUN[:-1], "run", cwd=tmp_path_factory.mktemp("straight"))


def line_of(ended: Ended) -> str:
    """The one line that a command which a disk stopped says."""
    assert ended.code == 1, ended
    assert "Traceback" not in ended.out
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1, ended.err
    return ended.err.removeprefix("error: ").removesuffix("\n")


def assert_whole(run: RunFolder) -> None:
    """No temporary, no torn line."""
    assert [path for path in run.path.rglob("*") if path.name.startswith(".")] == []
    for path in (run.metrics, run.log):
        assert path.read_text() == "" or path.read_text().endswith("\n")


@pytest.mark.parametrize("only", [False, True], ids=["all files", "that file"])
@pytest.mark.parametrize(
    ("name", "call", "saved"),
    [
        ("training.log", 1, None),
        ("training.log", 2, None),  # the first evaluation: before its checkpoint
        ("job.json", 4, None),
        ("summary.json", 1, None),
        ("summary.json", 4, 2),
        ("training_metrics.jsonl", 2, None),  # the first iteration's
        ("training_metrics.jsonl", 5, 2),
        ("replay-000004.pt", 1, 2),
        ("iteration=000004.ckpt", 1, 2),
        ("last.ckpt", 2, 2),
    ],
)
def test_a_run_whose_disk_fills_up_ends_in_a_line_and_resumes(
    name: str,
    call: int,
    saved: int | None,
    only: bool,
    straight: RunFolder,
    tmp_path: Path,
    patched: pytest.MonkeyPatch,
) -> None:
    full_from(patched, name, call, only=only)
    line = line_of(command("train", *RUN, cwd=tmp_path, plots=False))
    patched.undo()
    run = RunFolder(tmp_path / HERE)
    file, _, rest = line.partition(": No space left on device; ")
    assert Path(file).name == name
    assert file.startswith(HERE)
    if not only:
        there = f"the last checkpoint is checkpoints/last.ckpt (iteration {saved})"
        assert rest == ("there is no checkpoint yet" if saved is None else there)
    if run.metrics.exists():
        assert_whole(run)
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, straight)


@pytest.mark.parametrize("kind", ["values", "policies"])
def test_a_disk_that_fills_up_with_the_replay_ends_the_run_in_a_line(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch
) -> None:
    run, place = (*RUN, "selfplay.replay=disk"), tmp_path_factory.mktemp("straight")
    straight = trained(*run[:-2], run[-1], "run", cwd=place)
    fourth = sorted(straight.replay.glob(f"{kind}-*"))[-3].name
    full_from(patched, fourth, 1)
    line = line_of(command("train", *run, cwd=tmp_path, plots=False))
    patched.undo()
    saved = "the last checkpoint is checkpoints/last.ckpt (iteration 2)"
    assert line == f"{HERE}/replay/{fourth}: No space left on device; {saved}"
    assert_whole(RunFolder(tmp_path / HERE))
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / HERE), straight)


@pytest.mark.parametrize(("name", "call"), [("job.json", 1), ("job.json", 2), ("config.yaml", 1)])
def test_a_run_that_cannot_begin_leaves_nothing(
    name: str, call: int, straight: RunFolder, tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    full_from(patched, name, call)
    line = line_of(command("train", *RUN, cwd=tmp_path, plots=False))
    patched.undo()
    assert HERE in line
    assert "No space left on device" in line
    assert contents(tmp_path) in ({}, {"outputs": None})
    assert command("train", *RUN, cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / HERE), straight)


@pytest.mark.parametrize("name", ["config.yaml", "job.json", "training.log", "training_metrics.jsonl"])
def test_a_resume_on_a_full_disk_loses_nothing(
    name: str, straight: RunFolder, tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    run = copy(straight, tmp_path)
    (run.checkpoints / "last.ckpt").write_bytes(run.checkpoint(4).read_bytes())
    lines = run.metrics.read_text()
    full_from(patched, name, 1)
    line = line_of(command("train", "resume_from=run", cwd=tmp_path, plots=False))
    patched.undo()
    last = "the last checkpoint is checkpoints/last.ckpt (iteration 4)"
    assert line == f"{HERE}/{name}: No space left on device; {last}"
    assert run.metrics.read_text() == lines
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, straight)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EDQUOT, errno.EIO])
def test_whatever_the_disk_says_is_told(code: int, tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.name == "iteration=000002.ckpt":
            raise OSError(code, os.strerror(code), str(path), None, str(target))
        return replace(path, target)

    patched.setattr(Path, "replace", refuse)
    line = line_of(command("train", *RUN, cwd=tmp_path, plots=False))
    assert line.startswith(f"{HERE}/checkpoints/iteration=000002.ckpt: {os.strerror(code)}; ")


def test_plots_that_cannot_be_drawn_leave_a_finished_run(tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    full_from(patched, "losses.png", 1)
    line = line_of(command("train", *RUN, cwd=tmp_path))
    run = RunFolder(tmp_path / HERE)
    assert line.startswith(f"{HERE}/plots/losses.png: No space left on device; ")
    assert line.endswith("(iteration 6)")
    assert run.read_job()["state"] == "finished"
    assert list(run.plots.iterdir()) == []


@pytest.mark.parametrize("name", ["evaluation.json", "losses.png"])
def test_results_that_the_run_cannot_keep_are_shown_and_saved(
    name: str, straight: RunFolder, tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    copy(straight, tmp_path)
    full_from(patched, name, 1, only=True)
    ended = command(
        "evaluate", "run=run", "search_iterations=2", "play_throughs=1", "json=e.json", cwd=tmp_path
    )
    assert ended.code == 2
    assert ended.err.startswith(f"error: {HERE}/")
    assert ended.err.endswith(f"{name}: No space left on device\n")
    assert ended.err.count("\n") == 1
    results = json.loads((tmp_path / "e.json").read_text())
    assert f"{results['policy_net']['exploitability']:.5f}"[:6] in ended.out


def test_the_first_error_is_not_hidden(tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    full_from(patched, "summary.json", 2)  # the one that says that the run failed
    ended = command("train", *RUN, "model.learning_rate=1e30", cwd=tmp_path)
    assert (ended.code, ended.err) == (1, "")
    assert "failed: NonFiniteLossError" in ended.out


def test_a_stop_that_cannot_save_says_so(tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        full_from(patched, "last.ckpt", 1)
        raise KeyboardInterrupt

    patched.setattr("pokerlab.evaluation.exact.search_policy", stop)
    line = line_of(command("train", *RUN, "commit_every=100", "checkpoint_every=100", cwd=tmp_path))
    assert line == f"{HERE}/checkpoints/last.ckpt: No space left on device; there is no checkpoint yet"


def test_a_detached_run_ends_in_a_line(
    straight: RunFolder, tmp_path: Path, patched: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(straight, tmp_path)
    (run.checkpoints / "last.ckpt").write_bytes(run.checkpoint(2).read_bytes())
    full_from(patched, "iteration=000004.ckpt", 1, only=True)
    patched.setattr("pokerlab.evaluation.plots.save", lambda *_: None)
    assert detached.main([str(run.path)]) == 1
    line = f"{run.checkpoint(4)}: No space left on device; "
    line += "the last checkpoint is checkpoints/last.ckpt (iteration 3)"  # which fitted
    assert capsys.readouterr().err == f"error: {line}\n"
    assert run.read_job()["state"] == "failed"
    assert run.log.read_text().endswith(f"ERROR failed: {line}\n")
    patched.undo()
    patched.setattr("pokerlab.evaluation.plots.save", lambda *_: None)
    assert detached.main([str(run.path)]) == 0
    assert_same_run(run, straight)


def test_a_detached_run_whose_output_is_full_too_has_its_exit_code(
    straight: RunFolder, tmp_path: Path
) -> None:
    run = copy(straight, tmp_path)
    (run.checkpoints / "last.ckpt").write_bytes(run.checkpoint(4).read_bytes())
    largest = run.checkpoint(6).stat().st_size // 2

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    with FULL.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "pokerlab.jobs.detached", str(run.path)],
            stdout=full, stderr=full, cwd=ROOT, preexec_fn=small_files_only, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    told = "File too large; the last checkpoint is checkpoints/last.ckpt (iteration 4)"
    assert run.log.read_text().splitlines()[-1].endswith(told)
    assert run.read_job()["state"] == "failed"
    assert_whole(run)


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    append_line(path, "first")

    class HalfFull(io.FileIO):
        room = 3

        def write(self, data: Any) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fitting, self.room = data[: self.room], 0
            return super().write(fitting)

    patched.setattr(Path, "open", lambda path, *_, **__: HalfFull(path, "ab"))
    with pytest.raises(OSError, match=r"No space left on device: .*lines"):
        append_line(path, "second")
    patched.undo()
    assert path.read_text() == "first\n"
    append_line(path, "third")
    assert path.read_text() == "first\nthird\n"


def test_an_error_that_torch_makes_of_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def save(file: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904

    with pytest.raises(OSError, match=r"No space left on device: .*file") as raised:
        write_atomically(tmp_path / "file", save)
    assert raised.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
