"""Shared by the benchmarks: command lines, rates, the machine, tables and JSON."""

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console
from rich.table import Table

Run = Callable[[int], object]
"""Does this many iterations of what is measured, continuing where it stopped."""


class CommandLine(argparse.ArgumentParser):
    """A command line whose mistakes end in one line and exit code 2.

    Args:
        module: its name, as after ``python -m``.
        description: its help text.
    """

    def __init__(self, module: str, description: str | None) -> None:
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


class Arguments(CommandLine):
    """A benchmark's command line.

    Args:
        module: the benchmark's name, as after ``python -m``.
        description: its help text.
        repeats: the default number of repeats; None: it repeats nothing.
    """

    def __init__(self, module: str, description: str | None, *, repeats: int | None) -> None:
        super().__init__(module, description)
        self.add_argument("--json", type=output_path, metavar="PATH", help="write the results there")
        if repeats is not None:
            self.add_argument("--repeats", type=positive, default=repeats, help="medians are over so many")
        self.add_argument("--seed", type=natural, default=1, help="of beliefs, networks and self-play")


def natural(text: str) -> int:
    """An argument that is an integer of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer of at least 0, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    """An argument that is an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
    return int(text)


def even(text: str) -> int:
    """An argument that is an even integer of at least 2."""
    if (number := positive(text)) % 2:
        raise argparse.ArgumentTypeError(f"expected an even integer, got {text!r}")
    return number


def duration(text: str) -> float:
    """An argument in seconds, above 0 and up to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds above 0 and up to 3600, got {text!r}")
    return seconds


def output_path(text: str) -> Path:
    """An argument that names a file in a folder that exists."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder: expected a file")
    return path


def seconds_of(run: Run, iterations: int) -> float:
    """Wall-clock seconds of ``iterations``."""
    started = time.perf_counter()
    run(iterations)
    return time.perf_counter() - started


def iterations_for(run: Run, seconds: float) -> int:
    """How many iterations take about ``seconds``, at least 1; a first, unmeasured one warms up."""
    run(1)
    iterations = 1
    while (took := seconds_of(run, iterations)) < seconds / 4:
        iterations *= 2
    return max(round(iterations * seconds / took), 1)


def median_rates(runs: Sequence[Run], *, seconds: float, repeats: int) -> list[float]:
    """Iterations per second of each run: medians of repeats. The runs take turns, so that noise hits all.

    Args:
        runs: what to measure.
        seconds: about how long one repeat of one run takes; at least one iteration.
        repeats: the number of repeats.
    """
    iterations = [iterations_for(run, seconds) for run in runs]
    rates = [
        [n / seconds_of(run, n) for run, n in zip(runs, iterations, strict=True)] for _ in range(repeats)
    ]
    return [statistics.median(of_run) for of_run in zip(*rates, strict=True)]


def machine() -> dict[str, Any]:
    """The machine, and how busy it is."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = names[0].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


class Report:
    """Prints a benchmark's tables, and writes its JSON.

    Args:
        parser: of its command line.
        argv: the command line's arguments.
        settings: recorded too: threads, dtype, repeats, seed.
    """

    def __init__(self, parser: Arguments, argv: Sequence[str], **settings: Any) -> None:
        self.console = Console(width=None if sys.stdout.isatty() else 120)
        command = f"{parser.prog} {shlex.join(argv)}".rstrip()
        self.results: dict[str, Any] = {"command": command, "machine": machine(), **settings}
        """What the JSON holds."""

    def table(self, title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Prints a table.

        Args:
            title: its title.
            columns: heading of each key that is shown.
            rows: values by key.
        """
        table = Table(title=title)
        for key, heading in columns.items():
            table.add_column(heading, justify="left" if isinstance(rows[0][key], str) else "right")
        for row in rows:
            table.add_row(*(_cell(row[key]) for key in columns))
        self.console.print(table)

    def finish(self, path: Path | None) -> None:
        """Prints the machine and the settings; writes the JSON to ``path``, if there is one."""
        known = self.results["machine"]
        known_settings = ("threads", "dtype", "repeats", "seed")
        settings = {key: self.results[key] for key in known_settings if key in self.results}
        self.console.print(
            f"{known['cpu']}, {known['cores']} cores, load {known['load']} at the start; "
            f"Python {known['python']}, torch {known['torch']}",
            ", ".join(f"{key} {_setting(value)}" for key, value in settings.items()),
            self.results["command"],
            sep="\n",
            highlight=False,
            soft_wrap=True,
        )
        if path is not None:
            try:
                path.write_text(json.dumps(self.results, indent=2, allow_nan=False) + "\n")
            except OSError as error:
                raise SystemExit(f"error: cannot write {path}: {error.strerror}") from error


def _setting(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
