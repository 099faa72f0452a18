"""From a config to a league that can run, and back from a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from pokerlab.config.build import build, check, parameters_of
from pokerlab.config.command import as_mistakes
from pokerlab.config.schema import LeagueConfig, check_run_name, plain
from pokerlab.errors import UserError
from pokerlab.games.base import Game, is_small
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.league.agents import AgentPopulation
from pokerlab.league.budget import Budget
from pokerlab.league.evaluate import Evaluator
from pokerlab.league.folder import LeagueFolder, member_name
from pokerlab.league.loop import League
from pokerlab.league.measure import Measure
from pokerlab.league.population import Population
from pokerlab.league.propose import Oracle
from pokerlab.league.select import Selection
from pokerlab.league.tables import TabularPopulation
from pokerlab.league.weigh import Weigh
from pokerlab.league.where import Where
from pokerlab.search.sequence_game import sequence_game
from pokerlab.store.files import read_yaml, write_atomically
from pokerlab.store.folder import OUTPUTS, cannot_write, new_folder
from pokerlab.store.lock import RunLock
from pokerlab.training.loggers import check_loggers
from pokerlab.training.start import automatic_name
from pokerlab.training.stored_agents import find_agent

SETTINGS = ("game", "propose", "evaluate", "weigh", "select", "measure", "start", "seed")
"""What a league that goes on cannot change."""

MANY_PLAYERS = {
    "weigh": "regret_matching, correlated, projected_replicator, alpha_rank, uniform, restricted_game",
    "evaluate": "exact",
    "propose": "best_response",
}
"""What there is for more than two."""

WITHOUT_TABLES = {
    "weigh": "nash, uniform, regret_matching, projected_replicator, alpha_rank, correlated, prioritised",
    "evaluate": "matches",
    "propose": "policy_gradient, local_best_response, training, exploiters, population_based",
}
"""What there is for games too large for tables."""
FIRST = ("uniform", "response", "first")
"""Members that leagues of small games can start with."""


@dataclass(frozen=True)
class Parts:
    """What a config describes."""

    game: Game | ManyPlayerGame
    propose: Oracle
    evaluate: Evaluator
    weigh: Weigh
    select: Selection
    budget: Budget
    measure: Measure


def make_parts(config: LeagueConfig) -> Parts:
    """Makes what a config describes; takes no time.

    Raises:
        UserError: something cannot be had, or the game does not allow it.
    """
    game = make_game(config.game)
    budget = Budget(config.budget.hours, config.budget.usd)
    parts = Parts(
        game,
        _oracle(config, build(config.members, budget, key="members", kind=Where)),
        build(config.evaluate, key="evaluate", kind=Evaluator),
        build(config.weigh, key="weigh", kind=Weigh),
        build(config.select, key="select", kind=Selection),
        budget,
        build(config.measure, key="measure", kind=Measure),
    )
    checked = (("weigh", parts.weigh), ("evaluate", parts.evaluate), ("propose", parts.propose))
    for key, part in checked:
        if part.needs_two_players and isinstance(game, ManyPlayerGame):
            raise UserError(
                f"{key}: {type(part).__name__} is for two players, {game.name} has {game.num_players}: "
                f"expected {MANY_PLAYERS[key]}"
            )
        if part.needs_tables and not has_tables(game):
            raise UserError(
                f"{key}: {type(part).__name__} needs tables of whole policies, for which {game.name} is too "
                f"large: expected {WITHOUT_TABLES[key]}"
            )
    with as_mistakes("propose: "):
        parts.propose.check_game(game)
    with as_mistakes("measure: "):
        parts.measure.check_game(game)
    _check_start(config, game)
    check_loggers(config.logger, None, here=True)
    expectations: dict[str, Selection | Measure] = {
        "select=all": parts.select,
        "measure=exploitability": parts.measure,
    }
    for expected, user in expectations.items():
        if user.needs_weights and not parts.weigh.picks_members:
            raise UserError(
                f"{expected.partition('=')[0]}: {type(user).__name__} needs weights of members, and "
                f"{type(parts.weigh).__name__} mixes actions: expected {expected}"
            )
    return parts


def _oracle(config: LeagueConfig, where: Where) -> Oracle:
    """One that trains runs is told where, and of which game."""
    wanted = parameters_of(config.propose, "propose").keys()
    facts: dict[str, Any] = {"where": where, "game": config.game}
    given = {name: value for name, value in facts.items() if name in wanted}
    oracle: Oracle = build(config.propose, key="propose", kind=Oracle, **given)
    return oracle


def _check_start(config: LeagueConfig, game: Game | ManyPlayerGame) -> None:
    """Checks that there are the first members of a new league.

    Raises:
        UserError: one is not.
    """
    first = names(config.start)
    if not first or len(set(map(member_name, first))) < len(first):
        raise UserError(f"start must name members, each once: got [{', '.join(first)}]")
    if has_tables(game):
        if unknown := [name for name in first if name not in FIRST]:
            raise UserError(f"start must be one of {', '.join(FIRST)}, got {unknown[0]!r}")
    elif (folder := _named_folder(config)) is None or not folder.members.exists():
        assert isinstance(game, Game)
        with as_mistakes("start: "):
            for name in first:
                find_agent(name, game)


def _named_folder(config: LeagueConfig) -> LeagueFolder | None:
    """The folder that a config names."""
    if config.run_dir is not None:
        return LeagueFolder(Path(config.run_dir))
    return None if config.run_name is None else LeagueFolder(OUTPUTS / config.run_name)


def make_game(component: dict[str, Any]) -> Game | ManyPlayerGame:
    """The game that a config names, of two players or more."""
    many = issubclass(check(component, key="game"), ManyPlayerGame)
    game: Game | ManyPlayerGame = build(component, key="game", kind=ManyPlayerGame if many else Game)
    return game


def has_tables(game: Game | ManyPlayerGame) -> bool:
    """Whether policies of a game are tables."""
    return isinstance(game, ManyPlayerGame) or is_small(game)


def open_population(folder: LeagueFolder, game: Game | ManyPlayerGame) -> Population:
    """The population of a league's folder."""
    if has_tables(game):
        return TabularPopulation(folder, sequence_game(game))
    assert isinstance(game, Game)
    return AgentPopulation(folder, game)


