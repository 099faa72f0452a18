"""The body of a submitted run: needs its folder only, and can be started again."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pokerlab.config.command import compose
from pokerlab.config.stored import write_config
from pokerlab.jobs import detached
from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, assert_same_run, copy, metrics, trained

pytestmark = [
    pytest.mark.usefixtures("_no_plots"),
]


@pytest.fixture
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pokerlab.evaluation.plots.save", lambda *_, **__: None)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=tmp_path_factory.mktemp("straight"))


def submitted(folder: Path, *overrides: str) -> RunFolder:
    run = RunFolder(folder)
    run.claim()
    write_config(run, compose("train", [*KUHN, "checkpoint_every=2", *overrides]))
    run.update_job(state="submitted")
    return run


def test_a_submitted_run_is_trained(straight: RunFolder, tmp_path: Path) -> None:
    run = submitted(tmp_path / "run")
    assert detached.main([str(run.path)]) == 0
    assert run.read_job()["state"] == "finished"
    assert_same_run(run, straight)


def test_started_again_it_goes_on_from_its_last_checkpoint(straight: RunFolder, tmp_path: Path) -> None:
    run = copy(straight, tmp_path)
    (run.checkpoints / "last.ckpt").write_bytes(run.checkpoint(4).read_bytes())
    times = [line["timestamp"] for line in run.read_metrics()]
    assert detached.main([str(run.path)]) == 0
    assert_same_run(run, straight)
    assert [line["timestamp"] for line in run.read_metrics()][:4] == times[:4]  # not trained again
    assert run.read_metrics()[4]["timestamp"] > times[5]


def test_it_begins_where_it_is_told(straight: RunFolder, tmp_path: Path) -> None:
    run = copy(straight, tmp_path)
    times = [line["timestamp"] for line in run.read_metrics()]
    assert detached.main([str(run.path), str(run.checkpoint(2))]) == 0
    assert_same_run(run, straight)
    assert run.read_metrics()[2]["timestamp"] > times[5]


def test_a_mistake_in_its_config_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = submitted(tmp_path / "run")
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(run.config), {"iterations": 0}), run.config)
    assert detached.main([str(run.path)]) == 2
    mistake = "iterations must be an integer of at least 1, got 0"
    assert capsys.readouterr().err == f"error: {run.config}: {mistake}\n"
    assert run.read_job()["state"] == "failed"


def test_a_run_that_fails_says_so(tmp_path: Path) -> None:
    run = submitted(tmp_path / "run", "model.learning_rate=1e30")
    assert detached.main([str(run.path)]) == 1
    assert run.read_job()["state"] == "failed"
    assert metrics(run) == []
