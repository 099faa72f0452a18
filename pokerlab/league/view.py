"""Populations for notebooks and other programs: grown, looked at, and brought to a table."""

from collections.abc import Callable
from typing import Any

from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure

from pokerlab.agents.base import Agent
from pokerlab.config.command import compose
from pokerlab.games.base import Game
from pokerlab.league import show
from pokerlab.league.folder import find_league
from pokerlab.league.growing import grow_rounds
from pokerlab.league.plots import draw_league
from pokerlab.league.population import Population
from pokerlab.league.start import make_parts, open_folder, read_population
from pokerlab.league.start import open_league as open_loop


class League:
    """A population, as :func:`open_league` finds it."""

    def __init__(self, population: Population) -> None:
        self._population, self.game = population, population.rules
        self.folder = population.folder.path

    def __repr__(self) -> str:
        return "\n".join([f"{self.folder.name}, {self.game.name}", *show.summary(self._population)])

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """A line a round, as rounds.jsonl has them."""
        return self._population.rounds

    @property
    def members(self) -> list[dict[str, Any]]:
        """Each with its name, parent, origin, round, and weight for each player in the last mixture."""
        return show.tree(self._population)

    @property
    def matrix(self) -> dict[str, Any]:
        """``payoffs`` of the row's member against the column's, chips a hand; ``half_width`` of intervals."""
        return show.matrix(self._population)

    def figures(self) -> dict[str, Figure]:
        """``exploitability``, ``weights``, ``lineage`` and ``matrix``, if there is something in them."""
        return dict(draw_league(self._population))

    def agent(self, member: str | None = None) -> Agent:
        """The best mixture so far as an agent, or a member; of two players.

        Raises:
            ValueError: there is no such member, no mixture yet, or there are more players.
        """
        population = self._population
        if not isinstance(self.game, Game):
            raise ValueError(f"agents play games of two players, and {self.game.name} has more")
        if member is None:
            if population.best is None:
                raise ValueError(f"{self.folder.name} has no mixture yet")
            return population.best_agent()
        names = [each.name for each in population.members]
        if member not in names:
            raise ValueError(f"no member {member!r}: expected one of {', '.join(names)}")
        return population.agent(names.index(member))


def open_league(name: str) -> League:
    """Opens a population.

    Args:
        name: of a league under ``outputs/``, or its folder.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    return League(read_population(find_league(name)))


def grow_league(*overrides: str, watch: Callable[[dict[str, Any]], None] = lambda _: None) -> League:
    """Grows a population, as ``pokerlab league run`` does, or goes on with one.

    Args:
        overrides: as on its command line.
        watch: told each round's line.

    Raises:
        UserError: a value is wrong, or the folder cannot be used.
    """
    config = compose("league", overrides)
    experiment = HydraConfig.get().runtime.choices.get("experiment")
    parts = make_parts(config)
    folder, lock = open_folder(config, experiment)
    with lock:
        league = open_loop(config, parts, folder)
        grow_rounds(league, config, experiment, tell=watch)
    return League(league.population)
