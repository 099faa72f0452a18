"""One process at a time trains a run, whoever starts it, and however the one before ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL

import pytest

from pokerlab.errors import UserError
from pokerlab.store.folder import RunFolder
from pokerlab.store.lock import RunLock
from runs.harness import (
    KUHN,
    ROOT,
    Alone,
    Moment,
    assert_same_run,
    command,
    contents,
    copy,
    interrupted,
    read,
    refusal,
    trained,
)

PLAYING = "pokerlab.selfplay.trajectories:SelfPlay.play"
HOLDING = (
    "import sys; from pathlib import Path; from pokerlab.store.lock import RunLock\n"
    "lock = RunLock(Path(sys.argv[1]), *map(int, sys.argv[2:])); print('held', flush=True); input()"
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=tmp_path_factory.mktemp("good"))


@pytest.fixture
def run(good: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(good, tmp_path)


def holding(*arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """A process that holds a folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        pass_fds=pass_fds, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def somebody(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    process = holding(str(run.path))
    yield process
    process.kill()
    process.communicate()


def test_a_lock_dies_with_its_process(run: RunFolder, somebody: subprocess.Popen[str]) -> None:
    with pytest.raises(BlockingIOError):
        RunLock(run.path)
    somebody.kill()
    somebody.communicate()
    RunLock(run.path).release()


def test_a_lock_is_passed_on(run: RunFolder) -> None:
    before = contents(run.path)
    lock = RunLock(run.path)
    child = holding(str(run.path), str(lock.descriptor), pass_fds=(lock.descriptor,))
    lock.release()
    with pytest.raises(BlockingIOError):
        RunLock(run.path)
    child.communicate("\n")
    RunLock(run.path).release()
    assert contents(run.path) == before, "no file is left over"


def test_of_two_resumes_at_once_one_trains(
    run: RunFolder, somebody: subprocess.Popen[str], tmp_path: Path
) -> None:
    run.update_job(pid=somebody.pid)  # the state still says that it is finished
    message = refusal("train", "resume_from=run", "iterations=8", cwd=tmp_path)
    assert message == f"outputs/run is running as process {somebody.pid}: stop that first"
    somebody.kill()
    somebody.communicate()
    assert command("train", "resume_from=run", "iterations=8", cwd=tmp_path, plots=False).code == 0


def test_of_two_that_start_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    lock = RunLock(run.path)
    with pytest.raises(UserError, match="was just taken by another run"):
        run.claim()
    lock.release()
    run.claim()


def test_two_resumes_at_once_train_once(run: RunFolder, tmp_path: Path) -> None:
    arguments = ["-m", "pokerlab.train", "resume_from=run", "iterations=30", "evaluation.every=null"]
    both = [Alone(*arguments, cwd=tmp_path, output=tmp_path) for _ in range(2)]
    for ended in [each.end() for each in both]:  # the second one may come when all is done
        assert ended.code == (2 if "is running as process" in ended.err else 0), ended.err
    assert [line["iteration"] for line in run.read_metrics()] == list(range(30))


def test_a_terminal_that_closes_saves_the_run(good: RunFolder, tmp_path: Path) -> None:
    start = (*KUHN, "checkpoint_every=2", "commit_every=10", "run_name=run")
    assert interrupted(Moment(PLAYING, 4), SIGHUP, *start, cwd=tmp_path) == 130
    run = RunFolder(tmp_path / "outputs/run")
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == 3
    assert run.read_job()["state"] == "stopped"
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, good)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_detached_run_stopped_before_it_trains_is_stopped(
    number: int, run: RunFolder, tmp_path: Path
) -> None:
    run.update_job(state="submitted")
    lock = run.lock()
    code = (
        "import os, sys; from pokerlab.jobs import detached\n"
        "class Imports:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'pokerlab.training': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Imports())\n"
        "detached.run(sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(run.path), "--lock", str(lock.descriptor)], check=False, text=True,
        pass_fds=[lock.descriptor], capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    assert run.read_job()["state"] == "stopped"


@pytest.mark.parametrize("content", ["", "{", None])
def test_a_start_killed_before_it_said_who_it_is_can_be_repeated(
    content: str | None, good: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "outputs/run")
    run.checkpoints.mkdir(parents=True)
    if content is not None:
        run.job.write_text(content)
    assert command("train", *KUHN, "checkpoint_every=2", "run_name=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, good)


@pytest.mark.parametrize("place", ["remove_replays", "update_job"])
def test_a_run_killed_when_all_is_saved_is_finished_by_resuming(
    place: str, good: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = (*KUHN, "checkpoint_every=2", "commit_every=1", "run_name=run")
    run = RunFolder(tmp_path / "outputs/run")
    # the sixth last.ckpt is written; the state is set at its start, after each iteration, and at its end
    calls = {"remove_replays": 6, "update_job": 3 + 1 + 6 + 1}
    moment = Moment(f"pokerlab.store.folder:RunFolder.{place}", calls[place])
    assert interrupted(moment, SIGKILL, *start, cwd=tmp_path) == -SIGKILL
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == 6
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert run.read_summary()["state"] == run.read_job()["state"] == "finished"
    assert_same_run(run, good)


def test_without_last_it_goes_on_from_the_newest_numbered_checkpoint_and_says_so(
    run: RunFolder, good: RunFolder, tmp_path: Path
) -> None:
    for name in ("last.ckpt", "iteration=000006.ckpt"):
        (run.checkpoints / name).unlink()
    times = [line["timestamp"] for line in run.read_metrics()]
    ended = command("train", "resume_from=run", cwd=tmp_path, plots=False)
    assert ended.code == 0
    note = "outputs/run/checkpoints/last.ckpt is missing: goes on from iteration=000004.ckpt"
    assert note in ended.out
    assert note in run.log.read_text()
    assert_same_run(run, good)
    assert [line["timestamp"] for line in run.read_metrics()][:4] == times[:4], "not trained again"


def test_the_newest_that_can_be_used(run: RunFolder, good: RunFolder, tmp_path: Path) -> None:
    (run.checkpoints / "last.ckpt").unlink()
    run.checkpoint(6).write_text("damaged")
    ended = command("train", "resume_from=run", cwd=tmp_path, plots=False)
    assert "goes on from iteration=000004.ckpt" in ended.out
    assert_same_run(run, good)


def test_a_run_that_lost_all_its_checkpoints_does_not_start_again(run: RunFolder, tmp_path: Path) -> None:
    for path in run.checkpoints.glob("*.ckpt"):
        path.unlink()
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == "outputs/run has lost its checkpoint checkpoints/last.ckpt: start a new run"


def test_lost_metrics_are_told(run: RunFolder, tmp_path: Path) -> None:
    run.metrics.write_text("")
    ended = command("train", "resume_from=run", "iterations=7", cwd=tmp_path, plots=False)
    assert ended.code == 0
    note = "training_metrics.jsonl lacks 6 of the 6 iterations that are done: they stay unknown"
    assert note in ended.out
    assert [line["iteration"] for line in run.read_metrics()] == [6]


def test_a_process_that_dies_tells_the_truth(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from pokerlab.jobs import command as jobs

    run.update_job(state="running", pid=2**22 + 1, host=os.uname().nodename)  # no process has that number
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "none"))
    assert jobs.main(["status", "run", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["reason"]) == ("failed", "its process is gone")
    began = time.monotonic()
    assert jobs.main(["wait", "run", "--exit-code"]) == 1
    assert time.monotonic() - began < 5
