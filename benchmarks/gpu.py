"""One prepared script for a GPU machine: is its solver right, how fast, and where would a run's time go?

    python -m benchmarks.gpu [--parts iterations,networks] [--json gpu.json]

Needs no network access and about eight minutes on an H100; at `--device cpu --small`, which the tests run, a
fraction of one. The parts, in the order in which they run:

* iterations: milliseconds and GB/s an iteration at 1 to 256 subgames a forest, plain and as a CUDA graph,
  kernels, and memory against what the solver counts.
* agreement: the tensors' solver on the device, in float64 and float32, against the CPU's solver on four
  streets, and a CUDA graph of an iteration against iterations that are taken.
* networks: leaf networks in float32, TF32 and bfloat16: time of a query, errors of answers and root values.
* timeline: an iteration of phase 1, reduced: seconds by phase, and hours and USD for 60 million belief
  states.
* learning: an optimiser step with the replay in memory and on the device.
* resume: a tiny run, killed and resumed.

What fails is recorded with its error, and the others go on; the JSON is written after every row.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import torch

from benchmarks import gpu_runs, gpu_solves
from benchmarks.gpu_forests import Setting, first_line, repeat
from benchmarks.gpu_solves import Row
from benchmarks.measure import Arguments, Report, positive
from pokerlab.config.machine import torch_device
from pokerlab.errors import UserError

LIMITS = {
    "iterations": 150, "agreement": 120, "networks": 60, "timeline": 90, "learning": 30, "resume": 120,
}  # fmt: skip
"""Seconds after which a part begins no further row."""
Rows: TypeAlias = Iterator[Row | list[Row]]
"""What is measured, row by row or several rows at once."""
COLUMNS = {
    "agreement": [
        "street", "network", "solver", "dtype", "iterations", "value_size", "value_max", "value_mean",
        "strategy_max", "strategy_mean",
    ],
    "graphs": ["street", "network", "strategy_max", "strategy_max_without_graph"],
    "iterations": [
        "street", "network", "precision", "subgames", "milliseconds", "graph_ms", "megabytes",
        "graph_gb_per_s", "launches", "kernel_ms", "peak_gb", "counted_gb", "error",
    ],
    "networks": [
        "network", "kernels", "precision", "leaves", "milliseconds", "graph_ms", "launches",
        "relative_error", "iterations", "value_size", "value_mean", "value_mean_again",
    ],
    "timeline": [
        "phase", "seconds", "percent", "gpu_percent", "value_examples_per_s", "hours_for_60M", "peak_gb",
    ],
    "learning": ["replay", "adam", "milliseconds", "batch_ms", "step_ms", "launches", "kernel_ms"],
    "resume": ["killed", "iterations_when_killed", "iterations", "state", "right"],
}  # fmt: skip


def parts_of(
    setting: Setting, chosen: Sequence[str], trajectories: int | None
) -> dict[str, Callable[[], Rows]]:
    """What each part does; the CPU's half of the agreement is under way in a process of its own."""
    small = setting.small
    games = [trajectories] if trajectories else [8] if small else [256, 2048]
    search = (3, 2) if small else (250, 20)  # iterations, updates
    leaves = (4, 8) if small else (25, 400, 6400)
    expected = partial(gpu_solves.references, setting)
    if "agreement" in chosen and not small:  # compiling takes a minute: meanwhile the GPU works
        aside = ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,))
        expected = partial(aside.submit(expected).result, LIMITS["agreement"])
        aside.shutdown(wait=False)

    def graphs() -> Iterator[Row]:
        if setting.device.type == "cuda":
            yield from gpu_solves.graph_agreement(setting)

    return {
        "iterations": lambda: gpu_solves.iterations(setting, (1, 2) if small else (1, 4, 16, 64, 256)),
        "agreement": lambda: gpu_solves.agreement(setting, expected),
        "graphs": graphs,
        "networks": lambda: gpu_solves.networks(setting, leaves, subgames=2 if small else 16),
        "timeline": lambda: chain.from_iterable(gpu_runs.timeline(setting, n, *search) for n in games),
        "learning": lambda: gpu_runs.learning(setting, 50 if small else 20_000),
        "resume": lambda: gpu_runs.resume(setting, LIMITS["resume"]),
    }


