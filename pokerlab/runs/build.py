"""From config values to objects, with errors that name the key."""

import inspect
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from pokerlab.errors import UserError


def build(config: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Instantiates a config group by its ``_target_``.

    Raises:
        UserError: a value is wrong; says which.
    """
    target = hydra.utils.get_class(config["_target_"])
    for key, value in ((str(key), value) for key, value in config.items()):
        expected = inspect.signature(target).parameters.get(key)
        if expected is not None and expected.annotation is bool and not isinstance(value, bool):
            raise UserError(f"{key} of {target.__name__} must be true or false, got {value!r}")
    try:
        return hydra.utils.instantiate(config, *args, **kwargs)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError):
            raise UserError(str(cause)) from error
        if isinstance(cause, TypeError):
            given = {key: value for key, value in config.items() if key != "_target_"}
            raise UserError(f"wrong type of value for {target.__name__}, given {given}: {cause}") from error
        raise


def check_integer(config: DictConfig, key: str, *, least: int) -> int:
    """``config[key]`` as an integer of at least ``least``.

    Raises:
        UserError: it is not.
    """
    value = OmegaConf.select(config, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{key} must be an integer of at least {least}, got {value!r}")
    return value


def check_positive(config: DictConfig, *keys: str) -> None:
    """Each key must hold an integer of at least 1."""
    for key in keys:
        check_integer(config, key, least=1)


def check_output_path(config: DictConfig, key: str) -> Path | None:
    """``config[key]`` as a file that can be written, or None.

    Raises:
        UserError: its folder does not exist, or it is a folder itself.
    """
    if config[key] is None:
        return None
    path = Path(str(config[key]))
    if not path.parent.is_dir():
        raise UserError(f"{key}={path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise UserError(f"{key}={path} is a folder: expected a file")
    return path


def torch_device(name: str) -> torch.device:
    """A device that is there.

    Raises:
        UserError: it is not.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device {name!r} is not available here: expected cpu, or cuda where there is a GPU"
        ) from error
    return device
