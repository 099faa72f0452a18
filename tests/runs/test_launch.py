"""Submitting a run: here it goes on alone, on Modal it needs credentials."""

import inspect
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import modal
import pytest

from pokerlab.runs.folder import RunFolder
from runs.harness import KUHN, ROOT, command, contents, refusal

ON_MODAL = (*KUHN, "launcher=modal")


def launch(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "launch_modal.py", *arguments],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith("MODAL_")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_launched_here_goes_on_alone_and_finishes(tmp_path: Path) -> None:
    launched = launch(*KUHN, "launcher=local", "run_name=run", cwd=tmp_path)
    run = RunFolder(tmp_path / "outputs/run")
    job = run.read_job()
    pid = job["pid"]
    assert os.getsid(pid) == os.getpgid(pid) == pid  # a terminal that closes does not take it along
    assert job["state"] in ("submitted", "running")
    assert (job["experiment"], job["launcher"], job["call_id"]) == ("kuhn", "local", None)
    assert job["host"] == os.uname().nodename
    assert (launched.returncode, launched.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in launched.stdout.splitlines()]
    assert [word for word, _ in lines] == ["run", "follow", "stop", "resume", "results"]
    told = dict(lines)
    assert told["run"] == f"run (process {pid})"
    assert told["follow"] == "tail -f outputs/run/training.log"
    assert told["stop"].startswith(f"kill {pid} ")
    assert told["resume"] == "python launch_modal.py resume_from=outputs/run"
    until = time.monotonic() + 100
    while run.read_job()["state"] != "finished" or not (run.plots / "exploitability_seconds.png").exists():
        assert time.monotonic() < until, run.output.read_text()
        time.sleep(0.05)
    assert run.read_job() == job | {"state": "finished"}
    assert json.loads(run.summary.read_text())["latest_iteration"] == 5
    assert "iteration 6" in run.output.read_text()


def test_without_credentials_both_remedies_are_named(tmp_path: Path) -> None:
    (tmp_path / "modal.toml").touch()
    before = contents(tmp_path)
    refused = launch(*ON_MODAL, cwd=tmp_path, MODAL_CONFIG_PATH=str(tmp_path / "modal.toml"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: no Modal credentials here: sign in with `modal token new`, "
        "or run on this machine with launcher=local\n"
    )
    assert contents(tmp_path) == before


class FakeModal:
    """Stands where Modal's servers would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.error = error
        self.options: dict[str, Any] = {}
        self.spawned: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.object_id = "fc-123"
        monkeypatch.setattr(modal.App, "deploy", self.deploy)
        monkeypatch.setattr(modal.Function, "from_name", self.from_name)

    def deploy(self, *_: Any) -> None:
        if self.error is not None:
            raise self.error

    def from_name(self, app: str, name: str) -> "FakeModal":
        assert (app, name) == ("pokerlab", "train")
        return self

    def with_options(self, **options: Any) -> "FakeModal":
        inspect.signature(modal.Function.with_options).bind(None, **options)
        self.options = options
        return self

    def spawn(self, config: dict[str, Any], job: dict[str, Any]) -> "FakeModal":
        self.spawned.append((config, job))
        return self


def test_phase1_is_deployed_and_spawned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeModal(monkeypatch)
    ended = command("launch", "experiment=phase1", "run_name=big", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert contents(tmp_path) == {}
    retries = server.options.pop("retries")
    assert (retries.max_retries, retries.initial_delay) == (10, timedelta(0))
    assert server.options == {"gpu": "A10G", "cpu": 8.0, "memory": 32768, "timeout": 86400}
    [(config, job)] = server.spawned
    assert json.loads(json.dumps(config)) == config  # plain values only
    assert (config["run_name"], config["trainer"]["accelerator"]) == ("big", "cuda")
    assert {key: job[key] for key in ("experiment", "launcher", "state")} == {
        "experiment": "phase1",
        "launcher": "modal",
        "state": "submitted",
    }
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert [word for word, _ in lines] == ["run", "follow", "stop", "fetch"]
    assert dict(lines)["run"] == "big (call fc-123)"
    assert dict(lines)["fetch"] == "modal volume get pokerlab-runs big outputs/"


def test_each_run_of_a_sweep_is_spawned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeModal(monkeypatch)
    assert command("launch", "-m", *ON_MODAL, "seed=1,2", cwd=tmp_path).code == 0
    assert [config["seed"] for config, _ in server.spawned] == [1, 2]
    submissions = {job["submission"] for _, job in server.spawned}
    assert len(submissions) == 2


@pytest.mark.parametrize(
    "error", [modal.exception.ConnectionError("no\nroute"), modal.exception.InvalidError("no\nroute")]
)
def test_what_modal_says_is_one_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeModal(monkeypatch, error)
    assert refusal("launch", *ON_MODAL, cwd=tmp_path) == "Modal did not take the run: no route"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("launcher.time_limit=86401", "launcher.time_limit may be at most 86400, got 86401"),
        ("launcher.retries=11", "launcher.retries may be at most 10, got 11"),
        ("launcher.retries=-1", "launcher.retries must be an integer of at least 0, got -1"),
        ("launcher.time_limit=day", "launcher.time_limit must be an integer of at least 1, got 'day'"),
        ("run_dir=there",
         "run_dir does not apply on Modal, where a run's folder is /runs/<run_name>: leave it out"),
        ("iterations=0", "iterations must be an integer of at least 1, got 0"),
        ("launcher.name=aws", "launcher.name must be one of local, modal, got 'aws'"),
    ],
)  # fmt: skip
def test_what_modal_would_not_take_is_not_sent(
    override: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModal(monkeypatch)
    assert refusal("launch", *ON_MODAL, override, cwd=tmp_path) == expected
    assert server.spawned == []


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("resume_from=nothing", "no run 'nothing' here"),
        ("run_dir=/dev/null/run", "cannot write run_dir /dev/null/run: Not a directory"),
        ("trainer.accelerator=abacus", "trainer.accelerator='abacus' is not available here: "),
    ],
)
def test_what_cannot_run_here_is_not_launched(override: str, expected: str, tmp_path: Path) -> None:
    assert refusal("launch", *KUHN, "launcher=local", override, cwd=tmp_path).startswith(expected)
