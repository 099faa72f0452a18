"""From config values to objects, with errors that name the key."""

import inspect
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from pokerlab.errors import UserError
from pokerlab.games.base import Game

DEVICES = "expected cpu, or cuda where there is a GPU"


def build(config: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Instantiates a config group by its ``_target_``.

    Raises:
        UserError: a value is wrong; says which.
    """
    target, parameters = find_class(config), find_parameters(config)
    for key, value in ((str(key), value) for key, value in config.items()):
        expected = parameters.get(key)
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
            raise UserError(f"wrong type of value for {target.__name__}, given {given}") from error
        raise


def find_class(config: Mapping[str, Any]) -> Any:
    """The class that a component names.

    Raises:
        UserError: there is none.
    """
    try:
        return hydra.utils.get_class(config["_target_"])
    except Exception as error:  # what Hydra raises depends on how the path is wrong
        raise UserError(f"_target_ {config.get('_target_')!r} is not a class") from error


def find_parameters(config: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    """What the class that a component names takes, by name.

    Raises:
        UserError: there is no such class.
    """
    try:
        return inspect.signature(find_class(config)).parameters
    except ValueError as error:  # of one that is written in C
        raise UserError(f"_target_ {config['_target_']!r} cannot be made from a config") from error


def check_integer(config: DictConfig, key: str, *, least: int, most: int = 2**62) -> int:
    """``config[key]`` as an integer from ``least`` to ``most``.

    Raises:
        UserError: it is not.
    """
    value = OmegaConf.select(config, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{key} must be an integer of at least {least}, got {value!r}")
    if value > most:
        raise UserError(f"{key} may be at most {most}, got {value}")
    return value


def check_numbers(config: DictConfig, *keys: str) -> None:
    """Each key must hold a finite number, not negative.

    Raises:
        UserError: one does not.
    """
    for key in keys:
        value = OmegaConf.select(config, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UserError(f"{key} must be a number of at least 0, got {value!r}")


def check_optional_number(config: DictConfig, *keys: str) -> None:
    """Each key must hold null, or a finite number above 0.

    Raises:
        UserError: one does not.
    """
    for key in keys:
        value = OmegaConf.select(config, key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise UserError(f"{key} must be null or a number above 0, got {value!r}")


def check_positive(config: DictConfig, *keys: str) -> None:
    """Each key must hold an integer of at least 1."""
    for key in keys:
        check_integer(config, key, least=1)


def check_bool(config: DictConfig, key: str) -> None:
    """Raises a UserError unless ``config[key]`` is true or false."""
    value = OmegaConf.select(config, key)
    if not isinstance(value, bool):
        raise UserError(f"{key} must be true or false, got {value!r}")


def check_enumerable(game: Game, wanted: str) -> None:
    """Raises a UserError if the game's tree is too large for what is wanted."""
    if not game.enumerable:
        raise UserError(
            f"{game.name} is too large to be enumerated, which {wanted} needs: expected a river, a turn, "
            "or a game of few cards"
        )


def check_output_path(config: DictConfig, key: str, group: str = "") -> Path | None:
    """``config[key]`` as a file that can be written, or None; messages begin with ``group``.

    Raises:
        UserError: its folder does not exist, or there is something else than a file.
    """
    if config[key] is None:
        return None
    path, key = Path(str(config[key])), group + key
    if not path.parent.is_dir():
        raise UserError(f"{key}={path}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_file():  # a device or a pipe must not be replaced
        what = "a folder" if path.is_dir() else "not a regular file"
        raise UserError(f"{key}={path} is {what}: expected a file")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{key}={path}: cannot write there: {error.strerror}") from error
    return path


def torch_device(name: str, key: str = "device") -> torch.device:
    """A device that is there.

    Raises:
        UserError: it is not.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"{key}={name!r} is not available here: {DEVICES}") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"{key}={name!r} will not do: {DEVICES}")
    return device
