"""The loggers and callbacks that a config adds to a run's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
from lightning.pytorch.loggers.logger import Logger
from omegaconf import DictConfig, OmegaConf

from pokerlab.callbacks.guarded import GuardedLogger
from pokerlab.config.build import build, find_class, find_parameters
from pokerlab.errors import UserError, near
from pokerlab.store.folder import RunFolder
from pokerlab.store.records import GOING_ON

WANDB = "pokerlab.callbacks.wandb_run.WandbRun"
MODES = ("online", "offline")


def components(group: DictConfig) -> dict[str, DictConfig]:
    """A group that holds one component, or several by names of their own.

    Raises:
        UserError: it holds something else.
    """
    if group.get("_target_") is not None:
        return {str(group["_target_"]).rpartition(".")[2]: group}
    for name, component in group.items():
        if not isinstance(component, DictConfig) or "_target_" not in component:
            raise UserError(f"{group._get_full_key(name)} must be a group with a _target_, got {component!r}")
    return {str(name): component for name, component in group.items()}


def check_logger(config: DictConfig, *, here: bool) -> None:
    """Checks the ``logger`` group.

    Args:
        config: of a run.
        here: whether it will run on this machine.

    Raises:
        UserError: a value is wrong, or W&B cannot be logged to from where the run will be.
    """
    for component in (*components(config.callbacks).values(), *components(config.logger).values()):
        _check_arguments(component)
    for logger in components(config.logger).values():
        if logger["_target_"] == WANDB:
            _check_wandb(logger, config.launcher, here=here)


def _check_arguments(component: DictConfig) -> None:
    parameters = find_parameters(component)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in component:
        if key != "_target_" and key not in parameters:
            raise UserError(f"{component['_target_']} takes no {key}{near(str(key), list(parameters))}")


def _check_wandb(logger: DictConfig, launcher: DictConfig, *, here: bool) -> None:
    if logger.mode not in MODES:
        raise UserError(f"logger.mode must be one of {', '.join(MODES)}, got {logger.mode!r}")
    for key in ("upload_checkpoint", "save_code"):
        if not isinstance(logger[key], bool):
            raise UserError(f"logger.{key} must be true or false, got {logger[key]!r}")
    for key in ("project", "entity"):
        if not isinstance(logger[key], str) and not (key == "entity" and logger[key] is None):
            raise UserError(f"logger.{key} must be a name, got {logger[key]!r}")
    if logger.mode != "online":
        return
    if not here and launcher.wandb_secret is None:
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


@contextmanager
def open_loggers(run: RunFolder, config: DictConfig) -> Iterator[list[GuardedLogger]]:
    """The loggers of the config; those that need to be are closed at the end.

    Args:
        run: where those that write files do.
        config: of the run.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    given = {"run": run, "config": plain, "save_dir": str(run.path)}
    loggers = []
    for name, component in components(config.logger).items():
        loggers.append(GuardedLogger(lambda component=component: _logger(component, given), name))
        loggers[-1].log_hyperparams(plain)
    try:
        yield loggers
    except BaseException as error:
        for logger in loggers:
            logger.close(error)
        raise
    for logger in loggers:
        logger.close(None)


def _logger(component: DictConfig, given: dict[str, Any]) -> Logger:
    options: Any = OmegaConf.to_container(component, resolve=True)
    made = find_class(component)
    wanted = find_parameters(component)
    here = {key: value for key, value in given.items() if key in wanted and options.get(key) is None}
    return made(**{key: value for key, value in options.items() if key != "_target_"} | here)


def callbacks(config: DictConfig) -> list[lightning.Callback]:
    """The callbacks of the config."""
    return [build(component) for component in components(config.callbacks).values()]


def log_evaluation(run: RunFolder, config: DictConfig, results: dict[str, Any]) -> None:
    """Puts what ``evaluate`` found into the summary of the run's W&B run, if it has one and is not training.

    Args:
        run: the run's folder.
        config: the run's.
        results: what evaluation.json holds.
    """
    job = run.read_job()
    if "wandb_id" not in job or job.get("state") in GOING_ON:  # another process has the W&B run open
        return
    for logger in components(config.logger).values():
        if logger["_target_"] == WANDB:
            from pokerlab.callbacks.wandb_run import summarise  # wandb takes a while

            summarise(run, results, mode=logger.mode, project=logger.project, entity=logger.entity)
