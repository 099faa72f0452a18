"""What an iteration of a subgame launches, reads and writes on a GPU, counted without one.

    python -m benchmarks.launches [--subgames 16] [--model kernel] [--backend auto] [--json launches.json]

With phase 1's game and solver, whose operations a CUDA graph replays, on a pretended device
(:mod:`benchmarks.pretended_cuda`). Then what an optimiser step launches from a batch that is there to the
gradients. About a minute and a few GB on a CPU.
"""

import sys
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.gpu_forests import STREETS, Setting, forest_of, random_beliefs
from benchmarks.gpu_runs import random_examples, to_device
from benchmarks.gpu_solves import start
from benchmarks.measure import Arguments, Report, positive
from benchmarks.pretended_cuda import CUDA, MEMORY, pretended_cuda
from pokerlab.search.leaves import values_of
from pokerlab.search.subgames import payoff_bytes, solving_bytes
from pokerlab.training.assemble import RunParts

PLAYERS = slice(0, 1), slice(1, 2)
"""Whose leaf values are asked for in an iteration in which players update in turn."""
COLUMNS = {
    "street": "street",
    "launches": "launches",
    "network_launches": "of the leaf network",
    "waits": "waits for the host",
    "megabytes": "MB a subgame without the network",
    "network_megabytes": "MB a subgame of the network",
    "peak_megabytes": "peak memory, MB a subgame",
    "counted_megabytes": "counted, MB",
    "edge_padding": "% of edges that are padding",
}


def count_iteration(
    setting: Setting,
    street: int,
    subgames: int,
    model: str = "kernel",
    backend: str = "auto",
    **network_size: int,
) -> dict[str, Any]:
    """What the second iteration takes.

    Args:
        setting: the game.
        street: where subgames start.
        subgames: in the forest.
        model: ``kernel``, as phase 1 uses it, or ``large``, an MLP.
        backend: one that runs on a GPU.
        network_size: of the leaf network, other than the model's.
    """
    with pretended_cuda(kernels=backend != "tensors", simulate=False) as counted:
        make = setting.kernel_network if model == "kernel" else setting.network
        network = make(**network_size).to(CUDA)
        MEMORY.most = weights = MEMORY.taken
        forest = forest_of(setting.game, setting.states(street, subgames), CUDA, torch.float32)
        cfr = start(forest, random_beliefs(forest, setting.seed), network, backend=backend)
        cfr.run(1)  # what is made once is made
        counted.restart()
        cfr.run(1)
        launches, moved, waits = counted.operations, counted.bytes, counted.synchronisations
        most = MEMORY.most - weights
        counted.restart()
        if len(forest.leaves):
            values = network.at(forest.leaves.features, forest.leaves.possible)
            beliefs = torch.rand(2, len(forest.leaves), setting.game.num_hands, device=CUDA)
            values_of(values, beliefs, PLAYERS[0])
            counted.restart()
            for players in PLAYERS:
                values_of(values, beliefs, players)
        expected = sum(
            solving_bytes(
                tree, forest.boards, forest.width, network.floats_per_leaf, in_kernels=backend != "tensors"
            )
            for tree in (forest.trees[i] for i in forest.tree_of)
        )
        expected += payoff_bytes(setting.game, forest.trees, forest.boards)
    return {
        "street": STREETS[street],
        "launches": launches,
        "network_launches": counted.operations,
        "waits": waits,
        "megabytes": (moved - counted.bytes) / subgames / 1e6,
        "network_megabytes": counted.bytes / subgames / 1e6,
        "peak_megabytes": most / subgames / 1e6,
        "counted_megabytes": expected / subgames / 1e6,
        "edge_padding": 100 * (1 - forest.legal.cpu().double().mean().item()),
    }


def count_step(setting: Setting) -> dict[str, Any]:
    """What the losses of a batch in which all kinds of belief states occur, and their gradients, take."""
    torch.manual_seed(setting.seed)
    module, game = RunParts(setting.config).module, setting.game
    examples = random_examples(game, 4 * len(game.layers))
    with pretended_cuda(kernels=True, simulate=False) as counted:
        module = module.to(CUDA)
        batch = to_device(dict(zip(("values", "policies"), examples, strict=True)), CUDA)
        module.training_step(batch, 0)  # tables are put there at the first time
        counted.restart()
        loss = module.training_step(batch, 0)
        forward = counted.operations
        loss.backward()
        return {
            "forward": forward,
            "backward": counted.operations - forward,
            "waits": counted.synchronisations,
        }


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.launches", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("--subgames", type=positive, default=16, help="in a forest")
    parser.add_argument("--model", choices=("kernel", "large"), default="kernel", help="leaf network")
    parser.add_argument("--backend", choices=("auto", "tensors"), default="auto", help="of the solver")
    parser.add_argument("--small", action="store_true", help="a small game and small networks")
    options = parser.parse_args(given)
    setting = Setting(torch.device("cpu"), options.small, options.seed)
    report = Report(parser, given, seed=options.seed)
    rows = [
        count_iteration(setting, street, options.subgames, options.model, options.backend)
        for street in range(len(STREETS))
    ]
    report.results["rows"] = rows
    report.table(f"an iteration of {options.subgames} subgames", COLUMNS, rows)
    report.results["step"] = count_step(setting)
    named = {"forward": "losses", "backward": "gradients", "waits": "waits for the host"}
    report.table("an optimiser step, launches", named, [report.results["step"]])
    report.finish(options.json)


if __name__ == "__main__":
    main()
