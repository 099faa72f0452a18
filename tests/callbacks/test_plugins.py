"""Any Lightning logger or callback, and any optimiser, from a YAML; and loggers that fail."""

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs.harness import KUHN, command, metrics, refusal, trained
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pokerlab.config.command import compose
from pokerlab.training.assemble import RunParts

FEW = (*KUHN, "iterations=3", "evaluation.every=null")


def test_a_csv_logger_has_what_the_metrics_have(tmp_path: Path) -> None:
    run = trained(*FEW, "logger=csv", "callbacks=learning_rate_monitor", "run", cwd=tmp_path)
    with (run.path / "csv" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["iteration"]]
    lines = metrics(run)
    assert len(rows) == len(lines) == 3
    for row, line in zip(rows, lines, strict=True):
        for name in ("iteration", "value_loss", "policy_loss", "examples", "learning_rate"):
            assert float(row[name]) == pytest.approx(line[name])
        assert line["lr-Adam"] == pytest.approx(line["learning_rate"])


def test_a_tensorboard_logger_has_what_the_metrics_have(tmp_path: Path) -> None:
    run = trained(*FEW, "logger=tensorboard", "run", cwd=tmp_path)
    found = EventAccumulator(str(run.path / "tensorboard"))
    found.Reload()
    for name in ("value_loss", "policy_loss", "learning_rate"):
        logged = [event.value for event in found.Scalars(name)]
        assert logged == pytest.approx([line[name] for line in metrics(run)])


def test_several_loggers_and_callbacks_work_together(tmp_path: Path) -> None:
    several = "callbacks=[early_stopping,learning_rate_monitor]"
    patience = ("callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=100")
    run = trained(*FEW, several, *patience, "iterations=6", "run", cwd=tmp_path)
    assert len(metrics(run)) == 2  # the second is no better
    assert all(line["lr-Adam"] is not None for line in metrics(run))
    summary = run.read_summary()
    assert (summary["state"], summary["latest_iteration"]) == ("stopped", 1)
    assert (run.checkpoints / "last.ckpt").exists()
    job = run.read_job()
    assert (job["state"], job["reason"]) == ("stopped", "a callback stopped it")


def test_another_optimiser_is_a_class_and_its_arguments() -> None:
    chosen = {"_target_": "torch.optim.SGD", "momentum": 0.9}
    config = replace(compose("train", [*FEW]), optimizer=chosen)
    optimizer = RunParts(config).optimizer()
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["momentum"] == 0.9
    assert optimizer.defaults["lr"] == config.model.learning_rate


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_adam_is_one_kernel(precision: str) -> None:
    config = compose("train", [*FEW, f"trainer.precision={precision}"])
    optimizer: Any = RunParts(config).optimizer()
    assert optimizer.defaults["fused"] is True


def test_a_logger_that_fails_is_left_out_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder would have to be")
    options = ("logger=csv", f"logger.save_dir={tmp_path / 'taken'}", "run_name=run")
    ended = command("train", *FEW, *options, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    [said] = [line for line in ended.out.splitlines() if "logs nothing more" in line]
    assert "CSVLogger failed, and logs nothing more: " in said
    assert [line["iteration"] for line in metrics_of(tmp_path)] == [0, 1, 2]


def metrics_of(place: Path) -> list[dict[str, Any]]:
    from pokerlab.store.folder import RunFolder

    return metrics(RunFolder(place / "outputs" / "run"))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_home_that_cannot_be_written_does_not_stop_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("")
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    options = ("logger=wandb_offline", "logger.upload_checkpoint=true", "evaluation.every=1", "iterations=2")
    run = trained(*FEW, *options, "run", cwd=tmp_path, plots=True)
    assert len(metrics(run)) == 2
    assert "logs nothing more" not in run.log.read_text()
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["logger=csvv"], "unknown logger 'csvv': did you mean csv?"),
        (["callbacks=early_stop"], "unknown callbacks 'early_stop': did you mean early_stopping?"),
        (["optimizer=adm"], "unknown optimizer 'adm': did you mean adam?"),
        (["actors=her"], "unknown actors 'her': did you mean here?"),
        (["algorithm=rebell"], "unknown algorithm 'rebell': did you mean rebel?"),
    ],
)
def test_a_choice_that_is_not_there_is_refused(overrides: list[str], message: str, tmp_path: Path) -> None:
    assert refusal("train", *FEW, *overrides, cwd=tmp_path) == message


def test_playing_here_is_playing_without_processes(tmp_path: Path) -> None:
    runs = [trained(*FEW, f"actors={actors}", actors, cwd=tmp_path) for actors in ("here", "processes")]
    first, second = ([line["value_loss"] for line in metrics(run)] for run in runs)
    assert first == second


@pytest.mark.parametrize(("rate", "updates"), [("1e38", 1), ("1e10", 1), ("1e10", 2)])
def test_steps_that_overflow_end_the_run_in_one_line(rate: str, updates: int, tmp_path: Path) -> None:
    """Be it the loss, the weights after the last step, or what they make of the next iteration."""
    huge = (f"model.learning_rate={rate}", f"updates={updates}", "trainer.gradient_clip=0")
    ended = command("train", *KUHN, *huge, "evaluation.every=1", "run_name=run", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (1, "")
    assert "Traceback" not in ended.out
    [said] = [line for line in ended.out.splitlines() if "failed" in line]
    assert "failed: NonFiniteLossError: non-finite " in said
