"""launcher=slurm: runs as jobs of a cluster, whose commands are stood in for."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pokerlab.jobs import command as jobs
from pokerlab.store.folder import RunFolder
from runs.fake_slurm import install
from runs.harness import KUHN, ROOT, command

SLURM = (*KUHN, "evaluation.every=1000", "commit_every=1", "launcher=slurm", "run_name=run")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster, and a folder on it."""
    monkeypatch.setenv("PATH", f"{install(tmp_path)}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def until(what: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.timeout(400)
def test_a_run_is_submitted_preempted_stopped_and_resumed(
    cluster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = command("launch", *SLURM, "iterations=5000", cwd=cluster)
    assert told.code in (None, 0), told.err
    assert told.out.startswith("run      run (job 1)\n")
    run, process = RunFolder(cluster / "outputs" / "run"), tmp_path / "jobs" / "1" / "pid"

    def status() -> dict[str, object]:
        capsys.readouterr()
        jobs.main(["status", "run", "--json"])
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    until(lambda: len(run.read_metrics()) > 2)
    assert (status()["state"], status()["alive"]) == ("running", True)
    os.kill(int(process.read_text()), signal.SIGUSR2)  # time is up, or somebody else needs the node
    until(lambda: run.read_job()["attempts"] == 2 and run.read_job()["state"] == "running")
    before = len(run.read_metrics())
    until(lambda: len(run.read_metrics()) > before + 1)

    assert "is running as job 1: stop that first" in command(
        "launch", "launcher=slurm", "resume_from=run", cwd=cluster
    ).err  # fmt: skip
    assert jobs.main(["stop", "run"]) == 0
    assert "run is stopped after" in capsys.readouterr().out
    assert (status()["state"], status()["alive"]) == ("stopped", False)
    done = len(run.read_metrics())

    assert jobs.main(["resume", "run", f"iterations={done + 2}", "launcher.cpus=2"]) == 0
    assert "(job 2)" in capsys.readouterr().out
    assert jobs.main(["wait", "run", "--timeout", "120"]) == 0
    assert [line["iteration"] for line in run.read_metrics()] == list(range(done + 2))
    assert "--cpus-per-task=2" in (tmp_path / "jobs" / "2" / "script").read_text()


def test_what_a_job_asks_for(cluster: Path, tmp_path: Path) -> None:
    asked = (
        "launcher.partition=long", "launcher.gpus=1", "launcher.memory=4096", "launcher.time_limit=90",
        "launcher.setup=[module load cuda]", "+launcher.options.exclude=node7",
    )  # fmt: skip
    told = command("launch", *SLURM, "iterations=1", *asked, cwd=cluster)
    assert told.code in (None, 0), told.err
    assert "launcher.gpus idle: add trainer=gpu" in told.out
    script = (tmp_path / "jobs" / "1" / "script").read_text()
    for line in (
        "partition=long", "gpus-per-node=1", "mem=4096M", "time=2", "exclude=node7", "job-name=run",
        "signal=USR2@90",
    ):  # fmt: skip
        assert f"#SBATCH --{line}\n" in script
    assert "\nmodule load cuda\n" in script
    until(lambda: RunFolder(cluster / "outputs" / "run").read_job()["state"] == "finished")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["launcher.partition=nowhere"], "Slurm refuses the job: sbatch: error: invalid partition"),
        (["+launcher.options.colour=red"], "launcher.options: Unavailable parameter(s): ['colour']"),
        (["launcher.time_limit=1"], "launcher.time_limit"),
        (["launcher.max_cost_usd=1"], "launcher.max_cost_usd needs a price"),
    ],
)
def test_what_slurm_refuses_is_a_line_and_leaves_nothing(
    overrides: list[str], said: str, cluster: Path
) -> None:
    ended = command("launch", *SLURM, *overrides, cwd=cluster)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (cluster / "outputs" / "run").exists()


def test_without_slurm_a_line_says_so(tmp_path: Path) -> None:
    ended = command("launch", *SLURM, cwd=tmp_path)
    assert (ended.code, ended.err) == (
        2, "error: there is no srun here: launch on a machine of the cluster, or with launcher=local\n"
    )  # fmt: skip


def test_where_no_job_can_be_submitted_a_line_says_so(cluster: Path, tmp_path: Path) -> None:
    next(tmp_path.rglob("sbatch")).unlink()
    ended = command("launch", *SLURM, cwd=cluster)
    assert ended.code == 2
    assert ended.err.startswith("error: there is no sbatch here: launch on a machine that may submit jobs")
    assert not (cluster / "outputs").exists()


def test_logging_goes_on_when_submitit_is_imported() -> None:
    code = "import logging; h = logging.FileHandler('/dev/null'); logging.getLogger().addHandler(h);"
    code += "from pokerlab.jobs.slurm import submitit; submitit(); print(h.stream.closed)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
