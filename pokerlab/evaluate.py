"""Measures a run: exact exploitability in each way to play, and matches.

    python -m pokerlab.evaluate run=RUN
    python -m pokerlab.evaluate run=RUN match.against=OTHER match.hands=10000
    python -m pokerlab.evaluate game=fhp agent=module:Class json=results.json

``run`` is a run's name, its folder, or a checkpoint. Writes evaluation.json and the plots into the run's
folder; ``json=PATH`` writes the same results elsewhere, ``export=PATH`` a policy for OpenSpiel. With
``match.against`` it plays matches instead. What evaluation.json says of the same checkpoint already stays,
unless it is measured anew; a ranking is that of the last matches.
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("evaluate", sys.argv[1:]))

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import POLICY_NET, WAYS_TO_PLAY, check_way
from pokerlab.agents.search import SearchAgent
from pokerlab.algorithms.base import units_of
from pokerlab.config.build import build
from pokerlab.config.command import as_mistakes, run_command
from pokerlab.config.machine import output_path, torch_device
from pokerlab.config.own_agents import own_agents
from pokerlab.config.schema import EvaluateConfig
from pokerlab.console import console
from pokerlab.errors import UserError
from pokerlab.evaluation.contest import ContestSettings, hold_contest
from pokerlab.evaluation.deal_by_deal import DealByDeal, policy_of
from pokerlab.evaluation.exact import measure, measure_deals, whole_game_strategy
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
from pokerlab.games.base import MOST_HANDS, Game
from pokerlab.games.parts import openspiel_names
from pokerlab.search.resolving import SEARCH_GADGET
from pokerlab.search.solver import Solver
from pokerlab.store.files import write_json
from pokerlab.training.loggers import log_evaluation
from pokerlab.training.stored_agents import agent_by_name
from pokerlab.training.trained import TrainedRun, load_run

Show = Callable[[dict[str, Any]], None]
"""Prints results and draws pictures, once all is saved."""
SECONDS = 2
"""Between words about progress."""


def evaluate(config: EvaluateConfig) -> None:
    """Runs the command."""
    outputs = _check(config)
    if config.run is None:
        _evaluate_agent(config, outputs)
        return
    device = torch_device(config.device)
    find_run = partial(
        load_run,
        device=device,
        solver=build(config.solver, key="solver", kind=Solver) if config.solver else None,
        search_iterations=config.search_iterations,
        rules=config.match.rules,
    )
    run = find_run(config.run)
    about: dict[str, Any] = {
        "game": run.game.name,
        "run": run.folder.path.name,
        "checkpoint": run.checkpoint.name,
        "iteration": run.iteration,
    }
    if config.match.against is None:
        torch.set_num_threads(config.threads)
        found, show = _exploitability(config, run, outputs["export"])
    else:
        if outputs["export"]:
            raise UserError("export= writes what exploitability is measured of: leave out match.against")
        entrants = _line_up(config, run, find_run)
        torch.set_num_threads(config.threads)
        found, show = _matches(config, run, entrants, outputs["histories"])
    results = _beside_earlier(run, about, found, every_way=config.agent is None)
    unwritten: list[OSError] = []
    keeps = _complete(found) and not run.is_shipped
    for path in (outputs["json"], run.folder.evaluation if keeps else None):
        try:
            if path:
                write_json(path, results)
        except OSError as error:  # of a run that may only be read: the results are shown all the same
            unwritten.append(error)
    show(results)
    log_evaluation(run.folder, run.config, results)
    if unwritten:
        raise unwritten[0]
    _stop_if_interrupted(found)


def _beside_earlier(
    run: TrainedRun, about: dict[str, Any], found: dict[str, Any], *, every_way: bool
) -> dict[str, Any]:
    """What was found, and what the run's evaluation.json holds of the same checkpoint by now."""
    before = read_evaluation(run.folder.evaluation)
    if any(before.get(key) != value for key, value in about.items()):
        before = {}
    if "matches" in found:
        anew = [(match["agents"], match["rules"]) for match in found["matches"]]
        found["matches"] = [
            match for match in before.get("matches", []) if (match["agents"], match.get("rules")) not in anew
        ] + found["matches"]
    elif every_way:
        before = {key: value for key, value in before.items() if key not in WAYS_TO_PLAY}
    return before | about | found


