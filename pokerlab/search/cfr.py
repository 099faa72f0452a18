"""Counterfactual regret minimisation on a forest of public subgames.

One :meth:`CFR.step` is one iteration on every subgame of the forest. Nothing in it loops over nodes,
hands or subgames: only over the steps of the sequence form (how many own decisions lie in a row).
"""

import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.search.forest import Forest, rows_of, uniform_strategy
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.rules import UpdateRule

ILLEGAL = -1e30
"""Counterfactual value of an action that a node does not have: its regret never turns positive."""


def divided(values: Tensor, total: Tensor, otherwise: Tensor) -> Tensor:
    """``values / total``, and ``otherwise`` where the total is zero; all broadcast."""
    some = total > 0
    return torch.where(some, values / torch.where(some, total, 1), otherwise)


class CFR:
    """CFR and its variants on a forest.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]`` each player's belief at the subgames' roots, in the forest's device and dtype.
        rule: the update rule.
        alternating: whether player 1's update already meets player 0's new strategy; otherwise both
            update at once, with one query of the leaves an iteration.
        leaf_evaluator: values the depth-limit leaves at every iteration under the beliefs that the
            present strategy induces (CFR-D). Needed where the forest has leaves.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        leaf_evaluator: LeafEvaluator | None = None,
    ) -> None:
        self.forest, self.belief, self.rule, self.alternating = forest, belief, rule, alternating
        self.iteration = 0
        rows = belief.new_zeros(forest.num_rows, forest.game.num_hands)
        self.strategy = uniform_strategy(forest)
        """``[A, D, H]`` what the next iteration plays."""
        self.regret = torch.zeros_like(self.strategy)
        """``[A, D, H]`` discounted sums."""
        self.strategy_sum = torch.zeros_like(self.strategy)
        """``[A, D, H]`` weighted sums of own reach."""
        self._prediction = torch.zeros_like(self.strategy) if rule.predictive else None
        self._value_sum = belief.new_zeros(belief.shape)
        self._weight_sum = 0.0

        self._reach = forest.reach(self.strategy)
        self._edge_reach = forest.edge_rows(self._reach)
        self._values = torch.zeros_like(rows)
        self._edge_values = forest.edge_rows(self._values)
        self._root_values = forest.root_rows(self._values)
        self._no_values = torch.zeros_like(rows)
        forest.edge_rows(self._no_values).masked_fill_(~forest.legal, ILLEGAL)
        self._node_values = belief.new_zeros(self.strategy.shape[1:])
        # a player's terminal values need the opponent's reach times the opponent's belief
        self._opponent_row = forest.terminal_row.flip(0)
        self._opponent_belief = belief[:, forest.terminal_subgame].flip(0)
        self._set_up_leaves(leaf_evaluator)

    def _set_up_leaves(self, leaf_evaluator: LeafEvaluator | None) -> None:
        leaves = self.forest.leaves
        if not len(leaves):
            return
        if leaf_evaluator is None:
            raise ValueError(f"the forest has {len(leaves)} depth-limit leaves: a leaf evaluator is needed")
        self._evaluate_leaves = leaf_evaluator.at(leaves.features, leaves.possible)
        self._leaf_weight = self.belief[:, leaves.subgame] * leaves.possible
        self._leaf_scale = (leaves.pot * leaves.chance)[:, None] * leaves.possible
        # beliefs that an iteration leaves undefined keep their last value; the first are the roots'
        total = self._leaf_weight.sum(-1, keepdim=True)
        anything = leaves.possible / leaves.possible.sum(-1, keepdim=True)
        self._leaf_belief = divided(self._leaf_weight, total, anything)

    def step(self) -> None:
        """One iteration: both players' regrets and averages are updated once."""
        self.iteration += 1
        weight = self.rule.weight(self.iteration)
        self._weight_sum += weight
        for players in ((0,), (1,)) if self.alternating else ((0, 1),):
            self._evaluate(players)
            for player in players:
                self._value_sum[player].add_(self._root_values[player], alpha=weight)
                nodes = self.forest.player_nodes[player]
                self.strategy_sum[:, nodes].add_(self._edge_reach[:, nodes], alpha=weight)
            for player in players:
                self._update_regrets(player)
                self._update_strategy(player)

    def run(self, iterations: int) -> "CFR":
        """Takes ``iterations`` steps; returns itself."""
        for _ in range(iterations):
            self.step()
        return self

    def average_strategy(self) -> Tensor:
        """``[A, D, H]`` the average strategy, weighted by own reach; uniform where never reached."""
        return divided(self.strategy_sum, self.strategy_sum.sum(0), self.forest.uniform)

    def root_values(self) -> Tensor:
        """``[2, B, H]`` counterfactual values: the weighted mean over iterations, in chips.

        The training target (ALGORITHMS.md section 2): not the value of the average strategy.
        """
        return self._value_sum / self._weight_sum

    def root_infostate_values(self) -> Tensor:
        """``[2, B, H]`` :meth:`root_values` per unit of opponent mass, in chips."""
        mass = self.forest.mass(self.belief.flip(0))
        return divided(self.root_values(), mass, torch.zeros_like(mass))

    # One pass

    def _evaluate(self, players: tuple[int, ...]) -> None:
        """Counterfactual values of ``players``' sequences under the present strategy, leaves upward."""
        forest, values = self.forest, self._values
        values.copy_(self._no_values)
        which = slice(players[0], players[-1] + 1)
        if forest.payoff.numel():
            opponent = rows_of(self._reach, self._opponent_row[which]).mul_(self._opponent_belief[which])
            won = forest.outcome(opponent).mul_(forest.payoff[which])
            values.index_add_(0, forest.terminal_row[which].flatten(), won.flatten(0, -2))
        if len(forest.leaves):
            leaf_values = self._leaf_values()[which]
            values.index_add_(0, forest.leaves.row[which].flatten(), leaf_values.flatten(0, -2))
        for player in players:
            for step in reversed(forest.steps[player]):
                torch.sum(self.strategy[:, step] * self._edge_values[:, step], 0, out=self._node_values[step])
                values.index_add_(0, forest.decisions.row[player, step], self._node_values[step])

    def _leaf_values(self) -> Tensor:
        """``[2, L, H]`` counterfactual values of the leaves."""
        leaves = self.forest.leaves
        reach = rows_of(self._reach, leaves.row).mul_(self._leaf_weight)
        total = reach.sum(-1, keepdim=True)
        self._leaf_belief = divided(reach, total, self._leaf_belief)
        infostate_values = self._evaluate_leaves(self._leaf_belief)
        return infostate_values * self.forest.mass(reach.flip(0)) * self._leaf_scale

    def _update_regrets(self, player: int) -> None:
        nodes = self.forest.player_nodes[player]
        regret = self.regret[:, nodes]
        positive, negative = self.rule.discounts(self.iteration)
        if positive != negative:
            functional.leaky_relu_(regret, negative / positive)  # scales what is negative
        if positive != 1:
            regret.mul_(positive)
        instantaneous = self._edge_values[:, nodes] - self._node_values[nodes]
        regret.add_(instantaneous)
        if self.rule.floor:
            regret.clamp_min_(0)
        if self._prediction is not None:
            self._prediction[:, nodes] = instantaneous

    def _update_strategy(self, player: int) -> None:
        """Regret matching, then the reach of ``player``'s sequences."""
        forest, nodes = self.forest, self.forest.player_nodes[player]
        strategy = self.strategy[:, nodes]
        if self._prediction is None:
            torch.clamp_min(self.regret[:, nodes], 0, out=strategy)
        else:
            torch.add(self.regret[:, nodes], self._prediction[:, nodes], out=strategy).clamp_min_(0)
        total = strategy.sum(0)
        nothing = (total == 0).to(total.dtype)  # where no regret is positive: uniform
        strategy.addcmul_(forest.uniform[:, nodes], nothing).div_(total + nothing)
        for step in forest.steps[player]:
            above = rows_of(self._reach, forest.decisions.row[player, step])
            torch.mul(self.strategy[:, step], above, out=self._edge_reach[:, step])
