"""A public tree as blocks: what is played on one board, between two deals.

Blocks form a tree of their own, with a child for each way to deal on. CFR goes through it in depth: only the
blocks on the way down to the one at hand have reach and values, in a workspace that stays in the cache;
regrets and sums of strategies alone are kept for all of them.

In a block, hands are those that the board leaves possible and that some player can hold in the game, on a
complete board in order of strength. A *row* is a number for each of them: first the player's sequences that
come from above, its *entries*, then those of its edges here. An all-in on an incomplete board is many
showdowns, one on each complete board below.
"""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Bools, Ints
from pokerlab.games.payoff_loops import list_hands
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN, Floats, PayoffTables
from pokerlab.loops import jit
from pokerlab.search.backends.packing import starts_of
from pokerlab.search.tree import PublicTree
from pokerlab.vectors import LANES

KINDS = (FOLDED, SHOWDOWN)
"""Of terminals, in their order."""


class Blocks(NamedTuple):
    """``N`` blocks, level by level, each one's children side by side; the first has the root's board.

    Nodes and their edges are sorted by block and actor, terminals by block and kind.
    """

    first_child: Ints
    """``[N]``."""
    last_child: Ints
    """``[N]`` exclusive."""
    hand_at: Ints
    """``[N + 1]`` where each one's hands begin."""
    width: Ints
    """``[N]`` of a row: so many hands, in whole vectors."""
    hand: Ints
    """``[hands]`` of the game's."""
    above: Ints
    """Each hand's place in the block above."""
    belief: Floats
    """``[2, H]`` the players', at the root."""
    weight: np.floating
    """Of each pair of hands."""
    members: np.ndarray
    """``[3 · hands]`` lists of the hands, see :class:`~pokerlab.games.payoff_tables.PayoffTables`."""
    list_at: Ints
    """``[N, cards + 2]`` where each list begins in ``members``, counted from the block's first."""
    group_end: np.ndarray
    """``[3 · hands]`` where the lists' tie groups end."""
    group_at: Ints
    """``[N, cards + 2]`` where each list's groups begin, counted from the block's first."""
    list_row: np.ndarray
    """``[4 · hands]`` for each block, the ``row`` of folds, then that of a showdown."""
    entry_at: Ints
    """``[2, N + 1]`` where each one's entries begin, for each player."""
    entry: Ints
    """``[2, entries]`` the rows of the block above."""
    node_at: Ints
    """``[N, 3]`` where nodes of player 0 begin, those of player 1 begin, and those end."""
    first_edge: Ints
    """``[D + 1]``."""
    data_at: Ints
    """``[D]`` where each node's edges begin in regrets and sums."""
    row: Ints
    """``[D]`` its first edge's row."""
    row_above: Ints
    """``[D]``."""
    terminal_at: Ints
    """``[N, 3]`` where folds begin, where showdowns begin, and where they end."""
    terminal_row: Ints
    """``[2, T]``."""
    payoff: Floats
    """``[2, T]`` chips × probabilities of deals."""
    room: Ints
    """``[levels, 3]`` where both players' reach and the values of a block begin in the workspace."""


