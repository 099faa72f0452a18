"""How strong mixtures are: exactly, by a local best response, or not measured."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pokerlab.evaluation.contest import value_function
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.matches import play_match
from pokerlab.games.base import Game
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.games.parts import table_play
from pokerlab.league.population import Mixture, Population
from pokerlab.selfplay.place import Place


class Measure(ABC):
    """Measures mixtures."""

    needs_weights = True
    """Whether mixtures must say how often members are picked."""

    @abstractmethod
    def measure(self, population: Population, mixture: Mixture, place: Place) -> dict[str, Any]:
        """What a round's line says of its mixture's strength; draws, if at all, at ``place``."""

    def check_game(self, game: Game | ManyPlayerGame) -> None:  # noqa: B027 (most measure all games)
        """Raises a ValueError if it cannot measure on a game."""


class Exploitability(Measure):
    """Exact best responses: of games whose public tree fits in memory."""

    needs_weights = False

    def measure(self, population: Population, mixture: Mixture, place: Place) -> dict[str, Any]:
        return population.strength(mixture)

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        if isinstance(game, Game) and not game.enumerable:
            raise ValueError(f"{game.name} is too large to be enumerated: expected lbr, or none")


class Unmeasured(Measure):
    """Nothing is measured: the newest mixture counts as the best."""

    def measure(self, population: Population, mixture: Mixture, place: Place) -> dict[str, Any]:
        return {
            "values": expected_values(population, mixture),
            "nash_conv": None,
            "exploitability": None,
            "lower_bound": None,
        }


class LowerBound(Measure):
    """What a local best response wins of a mixture in duplicate matches: exploitability is no less.

    It may be far more: mixtures are ranked by what one weak opponent finds, in a match.

    Args:
        deals: of the match.
        from_street: before this street it checks and calls.
        aivat: whether luck is taken out.
    """

    def __init__(self, *, deals: int = 1000, from_street: int = 0, aivat: bool = True) -> None:
        if deals < 2:
            raise ValueError(f"deals must be at least 2, got {deals}")
        if from_street < 0:
            raise ValueError(f"from_street must be at least 0, got {from_street}")
        self._deals, self._from_street, self._aivat = deals, from_street, aivat

    def measure(self, population: Population, mixture: Mixture, place: Place) -> dict[str, Any]:
        game = population.rules
        assert isinstance(game, Game)
        agent = population.agent_of(mixture)
        response = LocalBestResponse(game, agent, from_street=self._from_street)
        values = value_function(None, game, response, agent) if self._aivat else None
        seed = np.random.SeedSequence(place.seed, spawn_key=(place.iteration,)).generate_state(1)
        found = play_match(game, (response, agent), self._deals, int(seed[0]), values=values).result()
        return {
            "values": expected_values(population, mixture),
            "nash_conv": None,
            "exploitability": None,
            "lower_bound": found.mean,
            "lower_bound_half_width": found.half_width,
        }

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        if isinstance(game, ManyPlayerGame):
            raise ValueError(f"a local best response is for two players, {game.name} has {game.num_players}")
        table_play(game)


def expected_values(population: Population, mixture: Mixture) -> list[float]:
    """What each player wins by the matrix, of members who are picked."""
    assert mixture.weights is not None
    picked = np.flatnonzero(np.any(mixture.weights, 0)).tolist()
    values = population.payoffs(picked)
    for own in reversed(mixture.weights):
        values = values @ own[picked]
    return [float(value) for value in values]
