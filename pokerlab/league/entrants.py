"""Agents of a league's game: as tables, for its matrix, and at a table, for matches."""

from collections.abc import Sequence
from pathlib import Path

from pokerlab.agents.stored_policy import agent_of, read_policy
from pokerlab.config.command import as_mistakes
from pokerlab.errors import UserError
from pokerlab.evaluation.exact import whole_game_strategy
from pokerlab.evaluation.lineup import Entrant
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Floats
from pokerlab.league.population import Population
from pokerlab.search.sequence_game import SequenceGame
from pokerlab.training.opponents import lineup

FROM_A_FILE = "policy:"


def policy_of(game: SequenceGame, name: str) -> tuple[str, Floats]:
    """What to call an agent, and what it plays, ``[E, H]``.

    Args:
        game: the league's.
        name: of an agent, ``policy:PATH``, or a run as ``RUN`` or ``RUN:WAY``.

    Raises:
        UserError: there is none, or it is of another game.
    """
    if name.startswith(FROM_A_FILE):
        path = Path(name.removeprefix(FROM_A_FILE))
        return path.parent.name if path.is_file() else path.name, read_policy(path, game)
    if game.num_players > 2:
        raise UserError(f"agents play games of two players: expected policy:PATH, got {name}")
    with as_mistakes():
        entrant = lineup(game.game).entrant(name)
        whole = WholeGame(game.game)
        strategy = whole_game_strategy(whole, entrant.agent, play_throughs=1000, seed=1)
    return entrant.name.replace(":", "-").replace("/", "-"), whole.forest.to_edges(strategy).numpy()


def line_up(population: Population, against: Sequence[str]) -> list[Entrant]:
    """The league's best mixture, and those that it is to meet.

    Raises:
        ValueError: an agent cannot play this game, or is named twice.
        UserError: there is none of that name, or no mixture yet.
    """
    game = population.game
    if game.num_players > 2:
        raise ValueError(f"matches are of two players, and {game.game.name} has {game.num_players}")
    if population.best is None:
        raise UserError(f"{population.folder.path.name} has no mixture yet: run it first")
    entrants = [Entrant(population.folder.path.name, agent_of(game, population.policy()))]
    names = {member.name: number for number, member in enumerate(population.members)}
    for name in against:
        if name in names:
            entrants.append(Entrant(name, population.agent(names[name])))
        else:
            entrants.append(lineup(game.game).entrant(name))
    if len({entrant.name for entrant in entrants}) < len(entrants):
        raise ValueError("an agent is named twice")
    return entrants
