"""Grows populations, and looks at them.

    pokerlab league run experiment=phase2_leduc [rounds=N] [run_dir=DIR] [json=PATH]
    pokerlab league resume LEAGUE [rounds=N] [budget.usd=N]
    pokerlab league status | matrix | tree | play | add | stop LEAGUE

``run`` takes Hydra's overrides; a league that is there goes on until it has so many rounds, as it does with
``resume``, which has it all from the league's folder. LEAGUE is its name or its folder.
"""

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pokerlab.console import console, say, wide_console
from pokerlab.errors import DiskError, UserError
from pokerlab.interrupts import handling
from pokerlab.league.folder import LeagueFolder, Member, find_league


def run(argv: list[str]) -> int:
    """The command line; returns the exit code."""
    if argv[:1] == ["run"]:
        return _run_with_hydra(argv[1:])
    arguments = parser().parse_args(argv)
    try:
        arguments.work(find_league(arguments.league), arguments)
    except UserError as error:
        say(f"error: {' '.join(str(error).split())}", error=True)
        return 2
    except (DiskError, OSError) as error:
        say(f"error: {error}", error=True)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line, but for ``run``, which is Hydra's."""
    whole = argparse.ArgumentParser(prog="pokerlab league", description=(__doc__ or "").split("\n\n")[0])
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="grows a league: experiment=NAME rounds=N run_dir=DIR json=PATH")

    def add(name: str, work: Callable[..., None]) -> argparse.ArgumentParser:
        does = (work.__doc__ or "").partition(": ")[2].replace("``", "").rstrip(".")
        one = commands.add_parser(name, help=does, description=does)
        one.set_defaults(work=work)
        one.add_argument("league", metavar="LEAGUE")
        return one

    for name, work in (("status", show_status), ("matrix", show_matrix), ("tree", show_tree)):
        add(name, work).add_argument("--json", action="store_true", help="for scripts")
    one = add("add", add_member)
    one.add_argument("agent", metavar="AGENT", help="RUN:WAY, policy:PATH, equilibrium, module:Class, …")
    one.add_argument("--name", help="of the member")
    one = add("play", play)
    one.add_argument(
        "against",
        metavar="AGENT",
        nargs="+",
        help="the same, a member's name, or lbr: the local best response",
    )
    one.add_argument("--deals", type=int, default=10_000, metavar="N", help="of each match")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--json", action="store_true", help="for scripts")
    add("resume", resume).add_argument("overrides", nargs="*", metavar="key=value", help="what may change")
    one = add("stop", stop)
    one.add_argument("--seconds", type=float, default=60.0, metavar="S", help="to wait at most")
    return whole


# Run


def _run_with_hydra(overrides: list[str]) -> int:
    from pokerlab.config.command import run_command
    from pokerlab.league.start import make_parts

    sys.argv = ["pokerlab league run", *overrides]
    run_command("league", grow, make_parts)
    return 0


def grow(config: Any) -> None:
    """``run``: grows a league until it has so many rounds."""
    from hydra.core.hydra_config import HydraConfig

    _grow(config, HydraConfig.get().runtime.choices.get("experiment"))


