"""The parts of :mod:`benchmarks.gpu` about solving: agreement, iterations, networks, payoff forms."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_forests import (
    STREETS,
    Setting,
    Traffic,
    capture,
    first_line,
    forest_of,
    launches,
    random_beliefs,
    repeat,
    waits,
)  # fmt: skip
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator, LeafValues, multiply_in
from pokerlab.search.rules import RULES
from pokerlab.search.subgames import Subgames, payoff_bytes, solving_bytes

Row: TypeAlias = dict[str, Any]

AFTER = (1, 10, 50)
"""Iterations after which solvers are compared."""
COMPARED = 2
"""Subgames of each street."""
DCFR = RULES["dcfr"]


PRECISIONS = {"fp32": "float32", "tf32": "tf32", "bf16": "bfloat16"}
"""What tables call the solver's leaf precisions."""


def start(
    forest: Forest,
    belief: Tensor,
    leaf_evaluator: LeafEvaluator,
    *,
    cuda_graph: bool = False,
    precision: str = "fp32",
    backend: str = "tensors",
) -> CFR:
    """DCFR, plain or as a CUDA graph."""
    return CFR(
        forest, belief, DCFR, alternating=True, backend=backend, leaf_evaluator=leaf_evaluator,
        cuda_graph=cuda_graph, leaf_precision=PRECISIONS[precision],
    )  # fmt: skip


# Agreement