class BoardLayout:
    """The blocks of a tree.

    Args:
        tree: played to the end.
        belief: ``[2, H]`` at the root.
        held: ``[H]`` other hands are left out.
        tables: of the payoff kernels; run-outs are not needed.
        kernels: ``[M]`` which ones, ascending.
        weight: of each pair of hands.
    """

    def __init__(
        self,
        tree: PublicTree,
        belief: Floats,
        held: Bools,
        tables: PayoffTables,
        kernels: Ints,
        weight: float,
    ) -> None:
        self._tree, self._boards = tree, _find_boards(tree)
        boards, number, node_edges = self._boards, self._boards.number, np.diff(tree.first_edge)
        order = np.lexsort((tree.actor, boards.of_node))
        first_edge = starts_of(node_edges[order])
        self.edge = np.repeat(tree.first_edge[order] - first_edge[:-1], node_edges[order])
        """``[E]`` which of the tree's edges each one is."""
        self.edge += np.arange(first_edge[-1])
        self.place = np.empty_like(self.edge)
        """``[E]`` the place here of each of the tree's edges."""
        self.place[self.edge] = np.arange(len(self.edge))
        self._block_of_edge = np.repeat(boards.of_node, node_edges)
        key = 2 * boards.of_node[order] + tree.actor[order]
        node_at = np.searchsorted(key, np.arange(2 * number + 1))
        self._edge_at = first_edge[node_at]
        """Where each block's edges of each player begin."""

        above = [self._edges(tree.decisions.last_edge[player]) for player in (0, 1)]
        ends = self._find_ends(tables.kind[np.searchsorted(kernels, tree.payoff_kernel)])
        self._find_entries(above, ends)
        hands = _list_blocks(tree, boards, held, tables, kernels)
        width = -(-np.diff(hands.hand_at) // LANES) * LANES
        data_at = starts_of(node_edges[order] * width[boards.of_node[order]])
        self.size = int(data_at[-1])
        """Of regrets, and of sums."""
        rows_above = [self._rows(player, boards.of_node, above[player]) for player in (0, 1)]
        by_kind = np.lexsort((ends.kind, ends.block))
        terminal_key = len(KINDS) * ends.block[by_kind] + ends.kind[by_kind]
        terminal_at = np.searchsorted(terminal_key, np.arange(len(KINDS) * number + 1))
        terminal_row = np.stack([self._rows(p, ends.block, ends.edge[p])[by_kind] for p in (0, 1)])
        each = 2 * np.arange(number)[:, None] + np.arange(3)
        self.blocks = Blocks(
            first_child=np.searchsorted(boards.parent[1:], np.arange(number)) + 1,
            last_child=np.searchsorted(boards.parent[1:], np.arange(number), side="right") + 1,
            hand_at=hands.hand_at,
            width=width,
            hand=hands.hand,
            above=hands.above,
            belief=belief,
            weight=belief.dtype.type(weight),
            members=hands.members,
            list_at=hands.list_at,
            group_end=hands.group_end,
            group_at=hands.group_at,
            list_row=hands.list_row,
            entry_at=self._entry_at,
            entry=self._entry,
            node_at=node_at[each],
            first_edge=first_edge,
            data_at=data_at[:-1],
            row=(np.diff(self._entry_at).T.ravel() - self._edge_at[:-1])[key] + first_edge[:-1],
            row_above=np.where(tree.actor == 0, *rows_above)[order],
            terminal_at=terminal_at[each],
            terminal_row=terminal_row,
            payoff=ends.payoff[:, by_kind].astype(belief.dtype),
            room=self._find_room(width),
        )

    def _edges(self, last_edge: Ints) -> Ints:
        """The tree's edges of pairs ``[n, 2]``; −1: none."""
        node, position = last_edge[:, 0], last_edge[:, 1]
        return np.where(node < 0, -1, self._tree.first_edge[np.maximum(node, 0)] + position)

    def _find_ends(self, kind: Ints) -> "_Ends":
        """Terminals, all-ins on each complete board below them."""
        tree, boards, nodes = self._tree, self._boards, self._tree.terminals
        block = boards.of_node[nodes.last_edge[:, :, 0].max(0)]
        chance = np.ones(boards.number)
        chance[boards.of_node] = tree.decisions.chance
        index, there = [np.flatnonzero(kind != RUN_OUT)], [block[kind != RUN_OUT]]
        bottom = np.flatnonzero(boards.level == boards.level.max())
        over = bottom  # the block over each of those at the bottom, level by level
        for _ in range(int(boards.level.max())):
            over = boards.parent[over]
            for above in np.unique(over):
                all_in = np.flatnonzero((block == above) & (kind == RUN_OUT))
                below = bottom[over == above]
                index.append(np.repeat(all_in, len(below)))
                there.append(np.tile(below, len(all_in)))
        which, blocks = np.concatenate(index), np.concatenate(there)
        return _Ends(
            block=blocks,
            edge=np.stack([self._edges(nodes.last_edge[player]) for player in (0, 1)])[:, which],
            kind=(kind[which] != FOLDED).astype(np.int64),
            payoff=tree.payoff[:, which] * (chance[blocks] / chance[block[which]]),
        )

    def _find_entries(self, above: list[Ints], ends: "_Ends") -> None:
        """The sequences that come from above, for each block and player: sorted by block and edge."""
        boards, most = self._boards, len(self.edge) + 1
        self._entry_keys: list[Ints] = []
        for player in (0, 1):
            own = self._tree.actor == player
            block = np.concatenate([boards.of_node[own], ends.block])
            keys = self._outside(block, np.concatenate([above[player][own], ends.edge[player]]))
            for level in range(int(boards.level.max()), 0, -1):  # what a block needs, the one above has
                block, edge = keys // most, keys % most - 1
                here = boards.level[block] == level
                keys = np.union1d(keys, self._outside(boards.parent[block[here]], edge[here]))
            self._entry_keys.append(keys)
        bounds = np.arange(boards.number + 1)
        self._entry_at = np.stack([np.searchsorted(keys // most, bounds) for keys in self._entry_keys])
        self._entry = np.zeros((2, max(map(len, self._entry_keys))), np.int64)
        for player, keys in enumerate(self._entry_keys):
            below = keys[keys >= most]  # the first block's come from nowhere
            rows = self._rows(player, boards.parent[below // most], below % most - 1)
            self._entry[player, len(keys) - len(below) : len(keys)] = rows

    def _outside(self, block: Ints, edge: Ints) -> Ints:
        """Keys, ascending and different, of those pairs of blocks and edges that lie further above."""
        outside = (edge < 0) | (self._block_of_edge[edge] != block)
        return np.unique(block[outside] * (len(self.edge) + 1) + edge[outside] + 1)

    def _rows(self, player: int, block: Ints, edge: Ints) -> Ints:
        """The rows of edges in blocks."""
        keys, at = self._entry_keys[player], self._entry_at[player]
        outside = np.searchsorted(keys, block * (len(self.edge) + 1) + edge + 1) - at[block]
        inside = np.diff(at)[block] + self.place[edge] - self._edge_at[2 * block + player]
        return np.where((edge >= 0) & (self._block_of_edge[edge] == block), inside, outside)

    def _find_room(self, width: Ints) -> Ints:
        """A level's room, as large as its largest block needs."""
        level, rows = self._boards.level, np.diff(self._entry_at) + np.diff(self._edge_at).reshape(-1, 2).T
        need = np.stack([*(rows * width), rows.max(0) * width], 1)
        most = np.stack([need[level == each].max(0) for each in range(int(level.max()) + 1)])
        self.top_room, self.room = int(most[0].sum()), int(most[1:].sum())
        """Of the first block's workspace, which threads share, and of a thread's own."""
        below = starts_of(most[1:].ravel())[:-1].reshape(-1, 3)
        return np.concatenate([starts_of(most[0])[None, :-1], below])


class _Ends(NamedTuple):
    """Terminals, ``T`` of them."""

    block: Ints
    edge: Ints
    """``[2, T]`` each player's last own."""
    kind: Ints
    """Index into ``KINDS``."""
    payoff: Floats
    """``[2, T]``."""


class _Boards(NamedTuple):
    """Which blocks there are."""

    number: int
    of_node: Ints
    """``[D]``."""
    parent: Ints
    """``[N]``."""
    board: Ints
    """``[N]`` which of the tree's boards."""
    level: Ints
    """``[N]`` how many deals lie above."""


def _find_boards(tree: PublicTree) -> _Boards:
    board = tree.decisions.board
    node_above = tree.decisions.last_edge[:, :, 0].max(0)
    first_node, deals = _follow_deals(node_above, board)
    of_node, number = np.zeros(len(board), np.int64), 1
    parents, boards, levels = [np.array([-1])], [np.array([0])], [np.array([0])]
    for level in range(1, int(deals.max(initial=0)) + 1):
        first = np.unique(first_node[deals == level])
        above = np.where(node_above[first] < 0, 0, of_node[node_above[first]])
        key, which = np.unique(above * len(tree.boards) + board[first], return_inverse=True)
        of_node[first] = number + which
        of_node[deals == level] = of_node[first_node[deals == level]]
        parents.append(key // len(tree.boards))
        boards.append(key % len(tree.boards))
        levels.append(np.full(len(key), level))
        number += len(key)
    return _Boards(number, of_node, *map(np.concatenate, (parents, boards, levels)))


@jit
def _follow_deals(node_above: Ints, board: Ints) -> tuple[Ints, Ints]:
    """``[D]`` the first node after the last deal, −1 where nothing was dealt, and the number of deals."""
    first, deals = np.full(len(board), -1), np.zeros(len(board), np.int64)
    for node in range(len(board)):
        above = node_above[node]
        if above >= 0:
            first[node], deals[node] = first[above], deals[above]
        if board[node] != (board[above] if above >= 0 else 0):
            first[node] = node
            deals[node] += 1
    return first, deals


class _Hands(NamedTuple):
    """The hands of all blocks; what is not said here is as in :class:`Blocks`."""

    hand: Ints
    hand_at: Ints
    above: Ints
    members: np.ndarray
    list_at: Ints
    group_end: np.ndarray
    group_at: Ints
    list_row: np.ndarray


def _list_blocks(
    tree: PublicTree, boards: _Boards, held: Bools, tables: PayoffTables, kernels: Ints
) -> _Hands:
    shown = np.flatnonzero(tables.kind[np.searchsorted(kernels, tree.payoff_kernel)] == SHOWDOWN)
    end_block = boards.of_node[tree.terminals.last_edge[:, shown, 0].max(0)]
    row_of = np.full(boards.number, -1)
    row_of[end_block] = np.searchsorted(kernels, tree.payoff_kernel[shown])
    hands, above, members, group_ends, list_rows = [], [], [], [], []
    list_at, group_at = (np.zeros((boards.number, tables.list_at.shape[1]), np.int64) for _ in range(2))
    place, nothing = np.zeros((boards.number, len(held)), np.int32), np.zeros(0, np.int64)
    for block in range(boards.number):
        row = row_of[block]
        if row < 0:
            order, end = np.flatnonzero(tree.boards[boards.board[block]] & held), nothing
        else:
            first, last = tables.list_at[row, -2:]
            ends = tables.group_end[row, slice(*tables.group_at[row, -2:])]
            group = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=first))
            order = tables.members[row, first:last]
            order, group = order[held[order]], group[held[order]]
            end = np.searchsorted(group, group, side="right")
        hands.append(order.astype(np.int64))
        above.append(place[boards.parent[block], order])
        place[block, order] = np.arange(len(order))
        members.append(np.zeros(3 * len(order), np.uint16))
        group_ends.append(np.zeros(3 * len(order), np.uint16))
        cards = np.ascontiguousarray(tables.cards[:, order])
        for ends in (nothing, end):  # folds have no groups: what stays is the showdown's
            listed = np.zeros((2, len(order)), np.uint16)
            list_hands(
                np.arange(len(order)), ends, cards, members[-1], list_at[block], group_ends[-1],
                group_at[block], listed,
            )  # fmt: skip
            list_rows.append(listed.ravel())
    return _Hands(
        hand=np.concatenate(hands),
        hand_at=starts_of([len(each) for each in hands]),
        above=np.concatenate(above).astype(np.uint16),
        members=np.concatenate(members),
        list_at=list_at,
        group_end=np.concatenate(group_ends),
        group_at=group_at,
        list_row=np.concatenate(list_rows),
    )
