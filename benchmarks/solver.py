"""Tabular solving against OpenSpiel's C++ solver, in the same run.

    python -m benchmarks.solver [--games leduc] [--batches 1 64] [--threads 1 2]

Our solver and OpenSpiel's take turns; rates are medians of repeats. Both continue from repeat to repeat.
Building trees and compiling are not timed. CFR+ is compared with ``CFRPlusSolver``; DCFR, which OpenSpiel
does not have in C++, with its faster ``CFRSolver``.

The unit is one iteration on one subgame: both players' regrets and averages are updated once. A forest does
``batch`` of them at once. OpenSpiel has no batches and one thread. Its iteration on Leduc passes through all
second rounds (and the first), so for second rounds it counts as that many subgame-iterations.

The rows in float64 are single solves; float32 is what training uses.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from benchmarks.forests import Measured, second_round_states, second_rounds, whole_games
from benchmarks.measure import Arguments, Report, Run, duration, median_rates, positive
from pokerlab.config.build import build
from pokerlab.config.command import compose
from pokerlab.errors import UserError
from pokerlab.games.base import Game
from pokerlab.search.solver import Solver

BATCHES = {
    "leduc": (1, 4, 16, 64, 256, 1024),
    "liars_dice_1x6f": (1, 64),
    "leduc_second_round": (512, 4096),
}
"""The batch sizes of each game."""
OPENSPIEL = {
    "leduc": "leduc_poker",
    "liars_dice_1x6f": "liars_dice(numdice=1,dice_sides=6)",
    "leduc_second_round": "leduc_poker",
}
OPENSPIEL_SOLVERS = {"cfr_plus": "CFRPlusSolver", "dcfr": "CFRSolver"}
"""The solver that each of our rules is compared with."""
FOREST_RULE = "dcfr"
COLUMNS = {
    "game": "game",
    "rule": "rule",
    "dtype": "dtype",
    "threads": "threads",
    "batch": "batch",
    "iterations_per_second": "iterations/s",
    "subgame_iterations_per_second": "× batch",
    "openspiel_subgame_iterations_per_second": "OpenSpiel",
    "ratio": "ratio",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    game: str
    rule: str
    dtype: torch.dtype
    threads: int
    batch: int


def rows_of(games: Sequence[str], batches: Sequence[int] | None, threads: Sequence[int]) -> Iterator[Row]:
    """The rows: first a single solve of each whole game, then forests."""
    for game in games:
        if game != "leduc_second_round":
            for rule in OPENSPIEL_SOLVERS:
                yield Row(game, rule, torch.float64, threads=1, batch=1)
        for number in threads:
            for batch in batches or BATCHES[game]:
                yield Row(game, FOREST_RULE, torch.float32, number, batch)


def forest_of(row: Row, seed: int) -> Measured:
    """The subgames of a row."""
    if row.game == "leduc_second_round":
        return second_rounds(row.batch, row.dtype, seed)
    return whole_games(game_of(row.game), row.batch, row.dtype)


def game_of(name: str) -> Game[Any]:
    """The rules, as ``game=name`` gives them.

    Raises:
        UserError: there is no such game.
    """
    return build(compose("solve", [f"game={name.removesuffix('_second_round')}"]).game, key="game")


def measure(row: Row, openspiel: Run, *, seed: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Measures a row."""
    torch.set_num_threads(row.threads)
    forest, belief = forest_of(row, seed)
    cfr = Solver(row.rule, alternating=True).start(forest, belief)
    ours, theirs = median_rates([cfr.run, openspiel], seconds=seconds, repeats=repeats)
    subgames = len(second_round_states()) if row.game == "leduc_second_round" else 1
    return {
        "game": row.game,
        "rule": row.rule,
        "dtype": str(row.dtype).removeprefix("torch."),
        "threads": row.threads,
        "batch": row.batch,
        "iterations_per_second": ours,
        "subgame_iterations_per_second": ours * row.batch,
        "openspiel_subgame_iterations_per_second": theirs * subgames,
        "ratio": ours * row.batch / (theirs * subgames),
    }


def openspiel_solvers() -> Callable[[str, str], Run]:
    """A function that starts OpenSpiel's solver by our names of rule and game; each is started once.

    Raises:
        UserError: OpenSpiel is not installed.
    """
    try:
        import pyspiel
    except ImportError as error:
        raise UserError("OpenSpiel is not installed: pip install 'pokerlab[test]' brings it") from error

    @cache
    def start(rule: str, game: str) -> Run:
        solver = getattr(pyspiel, OPENSPIEL_SOLVERS[rule])(pyspiel.load_game(OPENSPIEL[game]))

        def run(iterations: int) -> None:
            for _ in range(iterations):
                solver.evaluate_and_update_policy()

        return run

    return start


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.solver", __doc__, repeats=5)
    parser.add_argument("--games", nargs="+", choices=BATCHES, default=list(BATCHES))
    parser.add_argument("--batches", nargs="+", type=positive, help="subgames at once, for every game")
    parser.add_argument("--threads", nargs="+", type=positive, default=[1, 2], help="of our forests")
    parser.add_argument("--seconds", type=duration, default=0.25, help="what a repeat takes, about")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    report = Report(
        parser,
        given,
        threads=options.threads,
        dtype=["float64", "float32"],
        repeats=options.repeats,
        seed=options.seed,
    )
    try:
        openspiel = openspiel_solvers()
        for game in options.games:
            game_of(game)  # mistakes first
        rows = [
            measure(
                row,
                openspiel(row.rule, row.game),
                seed=options.seed,
                seconds=options.seconds,
                repeats=options.repeats,
            )
            for row in rows_of(options.games, options.batches, options.threads)
        ]
    except UserError as error:
        parser.error(str(error))
    report.table("CFR against OpenSpiel's in C++ (one game, one thread)", COLUMNS, rows)
    report.results["rows"] = rows
    report.finish(options.json)


if __name__ == "__main__":
    main()
