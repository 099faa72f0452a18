"""Whether and how a run is logged to W&B."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.callbacks.metrics import Metrics
from pokerlab.errors import UserError
from pokerlab.store.folder import RunFolder
from pokerlab.store.records import GOING_ON

if TYPE_CHECKING:
    from pokerlab.callbacks.wandb_run import WandbRun

MODES = ("none", "online", "offline")


def check_logger(config: DictConfig, *, here: bool) -> None:
    """Checks the ``logger`` group.

    Args:
        config: of a run.
        here: whether it will run on this machine.

    Raises:
        UserError: a value is wrong, or W&B cannot be logged to from where the run will be.
    """
    logger = config.get("logger")
    if logger is None:  # of a run that began before there was one
        return
    if logger.mode not in MODES:
        raise UserError(f"logger.mode must be one of {', '.join(MODES)}, got {logger.mode!r}")
    if not isinstance(logger.upload_checkpoint, bool):
        raise UserError(f"logger.upload_checkpoint must be true or false, got {logger.upload_checkpoint!r}")
    for key in ("project", "entity"):
        if not isinstance(logger[key], str) and not (key == "entity" and logger[key] is None):
            raise UserError(f"logger.{key} must be a name, got {logger[key]!r}")
    if logger.mode != "online":
        return
    if not here and config.launcher.wandb_secret is None:
        raise UserError(
            "logger=wandb on Modal needs launcher.wandb_secret, the name of a Modal secret with WANDB_API_KEY"
        )
    if here and not _signed_in():
        raise UserError("no W&B credentials here: sign in with `wandb login`, or use logger=wandb_offline")


def _signed_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.Error as error:
        reason = " ".join(str(error).split())
        raise UserError(f"W&B: {reason} (logger=wandb_offline asks nobody)") from error


def open_board(
    run: RunFolder, config: DictConfig, metrics: Metrics, evaluation: ExploitabilityEvery
) -> AbstractContextManager["WandbRun | None"]:
    """The W&B run of ``config``, open, or nothing."""
    logger = config.get("logger")
    if logger is None or logger.mode == "none":
        return nullcontext()
    from pokerlab.callbacks.wandb_run import WandbRun  # wandb takes a while

    plain: Any = OmegaConf.to_container(config, resolve=True)
    options: Any = OmegaConf.to_container(logger, resolve=True)
    return WandbRun(run, plain, metrics, evaluation, **options)


def log_evaluation(run: RunFolder, config: DictConfig, results: dict[str, Any]) -> None:
    """Puts what ``evaluate`` found into the summary of the run's W&B run, if it has one and is not training.

    Args:
        run: the run's folder.
        config: the run's.
        results: what evaluation.json holds.
    """
    logger, job = config.get("logger"), run.read_job()
    if logger is None or logger.mode == "none" or "wandb_id" not in job:
        return
    if job.get("state") in GOING_ON:  # another process has the W&B run open
        return
    from pokerlab.callbacks.wandb_run import summarise

    summarise(run, results, mode=logger.mode, project=logger.project, entity=logger.entity)
