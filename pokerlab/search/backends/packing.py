"""The forest as flat arrays that compiled loops run over.

Subgames of one tree are *packed*: a pack holds up to ``W`` of them in the lanes of one array, and a
sequence row is ``C = H·W`` numbers, hand by hand, the lanes innermost. Where hands are many, a pack
holds some of one subgame's hands instead. So the loops run over contiguous memory that fills the
processor's vectors, whether a hand is one of six or of 1,326, and a pack is worked on in the cache.

Within a tree, row 0 and 1 are the players' empty sequences and row ``2 + e`` is edge ``e``; a decision
node's edges are adjacent. All trees and all packs lie one behind the other in flat arrays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pokerlab.games.base import Ints, MatrixPayoffs
from pokerlab.search.forest import Forest

Floats = NDArray[np.floating]

ROW = 192
"""Numbers that a sequence row has at least, if there are so many: shorter rows cost more than they save."""
PACK = 2**20
"""Bytes of a pack to aim for where rows can be longer: it stays in a core's cache."""
CACHE_LINE = 64
"""Bytes: rows are padded to whole ones."""
MOST_HANDS_FOR_MATRICES = 64
"""Up to so many hands, payoff matrices are multiplied in the loops; above, by the payoff operator."""


class Trees(NamedTuple):
    """The forest's trees. Decision nodes are sorted by (tree, actor), parents before children."""

    node_at: Ints
    """``[K, 3]`` where tree k's nodes of player 0 begin, those of player 1 begin, and those end."""
    first: Ints
    """Each node's first edge."""
    end: Ints
    """Each node's last edge + 1."""
    deal_at: Ints
    """``[K, 2]`` where each player's nodes end that lie above the first deal."""
    above: Ints
    """The row above each node: its actor's last own edge."""
    terminal_at: Ints
    """``[K + 1]`` where tree k's terminals begin."""
    terminal_row: Ints
    """``[2, T]`` each player's row."""
    payoff_kernel: Ints
    """``[T]`` index of the payoff matrix, or the row of the payoff tables."""
    payoff: Floats
    """``[2, T]`` chips × chance probability."""
    matrices: Floats
    """``[M, H, H]`` payoff matrices, opponent's hand first; none: payoffs come from outside."""
    leaf_at: Ints
    """``[K + 1]`` where tree k's leaves begin."""
    leaf_row: Ints
    """``[2, L]`` each player's row."""
    representative: Ints
    """``[K, H]`` the first of the hands isomorphic to each one; none, if no tree averages over them."""
    share: Floats
    """``[K, H]`` 1 / how many hands a first one represents."""


class Packs(NamedTuple):
    """Where each pack and each subgame has its numbers."""

    tree: Ints
    """``[P]``."""
    lanes: Ints
    """``[P]`` ``W``."""
    lane_at: Ints
    """``[P + 1]`` where its subgames stand in ``subgame``."""
    first_hand: Ints
    """``[P]``."""
    last_hand: Ints
    """``[P]`` exclusive."""
    edge_at: Ints
    """``[P + 1]`` where its edges begin in ``strategy`` and its like."""
    row_at: Ints
    """``[P + 1]`` where its rows begin in ``reach``."""
    root_at: Ints
    """``[P + 1]`` where its two empty sequences begin in ``belief`` and ``root_values``."""
    subgame: Ints
    """The subgame in each lane; −1: the lane is empty."""
    leaf_at: Ints
    """``[B + 1]`` where each subgame's leaves begin."""
    terminal_at: Ints
    """``[B + 1]`` where each subgame's terminals begin in ``slot``."""
    slot: Ints
    """``[2, terminals]`` where each terminal of each subgame stands in what the payoff operator takes and
    gives, for each player; −1: that player's value is added to ``Numbers.values``."""
    flat_at: Ints
    """``[B + 1]`` where each subgame's edges begin in an array of edges ``[E, H]``."""


