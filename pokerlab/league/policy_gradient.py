"""A neural oracle: approximate best responses to the mixture, learned by PPO."""

from typing import Any

import numpy as np
import torch

from pokerlab.agents.infostates import InfostateAgent
from pokerlab.algorithms.best_responses import respond
from pokerlab.games.base import Game
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.games.parts import network_features
from pokerlab.league.folder import Member
from pokerlab.league.population import Mixture, Population
from pokerlab.league.propose import Oracle, heaviest
from pokerlab.selfplay.place import Place


class PolicyGradient(Oracle):
    """What PPO learns to win from the mixture: one network for both seats, kept as a table.

    Args:
        iterations: of play and of learning from it.
        hands: an iteration.
        passes: how often each decision is learned from.
        batch_size: decisions a batch.
        hidden: width of the networks.
        layers: hidden ones.
        entropy: its temperature in big blinds at the start.
        final_entropy: at the end; it falls geometrically.
        learning_rate: at the start.
        final_learning_rate: at the end.
        greedy: whether the member always takes the network's likeliest action, which mostly wins
            more, instead of drawing as the network does.
    """

    needs_two_players = True

    def __init__(
        self,
        *,
        iterations: int = 60,
        hands: int = 4000,
        passes: float = 4,
        batch_size: int = 512,
        hidden: int = 64,
        layers: int = 2,
        entropy: float = 1.0,
        final_entropy: float = 0.01,
        learning_rate: float = 3e-3,
        final_learning_rate: float = 1e-5,
        greedy: bool = True,
    ) -> None:
        counts = {"iterations": iterations, "batch_size": batch_size, "hidden": hidden, "layers": layers}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if hands < 2:
            raise ValueError(f"hands must be at least 2, one for each seat, got {hands}")
        sizes = {
            "passes": passes,
            "entropy": entropy,
            "final_entropy": final_entropy,
            "learning_rate": learning_rate,
            "final_learning_rate": final_learning_rate,
        }
        for name, size in sizes.items():
            if not 0 < size < np.inf:
                raise ValueError(f"{name} must be positive, got {size}")
        self._greedy = greedy
        self._options: dict[str, Any] = {**counts, **sizes, "trajectories": hands}

    def check_game(self, game: Game | ManyPlayerGame) -> None:
        if isinstance(game, Game):
            network_features(game)

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Any]]:
        game = population.rules
        assert isinstance(game, Game)
        seed = int(torch.randint(2**31, (), generator=place.generator()))
        response = respond(game, population.agent_of(mixture), seed=seed, **self._options)
        agent = InfostateAgent(game, response.agent.network, greedy=self._greedy)
        name = f"r{place.iteration:04d}"
        return [
            (
                Member(name, place.iteration, "policy_gradient", heaviest(population, mixture)),
                population.learned(agent),
            )
        ]
