"""Solves a game by tabular CFR.

    python -m pokerlab.solve game=leduc solver=dcfr iterations=1000
    python -m pokerlab.solve game=turn game.board=Td9d6hQc target=0.5 json=turn.json 'lines=[check bet 1]'

Prints NashConv and exploitability (NashConv/2, chips and % of the root's pot) as they fall. ``json=PATH``
writes the results and, for each of ``lines``, strategy, equity and EV hand by hand; ``export=PATH`` the
average strategy for OpenSpiel; ``save=PATH`` the solved spot. ``leaf=RUN`` solves the first street alone,
with a trained network's values of what comes after it. ``boards=N report=PATH`` solves many boards. Of more
than two players (``game=leduc3``) it tells what each would gain: there, CFR finds no equilibrium for certain.
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("solve", sys.argv[1:]))

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from psutil import Process
from rich.table import Table

from pokerlab._callable import make_callable
from pokerlab.config.build import build, check, check_cards, check_enumerable
from pokerlab.config.command import as_mistakes, run_command
from pokerlab.config.machine import output_path, torch_device
from pokerlab.config.schema import SolveConfig, plain
from pokerlab.console import console, wide_console
from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.games.parts import openspiel_names
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.sequence_game import Strength, information_states, sequence_game
from pokerlab.search.solver import Solver
from pokerlab.search.tabular_cfr import TabularCFR
from pokerlab.spot import MANY_HANDS, Progress, Spot, can_be_solved
from pokerlab.spot import solve as solve_spot
from pokerlab.spot.reports import ReportFile, Row, means, read_boards, report
from pokerlab.store.files import write_json

ABOUT = ("game", "solver", "iterations", "target", "leaf", "lines", "boards")
"""Settings that a report is of."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def solve(config: SolveConfig) -> None:
    """Runs the command."""
    written = ("json", "export", "save", "report")
    outputs = {name: output_path(getattr(config, name), name) for name in written}
    solver: Solver = build(config.solver, key="solver", kind=Solver)
    if issubclass(check(config.game, key="game"), ManyPlayerGame):
        _solve_many(config, solver, outputs)
        return
    game: Game = build(config.game, key="game", kind=Game)
    lines = list(config.lines)
    leaf = _leaf(config, game)
    if leaf is None and not can_be_solved(game):
        check_enumerable(game, "solving")
    if config.boards is not None:
        _solve_boards(config, game, solver, leaf, outputs["report"])
        return
    if solver.warm_start:
        raise UserError("solver.warm_start needs a policy network: tabular solving has none")
    device = torch_device(config.device)
    many_hands = game.num_hands > MANY_HANDS
    torch.set_num_threads(config.threads or ((os.cpu_count() or 1) if many_hands else 1))
    if outputs["export"]:
        with as_mistakes(f"export={config.export}: "):
            openspiel_names(game)
    table = Table(
        "iterations", "NashConv", "exploitability", "% of the pot", "seconds",
        title=f"{game.name}, {solver.rule.name}",
    )  # fmt: skip

    told: list[int] = []

    def report(progress: Progress) -> None:
        """A row at 1, 10, 100, … iterations, and the last."""
        if set(str(progress.iterations)[1:]) - {"0"} or str(progress.iterations)[0] != "1":
            return
        told.append(progress.iterations)
        add(progress)

    def add(progress: Progress) -> None:
        table.add_row(
            f"{progress.iterations:,}", f"{progress.nash_conv:.6g}", f"{progress.exploitability:.6g}",
            f"{progress.percent_of_pot:.4g}", f"{progress.seconds:.2f}",
        )  # fmt: skip

    with as_mistakes():
        spot = solve_spot(
            game,
            iterations=config.iterations,
            target=config.target,
            solver=solver,
            device=device,
            dtype=DTYPES[config.dtype] if config.dtype else None,
            isomorphism=outputs["export"] is None,  # what is exported are all states
            lines=lines,
            leaf=leaf,
            report=report,
        )
    if spot.progress.iterations not in told:
        add(spot.progress)
    results = _results(spot)
    if outputs["json"]:
        write_json(outputs["json"], results | {"tables": _tables(spot, lines)})
    if outputs["export"]:
        whole = WholeGame(game)
        write_json(
            outputs["export"],
            whole.export(whole.forest.from_edges(torch.as_tensor(np.asarray(spot.edges)).double())),
        )
    if outputs["save"]:
        spot.save(outputs["save"])
    _print(spot, results, table, config.target)


