"""Compares two runs' folders exactly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pokerlab.store.folder import RunFolder

CLOCK = {"timestamp", "seconds_selfplay", "seconds_training"}
"""Fields of a metrics line that always differ."""
NO_CLOCK = {"last_updated": "", "seconds": 0.0}
"""The same in a summary, with the values that are compared instead."""


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, or a replay."""
    return torch.load(path, map_location="cpu", weights_only=True)


def metrics(run: RunFolder) -> list[dict[str, Any]]:
    """The metrics without the clock."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


def identical(one: Any, other: Any) -> bool:
    """Whether two nested values are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    return type(one) is type(other) and bool(one == other)


def differences(run: RunFolder, straight: RunFolder) -> list[str]:
    """How ``run`` differs from ``straight``: weights, optimiser, position, replay, metrics, summary, names.

    Everything is compared to the last bit, except the clock, and in a checkpoint the paths and the clock that
    Lightning keeps there.
    """
    names = _files(straight)
    if (found := _files(run)) != names:
        return [f"checkpoints and replay: {', '.join(found)} instead of {', '.join(names)}"]
    different = []
    for name in names:
        one, other = read(run.path / name), read(straight.path / name)
        different += [
            f"{part} of {Path(name).name}"
            for part in sorted(one.keys() | other.keys())
            if part not in ("callbacks", "loops")
            and not (part in one and part in other and identical(one[part], other[part]))
        ]
    lines, expected = metrics(run), metrics(straight)
    if len(lines) != len(expected):
        different.append(f"{run.metrics.name}: {len(lines)} lines instead of {len(expected)}")
    different += [
        f"line {number} of {run.metrics.name}"
        for number, (ours, theirs) in enumerate(zip(lines, expected, strict=False))
        if ours != theirs
    ]
    one, other = (json.loads(each.summary.read_text()) for each in (run, straight))
    if one | NO_CLOCK != other | NO_CLOCK:
        different.append(run.summary.name)
    return different


def _files(run: RunFolder) -> list[str]:
    """The paths of checkpoints and replay, relative to the run's folder."""
    folders = (run.checkpoints, run.replay)
    return sorted(str(path.relative_to(run.path)) for folder in folders for path in folder.glob("*"))