def _evaluate_agent(config: EvaluateConfig, outputs: dict[str, Path | None]) -> None:
    """Measures an agent that is no run's."""
    assert config.game is not None
    game: Game = build(config.game, key="game", kind=Game)
    name = str(config.agent)
    torch.set_num_threads(config.threads)
    with as_mistakes(f"agent={name}: "):
        own = own_agents()
        agent = own[name](game) if name in own else agent_by_name(name, game)
    parts, results = _take_apart(game, config), {"game": game.name, "seed": config.seed}
    with console().status("measuring") as status, as_mistakes():
        results[name] = _measure(parts, agent, config, status.update, config.play_throughs or 0)
    if outputs["json"]:
        write_json(outputs["json"], results)
    console().print(exploitability_table(results, game.big_blind))
    _stop_if_interrupted(results)


def _stop_if_interrupted(results: dict[str, Any]) -> None:
    if not _complete(results):
        raise KeyboardInterrupt


def _complete(results: dict[str, Any]) -> bool:
    """Whether everything was measured to its end."""
    return all(found.get("complete", True) for found in results.values() if isinstance(found, dict))


def _check(config: EvaluateConfig) -> dict[str, Path | None]:
    """Where to write, if the values can be used."""
    with as_mistakes():
        check_way(config.export_policy, "export_policy")
        check_way(config.match.play, "match.play")
    if config.match.rules and config.match.against is None:
        raise UserError("match.rules are of matches: give match.against")
    outputs = {name: output_path(getattr(config, name), name) for name in ("json", "export")}
    return outputs | {"histories": output_path(config.match.histories, "match.histories")}


def _exploitability(
    config: EvaluateConfig, run: TrainedRun, export: Path | None
) -> tuple[dict[str, Any], Show]:
    """What each way to play loses to best responses."""
    play_throughs = (
        run.config.evaluation.play_throughs if config.play_throughs is None else config.play_throughs
    )
    agents = _agents(run)
    if config.agent is not None:
        with as_mistakes():
            way = check_way(config.agent, "agent")
            agents = {way: run.agent(way)}
    _check_search(config, run, agents)
    parts, out = _take_apart(run.game, config), console()
    if export and not isinstance(parts, WholeGame):
        raise UserError(f"{run.game.name} is too large for export=")
    if export and config.export_policy not in agents:
        raise UserError(
            f"export_policy must be one of {', '.join(agents)} here, got {config.export_policy!r}"
        )
    if export:
        with as_mistakes(f"export={config.export}: "):
            openspiel_names(run.game)
    found: dict[str, Any] = {"seed": config.seed}
    with out.status(f"searching, {run.search_iterations:,} iterations a subgame") as status, as_mistakes():
        for way, agent in agents.items():
            found[way] = _measure(
                parts, agent, config, status.update, play_throughs,
                None if way == POLICY_NET else run.search_iterations,
                export if way == config.export_policy else None,
            )  # fmt: skip
            if not _complete(found):
                break

    def show(results: dict[str, Any]) -> None:
        out.print(exploitability_table(results, run.game.big_blind))
        if not run.is_shipped:
            units = units_of(run.algorithm)
            plots = plot_run(run.folder.read_metrics(), run.game.name, units, run.folder.plots)
            out.print("plots:", *(str(path) for path in plots), highlight=False, soft_wrap=True)

    return found, show


def _check_search(config: EvaluateConfig, run: TrainedRun, ways: Iterable[str]) -> None:
    """Whether what is said of search is of a way that searches.

    Raises:
        UserError: it is of none.
    """
    taken = {name for way in ways for name in inspect.signature(run.algorithm.agents[way]).parameters}
    if "iterations" not in taken:
        _refuse_search(config, f"{' and '.join(ways)} of {run.name} does not")


