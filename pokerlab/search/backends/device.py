"""What backends on a device share: state, and iterations that a CUDA graph replays.

What depends on an iteration's number is read from a table on the device: on a GPU one iteration is captured
as a CUDA graph, whose replay is right at every number.
"""

from abc import ABC, abstractmethod
from functools import cache

import torch
from torch import Tensor

from pokerlab.loops import warn_once
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.best_response import root_values
from pokerlab.search.forest import Forest, divide, uniform_strategy
from pokerlab.search.gadget import Gadget
from pokerlab.search.locks import NOTHING, Locks
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


def is_zero(values: Tensor) -> Tensor:
    """1 where a number is 0, else 0: in one kernel."""
    return torch.eq(values, 0, out=torch.empty_like(values))


class DeviceBackend(ABC):
    """State of a :class:`~pokerlab.search.backends.base.Backend` as tensors, and its iterations.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]`` at their roots.
        rule: the update rule.
        alternating: whether players update in turn.
        gadget: what the opponent may take instead of playing.
        cuda_graph: whether iterations on a GPU are replays of a captured one.
        locks: strategies that are given.
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
        locks: Locks | None = None,
    ) -> None:
        self._forest, self._rule, self._root_belief = forest, rule, belief
        self._turns = ((0,), (1,)) if alternating else ((0, 1),)
        self._strategy = uniform_strategy(forest)
        self._locks = locks.spread(forest) if locks else None
        self._regret = torch.zeros_like(self._strategy)
        self._strategy_sum = torch.zeros_like(self._strategy)  # weighted sums of own reach
        if self._locks:
            locked, given = self._locks
            self._strategy = torch.where(locked, given, self._strategy)
            self._strategy_sum = locked * given * NOTHING
        self._value_sum = belief.new_zeros(belief.shape)
        self._captures = cuda_graph and belief.device.type == "cuda"
        self._graph: torch.cuda.CUDAGraph | None = None
        self._extend_table(FIRST_TABLE)
        self._weight, self._positive, self._ratio = self._now = self._table[0].clone()
        self._reach = forest.reach(self._strategy)
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
    def average_strategy(self) -> Tensor:
        return self._forest.average(self._strategy_sum)

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
                average = sample_averages and iteration > 1
                samples.record(iteration, self.average_strategy if average else self._strategy)
            self._now.copy_(self._table[iteration - 1])
            if self._captures and iteration > 1 and self._graph is None:  # what is made on first use is made
                self._capture(leaf_query)
            if self._graph is None:
                self._iterate(leaf_query)
            else:
                self._graph.replay()

    def set_beliefs(self, reach: Tensor, belief: Tensor, players: slice) -> Tensor:
        own = reach.flip(0)
        total = own.sum(-1, keepdim=True)
        nothing = is_zero(total)
        belief.mul_(nothing).addcdiv_(own, total.add_(nothing))
        return self._forest.mass(reach[players])

    def average_values(self) -> tuple[Tensor, Tensor]:
        locked = self._locks[0] if self._locks else None
        return root_values(self._forest, self.average_strategy, self._root_belief, locked)

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

    def _choose(self, opponent: int) -> None:
        """Regret matching+ between playing and leaving; sets what hands weigh from now on."""
        gain = self._played - self._paid
        self._plays_sum.addcmul_(self._plays, self._weight)
        self._choice_regret[0].addcmul_(1 - self._plays, gain)
        self._choice_regret[1].addcmul_(self._plays, gain, value=-1)
        self._choice_regret.clamp_min_(0)
        self._plays.copy_(divide(self._choice_regret[0], self._choice_regret.sum(0), self._plays))
        self._weigh(opponent, self._root_belief[opponent] * self._plays)

    @abstractmethod
    def _iterate(self, leaf_query: LeafQuery | None) -> None:
        """One iteration, with the numbers in ``_now``."""

    @abstractmethod
    def _weigh(self, opponent: int, dealt: Tensor) -> None:
        """Sets what the opponent's hands weigh from now on, ``[B, H]``."""
