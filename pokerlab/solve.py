"""Solves a game by tabular CFR.

    python -m pokerlab.solve game=leduc solver=dcfr iterations=1000

Prints NashConv and exploitability (NashConv/2, chips) as they fall; ``json=PATH`` and ``export=PATH``
write the results and the average strategy.
"""

import time

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame
from pokerlab.runs.build import build, check_output_path, check_positive, torch_device
from pokerlab.runs.command import run_command
from pokerlab.runs.folder import write_json
from pokerlab.search.forest import Forest


def solve(config: DictConfig) -> None:
    """Runs the command."""
    check_positive(config, "iterations", "threads")
    outputs = {name: check_output_path(config, name) for name in ("json", "export")}
    game, solver = build(config.game), build(config.solver)
    if solver.warm_start:
        raise UserError("solver.warm_start needs a policy network: tabular solving has none")
    whole = WholeGame(game)
    device = torch_device(config.device)
    torch.set_num_threads(config.threads)
    if outputs["export"] and game.openspiel_name is None:
        raise UserError(f"export={config.export}: {game.name} is not in OpenSpiel")
    forest = Forest(game, [whole.tree], device=device, dtype=torch.float64)
    cfr = solver.start(forest, whole.belief.to(device))

    console = Console()
    table = Table(
        "iterations", "NashConv", "exploitability", "seconds", title=f"{game.name}, {solver.rule.name}"
    )
    seconds = 0.0
    for reported in _report_at(config.iterations):
        started = time.perf_counter()
        cfr.run(reported - cfr.iteration)
        strategy = cfr.average_strategy().cpu()
        seconds += time.perf_counter() - started
        found = whole.exploitability(strategy)
        table.add_row(
            f"{reported:,}",
            f"{found.nash_conv.item():.6g}",
            f"{found.exploitability.item():.6g}",
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
    }
    console.print(table)
    console.print(
        f"game value for the first player {results['game_value']:.7f} chips\n"
        f"NashConv {results['nash_conv']:.6g} chips, "
        f"exploitability (NashConv/2) {results['exploitability']:.6g} chips\n"
        f"{config.iterations:,} iterations in {seconds:.2f} s: "
        f"{results['iterations_per_second']:,.0f} iterations/s",
        highlight=False,
    )
    if outputs["json"]:
        write_json(outputs["json"], results)
    if outputs["export"]:
        write_json(outputs["export"], whole.export(strategy))


def _report_at(iterations: int) -> list[int]:
    """1, 10, 100, … and the last."""
    powers = [10**k for k in range(len(str(iterations)))]
    return sorted({*powers, iterations})


if __name__ == "__main__":
    run_command("solve", solve)
