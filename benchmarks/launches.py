"""What an iteration of a subgame launches, reads and writes on a GPU, counted without one.

    python -m benchmarks.launches [--subgames 16] [--json launches.json]

The plain tensor path with phase 1's game and solver, whose operations a CUDA graph replays, on a pretended
device (:mod:`benchmarks.pretended_cuda`). About a minute and a few GB on a CPU.
"""

import sys
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.gpu_forests import STREETS, Setting, forest_of, random_beliefs
from benchmarks.gpu_solves import start
from benchmarks.measure import Arguments, Report, positive
from benchmarks.pretended_cuda import CUDA, pretended_cuda

QUERIES = 2
"""Of the leaves in an iteration in which players update in turn."""
COLUMNS = {
    "street": "street",
    "launches": "launches",
    "network_launches": "of the leaf network",
    "waits": "waits for the host",
    "megabytes": "MB a subgame without the network",
    "network_megabytes": "MB a subgame of the network",
}


def count_iteration(setting: Setting, street: int, subgames: int, **network_size: int) -> dict[str, Any]:
    """What the second iteration takes; ``network_size`` makes the leaf network another than phase 1's."""
    with pretended_cuda() as cuda:
        forest = forest_of(setting.game, setting.states(street, subgames), CUDA, torch.float32)
        network = setting.network(**network_size).to(CUDA)
        cfr = start(forest, random_beliefs(forest, setting.seed), network)
        cfr.run(1)  # what is made once is made
        cuda.restart()
        cfr.run(1)
        launches, moved, waits = cuda.operations, cuda.bytes, cuda.synchronisations
        cuda.restart()
        if len(forest.leaves):
            values = network.at(forest.leaves.features, forest.leaves.possible)
            beliefs = torch.rand(2, len(forest.leaves), setting.game.num_hands, device=CUDA)
            cuda.restart()
            for _ in range(QUERIES):
                values(beliefs)
    return {
        "street": STREETS[street],
        "launches": launches,
        "network_launches": cuda.operations,
        "waits": waits,
        "megabytes": (moved - cuda.bytes) / subgames / 1e6,
        "network_megabytes": cuda.bytes / subgames / 1e6,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.launches", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("--subgames", type=positive, default=16, help="in a forest")
    parser.add_argument("--small", action="store_true", help="a small game and small networks")
    options = parser.parse_args(given)
    setting = Setting(torch.device("cpu"), options.small, options.seed)
    report = Report(parser, given, seed=options.seed)
    rows = [count_iteration(setting, street, options.subgames) for street in range(len(STREETS))]
    report.results["rows"] = rows
    report.table(f"an iteration of {options.subgames} subgames", COLUMNS, rows)
    report.finish(options.json)


if __name__ == "__main__":
    main()
