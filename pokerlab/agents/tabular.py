"""Plays a table: a strategy for every public state of a small game."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import Line, Memoryless
from pokerlab.games.base import Game, State, is_small
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree

ITERATIONS = 2000
"""Of DCFR, to an equilibrium."""


class TabularAgent(Memoryless[State]):
    """Plays what a table says.

    Args:
        game: the rules.
        table: by public state, what is done there, ``[actions of the game, H]``.
    """

    def __init__(self, game: Game[State], table: Mapping[State, Tensor]) -> None:
        self.game, self.table = game, table

    @classmethod
    def of(cls, forest: Forest[State], strategy: Tensor) -> "TabularAgent[State]":
        """Plays the strategy ``[A, D, H]`` on a forest of one tree, the whole game."""
        nodes, by_action = forest.decisions, forest.by_action(strategy)
        states = forest.trees[0].decisions.states
        table = {states[node]: by_action[number] for number, node in enumerate(nodes.node.tolist())}
        return cls(forest.game, table)

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        return torch.stack([self.table[line.state] for line in lines])


def equilibrium(game: Game[State]) -> TabularAgent[State]:
    """Plays an equilibrium.

    Raises:
        ValueError: the game is not small.
    """
    if not is_small(game):
        raise ValueError(f"{game.name} is too large for it")
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    return TabularAgent.of(forest, Solver("dcfr").start(forest, belief).run(ITERATIONS).average_strategy())
