"""What the solver runs for Explore."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pokerlab.app.explore.reports import boards_of, check_report, lines_of, open_report, setup_of
from pokerlab.app.explore.setup import measure, read_game, read_leaf, read_locks, read_target
from pokerlab.app.workers import Teller
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.spot import Progress, Spot
from pokerlab.spot import solve as solve_spot
from pokerlab.spot.reports import report as write_report


def warm_up() -> None:
    """Compiles what solving takes, or fetches it from the disk."""
    torch.set_num_threads(os.cpu_count() or 1)
    setup = {"board": "2c2d2h3c", "pot": 2, "stack": 2, "ranges": ["AA,66", "KK,77"]}
    solve_spot(read_game(setup), iterations=2)
    solve_spot(read_game(setup | {"board": "2c2d2h3c4s"}), iterations=2)


def solve(tell: Teller, setup: Mapping[str, Any], path: str) -> None:
    """Solves a spot, and writes it to a file."""
    begun, game, target = time.perf_counter(), read_game(setup), read_target(setup)
    if refused := measure(setup)["refused"]:
        raise ValueError(f"this spot has {refused}")
    leaf = read_leaf(game, setup)
    tell(phase="building", target=None if leaf else target, most=leaf and leaf[1])
    curve: list[tuple[int, float]] = []

    def report(progress: Progress) -> None:
        curve.append((progress.iterations, progress.percent_of_pot))
        tell(
            phase="solving", iterations=progress.iterations, percent=progress.percent_of_pot, curve=curve,
            seconds=time.perf_counter() - begun, exploitability=progress.exploitability,
        )  # fmt: skip

    spot = solve_spot(
        game,
        target=None if leaf else target,
        iterations=leaf and leaf[1],
        leaf=leaf and _evaluator(leaf[0]),
        locks=read_locks(game, setup) or None,
        report=report,
        watch=lambda iterations, _: tell(iterations=iterations, seconds=time.perf_counter() - begun),
    )
    tell(phase="saving")
    spot.save(Path(path), compress=False)
    tell(phase="solved", seconds=time.perf_counter() - begun, iterations=spot.progress.iterations)


def report(tell: Teller, wanted: Mapping[str, Any], path: str) -> None:
    """Solves flop after flop into a report, which goes on where it ended."""
    if refused := check_report(wanted)["refused"]:
        raise ValueError(f"each of these spots has {refused}")
    setup, (boards, game), file = setup_of(wanted), boards_of(wanted), open_report(path, wanted)
    lines, leaf, target = lines_of(wanted, game), read_leaf(game, setup), read_target(setup)
    evaluator = leaf and _evaluator(leaf[0])
    left = [each for each in boards if each[0] not in file.boards]
    before, begun, skipped = len(boards) - len(left), time.perf_counter(), list[str]()

    def solve_on(board: str) -> Spot | None:
        try:
            on_board = read_game({**setup, "board": board})
        except ValueError as error:
            skipped.append(f"{board}: {error}")
            return None
        return solve_spot(
            on_board, target=None if leaf else target, iterations=leaf and leaf[1], leaf=evaluator,
            watch=lambda iterations, _: tell(board=board, seconds=time.perf_counter() - begun),
        )  # fmt: skip

    tell(phase="solving", total=len(boards), done=before, before=before, skipped=0)
    for rows in write_report(left, solve_on, lines):
        file.add(rows)
        done = len(file.boards) + len(skipped)
        tell(done=done, skipped=len(skipped), seconds=time.perf_counter() - begun)
        if done < len(boards):
            tell.give_way()
    if not file.rows:
        raise ValueError(skipped[0])
    tell(phase="solved", done=len(boards), skipped=len(skipped))


def _evaluator(name: str) -> LeafEvaluator:
    """A run's values of public states."""
    from pokerlab.training.trained import load_run  # takes seconds, and few spots need it

    return load_run(name, torch.device("cpu")).leaf_evaluator
