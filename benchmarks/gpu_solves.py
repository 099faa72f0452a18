"""The parts of :mod:`benchmarks.gpu` about solving: agreement, iterations, networks, payoff forms."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_forests import (
    MODELS,
    STREETS,
    Setting,
    Traffic,
    capture,
    device_events,
    first_line,
    forest_of,
    launches,
    random_beliefs,
    repeat,
    waits,
)  # fmt: skip
from pokerlab import cuda
from pokerlab.learning.networks import LeafNetwork
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator, LeafValues, multiply_in, values_of
from pokerlab.search.rules import RULES
from pokerlab.search.subgames import Subgames, payoff_bytes, solving_bytes

Row: TypeAlias = dict[str, Any]

SMALL_SIZE = {"kernel": {"hidden": 64}, "large": {"hidden": 64, "layers": 2}}
"""Of leaf networks where solvers are compared."""
AFTER = (1, 10, 50)
"""Iterations after which solvers are compared."""
COMPARED = 2
"""Subgames of each street."""
DCFR = RULES["dcfr"]


PRECISIONS = {"fp32": "float32", "tf32": "tf32", "bf16": "bfloat16"}
"""What tables call the solver's leaf precisions."""


def backend_on(device: torch.device) -> str:
    """What runs on a GPU; on a CPU, where the script is tried, its tensor operations."""
    return "auto" if device.type == "cuda" else "tensors"


def start(
    forest: Forest,
    belief: Tensor,
    leaf_evaluator: LeafEvaluator,
    *,
    cuda_graph: bool = False,
    precision: str = "fp32",
    backend: str | None = None,
) -> CFR:
    """DCFR, an iteration plain or as a CUDA graph."""
    return CFR(
        forest, belief, DCFR, alternating=True, backend=backend or backend_on(forest.device),
        leaf_evaluator=leaf_evaluator,
        cuda_graph=cuda_graph, leaf_precision=PRECISIONS[precision],
    )  # fmt: skip


# Agreement


