"""Subgames by where they start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from torch import Tensor

from pokerlab.games.base import Game, State
from pokerlab.search.forest import Forest
from pokerlab.search.tree import PublicTree, build_tree


@dataclass(frozen=True, slots=True)
class BeliefStates(Generic[State]):
    """Public belief states, ``n`` of them."""

    states: Sequence[State]
    beliefs: Tensor
    """``[2, n, H]``."""


class Subgames(Generic[State]):
    """Makes forests of depth-limited subgames; each public state's tree is built once.

    Args:
        game: the rules.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        self._trees: dict[State, PublicTree[State]] = {}

    def forest(self, states: Sequence[State], like: Tensor) -> Forest[State]:
        """The subgames that start at ``states``, in the device and dtype of ``like``."""
        number: dict[State, int] = {}
        tree_of = np.array([number.setdefault(state, len(number)) for state in states], dtype=np.int64)
        for state in number:
            if state not in self._trees:
                self._trees[state] = build_tree(self.game, state, depth_limited=True)
        trees = [self._trees[state] for state in number]
        return Forest(self.game, trees, tree_of, device=like.device, dtype=like.dtype)
