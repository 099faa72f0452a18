"""Speed of hold'em: the two reference endgames, a forest of rivers, strengths and trees.

    python -m benchmarks.holdem [--threads 1 2] [--boards 32] [--target 1]

The river and the turn are those that postflop-solver was measured on (docs/holdem.md). The forest has the
river's pot, stacks and bets on random boards. Building trees is timed only in the row that says so, compiling
never. An iteration updates both players once.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Arguments, Report, duration, median_rates, positive
from pokerlab.config.build import build
from pokerlab.config.command import compose
from pokerlab.games.holdem import Holdem
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.spot import solve

COLUMNS = {
    "what": "what",
    "threads": "threads",
    "states": "public states",
    "rate": "per second",
    "unit": "of",
}


def solve_rate(game: Holdem, boards: Sequence[str], threads: int, options: Any) -> dict[str, Any]:
    """Iterations per second of the game on each of ``boards``, together."""
    torch.set_num_threads(threads)
    config = compose("solve", [f"game={game.name}"]).game
    games = [build(config | {"board": board}, key="game") for board in boards] or [game]
    trees = [build_tree(each, each.root(), depth_limited=False) for each in games]
    forest = Forest(games[0], trees)
    belief = torch.as_tensor(np.array([each.initial_beliefs for each in games])).float().transpose(0, 1)
    cfr = Solver("dcfr").start(forest, belief.contiguous())
    (rate,) = median_rates([cfr.run], seconds=options.seconds, repeats=options.repeats)
    what = f"{game.name}, {len(trees)} boards" if boards else game.name
    states = sum(tree.num_states for tree in trees)
    return {
        "what": what,
        "threads": threads,
        "states": states,
        "rate": rate * len(trees),
        "unit": "spot-iterations",
    }


def time_to_target(game: Holdem, threads: int, options: Any) -> dict[str, Any]:
    """How often a second the game is solved to a target, measurements of exploitability not counted."""
    torch.set_num_threads(threads)
    spots = [solve(game, target=options.target) for _ in range(options.repeats)]
    return {
        "what": f"{game.name} in {spots[0].progress.iterations} iterations",
        "threads": threads,
        "states": spots[0].tree.num_states,
        "rate": 1 / float(np.median([spot.progress.seconds for spot in spots])),
        "unit": f"solves to {options.target:g} % of the pot",
    }


def random_boards(game: Holdem, number: int, seed: int) -> list[str]:
    """Complete boards, drawn at random."""
    generator = np.random.default_rng(seed)
    cards = [generator.permutation(len(game.deck.cards))[: game.complete] for _ in range(number)]
    return [game.deck.board_name(board.tolist()) for board in cards]


def rows(options: Any) -> Iterator[dict[str, Any]]:
    """Each measurement."""
    river, turn = (
        build(compose("solve", [f"game={name}_reference"]).game, key="game") for name in ("river", "turn")
    )
    for threads in options.threads:
        yield solve_rate(river, [], threads, options)
        yield solve_rate(river, random_boards(river, options.boards, options.seed), threads, options)
        yield solve_rate(turn, [], threads, options)
        yield time_to_target(turn, threads, options)
    torch.set_num_threads(1)
    generator = np.random.default_rng(options.seed)
    boards = np.array([generator.permutation(52)[:5] for _ in range(4096)])
    river.deck.strengths(boards[:2])
    started = time.perf_counter()
    river.deck.strengths(boards)
    rate = len(boards) / (time.perf_counter() - started)
    yield {"what": "strengths of all hands", "threads": 1, "states": None, "rate": rate, "unit": "boards"}
    hunl = build(compose("solve", ["game=hunl"]).game, key="game")
    tree, started = build_tree(hunl, hunl.root(), depth_limited=True), time.perf_counter()
    for seed in range(1, 101):
        build_tree(hunl, hunl.vary(hunl.root(), seed), depth_limited=True)
    rate = 100 / (time.perf_counter() - started)
    yield {
        "what": "hunl's first street, built",
        "threads": 1,
        "states": tree.num_states,
        "rate": rate,
        "unit": "trees",
    }


def percent(text: str) -> float:
    """An argument above 0 and up to 100."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= 100:
        raise argparse.ArgumentTypeError(f"expected percent above 0 and up to 100, got {text!r}")
    return number


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.holdem", __doc__, repeats=3)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("--threads", type=positive, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--boards", type=positive, default=32, help="of the forest")
    parser.add_argument("--target", type=percent, default=1.0, help="of the turn, in %% of the pot")
    parser.add_argument("--seconds", type=duration, default=2.0, help="of one repeat")
    options = parser.parse_args(given)
    settings = {"threads": options.threads, "repeats": options.repeats, "seed": options.seed}
    report = Report(parser, given, dtype="float32", **settings)
    report.results["rows"] = list(rows(options))
    report.table("hold'em: 1,326 hands, DCFR, float32; medians", COLUMNS, report.results["rows"])
    report.finish(options.json)


if __name__ == "__main__":
    main()