def device_facts(setting: Setting) -> dict[str, Any]:
    """The device, and its two ceilings: bytes copied and matrices multiplied in a second."""
    device = setting.device
    if device.type == "cpu":
        return {"name": "cpu"}
    source = torch.rand(2**28, device=device)
    copied = torch.empty_like(source)
    facts: dict[str, Any] = {"name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    facts["memory_gb"] = torch.cuda.get_device_properties(device).total_memory / 1e9
    took = setting.milliseconds(repeat(lambda: copied.copy_(source)))
    facts["copy_gb_per_s"] = 2 * source.nbytes / 1e6 / took
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        matrix = torch.randn(8192, 8192, device=device).to(dtype)
        took = setting.milliseconds(repeat(lambda: matrix @ matrix))  # noqa: B023
        facts[f"{name}_tflops"] = 2 * 8192**3 / took / 1e9
    return facts


def names(text: str) -> list[str]:
    """An argument that lists parts."""
    found = text.split(",")
    if unknown := [name for name in found if name not in LIMITS]:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]!r}: expected some of {','.join(LIMITS)}")
    return found


def run_part(report: Report, name: str, rows: Callable[[], Rows], limit: float, path: Path | None) -> None:
    """Records a part's rows as they come, until it ends, fails or its time is over."""
    found: list[Row] = []
    part: dict[str, Any] = {"rows": found}
    report.results["parts"][name] = part
    started = time.perf_counter()
    try:
        for together in rows():
            measured = [together] if isinstance(together, dict) else together
            found += [{key: _plain(value) for key, value in row.items()} for row in measured]
            write(report, path)
            if time.perf_counter() - started > limit:
                part["stopped_after"] = limit
                break
    except Exception as error:
        part["error"] = first_line(error)
        report.console.print(f"{name}: {part['error']}", markup=False)
    part["seconds"] = time.perf_counter() - started
    write(report, path)
    if found:
        shown = {key: key.replace("_", " ") for key in COLUMNS[name] if any(key in row for row in found)}
        padded = [{key: _as_cell(row.get(key)) for key in shown} for row in found]
        report.table(f"{name}, {part['seconds']:.0f} s", shown, padded)


def _plain(value: Any) -> Any:
    """As JSON takes it: no numpy, and text for what is not finite."""
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value


def _as_cell(value: Any) -> Any:
    return str(value) if isinstance(value, (bool, list)) else value


def write(report: Report, path: Path | None) -> None:
    """The JSON as far as it is known."""
    if path is not None:
        path.write_text(json.dumps(report.results, indent=1, allow_nan=False) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.gpu", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument("--small", action="store_true", help="a small game and small networks")
    parser.add_argument("--parts", type=names, default=list(LIMITS), help="some, separated by commas")
    parser.add_argument("--trajectories", type=positive, help="of the timelines instead of 256 and 2,048")
    options = parser.parse_args(given)
    try:
        setting = Setting(torch_device(options.device), options.small, options.seed)
    except UserError as error:
        parser.error(str(error))
    torch.set_float32_matmul_precision("highest")
    report = Report(parser, given, seed=options.seed, threads=torch.get_num_threads())
    report.results["device"], report.results["parts"] = device_facts(setting), {}
    report.console.print(report.results["device"])
    for name, rows in parts_of(setting, options.parts, options.trajectories).items():
        if ("agreement" if name == "graphs" else name) in options.parts:
            run_part(report, name, rows, LIMITS.get(name, 30), options.json)
    report.finish(options.json)


if __name__ == "__main__":
    main()
