"""CFR as tensor operations: on any device, with or without depth-limit leaves.

The plain reference that the compiled loops are held against, and what runs on a GPU. Nothing in an iteration
loops over nodes, hands or subgames: only over the steps of the sequence form (how many own decisions lie in a
row).
"""

from math import inf

import torch
from torch import Tensor

from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.device import DeviceBackend, is_zero
from pokerlab.search.forest import ILLEGAL, Forest, rows_of
from pokerlab.search.gadget import Gadget
from pokerlab.search.locks import Locks
from pokerlab.search.rules import UpdateRule


class TensorBackend(DeviceBackend):
    """A :class:`~pokerlab.search.backends.base.Backend` with one tensor for all subgames."""

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        gadget: Gadget | None = None,
        cuda_graph: bool = True,
        locks: Locks | None = None,
    ) -> None:
        super().__init__(
            forest, belief, rule, alternating=alternating, gadget=gadget, cuda_graph=cuda_graph, locks=locks
        )
        rows = belief.new_zeros(forest.num_rows, forest.game.num_hands)
        self._prediction = torch.zeros_like(self._strategy) if rule.predictive else None
        self._discounts = min(rule.alpha, rule.beta) < inf
        self._edge_reach = forest.edge_rows(self._reach)
        self._values = torch.zeros_like(rows)
        self._edge_values = forest.edge_rows(self._values)
        self._root_values = forest.root_rows(self._values)
        self._no_values = rows.new_zeros(len(rows), 1)
        edges = self._no_values[2 * forest.num_subgames :].view(*forest.edge_shape[:2], 1)
        edges.masked_fill_(~forest.legal, ILLEGAL)
        self._node_values = belief.new_zeros(self._strategy.shape[1:])
        # a player's values need the opponent's reach times the opponent's belief
        self._opponent_row, self._leaf_row = forest.payoffs.row.flip(0), forest.leaves.row.flip(0)
        self._opponent_weight = belief[:, forest.payoffs.subgame].flip(0)
        self._leaf_weight = (belief[:, forest.leaves.subgame] * forest.leaves.possible).flip(0)

    def _iterate(self, leaf_query: LeafQuery | None) -> None:
        for players in self._turns:
            self._evaluate(players, leaf_query)
            for player in players:
                nodes = self._forest.player_nodes[player]
                self._value_sum[player].addcmul_(self._root_values[player], self._weight)
                self._strategy_sum[:, nodes].addcmul_(self._edge_reach[:, nodes], self._weight)
                if self._gadget and player == self._gadget.opponent:
                    self._played.copy_(self._root_values[player])
            for player in players:
                self._update_regrets(player)
                self._update_strategy(player)
        if self._gadget:
            self._choose(self._gadget.opponent)

    # One pass

    def _evaluate(self, players: tuple[int, ...], leaf_query: LeafQuery | None) -> None:
        """Counterfactual values of ``players``' sequences under the present strategy, leaves upward."""
        forest, values = self._forest, self._values
        values.copy_(self._no_values)
        which = slice(players[0], players[-1] + 1)
        if forest.payoffs.parts:
            opponent = rows_of(self._reach, self._opponent_row[which]).mul_(self._opponent_weight[which])
            for part in forest.payoffs.parts:
                won = part.outcomes(opponent).mul_(forest.payoffs.chips[which, part.slots])
                values.index_add_(0, forest.payoffs.row[which, part.slots].flatten(), won.flatten(0, -2))
        if leaf_query:
            reach = rows_of(self._reach, self._leaf_row).mul_(self._leaf_weight)
            leaf_values = leaf_query(reach, which, self._weight)
            values.index_add_(0, forest.leaves.row[which].flatten(), leaf_values.flatten(0, -2))
        for player in players:
            for step in reversed(forest.steps[player]):
                if forest.isomorphic_hands:
                    forest.isomorphic_hands.average(self._edge_values, step)
                torch.sum(
                    self._strategy[:, step] * self._edge_values[:, step], 0, out=self._node_values[step]
                )
                values.index_add_(0, forest.decisions.row[player, step], self._node_values[step])
            if forest.isomorphic_hands:
                forest.isomorphic_hands.average_roots(self._root_values[player])

    def _weigh(self, opponent: int, dealt: Tensor) -> None:
        resolver, leaves = 1 - opponent, self._forest.leaves
        self._opponent_weight[resolver] = dealt[self._forest.payoffs.subgame]
        torch.mul(dealt[leaves.subgame], leaves.possible, out=self._leaf_weight[resolver])

    def _update_regrets(self, player: int) -> None:
        nodes = self._forest.player_nodes[player]
        regret = self._regret[:, nodes]
        instantaneous = self._edge_values[:, nodes] - self._node_values[nodes]
        if self._discounts:
            torch.addcmul(instantaneous, torch.prelu(regret, self._ratio), self._positive, out=regret)
        else:
            regret.add_(instantaneous)
        if self._rule.floor:
            regret.clamp_min_(0)
        if self._prediction is not None:
            self._prediction[:, nodes] = instantaneous

    def _update_strategy(self, player: int) -> None:
        """Regret matching, then the reach of ``player``'s sequences."""
        forest, nodes = self._forest, self._forest.player_nodes[player]
        strategy = self._strategy[:, nodes]
        if self._prediction is None:
            torch.clamp_min(self._regret[:, nodes], 0, out=strategy)
        else:
            torch.add(self._regret[:, nodes], self._prediction[:, nodes], out=strategy).clamp_min_(0)
        total = strategy.sum(0)
        nothing = is_zero(total)  # where no regret is positive: uniform
        strategy.addcmul_(forest.uniform[:, nodes], nothing).div_(total.add_(nothing))
        if self._locks:
            locked, given = self._locks
            strategy.copy_(torch.where(locked[nodes], given[:, nodes], strategy))
        for step in forest.steps[player]:
            above = rows_of(self._reach, forest.decisions.row[player, step])
            torch.mul(self._strategy[:, step], above, out=self._edge_reach[:, step])
