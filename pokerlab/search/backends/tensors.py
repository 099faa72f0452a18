"""CFR as tensor operations: on any device, with or without depth-limit leaves.

The plain reference that the compiled loops are held against, and what runs on a GPU. Nothing in an iteration
loops over nodes, hands or subgames: only over the steps of the sequence form (how many own decisions lie in a
row). What depends on an iteration's number is read from a table on the device: on a GPU one iteration is
captured as a CUDA graph, whose replay is right at every number.
"""

from functools import cache
from math import inf

import torch
from torch import Tensor

from pokerlab.loops import warn_once
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.best_response import root_values
from pokerlab.search.forest import ILLEGAL, Forest, divide, rows_of, uniform_strategy
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies

FIRST_TABLE = 128
"""Iterations whose numbers are made at first."""


@cache
def _table(rule: UpdateRule, length: int) -> Tensor:
    """``[length, 3]`` of iterations from 1: weight, discount of positive regrets, and by how much that of
    negative ones is larger."""
    discounts = [rule.discounts(t) for t in range(1, length + 1)]
    numbers = [(rule.weight(t), *of) for t, of in enumerate(discounts, 1)]
    table = torch.tensor(numbers, dtype=torch.float64)
    table[:, 2] /= table[:, 1]
    return table


def _is_zero(values: Tensor) -> Tensor:
    """1 where a number is 0, else 0: in one kernel."""
    return torch.eq(values, 0, out=torch.empty_like(values))


class TensorBackend:
    """A :class:`~pokerlab.search.backends.base.Backend` with one tensor for all subgames.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]`` at their roots.
        rule: the update rule.
        alternating: whether players update in turn.
        gadget: what the opponent may take instead of playing.
        cuda_graph: whether iterations on a GPU are replays of a captured one.
    """

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
        self._forest, self._rule, self._root_belief = forest, rule, belief
        self._turns = ((0,), (1,)) if alternating else ((0, 1),)
        rows = belief.new_zeros(forest.num_rows, forest.game.num_hands)
        self._strategy = uniform_strategy(forest)
        self._regret = torch.zeros_like(self._strategy)
        self._strategy_sum = torch.zeros_like(self._strategy)  # weighted sums of own reach
        self._prediction = torch.zeros_like(self._strategy) if rule.predictive else None
        self._value_sum = belief.new_zeros(belief.shape)
        self._discounts = min(rule.alpha, rule.beta) < inf
        self._captures = cuda_graph and belief.device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self._extend_table(FIRST_TABLE)
        self._weight, self._positive, self._ratio = self._now = self._table[0].clone()

        self._reach = forest.reach(self._strategy)
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
        self._gadget = gadget
        if gadget:
            self._paid = gadget.payments(forest, belief)
            self._played = torch.zeros_like(self._paid)
            self._choice_regret = belief.new_zeros(belief.shape)  # of playing, of leaving
            self._plays, self._plays_sum = torch.ones_like(self._paid), torch.zeros_like(self._paid)

    @property
    def strategy(self) -> Tensor:
        return self._strategy

    @property
    def strategy_sum(self) -> Tensor:
        return self._strategy_sum

    @property
    def root_value_sum(self) -> Tensor:
        return self._value_sum

    @property
    def plays(self) -> Tensor:
        return torch.stack([self._plays, self._plays_sum])

    def start_from(self, strategy: Tensor, regret: Tensor) -> None:
        self._strategy.copy_(strategy)
        self._regret.copy_(regret)
        self._reach.copy_(self._forest.reach(strategy))

    def run(
        self,
        first: int,
        iterations: int,
        leaf_query: LeafQuery | None = None,
        samples: SampledStrategies | None = None,
        *,
        sample_averages: bool = False,
    ) -> None:
        if first + iterations > len(self._table):
            self._extend_table(1 << (first + iterations).bit_length())  # few lengths: tables are remembered
        for iteration in range(first, first + iterations):
            if samples is not None and samples.is_due(iteration):
                average = self._forest.average(self._strategy_sum) if sample_averages else self._strategy
                samples.record(iteration, average)
            self._now.copy_(self._table[iteration - 1])
            if self._captures and iteration > 1 and self._graph is None:  # what is made on first use is made
                self._capture(leaf_query)
            if self._graph is None:
                self._iterate(leaf_query)
            else:
                self._graph.replay()

    def _extend_table(self, length: int) -> None:
        belief = self._root_belief
        self._table = _table(self._rule, length).to(belief.device, belief.dtype)

    def _capture(self, leaf_query: LeafQuery | None) -> None:
        """An iteration as a CUDA graph; where that fails, operations are launched one by one."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._iterate(leaf_query)
            self._graph = graph
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a capture that fails may leave its own
            self._captures = False
            why = str(error).partition("\n")[0]
            warn_once(f"iterations cannot be a CUDA graph and take longer: {why}")

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

    def normalise(self, reach: Tensor, belief: Tensor) -> None:
        own = reach.flip(0)
        total = own.sum(-1, keepdim=True)
        nothing = _is_zero(total)
        belief.mul_(nothing).addcdiv_(own, total.add_(nothing))

    def average_values(self) -> tuple[Tensor, Tensor]:
        return root_values(self._forest, self._forest.average(self._strategy_sum), self._root_belief)

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

    def _choose(self, opponent: int) -> None:
        """Regret matching+ between playing and leaving; sets what hands weigh from now on."""
        gain = self._played - self._paid
        self._plays_sum.addcmul_(self._plays, self._weight)
        self._choice_regret[0].addcmul_(1 - self._plays, gain)
        self._choice_regret[1].addcmul_(self._plays, gain, value=-1)
        self._choice_regret.clamp_min_(0)
        self._plays.copy_(divide(self._choice_regret[0], self._choice_regret.sum(0), self._plays))
        dealt, leaves = self._root_belief[opponent] * self._plays, self._forest.leaves
        resolver = 1 - opponent
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
        nothing = _is_zero(total)  # where no regret is positive: uniform
        strategy.addcmul_(forest.uniform[:, nodes], nothing).div_(total.add_(nothing))
        for step in forest.steps[player]:
            above = rows_of(self._reach, forest.decisions.row[player, step])
            torch.mul(self._strategy[:, step], above, out=self._edge_reach[:, step])