def open_folder(config: LeagueConfig, experiment: str | None) -> tuple[LeagueFolder, RunLock]:
    """The league's folder, new or not, locked.

    Raises:
        UserError: another process drives it, it holds something else, or a league of other settings.
    """
    if (folder := _named_folder(config)) is None:
        folder = LeagueFolder(new_folder(automatic_name(experiment or "league")))
        return folder, folder.lock()
    if config.run_dir is None:
        check_run_name(str(config.run_name))
    if folder.run.holds_a_run and not folder.holds_a_league:
        raise UserError(f"{folder.path} already holds a run: give another run_name or run_dir")
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder.path, error) from error
    return folder, folder.lock()


def open_league(config: LeagueConfig, parts: Parts, folder: LeagueFolder) -> League:
    """A league that can run; the folder is locked.

    Raises:
        UserError: the folder holds a league of other settings, or what it holds is gone or damaged.
    """
    if folder.holds_a_league and folder.run.config.exists():
        check_settings(config, folder)
    else:
        folder.make(parts.game.name)
    population = open_population(folder, parts.game)
    population.check_members()
    named = replace(config, run_name=folder.path.name, run_dir=str(folder.path))
    write_atomically(folder.run.config, OmegaConf.to_yaml(OmegaConf.create(plain(named))))
    population.take_over()
    return League(
        population,
        parts.propose,
        parts.evaluate,
        parts.weigh,
        parts.select,
        names(config.start),
        config.seed,
        parts.budget,
        parts.measure,
    )


def check_settings(config: LeagueConfig, folder: LeagueFolder) -> None:
    """Checks that a league goes on as it began.

    Raises:
        UserError: it would not.
    """
    stored, wanted = read_settings(folder), plain(config)
    for key in SETTINGS:
        if stored.get(key) != wanted[key]:
            raise UserError(
                f"{folder.path} holds a league with another {key}: {_short(stored.get(key))}, not "
                f"{_short(wanted[key])}; leave out what differs, or give another run_dir"
            )


def names(start: str | Sequence[str]) -> tuple[str, ...]:
    """Of the first members."""
    return (start,) if isinstance(start, str) else tuple(start)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        others = ", ".join(f"{key}={each}" for key, each in value.items() if key != "_target_")
        name = str(value.get("_target_")).rpartition(".")[2]
        return f"{name}({others})"
    return str(value)


def read_population(folder: LeagueFolder) -> Population:
    """What a league's folder holds, to look at.

    Raises:
        UserError: a file is gone or damaged.
    """
    folder.read_manifest()
    return open_population(folder, make_game(read_settings(folder)["game"]))


def read_settings(folder: LeagueFolder) -> dict[str, Any]:
    """A league's config.yaml.

    Raises:
        UserError: it is gone or damaged.
    """
    try:
        stored = read_yaml(folder.run.config)
    except FileNotFoundError as error:
        raise UserError(f"{folder.run.config} is gone: the league's own command writes it anew") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("game"), dict):
        raise UserError(f"{folder.run.config} is not the config of a league")
    return {"threads": 1} | stored  # older leagues do not say
