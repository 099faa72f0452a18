"""A forest: many subgames of different shapes, boards and pots in one set of tensors.

Axes: ``B`` subgames, ``D`` decision nodes of all of them, ``A`` the widest node, ``H`` hands,
``R = 2B + A·D`` sequence rows, ``L`` depth-limit leaves, terminals as ``[M, K]`` (payoff kernels ×
terminals that share one, padded).

A *sequence row* is one player's last own edge: rows ``p·B + b`` are the empty sequence of player p in
subgame b, row ``2B + a·D + d`` is the action in position a at decision node d. Everything above a node
that matters to a player is one row, so a pass gathers rows, multiplies, and adds rows up.

Decision nodes are sorted by (actor, own depth, subgame): a player's nodes are one slice, and so is each
step of a pass. Edges are stored action-major, ``[A, D, H]``, so that sums over actions add whole slices.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game, Ints, PayoffOperator, State
from pokerlab.search.isomorphism import IsomorphicHands
from pokerlab.search.terminals import Payoffs, lay_out_payoffs
from pokerlab.search.tree import PublicNodes, PublicTree


@dataclass(frozen=True, slots=True)
class ForestNodes:
    """Nodes of one kind across the forest, ``n`` of them."""

    subgame: Tensor
    """``[n]`` which subgame a node belongs to."""
    row: Tensor
    """``[2, n]`` each player's sequence row."""
    chance: Tensor
    """``[n]`` probability of the chance moves on the way."""
    board: Tensor
    """``[n]`` which of ``boards`` a node has."""
    boards: Tensor
    """``[K, H]`` 1 for hands that a board leaves possible, else 0: the forest's."""
    features: Tensor
    """``[n, F]``."""
    pot: Tensor
    """``[n]`` chips."""
    tree: Ints
    """``[n]`` index into the forest's ``trees``."""
    node: Ints
    """``[n]`` index of the node within its tree."""

    def __len__(self) -> int:
        return len(self.node)

    @property
    def possible(self) -> Tensor:
        """``[n, H]`` 1 for hands that the board leaves possible, else 0."""
        return rows_of(self.boards, self.board)

    @property
    def pot_in_chips(self) -> Tensor:
        """``[n, H]`` what a value of one pot is in counterfactual values: pot × chance, if possible."""
        return (self.pot * self.chance)[:, None] * self.possible

    def select(self, index: Tensor) -> "ForestNodes":
        """The nodes at ``index``, ``[m]`` on the CPU."""
        there, here = index.to(self.row.device), index.numpy()
        return ForestNodes(
            subgame=self.subgame[there],
            row=self.row[:, there],
            chance=self.chance[there],
            board=self.board[there],
            boards=self.boards,
            features=self.features[there],
            pot=self.pot[there],
            tree=self.tree[here],
            node=self.node[here],
        )


ILLEGAL = -1e30
"""Counterfactual value of an action that a node does not have: its regret never turns positive."""


def divide(values: Tensor, total: Tensor, otherwise: Tensor) -> Tensor:
    """``values / total``, and ``otherwise`` where the total is zero; all broadcast."""
    some = total > 0
    # a number instead of the fill would be copied to the device, which then waits for the host
    return torch.where(some, values / total.masked_fill(~some, 1), otherwise)


def normalise_beliefs(believed: Tensor, possible: Tensor) -> Tensor:
    """``[…, H]`` beliefs that sum to one; a board can block every hand that was believed in: then all
    possible hands are."""
    total = believed.sum(-1, keepdim=True)
    believed = torch.where(total > 0, believed, possible.expand_as(believed))
    return believed / believed.sum(-1, keepdim=True)


def rows_of(rows: Tensor, index: Tensor) -> Tensor:
    """``rows[index]``, ``[R, H]`` and ``[...]`` → ``[..., H]``; three times as fast on the CPU."""
    return rows.index_select(0, index.flatten()).view(*index.shape, rows.shape[1])


def uniform_strategy(forest: "Forest") -> Tensor:
    """``[A, D, H]`` every legal action equally likely."""
    return forest.uniform.expand(forest.edge_shape).clone(memory_format=torch.contiguous_format)


