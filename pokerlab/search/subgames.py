"""Makes forests of depth-limited subgames."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic

import numpy as np
from torch import Tensor

from pokerlab.ahead import one_ahead
from pokerlab.games.base import Game, State
from pokerlab.search.forest import Forest
from pokerlab.search.tree import PublicTree, build_tree


def solving_bytes(
    tree: PublicTree,
    like: Tensor,
    width: int,
    floats_per_leaf: int = 0,
    *,
    in_loops: bool = False,
    in_kernels: bool = False,
) -> int:
    """What solving one subgame takes at most at a time, in the dtype of ``like``.

    Tensors: for a padded edge, regret, strategy, average, reach and value, and intermediate results for a
    player's half; for a terminal, both players' weights and rows, and one player's results on the way. Loops:
    for an edge, the first five alone. Kernels: for a padded edge, the first four; for terminals and nodes,
    values of both players and products. For a leaf, both players' reach, belief and value, and the sums of
    CFR-AVG. Payoffs come on top, once for all subgames: :func:`payoff_bytes`.

    Args:
        tree: the subgame's.
        like: a tensor with the device and dtype to work in.
        width: the most actions at one node of any subgame that is solved with it.
        floats_per_leaf: the leaf evaluator's part, see :class:`LeafEvaluator`.
        in_loops: whether the backend is ``compiled``, on a CPU.
        in_kernels: the same on a GPU.
    """
    hands, features, leaves = tree.root_possible.size, tree.leaves.features.shape[1], len(tree.leaves)
    edges, terminals = width * len(tree.decisions), len(tree.terminals)
    if in_loops:
        numbers = (5.3 * tree.num_edges + 12 * leaves + 16) * hands
    elif in_kernels:
        numbers = (4 * edges + 2 * len(tree.decisions) + 5 * terminals + 10 * leaves + 16) * hands
    else:
        numbers = (6 * edges + 9 * terminals + 18 * leaves + 16) * hands
    numbers += (features + 16) * (terminals + leaves + edges) + floats_per_leaf * leaves
    return int(numbers * like.element_size())


def payoff_bytes(game: Game, trees: Iterable[PublicTree], like: Tensor) -> int:
    """What the payoff operator takes that values the terminals of all ``trees``."""
    kernels = set[int]().union(*({*tree.payoff_kernel.tolist()} for tree in trees))
    return sum(game.payoff_bytes(kernel, like) for kernel in kernels)


MOST_NODES = 1_000_000
"""In the trees that are kept: about 300 MB."""


class Subgames(Generic[State]):
    """Makes forests of depth-limited subgames, and keeps the latest trees, up to ``MOST_NODES`` nodes.

    Args:
        game: the rules.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        self._trees: dict[State, PublicTree[State]] = {}
        self._nodes = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_trees": {}, "_nodes": 0}  # another process makes its own

    def forest(self, states: Sequence[State], like: Tensor) -> Forest[State]:
        """The subgames that start at ``states``, in the device and dtype of ``like``."""
        return self._forest([self.tree(state) for state in states], like)

    def _forest(self, trees: Sequence[PublicTree[State]], like: Tensor) -> Forest[State]:
        different = {id(tree): tree for tree in trees}
        number = {name: i for i, name in enumerate(different)}
        tree_of = np.array([number[id(tree)] for tree in trees], dtype=np.int64)
        return Forest(self.game, [*different.values()], tree_of, device=like.device, dtype=like.dtype)

    def forests(
        self,
        states: Sequence[State],
        like: Tensor,
        most_bytes: float,
        floats_per_leaf: int = 0,
        *,
        in_loops: bool = False,
        in_kernels: bool = False,
        apart: bool = False,
    ) -> Iterator[tuple[slice, Forest[State]]]:
        """The same in parts that each can be solved in ``most_bytes``; a part has at least one subgame, and
        if ``apart`` is true, all of its subgames have leaves or none has.

        The rest: see :func:`solving_bytes`. Beside a GPU, the next part's trees are made while one is solved.
        """
        count = partial(
            solving_bytes,
            like=like,
            floats_per_leaf=floats_per_leaf,
            in_loops=in_loops,
            in_kernels=in_kernels,
        )
        parts = self._parts(states, like, most_bytes, count, apart)
        for place, trees in one_ahead(parts) if like.device.type == "cuda" else parts:
            yield place, self._forest(trees, like)

    def _parts(
        self,
        states: Sequence[State],
        like: Tensor,
        most_bytes: float,
        count: Callable[..., int],
        apart: bool,
    ) -> Iterator[tuple[slice, list[PublicTree[State]]]]:
        """The parts' places and trees; a tree is made when it is looked at."""
        begin, trees, paid = 0, list[PublicTree[State]](), set[int]()
        fixed, by_width, payoffs, width = 0, 0, 0, 1
        for at, state in enumerate(states):
            tree = self.tree(state)
            kernels = {*tree.payoff_kernel.tolist()}
            least = count(tree, width=0)
            more = count(tree, width=1) - least
            new = sum(self.game.payoff_bytes(kernel, like) for kernel in kernels - paid)
            widest = max(width, tree.width)
            full = fixed + least + widest * (by_width + more) + payoffs + new > most_bytes
            # a game of several boards is solved board by board if it is alone
            if trees and (
                full
                or has_boards(tree)
                or has_boards(trees[-1])
                or (apart and bool(len(tree.leaves)) != bool(len(trees[-1].leaves)))
            ):
                yield slice(begin, at), trees
                begin, trees, paid, fixed, by_width, payoffs, widest = at, [], set(), 0, 0, 0, tree.width
                new = sum(self.game.payoff_bytes(kernel, like) for kernel in kernels)
            trees.append(tree)
            paid |= kernels
            fixed, by_width, payoffs, width = fixed + least, by_width + more, payoffs + new, widest
        if trees:
            yield slice(begin, len(states)), trees

    def tree(self, state: State) -> PublicTree[State]:
        """The depth-limited tree below ``state``."""
        if state not in self._trees:
            tree = build_tree(self.game, state, depth_limited=True)
            self._nodes += _size(tree)
            while self._trees and self._nodes > MOST_NODES:
                self._nodes -= _size(self._trees.pop(next(iter(self._trees))))
            self._trees[state] = tree
        return self._trees[state]


def has_boards(tree: PublicTree) -> bool:
    """Whether it goes on to the end of the game through deals."""
    return not len(tree.leaves) and bool(tree.dealt.any())


def _size(tree: PublicTree) -> int:
    return len(tree.decisions) + len(tree.terminals) + len(tree.leaves)
