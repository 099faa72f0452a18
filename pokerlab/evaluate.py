"""Measures a run: exact exploitability in each way to play, and matches.

    python -m pokerlab.evaluate run=RUN
    python -m pokerlab.evaluate run=RUN match.against=OTHER match.hands=10000

``run`` is a run's name, its folder, or a checkpoint. Writes evaluation.json and the plots into the run's
folder; ``json=PATH`` writes the same results elsewhere, ``export=PATH`` a policy for OpenSpiel. With
``match.against`` it plays matches instead. What evaluation.json says of the same checkpoint already stays,
unless it is measured anew; a ranking is that of the last matches.
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("evaluate", sys.argv[1:]))

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import POLICY_NET, WAYS_TO_PLAY, check_way
from pokerlab.agents.tabular import MOST_HANDS
from pokerlab.config.build import build
from pokerlab.config.command import as_mistakes, run_command
from pokerlab.config.machine import output_path, torch_device
from pokerlab.config.own_agents import own_agents
from pokerlab.config.schema import EvaluateConfig
from pokerlab.console import console
from pokerlab.errors import UserError
from pokerlab.evaluation.contest import ContestSettings, hold_contest
from pokerlab.evaluation.exact import measure, whole_game_strategy
from pokerlab.evaluation.hand_histories import check_histories, write_histories
from pokerlab.evaluation.lineup import (
    LOCAL_BEST_RESPONSE,
    Entrant,
    Lineup,
    enter,
    local_best_response,
)
from pokerlab.evaluation.match_matrix import plot_matrix
from pokerlab.evaluation.matches import PlayedHand
from pokerlab.evaluation.plots import plot_run, save
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.report import contest_tables, exploitability_table, read_evaluation
from pokerlab.games.parts import openspiel_names
from pokerlab.search.resolving import SEARCH_AVERAGE, SEARCH_GADGET, SEARCH_ITERATION
from pokerlab.search.solver import Solver
from pokerlab.store.files import write_json
from pokerlab.training.loggers import log_evaluation
from pokerlab.training.trained import TrainedRun, load_run

Show = Callable[[dict[str, Any]], None]
"""Prints results and draws pictures, once all is saved."""


def evaluate(config: EvaluateConfig) -> None:
    """Runs the command."""
    outputs = _check(config)
    device = torch_device(config.device)
    find_run = partial(
        load_run,
        device=device,
        solver=build(config.solver, key="solver", kind=Solver) if config.solver else None,
        search_iterations=config.search_iterations,
    )
    run = find_run(config.run)
    about: dict[str, Any] = {
        "game": run.game.name,
        "run": run.folder.path.name,
        "checkpoint": run.checkpoint.name,
        "iteration": run.iteration,
    }
    before = read_evaluation(run.folder.evaluation)
    if any(before.get(key) != value for key, value in about.items()):  # of another checkpoint
        before = {}
    if config.match.against is None:
        torch.set_num_threads(config.threads)
        found, show = _exploitability(config, run, outputs["export"])
        before = {key: value for key, value in before.items() if key not in WAYS_TO_PLAY}
    else:
        if outputs["export"]:
            raise UserError("export= writes what exploitability is measured of: leave out match.against")
        entrants = _line_up(config, run, find_run)
        torch.set_num_threads(config.threads)
        found, show = _matches(config, run, entrants, outputs["histories"])
        anew = [match["agents"] for match in found["matches"]]
        kept = [match for match in before.get("matches", []) if match["agents"] not in anew]
        found["matches"] = kept + found["matches"]
    results = before | about | found
    unwritten: list[OSError] = []
    for path in (outputs["json"], None if run.is_shipped else run.folder.evaluation):
        try:
            if path:
                write_json(path, results)
        except OSError as error:  # of a run that may only be read: the results are shown all the same
            unwritten.append(error)
    show(results)
    log_evaluation(run.folder, run.config, results)
    if unwritten:
        raise unwritten[0]


def _check(config: EvaluateConfig) -> dict[str, Path | None]:
    """Where to write, if the values can be used."""
    with as_mistakes():
        check_way(config.export_policy, "export_policy")
        check_way(config.match.play, "match.play")
    outputs = {name: output_path(getattr(config, name), name) for name in ("json", "export")}
    return outputs | {"histories": output_path(config.match.histories, "match.histories")}


def _exploitability(
    config: EvaluateConfig, run: TrainedRun, export: Path | None
) -> tuple[dict[str, Any], Show]:
    """What each way to play loses to best responses."""
    if not run.game.enumerable:
        raise UserError(
            f"{run.game.name} is too large to be enumerated, which exact exploitability needs: expected "
            "match.against=… (lbr gives a lower bound)"
        )
    play_throughs = (
        run.config.evaluation.play_throughs if config.play_throughs is None else config.play_throughs
    )
    agents = _agents(run)
    if export and config.export_policy not in agents:
        raise UserError(
            f"export_policy must be one of {', '.join(agents)} here, got {config.export_policy!r}"
        )
    if export:
        with as_mistakes(f"export={config.export}: "):
            openspiel_names(run.game)
    with as_mistakes():
        whole, out = WholeGame(run.game), console()
    found: dict[str, Any] = {"seed": config.seed}
    with out.status(f"searching, {run.search_iterations:,} iterations a subgame"):
        for way, agent in agents.items():
            started = time.perf_counter()
            strategy = whole_game_strategy(whole, agent, play_throughs=play_throughs, seed=config.seed)
            seconds = time.perf_counter() - started
            found[way] = measure(
                whole, strategy, seconds,
                iterations=None if way == POLICY_NET else run.search_iterations,
                play_throughs={SEARCH_ITERATION: play_throughs, SEARCH_AVERAGE: 0}.get(way),
            )  # fmt: skip
            if export and way == config.export_policy:
                write_json(export, whole.export(strategy))

    def show(results: dict[str, Any]) -> None:
        out.print(exploitability_table(results))
        plots = plot_run(run.folder.read_metrics(), run.game.name, run.folder.plots)
        out.print("plots:", *(str(path) for path in plots), highlight=False, soft_wrap=True)

    return found, show


def _agents(run: TrainedRun) -> dict[str, Agent]:
    """By the ways to play; not with the gadget in games of many hands, where it takes long."""
    agents = {}
    for way in run.algorithm.agents:
        if way == SEARCH_GADGET and run.game.num_hands > MOST_HANDS:
            continue
        with suppress(ValueError):  # not with this solver
            agents[way] = run.agent(way)
    return agents


def _line_up(config: EvaluateConfig, run: TrainedRun, find_run: Callable[[str], TrainedRun]) -> list[Entrant]:
    """The run's agent, and those that it is to meet."""
    with as_mistakes(f"match.play={config.match.play}: "):
        entrants = [enter(run, config.match.play)]
    with as_mistakes():
        lineup = Lineup(run.game, find_run, config.match.play, own_agents())
    lbr = config.match.lbr
    names = _names(config.match.against)
    for name in names:
        with as_mistakes(f"match.against={name}: "):
            if name == LOCAL_BEST_RESPONSE:
                agent, actions = entrants[0].agent, None if lbr.actions is None else list(lbr.actions)
                entrants.append(
                    local_best_response(run.game, agent, from_street=lbr.from_street, actions=actions)
                )
            else:
                entrants.append(lineup.entrant(name))
    if len({entrant.name for entrant in entrants}) < len(entrants):
        raise UserError("match.against names an agent twice, or the run's own")
    return entrants


