"""Subgames by where they start."""

from collections.abc import Iterator, Sequence
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


def solving_bytes(tree: PublicTree, like: Tensor) -> int:
    """An upper bound of what a solver keeps for one subgame, in the dtype of ``like``.

    A padded edge has regret, strategy, average, reach, value and prediction; a terminal or a leaf both
    players' reach, belief and value.
    """
    numbers = 8 * tree.width * len(tree.decisions) + 12 * (len(tree.terminals) + len(tree.leaves)) + 16
    return numbers * tree.root_possible.size * like.element_size()


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
        trees = [self.tree(state) for state in number]
        return Forest(self.game, trees, tree_of, device=like.device, dtype=like.dtype)

    def forests(
        self, states: Sequence[State], like: Tensor, most_bytes: float
    ) -> Iterator[tuple[slice, Forest[State]]]:
        """The same in parts that can be solved in ``most_bytes`` each; a part has at least one subgame."""
        sizes = np.cumsum([solving_bytes(self.tree(state), like) for state in states])
        begin = 0
        while begin < len(states):
            before = sizes[begin - 1] if begin else 0
            end = max(int(np.searchsorted(sizes, before + most_bytes, side="right")), begin + 1)
            yield slice(begin, end), self.forest(states[begin:end], like)
            begin = end

    def tree(self, state: State) -> PublicTree[State]:
        """The depth-limited tree below ``state``."""
        if state not in self._trees:
            self._trees[state] = build_tree(self.game, state, depth_limited=True)
        return self._trees[state]
