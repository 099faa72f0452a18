"""The Modal function: its definition, and its body over a folder that is no Volume."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pokerlab.config.command import compose
from pokerlab.config.schema import plain
from pokerlab.jobs import modal_app
from pokerlab.jobs.modal_app import train_in, train_on_modal
from pokerlab.store.files import shipped_path
from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, assert_same_run, config_of, contents, copy, metrics, never, trained

pytestmark = [
    pytest.mark.usefixtures("_no_plots"),
]
JOB = {"experiment": "kuhn", "launcher": "modal", "submission": "first", "state": "submitted"}


@pytest.fixture
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pokerlab.evaluation.plots.save", lambda *_, **__: None)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=tmp_path_factory.mktemp("straight"))


def config(*overrides: str) -> dict[str, Any]:
    composed = compose("train", [*KUHN, "checkpoint_every=2", "run_name=run", *overrides])
    return plain(composed)


def test_the_image_gets_configs_and_nothing_else_that_lies_there() -> None:
    files = [path for path in shipped_path("conf").rglob("*") if path.is_file()]
    assert files
    assert not any(modal_app.NOT_SHIPPED(path) for path in files)
    for decoy in (".env", "game/secrets.json", "notes.yaml.bak"):
        assert modal_app.NOT_SHIPPED(Path(decoy))


def test_the_image_gets_what_a_gpu_needs_and_no_other_extra() -> None:
    needed = modal_app.needed()
    assert any(requirement.startswith("torch<") for requirement in needed)
    assert any(requirement.startswith("numba-cuda[cu13]<") for requirement in needed)
    assert not any(requirement.startswith(("pytest", "furo")) for requirement in needed)


class Volume:
    """Counts commits, and keeps what the first so many would have kept."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.committed: list[dict[str, bytes | None]] = []

    def commit(self) -> None:
        self.committed.append(contents(self.runs))


def test_the_function_trains_and_commits(straight: RunFolder, tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    train_in(tmp_path, config(), JOB, volume.commit, never)
    run = RunFolder(tmp_path / "run")
    assert_same_run(run, straight)
    job = run.read_job()
    assert {key: job[key] for key in JOB} == JOB | {"state": "finished"}
    stored = config_of(run)
    assert (stored["run_name"], stored["run_dir"]) == ("run", str(run.path))
    states = [set(kept) for kept in volume.committed]
    assert "run/config.yaml" in states[0]
    assert "run/checkpoints/last.ckpt" not in states[0]
    checkpoints = [len([name for name in kept if "iteration=" in name]) for kept in states]
    assert checkpoints == [0, 1, 2, 3, 3]  # at the start, after each checkpoint, at the end
    assert volume.committed[-1] == contents(tmp_path)


def test_an_attempt_ends_before_its_time_is_over_and_the_next_goes_on(
    straight: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modal would kill it: it saves, and fails, so that Modal tries again."""
    volume, limited = Volume(tmp_path), config("launcher=modal", "launcher.time_limit=100")
    run = RunFolder(tmp_path / "run")

    def clock() -> float:
        """An iteration that is in the metrics took a hundred seconds."""
        return 1e9 + 100 * len(run.read_metrics())

    monkeypatch.setattr("pokerlab.callbacks.cost.time", SimpleNamespace(time=clock))
    for attempts in (1, 2):
        with pytest.raises(modal_app.AttemptEndedError):
            train_in(tmp_path, limited, JOB, volume.commit, never, since=clock())
        job = run.read_job()
        assert (job["state"], job["reason"], job["attempts"]) == ("retrying", "time_limit=100", attempts)
        assert len(run.read_metrics()) == 2 * attempts
    train_in(tmp_path, limited, JOB, volume.commit, never)
    assert run.read_job()["state"] == "finished"
    losses = [[line["value_loss"] for line in each.read_metrics()] for each in (run, straight)]
    assert losses[0] == losses[1]


def test_an_attempt_that_is_too_short_for_an_iteration_is_not_paid_for_again(tmp_path: Path) -> None:
    volume, limited = Volume(tmp_path), config("launcher=modal", "launcher.time_limit=100")
    assert train_in(tmp_path, limited, JOB, volume.commit, never, since=time.time() - 3600) == "failed"
    job = RunFolder(tmp_path / "run").read_job()
    assert (job["state"], job["reason"]) == (
        "failed", "time_limit=100 is too short for one iteration: raise it, or lower trajectories",
    )  # fmt: skip


def test_a_retry_goes_on_from_what_was_committed(straight: RunFolder, tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    train_in(tmp_path, config(), JOB, volume.commit, never)
    for name, content in contents(tmp_path).items():  # a new container, which sees the second checkpoint
        kept = volume.committed[2].get(name)
        if kept is not None:
            (tmp_path / name).write_bytes(kept)
        elif content is not None:
            (tmp_path / name).unlink()
    run = RunFolder(tmp_path / "run")
    before = run.read_metrics()
    assert len(before) == 4
    train_in(tmp_path, config(), JOB, volume.commit, never)
    assert_same_run(run, straight)
    assert run.read_metrics()[:4] == before


def test_a_retry_of_a_finished_run_changes_nothing(straight: RunFolder, tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    train_in(tmp_path, config(), JOB, volume.commit, never)
    run = RunFolder(tmp_path / "run")
    before = contents(run.checkpoints), run.metrics.read_bytes()
    train_in(tmp_path, config(), JOB, volume.commit, never)
    assert (contents(run.checkpoints), run.metrics.read_bytes()) == before
    assert run.read_job()["state"] == "finished"


def test_another_run_of_that_name_is_refused(
    straight: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(copy(straight, tmp_path).path.rename(tmp_path / "run"))
    run.update_job(**JOB)
    before = contents(run.path)
    volume = Volume(tmp_path)
    state = train_in(tmp_path, config("seed=2"), JOB | {"submission": "second"}, volume.commit, never)
    assert state == "refused"
    assert "already holds a run" in capsys.readouterr().out
    assert contents(run.path) == before
    assert volume.committed == []


def test_what_fails_is_committed_too(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    assert train_in(tmp_path, config("model.learning_rate=1e30"), JOB, volume.commit, never) == "failed"
    assert RunFolder(tmp_path / "run").read_job()["state"] == "failed"
    assert volume.committed[-1] == contents(tmp_path)


@pytest.mark.filterwarnings("ignore:The train function is executing locally")
def test_called_locally_the_function_trains_under_runs(
    straight: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(tmp_path)
    monkeypatch.setattr(modal_app, "RUNS", tmp_path)
    monkeypatch.setattr(modal_app, "volume", volume)
    train_on_modal.local(config(), JOB)
    assert metrics(RunFolder(tmp_path / "run")) == metrics(straight)
    assert len(volume.committed) == 5
