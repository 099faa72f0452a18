"""The loggers and callbacks that a config adds to a run's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import lightning
from lightning.pytorch.loggers.logger import Logger

from pokerlab.callbacks.guarded_logger import GuardedLogger
from pokerlab.config.build import build, check, parameters_of
from pokerlab.config.fields import Component
from pokerlab.config.schema import Launcher, LeagueConfig, ModalLauncher, RunConfig, plain
from pokerlab.errors import UserError
from pokerlab.store.folder import RunFolder
from pokerlab.store.records import GOING_ON

WANDB = "pokerlab.callbacks.wandb_run.WandbRun"
MODES = ("online", "offline")
GIVEN = ("run", "config", "save_dir")
"""What a logger gets from its run, unless its own config says it."""


def components(group: dict[str, Any]) -> dict[str, Component]:
    """A group that holds one component, or several by names of their own."""
    return {str(group["_target_"]).rpartition(".")[2]: group} if "_target_" in group else group


def check_logger(config: RunConfig, *, here: bool) -> None:
    """Checks the ``logger`` group.

    Args:
        config: of a run.
        here: whether it will run on this machine.

    Raises:
        UserError: a value is wrong, or W&B cannot be logged to from where the run will be.
    """
    for name, component in components(config.callbacks).items():
        check(component, key=f"callbacks.{name}", kind=lightning.Callback)
    check_loggers(config.logger, config.launcher, here=here)


def check_loggers(group: dict[str, Any], launcher: Launcher | None, *, here: bool) -> None:
    """The same of a ``logger`` group alone."""
    for name, component in components(group).items():
        key = "logger" if component is group else f"logger.{name}"
        given = [name for name in GIVEN if name in parameters_of(component, key)]
        check(component, key=key, kind=Logger, given=(0, *given))
        if component["_target_"] == WANDB:
            _check_wandb(component, launcher, here=here)


def _check_wandb(logger: Component, launcher: Launcher | None, *, here: bool) -> None:
    if logger["mode"] not in MODES:
        raise UserError(f"logger.mode must be one of {', '.join(MODES)}, got {logger['mode']!r}")
    if logger["mode"] != "online":
        return
    if not here and isinstance(launcher, ModalLauncher) and launcher.wandb_secret is None:
        raise UserError(
            "logger=wandb on Modal needs launcher.wandb_secret, the name of a Modal secret with WANDB_API_KEY"
        )
    if here and not _is_signed_in():
        raise UserError("no W&B credentials here: sign in with `wandb login`, or use logger=wandb_offline")


def _is_signed_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except wandb.Error as error:
        reason = " ".join(str(error).split())
        raise UserError(f"W&B: {reason} (logger=wandb_offline asks nobody)") from error


@contextmanager
def open_loggers(run: RunFolder, config: RunConfig | LeagueConfig) -> Iterator[list[GuardedLogger]]:
    """The loggers of the config; those that need to be are closed at the end.

    Args:
        run: where those that write files do: a run's folder, or a league's.
        config: of the run, or of the league.
    """
    values = plain(config)
    given = {"run": run, "config": values, "save_dir": str(run.path)}
    loggers = []
    for name, component in components(config.logger).items():
        loggers.append(GuardedLogger(partial(_logger, component, given), name))
        loggers[-1].log_hyperparams(values)
    try:
        yield loggers
    except BaseException as error:
        for logger in loggers:
            logger.close(error)
        raise
    for logger in loggers:
        logger.close(None)


def _logger(component: Component, given: dict[str, Any]) -> Logger:
    wanted = parameters_of(component, "logger")
    here = {key: value for key, value in given.items() if key in wanted and component.get(key) is None}
    own = {key: value for key, value in component.items() if key not in here}
    made: Logger = build(own, key="logger", kind=Logger, **here)
    return made


def callbacks(config: RunConfig) -> list[lightning.Callback]:
    """The callbacks of the config."""
    named = components(config.callbacks).items()
    return [build(component, key=f"callbacks.{name}", kind=lightning.Callback) for name, component in named]


def log_evaluation(run: RunFolder, config: RunConfig, results: dict[str, Any]) -> None:
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

            summarise(run, results, mode=logger["mode"], project=logger["project"], entity=logger["entity"])
