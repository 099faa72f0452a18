"""python -m pokerlab.jobs: what it says of runs, here and on Modal, and what it does to them."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import modal
import pytest
from runs import fake_modal
from runs.fake_modal import FakeModal
from runs.harness import KUHN, ROOT, Alone, assert_same_run, command, contents, copy, trained

from pokerlab.errors import UserError
from pokerlab.jobs import command as jobs
from pokerlab.jobs import modal_app
from pokerlab.jobs.modal_client import ModalRuns
from pokerlab.jobs.places import FoundRun
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import process_record

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=tmp_path_factory.mktemp("finished"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("MODAL_TOKEN_ID", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def run(finished: RunFolder, here: Path) -> RunFolder:
    return RunFolder(copy(finished, here).path.relative_to(here))


@pytest.fixture
def server(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeModal:
    return FakeModal(monkeypatch, tmp_path / "volume")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command: exit code, output, errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = jobs.main(list(arguments))
        except SystemExit as ending:
            code = int(ending.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run_command


@pytest.fixture
def somebody() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    yield process
    process.kill()
    process.communicate()


def going_on(run: RunFolder, pid: int, state: str = "running") -> None:
    run.update_job(state=state, **process_record(pid))


# What it says


def test_a_finished_run_at_a_glance(run: RunFolder, say: Say) -> None:
    code, out, err = say("status", "--exit-code", "run", "--json", "--lines", "2")
    assert (code, err) == (0, "")
    status, lines = json.loads(out), run.read_metrics()
    assert {key: status[key] for key in ("run", "state", "alive", "iterations", "total_iterations")} == {
        "run": "run", "state": "finished", "alive": False, "iterations": 6, "total_iterations": 6,
    }  # fmt: skip
    assert status["value_loss"] == lines[-1]["value_loss"]
    assert status["exploitability"] == lines[-1]["exploitability"]
    assert status["best_value_loss"] == min(line["value_loss"] for line in lines)
    assert status["eta_seconds"] is None
    assert status["cost_usd"] is None
    assert status["last_checkpoint"] == "checkpoints/last.ckpt"
    assert status["log"] == run.log.read_text().splitlines()[-2:]
    assert say("status", "--exit-code", "outputs/run")[0] == 0
    assert "6/6" in say("status", "--exit-code", "run")[1]


@pytest.mark.parametrize(("state", "code"), [("stopped", 4), ("failed", 1), ("finished", 0)])
def test_the_exit_code_tells_the_state(state: str, code: int, run: RunFolder, say: Say) -> None:
    run.update_job(state=state)
    assert say("status", "--exit-code", "run")[0] == code
    assert say("status", "run")[0] == 0, "it could be read"
    assert say("wait", "--exit-code", "run") == (code, f"run is {state}\n", "")
    assert say("wait", "run")[0] == (0 if state == "finished" else 1)


def test_a_run_that_goes_on_says_how_long(
    run: RunFolder, say: Say, somebody: subprocess.Popen[bytes]
) -> None:
    going_on(run, somebody.pid)
    write_json(run.summary, run.read_summary() | {"total_iterations": 106})
    lines = run.read_metrics()
    began = datetime.now(UTC)
    for i, line in enumerate(lines):
        line["timestamp"] = (began + timedelta(seconds=3 * i)).isoformat()
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"iteration": 6, "val')
    code, out, _ = say("status", "--exit-code", "run", "--json")
    status = json.loads(out)
    assert (code, status["alive"], status["iterations"]) == (3, True, 6)
    assert status["seconds_per_iteration"] == pytest.approx(3)
    assert status["eta_seconds"] == pytest.approx(300)
    assert "5 min left" in say("status", "--exit-code", "run")[1]


def test_a_dead_process_is_not_running(run: RunFolder, say: Say, somebody: subprocess.Popen[bytes]) -> None:
    going_on(run, somebody.pid)
    somebody.kill()
    somebody.communicate()
    code, out, _ = say("status", "--exit-code", "run")
    assert code == 1
    assert "failed  its process is gone" in out
    assert json.loads(say("list", "--json")[1])[0]["state"] == "failed"


def test_a_process_that_got_the_number_of_a_dead_one_is_not_the_run(run: RunFolder, say: Say) -> None:
    run.update_job(state="running", **process_record(os.getpid()) | {"pid_started": 1e9})
    assert say("status", "--exit-code", "run")[0] == 1


def test_a_run_of_another_machine_cannot_be_asked(run: RunFolder, say: Say) -> None:
    run.update_job(state="running", pid=1, host="elsewhere")
    code, out, _ = say("status", "--exit-code", "run")
    assert code == 3
    assert "running?" in out
    assert say("stop", "run")[2] == "error: run runs on elsewhere: stop it there\n"
    assert say("resume", "run")[2] == (
        "error: outputs/run is running on elsewhere: stop it there, or if nothing runs there any more, "
        "say so with python -m pokerlab.jobs stop outputs/run --now\n"
    )
    assert say("stop", "run", "--now")[1].startswith("run is stopped after 6 iterations; ")
    assert say("status", "--exit-code", "run")[0] == 4


def test_waiting_ends_with_the_run_or_in_time(
    run: RunFolder, say: Say, somebody: subprocess.Popen[bytes]
) -> None:
    going_on(run, somebody.pid)
    assert say("wait", "run", "--timeout", "0.1") == (1, "run is running\n", "")
    assert say("wait", "run", "--timeout", "0", "--exit-code")[0] == 3
    plots = run.lock()  # which are drawn when the run is over
    threading.Timer(0.3, run.update_job, kwargs={"state": "finished"}).start()
    threading.Timer(0.9, plots.release).start()
    began = time.monotonic()
    assert say("wait", "run", "--timeout", "60") == (0, "run is finished\n", "")
    assert time.monotonic() - began >= 0.9
    assert "expected seconds, got 'soon'" in say("wait", "run", "--timeout", "soon")[2]


def test_all_runs_the_newest_first(run: RunFolder, here: Path, say: Say) -> None:
    newer = copy(run, here, "newer")
    newer.update_job(submitted="2999-01-01T00:00:00.000+00:00", state="stopped")
    (here / "outputs/sweeps/some").mkdir(parents=True)
    listed = json.loads(say("list", "--json")[1])
    assert [(status["run"], status["state"]) for status in listed] == [
        ("newer", "stopped"),
        ("run", "finished"),
    ]
    out = say("list")[1]
    assert out.index("newer") < out.index("finished")


def test_without_runs_there_is_an_empty_table(here: Path, say: Say) -> None:
    assert json.loads(say("list", "--json")[1]) == []
    assert say("list")[0] == 0


def test_torch_is_not_imported_to_look(run: RunFolder, here: Path) -> None:
    script = (
        "import sys; from pokerlab.jobs import command as jobs; "
        "codes = [jobs.main(['list']), jobs.main(['status', 'run']), jobs.main(['logs', 'run']), "
        "jobs.main(['metrics', 'run'])]; "
        "slow = {'torch', 'lightning', 'hydra', 'matplotlib', 'modal'} & set(sys.modules); "
        "sys.exit(f'{codes} {slow}' if any(codes) or slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_metrics_are_a_table_and_blocks(run: RunFolder, say: Say) -> None:
    code, out, err = say("metrics", "run", "--last", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[1] for line in lines[3:5]] == ["4", "5"]
    assert len(lines[-1].split()[-1]) == 3, "three evaluations"
    assert json.loads(say("metrics", "run", "--last", "2", "--json")[1]) == run.read_metrics()[-2:]


def test_metrics_as_pictures(run: RunFolder, say: Say) -> None:
    shutil.rmtree(run.plots, ignore_errors=True)
    assert "losses.png" in say("metrics", "run", "--plot")[2]
    assert {path.name for path in run.plots.iterdir()} == {
        "losses.png", "exploitability.png", "exploitability_seconds.png",
    }  # fmt: skip


def test_a_run_that_has_only_just_been_made(here: Path, say: Say) -> None:
    run = RunFolder(Path("outputs/new"))
    run.claim()
    run.update_job(state="submitted", launcher="local", pid=None, submitted=datetime.now(UTC).isoformat())
    assert say("status", "--exit-code", "new")[0] == 3
    assert say("list")[0] == 0
    assert say("metrics", "new")[0] == 0
    code, out, err = say("logs", "new")
    assert (code, out) == (0, "")
    assert re.fullmatch(r"new is submitted and has logged nothing yet, submitted \d+ s ago\n", err)
    assert say("metrics", "new", "--plot")[2] == "error: new has no iterations yet\n"


def test_logs_follow_until_the_run_is_over(
    run: RunFolder, say: Say, somebody: subprocess.Popen[bytes]
) -> None:
    going_on(run, somebody.pid)
    run.log.write_text("one\ntwo\nthree\n")

    def go_on() -> None:
        time.sleep(0.7)
        with run.log.open("a") as file:
            file.write("four\n")
        run.update_job(state="finished")

    thread = threading.Thread(target=go_on)
    thread.start()
    assert say("logs", "run", "--follow", "--lines", "2") == (0, "two\nthree\nfour\n", "")
    thread.join()


def test_what_a_run_printed_that_never_logged(run: RunFolder, say: Say) -> None:
    run.log.unlink()
    run.output.write_text("Traceback\nMemoryError\n")
    assert say("logs", "run", "--lines", "1")[1] == "MemoryError\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "rum"], "no run 'rum' here: did you mean run?; runs on Modal cannot be seen without"),
        (["list", "--sweep", "none"], "no sweep 'none'"),
        (["list", "--plot"], "--plot draws a sweep: name it with --sweep"),
        (["stop", "run"], "run is not running: it is finished"),
        (["pull", "run"], "run is here already: outputs/run"),
        (["resume", "run", "seed=2"], "seed=2 would change the run outputs/run, which has seed=1"),
        (["resume", "run", "sed=2"], "unknown key 'sed'"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[str], message: str, run: RunFolder, here: Path, say: Say
) -> None:
    before = contents(here)
    code, out, err = say(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert contents(here) == before


@pytest.mark.parametrize("name", ["job.json", "summary.json"])
def test_a_file_that_no_run_writes_is_named(name: str, run: RunFolder, say: Say) -> None:
    (run.path / name).write_text("{")
    assert say("status", "--exit-code", "run")[2].startswith(f"error: outputs/run/{name} cannot be read")


def test_one_broken_run_does_not_hide_the_others(run: RunFolder, here: Path, say: Say) -> None:
    copy(run, here, "broken").job.write_text("{")
    code, out, err = say("list", "--json")
    assert code == 0
    assert [status["run"] for status in json.loads(out)] == ["run"]
    assert err.startswith("outputs/broken/job.json cannot be read")


# What it does, here


def alone(*arguments: str, here: Path) -> str:
    """A command of its own process, which the run outlives."""
    done = Alone(*arguments, cwd=here, output=here.parent).end()
    assert (done.code, done.err) == (0, ""), done
    return done.out


def launched(here: Path, *overrides: str) -> RunFolder:
    """A detached run of many iterations, which has done some."""
    alone(str(ROOT / "launch_modal.py"), *KUHN, "run_name=run", "iterations=5000", *overrides, here=here)
    run, until = RunFolder(Path("outputs/run")), time.monotonic() + 100
    while (run.read_summary().get("latest_iteration") or 0) < 3:
        assert time.monotonic() < until, run.output.read_text()
        time.sleep(0.05)
    return run


def test_a_run_is_stopped_with_a_checkpoint_and_resumed(here: Path, say: Say) -> None:
    run = launched(here, "commit_every=1000", "evaluation.every=1000")
    code, out, err = say("stop", "run")
    assert (code, err) == (0, "")
    done = run.read_summary()["latest_iteration"] + 1
    assert out.endswith(f"run is stopped after {done} iterations; checkpoints/last.ckpt is there\n")
    assert say("status", "--exit-code", "run")[0] == 4
    assert "process" in alone("-m", "pokerlab.jobs", "resume", "run", f"iterations={done + 2}", here=here)
    assert say("logs", "run", "--follow")[0] == 0
    assert [line["iteration"] for line in run.read_metrics()] == list(range(done + 2))


def test_a_run_is_killed_at_once(here: Path, say: Say) -> None:
    run = launched(here, "workers=1")
    assert say("stop", "run", "--now")[0] == 0
    assert say("status", "--exit-code", "run")[0] == 4
    assert run.read_summary()["state"] == "stopped"


# On Modal


def on_modal(server: FakeModal, here: Path, *overrides: str) -> RunFolder:
    ended = command("launch", *KUHN, "launcher=modal", "run_name=far", *overrides, cwd=here)
    assert ended.code == 0, ended.err
    return RunFolder(server.runs / "far")


def test_a_call_from_waiting_to_its_end(server: FakeModal, here: Path, say: Say) -> None:
    run = on_modal(server, here)
    code, out, _ = say("status", "--exit-code", "far", "--json")
    status = json.loads(out)
    assert (code, status["state"], status["alive"], status["call_id"]) == (3, "submitted", True, "fc-1")
    assert server.run() == "finished"
    code, out, _ = say("status", "--exit-code", "far", "--json")
    assert (code, json.loads(out)["iterations"]) == (0, 6)
    assert 0 < json.loads(out)["cost_usd"] < 1
    assert [line["cost_usd"] for line in run.read_metrics()] == sorted(
        line["cost_usd"] for line in run.read_metrics()
    )
    assert say("metrics", "far")[0] == 0
    assert "iteration 6" in say("logs", "far")[1]
    assert [status["run"] for status in json.loads(say("list", "--json")[1])] == ["far"]
    assert contents(here) == {}


def test_logs_of_a_call_that_has_not_begun_are_what_its_containers_print(
    server: FakeModal, here: Path, say: Say
) -> None:
    on_modal(server, here)
    waiting = r"far is submitted and has logged nothing yet, submitted \d+ s ago\n"
    code, out, err = say("logs", "far")  # Modal has no logs of it
    assert (code, out) == (0, "")
    assert re.fullmatch(waiting, err)
    server.printed["fc-1"] = "pulls the image\nstarts\n"
    code, out, err = say("logs", "far", "--lines", "1")
    assert (code, out) == (0, "starts\n")
    assert re.fullmatch(waiting, err)
    server.run()
    assert "starts" not in say("logs", "far")[1]


def test_waiting_goes_on_while_the_network_is_away(
    server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_modal(server, here)
    monkeypatch.setattr(FoundRun, "pause", 0.01)
    mirror, times = ModalRuns.mirror, iter(range(5))

    def fail_twice(*arguments: Any) -> RunFolder:
        time_number = next(times)
        if time_number in (1, 2):
            raise UserError("no route")
        if time_number == 3:
            server.run()
        return mirror(*arguments)

    monkeypatch.setattr(ModalRuns, "mirror", fail_twice)
    code, out, err = say("wait", "far")
    assert (code, out.splitlines()[-1]) == (0, "far is finished")
    assert err == 2 * "no route; goes on trying\n"


def test_a_call_that_is_gone_is_not_running(server: FakeModal, here: Path, say: Say) -> None:
    run = on_modal(server, here)
    run.update_job(state="running", attempts=1)
    server.over["fc-1"] = modal.exception.FunctionTimeoutError()
    assert say("status", "--exit-code", "far")[0] == 1
    server.over["fc-1"] = modal.exception.ConnectionError()
    code, out, _ = say("status", "--exit-code", "far")
    assert code == 3
    assert "running?" in out


def test_a_call_that_waits_is_cancelled(server: FakeModal, here: Path, say: Say) -> None:
    on_modal(server, here)
    assert say("stop", "far")[1] == "far is stopped after 0 iterations; there is no checkpoint yet\n"
    assert server.cancelled == [("fc-1", False)]
    assert server.stops == {}
    assert say("status", "--exit-code", "far")[0] == 4


def test_a_call_that_runs_saves_a_checkpoint_first(
    server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_app._Stop.__init__, "__defaults__", (0.05,))
    run = on_modal(server, here, "iterations=5000", "commit_every=1000", "evaluation.every=1000")
    run.update_job(attempts=1, state="running")

    def ask() -> None:
        while (run.read_summary().get("latest_iteration") or 0) < 3:
            time.sleep(0.05)
        told.append(say("stop", "far"))

    told: list[tuple[int, str, str]] = []
    run.update_job(attempts=0)
    thread = threading.Thread(target=ask)
    thread.start()
    assert server.run() == "stopped"
    thread.join()
    assert told[0][0] == 0
    done = run.read_summary()["latest_iteration"] + 1
    assert told[0][1].endswith(f"after {done} iterations; checkpoints/last.ckpt is there\n")
    assert server.cancelled == [("fc-1", False)]
    assert say("resume", "far", f"iterations={done + 1}", "launcher.gpu=H100")[0] == 0
    assert server.options["gpu"] == "H100:1"
    assert server.run() == "finished"
    assert len(run.read_metrics()) == done + 1


def test_a_preempted_call_goes_on_by_itself(
    server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch, finished: RunFolder
) -> None:
    run = on_modal(server, here, "checkpoint_every=2")
    generate, calls = SelfPlay.play, 0

    def interrupt_once(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return generate(*arguments, **keywords)

    monkeypatch.setattr(SelfPlay, "play", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        server.run()
    del server.over["fc-1"]  # Modal tries again
    code, out, _ = say("status", "--exit-code", "far", "--json")
    assert (code, json.loads(out)["state"]) == (3, "preempted")
    assert server.run() == "finished"
    assert run.read_job()["attempts"] == 2
    summary = run.read_summary()
    write_json(run.summary, summary | {"cost_usd": None})
    lines = [line | {"cost_usd": None} for line in run.read_metrics()]
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert_same_run(run, finished)


def test_what_may_be_the_machines_fault_is_tried_again(
    server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on_modal(server, here, "iterations=2")
    with monkeypatch.context() as broken:
        broken.setattr(SelfPlay, "play", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            server.run()
    del server.over["fc-1"]  # Modal tries again
    code, out, _ = say("status", "--exit-code", "far", "--json")
    status = json.loads(out)
    assert (code, status["state"]) == (3, "retrying")
    assert status["reason"].startswith("ZeroDivisionError")
    server.over["fc-1"] = ZeroDivisionError()
    assert say("status", "--exit-code", "far")[0] == 1
    del server.over["fc-1"]
    assert server.run() == "finished"
    assert run.read_job()["reason"] is None


def test_a_run_is_pulled_once_and_then_what_is_new(server: FakeModal, here: Path, say: Say) -> None:
    run = on_modal(server, here, "iterations=2", "selfplay.replay=disk")
    server.run()
    assert any(name.startswith("replay/values-") for name in contents(run.path))
    assert say("pull", "far")[0] == 0
    assert contents(here / "outputs/far") == contents(run.path)
    assert "outputs/far: 0 files came" in say("pull", "far")[1]
    assert say("resume", "far", "iterations=3")[0] == 0
    server.run()
    for path in run.path.rglob("*"):  # Modal counts in seconds
        os.utime(path, (2e9, 2e9))
    assert say("pull", "far")[0] == 0
    pulled = RunFolder(here / "outputs/far")
    assert contents(pulled.path)["training_metrics.jsonl"] == run.metrics.read_bytes()
    assert len(json.loads(say("list", "--json")[1])) == 1, "the copy is not another run"
    assert command("evaluate", "run=far", "search_iterations=2", "play_throughs=1", cwd=here).code == 0


def test_what_does_not_come_whole_does_not_stay(
    server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_modal(server, here, "iterations=2")
    server.run()
    read = fake_modal._Volume.read_file

    def cut(self: Any, path: str) -> Iterator[bytes]:
        whole = b"".join(read(self, path))
        yield whole[: len(whole) // 2] if path.endswith("last.ckpt") else whole

    monkeypatch.setattr(fake_modal._Volume, "read_file", cut)
    code, _, err = say("pull", "far")
    assert (code, err) == (2, "error: far changes faster than it comes: pull again later\n")
    pulled = here / "outputs/far"
    assert (pulled / "summary.json").exists()
    assert not [name for name in contents(pulled) if "last.ckpt" in name]
    monkeypatch.setattr(fake_modal._Volume, "read_file", read)
    assert "1 files came" in say("pull", "far")[1]


@pytest.mark.parametrize("path", ["far/../../away", "/far/../away", "other/summary.json"])
def test_nothing_is_pulled_to_another_folder(
    path: str, server: FakeModal, here: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_modal(server, here)
    entry = modal.types.FileEntry(path, modal.types.FileEntryType.FILE, mtime=1, size=3)
    listdir = fake_modal._Volume.listdir

    def listed(self: Any, folder: str, *, recursive: bool = False) -> Any:
        return [*listdir(self, folder, recursive=recursive), *([entry] if recursive else [])]

    monkeypatch.setattr(fake_modal._Volume, "listdir", listed)
    before = contents(here.parent)
    refused = f"error: the Volume lists {path!r}, which is not a file of far\n"
    assert say("pull", "far") == (2, "", refused)
    assert contents(here.parent) == before


def test_a_run_of_this_machine_is_not_pulled_over(
    server: FakeModal, here: Path, say: Say, finished: RunFolder
) -> None:
    on_modal(server, here)
    copy(finished, here, "far")
    assert say("pull", "far")[2] == "error: far is here already: outputs/far\n"


@pytest.mark.parametrize("arguments", [["list"], ["status", "far"], ["pull", "far"]])
def test_without_a_connection_it_says_so(
    arguments: list[str], server: FakeModal, here: Path, say: Say
) -> None:
    server.error = modal.exception.ConnectionError("no route")
    code, _, err = say(*arguments)
    assert code == (0 if arguments == ["list"] else 2)
    assert err.count("\n") == 1
    assert "no route" in err


@pytest.mark.parametrize("arguments", [["list"], ["status", "far"], ["pull", "far"]])
def test_a_server_that_cannot_be_reached_is_one_line(
    arguments: list[str], server: FakeModal, run: RunFolder, here: Path, say: Say
) -> None:
    server.reachable = False
    code, out, err = say(*arguments)
    assert code == (0 if arguments == ["list"] else 2)
    assert err.removeprefix("error: ") == "Modal cannot be reached: api.modal.com: no route\n"
    assert ("run" in out) == (arguments == ["list"])  # those that are here
