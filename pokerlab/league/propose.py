"""Oracles: who comes next."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pokerlab.games.base import Floats, Game
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.games.parts import table_play
from pokerlab.league.folder import Member
from pokerlab.league.population import Mixture, Population
from pokerlab.league.tables import TabularMixture, TabularPopulation
from pokerlab.selfplay.place import Place


class Oracle(ABC):
    """Proposes members. It draws, if at all, at the place that it is given: asked again, it says the same."""

    needs_two_players = False
    trains_runs = False
    """Whether its rounds take so long that who stops a league does not wait for the end of one."""
    needs_tables = False

    @abstractmethod
    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Any]]:
        """New members, for the round that ``place`` names, and what they play.

        Args:
            population: as it is.
            mixture: what it plays together.
            place: seed of the league, and the round.
        """

    def check_game(self, game: Game | ManyPlayerGame) -> None:  # noqa: B027 (most play all games)
        """Raises a ValueError if it cannot play a game, be it for two players."""


class BestResponse(Oracle):
    """For each player the exact best response to what the others play: PSRO's oracle, and XDO's.

    Together they are one member, which can be picked in any seat.
    """

    needs_tables = True

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Floats]]:
        assert isinstance(population, TabularPopulation)
        assert isinstance(mixture, TabularMixture)
        strategy = np.zeros_like(mixture.strategy)
        for player in range(population.game.num_players):
            _, chosen = population.game.best_response(player, population.end_values(player, mixture))
            strategy += chosen
        name = f"r{place.iteration:04d}"
        return [(Member(name, place.iteration, "best_response", heaviest(population, mixture)), strategy)]


class LocalBestResponses(Oracle):
    """The local best response to the mixture, from either seat: no best response, but found without learning.

    Args:
        from_street: before this street it checks and calls.
    """

    needs_two_players = True

    def __init__(self, *, from_street: int = 0) -> None:
        if from_street < 0:
            raise ValueError(f"from_street must be at least 0, got {from_street}")
        self._from_street = from_street

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        if isinstance(game, Game):
            table_play(game)

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Any]]:
        policy = population.responder(mixture, self._from_street)
        name = f"r{place.iteration:04d}"
        return [(Member(name, place.iteration, "local_best_response", heaviest(population, mixture)), policy)]


def heaviest(population: Population, mixture: Mixture) -> str | None:
    """The member that is picked most often; None: members are not picked."""
    if mixture.weights is None:
        return population.members[-1].name
    return population.members[int(np.sum(mixture.weights, 0).argmax())].name
