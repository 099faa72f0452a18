"""Measures where a CFR iteration's time goes.

    python -m benchmarks.profile

DCFR, alternating, float32, on one Leduc game, a forest of them, and streets (:mod:`benchmarks.street`) of
332 and 1,326 hands, by both solvers: the plain one in tensor operations, and the compiled one. Time is
wall-clock, the median of repeats; its parts are in proportion to what torch's profiler counts in

* gathers: rows picked out and added up by index,
* payoffs: matrix products and cumulative sums,
* arithmetic: the other tensor operations,

and the rest, which is Python in the plain solver and the loops in the compiled one. How long an operation
takes on average tells how much of it is work: one on a single number takes the time given below the table.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.forests import Measured, whole_games
from benchmarks.measure import Arguments, Report, duration, median_rates, seconds_of
from benchmarks.scaling import TREE_OF_HANDS, street
from pokerlab.games.leduc import Leduc
from pokerlab.search.cfr import CFR
from pokerlab.search.rules import RULES

BACKENDS = ("tensors", "compiled")
FORESTS: dict[str, Callable[[], Measured]] = {
    "1 Leduc game": lambda: whole_games(Leduc(), 1, torch.float32),
    "256 Leduc games": lambda: whole_games(Leduc(), 256, torch.float32),
    "1 street, 332 hands": lambda: whole_games(street(332, TREE_OF_HANDS), 1, torch.float32),
    "1 street, 1,326 hands": lambda: whole_games(street(1326, TREE_OF_HANDS), 1, torch.float32),
    "16 streets, 1,326 hands": lambda: whole_games(street(1326, TREE_OF_HANDS), 16, torch.float32),
}
PARTS: dict[str, Sequence[str]] = {
    "gathers": ("index_select", "index_add_", "index", "index_put_", "gather"),
    "payoffs": ("mm", "bmm", "cumsum"),
}
"""The torch operations of each part; all others are arithmetic."""
PROFILED = 20
"""Iterations under the profiler."""


def profile_solver(cfr: CFR) -> tuple[float, dict[str, float]]:
    """Operations per iteration, and each part's share of the time under the profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        seconds = seconds_of(cfr.run, PROFILED)
    share = dict.fromkeys([*PARTS, "arithmetic"], 0.0)
    operations = 0
    for event in recorded.key_averages():
        if event.key.startswith("aten::"):
            name = event.key.removeprefix("aten::")
            part = next((part for part, names in PARTS.items() if name in names), "arithmetic")
            share[part] += event.self_cpu_time_total / 1e6 / seconds
            operations += event.count
    return operations / PROFILED, {**share, "rest": 1 - sum(share.values())}


def row(name: str, solver: str, *, seconds: float, repeats: int) -> dict[str, Any]:
    """A forest's time per iteration, and its parts."""
    forest, belief = FORESTS[name]()
    cfr = CFR(forest, belief, RULES["dcfr"], alternating=True, backend=solver)
    (rate,) = median_rates([cfr.run], seconds=seconds, repeats=repeats)
    operations, share = profile_solver(cfr)
    microseconds = 1e6 / rate
    return {
        "forest": name,
        "solver": solver,
        "microseconds": microseconds,
        "operations": operations,
        "microseconds_an_operation": microseconds * (1 - share["rest"]) / operations if operations else None,
        **{f"percent_{part}": 100 * value for part, value in share.items()},
    }


def smallest_operation(*, seconds: float, repeats: int) -> float:
    """Microseconds that an operation on a single number takes."""
    number = torch.ones(1)

    def add(times: int) -> None:
        for _ in range(times):
            number.add_(1)

    (rate,) = median_rates([add], seconds=seconds, repeats=repeats)
    return 1e6 / rate


COLUMNS = {
    "forest": "forest",
    "solver": "solver",
    "microseconds": "µs/iteration",
    "operations": "operations",
    "microseconds_an_operation": "µs each",
    "percent_gathers": "% gathers",
    "percent_payoffs": "payoffs",
    "percent_arithmetic": "arithmetic",
    "percent_rest": "rest",
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.profile", __doc__, repeats=5)
    parser.add_argument("--forests", nargs="+", choices=FORESTS, default=list(FORESTS), metavar="FOREST")
    parser.add_argument("--seconds", type=duration, default=0.25, help="what a repeat takes, about")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler prints when it starts and stops
    torch.set_num_threads(1)
    report = Report(parser, given, threads=1, dtype="float32", repeats=options.repeats, seed=options.seed)
    effort = {"seconds": options.seconds, "repeats": options.repeats}
    rows = [row(name, solver, **effort) for name in options.forests for solver in BACKENDS]
    report.table("where an iteration's time goes", COLUMNS, rows)
    smallest = smallest_operation(**effort)
    report.console.print(f"an operation on a single number: {smallest:.2f} µs")
    report.results |= {"rows": rows, "microseconds_smallest_operation": smallest}
    report.finish(options.json)


if __name__ == "__main__":
    main()
