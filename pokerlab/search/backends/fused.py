"""CFR on a GPU in a few kernels an iteration, see :mod:`pokerlab.search.backends.fused_kernels`."""

import numpy as np
import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.device import DeviceBackend
from pokerlab.search.backends.fused_kernels import NUMBERS, WEIGH, update_kernel
from pokerlab.search.backends.fused_layout import Sources, lay_out_walk
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule

OF_HANDS = 64
"""Threads in a block that walks a subgame: few subgames, too, are to occupy a GPU."""
OF_A_ROW = 128
"""Threads in a block that works on a terminal or a leaf."""


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
        payoffs, leaves, hands = forest.payoffs, forest.leaves, forest.game.num_hands
        self._opponent = belief.new_zeros(2, payoffs.row.shape[1], hands)
        self._leaf_reach = belief.new_zeros(2, len(leaves), hands)
        self._no_leaves = belief.new_zeros(2, 1, hands)
        self._every_hand = torch.zeros_like(payoffs.subgame), belief.new_ones(1, hands)
        terminals = payoffs.row.shape[1]
        most = max(nodes.stop - nodes.start for nodes in forest.player_nodes)
        self._first_value = terminals
        self._worth = belief.new_zeros(2, terminals + most, hands)
        """Of slots of terminals, then of nodes."""
        self._scale = belief.new_ones(terminals + most)
        self._walks = [self._lay_out(player) for player in (0, 1)]

    def _lay_out(self, player: int) -> list[Tensor]:
        forest = self._forest
        terminals, leaves, slot = forest.terminals, forest.leaves, forest.payoffs.slot
        chips = forest.payoffs.chips[player, :, 0].numpy(force=True)
        of_leaves = np.arange(len(leaves))
        ends = [
            Sources(terminals.row[player].numpy(force=True), slot, chips[slot]),
            Sources(leaves.row[player].numpy(force=True), -1 - of_leaves, np.ones(len(leaves))),
        ]
        return lay_out_walk(forest, player, ends, self._first_value).arrays

    def _iterate(self, leaf_query: LeafQuery | None) -> None:
        for players in self._turns:
            which = slice(players[0], players[-1] + 1)
            self._value_terminals(which)
            leaf_values = self._value_leaves(which, leaf_query) if leaf_query else self._no_leaves
            for player in players:
                self._update_player(player, leaf_values[player - which.start])
        if self._gadget:
            self._played.copy_(self._root_values[self._gadget.opponent])
            self._choose(self._gadget.opponent)

    def _value_terminals(self, which: slice) -> None:
        """What the ``which`` players' hands win at the terminals."""
        payoffs = self._forest.payoffs
        opponent = self._opponent[which]
        WEIGH(
            (opponent.shape[1], len(opponent)),
            OF_A_ROW,
            [self._reach, self._weights, payoffs.row, payoffs.subgame, *self._every_hand, opponent],
            [which.start],
        )
        for part in payoffs.parts:
            self._worth[which, part.slots] = part.outcomes(opponent)

    def _value_leaves(self, which: slice, leaf_query: LeafQuery) -> Tensor:
        """``[players, L, H]`` counterfactual values."""
        leaves, reach = self._forest.leaves, self._leaf_reach
        WEIGH(
            (len(leaves), 2),
            OF_A_ROW,
            [self._reach, self._weights, leaves.row, leaves.subgame, leaves.board, leaves.boards, reach],
            [0],
        )
        return leaf_query(reach, which, self._weight).contiguous()

    def _update_player(self, player: int, leaf_values: Tensor) -> None:
        subgames, hands = self._root_belief.shape[1:]
        self._update(
            (subgames, -(-hands // OF_HANDS)),
            OF_HANDS,
            [
                self._now, self._strategy, self._regret, self._strategy_sum, self._reach, self._value_sum,
                self._root_values, self._worth[player], self._scale, leaf_values, *self._walks[player],
            ],
            [player, self._first_value, self._rule.floor, self._rule.predictive],
        )  # fmt: skip

    def _weigh(self, opponent: int, dealt: Tensor) -> None:
        self._weights[opponent].copy_(dealt)


def can_fuse(forest: Forest) -> bool:
    """Whether kernels can solve a forest."""
    return forest.isomorphic_hands is None and forest.dtype in NUMBERS and cuda.is_available()