def starts_of(lengths: list[int] | Ints) -> Ints:
    """Says where things of these lengths begin when they lie in a row, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _join(parts: Sequence[np.ndarray]) -> np.ndarray:
    """``[2, n]`` each, side by side, in one layout always: for another one, every loop is compiled anew."""
    return np.ascontiguousarray(np.concatenate(parts, 1))


def flatten_trees(forest: Forest, dtype: np.dtype) -> Trees:
    """The forest's trees one behind the other."""
    trees, forms = forest.trees, [tree.sequence_form for tree in forest.trees]
    node_at = starts_of([len(form.first) for form in forms])
    of_first = np.array([form.of_first_player for form in forms])
    before_deal = np.array([form.before_deal for form in forms])
    representative = np.empty((0, forest.game.num_hands), np.int64)
    if any(tree.representative is not None for tree in trees):
        each = np.arange(forest.game.num_hands)
        representative = np.array(
            [each if tree.representative is None else tree.representative for tree in trees]
        )
    numbers = [np.bincount(first, minlength=len(first)) for first in representative]
    hands, matrices = forest.game.num_hands, np.empty((0, 0, 0), dtype)
    if hands <= MOST_HANDS_FOR_MATRICES:
        operator = forest.game.payoff_operator(
            forest.payoff_kernels.tolist(), torch.empty(0, dtype=forest.dtype)
        )
        if isinstance(operator, MatrixPayoffs):
            matrices = operator.matrices.numpy()
    return Trees(
        node_at=np.stack([node_at[:-1], node_at[:-1] + of_first, node_at[1:]], 1),
        first=np.concatenate([form.first for form in forms]),
        end=np.concatenate([form.end for form in forms]),
        deal_at=np.stack([node_at[:-1], node_at[:-1] + of_first], 1) + before_deal,
        above=np.concatenate([form.above for form in forms]),
        terminal_at=starts_of([len(tree.terminals) for tree in trees]),
        terminal_row=_join([form.terminal_row for form in forms]),
        payoff_kernel=np.searchsorted(
            forest.payoff_kernels, np.concatenate([tree.payoff_kernel for tree in trees])
        ),
        payoff=_join([tree.payoff for tree in trees]).astype(dtype),
        matrices=matrices,
        leaf_at=starts_of([len(tree.leaves) for tree in trees]),
        leaf_row=_join([form.leaf_row for form in forms]),
        representative=representative,
        share=(1 / np.maximum(np.array(numbers).reshape(representative.shape), 1)).astype(dtype),
    )


def pack_subgames(forest: Forest, dtype: np.dtype) -> Packs:
    """The forest's subgames in packs for as many threads as torch has."""
    hands, line, threads = forest.game.num_hands, CACHE_LINE // dtype.itemsize, torch.get_num_threads()
    number = np.bincount(forest.tree_of, minlength=len(forest.trees))
    edges_of = np.array([tree.num_edges for tree in forest.trees])
    # regrets, strategy, its sum, reach and values
    row = np.maximum(PACK // (5 * dtype.itemsize * (edges_of + 2)), ROW)
    parts = -(-hands // row.min())  # hands that do not fit in a row go to more packs, of one lane each
    row = row if parts == 1 else np.full_like(row, ROW)
    packs_of = -(-number // np.maximum(row // hands, 1))  # of each tree
    if threads > 1 and packs_of.sum() < 4 * threads:  # too few to share out
        packs_of = -(-number // max(ROW // hands, 1))
    if packs_of.sum() < threads:
        packs_of = np.minimum(number, threads)
    tree = np.repeat(np.arange(len(number)), packs_of)
    lanes = -(-number // np.maximum(packs_of, 1))[tree]
    lane_at = starts_of(lanes)
    subgame = np.full(lane_at[-1], -1)
    # a tree's subgames fill its packs' lanes in order; lanes that are left over stay empty
    first_lane = lane_at[starts_of(packs_of)[:-1]]
    by_tree = np.argsort(forest.tree_of, kind="stable")
    rank = np.arange(len(by_tree)) - np.repeat(starts_of(number)[:-1], number)
    subgame[first_lane[forest.tree_of[by_tree]] + rank] = by_tree
    first_hands = np.arange(0, hands, hands if parts == 1 else -(-hands // (parts * line)) * line)
    first_hand = np.tile(first_hands, len(tree))
    last_hand = np.tile(np.append(first_hands[1:], hands), len(tree))
    tree, lanes, subgame = (np.repeat(array, len(first_hands)) for array in (tree, lanes, subgame))
    edges = edges_of[tree]
    width = -(lanes * (first_hand - last_hand) // line) * line
    return Packs(
        tree=tree,
        lanes=lanes,
        lane_at=starts_of(lanes),
        first_hand=first_hand,
        last_hand=last_hand,
        edge_at=starts_of(edges * width),
        row_at=starts_of((edges + 2) * width),
        root_at=starts_of(2 * width),
        subgame=subgame,
        leaf_at=starts_of(np.array([len(t.leaves) for t in forest.trees])[forest.tree_of]),
        terminal_at=starts_of(np.array([len(t.terminals) for t in forest.trees])[forest.tree_of]),
        slot=np.empty((2, 0), np.int64),
        flat_at=forest.edges_at,
    )
