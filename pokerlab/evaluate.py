"""Measures a run: exact exploitability with search, going on both ways, and of its policy network alone.

    python -m pokerlab.evaluate run=RUN

``run`` is a run's name, its folder, or a checkpoint. Writes evaluation.json and the plots into the run's
folder; ``json=PATH`` writes the same results elsewhere, ``export=PATH`` a policy for OpenSpiel.
"""

import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pokerlab.errors import UserError
from pokerlab.evaluation.plots import plot_run
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.runs.assemble import Assembled
from pokerlab.runs.build import (
    build,
    check_enumerable,
    check_integer,
    check_output_path,
    check_positive,
    torch_device,
)
from pokerlab.runs.command import run_command
from pokerlab.runs.folder import LAST, RunFolder, write_json
from pokerlab.runs.start import find_run, read_checkpoint, read_config

POLICIES = ("search", "search_deterministic", "policy_net")


def evaluate(config: DictConfig) -> None:
    """Runs the command."""
    check_positive(config, "threads")
    check_integer(config, "seed", least=0)
    for key, least in (("search_iterations", 1), ("play_throughs", 0)):
        if config[key] is not None:
            check_integer(config, key, least=least)
    outputs = {name: check_output_path(config, name) for name in ("json", "export")}
    if config.export_policy not in POLICIES:
        raise UserError(f"export_policy must be one of {', '.join(POLICIES)}, got {config.export_policy!r}")
    device = torch_device(config.device)
    run, path = find_checkpoint(str(config.run))
    stored = read_config(run)
    parts, iteration = restored(stored, path)
    for key in ("search_iterations", "play_throughs"):
        if config[key] is None:
            config[key] = stored.evaluation[key]
    check_enumerable(parts.game, "its exploitability")
    torch.set_num_threads(config.threads)
    module = parts.module.to(device).eval()
    whole = WholeGame(parts.game)
    solver = build(config.solver) if "solver" in config else parts.solver

    console = Console()
    play_throughs = {"search": config.play_throughs, "search_deterministic": 0}
    policies: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    with console.status(f"searching, {config.search_iterations:,} iterations a subgame"):
        for name in POLICIES:
            started = time.perf_counter()
            if name == "policy_net":
                policies[name] = module.policy_network.strategy(whole.forest, whole.belief)
            elif name == "search_deterministic" and config.play_throughs == 0:
                policies[name], seconds[name] = policies["search"], seconds["search"]
                continue
            else:
                policies[name] = search_policy(
                    whole,
                    solver,
                    module.networks,
                    iterations=config.search_iterations,
                    play_throughs=play_throughs[name],
                    generator=torch.Generator().manual_seed(config.seed),
                    like=torch.empty(0, device=device),
                )
            seconds[name] = time.perf_counter() - started
    results: dict[str, Any] = {
        "game": parts.game.name,
        "run": run.path.name,
        "checkpoint": path.name,
        "iteration": iteration,
    }
    for name, strategy in policies.items():
        searched = config.search_iterations if name in play_throughs else None
        results[name] = _measure(whole, strategy, seconds[name], searched, play_throughs.get(name))
    write_json(run.evaluation, results)
    if outputs["json"]:
        write_json(outputs["json"], results)
    if outputs["export"]:
        write_json(outputs["export"], whole.export(policies[config.export_policy]))
    drawn = plot_run(run.read_metrics(), parts.game.name, run.plots)
    _show(console, results, drawn)


def find_checkpoint(wanted: str) -> tuple[RunFolder, Path]:
    """The checkpoint that ``run=`` means, and the run it belongs to.

    Raises:
        UserError: there is none.
    """
    if wanted.endswith(".ckpt"):
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"run={wanted}: no such file")
        run = RunFolder(path.absolute().parent.parent)
        if not run.config.exists():
            raise UserError(f"run={wanted}: expected it in a run's folder, but {run.config} does not exist")
        return run, path
    run = find_run(wanted)
    path = run.checkpoints / LAST
    if not path.is_file():
        raise UserError(f"run={wanted}: {run.path} has no checkpoint yet")
    return run, path


def restored(config: DictConfig, path: Path) -> tuple[Assembled, int]:
    """A run's objects with the weights of one of its checkpoints, and the iterations that those took.

    Raises:
        UserError: the checkpoint cannot be read, or is of another game.
    """
    checkpoint = read_checkpoint(path)
    parts = Assembled(config)
    if checkpoint["pokerlab"]["game"] != parts.game.name:
        raise UserError(
            f"{path} is a checkpoint of {checkpoint['pokerlab']['game']}, not of {parts.game.name}"
        )
    parts.module.load_state_dict(checkpoint["state_dict"])
    return parts, checkpoint["pokerlab"]["iteration"]


def _measure(
    whole: WholeGame, strategy: Tensor, seconds: float, iterations: int | None, play_throughs: int | None
) -> dict[str, Any]:
    found = whole.exploitability(strategy)
    return {
        "game": whole.game.name,
        "iterations": iterations,
        "play_throughs": play_throughs,
        "seconds": seconds,
        "iterations_per_second": None if iterations is None else iterations / seconds,
        "game_value": found.value.item(),
        "nash_conv": found.nash_conv.item(),
        "exploitability": found.exploitability.item(),
    }


def _show(console: Console, results: dict[str, Any], drawn: list[Path]) -> None:
    checkpoint = f"{results['checkpoint']}, iteration {results['iteration']}"
    title = f"{results['run']} ({checkpoint}): {results['game']}, chips; exploitability is NashConv/2"
    search = results["search"]
    title += f"\nsearch: {search['iterations']:,} iterations a subgame"
    table = Table("policy", "exploitability", "NashConv", "game value", "seconds", title=title)
    for name, label in (
        ("search", f"search, {search['play_throughs']:,} play-throughs"),
        ("search_deterministic", "search, from average strategies"),
        ("policy_net", "policy network alone"),
    ):
        found = results[name]
        table.add_row(
            label,
            f"{found['exploitability']:.5f}",
            f"{found['nash_conv']:.5f}",
            f"{found['game_value']:.5f}",
            f"{found['seconds']:.1f}",
        )
    console.print(table)
    console.print("plots:", *(str(path) for path in drawn), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_command("evaluate", evaluate)
