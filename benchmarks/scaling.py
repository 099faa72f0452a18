"""Measures how cost grows with batch, hands, nodes, and self-play processes.

    python -m benchmarks.scaling [--parts batch hands] [--plot costs.png]

The parts batch, hands and nodes give microseconds per subgame-iteration: one CFR iteration (both players'
regrets and averages updated once) on one subgame, float32, the median of repeats, without building the
trees; and the memory that solver.memory_gb counts for a subgame, an upper bound.

* batch: 1 to 4096 whole Leduc games, or second rounds of Leduc, in one forest.
* hands: a street (:mod:`benchmarks.street`) of one tree with more and more hands, 16 in a forest.
* nodes: streets of 24 hands with more bet sizes and raises, 16 in a forest.
* trees: milliseconds to build the tree of a street of 1,326 hands for a pot, stack and board that were not
  seen before, the median of 100; against walking its states one by one in Python. Compiling is not timed.
* workers: examples per second of self-play in this process (0), or in others; ``--overrides`` choose the
  run. Starting the processes is not timed.
* ddp: an iteration by several numbers of ranks (``--ranks``; 0: without DDP), each with the trajectories and
  the batch that one process has alone: seconds, and processor time of a rank.
* actors: self-play by ``--workers``' largest number of processes and by as many tasks of Ray, in turn, with
  networks of several widths (``--hidden``).
* ray: until weights of some sizes are on three machines, which are processes of this one.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from benchmarks.forests import Measured, second_rounds, whole_games
from benchmarks.machines import (
    ACTOR_COLUMNS,
    RANK_COLUMNS,
    WEIGHT_COLUMNS,
    actor_rows,
    rank_rows,
    weight_rows,
)
from benchmarks.measure import (
    Arguments,
    Report,
    Run,
    duration,
    median_rates,
    natural,
    output_path,
    positive,
)
from benchmarks.plots import PANELS, plot_costs
from benchmarks.street import Street, StreetState
from pokerlab.config.command import check_overrides
from pokerlab.config.machine import torch_device
from pokerlab.errors import UserError
from pokerlab.games.leduc import Leduc
from pokerlab.games.unfolding import UnfoldedSubgame, walk
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import solving_bytes
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.place import Place
from pokerlab.training.assemble import RunParts

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
HANDS = (6, 24, 96, 332, 1326)
STREETS_AT_ONCE, HANDS_OF_TREES = 16, 24
TREES: tuple[tuple[tuple[float, ...], int], ...] = (
    ((), 1), ((1,), 2), ((0.5, 1), 3), ((0.33, 0.66, 1), 4), ((0.25, 0.5, 0.75, 1, 1.5), 4),
)  # fmt: skip
"""(bet sizes, most raises): 4, 10, 44, 218 and 870 decision nodes."""
TREE_OF_HANDS = TREES[2]
TREE_OF_500 = (0.25, 0.5, 1), 5
"""502 decision nodes."""
ROOTS = 100
OVERRIDES = ("experiment=leduc",)


def street(hands: int, tree: tuple[tuple[float, ...], int], kind: type[Street] = Street) -> Street:
    """A street with 20 pots behind."""
    bets, most_raises = tree
    return kind(hands, pot=10, stack=200, bets=bets, most_raises=most_raises)


class Costs:
    """Measures subgame-iterations.

    Args:
        seconds: about how long a repeat takes.
        repeats: the number that medians are over.
    """

    def __init__(self, *, seconds: float, repeats: int) -> None:
        self.seconds, self.repeats = seconds, repeats

    def row(self, game: str, measured: Measured) -> dict[str, Any]:
        """The sizes and cost of a forest."""
        forest, belief = measured
        cfr = Solver("dcfr", alternating=True).start(forest, belief)
        (rate,) = median_rates([cfr.run], seconds=self.seconds, repeats=self.repeats)
        nodes = forest.num_decisions / forest.num_subgames
        microseconds = 1e6 / (rate * forest.num_subgames)
        return {
            "game": game,
            "batch": forest.num_subgames,
            "hands": forest.game.num_hands,
            "nodes": round(nodes),
            "iterations_per_second": rate,
            "microseconds": microseconds,
            "nanoseconds_per_node_and_hand": 1e3 * microseconds / (nodes * forest.game.num_hands),
            "kilobytes": solving_bytes(forest.trees[0], belief, forest.width) / 1e3,
        }


def batch_rows(costs: Costs, batches: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """More and more of Leduc at once."""
    forests: dict[str, Callable[[int], Measured]] = {
        "Leduc, whole": lambda batch: whole_games(Leduc(), batch, torch.float32),
        "Leduc, second round": lambda batch: second_rounds(batch, torch.float32, seed),
    }
    return [costs.row(game, forest(batch)) for game, forest in forests.items() for batch in batches]


def street_rows(costs: Costs, streets: Sequence[Street]) -> list[dict[str, Any]]:
    """Streets of several sizes."""
    return [costs.row("street", whole_games(game, STREETS_AT_ONCE, torch.float32)) for game in streets]


class WalkedStreet(Street):
    """A street whose tree is built by walking its states one by one."""

    def unfold(self, root: StreetState, **options: Any) -> UnfoldedSubgame[StreetState]:
        return walk(self, root, **options)


def random_roots(hands: int, seed: int) -> list[StreetState]:
    """Streets with different pots, 15 to 25 pots behind, and boards that each block a hand."""
    generator, roots = np.random.default_rng(seed), []
    for _ in range(ROOTS):
        pot = generator.uniform(5, 20)
        roots.append(StreetState(pot, pot * generator.uniform(15, 25), int(generator.integers(hands))))
    return roots


def tree_row(fast: Street, walked: Street, roots: Sequence[StreetState]) -> dict[str, Any]:
    """How long trees for new roots take to build."""
    for game in (fast, walked):  # compiles
        Forest(game, [build_tree(game, game.root(), depth_limited=True)])
    nodes, took = [], []
    for root in roots:
        times = [time.perf_counter()]
        tree = build_tree(fast, root, depth_limited=True)
        times.append(time.perf_counter())
        Forest(fast, [tree])
        times.append(time.perf_counter())
        build_tree(walked, root, depth_limited=True)
        times.append(time.perf_counter())
        nodes.append(len(tree.decisions))
        took.append(1e3 * np.diff(times))
    built, laid_out, plain = (statistics.median(of_step) for of_step in np.array(took).T.tolist())
    return {
        "nodes": round(statistics.median(nodes)),
        "hands": fast.num_hands,
        "milliseconds": built,
        "milliseconds_with_forest": built + laid_out,
        "milliseconds_walked": plain,
        "ratio": plain / built,
    }


def tree_rows(hands: int, trees: Sequence[tuple[tuple[float, ...], int]], seed: int) -> list[dict[str, Any]]:
    """Trees of several sizes."""
    roots = random_roots(hands, seed)
    return [tree_row(street(hands, tree), street(hands, tree, WalkedStreet), roots) for tree in trees]


@contextmanager
def start_generation(overrides: Sequence[str], workers: int, seed: int) -> Iterator[tuple[Run, int]]:
    """Yields what plays a run's first iteration again and again, and how many examples that gives.

    Raises:
        UserError: an override is wrong.
    """
    (config,) = check_overrides("train", [*overrides, f"workers={workers}", f"seed={seed}"])
    torch_device(config.trainer.accelerator, "trainer.accelerator")
    parts = RunParts(config)
    actors = parts.data.dataset.actors

    def generate(iterations: int = 1) -> int:
        for _ in range(iterations):
            made = actors.generate(parts.module.networks, config.trajectories, Place(seed, 0))
        return sum(map(len, made.values()))

    try:
        yield generate, generate()
    finally:
        actors.close()


def worker_rows(
    costs: Costs, workers: Sequence[int], overrides: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Self-play in several processes."""
    rows = []
    for number in workers:
        with start_generation(overrides, number, seed) as (run, examples):
            (rate,) = median_rates([run], seconds=costs.seconds, repeats=costs.repeats)
        rows.append({"workers": number, "examples": examples, "examples_per_second": rate * examples})
    return [{**row, "speed_up": row["examples_per_second"] / rows[0]["examples_per_second"]} for row in rows]


