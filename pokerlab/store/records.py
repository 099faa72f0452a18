"""What stands in job.json, summary.json and training_metrics.jsonl, checked where it is read.

Foreign and damaged files are found here, once: who reads a record finds the types below, or None.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Check = Callable[[Any], bool]


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _overrides(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and "=" in each for each in value)


GOING_ON = ("submitted", "running", "preempted", "retrying")
"""States of a run that is not over."""
STATES = (*GOING_ON, "finished", "stopped", "failed")


def _state(value: Any) -> bool:
    return value in STATES


JOB: Mapping[str, tuple[Check, str]] = {
    "state": (_state, f"one of {', '.join(STATES)}"),
    **dict.fromkeys(("pid", "attempts"), (_integer, "an integer")),
    "pid_started": (_number, "a number"),
    "submitted": (_moment, "a time"),
    "overrides": (_overrides, "a list of key=value"),
    **dict.fromkeys(
        ("host", "launcher", "experiment", "sweep", "reason", "call_id", "submission", "wandb_id", "code"),
        (_text, "a text"),
    ),
}
SUMMARY: Mapping[str, tuple[Check, str]] = {
    "state": (_state, f"one of {', '.join(STATES)}"),
    **dict.fromkeys(("latest_iteration", "total_iterations"), (_integer, "an integer")),
    "last_updated": (_moment, "a time"),
    "last_checkpoint": (_text, "a text"),
    **dict.fromkeys(
        (
            "latest_exploitability", "best_exploitability", "best_value_loss", "best_policy_loss",
            "seconds", "cost_usd",
        ),
        (_number, "a number"),
    ),
}  # fmt: skip
PROGRESS: Mapping[str, tuple[Check, str]] = {
    "iteration": (_integer, "an integer"),
    "timestamp": (_moment, "a time"),
    **dict.fromkeys(("phase", "text"), (_text, "a text")),
    **dict.fromkeys(("share", "rate"), (_number, "a number")),
}
LINE: Mapping[str, tuple[Check, str]] = {
    "iteration": (_integer, "an integer"),
    "timestamp": (_moment, "a time"),
    "checkpoint": (_text, "a text"),
    **dict.fromkeys(
        (
            "value_loss", "policy_loss", "trajectories", "examples", "network_updates", "draws_per_example",
            "seconds_selfplay", "seconds_training", "learning_rate", "exploitability",
            "exploitability_policy_net", "search_iterations", "play_throughs", "cost_usd",
        ),
        (_number, "a number"),
    ),
}  # fmt: skip


def parse(text: str | bytes, fields: Mapping[str, tuple[Check, str]]) -> dict[str, Any]:
    """A record, as far as this version knows its fields; others stay as they are.

    Raises:
        ValueError: it is not a JSON object, or a field is not of its type; says which.
    """
    try:
        record = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError("expected an object")
    for name, (check, expected) in fields.items():
        if (value := record.get(name)) is not None and not check(value):
            raise ValueError(f"{name} must be {expected}, got {json.dumps(value)[:40]}")
    return record


def parse_line(text: str | bytes) -> dict[str, Any]:
    """A line of the metrics; what it leaves out is None.

    Raises:
        ValueError: see :func:`parse`; or it is of no iteration.
    """
    line = dict.fromkeys(LINE) | parse(text, LINE)
    if line["iteration"] is None:
        raise ValueError("iteration is missing")
    return line