def _leaf(config: SolveConfig, game: Game) -> LeafEvaluator | None:
    """What values public states after the first street."""
    if config.leaf is None:
        return None
    for key in ("export", "target"):
        if getattr(config, key) is not None:
            raise UserError(f"{key} needs the whole game solved: leave out leaf, or {key}")
    from pokerlab.training.trained import load_run  # Lightning, which takes seconds to import

    run = load_run(config.leaf, torch_device(config.device))
    check_cards(run.learned, game)
    with as_mistakes(f"leaf={config.leaf}: "):
        return run.leaf_evaluator


def _results(spot: Spot) -> dict[str, Any]:
    progress = spot.progress
    unknown = spot.leaves is not None
    return {
        "game": spot.game.name,
        "iterations": progress.iterations,
        "seconds": progress.seconds,
        "iterations_per_second": progress.iterations / progress.seconds,
        "game_value": spot.value,
        "nash_conv": None if unknown else progress.nash_conv,
        "exploitability": None if unknown else progress.exploitability,
        "percent_of_pot": None if unknown else progress.percent_of_pot,
        "pot": progress.pot,
        "expected_values": list(spot.expected_values),
        "memory_mb": Process().memory_info().rss / 1e6,
    }


def _tables(spot: Spot, lines: Sequence[str]) -> list[dict[str, Any]]:
    """Both players' at each line."""
    return [spot.table(line, player).as_dict() for line in lines for player in (0, 1)]


def _print(spot: Spot, results: dict[str, Any], table: Table, target: float | None) -> None:
    first, second = ((spot.game.initial_beliefs > 0) & spot.tree.root_possible).sum(1).tolist()
    hands = f"{first:,} hands each" if first == second else f"{first:,} hands against {second:,}"
    out = console()
    out.print(
        f"{spot.game.name}: {spot.tree.num_states:,} public states"
        f"{', isomorphic ones left out' if spot.tree.representative is not None else ''}, {hands}",
        highlight=False,
    )
    if spot.leaves is None:
        out.print(table)
    if target is not None and results["percent_of_pot"] > target:
        out.print(f"{target:g} % of the pot was not reached: give it more iterations", highlight=False)
    expected = [f"{chips:.7g}" for chips in spot.expected_values]
    out.print(
        f"game value for the first player {results['game_value']:.7f} chips (net of its part of the pot)\n"
        f"shares of the pot of {results['pot']:g} chips: first player {expected[0]}, second {expected[1]}\n"
        f"{_strength(spot)}\n"
        f"{results['iterations']:,} iterations in {results['seconds']:.2f} s: "
        f"{results['iterations_per_second']:,.4g} iterations/s, {results['memory_mb']:,.0f} MB of memory",
        highlight=False,
    )


def _strength(spot: Spot) -> str:
    progress = spot.progress
    if spot.leaves is not None:
        return "exploitability is not known: a network values what comes after the street"
    return (
        f"NashConv {progress.nash_conv:.6g} chips\n"
        f"exploitability (NashConv/2) {progress.exploitability:.6g} chips, "
        f"{progress.percent_of_pot:.4g} % of the pot, "
        f"{1000 * progress.exploitability / spot.game.big_blind:.4g} mbb a hand"
    )


# Many boards


def _solve_boards(
    config: SolveConfig, game: Game, solver: Solver, leaf: LeafEvaluator | None, path: Path | None
) -> None:
    """Solves many boards with the same ranges; a report that is there goes on where it ended."""
    if not isinstance(game, Holdem) or not game.root().board:
        raise UserError(f"boards are of hold'em from the flop on, and {game.name} is not that")
    with as_mistakes("boards: "):
        boards = read_boards(config.boards, game)
        settings = plain(config) | {"game": {k: v for k, v in config.game.items() if k != "board"}}
        about = {key: settings[key] for key in ABOUT}
    with as_mistakes():
        assert path
        file = ReportFile(path, about)
    torch.set_num_threads(config.threads or os.cpu_count() or 1)

    def one(board: str) -> Spot:
        on_board: Game = build({**config.game, "board": board}, key="game", kind=Game)
        return solve_spot(
            on_board, iterations=config.iterations, target=config.target, solver=solver, leaf=leaf,
            device=torch_device(config.device), dtype=DTYPES[config.dtype] if config.dtype else None,
            lines=config.lines,
        )  # fmt: skip

    left = [each for each in boards if each[0] not in file.boards]
    out, started = console(), time.perf_counter()
    with out.status(f"{len(left):,} of {len(boards):,} boards to go") as status, as_mistakes():
        for number, rows in enumerate(report(left, one, config.lines), 1):
            file.add(rows)
            rest = (time.perf_counter() - started) / number * (len(left) - number)
            status.update(f"{len(left) - number:,} of {len(boards):,} boards to go, {rest / 60:.0f} min")
    _print_report(file.rows)
    out.print("report:", str(path), highlight=False, soft_wrap=True)


