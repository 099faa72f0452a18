"""CFR on the CPU for one large subgame with deals, board by board."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints
from pokerlab.games.payoff_tables import Floats, TabledPayoffs
from pokerlab.search.backends import board_loops, board_nodes
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.board_loops import AVERAGE, BEST, ITERATE
from pokerlab.search.backends.boards import BoardLayout
from pokerlab.search.backends.packing import MOST_HANDS_FOR_MATRICES
from pokerlab.search.backends.threads import run_in_threads
from pokerlab.search.forest import Forest
from pokerlab.search.locks import NOTHING, Locks
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.tree import PublicTree
from pokerlab.vectors import LANES

PARTS = 16
"""What threads share out: so many parts that they end together. However many threads there are, sums over
deals are taken part by part: a result does not depend on their number."""


class BlockwiseBackend:
    """A :class:`~pokerlab.search.backends.base.Backend` that keeps regrets and sums of strategies alone.

    Strategies, reach and values are found anew in every pass, board by board, in the processor's cache (see
    :mod:`~pokerlab.search.backends.boards`). Hands that neither player can hold in the game are left out:
    they have the uniform strategy and no values. Players update in turn.

    Args:
        forest: one subgame.
        belief: ``[2, 1, H]`` at its root.
        rule: the update rule.
        payoffs: of the forest, see :func:`board_payoffs`.
        storage: of regrets and sums: ``int16``, whole numbers with a scale for each decision node; ``full``,
            in the forest's dtype; ``auto``: ``int16``, if that is float32.
        locks: strategies that are given; with them, storage is ``full``.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        payoffs: TabledPayoffs,
        storage: str = "auto",
        locks: Locks | None = None,
    ) -> None:
        self._forest, self._rule = forest, rule
        self._dtype = np.dtype(str(forest.dtype).removeprefix("torch."))
        tree, beliefs = forest.trees[forest.tree_of[0]], belief[:, 0].numpy().copy()
        held = tree.root_possible & ((forest.game.initial_beliefs > 0) | (beliefs > 0)).any(0)
        self._layout = BoardLayout(tree, beliefs, held, payoffs.lists, forest.payoff_kernels, payoffs.weight)
        self._blocks = blocks = self._layout.blocks
        self._width, self._hands = int(blocks.width[0]), blocks.hand[: blocks.hand_at[1]]
        whole = storage == "int16" or (storage == "auto" and self._dtype == np.float32)
        number = np.dtype(np.int16) if whole else self._dtype
        self._kept = board_nodes.Kept(
            regret=np.zeros(self._layout.size, number),
            strategy_sum=np.zeros(self._layout.size, number),
            regret_scale=np.ones(len(blocks.data_at), self._dtype),
            sum_scale=np.ones(len(blocks.data_at), self._dtype),
            most_sum=np.zeros(len(blocks.data_at), self._dtype),
            limit=self._dtype.type(np.iinfo(np.int16).max - 1 if whole else 0),
            lock_of=np.full(len(blocks.data_at), -1),
            locked=np.zeros((len(locks.node) if locks else 1, blocks.width.max()), bool),
        )
        if locks:
            self._lock(tree, locks)
        self._root_values = self._zeros(2, len(self._hands))
        random = torch.rand(
            board_loops.DITHER + forest.width * int(blocks.width.max()),
            generator=torch.Generator().manual_seed(0),
            dtype=forest.dtype,
        )
        self._dither = (random - 0.5).numpy() if whole else 0 * random.numpy()
        self._top, self._rooms = self._zeros(self._layout.top_room), list[board_loops.Room]()
        bounds = np.unique(np.linspace(1, blocks.last_child[0], PARTS + 1).round().astype(int))
        self._parts = list(pairwise(bounds.tolist()))
        self._values_at = int(blocks.room[0, 2])
        self._totals = [self._zeros(len(self._top) - self._values_at) for _ in self._parts]
        self._isomorphic: Ints | None = None
        if tree.representative is not None:
            place = np.zeros(forest.game.num_hands, np.int64)
            place[self._hands] = np.arange(len(self._hands))
            self._isomorphic = place[tree.representative[self._hands]]

    def _zeros(self, *shape: int) -> Floats:
        return torch.zeros(shape, dtype=self._forest.dtype).numpy()  # aligned to cache lines

    def _lock(self, tree: PublicTree, locks: Locks) -> None:
        """Sets regrets and sums to what matches the strategies that are given."""
        blocks, layout, done = self._blocks, self._layout, 0
        for number, node in enumerate(locks.node):
            first, last = tree.first_edge[node : node + 2]
            here = int(np.searchsorted(blocks.first_edge, layout.place[first], side="right")) - 1
            block = int(np.searchsorted(blocks.node_at[:, 2], here, side="right"))
            hands, width = blocks.hand[slice(*blocks.hand_at[block : block + 2])], int(blocks.width[block])
            bound = locks.locked[number, hands]
            self._kept.lock_of[here] = number
            self._kept.locked[number, : len(hands)] = bound
            given = np.where(bound, locks.edges[done : done + last - first, hands], 0)
            for action, of in enumerate(given):
                at = int(blocks.data_at[here]) + action * width
                self._kept.regret[at : at + len(hands)] = of
                self._kept.strategy_sum[at : at + len(hands)] = of * NOTHING
            done += last - first

    def _make_room(self) -> board_loops.Room:
        width = int(self._blocks.width.max())
        return board_loops.Room(
            own=self._zeros(self._layout.room),
            rows=self._zeros(max(2, self._forest.width) * width),
            numbers=np.zeros(self._forest.width * width, self._kept.regret.dtype),
            dither=self._dither,
            belief=self._zeros(width),
            mass=self._zeros(width, LANES),
            outcome=self._zeros(width, LANES),
            sums=self._zeros(2 * width + self._blocks.list_at.shape[1], LANES),
            places=np.zeros((4, LANES), np.int64),
            chips=self._zeros(LANES),
        )

    # What a backend does

    @property
    def strategy(self) -> Tensor:
        return self._forest.from_edges(torch.from_numpy(self._edges(self._kept.regret)[:]))

    @property
    def average_strategy(self) -> Tensor:
        return self._forest.from_edges(torch.from_numpy(self.average_edges()[:]))

    def average_edges(self) -> "MatchingEdges":
        return self._edges(self._kept.strategy_sum)

    def _edges(self, numbers: np.ndarray) -> "MatchingEdges":
        hands = self._forest.game.num_hands
        return MatchingEdges(self._layout, numbers, self._kept.regret, hands, self._dtype)

    @property
    def root_value_sum(self) -> Tensor:
        return self._to_roots(self._root_values)

    @property
    def plays(self) -> Tensor:
        """Nothing: there is no gadget."""
        return self._to_roots(0 * self._root_values)

    def set_beliefs(self, reach: Tensor, belief: Tensor, players: slice) -> Tensor:
        """Nothing: there are no leaves."""
        return reach[players]

    def start_from(self, strategy: Tensor, regret: Tensor) -> None:
        """Sets the regrets; the strategy is the one that matches them."""
        edges = self._forest.to_edges(regret).numpy()
        room = self._make_room()
        board_nodes.pack_regrets(
            self._blocks, self._layout.edge, edges, self._kept, room.rows, room.dither,
        )  # fmt: skip

    def run(
        self,
        first: int,
        iterations: int,
        leaf_query: LeafQuery | None = None,
        samples: SampledStrategies | None = None,
        *,
        sample_averages: bool = False,
    ) -> None:
        fresh = True  # whether player 0's strategy is still to be added to the sums
        for iteration in range(first, first + iterations):
            if samples is not None and samples.is_due(iteration):
                average = sample_averages and iteration > 1
                samples.record(iteration, self.average_strategy if average else self.strategy)
            discounts, weight = self._rule.discounts(iteration), self._rule.weight(iteration)
            # each strategy is added where it is found as the other's anyway: player 0's a pass ahead of time
            ahead = iteration + 1 < first + iterations
            ahead &= not (sample_averages and samples is not None and samples.is_due(iteration + 1))
            weights = ((weight * fresh, weight), (0.0, self._rule.weight(iteration + 1) * ahead))
            for player in (0, 1):
                values = self._pass(ITERATE, player, *discounts, *weights[player], iteration)
                self._root_values[player] += self._dtype.type(weight) * values
            fresh = not ahead

    def average_values(self) -> tuple[Tensor, Tensor]:
        average, best = (
            self._to_roots(np.stack([self._pass(mode, player) for player in (0, 1)]))
            for mode in (AVERAGE, BEST)
        )
        return average, best

    # Passes

    def _pass(
        self,
        mode: int,
        player: int,
        positive: float = 1.0,
        negative: float = 1.0,
        own_weight: float = 0.0,
        other_weight: float = 0.0,
        iteration: int = 0,
    ) -> Floats:
        """``[hands]`` the values of the player's hands at the root, in one of :mod:`.board_loops`' modes."""
        number = self._dtype.type
        lowest = 0.0 if self._rule.floor else -np.inf
        what = board_loops.Pass(
            mode, player, number(positive), number(negative), number(lowest), number(own_weight),
            number(other_weight), seed=2 * iteration + player,
        )  # fmt: skip
        for who in (0, 1):
            at = int(self._blocks.room[0, who])
            if who == player and not self._parts:  # a block without others below keeps its own reach there
                at = self._values_at
            self._top[at : at + self._width] = 1
        while len(self._rooms) < torch.get_num_threads():
            self._rooms.append(self._make_room())
        room, values = self._rooms[0], self._top[self._values_at :]
        board_loops.go_down(0, -1, 0, self._blocks, self._kept, what, self._top, self._top, room)
        work: Sequence[Callable[[], None]] = [
            partial(self._walk, *part, what, total)
            for part, total in zip(self._parts, self._totals, strict=True)
        ]
        run_in_threads(work, torch.get_num_threads())
        for total in self._totals:
            values += total
        if self._isomorphic is not None:
            board_loops.average_isomorphic(values, self._width, self._isomorphic, room.rows)
        board_loops.come_up(0, 0, self._blocks, self._kept, what, self._top, room)
        return values[: len(self._hands)].copy()

    def _walk(self, first: int, last: int, what: board_loops.Pass, total: Floats) -> None:
        room = self._rooms.pop()
        total[:] = 0
        board_loops.walk_blocks(first, last, self._blocks, self._kept, what, self._top, total, room)
        self._rooms.append(room)

    # As others have it

    def _to_roots(self, values: Floats) -> Tensor:
        found = torch.zeros(2, 1, self._forest.game.num_hands, dtype=self._forest.dtype)
        found[:, 0, torch.from_numpy(self._hands)] = torch.from_numpy(values)
        return found


