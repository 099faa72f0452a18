"""Runs as tables for people."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from pokerlab.console import rate
from pokerlab.store.status import Status

COLOURS = {"running": "green", "finished": "blue", "failed": "red", "stopped": "yellow"}
BLOCKS = "▁▂▃▄▅▆▇█"


def duration(seconds: float | None) -> str:
    """In two units at most."""
    if seconds is None:
        return "–"
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.0f} s"


def number(value: float | None, digits: str = ".4f") -> str:
    """A number, or a dash."""
    return "–" if value is None else format(value, digits)


def _and_best(value: float | None, best: float | None, digits: str) -> str:
    return f"{number(value, digits)}, best {number(best, digits)}"


def _by_street(errors: Mapping[str, float]) -> str:
    said = ", ".join(f"{street} {error:.3g}" for street, error in errors.items())
    return f"{said or '–'}  (mean absolute, in pots)"


def _state(status: Status) -> Text:
    unsure = "?" if status.alive is None and status.state not in ("finished", "stopped", "failed") else ""
    return Text(status.state + unsure, style=COLOURS.get(status.state, ""))


def _progress(status: Status) -> str:
    return f"{status.iterations}/{'?' if status.total_iterations is None else status.total_iterations}"


def runs_table(statuses: Sequence[Status]) -> Table:
    """A line each."""
    table = Table(
        Column("run", no_wrap=True),
        "where",
        "state",
        "iteration",
        "exploitability",
        "best",
        "age",
        "cost USD",
    )
    for status in statuses:
        table.add_row(
            status.run,
            status.launcher or "–",
            _state(status),
            _progress(status),
            number(status.exploitability),
            number(status.best_exploitability),
            duration(status.age_seconds),
            number(status.cost_usd, ".2f"),
        )
    return table


def status_table(status: Status) -> Table:
    """Everything that is known of a run."""
    table = Table.grid(padding=(0, 2))
    process = f"process {status.pid}" if status.call_id is None else f"call {status.call_id}"
    alive = {True: f"{process} is alive", False: "nothing runs it", None: f"{process} cannot be asked"}
    left = "" if status.eta_seconds is None else f", {duration(status.eta_seconds)} left"
    pace = "" if status.seconds_per_iteration is None else f", {status.seconds_per_iteration:.3g} s each"
    rows: list[tuple[str, str | Text]] = [
        ("state", _state(status) + Text(f"  {status.reason or ''}")),
        ("where", f"{status.launcher or '–'}, {alive[status.alive]}"),
        ("iterations", f"{_progress(status)}{pace}{left}"),
        ("now", status.progress or "–"),
        ("examples/s", "–" if status.examples_per_second is None else rate(status.examples_per_second)),
        ("value loss", _and_best(status.value_loss, status.best_value_loss, ".2e")),
        ("policy loss", _and_best(status.policy_loss, status.best_policy_loss, ".2e")),
        (
            "exploitability",
            _and_best(status.exploitability, status.best_exploitability, ".4f")
            + "  (NashConv/2 in chips, with search)",
        ),
        ("value error", _by_street(status.value_errors)),
        ("local best response", f"{number(status.lbr_mbb, ',.0f')}  (wins, mbb a hand)"),
        ("checkpoint before", f"{number(status.earlier_mbb, ',.0f')}  (won from it, mbb a hand)"),
        ("cost", f"{number(status.cost_usd, '.2f')} USD"),
        ("time", duration(status.seconds)),
        ("submitted", f"{status.submitted or '–'}, {duration(status.age_seconds)} ago"),
        ("last sign", f"{duration(status.silent_seconds)} ago"),
        ("checkpoint", status.last_checkpoint or "–"),
    ]
    if status.code is not None:
        rows.append(("code", status.code))
    table.add_row(Text(status.run, style="bold"), status.experiment or "")
    for name, value in rows:
        table.add_row(name, value)
    for i, line in enumerate(status.log):
        table.add_row("" if i else "log", Text(line))
    return table


def metrics_table(metrics: Sequence[dict[str, Any]]) -> Table:
    """A line an iteration."""
    table = Table(
        "iteration", "value loss", "policy loss", "exploitability", "policy net", "examples",
        "self-play s", "training s", "cost USD",
    )  # fmt: skip
    for line in metrics:
        table.add_row(
            str(line["iteration"]),
            number(line["value_loss"], ".2e"),
            number(line["policy_loss"], ".2e"),
            number(line["exploitability"]),
            number(line["exploitability_policy_net"]),
            number(line["examples"], ",.0f"),
            number(line["seconds_selfplay"], ".2f"),
            number(line["seconds_training"], ".2f"),
            number(line["cost_usd"], ".2f"),
        )
    return table


def sparkline(values: Sequence[float | None], width: int = 60) -> str:
    """The values' logarithms as blocks, from the smallest to the largest."""
    known = [math.log(value) for value in values if value is not None and value > 0]
    if not known:
        return "–"
    step = max(len(known) / width, 1)
    shown = [known[int(i * step)] for i in range(min(len(known), width))]
    low, high = min(shown), max(shown)
    return "".join(BLOCKS[int((x - low) / (high - low or 1) * (len(BLOCKS) - 1))] for x in shown)


def varied_keys(statuses: Sequence[Status]) -> list[str]:
    """The config keys in which the runs of a sweep differ."""
    each = [status.overridden for status in statuses]
    keys = dict.fromkeys(key for overrides in each for key in overrides)
    return [key for key in keys if len({overrides.get(key) for overrides in each}) > 1]


def sweep_table(name: str, statuses: Sequence[Status]) -> Table:
    """A sweep's runs, the least exploitable first."""
    keys = varied_keys(statuses)
    table = Table(
        Column("run", no_wrap=True), *(key.rpartition(".")[2] for key in keys),
        "state", "iteration", "exploitability", "best", "value loss", "time", "cost USD",
        title=f"{name}: exploitability is NashConv/2 in chips, with search",
    )  # fmt: skip
    for status in by_exploitability(statuses):
        table.add_row(
            status.run,
            *(status.overridden.get(key, "–") for key in keys),
            _state(status),
            _progress(status),
            number(status.exploitability),
            number(status.best_exploitability),
            number(status.value_loss, ".2e"),
            duration(status.seconds),
            number(status.cost_usd, ".2f"),
        )
    return table


def by_exploitability(statuses: Sequence[Status]) -> list[Status]:
    """The least exploitable first, those not measured last."""
    return sorted(statuses, key=lambda s: math.inf if s.exploitability is None else s.exploitability)
