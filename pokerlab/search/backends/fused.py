"""CFR on a GPU in a few kernels an iteration, see :mod:`pokerlab.search.backends.fused_kernels`."""

import numpy as np
import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.games.dense_payoffs import CardMass, put_cards
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.device import DeviceBackend
from pokerlab.search.backends.fused_kernels import (
    MOST_THREADS,
    WEIGH,
    leaves_kernel,
    update_kernel,
)
from pokerlab.search.backends.fused_layout import Sources, lay_out_walk
from pokerlab.search.backends.fused_terminals import NONE, value_in_kernels
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule

OF_HANDS = 64
"""Threads in a block that walks a subgame: few subgames, too, are to occupy a GPU."""


class FusedBackend(DeviceBackend):
    """A :class:`~pokerlab.search.backends.base.Backend` whose updates are kernels."""

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        gadget: Gadget | None = None,
        cuda_graph: bool = True,
    ) -> None:
        super().__init__(forest, belief, rule, alternating=alternating, gadget=gadget, cuda_graph=cuda_graph)
        self._weights = belief.clone()
        """``[2, B, H]`` what each player's hands weigh, which a gadget changes."""
        self._root_values = torch.zeros_like(belief)
        self._update = update_kernel(forest.width, forest.dtype)
        leaves, hands = forest.leaves, forest.game.num_hands
        self._leaf_reach = belief.new_zeros(2, len(leaves), hands)
        self._no_leaves = belief.new_zeros(2, 1, hands)
        if isinstance(forest.mass, CardMass) and len(leaves):
            deck, weights = forest.mass.deck, [forest.mass.weight, forest.mass.rounding]
            self._cards = [
                *put_cards(deck.hands, forest.device),
                torch.tensor(weights, dtype=forest.dtype).to(forest.device),
            ]
            self._set_beliefs = leaves_kernel(hands, len(deck.cards), forest.dtype)
            self._leaf_mass = torch.zeros_like(self._leaf_reach)
        self._terminals = value_in_kernels(forest)
        rows = self._terminals.rows + max(nodes.stop - nodes.start for nodes in forest.player_nodes)
        self._worth = belief.new_zeros(2, rows, hands)
        """Of terminals, then of nodes."""
        self._scale = belief.new_ones(2, rows)
        self._walks = [self._lay_out(player) for player in (0, 1)]

    def set_beliefs(self, reach: Tensor, belief: Tensor, players: slice) -> Tensor:
        if not isinstance(self._forest.mass, CardMass):
            return super().set_beliefs(reach, belief, players)
        mass = self._leaf_mass[: players.stop - players.start]
        self._set_beliefs(
            (reach.shape[1], 2),
            MOST_THREADS,
            [reach.contiguous(), *self._cards, belief, mass],
            [players.start, players.stop],
        )
        return mass

    def _lay_out(self, player: int) -> list[Tensor]:
        forest = self._forest
        terminals, leaves = (
            nodes.row[player].numpy(force=True) for nodes in (forest.terminals, forest.leaves)
        )
        chips = forest.payoffs.chips[player, :, 0].numpy(force=True)[forest.payoffs.slot]
        ends = [Sources(leaves, -1 - np.arange(len(leaves)), np.ones(len(leaves)))]
        for row, factor in self._terminals.sources():
            some = row != NONE
            ends.append(Sources(terminals[some], row[some], (chips * factor)[some]))
        return lay_out_walk(forest, player, ends, self._terminals.rows).arrays

    def _iterate(self, leaf_query: LeafQuery | None) -> None:
        for players in self._turns:
            which = slice(players[0], players[-1] + 1)
            for player in players:
                worth, scale = self._worth[player], self._scale[player]
                self._terminals.value(player, self._reach, self._weights, worth, scale)
            leaf_values = self._value_leaves(which, leaf_query) if leaf_query else self._no_leaves
            for player in players:
                self._update_player(player, leaf_values[player - which.start])
        if self._gadget:
            self._played.copy_(self._root_values[self._gadget.opponent])
            self._choose(self._gadget.opponent)

    def _value_leaves(self, which: slice, leaf_query: LeafQuery) -> Tensor:
        """``[players, L, H]`` counterfactual values."""
        leaves, reach = self._forest.leaves, self._leaf_reach
        WEIGH(
            (len(leaves), 2),
            MOST_THREADS,
            [self._reach, self._weights, leaves.row, leaves.subgame, leaves.board, leaves.boards, reach],
            [0],
        )
        return leaf_query(reach, which, self._weight).contiguous()

    def _update_player(self, player: int, leaf_values: Tensor) -> None:
        subgames, hands = self._root_belief.shape[1:]
        worth, scale = self._worth[player], self._scale[player]
        self._update(
            (subgames, -(-hands // OF_HANDS)),
            OF_HANDS,
            [
                self._now, self._strategy, self._regret, self._strategy_sum, self._reach, self._value_sum,
                self._root_values, worth, scale, leaf_values, *self._walks[player],
            ],
            [player, self._terminals.rows, self._rule.floor, self._rule.predictive],
        )  # fmt: skip

    def _weigh(self, opponent: int, dealt: Tensor) -> None:
        self._weights[opponent].copy_(dealt)


def can_fuse(forest: Forest) -> bool:
    """Whether kernels can solve a forest."""
    possible = forest.num_decisions and forest.isomorphic_hands is None and forest.dtype in cuda.NUMBERS
    return bool(possible) and cuda.is_available()