def resume(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``resume``: goes on with a league until it has so many rounds."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from pokerlab.config.command import ending_in_one_line, look_for_modules
    from pokerlab.config.schema import read_config
    from pokerlab.league.start import read_settings

    if stray := [each for each in arguments.overrides if "=" not in each]:
        raise UserError(f"{stray[0]!r} is not an override: expected key=value")
    look_for_modules(None)
    stored = OmegaConf.create(read_settings(folder))
    with ending_in_one_line():
        try:
            changed = OmegaConf.from_dotlist(arguments.overrides)
            values: Any = OmegaConf.to_container(OmegaConf.merge(stored, changed), resolve=True)
        except OmegaConfBaseException as error:
            raise UserError(f"cannot read the command line: {error}") from error
        if moved := {"run_name", "run_dir"} & {str(key) for key in changed}:
            raise UserError(f"{folder.path.name} goes on where it is: leave out {moved.pop()}")
        config = read_config("league", values | {"run_name": None, "run_dir": str(folder.path)})
        _grow(config, folder.run.read_job().get("experiment"))


def _grow(config: Any, experiment: str | None) -> None:
    from pokerlab.agents.stored_policy import check_tabular
    from pokerlab.config.command import as_mistakes
    from pokerlab.config.machine import output_path
    from pokerlab.games.base import Game
    from pokerlab.games.parts import openspiel_names
    from pokerlab.league.growing import grow_rounds
    from pokerlab.league.show import results, rounds_table, strength, summary
    from pokerlab.league.start import make_parts, open_folder, open_league
    from pokerlab.league.tables import TabularPopulation
    from pokerlab.search.sequence_game import information_states
    from pokerlab.store.disk import writing
    from pokerlab.store.files import write_json

    outputs, parts = (
        {key: output_path(getattr(config, key), key) for key in ("json", "export")},
        make_parts(config),
    )
    if outputs["export"] and isinstance(parts.game, Game):
        with as_mistakes(f"export={config.export}: "):
            check_tabular(parts.game)
            openspiel_names(parts.game)
    folder, lock = open_folder(config, experiment)
    with (
        lock,
        writing(folder.run),
        as_mistakes(),
        _noting_signals(at_once=parts.propose.trains_runs) as asked,
    ):
        league = open_league(config, parts, folder)
        population = league.population
        with console().status("round 0") as status:
            plots, reason = grow_rounds(
                league,
                config,
                experiment,
                tell=lambda line: status.update(f"round {line['round']}: {strength(line)}"),
                stop=lambda: bool(asked),
            )
        if outputs["json"]:
            write_json(outputs["json"], results(population))
        if outputs["export"]:
            assert isinstance(population, TabularPopulation)
            write_json(outputs["export"], dict(information_states(population.game, population.policy())))
    out = wide_console()
    out.print(rounds_table(population))
    if reason is not None:
        out.print(f"stopped: {reason}", highlight=False, soft_wrap=True)
    for said in summary(population):
        out.print(said, highlight=False, soft_wrap=True)
    out.print("plots:", *(str(plot) for plot in plots), highlight=False, soft_wrap=True)
    if signal.SIGINT in asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _noting_signals(*, at_once: bool) -> Iterator[list[int]]:
    """Ctrl-C, ``stop`` and a terminal that is closed end a league after the present round, or at once.

    Returns:
        The signals that came.
    """
    noted: list[int] = []

    def note(number: int, _: Any) -> None:
        if at_once or number in noted:  # asked twice
            raise KeyboardInterrupt
        noted.append(number)

    with handling(note):
        yield noted


# Look


def show_status(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``status``: rounds, members, exploitability, and whether it runs."""
    from pokerlab.league.status import status, status_table

    found = status(folder)
    if arguments.json:
        say(json.dumps(found, indent=2))
    else:
        console().print(status_table(found))


def show_matrix(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``matrix``: what members win of each other."""
    from pokerlab.league.show import matrix, matrix_table
    from pokerlab.league.start import read_population

    population = read_population(folder)
    if arguments.json:
        say(json.dumps(matrix(population), indent=2))
    else:
        wide_console().print(matrix_table(population))


def show_tree(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``tree``: which member came from which."""
    from pokerlab.league.show import rich_tree, tree
    from pokerlab.league.start import read_population

    population = read_population(folder)
    if arguments.json:
        say(json.dumps(tree(population), indent=2))
    else:
        wide_console().print(rich_tree(population))


# Change


def add_member(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``add``: takes in an agent or a run as a member; the next round meets it."""
    from pokerlab.config.schema import check_run_name
    from pokerlab.league.entrants import policy_of
    from pokerlab.league.start import read_population

    with folder.lock():
        population = read_population(folder)
        name, policy = policy_of(population, arguments.agent)
        if arguments.name is not None:
            check_run_name(name := arguments.name, "--name")
        population.take_over()
        member = Member(name, len(population.rounds), "added", source=arguments.agent)
        population.add(member, policy)
    say(f"{member.name} is member {len(population.members)} of {folder.path.name}")


def play(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``play``: lets the best mixture play matches against members and other agents."""
    from pokerlab.config.command import as_mistakes
    from pokerlab.evaluation.contest import ContestSettings, hold_contest
    from pokerlab.evaluation.report import contest_tables
    from pokerlab.league.entrants import line_up
    from pokerlab.league.start import read_population

    population = read_population(folder)
    with as_mistakes():
        if arguments.deals < 2:
            raise ValueError(f"--deals must be at least 2, got {arguments.deals}")
        if arguments.seed < 0:
            raise ValueError(f"--seed must be at least 0, got {arguments.seed}")
        game, entrants = line_up(population, arguments.against)
        settings = ContestSettings(deals=arguments.deals, seed=arguments.seed)
        contest = hold_contest(game, entrants, settings)
    if arguments.json:
        say(json.dumps({"matches": contest.matches, "ranking": contest.ranking()}, indent=2))
        return
    for table in contest_tables(game, contest.matches, contest.ranking()):
        wide_console().print(table, highlight=False)


def stop(folder: LeagueFolder, arguments: argparse.Namespace) -> None:
    """``stop``: ends a league after its present round."""
    import psutil

    from pokerlab.store.process import find_process

    state = folder.state()
    process = find_process(folder.run.read_job())
    if state != "running" or process is None:
        raise UserError(f"{folder.path.name} is not running: it is {state}")
    process.terminate()
    try:
        process.wait(arguments.seconds)
    except psutil.TimeoutExpired as error:
        raise UserError(
            f"{folder.path.name} still runs as process {process.pid} after {arguments.seconds:g} s"
        ) from error
    say(f"{folder.path.name} is stopped after {len(folder.read_rounds())} rounds")
