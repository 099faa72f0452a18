"""The precisions of the leaf network that :mod:`benchmarks.gpu` tries, street by street."""

import copy
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

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
from benchmarks.gpu_solves import Row, start
from pokerlab.learning.networks import ValueNetwork

DESIGNS = {"today": "fp32", "tf32": "tf32", "bf16": "bf16"}
"""The precision of the leaf network's matrix products in each."""
OF_STREET = {"flop": DESIGNS, "turn": DESIGNS, "river": ("today",)}
"""What differs there: rivers have no leaves."""
STREETS_TRIED = (1, 2, 3)


def designs(setting: Setting, sizes: Sequence[int]) -> Iterator[Row]:
    """An iteration by street, size and design: time, plain and as a graph, bytes, and errors of values."""
    network = setting.network().to(setting.device)
    for size, street in product(sizes, STREETS_TRIED):
        for name in OF_STREET[STREETS[street]]:
            row: Row = {"street": STREETS[street], "subgames": size, "design": name}
            try:
                if size == sizes[0]:
                    exact = values_after(setting, network, street, size, torch.float64)
                    for error, graph in (("value_error", False), ("value_error_graph", True)):
                        found = values_after(
                            setting, network, street, size, torch.float32,
                            cuda_graph=graph, precision=DESIGNS[name],
                        )  # fmt: skip
                        row[error] = (found - exact).abs().mean().item()
                measure_design(setting, network, street, row)
            except Exception as failure:
                row["error"] = first_line(failure)
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
    **options: Any,
) -> Tensor:
    """``[2, B, H]`` root values in pots."""
    states = setting.states(street, size)
    forest = forest_of(setting.game, states, setting.device, dtype)
    network = network if dtype == torch.float32 else copy.deepcopy(network).to(dtype)
    belief = random_beliefs(forest, setting.seed)
    cfr = start(forest, belief, network, **options)
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
    precision = DESIGNS[row["design"]]
    plain, graphed = (
        start(forest, belief, network, cuda_graph=graph, precision=precision) for graph in (False, True)
    )
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
