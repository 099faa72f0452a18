"""A tiny run of Kuhn with chosen callbacks and loggers."""

import warnings
from functools import partial
from pathlib import Path

import lightning
from lightning.pytorch.loggers.logger import Logger
from runs.harness import KUHN

from pokerlab.algorithms.rebel import ReBeL
from pokerlab.callbacks.checkpoint import RunCheckpoint, RunCheckpointIO
from pokerlab.config.command import compose
from pokerlab.games.base import Game
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts


def fit(
    folder: Path,
    *given: lightning.Callback | Logger,
    iterations: int = 5,
    resume: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> RunParts:
    """Trains; needs no RunCheckpoint."""
    callbacks = [each for each in given if isinstance(each, lightning.Callback)]
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    parts = RunParts(compose("train", [*KUHN, f"iterations={iterations}", *overrides]), run)
    trainer = lightning.Trainer(
        max_epochs=iterations,
        limit_train_batches=4,
        accelerator="cpu",
        callbacks=callbacks,
        plugins=[RunCheckpointIO(run, parts.data, "kuhn")],
        logger=[each for each in given if isinstance(each, Logger)] or False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(callback, RunCheckpoint) for callback in callbacks),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        trainer.fit(parts.module, datamodule=parts.data, ckpt_path=resume, weights_only=True)
    return parts


def rebel(game: Game) -> ReBeL:
    """The algorithm, with DCFR."""
    return ReBeL(
        game,
        solver=Solver("dcfr"),
        value_network=partial(ValueNetwork, hidden=16, layers=2),
        policy_network=partial(PolicyNetwork, hidden=16, layers=2),
        iterations=5,
        seed=1,
        search_iterations=5,
        value_capacity=100,
        policy_capacity=100,
    )