def solve(
    setting: Setting, backend: str, street: int, model: str, device: torch.device, dtype: torch.dtype
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Root values in pots ``[2, B, H]`` and average strategies ``[A, D, H]`` after ``AFTER`` iterations.

    What cannot be held is 0; leaves are valued by a small network.
    """
    states = setting.states(street, COMPARED)
    forest = forest_of(setting.game, states, device, dtype)
    network = replace(setting, device=device).network_of(model, **SMALL_SIZE[model]).to(dtype)
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


CASES = list(product(MODELS, (torch.float64, torch.float32), range(len(STREETS))))
"""Leaf networks, dtypes and streets in which solvers are compared."""


def references(setting: Setting) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """What the CPU's solver finds in each of ``CASES``."""
    cpu = torch.device("cpu")
    return [solve(setting, "compiled", street, model, cpu, dtype) for model, dtype, street in CASES]


def agreement(setting: Setting, reference: Callable[[], list[Any]]) -> Iterator[Row]:
    """The GPU's solver, and the CPU's in float32, against the CPU's in float64."""
    found = [
        solve(setting, backend_on(setting.device), street, model, setting.device, dtype)
        for model, dtype, street in CASES
    ]
    expected = reference()
    exact = {
        (model, street): results
        for (model, dtype, street), results in zip(CASES, expected, strict=True)
        if dtype == torch.float64
    }
    for solver, solved in (("device", found), ("cpu", expected)):
        for (model, dtype, street), results in zip(CASES, solved, strict=True):
            if solver == "cpu" and dtype == torch.float64:
                continue
            for iterations, ours, theirs in zip(AFTER, results, exact[model, street], strict=True):
                value, strategy = (np.abs(a - b) for a, b in zip(ours, theirs, strict=True))
                yield {
                    "street": STREETS[street],
                    "network": model,
                    "solver": solver,
                    "dtype": str(dtype).removeprefix("torch."),
                    "iterations": iterations,
                    "value_size": np.abs(theirs[0]).mean(),
                    "value_max": value.max(),
                    "value_mean": value.mean(),
                    "strategy_max": strategy.max(),
                    "strategy_mean": strategy.mean(),
                }


# Iterations


def iterations(setting: Setting, sizes: Sequence[int]) -> Iterator[Row]:
    """What an iteration takes by street and subgames a forest, with phase 1's network at the leaves; on flops
    with a large one too, and in other precisions."""
    networks = {model: setting.network_of(model) for model in MODELS}
    cases = [*product(["kernel"], ["tf32"], sizes, range(len(STREETS)))]
    cases += [
        ("large", "tf32", sizes[-2], 1),
        ("kernel", "fp32", sizes[-1], 1),
        ("kernel", "bf16", sizes[-1], 1),
    ]
    for model, precision, size, number in cases:
        row: Row = {
            "street": STREETS[number],
            "network": model,
            "precision": precision,
            "subgames": size,
        }
        try:
            measure_iteration(setting, networks[model], number, row)
        except Exception as error:
            row["error"] = first_line(error)
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()
        yield row


def measure_iteration(setting: Setting, network: LeafNetwork, street: int, row: Row) -> None:
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
    cfr = start(forest, belief, network, precision=row["precision"])
    setting.synchronise()
    row["set_up_s"] = time.perf_counter() - started
    row["states"] = sum(tree.num_states for tree in trees)
    row["leaves"] = len(forest.leaves)
    row["padding"] = 1 - len(forest.terminals) / max(len(forest.payoffs.subgame), 1)
    row["milliseconds"] = setting.milliseconds(cfr.run)
    in_kernels = on_gpu and cuda.is_available()
    counted = sum(
        solving_bytes(tree, forest.boards, forest.width, network.floats_per_leaf, in_kernels=in_kernels)
        for tree in trees
    )
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
        row["events"] = device_events(cfr.step) if row["subgames"] >= 256 else []
        del cfr
        graphed = start(forest, belief, network, cuda_graph=True, precision=row["precision"])
        row["graph_ms"] = setting.milliseconds(graphed.run)
        row["graph_gb_per_s"] = row["megabytes"] / row["graph_ms"]


def graph_agreement(setting: Setting) -> Iterator[Row]:
    """A graph that is replayed against iterations that are taken."""
    for model, (number, street) in product(MODELS, enumerate(STREETS)):
        network = setting.network_of(model, **SMALL_SIZE[model])
        forest = forest_of(setting.game, setting.states(number, 4), setting.device, torch.float32)
        belief = random_beliefs(forest, setting.seed)
        stepped, again, replayed = (
            start(forest, belief, network, cuda_graph=graph).run(12) for graph in (False, False, True)
        )
        difference, noise = (
            (one.average_strategy() - stepped.average_strategy()).abs().max().item()
            for one in (replayed, again)
        )
        yield {
            "street": street,
            "network": model,
            "strategy_max": difference,
            "strategy_max_without_graph": noise,
        }


# Networks


class Exact:
    """A value network as a leaf evaluator that works in float64."""

    def __init__(self, network: LeafNetwork) -> None:
        self._network = copy.deepcopy(network).double()
        self.floats_per_leaf = network.floats_per_leaf

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafEvaluator`."""
        values = self._network.at(features.double(), possible.double())
        return lambda beliefs: values(beliefs.double()).to(beliefs)


def networks(setting: Setting, leaves: Sequence[int], subgames: int) -> Iterator[Row]:
    """Time of a query, and errors of answers and of root values on flops; how far two equal runs differ."""
    on_gpu = setting.device.type == "cuda"
    states = setting.states(1, subgames)
    forest = forest_of(setting.game, states, setting.device, torch.float32)
    belief = random_beliefs(forest, setting.seed)
    pots = torch.tensor([setting.game.pot(state) for state in states], device=setting.device)[:, None]
    for model, precision in product(MODELS, PRECISIONS if on_gpu else ("fp32", "bf16")):
        network = setting.network_of(model)
        exact = root_values(forest, belief, Exact(network))
        about: Row = {"network": model, "precision": precision}
        for number in leaves:
            yield about | query_row(setting, forest, network, precision, number)
        found, again = (root_values(forest, belief, network, precision) for _ in range(2))
        for iterations, value, other, of in zip(AFTER, found, again, exact, strict=True):
            yield about | {
                "iterations": iterations,
                "value_size": (of / pots).abs().mean().item(),
                "value_mean": ((value - of) / pots).abs().mean().item(),
                "value_mean_again": ((value - other) / pots).abs().mean().item(),
            }
    with patch.object(cuda, "is_available", lambda: False):
        for number in leaves if on_gpu else ():
            row = query_row(setting, forest, setting.network_of("kernel"), "tf32", number)
            yield row | {"network": "kernel", "precision": "tf32", "kernels": "torch's alone"}


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


def query_row(setting: Setting, forest: Forest, network: LeafNetwork, precision: str, leaves: int) -> Row:
    """One precision at so many leaves."""
    which = torch.arange(leaves, device=setting.device) % len(forest.leaves)
    features, possible = forest.leaves.features[which], forest.leaves.possible[which]
    beliefs = torch.rand(2, leaves, setting.game.num_hands, device=setting.device) * possible
    beliefs = beliefs / beliefs.sum(-1, keepdim=True)
    prepared = network.at(features, possible)

    def ask(beliefs: Tensor) -> Tensor:
        with multiply_in(PRECISIONS[precision], setting.device):
            return values_of(prepared, beliefs, slice(0, 1))

    exact = Exact(network).at(features, possible)(beliefs)[:1]
    row: Row = {
        "leaves": leaves,
        "relative_error": ((ask(beliefs) - exact).norm() / exact.norm()).item(),
        "milliseconds": setting.milliseconds(repeat(lambda: ask(beliefs))),
    }
    if setting.device.type == "cuda":
        row["launches"], _, row["kernel_ms"] = launches(lambda: ask(beliefs))
        row["graph_ms"] = setting.milliseconds(repeat(capture(lambda: ask(beliefs)).replay))
    return row
