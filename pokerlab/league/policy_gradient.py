"""A neural oracle: approximate best responses to the mixture, learned by PPO."""

from typing import Any

import numpy as np
import torch

from pokerlab.agents.stored_policy import agent_of
from pokerlab.algorithms.best_responses import respond
from pokerlab.evaluation.exact import whole_game_strategy
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Floats, Game
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.games.parts import network_features
from pokerlab.league.folder import Member
from pokerlab.league.population import Mixture, Population
from pokerlab.league.propose import Oracle, heaviest
from pokerlab.search.sequence_game import SequenceGame
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

    def propose(self, population: Population, mixture: Mixture, place: Place) -> list[tuple[Member, Floats]]:
        game = population.game
        seed = int(torch.randint(2**31, (), generator=place.generator()))
        response = respond(game.game, agent_of(game, mixture.strategy), seed=seed, **self._options)
        whole = WholeGame(game.game)
        strategy = whole.forest.to_edges(whole_game_strategy(whole, response.agent)).double().numpy()
        strategy = likeliest(game, strategy) if self._greedy else game.average(strategy)
        name = f"r{place.iteration:04d}"
        return [(Member(name, place.iteration, "policy_gradient", heaviest(population, mixture)), strategy)]


def likeliest(game: SequenceGame, strategy: Floats) -> Floats:
    """``[E, H]`` always the likeliest action of a strategy; of equal ones the first."""
    chosen, hands = np.zeros_like(strategy), np.arange(game.num_hands)
    for first, end in zip(game.nodes.first, game.nodes.end, strict=True):
        chosen[first + strategy[first:end].argmax(0), hands] = 1
    return chosen