def _refuse_search(config: EvaluateConfig, why: str) -> None:
    for key in ("search_iterations", "play_throughs", "solver"):
        if getattr(config, key) is not None:
            raise UserError(f"{key} is of search, and {why}: leave it out")


def _take_apart(game: Game, config: EvaluateConfig) -> WholeGame | DealByDeal:
    """A game as it is measured: as a whole, or deal by deal."""
    if game.enumerable:
        with as_mistakes():
            return WholeGame(game)
    try:
        return DealByDeal(game, isomorphism=config.isomorphism)
    except ValueError as error:
        raise UserError(
            f"{game.name} is too large to be enumerated, which exact exploitability needs: expected "
            "match.against=… (lbr gives a lower bound)"
        ) from error


def _measure(
    parts: WholeGame | DealByDeal,
    agent: Agent,
    config: EvaluateConfig,
    tell: Callable[[str], None],
    play_throughs: int,
    iterations: int | None = None,
    export: Path | None = None,
) -> dict[str, Any]:
    """What an agent loses to best responses; after Ctrl-C, an estimate from the deals that are done."""
    started = time.perf_counter()
    how = {"iterations": iterations, "play_throughs": play_throughs if agent.draws else None}
    if isinstance(agent, SearchAgent) and not agent.draws and agent.way != SEARCH_GADGET:
        how["play_throughs"] = 0
    if isinstance(parts, WholeGame):
        strategy = whole_game_strategy(parts, agent, play_throughs=play_throughs, seed=config.seed)
        found = measure(parts, strategy, time.perf_counter() - started, **how)
        if export:
            write_json(export, parts.export(strategy))
        return found
    sofar, told = None, started
    try:
        for sofar in parts.measure(
            policy_of(agent, play_throughs=play_throughs, seed=config.seed), config.seed
        ):
            if (now := time.perf_counter()) > told + SECONDS and sofar.done > 1:
                left = (now - started) * (len(sofar) / sofar.done - 1)
                unit = 1000 / parts.game.big_blind
                most, least = (
                    unit * found.exploitability.item()
                    for found in (sofar.exploitability(), sofar.lower_estimate())
                )
                tell(
                    f"{sofar.done:,} of {len(sofar):,} deals: about {max(least, 0):.1f} to {most:.1f} mbb; "
                    f"{left / 60:.0f} min to go"
                )
                told = now
    except KeyboardInterrupt:
        if sofar is None or not sofar.done:
            raise
    assert sofar is not None
    return measure_deals(sofar, time.perf_counter() - started, **how)


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
        lineup = Lineup(run.game, find_run, config.match.play, own_agents(), agent_by_name)
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
    if config.play_throughs is not None:
        raise UserError("play_throughs is of exploitability: leave it out of a match")
    if not any(isinstance(entrant.agent, SearchAgent) for entrant in entrants):
        _refuse_search(config, f"nobody searches with match.play={config.match.play}")
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
    matches = [match | {"rules": config.match.rules} for match in contest.matches]
    ranking = contest.ranking()

    def show(_: dict[str, Any]) -> None:
        for table in contest_tables(run.game, matches, ranking):
            out.print(table, highlight=False)
        if histories:
            out.print("histories:", str(histories), highlight=False, soft_wrap=True)
        if ranking and not run.is_shipped:
            league, unit = contest.league, 1000 / run.game.big_blind
            figure = plot_matrix(league.names, league.mean * unit, league.half_width * unit, "mbb/hand")
            path = save(figure, run.folder.plots / "matches.png")
            out.print("plots:", str(path), highlight=False, soft_wrap=True)

    return {"matches": matches, "ranking": ranking}, show


def run() -> None:
    """The command line."""
    run_command("evaluate", evaluate)
