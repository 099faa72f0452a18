"""Agents of a league's game: as tables, for its matrix, and at a table, for matches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pokerlab.agents.stored_policy import read_policy
from pokerlab.config.command import as_mistakes
from pokerlab.errors import UserError
from pokerlab.evaluation.lineup import LOCAL_BEST_RESPONSE, Entrant, local_best_response
from pokerlab.games.base import Game
from pokerlab.league.agents import AgentPopulation
from pokerlab.league.folder import member_name
from pokerlab.league.population import Population
from pokerlab.league.tables import TabularPopulation
from pokerlab.training.stored_agents import find_agent, lineup

FROM_A_FILE = "policy:"


def policy_of(population: Population, name: str) -> tuple[str, Any]:
    """What to call an agent, and what it plays, as :meth:`Population.add` takes it.

    Args:
        population: that it is to join.
        name: of an agent, ``policy:PATH``, or a run as ``RUN`` or ``RUN:WAY``.

    Raises:
        UserError: there is none, or it is of another game.
    """
    if isinstance(population, AgentPopulation):
        with as_mistakes():
            return member_name(name), find_agent(name, population.game)
    assert isinstance(population, TabularPopulation)
    game = population.game
    if name.startswith(FROM_A_FILE):
        path = Path(name.removeprefix(FROM_A_FILE))
        return path.parent.name if path.is_file() else path.name, read_policy(path, game)
    if game.num_players > 2:
        raise UserError(f"agents play games of two players: expected policy:PATH, got {name}")
    with as_mistakes():
        entrant = lineup(game.game).entrant(name)
        return member_name(entrant.name), population.tabulate(entrant.agent)


def line_up(population: Population, against: Sequence[str]) -> tuple[Game, list[Entrant]]:
    """The game, the league's best mixture, and those that it is to meet.

    Raises:
        ValueError: an agent cannot play this game, or is named twice.
        UserError: there is none of that name, or no mixture yet.
    """
    game = population.rules
    if not isinstance(game, Game):
        raise ValueError(f"matches are of two players, and {game.name} has {game.num_players}")
    if population.best is None:
        raise UserError(f"{population.folder.path.name} has no mixture yet: run it first")
    entrants = [Entrant(population.folder.path.name, population.best_agent())]
    names = {member.name: number for number, member in enumerate(population.members)}
    for name in against:
        if name == LOCAL_BEST_RESPONSE:
            if len(against) > 1:
                raise ValueError(f"{name} responds to the league, it cannot meet others")
            entrants.append(local_best_response(game, entrants[0].agent))
        elif name in names:
            entrants.append(Entrant(name, population.agent(names[name])))
        else:
            entrants.append(lineup(game).entrant(name))
    if len({entrant.name for entrant in entrants}) < len(entrants):
        raise ValueError("an agent is named twice")
    return game, entrants
