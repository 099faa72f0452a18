"""What an algorithm learns from: examples in columns. ReBeL's are value and policy examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import ClassVar, Self, TypeVar

import torch
from torch import Tensor

from pokerlab.games.base import Game, State
from pokerlab.games.parts import features_of, network_features, with_hand_inputs
from pokerlab.search.forest import Forest


@dataclass(frozen=True, slots=True)
class Examples:
    """``n`` examples of one kind: a dataclass of tensors ``[n, ...]``, at least one.

    If one of them is ``weight``, ``[n]`` int32, examples are drawn to be learned from as often as that says.
    """

    distributions: ClassVar[tuple[str, ...]] = ()
    """Columns with probabilities along their last axis: half precision holds them as multiples of 1 / its
    length."""
    on_host: ClassVar[tuple[str, ...]] = ()
    """Columns that stay in the host's memory: it decides by them what is done, and must not wait for them."""

    @classmethod
    def complete(cls, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stored columns, with a weight of 1 for each example if the kind has weights and they have none."""
        if "weight" not in {field.name for field in fields(cls)} - columns.keys():
            return dict(columns)
        number = len(next(iter(columns.values())))
        return {**columns, "weight": torch.ones(number, dtype=torch.int32)}

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    @property
    def bytes_each(self) -> int:
        """What one takes."""
        columns = self.columns().values()
        return sum(prod(column.shape[1:]) * column.element_size() for column in columns)

    def columns(self) -> dict[str, Tensor]:
        """The tensors by their names."""
        columns = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: column for name, column in columns if column is not None}

    def select(self, rows: slice) -> Self:
        """Some of the examples."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def to(self, device: torch.device) -> Self:
        """The examples on ``device``, but for columns that stay where they are: Lightning calls this."""
        ahead = device.type == "cuda"  # the host need not wait until they are there
        columns = self.columns()
        for name in columns.keys() - {*self.on_host}:
            columns[name] = columns[name].to(device, non_blocking=ahead)
        return type(self)(**columns)


SomeExamples = TypeVar("SomeExamples", bound=Examples)


def concatenate(examples: Sequence[SomeExamples]) -> SomeExamples:
    """Joins examples of one kind; at least one batch."""
    batches = [batch.columns() for batch in examples]
    return type(examples[0])(**{name: torch.cat([batch[name] for batch in batches]) for name in batches[0]})


@dataclass(frozen=True, slots=True)
class ValueExamples(Examples):
    """Public belief states with their values, ``n`` of them."""

    distributions, on_host = ("beliefs",), ("features",)
    features: Tensor
    """``[n, F]``."""
    beliefs: Tensor
    """``[n, 2, H]``."""
    possible: Tensor
    """``[n, H]`` bool, hands that the board leaves possible."""
    values: Tensor
    """``[n, 2, H]`` infostate values in pots."""
    hand_inputs: Tensor | None = None
    """``[n, I, H]``, see :class:`~pokerlab.games.parts.HandInputs`."""

    @staticmethod
    def none(game: Game, *, hand_inputs: bool = False) -> "ValueExamples":
        """No examples; says what one looks like."""
        hands, floats = game.num_hands, torch.float32
        return ValueExamples(
            features=torch.empty(0, network_features(game).num_features, dtype=floats),
            beliefs=torch.empty(0, 2, hands, dtype=floats),
            possible=torch.empty(0, hands, dtype=torch.bool),
            values=torch.empty(0, 2, hands, dtype=floats),
            hand_inputs=_no_hand_inputs(game) if hand_inputs else None,
        )


def value_examples(game: Game[State], forest: Forest[State], belief: Tensor, values: Tensor) -> ValueExamples:
    """Of ``[2, B, H]`` beliefs and infostate values in chips at a forest's roots, without hand inputs."""
    roots = [tree.root for tree in forest.trees]
    tree_of = torch.as_tensor(forest.tree_of)
    pot = torch.tensor([game.pot(root) for root in roots])[tree_of]
    return ValueExamples(
        features=torch.as_tensor(features_of(game, roots)).float()[tree_of],
        beliefs=belief.transpose(0, 1).float().cpu(),
        possible=forest.root_possible.bool().cpu(),
        values=values.transpose(0, 1).float().cpu() / pot[:, None, None],
    )


@dataclass(frozen=True, slots=True)
class PolicyExamples(Examples):
    """Public belief states with the average strategy of the player to act, ``n`` of them."""

    distributions, on_host = ("beliefs",), ("features",)
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
    weight: Tensor
    """``[n]`` int32, how many trajectories came through."""
    hand_inputs: Tensor | None = None
    """``[n, I, H]``, see :class:`~pokerlab.games.parts.HandInputs`."""

    @staticmethod
    def none(game: Game, *, hand_inputs: bool = False) -> "PolicyExamples":
        """No examples; says what one looks like."""
        hands, actions, floats = game.num_hands, game.num_actions, torch.float32
        return PolicyExamples(
            features=torch.empty(0, network_features(game).num_features, dtype=floats),
            beliefs=torch.empty(0, 2, hands, dtype=floats),
            possible=torch.empty(0, hands, dtype=torch.bool),
            legal=torch.empty(0, actions, dtype=torch.bool),
            strategy=torch.empty(0, actions, hands, dtype=floats),
            weight=torch.empty(0, dtype=torch.int32),
            hand_inputs=_no_hand_inputs(game) if hand_inputs else None,
        )


def _no_hand_inputs(game: Game) -> Tensor:
    return torch.empty(0, len(with_hand_inputs(game).hand_inputs), game.num_hands, dtype=torch.float32)