COST_COLUMNS = {
    "game": "game",
    "batch": "batch",
    "hands": "hands",
    "nodes": "decision nodes",
    "iterations_per_second": "iterations/s",
    "microseconds": "µs",
    "nanoseconds_per_node_and_hand": "ns/node/hand",
    "kilobytes": "kB",
}
TREE_COLUMNS = {
    "nodes": "decision nodes",
    "hands": "hands",
    "milliseconds": "ms/tree",
    "milliseconds_with_forest": "with its forest",
    "milliseconds_walked": "ms/tree, walked",
    "ratio": "walked/compiled",
}
WORKER_COLUMNS = {
    "workers": "workers",
    "examples": "examples",
    "examples_per_second": "examples/s",
    "speed_up": "against the first",
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.scaling", __doc__, repeats=3)
    columns = {**dict.fromkeys(PANELS, COST_COLUMNS), "trees": TREE_COLUMNS, "workers": WORKER_COLUMNS}
    usual = list(columns)
    columns |= {"ddp": RANK_COLUMNS, "actors": ACTOR_COLUMNS, "ray": WEIGHT_COLUMNS}
    parser.add_argument("--parts", nargs="+", choices=tuple(columns), default=usual)
    parser.add_argument("--batches", nargs="+", type=positive, default=list(BATCHES))
    parser.add_argument("--hands", nargs="+", type=positive, default=list(HANDS))
    parser.add_argument("--workers", nargs="+", type=natural, default=[0, 1, 2])
    parser.add_argument("--ranks", nargs="+", type=natural, default=[0, 1, 2])
    parser.add_argument("--hidden", nargs="+", type=positive, default=[64, 512])
    parser.add_argument("--megabytes", nargs="+", type=positive, default=[50, 200])
    parser.add_argument("--overrides", nargs="+", default=list(OVERRIDES), help="of self-play's config")
    parser.add_argument("--threads", type=positive, default=1, help="of the solver, in this process")
    parser.add_argument("--seconds", type=duration, default=0.25, help="what a repeat takes, about")
    parser.add_argument("--plot", type=output_path, metavar="PNG", help="draw batch, hands and nodes")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    if options.plot and not set(PANELS) & set(options.parts):
        parser.error(f"--plot draws {', '.join(PANELS)}: --parts names none of them")
    report = Report(
        parser, given, threads=options.threads, dtype="float32", repeats=options.repeats, seed=options.seed
    )
    costs = Costs(seconds=options.seconds, repeats=options.repeats)
    measures: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "batch": lambda: batch_rows(costs, options.batches, options.seed),
        "hands": lambda: street_rows(costs, [street(hands, TREE_OF_HANDS) for hands in options.hands]),
        "nodes": lambda: street_rows(costs, [street(HANDS_OF_TREES, tree) for tree in TREES]),
        "trees": lambda: tree_rows(HANDS[-1], (*TREES, TREE_OF_500), options.seed),
        "workers": lambda: worker_rows(costs, options.workers, options.overrides, options.seed),
        "ddp": lambda: rank_rows(options.ranks, options.overrides, options.seed),
        "actors": lambda: actor_rows(
            options.hidden, max(options.workers), options.overrides, options.repeats, options.seed
        ),
        "ray": lambda: weight_rows(options.megabytes, options.repeats),
    }
    parts = {}
    try:
        for part in options.parts:
            torch.set_num_threads(options.threads)
            parts[part] = measures[part]()
            what = "a subgame-iteration's cost" if part in PANELS else "cost"
            report.table(f"{what} against {part}", columns[part], parts[part])
    except UserError as error:
        parser.error(str(error))
    report.results["parts"] = parts
    report.finish(options.json)
    if options.plot:
        plot_costs(parts, options.plot)


if __name__ == "__main__":
    main()
