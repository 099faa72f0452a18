"""Measures what the CPU does beside the device: before a subgame is solved, and around an optimiser step.

    python -m benchmarks.serial [experiment=phase1]

Milliseconds of one core. Of a subgame: *trees*; *forests*, laid out for the device; *payoffs*, their lists
and matrices of all-ins; *leaves*, what the value network prepares for the public states at the depth limit;
*inputs*, what is kept of hands with an example. *Ranks* of boards that were not met before are remembered and
not counted together. The device is a pretended GPU: what it would do is not counted, but *launches* are; or,
with ``--device cpu``, the CPU's compiled loops, whose matrices it prepares as well. Then a batch of each
stream, from the replay in memory or on disk, and the optimiser's part of a step.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu_runs import random_examples
from benchmarks.measure import Arguments, Report, positive
from benchmarks.pretended_cuda import CUDA, PretendedCuda, pretended_cuda
from benchmarks.selfplay import config_of
from pokerlab.games import ranks, run_outs
from pokerlab.games.holdem import Holdem
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.replay import MemoryReplay
from pokerlab.selfplay.replay_on_disk import DiskReplay
from pokerlab.training.assemble import RunParts

EXPERIMENT = "experiment=phase1"
COSTS = ("trees", "forests", "payoffs", "leaves", "inputs")
RANKS = "ranks"
"""Ranks of boards that were not met before: they are remembered, up to suits."""
LAUNCHES = "launches"
FORGET = (run_outs.run_out_wins, run_outs._counts, ranks._known)


def seconds_of(work: Callable[[], Any], device: PretendedCuda) -> tuple[float, Any]:
    """CPU seconds but for those of a pretended device, and what the work gives."""
    started = time.process_time() - device.seconds
    result = work()
    return time.process_time() - device.seconds - started, result


def subgame_rows(
    parts: RunParts, number: int, repeats: int, seed: int, like: Tensor, device: PretendedCuda
) -> Iterator[dict[str, Any]]:
    """What so many subgames of each kind take, each with a board of its own, where ``like`` is."""
    game: Any = parts.game
    draws = np.random.default_rng(seed)
    for street in range(1, len(game.streets)):
        deals = [[game.draw_deal(street, draws) for _ in range(number)] for _ in range(repeats + 1)]
        after = [[drawn(game.chance_outcomes(state), draws) for state in some] for some in deals]
        for kind, states in (("deal", deals), ("betting", after)):
            costs = [subgame_costs(parts, some, draws, like, device) for some in states]
            each = {
                cost: median(1000 * found[cost] / number for found in costs[1:]) for cost in (*COSTS, RANKS)
            }
            together = sum(each[cost] for cost in COSTS)
            launches = median(found[LAUNCHES] / number for found in costs[1:])
            name = f"{game.streets[street]}: {kind}"
            yield {"subgame": name, **each, "together": together, LAUNCHES: launches}


def drawn(some: Sequence[Any], draws: np.random.Generator) -> Any:
    """One of them."""
    return some[int(draws.integers(len(some)))]


def subgame_costs(
    parts: RunParts, states: Sequence[Any], draws: np.random.Generator, like: Tensor, device: PretendedCuda
) -> dict[str, float]:
    """CPU seconds by what they go to, and launches; nothing is remembered but what lies on disk."""
    for remembered in FORGET:
        remembered.cache_clear()
    game: Any = parts.game
    selfplay = parts.algorithm.actor().selfplay  # type: ignore[attr-defined]
    subgames, found = Subgames(game), dict[str, float]()
    launches = device.operations
    found["trees"], _ = seconds_of(lambda: [subgames.tree(state) for state in states], device)

    def lay_out() -> Any:
        forest = subgames.forest(states, like)
        return forest, forest.decisions, forest.terminals, forest.leaves

    found["forests"], (forest, *_) = seconds_of(lay_out, device)

    def pay() -> Any:
        operators = [part.operator for part in forest.payoffs.parts]
        return [getattr(operator, "tables", None) for operator in operators]  # the compiled loops' matrices

    found["payoffs"], _ = seconds_of(pay, device)
    leaves, network = forest.leaves, parts.module.value_network
    ask = (lambda: network.at(leaves.features, leaves.possible)) if len(leaves) else (lambda: None)
    features = torch.as_tensor(np.stack([game.features(state) for state in states])).float()
    beliefs = torch.as_tensor(np.stack([game.draw_ranges(state, draws) for state in states])).to(like)
    first, _ = seconds_of(lambda: (ask(), selfplay._hand_inputs(features, beliefs)), device)
    counted = device.operations
    found["leaves"], _ = seconds_of(ask, device)
    found["inputs"], _ = seconds_of(lambda: selfplay._hand_inputs(features, beliefs), device)
    found[RANKS] = max(first - found["leaves"] - found["inputs"], 0)
    found[LAUNCHES] = counted - launches
    return found


def learning_rows(parts: RunParts, size: int, repeats: int) -> Iterator[dict[str, Any]]:
    """A batch of each stream, and the optimiser's part of a step."""
    game, draws = parts.game, random_stream(1)
    assert isinstance(game, Holdem)
    with tempfile.TemporaryDirectory() as folder:
        for examples in random_examples(game, 4 * size):
            name = type(examples).__name__
            none = examples.select(slice(0))
            memory: Any = MemoryReplay(none, capacity=4 * size)
            disk: Any = DiskReplay(none, Path(folder), name, capacity=4 * size)
            for begin in range(0, 4 * size, size // 2):
                for replay in (memory, disk):
                    replay.add(examples.select(slice(begin, begin + size // 2)))
            for where, replay in (("memory", memory), ("disk", disk)):
                taken = partial(gather, replay, size, draws)
                yield row(f"{name}, {where}: drawn and gathered", repeats, taken)
            unpacked = partial(disk.unpack, gather(disk, size, draws))
            yield row(f"{name}, disk: in float32 again", repeats, unpacked)
    weights = list(parts.module.parameters())
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e-3)
    yield row("gradients clipped", repeats, lambda: torch.nn.utils.clip_grad_norm_(weights, 5.0))
    for fused in (False, True):
        adam = torch.optim.Adam(weights, lr=1e-9, fused=fused)
        yield row(f"Adam, {'one kernel' if fused else 'several kernels'}", repeats, adam.step)


def gather(replay: Any, size: int, draws: torch.Generator) -> Any:
    """A batch as it is kept."""
    return replay.gather(replay.draw(size, draws))


def row(what: str, repeats: int, work: Callable[[], Tensor | Any]) -> dict[str, Any]:
    """The median of repeats, after one that is not counted."""
    taken = [1000 * seconds_of(work, PretendedCuda())[0] for _ in range(repeats + 1)]
    return {"what": what, "milliseconds": median(taken[1:])}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.serial", __doc__, repeats=5)
    parser.add_argument("--subgames", type=positive, default=16, help="of each kind, measured together")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="where subgames are solved")
    parser.add_argument("overrides", nargs="*", help="of the run's config, as for pokerlab.train")
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_intermixed_args(given)
    overrides = ["trainer=cpu", "launcher=local", *options.overrides]
    config = config_of(overrides, options.seed, EXPERIMENT)
    torch.set_num_threads(1)
    report = Report(parser, given, threads=1, dtype="float32", repeats=options.repeats, seed=options.seed)
    parts = RunParts(config)
    columns = {
        "subgame": "a subgame's ms",
        **{cost: cost for cost in COSTS},
        "together": "together",
        RANKS: RANKS,
    }
    given_parts = parts, options.subgames, options.repeats, options.seed
    if options.device == "cpu":
        report.results["subgames"] = list(subgame_rows(*given_parts, torch.empty(0), PretendedCuda()))
    else:
        columns |= {LAUNCHES: "a subgame's launches"}
        with pretended_cuda(kernels=True, simulate=False) as device:
            parts.module.to(CUDA)
            like = torch.empty(0, device=CUDA)
            report.results["subgames"] = list(subgame_rows(*given_parts, like, device))
        parts = RunParts(config)
    report.table("before a subgame is solved", columns, report.results["subgames"])
    report.results["learning"] = list(learning_rows(parts, config.batch_size, options.repeats))
    report.table(
        f"around a step of {config.batch_size:,} + {config.batch_size:,}",
        {"what": "what", "milliseconds": "ms"},
        report.results["learning"],
    )
    report.finish(options.json)


if __name__ == "__main__":
    main()
