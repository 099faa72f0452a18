"""What Deep CFR learns from: advantages and strategies at information states."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.selfplay.examples import Examples


@dataclass(frozen=True, slots=True)
class InfostateSums(Examples):
    """What traversals found at ``n`` decisions of a game that is listed, added up."""

    key: Tensor
    """``[n]`` int64, which decision."""
    targets: Tensor
    """``[n, A, H]`` advantages in pots, or a strategy, times their weights."""
    squares: Tensor
    """``[n]`` the squares of these, over actions and hands, times their weights."""
    hand_weights: Tensor
    """``[n, H]``."""

    @staticmethod
    def none(game: Game) -> "InfostateSums":
        """No examples; says what one looks like."""
        actions, hands = game.num_actions, game.num_hands
        key = torch.empty(0, dtype=torch.int64)
        return InfostateSums(key, torch.empty(0, actions, hands), torch.empty(0), torch.empty(0, hands))


@dataclass(frozen=True, slots=True)
class InfostateExamples(Examples):
    """What traversals of one deal found at a decision, of ``k`` hands, on average."""

    lines: Tensor
    """``[n, width]`` what networks see of the public line."""
    legal: Tensor
    """``[n, A]`` bool."""
    hands: Tensor
    """``[n, k, 3]`` what networks see of hands."""
    targets: Tensor
    """``[n, A, k]`` advantages in pots, or a strategy."""
    hand_weights: Tensor
    """``[n, k]`` how many traversals came there with each hand; 0 where there are fewer hands."""
    weight: Tensor
    """``[n]`` int32, the iteration, from 1."""

    @staticmethod
    def none(game: Game, width: int, hands: int) -> "InfostateExamples":
        """No examples of so many hands, and lines so wide."""
        actions = game.num_actions
        return InfostateExamples(
            lines=torch.empty(0, width),
            legal=torch.empty(0, actions, dtype=torch.bool),
            hands=torch.empty(0, hands, 3),
            targets=torch.empty(0, actions, hands),
            hand_weights=torch.empty(0, hands),
            weight=torch.empty(0, dtype=torch.int32),
        )


@dataclass(frozen=True, slots=True)
class Traversals(Examples):
    """What was traversed."""

    key: Tensor
    """``[n]`` int64, 0."""
    nodes: Tensor
    """``[n]`` histories touched."""

    @staticmethod
    def none() -> "Traversals":
        """No examples."""
        return Traversals(torch.empty(0, dtype=torch.int64), torch.empty(0))