def _print_report(rows: Sequence[Row]) -> None:
    mean = means(rows)
    names = list(dict.fromkeys(name for row in mean for name in row if name != "weight"))
    table = Table(*names)
    for row in mean:
        cells = (row.get(name) for name in names)
        table.add_row(
            *("" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells)
        )
    wide_console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else f"{value:.4g}"


# More than two players


def _solve_many(config: SolveConfig, solver: Solver, outputs: dict[str, Path | None]) -> None:
    """Runs the command for a game of more than two players."""
    refused = {
        "target": config.target is not None,
        "leaf": config.leaf is not None,
        "boards": config.boards is not None,
        "save": config.save is not None,
        "lines": config.lines != ("",),
        "dtype": config.dtype == "float32",
        "device": config.device != "cpu",
        "solver.alternating": not solver.alternating,
        "solver.warm_start": solver.warm_start > 0,
    }
    game: ManyPlayerGame = build(config.game, key="game", kind=ManyPlayerGame)
    for key in (key for key, given in refused.items() if given):
        raise UserError(f"{key} is for games of two players: leave it out with game={game.name}")
    cfr, seconds = TabularCFR(sequence_game(game), solver.rule), 0.0
    TabularCFR(cfr.game, solver.rule).run(1)  # compiles the loops, where that was not done yet
    players = range(1, game.num_players + 1)
    table = Table("iterations", "NashConv", *(f"player {p} gains" for p in players), "seconds",
                  title=f"{game.name}, {solver.rule.name}")  # fmt: skip
    curve: list[dict[str, Any]] = []
    for at in _measured_at(config.iterations):
        started = time.perf_counter()
        cfr.run(at - cfr.iteration)
        seconds += time.perf_counter() - started
        found, _ = cfr.measure()
        curve.append({"iterations": at, "nash_conv": found.nash_conv, "seconds": seconds})
        gains = (f"{gain:.6g}" for gain in found.gains)
        table.add_row(f"{at:,}", f"{found.nash_conv:.6g}", *gains, f"{seconds:.2f}")
    results = _results_of_many(game, found, curve)
    if outputs["json"]:
        write_json(outputs["json"], results)
    if outputs["export"]:
        write_json(outputs["export"], dict(information_states(cfr.game, cfr.average_strategy())))
    out = console()
    out.print(f"{game.name}: {len(cfr.game.states):,} public states at which somebody acts, "
              f"{cfr.game.possible.sum():,} information states", highlight=False)  # fmt: skip
    out.print(table)
    values = ", ".join(f"{value:.6f}" for value in found.values)
    out.print(
        f"values {values} chips\nNashConv {found.nash_conv:.6g} chips, exploitability (NashConv/"
        f"{game.num_players}) {results['exploitability']:.6g}\n{config.iterations:,} iterations in "
        f"{seconds:.2f} s: {results['iterations_per_second']:,.4g} iterations/s\n"
        "With more than two players CFR need not find an equilibrium: NashConv says how near it came.",
        highlight=False,
    )


def _measured_at(iterations: int) -> list[int]:
    """1, 2, 5, 10, 20, …, and the last."""
    steps = (step * 10**power for power in range(len(str(iterations))) for step in (1, 2, 5))
    return [*(step for step in steps if step < iterations), iterations]


def _results_of_many(
    game: ManyPlayerGame, found: Strength, curve: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    last = curve[-1]
    return {
        "game": game.name,
        "players": game.num_players,
        **last,
        "iterations_per_second": last["iterations"] / last["seconds"],
        "values": found.values,
        "gains": found.gains,
        "exploitability": found.nash_conv / game.num_players,
        "curve": curve,
        "memory_mb": Process().memory_info().rss / 1e6,
    }


def run() -> None:
    """The command line."""
    run_command("solve", solve)


make_callable(__name__, solve_spot)
