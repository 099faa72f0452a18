"""Measures a run: exact exploitability with search and of its policy network alone, and matches.

    python -m pokerlab.evaluate run=RUN
    python -m pokerlab.evaluate run=RUN match.against=OTHER match.hands=10000

``run`` is a run's name, its folder, or a checkpoint. Writes evaluation.json and the plots into the run's
folder; ``json=PATH`` writes the same results elsewhere, ``export=PATH`` a policy for OpenSpiel. With
``match.against`` it plays matches instead. What evaluation.json says of the same checkpoint already stays,
unless it is measured anew; a ranking is that of the last matches.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from pokerlab.config.build import (
    build,
    check_integer,
    check_output_path,
    check_positive,
    torch_device,
)
from pokerlab.config.command import run_command
from pokerlab.errors import UserError
from pokerlab.evaluation.contest import check_match, play
from pokerlab.evaluation.lineup import Lineup, name_of
from pokerlab.evaluation.plots import plot_run
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.strength import ALONE, AVERAGE, GADGET, SEARCH, WAYS, ways_to_play
from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import Assembled
from pokerlab.training.board import log_evaluation
from pokerlab.training.restore import find_checkpoint, restored
from pokerlab.training.start import read_config


def evaluate(config: DictConfig) -> None:
    """Runs the command."""
    check_positive(config, "threads")
    check_integer(config, "seed", least=0)
    for key, least in (("search_iterations", 1), ("play_throughs", 0)):
        if config[key] is not None:
            check_integer(config, key, least=least)
    outputs = {name: check_output_path(config, name) for name in ("json", "export")}
    if config.export_policy not in WAYS:
        raise UserError(f"export_policy must be one of {', '.join(WAYS)}, got {config.export_policy!r}")
    check_match(config)
    device = torch_device(config.device)
    run, path = find_checkpoint(str(config.run))
    stored = read_config(run)
    parts, iteration = restored(stored, path)
    torch.set_num_threads(config.threads)
    results: dict[str, Any] = {
        "game": parts.game.name,
        "run": run.path.name,
        "checkpoint": path.name,
        "iteration": iteration,
    }
    before = _said_before(run, results)
    if config.match.against is None:
        found = _exploitability(config, run, stored, parts, device, results, outputs["export"])
        before = {key: value for key, value in before.items() if key not in WAYS}
    else:
        if outputs["export"]:
            raise UserError("export= writes what exploitability is measured of: leave out match.against")
        lineup = Lineup(config, parts.game, device)
        entrant = lineup.of_run(parts, stored, name_of(run, path), config.match.play)
        found = play(config, run, entrant, lineup)
        anew = [match["agents"] for match in found["matches"]]
        kept = [match for match in before.get("matches", []) if match["agents"] not in anew]
        found["matches"] = kept + found["matches"]
    results = before | results | found
    write_json(run.evaluation, results)
    if outputs["json"]:
        write_json(outputs["json"], results)
    log_evaluation(run, stored, results)


def _said_before(run: RunFolder, results: dict[str, Any]) -> dict[str, Any]:
    """evaluation.json, if it is of the same checkpoint."""
    try:
        before: dict[str, Any] = json.loads(run.evaluation.read_text())
    except (OSError, ValueError):
        return {}
    same = isinstance(before, dict) and all(before.get(key) == value for key, value in results.items())
    return before if same else {}


def _exploitability(
    config: DictConfig,
    run: RunFolder,
    stored: DictConfig,
    parts: Assembled,
    device: torch.device,
    about: dict[str, Any],
    export: Path | None,
) -> dict[str, Any]:
    for key in ("search_iterations", "play_throughs"):
        if config[key] is None:
            config[key] = stored.evaluation[key]
    if not parts.game.enumerable:
        raise UserError(
            f"{parts.game.name} is too large to be enumerated, which exact exploitability needs: expected "
            "match.against=… (lbr gives a lower bound)"
        )
    networks = parts.module.to(device).eval().networks
    whole, console = WholeGame(parts.game), Console()
    ways = ways_to_play(
        whole,
        networks,
        build(config.solver) if "solver" in config else parts.solver,
        search_iterations=config.search_iterations,
        play_throughs=config.play_throughs,
        seed=config.seed,
        like=torch.empty(0, device=device),
    )
    if config.export_policy not in ways:
        raise UserError(f"export_policy must be one of {', '.join(ways)} here, got {config.export_policy!r}")
    policies: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    with console.status(f"searching, {config.search_iterations:,} iterations a subgame"):
        for name, play_so in ways.items():
            started = time.perf_counter()
            policies[name] = play_so()
            seconds[name] = time.perf_counter() - started
    results: dict[str, Any] = {"seed": config.seed}
    play_throughs = {SEARCH: config.play_throughs, AVERAGE: 0}
    for name, strategy in policies.items():
        searched = None if name == ALONE else config.search_iterations
        results[name] = _measure(whole, strategy, seconds[name], searched, play_throughs.get(name))
    if export:
        write_json(export, whole.export(policies[config.export_policy]))
    drawn = plot_run(run.read_metrics(), parts.game.name, run.plots)
    _show(console, {**about, **results}, drawn)
    return results


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
    search = results[SEARCH]
    title += f"\nsearch: {search['iterations']:,} iterations a subgame"
    table = Table("policy", "exploitability", "NashConv", "game value", "seconds", title=title)
    for name, label in (
        (SEARCH, f"search, {search['play_throughs']:,} play-throughs"),
        (AVERAGE, "search, from average strategies"),
        (GADGET, "search, with a gadget"),
        (ALONE, "policy network alone"),
    ):
        if name not in results:
            continue
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
