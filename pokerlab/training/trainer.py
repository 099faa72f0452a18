"""Lightning's Trainer as a run's ranks use it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.loggers.logger import Logger

from pokerlab.callbacks.checkpoint import OtherReplays, RunCheckpointIO, no_others
from pokerlab.config.schema import RunConfig
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.world import World, ask_nobody_about_signals, trainer_arguments


def make_trainer(
    config: RunConfig,
    run: RunFolder,
    parts: RunParts,
    callbacks: list[lightning.Callback],
    loggers: Sequence[Logger] = (),
    world: World | None = None,
    others: OtherReplays = no_others,
) -> lightning.Trainer:
    """The Trainer of a process.

    Args:
        config: of the run.
        run: its folder.
        parts: what it trains.
        callbacks: of this process.
        loggers: likewise.
        world: which rank this is; None: there is one.
        others: see :class:`~pokerlab.callbacks.checkpoint.RunCheckpointIO`.
    """
    plugins: list[Any] = [RunCheckpointIO(run, parts.data, parts.game.name, others)]
    if world is None:
        where: dict[str, Any] = {"devices": 1}
        plugins.append(LightningEnvironment())  # in a job of Slurm, Lightning would handle its signals
    else:
        where = trainer_arguments(world)
    trainer = lightning.Trainer(
        max_epochs=config.iterations,
        limit_train_batches=config.updates,
        log_every_n_steps=config.updates or 50,
        accelerator=config.trainer.accelerator,
        precision=config.trainer.precision,
        gradient_clip_val=config.trainer.gradient_clip,
        callbacks=callbacks,
        plugins=plugins,
        logger=list(loggers),
        enable_progress_bar=False,
        enable_model_summary=False,
        **where,
    )
    if world is not None:
        ask_nobody_about_signals(trainer)
    return trainer


def fit(trainer: lightning.Trainer, parts: RunParts, checkpoint: Path | None) -> None:
    """Trains to the end, without what Lightning would advise.

    Args:
        trainer: of :func:`make_trainer`.
        parts: what it trains.
        checkpoint: to begin at; None: at the start.
    """
    with warnings.catch_warnings():
        # one process loads batches on purpose: the data set itself is what works in parallel
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*`IterableDataset` has `__len__` defined.*")
        warnings.filterwarnings("ignore", ".*exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use
        # callbacks may be others than before; what they keep is then lost, and nothing else
        warnings.filterwarnings("ignore", ".*callbacks used to create the checkpoint.*")
        # of several ranks: what is logged is gathered before
        warnings.filterwarnings("ignore", ".*sync_dist=True.*")
        warnings.filterwarnings("ignore", ".*broadcast_buffers. is deprecated.*")  # older ones know no other
        trainer.fit(parts.module, datamodule=parts.data, ckpt_path=checkpoint, weights_only=True)