def _names(against: str | Sequence[str] | None) -> list[str]:
    names = [against] if isinstance(against, str) else list(against or ())
    if not names:
        raise UserError("match.against must name one agent, or several in a list, got []")
    if LOCAL_BEST_RESPONSE in names and len(names) > 1:
        raise UserError(f"match.against: {LOCAL_BEST_RESPONSE} responds to one agent, it cannot meet several")
    return names


def _matches(
    config: EvaluateConfig, run: TrainedRun, entrants: list[Entrant], histories: Path | None
) -> tuple[dict[str, Any], Show]:
    """What everybody wins against everybody."""
    if histories:
        check_histories(histories, run.game)
    settings = ContestSettings(
        config.match.hands, config.seed, config.match.aivat, config.match.value_function
    )
    history: list[PlayedHand] = []
    out = console()
    with as_mistakes("match."):
        contest = hold_contest(
            run.game, entrants, settings, keep=history.append if histories else None, watch=out.status
        )
    if histories:
        write_histories(histories, run.game, history)
    ranking = contest.ranking()

    def show(_: dict[str, Any]) -> None:
        for table in contest_tables(run.game, contest.matches, ranking):
            out.print(table, highlight=False)
        if histories:
            out.print("histories:", str(histories), highlight=False, soft_wrap=True)
        if ranking:
            league, unit = contest.league, 1000 / run.game.big_blind
            figure = plot_matrix(league.names, league.mean * unit, league.half_width * unit, "mbb/hand")
            path = save(figure, run.folder.plots / "matches.png")
            out.print("plots:", str(path), highlight=False, soft_wrap=True)

    return {"matches": contest.matches, "ranking": ranking}, show


def run() -> None:
    """The command line."""
    run_command("evaluate", evaluate)
