"""Designs that :mod:`benchmarks.gpu` tries against what the solver does today on a GPU.

* tf32, bf16: the leaf network's matrix products.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
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
from benchmarks.gpu_solves import Precise, Row, start
from pokerlab.learning.networks import ValueNetwork


def precise_at(precision: str) -> Any:
    """``ValueNetwork.at`` with matrix products in a precision."""
    return lambda network, features, possible: Precise(network, precision).at(features, possible)


PATCHES: dict[str, tuple[Any, str, Any]] = {
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
TRIED = ("tf32",)
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
                    for name, graph in (("value_error", False), ("value_error_graph", True)):
                        with apply_designs(names):
                            found = values_after(setting, network, street, size, torch.float32, graph)
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
    cuda_graph: bool = False,
    iterations: int = 10,
) -> Tensor:
    """``[2, B, H]`` root values in pots."""
    states = setting.states(street, size)
    forest = forest_of(setting.game, states, setting.device, dtype)
    network = network if dtype == torch.float32 else copy.deepcopy(network).to(dtype)
    belief = random_beliefs(forest, setting.seed)
    cfr = start(forest, belief, network, cuda_graph=cuda_graph)
    cfr.run(iterations)
    pots = torch.tensor([setting.game.pot(state) for state in states], dtype=torch.float64)[:, None]
    return (cfr.root_infostate_values() * forest.root_possible).double().cpu() / pots


def measure_design(setting: Setting, network: ValueNetwork, street: int, row: Row) -> None:
    """Adds what an iteration takes; ``graph_ms`` as a CUDA graph."""
    states, on_gpu = setting.states(street, row["subgames"]), setting.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    started = time.perf_counter()
    forest = forest_of(setting.game, states, setting.device, torch.float32)
    belief = random_beliefs(forest, setting.seed)
    plain, graphed = (start(forest, belief, network, cuda_graph=graph) for graph in (False, True))
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
