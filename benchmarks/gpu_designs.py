"""Designs that :mod:`benchmarks.gpu` tries against what the solver does today on a GPU.

* graph: an iteration is captured once and replayed; weights and discounts are read from a table on the
  device, so that the replay is right at every iteration.
* tf32, bf16: the leaf network's matrix products.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from math import inf
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu_forests import (
    STREETS,
    Setting,
    Traffic,
    costliest,
    first_line,
    forest_of,
    launches,
    random_beliefs,
)  # fmt: skip
from benchmarks.gpu_solves import DCFR, Precise, Row
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search import cfr as cfr_module
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.tensors import TensorBackend
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies

LONGEST = 4096
"""Iterations that a captured solve may take."""


class GraphedBackend(TensorBackend):
    """:class:`TensorBackend` whose iterations are replays of one CUDA graph; on a CPU, the same operations.

    Where leaves are valued under the current beliefs (CFR-D), and without a gadget.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        gadget: Gadget | None = None,
    ) -> None:
        if gadget:
            raise ValueError("iterations with a gadget are not captured")
        super().__init__(forest, belief, rule, alternating=alternating)
        table = [(rule.weight(t), *rule.discounts(t)) for t in range(1, LONGEST + 1)]
        self._table = torch.tensor(table, device=belief.device, dtype=belief.dtype)
        self._weight, self._positive, self._negative = self._now = self._table[0].clone()
        self._graph: torch.cuda.CUDAGraph | None = None

    def run(
        self,
        first: int,
        iterations: int,
        leaf_query: LeafQuery | None = None,
        samples: SampledStrategies | None = None,
        *,
        sample_averages: bool = False,
    ) -> None:
        for iteration in range(first, first + iterations):
            if samples is not None and samples.is_due(iteration):
                samples.record(iteration, self._strategy)
            self._now.copy_(self._table[iteration - 1])
            if iteration == 1 or self._table.device.type == "cpu":
                self._iterate(iteration, leaf_query)  # what is made on first use is made
                continue
            if self._graph is None:
                self._graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self._graph):
                    self._iterate(iteration, leaf_query)
            self._graph.replay()

    def _iterate(self, iteration: int, leaf_query: LeafQuery | None) -> None:
        for players in self._turns:
            self._evaluate(players, iteration, leaf_query)
            for player in players:
                nodes = self._forest.player_nodes[player]
                self._value_sum[player].addcmul_(self._root_values[player], self._weight)
                self._strategy_sum[:, nodes].addcmul_(self._edge_reach[:, nodes], self._weight)
            for player in players:
                self._update_regrets(player, iteration)
                self._update_strategy(player)

    def _update_regrets(self, player: int, iteration: int) -> None:
        nodes = self._forest.player_nodes[player]
        regret = self._regret[:, nodes]
        if min(self._rule.alpha, self._rule.beta) < inf:
            regret.mul_(torch.where(regret > 0, self._positive, self._negative))
        instantaneous = self._edge_values[:, nodes] - self._node_values[nodes]
        regret.add_(instantaneous)
        if self._rule.floor:
            regret.clamp_min_(0)
        if self._prediction is not None:
            self._prediction[:, nodes] = instantaneous


def precise_at(precision: str) -> Any:
    """``ValueNetwork.at`` with matrix products in a precision."""
    return lambda network, features, possible: Precise(network, precision).at(features, possible)


PATCHES: dict[str, tuple[Any, str, Any]] = {
    "graph": (cfr_module, "choose_backend", lambda *_: GraphedBackend),
    "tf32": (ValueNetwork, "at", precise_at("tf32")),
    "bf16": (ValueNetwork, "at", precise_at("bf16")),
}
DESIGNS: tuple[tuple[str, ...], ...] = (
    (),
    ("tf32",),
    ("bf16",),
)
OF_STREET = {"flop": DESIGNS, "turn": DESIGNS, "river": DESIGNS[:1]}
"""What differs there: rivers have no leaves."""
STREETS_TRIED = (1, 2, 3)
TRIED = ("graph", "tf32")
"""What self-play is tried with."""


@contextmanager
def apply_designs(names: Sequence[str]) -> Iterator[None]:
    """Everything made meanwhile is so designed."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch.object(*PATCHES[name]))
        yield


def designs(setting: Setting, sizes: Sequence[int]) -> Iterator[Row]:
    """An iteration by street, size and design: time, plain and as a graph, bytes, and errors of values."""
    network = setting.network().to(setting.device)
    for size, street in product(sizes, STREETS_TRIED):
        for names in DESIGNS:
            if names not in OF_STREET[STREETS[street]]:
                continue
            row: Row = {"street": STREETS[street], "subgames": size, "design": " ".join(names) or "today"}
            try:
                if size == sizes[0]:
                    exact = values_after(setting, network, street, size, torch.float64)
                    for name, more in (("value_error", ()), ("value_error_graph", ("graph",))):
                        with apply_designs([*names, *more]):
                            found = values_after(setting, network, street, size, torch.float32)
                        row[name] = (found - exact).abs().mean().item()
                with apply_designs(names):
                    measure_design(setting, network, street, row)
            except Exception as error:
                row["error"] = first_line(error)
            if setting.device.type == "cuda":
                torch.cuda.empty_cache()
            yield row


def values_after(
    setting: Setting,
    network: ValueNetwork,
    street: int,
    size: int,
    dtype: torch.dtype,
    iterations: int = 10,
) -> Tensor:
    """``[2, B, H]`` root values in pots."""
    states = setting.states(street, size)
    forest = forest_of(setting.game, states, setting.device, dtype)
    network = network if dtype == torch.float32 else copy.deepcopy(network).to(dtype)
    belief = random_beliefs(forest, setting.seed)
    cfr = CFR(forest, belief, DCFR, alternating=True, backend="tensors", leaf_evaluator=network)
    cfr.run(iterations)
    pots = torch.tensor([setting.game.pot(state) for state in states], dtype=torch.float64)[:, None]
    return (cfr.root_infostate_values() * forest.root_possible).double().cpu() / pots


def measure_design(setting: Setting, network: ValueNetwork, street: int, row: Row) -> None:
    """Adds what an iteration takes; ``graph_ms`` is that of iterations that are right, weights and all."""
    states, on_gpu = setting.states(street, row["subgames"]), setting.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    started = time.perf_counter()
    forest = forest_of(setting.game, states, setting.device, torch.float32)
    belief = random_beliefs(forest, setting.seed)
    plain = CFR(forest, belief, DCFR, alternating=True, backend="tensors", leaf_evaluator=network)
    with apply_designs(["graph"]):
        graphed = CFR(forest, belief, DCFR, alternating=True, leaf_evaluator=network)
    setting.synchronise()
    row["set_up_s"], row["terminals"] = time.perf_counter() - started, len(forest.terminals)
    row["milliseconds"] = setting.milliseconds(plain.run, 0.1)
    with Traffic() as traffic:
        plain.step()
    row["megabytes"] = traffic.bytes / 1e6
    if on_gpu:
        row["peak_gb"] = (torch.cuda.max_memory_allocated() - before) / 1e9
        row["launches"], _, row["kernel_ms"] = launches(plain.step)
        row["costliest"] = costliest(plain.step)
        del plain
        row["graph_ms"] = setting.milliseconds(graphed.run, 0.1)
        row["graph_gb_per_s"] = row["megabytes"] / row["graph_ms"]