def solve(
    setting: Setting, backend: str, street: int, device: torch.device, dtype: torch.dtype
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Root values in pots ``[2, B, H]`` and average strategies ``[A, D, H]`` after ``AFTER`` iterations.

    What cannot be held is 0; leaves are valued by a small network.
    """
    states = setting.states(street, COMPARED)
    forest = forest_of(setting.game, states, device, dtype)
    network = setting.network(hidden=64, layers=2).to(device, dtype)
    belief = random_beliefs(forest, setting.seed)
    cfr = CFR(forest, belief, DCFR, alternating=True, backend=backend, leaf_evaluator=network, storage="full")
    pots = torch.tensor([setting.game.pot(state) for state in states], dtype=torch.float64)[:, None]
    found, possible = [], forest.root_possible
    for iterations in AFTER:
        cfr.run(iterations - cfr.iteration)
        values = (cfr.root_infostate_values() * possible).double().cpu() / pots
        strategy = cfr.average_strategy() * forest.decisions.possible * forest.legal
        found.append((values.numpy(), strategy.double().cpu().numpy()))
    return found


def references(setting: Setting) -> dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]]:
    """By street and dtype, what the CPU's solver finds."""
    cpu = torch.device("cpu")
    return {
        (street, str(dtype)): solve(setting, "compiled", number, cpu, dtype)
        for dtype in (torch.float64, torch.float32)
        for number, street in enumerate(STREETS)
    }


def agreement(setting: Setting, reference: Callable[[], dict[tuple[str, str], Any]]) -> Iterator[Row]:
    """The tensors' solver on the device, and the CPU's in float32, against the CPU's in float64."""
    found: dict[tuple[str, str], Any] = {}
    for dtype, (number, street) in product((torch.float64, torch.float32), enumerate(STREETS)):
        found[street, str(dtype)] = solve(setting, "tensors", number, setting.device, dtype)
    expected = reference()
    cpu_float32 = {key: value for key, value in expected.items() if key[1] == "torch.float32"}
    for solver, of_solver in (("device", found), ("cpu", cpu_float32)):
        for (street, kind), results in of_solver.items():
            exact = expected[street, "torch.float64"]
            for iterations, ours, theirs in zip(AFTER, results, exact, strict=True):
                value, strategy = (np.abs(a - b) for a, b in zip(ours, theirs, strict=True))
                yield {
                    "street": street,
                    "solver": solver,
                    "dtype": kind.removeprefix("torch."),
                    "iterations": iterations,
                    "value_size": np.abs(theirs[0]).mean(),
                    "value_max": value.max(),
                    "value_mean": value.mean(),
                    "strategy_max": strategy.max(),
                    "strategy_mean": strategy.mean(),
                }


# Iterations


def iterations(setting: Setting, sizes: Sequence[int]) -> Iterator[Row]:
    """What an iteration takes by street and subgames a forest, with phase 1's network at the leaves."""
    network = setting.network().to(setting.device)
    for size, (number, street) in product(sizes, enumerate(STREETS)):
        row: Row = {"street": street, "subgames": size}
        try:
            measure_iteration(setting, network, number, row)
        except Exception as error:
            row["error"] = first_line(error)
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()
        yield row


def measure_iteration(setting: Setting, network: ValueNetwork, street: int, row: Row) -> None:
    """Adds to ``row`` what it finds, so that an error late on loses nothing."""
    game, on_gpu = setting.game, setting.device.type == "cuda"
    states = setting.states(street, row["subgames"])
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    started, subgames = time.perf_counter(), Subgames(game)
    trees = [subgames.tree(state) for state in states]
    row["trees_s"], started = time.perf_counter() - started, time.perf_counter()
    forest = subgames.forest(states, torch.empty(0, device=setting.device))
    belief = random_beliefs(forest, setting.seed)
    cfr = start(forest, belief, network)
    setting.synchronise()
    row["set_up_s"] = time.perf_counter() - started
    row["states"] = sum(tree.num_states for tree in trees)
    row["leaves"] = len(forest.leaves)
    row["padding"] = 1 - len(forest.terminals) / max(len(forest.payoffs.subgame), 1)
    row["milliseconds"] = setting.milliseconds(cfr.run)
    counted = sum(solving_bytes(tree, forest.boards, forest.width, network.floats_per_leaf) for tree in trees)
    counted += payoff_bytes(game, trees, forest.boards)
    row["counted_gb"] = counted / 1e9
    if on_gpu:
        row["peak_gb"] = (torch.cuda.max_memory_allocated() - before) / 1e9
        row["peak_over_counted"] = row["peak_gb"] / row["counted_gb"]
    with Traffic() as traffic:
        cfr.step()
    row["operations"], row["megabytes"] = traffic.operations, traffic.bytes / 1e6
    row["gb_per_s"] = row["megabytes"] / row["milliseconds"]
    if on_gpu:
        row["waits"] = waits(cfr.step)
        row["launches"], row["copies"], row["kernel_ms"] = launches(cfr.step)
        del cfr
        graphed = start(forest, belief, network, cuda_graph=True)
        row["graph_ms"] = setting.milliseconds(graphed.run)
        row["graph_gb_per_s"] = row["megabytes"] / row["graph_ms"]


def graph_agreement(setting: Setting) -> Iterator[Row]:
    """A graph that is replayed against iterations that are taken."""
    network = setting.network(hidden=64, layers=2).to(setting.device)
    for number, street in enumerate(STREETS):
        forest = forest_of(setting.game, setting.states(number, 4), setting.device, torch.float32)
        belief = random_beliefs(forest, setting.seed)
        stepped, again, replayed = (
            start(forest, belief, network, cuda_graph=graph).run(12) for graph in (False, False, True)
        )
        difference, noise = (
            (one.average_strategy() - stepped.average_strategy()).abs().max().item()
            for one in (replayed, again)
        )
        yield {"street": street, "strategy_max": difference, "strategy_max_without_graph": noise}


# Networks


class Exact:
    """A value network as a leaf evaluator that works in float64."""

    def __init__(self, network: ValueNetwork) -> None:
        self._network = copy.deepcopy(network).double()
        self.floats_per_leaf = network.floats_per_leaf

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafEvaluator`."""
        values = self._network.at(features.double(), possible.double())
        return lambda beliefs: values(beliefs.double()).to(beliefs)


def networks(setting: Setting, leaves: Sequence[int], subgames: int) -> Iterator[Row]:
    """Time of a query, and errors of answers and of root values on flops; how far two equal runs differ."""
    network = setting.network().to(setting.device)
    precisions = ("fp32", "tf32", "bf16") if setting.device.type == "cuda" else ("fp32", "bf16")
    states = setting.states(1, subgames)
    forest = forest_of(setting.game, states, setting.device, torch.float32)
    belief = random_beliefs(forest, setting.seed)
    pots = torch.tensor([setting.game.pot(state) for state in states], device=setting.device)[:, None]
    exact = root_values(forest, belief, Exact(network))
    for precision in precisions:
        for number in leaves:
            yield query_row(setting, forest, network, precision, number)
        found, again = (root_values(forest, belief, network, precision) for _ in range(2))
        for iterations, value, other, of in zip(AFTER, found, again, exact, strict=True):
            yield {
                "precision": precision,
                "iterations": iterations,
                "value_size": (of / pots).abs().mean().item(),
                "value_mean": ((value - of) / pots).abs().mean().item(),
                "value_mean_again": ((value - other) / pots).abs().mean().item(),
            }


def root_values(
    forest: Forest, belief: Tensor, evaluator: LeafEvaluator, precision: str = "fp32"
) -> list[Tensor]:
    """``[2, B, H]`` infostate values in chips of possible hands, ``AFTER`` iterations."""
    cfr = start(forest, belief, evaluator, precision=precision)
    found = []
    for iterations in AFTER:
        cfr.run(iterations - cfr.iteration)
        found.append(cfr.root_infostate_values() * forest.root_possible)
    return found


def query_row(setting: Setting, forest: Forest, network: ValueNetwork, precision: str, leaves: int) -> Row:
    """One precision at so many leaves."""
    which = torch.arange(leaves, device=setting.device) % len(forest.leaves)
    features, possible = forest.leaves.features[which], forest.leaves.possible[which]
    beliefs = torch.rand(2, leaves, setting.game.num_hands, device=setting.device) * possible
    beliefs = beliefs / beliefs.sum(-1, keepdim=True)
    prepared = network.at(features, possible)

    def ask(beliefs: Tensor) -> Tensor:
        with multiply_in(PRECISIONS[precision], setting.device):
            return prepared(beliefs)

    exact = Exact(network).at(features, possible)(beliefs)
    row: Row = {
        "precision": precision,
        "leaves": leaves,
        "relative_error": ((ask(beliefs) - exact).norm() / exact.norm()).item(),
        "milliseconds": setting.milliseconds(repeat(lambda: ask(beliefs))),
    }
    operations = 2 * leaves * sum(p.numel() for p in network.mlp.parameters() if p.dim() == 2)
    if setting.device.type == "cuda":
        row["graph_ms"] = setting.milliseconds(repeat(capture(lambda: ask(beliefs)).replay))
        row["graph_tflops"] = operations / row["graph_ms"] / 1e9
    return row
