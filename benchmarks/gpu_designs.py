"""Designs that :mod:`benchmarks.gpu` tries against what the solver does today on a GPU.

* graph: an iteration is captured once and replayed; weights and discounts are read from a table on the
  device, so that the replay is right at every iteration.
* dense: showdowns and run-outs are one batched product with matrices of small whole numbers, exact in
  float16; the opponent's reach is split into two float16 numbers, sums are in float32.
* tf32, bf16: the leaf network's matrix products.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import product
from math import comb, inf
from typing import Any
from unittest.mock import patch

import numpy as np
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
from pokerlab.games.base import PayoffOperator
from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.games.holdem import Holdem
from pokerlab.games.payoff_tables import FOLDED
from pokerlab.games.showdown import CardMass
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search import cfr as cfr_module
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.tensors import TensorBackend
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies

LONGEST = 4096
"""Iterations that a captured solve may take."""
TOGETHER = 64
"""Boards on which all pairs of hands are compared at once."""
EXACT = 2048
"""Whole numbers up to so many are exact in float16."""


class GraphedBackend(TensorBackend):
    """:class:`TensorBackend` whose iterations are replays of one CUDA graph; on a CPU, the same operations.

    Where leaves are valued under the current beliefs (CFR-D), and without a gadget.
    """

    def __init__(self, forest: Forest, belief: Tensor, rule: UpdateRule, *, alternating: bool) -> None:
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
        after: Callable[[int], None] | None = None,
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


@lru_cache(1024)
def count_wins(deck: Deck, board: tuple[int, ...], cards: int, device: torch.device) -> Tensor:
    """``[H, H]`` on how many run-outs the column's hand beats the row's, less those on which it loses.

    In float16 where that is exact, else in float32.
    """
    if len(board) == cards:
        boards, alike, exchanges = np.array([board]), np.ones(1, np.int64), deck.suit_permutations[:1]
    else:
        boards, alike, exchanges = deck.boards(board, cards)
    won = torch.zeros(deck.num_hands, deck.num_hands, dtype=torch.int32, device=device)
    for times in np.unique(alike).tolist():
        strengths = torch.as_tensor(deck.strengths(boards[alike == times]).astype(np.int16), device=device)
        others = strengths.masked_fill(strengths == BLOCKED, torch.iinfo(torch.int16).max)
        for own, theirs in zip(strengths.split(TOGETHER), others.split(TOGETHER), strict=True):
            won += times * (own[:, :, None] > theirs[:, None]).sum(0, dtype=torch.int32)
    won -= won.T.clone()
    hands = torch.as_tensor(deck.permuted_hands(exchanges), device=device)
    total = sum((won[hand[:, None], hand] for hand in hands), torch.zeros_like(won)) / len(hands)
    total *= torch.as_tensor(deck.disjoint, device=device)
    most = comb(len(deck.cards) - len(board) - 4, cards - len(board))
    return total.T.contiguous().to(torch.float16 if most <= EXACT else torch.float32)


class DensePayoffs:
    """Payoff kernels as batched products; its arguments are those of ``CardPayoffs``."""

    def __init__(
        self,
        deck: Deck,
        kernels: Sequence[tuple[int, Sequence[int]]],
        *,
        complete: int,
        weight: float,
        like: Tensor,
    ) -> None:
        device, boards = like.device, [tuple(sorted(board)) for _, board in kernels]
        dealt = [comb(len(deck.cards) - len(board) - 4, complete - len(board)) for board in boards]
        kinds = np.array([kind for kind, _ in kernels])
        exact = np.array(dealt) <= EXACT
        groups = (kinds == FOLDED, (kinds != FOLDED) & exact, (kinds != FOLDED) & ~exact)
        self._folded, self._exact, self._rest = (
            torch.as_tensor(np.flatnonzero(group), device=device) for group in groups
        )
        wins = [
            torch.stack([count_wins(deck, boards[row], complete, device) for row in rows])
            if len(rows)
            else None
            for rows in (self._exact.tolist(), self._rest.tolist())
        ]
        self._wins, self._rest_wins = wins
        possible = np.array([deck.possible(board) for board in boards])
        self._possible = torch.as_tensor(possible, device=device)[:, None].to(like.dtype)
        scale = torch.as_tensor(weight / np.array(dealt), device=device).to(like.dtype)[:, None, None]
        self._scale, self._rest_scale = scale[self._exact], scale[self._rest]
        self._mass = CardMass(deck, weight, like)

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` opponent reach → the same shape."""
        reach = reach * self._possible
        won = torch.empty_like(reach)
        if len(self._folded):
            met = self._mass(reach.index_select(-3, self._folded))
            won.index_copy_(-3, self._folded, met * self._possible[self._folded])
        if self._wins is not None:
            rows = reach.index_select(-3, self._exact)
            won.index_copy_(-3, self._exact, _multiply(rows, self._wins) * self._scale)
        if self._rest_wins is not None:
            rows = reach.index_select(-3, self._rest)
            won.index_copy_(-3, self._rest, rows @ self._rest_wins.to(rows) * self._rest_scale)
        return won


def _multiply(rows: Tensor, wins: Tensor) -> Tensor:
    """``[..., M, K, H]`` rows times ``[M, H, H]`` whole numbers in float16."""
    of_kernel = rows.flatten(0, -4).transpose(0, 1).flatten(1, 2) if rows.dim() == 4 else rows
    top = of_kernel.amax(-1, keepdim=True).clamp_min(1e-30)
    of_kernel = of_kernel / top
    first = of_kernel.half()
    both = torch.cat([first, (of_kernel - first).half()], 1)
    if rows.device.type == "cuda":
        found = torch.bmm(both, wins, out_dtype=torch.float32)
    else:
        found = both.float() @ wins.float()
    found = found.unflatten(1, (2, -1)).sum(1) * top
    return found.unflatten(1, (-1, rows.shape[-2])).transpose(0, 1) if rows.dim() == 4 else found


def dense_operator(game: Holdem, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
    """``Holdem.payoff_operator`` with dense products; in float64, the plain one."""
    if like.dtype == torch.float64:
        return plain_operator(game, kernels, like)
    decoded = [game._kernels.decode(kernel) for kernel in kernels]
    return DensePayoffs(game.deck, decoded, complete=game.complete, weight=game._weight, like=like)


plain_operator = Holdem.payoff_operator


def precise_at(precision: str) -> Any:
    """``ValueNetwork.at`` with matrix products in a precision."""
    return lambda network, features, possible: Precise(network, precision).at(features, possible)


PATCHES: dict[str, tuple[Any, str, Any]] = {
    "graph": (cfr_module, "choose_backend", lambda *_: GraphedBackend),
    "dense": (Holdem, "payoff_operator", dense_operator),
    "tf32": (ValueNetwork, "at", precise_at("tf32")),
    "bf16": (ValueNetwork, "at", precise_at("bf16")),
}
DESIGNS: tuple[tuple[str, ...], ...] = (
    (),
    ("dense",),
    ("dense", "tf32"),
    ("dense", "bf16"),
)
OF_STREET = {"flop": DESIGNS, "turn": DESIGNS, "river": DESIGNS[:2]}
"""What differs there: rivers have no leaves."""
STREETS_TRIED = (1, 2, 3)
TRIED = ("graph", "dense", "tf32")
"""What self-play is tried with."""


@contextmanager
def designed(names: Sequence[str]) -> Iterator[None]:
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
                        with designed([*names, *more]):
                            found = values_after(setting, network, street, size, torch.float32)
                        row[name] = (found - exact).abs().mean().item()
                with designed(names):
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
    with designed(["graph"]):
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