class Forest(Generic[State]):
    """Lays out the trees of ``B`` subgames. Immutable.

    Args:
        game: the rules.
        trees: the different trees that occur.
        tree_of: ``[B]`` the tree of each subgame; None: one subgame a tree.
        device: where the tensors live.
        dtype: float32 in training, float64 for exact evaluation.
    """

    def __init__(
        self,
        game: Game[State],
        trees: Sequence[PublicTree[State]],
        tree_of: Ints | None = None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.game, self.trees = game, tuple(trees)
        self.tree_of = np.arange(len(trees)) if tree_of is None else np.asarray(tree_of)
        self.device, self.dtype = torch.device(device), dtype
        self.num_subgames = len(self.tree_of)
        self.width = max(tree.width for tree in self.trees)
        self._lay_out_decisions()
        self.mass: PayoffOperator = game.mass_operator(self._like)

    def copies(self, subgame: Ints) -> "Forest[State]":
        """A forest of copies of the subgames ``[n]``."""
        return Forest(self.game, self.trees, self.tree_of[subgame], device=self.device, dtype=self.dtype)

    def copy_from(self, copies: "Forest[State]", subgame: Ints) -> Ints:
        """Which decision node each one of :meth:`copies` of the subgames ``[n]`` copies."""
        nodes = copies.decisions
        return self.decision_index(subgame[nodes.subgame.numpy(force=True)], nodes.node)

    # Layout

    @cached_property
    def decisions(self) -> ForestNodes:
        """The decision nodes, sorted by (actor, own depth, subgame)."""
        return self._nodes([tree.decisions for tree in self.trees], self._order)

    @cached_property
    def terminals(self) -> ForestNodes:
        """The ends of the game, subgame by subgame."""
        return self._nodes([tree.terminals for tree in self.trees])

    @cached_property
    def leaves(self) -> ForestNodes:
        """The public states at the depth limit, subgame by subgame."""
        return self._nodes([tree.leaves for tree in self.trees])

    @cached_property
    def boards(self) -> Tensor:
        """``[K, H]`` 1 for hands that a board leaves possible, else 0: the boards of all trees."""
        return self._floats(np.concatenate([tree.boards for tree in self.trees]))

    @cached_property
    def _first_board(self) -> Ints:
        """Where each tree's boards begin."""
        numbers = np.array([len(tree.boards) for tree in self.trees])
        return np.cumsum(numbers) - numbers

    @cached_property
    def root_possible(self) -> Tensor:
        """``[B, H]`` 1 for hands that the roots' boards leave possible."""
        return rows_of(self.boards, self._ints(self._first_board[self.tree_of]))

    @cached_property
    def isomorphic_hands(self) -> IsomorphicHands | None:
        """Hands whose values are averaged, if there are any."""
        if all(tree.representative is None for tree in self.trees):
            return None
        every = np.arange(self.game.num_hands)
        first = np.array(
            [every if tree.representative is None else tree.representative for tree in self.trees]
        )
        sizes = [len(tree.decisions) for tree in self.trees]
        dealt = np.concatenate([tree.dealt | (tree.representative is None) for tree in self.trees])
        nodes = self.decisions
        above = np.flatnonzero(~dealt[(np.cumsum(sizes) - sizes)[nodes.tree] + nodes.node])
        return IsomorphicHands(self._ints(first[self.tree_of]), nodes.subgame, above)

    @property
    def num_decisions(self) -> int:
        """``D``."""
        return len(self._order)

    @property
    def num_rows(self) -> int:
        """``R``."""
        return 2 * self.num_subgames + self.width * self.num_decisions

    @property
    def edge_shape(self) -> tuple[int, int, int]:
        """``(A, D, H)``."""
        return self.width, self.num_decisions, self.game.num_hands

    @property
    def _like(self) -> Tensor:
        return torch.empty(0, device=self.device, dtype=self.dtype)

    def _floats(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device=self.device).to(self.dtype)

    def _ints(self, values: Ints) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device=self.device)

    def _spread(self, lengths: Sequence[int]) -> tuple[Ints, Ints]:
        """For nodes that number ``lengths`` in each tree: (subgame, node within its tree) of all."""
        counts = np.asarray(lengths, dtype=np.int64)[self.tree_of]
        subgame = np.repeat(np.arange(self.num_subgames), counts)
        return subgame, np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)

    def _lay_out_decisions(self) -> None:
        sizes = [len(tree.decisions) for tree in self.trees]
        subgame, node = self._spread(sizes)
        flat = (np.cumsum(sizes) - sizes)[self.tree_of[subgame]] + node
        actor = np.concatenate([tree.actor for tree in self.trees])[flat]
        own_depth = np.concatenate([tree.own_depth for tree in self.trees])[flat]
        self._order = np.lexsort((own_depth, actor))
        # where (subgame, node of its tree) went
        counts = np.asarray(sizes, dtype=np.int64)[self.tree_of]
        self._first_node = np.cumsum(counts) - counts
        self._position = np.zeros(len(flat) + 1, dtype=np.int64)  # one more: a last tree can have no nodes
        self._position[self._order] = np.arange(len(flat))

        actor, own_depth, flat = actor[self._order], own_depth[self._order], flat[self._order]
        self.actor = self._ints(actor)
        edges = [tree.num_edges for tree in self.trees]
        first = np.concatenate([tree.first_edge[:-1] for tree in self.trees])
        first = (first + np.repeat(np.cumsum(edges) - edges, sizes))[flat]
        fanout = np.concatenate([np.diff(tree.first_edge) for tree in self.trees])[flat]
        position = np.arange(self.width)[:, None]
        legal = position < fanout
        self.legal = torch.as_tensor(legal, device=self.device)[:, :, None]
        """``[A, D, 1]`` which positions exist."""
        self.uniform = self._floats(legal / np.maximum(fanout, 1))[:, :, None]
        """``[A, D, 1]`` the uniform strategy."""
        edge_action = np.concatenate([*(tree.edge_action for tree in self.trees), [self.game.num_actions]])
        self.action_of = self._ints(edge_action[np.where(legal, first + position, -1)])
        """``[A, D]`` the game's action at each position; the number of actions where there is none."""
        self.player_nodes = tuple(slice(*np.searchsorted(actor, [p, p + 1]).tolist()) for p in (0, 1))
        """Each player's slice of the decision nodes."""
        self.steps = tuple(self._steps(own_depth, nodes) for nodes in self.player_nodes)
        """Each player's nodes by own depth, from the root down: slices of the decision nodes."""

    @staticmethod
    def _steps(own_depth: Ints, nodes: slice) -> tuple[slice, ...]:
        depths = own_depth[nodes]
        bounds = nodes.start + np.searchsorted(depths, np.arange(depths.max(initial=-1) + 2))
        return tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(bounds))

    def _nodes(self, kinds: Sequence[PublicNodes[State]], order: Ints | None = None) -> ForestNodes:
        subgame, node = self._spread([len(nodes) for nodes in kinds])
        if order is not None:
            subgame, node = subgame[order], node[order]
        tree = self.tree_of[subgame]
        offsets = np.cumsum([len(nodes) for nodes in kinds]) - [len(nodes) for nodes in kinds]
        flat = offsets[tree] + node
        edge = np.concatenate([nodes.last_edge for nodes in kinds], axis=1)[:, flat]
        players = np.arange(2)[:, None]
        row = self._rows(np.broadcast_to(subgame, edge.shape[:2]), players, edge)
        return ForestNodes(
            subgame=self._ints(subgame),
            row=self._ints(row),
            chance=self._floats(np.concatenate([nodes.chance for nodes in kinds])[flat]),
            board=self._ints(
                self._first_board[tree] + np.concatenate([nodes.board for nodes in kinds])[flat]
            ),
            boards=self.boards,
            features=self._floats(np.concatenate([nodes.features for nodes in kinds])[flat]),
            pot=self._floats(np.concatenate([nodes.pot for nodes in kinds])[flat]),
            tree=tree,
            node=node,
        )

    def _rows(self, subgame: Ints, player: Ints, edge: Ints) -> Ints:
        """Sequence rows of last own edges ``[..., 2]``."""
        node, position = edge[..., 0], edge[..., 1]
        decision = self.decision_index(subgame, np.maximum(node, 0))
        on_edge = 2 * self.num_subgames + position * self.num_decisions + decision
        return np.where(node < 0, player * self.num_subgames + subgame, on_edge)

    @cached_property
    def payoff_kernels(self) -> Ints:
        """``[M]`` the payoff kernels that occur, ascending."""
        return np.unique(np.concatenate([tree.payoff_kernel for tree in self.trees]))

    @cached_property
    def payoffs(self) -> Payoffs:
        """The payoffs of the terminals."""
        sizes = [len(tree.terminals) for tree in self.trees]
        flat = (np.cumsum(sizes) - sizes)[self.terminals.tree] + self.terminals.node
        kernel = np.concatenate([tree.payoff_kernel for tree in self.trees])[flat]
        chips = np.concatenate([tree.payoff for tree in self.trees], axis=1)[:, flat]
        row, subgame = (of.numpy(force=True) for of in (self.terminals.row, self.terminals.subgame))
        return lay_out_payoffs(self.game, kernel, row, subgame, chips, self._like)

    @cached_property
    def depth(self) -> Tensor:
        """``[D]`` moves from the subgame's root to each decision node, on the CPU."""
        sizes = [len(tree.decisions) for tree in self.trees]
        depth = np.concatenate([tree.depth for tree in self.trees])
        return torch.as_tensor(depth[(np.cumsum(sizes) - sizes)[self.decisions.tree] + self.decisions.node])

    @cached_property
    def edges_at(self) -> Ints:
        """``[B + 1]`` where each subgame's edges begin in an unpadded array ``[E, H]`` of all edges."""
        counts = np.array([tree.num_edges for tree in self.trees])[self.tree_of]
        return np.concatenate([[0], np.cumsum(counts)])

    def from_edges(self, edges: Tensor) -> Tensor:
        """``[E, H]`` edges, subgame by subgame in their trees' order → ``[A, D, H]``, 0 where illegal."""
        index = torch.where(self.legal[:, :, 0], self._edge_index, len(edges))
        return rows_of(torch.cat([edges, edges.new_zeros(1, edges.shape[1])]), index)

    def to_edges(self, padded: Tensor) -> Tensor:
        """``[A, D, H]`` → ``[E, H]``: what :meth:`from_edges` takes."""
        edges = padded.new_empty(int(self.edges_at[-1]), padded.shape[-1])
        legal = self.legal[:, :, 0]
        edges[self._edge_index[legal]] = padded[legal]
        return edges

    @cached_property
    def _edge_index(self) -> Tensor:
        """``[A, D]`` where each position stands among all edges; means nothing where illegal."""
        subgame, node = self._spread([len(tree.decisions) for tree in self.trees])
        firsts = np.concatenate([tree.first_edge[:-1] for tree in self.trees])
        sizes = [len(tree.decisions) for tree in self.trees]
        first = self.edges_at[subgame] + firsts[(np.cumsum(sizes) - sizes)[self.tree_of[subgame]] + node]
        return self._ints(first[self._order] + np.arange(self.width)[:, None])

    def average(self, strategy_sum: Tensor) -> Tensor:
        """The average strategy of weighted sums of own reach ``[A, D, H]``; uniform where never reached."""
        return divide(strategy_sum, strategy_sum.sum(0), self.uniform)

    # Passes that search, self-play and evaluation share

    def reach(self, strategy: Tensor, *, belief: Tensor | None = None) -> Tensor:
        """Each sequence's own reach, starting from 1 at the subgames' roots.

        Args:
            strategy: ``[A, D, H]``.
            belief: ``[2, B, H]``; if given, an action that no believed hand takes leaves the reach as it
                was, so that a belief made from it is the last defined one.

        Returns:
            ``[R, H]``.
        """
        reach = strategy.new_ones(self.num_rows, self.game.num_hands)
        edges = self.edge_rows(reach)
        for player in (0, 1):
            for step in self.steps[player]:
                above = rows_of(reach, self.decisions.row[player, step])
                below = strategy[:, step] * above
                if belief is not None:
                    believed = belief[player, self.decisions.subgame[step]]
                    below = torch.where((below * believed).sum(-1, keepdim=True) > 0, below, above)
                edges[:, step] = below
        return reach

    def on_copies(self, edges: Tensor, copies: "Forest[State]", subgame: Ints) -> Tensor:
        """A quantity of edges ``[A, D, H]`` on :meth:`copies` of the subgames ``[n]``."""
        return edges[:, torch.as_tensor(self.copy_from(copies, subgame), device=edges.device)]

    def edge_rows(self, rows: Tensor) -> Tensor:
        """The edges' part of sequence rows ``[R, H]``, as a view ``[A, D, H]``."""
        return rows[2 * self.num_subgames :].view(self.edge_shape)

    def root_rows(self, rows: Tensor) -> Tensor:
        """The empty sequences' part of sequence rows ``[R, H]``, as a view ``[2, B, H]``."""
        return rows[: 2 * self.num_subgames].view(2, self.num_subgames, -1)

    def by_action(self, edges: Tensor, action_of: Tensor | None = None) -> Tensor:
        """Puts a quantity of edges ``[A, D, H]`` in the game's order of actions, 0 where illegal.

        Args:
            edges: of the forest's decision nodes, or of ``D`` others.
            action_of: ``[A, D]`` of those others, as in ``action_of``.

        Returns:
            ``[D, actions of the game, H]``.
        """
        action_of = self.action_of if action_of is None else action_of
        nodes = edges.shape[1]
        columns = edges.new_zeros(nodes, self.game.num_actions + 1, edges.shape[-1])
        columns[torch.arange(nodes, device=edges.device), action_of] = edges
        return columns[:, :-1]

    def decision_index(self, subgame: Ints, node: Ints) -> Ints:
        """Where decision ``node`` of its tree stands among the forest's decision nodes, elementwise."""
        return self._position[self._first_node[subgame] + node]

    def beliefs_at(self, nodes: ForestNodes, reach: Tensor, belief: Tensor) -> Tensor:
        """Beliefs at nodes, ``[2, n, H]``.

        Args:
            nodes: which nodes.
            reach: ``[R, H]`` from :meth:`reach` with ``belief``.
            belief: ``[2, B, H]`` at the subgames' roots.
        """
        possible = nodes.possible
        return normalise_beliefs(rows_of(reach, nodes.row) * belief[:, nodes.subgame] * possible, possible)
