"""Solves a game by tabular CFR.

    python -m pokerlab.solve game=leduc solver=dcfr iterations=1000
    python -m pokerlab.solve game=turn game.board=Td9d6hQc iterations=100

Prints NashConv and exploitability (NashConv/2, chips and % of the root's pot) as they fall; ``json=PATH`` and
``export=PATH`` write the results and the average strategy.
"""

import os
import time

import torch
from omegaconf import DictConfig
from psutil import Process
from rich.console import Console
from rich.table import Table

from pokerlab.config.build import build, check_enumerable, check_output_path, check_positive, torch_device
from pokerlab.config.command import run_command
from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame
from pokerlab.search.forest import Forest
from pokerlab.search.tree import build_tree
from pokerlab.store.files import write_json

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MANY_HANDS = 64
"""More than so many are solved in float32 and on all cores, unless told otherwise."""


def solve(config: DictConfig) -> None:
    """Runs the command."""
    check_positive(config, "iterations")
    if config.dtype is not None and config.dtype not in DTYPES:
        raise UserError(f"dtype must be null or one of {', '.join(DTYPES)}, got {config.dtype!r}")
    if config.threads is not None:
        check_positive(config, "threads")
    outputs = {name: check_output_path(config, name) for name in ("json", "export")}
    game, solver = build(config.game), build(config.solver)
    check_enumerable(game, "solving")
    if solver.warm_start:
        raise UserError("solver.warm_start needs a policy network: tabular solving has none")
    device = torch_device(config.device)
    many_hands = game.num_hands > MANY_HANDS
    torch.set_num_threads(config.threads or ((os.cpu_count() or 1) if many_hands else 1))
    dtype = DTYPES[config.dtype or ("float32" if many_hands else "float64")]
    if outputs["export"] and game.openspiel_name is None:
        raise UserError(f"export={config.export}: {game.name} is not in OpenSpiel")
    symmetry = None if outputs["export"] else game.symmetry()  # what is exported are all states
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry)
    forest = Forest(game, [tree], device=device, dtype=dtype)
    belief = torch.as_tensor(game.initial_beliefs, device=device).to(dtype)[:, None]
    solver.start(forest, belief).run(1)  # compiles the loops, where that was not done yet
    cfr, pot = solver.start(forest, belief), game.pot(tree.root)

    console = Console()
    console.print(
        f"{game.name}: {tree.num_states:,} public states{', isomorphic ones left out' if symmetry else ''}, "
        f"{int(tree.root_possible.sum()):,} hands",
        highlight=False,
    )
    table = Table(
        "iterations", "NashConv", "exploitability", "% of the pot", "seconds",
        title=f"{game.name}, {solver.rule.name}",
    )  # fmt: skip
    seconds = 0.0
    for reported in _report_at(config.iterations):
        started = time.perf_counter()
        cfr.run(reported - cfr.iteration)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - started
        found = cfr.exploitability()
        table.add_row(
            f"{reported:,}",
            f"{found.nash_conv.item():.6g}",
            f"{found.exploitability.item():.6g}",
            f"{100 * found.exploitability.item() / pot:.4g}",
            f"{seconds:.2f}",
        )
    results = {
        "game": game.name,
        "iterations": config.iterations,
        "seconds": seconds,
        "iterations_per_second": config.iterations / seconds,
        "game_value": found.value.item(),
        "nash_conv": found.nash_conv.item(),
        "exploitability": found.exploitability.item(),
        "percent_of_pot": 100 * found.exploitability.item() / pot,
        "memory_mb": Process().memory_info().rss / 1e6,
    }
    console.print(table)
    console.print(
        f"game value for the first player {results['game_value']:.7f} chips\n"
        f"NashConv {results['nash_conv']:.6g} chips\n"
        f"exploitability (NashConv/2) {results['exploitability']:.6g} chips, "
        f"{results['percent_of_pot']:.4g} % of the pot\n"
        f"{config.iterations:,} iterations in {seconds:.2f} s: "
        f"{results['iterations_per_second']:,.4g} iterations/s, {results['memory_mb']:,.0f} MB of memory",
        highlight=False,
    )
    if outputs["json"]:
        write_json(outputs["json"], results)
    if outputs["export"]:
        write_json(outputs["export"], WholeGame(game).export(cfr.average_strategy().double().cpu()))


def _report_at(iterations: int) -> list[int]:
    """1, 10, 100, … and the last."""
    powers = [10**k for k in range(len(str(iterations)))]
    return sorted({*powers, iterations})


if __name__ == "__main__":
    run_command("solve", solve)
