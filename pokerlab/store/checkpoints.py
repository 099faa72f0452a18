"""Checkpoints as they are read: whole, of this version, and fitting what they are loaded into."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pokerlab.errors import UserError

FORMAT = 1
REAL = torch.float16, torch.bfloat16, torch.float32, torch.float64
LEARNED = "learned."
"""What weights are called that learning changes, where those that play are their moving average."""


def load(path: Path, *, mmap: bool = False, whole: bool = False) -> Any:
    """What a file of torch's holds, on the CPU; runs nothing that stands in it.

    Args:
        path: the file.
        mmap: whether tensors are read where they are asked for.
        whole: whether checksums are compared, which torch does not, and for which all of it is read.

    Raises:
        UserError: it may not be read, or is truncated, damaged or something else.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path)
        path.open("rb").close()  # torch would not say that it may not be read
        if whole:
            with zipfile.ZipFile(path) as file:
                if damaged := file.testzip():
                    raise zipfile.BadZipFile(damaged)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # what torch.load raises depends on what the file is
        raise UserError(f"{path} is damaged, or not a checkpoint") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content; ``content["pokerlab"]`` says what it is of.

    Raises:
        UserError: it is truncated, or not one of ours.
    """
    content = load(path, whole=True)
    ours = content.get("pokerlab") if isinstance(content, dict) else None
    expected = {"format": int, "game": str, "iteration": int, "replay": str}
    if (
        not isinstance(ours, dict)
        or any(not isinstance(ours.get(key), kind) for key, kind in expected.items())
        or ours["format"] != FORMAT
        or Path(ours["replay"]).name != ours["replay"]
        or not isinstance(content.get("state_dict"), dict)
        or not all(isinstance(name, str) for name in content["state_dict"])
    ):
        raise UserError(f"{path} is not a checkpoint of this version of pokerlab")
    content["state_dict"] = {name: _unpack(weight) for name, weight in content["state_dict"].items()}
    return content


def pack(weight: Tensor) -> dict[str, Tensor]:
    """A matrix as whole numbers of one byte, in units of each row: a quarter of the size in single precision.

    Args:
        weight: ``[n, m]``.

    Returns:
        What :func:`read_checkpoint` makes a matrix of again.
    """
    units = weight.float().abs().amax(1, keepdim=True) / 127
    return {"bytes": (weight / units.clamp_min(1e-30)).round().to(torch.int8), "units": units}


def _unpack(weight: Any) -> Any:
    """A packed matrix, or what is none as it is."""
    if not isinstance(weight, dict) or weight.keys() != {"bytes", "units"}:
        return weight
    values, units = weight["bytes"], weight["units"]
    if _is(values, torch.int8) and _is(units, torch.float32) and units.shape == (*values.shape[:-1], 1):
        return values * units
    return weight


def _is(found: Any, *dtypes: torch.dtype) -> bool:
    """Whether it is a tensor that can be calculated with."""
    plain = isinstance(found, Tensor) and found.layout == torch.strided and not found.is_meta
    return plain and found.dtype in dtypes


def load_weights(module: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Puts a checkpoint's weights into ``module``.

    Raises:
        UserError: they are of other networks, or not all numbers; names the first that is wrong.
    """
    expected = module.state_dict()
    weights = _with_learned(weights, expected)
    for name in (*expected, *weights):
        if name not in weights:
            raise UserError(f"{path} does not fit the run's networks: {name} is missing")
        if name not in expected:
            raise UserError(f"{path} does not fit the run's networks: they have no {name}")
        found = weights[name]
        if not _is(found, *(REAL if expected[name].is_floating_point() else [expected[name].dtype])):
            raise UserError(f"{path} does not fit the run's networks: {name} is not a tensor of numbers")
        if found.shape != expected[name].shape:
            shapes = f"{list(found.shape)} instead of {list(expected[name].shape)}"
            raise UserError(f"{path} does not fit the run's networks: {name} has the shape {shapes}")
        if not found.isfinite().all():
            raise UserError(f"{path} is damaged: {name} has values that are not finite numbers")
    module.load_state_dict(weights)


def _with_learned(weights: Mapping[str, Any], expected: Mapping[str, Any]) -> Mapping[str, Any]:
    """Weights with those that learning goes on from, where a module keeps them beside their moving average.

    Runs without an average, and shipped ones, have none: learning goes on from those that play.
    """
    played = {name: each for name, each in weights.items() if not name.startswith(LEARNED)}
    if not any(name.startswith(LEARNED) for name in expected):
        return played
    if len(weights) > len(played):
        return weights
    return played | {LEARNED + name: each for name, each in played.items()}
