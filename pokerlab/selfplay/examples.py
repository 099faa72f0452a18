"""What self-play learns from: value and policy examples."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from pokerlab.games.base import Game


@dataclass(frozen=True, slots=True)
class ValueExamples:
    """Public belief states with their values, ``n`` of them."""

    features: Tensor
    """``[n, F]``."""
    beliefs: Tensor
    """``[n, 2, H]``."""
    possible: Tensor
    """``[n, H]`` bool, hands that the board leaves possible."""
    values: Tensor
    """``[n, 2, H]`` infostate values in pots."""

    def __len__(self) -> int:
        return len(self.features)

    @staticmethod
    def none(game: Game) -> "ValueExamples":
        """No examples; says what one looks like."""
        hands, floats = game.num_hands, torch.float32
        return ValueExamples(
            features=torch.empty(0, game.num_features, dtype=floats),
            beliefs=torch.empty(0, 2, hands, dtype=floats),
            possible=torch.empty(0, hands, dtype=torch.bool),
            values=torch.empty(0, 2, hands, dtype=floats),
        )


@dataclass(frozen=True, slots=True)
class PolicyExamples:
    """Public belief states with the average strategy of the player to act, ``n`` of them."""

    features: Tensor
    """``[n, F]``."""
    beliefs: Tensor
    """``[n, 2, H]``."""
    possible: Tensor
    """``[n, H]`` bool, hands that the board leaves possible."""
    legal: Tensor
    """``[n, A]`` bool."""
    strategy: Tensor
    """``[n, A, H]`` sums to 1 over actions."""

    def __len__(self) -> int:
        return len(self.features)

    @staticmethod
    def none(game: Game) -> "PolicyExamples":
        """No examples; says what one looks like."""
        hands, actions, floats = game.num_hands, game.num_actions, torch.float32
        return PolicyExamples(
            features=torch.empty(0, game.num_features, dtype=floats),
            beliefs=torch.empty(0, 2, hands, dtype=floats),
            possible=torch.empty(0, hands, dtype=torch.bool),
            legal=torch.empty(0, actions, dtype=torch.bool),
            strategy=torch.empty(0, actions, hands, dtype=floats),
        )


SomeExamples = TypeVar("SomeExamples", ValueExamples, PolicyExamples)


def moved(examples: SomeExamples, device: torch.device) -> SomeExamples:
    """Examples on ``device``."""
    kind = type(examples)
    return kind(**{field.name: getattr(examples, field.name).to(device) for field in fields(kind)})


def concatenate(examples: Sequence[SomeExamples]) -> SomeExamples:
    """Joins examples of one kind; at least one batch."""
    kind = type(examples[0])
    names = [field.name for field in fields(kind)]
    return kind(**{name: torch.cat([getattr(batch, name) for batch in examples]) for name in names})
