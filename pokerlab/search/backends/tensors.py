"""CFR as tensor operations: on any device, with or without depth-limit leaves.

The plain reference that :class:`CompiledCFR` is held against, and what runs on a
GPU. Nothing in a step loops over nodes, hands or subgames: only over the steps of the sequence form (how
many own decisions lie in a row).
"""

import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.search.best_response import Exploitability, exploitability
from pokerlab.search.cfr import CFR, ILLEGAL, SampledStrategies, divided
from pokerlab.search.forest import rows_of, uniform_strategy


class TensorCFR(CFR):
    """:class:`CFR` with one tensor for all subgames; its arguments are :class:`CFR`'s."""

    def _set_up(self) -> None:
        forest, belief = self.forest, self.belief
        rows = belief.new_zeros(forest.num_rows, forest.game.num_hands)
        self._strategy = uniform_strategy(forest)
        self._regret = torch.zeros_like(self._strategy)
        self._strategy_sum = torch.zeros_like(self._strategy)  # weighted sums of own reach
        self._prediction = torch.zeros_like(self._strategy) if self.rule.predictive else None
        self._value_sum = belief.new_zeros(belief.shape)

        self._reach = forest.reach(self._strategy)
        self._edge_reach = forest.edge_rows(self._reach)
        self._values = torch.zeros_like(rows)
        self._edge_values = forest.edge_rows(self._values)
        self._root_values = forest.root_rows(self._values)
        self._no_values = torch.zeros_like(rows)
        forest.edge_rows(self._no_values).masked_fill_(~forest.legal, ILLEGAL)
        self._node_values = belief.new_zeros(self._strategy.shape[1:])
        # a player's terminal values need the opponent's reach times the opponent's belief
        self._opponent_row = forest.payoffs.row.flip(0)
        self._opponent_belief = belief[:, forest.payoffs.subgame].flip(0)

    @property
    def strategy(self) -> Tensor:
        return self._strategy

    def step(self) -> None:
        self.iteration += 1
        weight = self.rule.weight(self.iteration)
        self._weight_sum += weight
        for players in ((0,), (1,)) if self.alternating else ((0, 1),):
            self._evaluate(players)
            for player in players:
                self._value_sum[player].add_(self._root_values[player], alpha=weight)
                nodes = self.forest.player_nodes[player]
                self._strategy_sum[:, nodes].add_(self._edge_reach[:, nodes], alpha=weight)
            for player in players:
                self._update_regrets(player)
                self._update_strategy(player)

    def run(self, iterations: int, samples: SampledStrategies | None = None) -> "TensorCFR":
        for _ in range(iterations):
            if samples is not None:
                strategy = self.average_strategy() if self.average_leaves else self.strategy
                samples.record(self.iteration + 1, strategy)
            self.step()
        return self

    def _start_from(self, strategy: Tensor, regret: Tensor) -> None:
        self._strategy.copy_(strategy)
        self._regret.copy_(regret)
        self._reach.copy_(self.forest.reach(strategy))

    def average_strategy(self) -> Tensor:
        return divided(self._strategy_sum, self._strategy_sum.sum(0), self.forest.uniform)

    def exploitability(self) -> Exploitability:
        return exploitability(self.forest, self.average_strategy(), self.belief)

    def root_values(self) -> Tensor:
        return self._value_sum / self._weight_sum

    # One pass

    def _evaluate(self, players: tuple[int, ...]) -> None:
        """Counterfactual values of ``players``' sequences under the present strategy, leaves upward."""
        forest, values = self.forest, self._values
        values.copy_(self._no_values)
        which = slice(players[0], players[-1] + 1)
        if forest.payoffs.chips.numel():
            opponent = rows_of(self._reach, self._opponent_row[which]).mul_(self._opponent_belief[which])
            won = forest.payoffs.operator(opponent).mul_(forest.payoffs.chips[which])
            values.index_add_(0, forest.payoffs.row[which].flatten(), won.flatten(0, -2))
        if len(forest.leaves):
            reach = rows_of(self._reach, forest.leaves.row).mul_(self._leaf_weight).flip(0)
            leaf_values = self._leaf_values(reach, which, self.rule.weight(self.iteration))
            values.index_add_(0, forest.leaves.row[which].flatten(), leaf_values.flatten(0, -2))
        for player in players:
            for step in reversed(forest.steps[player]):
                if forest.alike:
                    forest.alike.even_out(self._edge_values, step)
                torch.sum(
                    self._strategy[:, step] * self._edge_values[:, step], 0, out=self._node_values[step]
                )
                values.index_add_(0, forest.decisions.row[player, step], self._node_values[step])
            if forest.alike:
                forest.alike.even_out_roots(self._root_values[player])

    def _normalise(self, reach: Tensor) -> None:
        own = reach.flip(0)
        self._leaf_belief.copy_(divided(own, own.sum(-1, keepdim=True), self._leaf_belief))

    def _update_regrets(self, player: int) -> None:
        nodes = self.forest.player_nodes[player]
        regret = self._regret[:, nodes]
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
        strategy = self._strategy[:, nodes]
        if self._prediction is None:
            torch.clamp_min(self._regret[:, nodes], 0, out=strategy)
        else:
            torch.add(self._regret[:, nodes], self._prediction[:, nodes], out=strategy).clamp_min_(0)
        total = strategy.sum(0)
        nothing = (total == 0).to(total.dtype)  # where no regret is positive: uniform
        strategy.addcmul_(forest.uniform[:, nodes], nothing).div_(total + nothing)
        for step in forest.steps[player]:
            above = rows_of(self._reach, forest.decisions.row[player, step])
            torch.mul(self._strategy[:, step], above, out=self._edge_reach[:, step])
