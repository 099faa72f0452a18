"""A tiny run of Kuhn with chosen callbacks."""

import warnings
from pathlib import Path

import lightning
from runs.harness import KUHN

from pokerlab.callbacks.checkpoint import RunCheckpoint, RunCheckpointIO
from pokerlab.config.command import compose
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import Assembled


def fit(
    folder: Path,
    *callbacks: lightning.Callback,
    iterations: int = 5,
    resume: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> Assembled:
    """Trains; needs no RunCheckpoint."""
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    parts = Assembled(compose("train", [*KUHN, f"iterations={iterations}", *overrides]), run)
    trainer = lightning.Trainer(
        max_epochs=iterations,
        limit_train_batches=4,
        accelerator="cpu",
        callbacks=[*callbacks],
        plugins=[RunCheckpointIO(run, parts.data)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(callback, RunCheckpoint) for callback in callbacks),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        trainer.fit(parts.module, datamodule=parts.data, ckpt_path=resume, weights_only=True)
    return parts
