"""Public belief states of many kinds, and a leaf evaluator without a network, for tests of the search."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from oracles import Floats
from torch import Tensor

from benchmarks.street import Street
from pokerlab.games.base import CHANCE, Game, MatrixPayoffs, PayoffOperator
from pokerlab.games.kuhn import KuhnState
from pokerlab.games.leduc import LeducState
from pokerlab.games.liars_dice import LiarsDice, LiarsDiceState
from pokerlab.games.parts import network_features
from pokerlab.search.leaves import LeafValues


def leduc_state(game: Game, line: str, board: int = 0) -> LeducState:
    """The public state after ``line``, such as ``crc/r``: the slash deals ``board``."""
    state = game.root()
    for move in line:
        if move == "/":
            state = game.chance_outcomes(state)[board]
        else:
            state = game.next_state(state, "fcr".index(move))
    return state


def belief_states(game: Game) -> list[Any]:
    """Roots of subgames: whole, deals, second rounds, and ones that start in the middle of a round."""
    if game.name == "kuhn":
        return [KuhnState(line) for line in ((), (0,), (1,), (0, 1))]
    if isinstance(game, LiarsDice):
        return [LiarsDiceState(line) for line in ((), (0,), (1, 2), (0, 2, 3), (game.num_actions - 2,))]
    lines = [("", 0), ("r", 0), ("cr", 0), ("cc", 0), ("rrc", 0), ("cc/", 0), ("cc/", 5), ("rc/", 3)]
    lines += [("crrc/", 1), ("rc/r", 2), ("crc/crr", 4)]
    return [leduc_state(game, line, board) for line, board in lines]


def whole_from(game: Game, state: Any) -> bool:
    """Whether the subgame at ``state`` reaches the end of a game with two rounds left: slow to walk."""
    return isinstance(state, LeducState) and (len(state.rounds) == 1 or game.actor(state) == CHANCE)


def random_beliefs(game: Game, state: Any, seed: int) -> Floats:
    """``[2, H]`` beliefs with zeros here and there; never fewer than two hands a player."""
    generator = np.random.default_rng(seed)
    possible = np.flatnonzero(game.possible_hands(state))
    beliefs = np.zeros((2, game.num_hands))
    for player in (0, 1):
        count = generator.integers(2, len(possible) + 1)
        chosen = generator.choice(possible, count, replace=False)
        beliefs[player, chosen] = generator.dirichlet(np.ones(count))
    return beliefs


class DenseStreet(Street):
    """The same payoffs as matrices."""

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        every = range(2 * (self.num_hands + 1))
        one_hand = torch.eye(self.num_hands, dtype=torch.float64).repeat(len(every), 1, 1)
        of_one_hand = super().payoff_operator(every, one_hand)(one_hand)
        return MatrixPayoffs(of_one_hand.transpose(1, 2).numpy(), kernels, like)

    def payoff_bytes(self, kernel: int, like: Tensor) -> int:
        return Game.payoff_bytes(self, kernel, like)


class LinearLeaves:
    """Infostate values that are a fixed random linear map of beliefs and features."""

    def __init__(self, game: Game, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self.from_beliefs = draw(2, 2 * game.num_hands, game.num_hands)
        self.from_features = draw(2, network_features(game).num_features, game.num_hands)
        self.queries: list[Tensor] = []
        """The beliefs of every query."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        from_beliefs = self.from_beliefs.to(features)
        of_features = features @ self.from_features.to(features)

        def values(beliefs: Tensor) -> Tensor:
            self.queries.append(beliefs.clone())
            return torch.cat([beliefs[0], beliefs[1]], -1) @ from_beliefs + of_features

        return values

    def in_numpy(self, game: Game, state: Any, beliefs: Floats) -> Floats:
        """The same values of one public state, ``[2, H]``."""
        features = np.array(network_features(game).features(state))
        of_beliefs = np.einsum("i,pih->ph", beliefs.flatten(), self.from_beliefs.numpy())
        return of_beliefs + np.einsum("i,pih->ph", features, self.from_features.numpy())
