"""Plays a table: a strategy for every public state."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.games.base import State
from pokerlab.search.forest import Forest


class TabularAgent(Agent[State], Seat[State]):
    """Plays what a table says.

    Args:
        table: by public state, what is done there, ``[actions of the game, H]``.
    """

    def __init__(self, table: Mapping[State, Tensor]) -> None:
        self.table = table

    @classmethod
    def of(cls, forest: Forest[State], strategy: Tensor) -> "TabularAgent[State]":
        """Plays the strategy ``[A, D, H]`` on a forest of one tree, the whole game."""
        nodes, by_action = forest.decisions, forest.by_action(strategy)
        states = forest.trees[0].decisions.states
        return cls({states[node]: by_action[number] for number, node in enumerate(nodes.node.tolist())})

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return self

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        return torch.stack([self.table[line.state] for line in lines])