class MatchingEdges:
    """``[E, H]`` the strategies that match numbers of edges, in the tree's order of edges.

    Rows are made when asked for. Hands that are left out have the uniform strategy.

    Args:
        layout: of the tree.
        numbers: such as sums of strategies; not copied.
        regrets: matched instead, where a hand's numbers are all 0; not copied.
        num_hands: ``H``.
        dtype: of the rows.
    """

    def __init__(
        self,
        layout: BoardLayout,
        numbers: np.ndarray,
        regrets: np.ndarray,
        num_hands: int,
        dtype: np.dtype,
    ) -> None:
        self._layout, self._numbers, self._regrets = layout, numbers, regrets
        self._dtype, self.shape = dtype, (len(layout.edge), num_hands)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, edges: slice) -> Floats:
        first, last, _ = edges.indices(len(self))
        rows = np.empty((last - first, self.shape[1]), self._dtype)
        blocks, places = self._layout.blocks, self._layout.place[first:last]
        nodes = np.unique(np.searchsorted(blocks.first_edge, places, side="right") - 1)
        block = np.searchsorted(blocks.node_at[:, 2], nodes, side="right")
        board_nodes.unpack_nodes(
            nodes, block, blocks, self._layout.edge - first, self._numbers, self._regrets, rows
        )
        return rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return self[:].astype(dtype or self._dtype, copy=False)


def board_payoffs(
    forest: Forest, rule: UpdateRule, *, alternating: bool, one_board: bool = False
) -> TabledPayoffs | None:
    """The payoffs of what :class:`BlockwiseBackend` can solve: one card game; else None.

    Args:
        forest: the subgames.
        rule: the update rule.
        alternating: whether players update in turn.
        one_board: whether it may be without deals.
    """
    if not alternating or rule.predictive or forest.num_subgames > 1 or len(forest.leaves):
        return None
    tree = forest.trees[forest.tree_of[0]]
    if (len(tree.boards) == 1 and not one_board) or forest.game.num_hands <= MOST_HANDS_FOR_MATRICES:
        return None
    like = torch.empty(0, dtype=forest.dtype)
    operator = forest.game.payoff_operator(forest.payoff_kernels.tolist(), like)
    return operator if isinstance(operator, TabledPayoffs) else None
