"""What self-play and learning cost, and what that means for a GPU.

    python -m benchmarks.capacity experiment=phase1 trainer=cpu [--belief-states 60e6]

Measured on one thread: one subgame of each kind on the way through a game (its search, with the config's
networks and iterations), the memory that it takes, and one optimiser step. Computed for a GPU from the same
trees: the network's floating-point operations and the bytes that CFR moves; a solve takes the longer of the
two times. A GPU's speed and price are assumptions, which options set.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.measure import Arguments, Report
from pokerlab.config.command import check_overrides
from pokerlab.errors import UserError
from pokerlab.games.base import CHANCE, Game
from pokerlab.games.parts import Variation
from pokerlab.search.subgames import Subgames, solving_bytes
from pokerlab.search.tree import PublicTree
from pokerlab.selfplay.data import count_updates
from pokerlab.selfplay.place import Place, random_stream
from pokerlab.training.assemble import RunParts

PASSES = 12
"""How often an iteration of CFR reads or writes each number of an edge, a terminal or a leaf: regret,
strategy, average, reach and value, each read and written, and gathers."""
SINGLE = torch.empty(0)
COLUMNS = {
    "root": "subgame",
    "states": "public states",
    "leaves": "leaves",
    "iterations": "iterations",
    "seconds": "seconds here",
    "megabytes": "MB",
    "network_gflop": "network GFLOP",
    "moved_gigabytes": "CFR moves GB",
    "gpu_milliseconds": "GPU ms",
}


def line_of_play(game: Game, seed: int) -> list[Any]:
    """The roots of self-play's subgames, deals too, when nobody bets."""
    roots, state, seeds = [], game.root(), iter(range(seed, seed + 100))
    while True:
        state = game.vary(state, next(seeds)) if isinstance(game, Variation) else state
        roots.append(state)
        leaves = Subgames(game).tree(state).leaves.states
        if not len(leaves):
            return roots
        state = leaves[0]


def cost_of_subgame(parts: RunParts, root: Any, options: Any) -> dict[str, Any]:
    """The cost of one solve."""
    subgames, network = Subgames(parts.game), parts.module.networks
    tree = subgames.tree(root)
    forest = subgames.forest([root], SINGLE)
    actors: Any = parts.data.dataset.actors
    play = actors.actor.selfplay
    iterations = play.search_iterations if len(tree.decisions) else 1
    belief = forest.root_possible / forest.root_possible.sum(-1, keepdim=True)
    cfr = parts.solver.start(forest, belief.expand(2, -1, -1).contiguous(), network)
    cfr.run(1)
    measured = min(iterations, options.measured)
    started = time.perf_counter()
    cfr.run(measured)
    seconds = (time.perf_counter() - started) * iterations / measured
    queries = 2 if parts.solver.alternating else 1
    operations = iterations * queries * len(tree.leaves) * flops_per_state(network.value) / 1e9
    moved = iterations * PASSES * num_floats(tree) * 4 / 1e9
    return {
        "root": name_of(parts.game, root),
        "states": tree.num_states,
        "leaves": len(tree.leaves),
        "iterations": iterations,
        "seconds": seconds,
        "megabytes": solving_bytes(tree, SINGLE, tree.width, network.floats_per_leaf) / 1e6,
        "network_gflop": operations,
        "moved_gigabytes": moved,
        "gpu_milliseconds": max(operations / options.tflops, moved / options.bandwidth * 1e3),
    }


def name_of(game: Game, root: Any) -> str:
    """Such as ``deal after 3 cards``."""
    street = f"{len(root.board)} cards" if hasattr(root, "board") and root.board else "start"
    return f"deal, {street}" if game.actor(root) == CHANCE else f"betting, {street}"


def num_floats(tree: PublicTree) -> int:
    """How many numbers edges, terminals and leaves hold, for both players where both have them."""
    ends = len(tree.terminals) + len(tree.leaves)
    return (tree.num_edges + 2 * ends) * len(tree.root_possible)


def flops_per_state(module: nn.Module) -> int:
    """Floating-point operations of a network's linear layers, forward, for one belief state."""
    return 2 * sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear))


def seconds_per_step(parts: RunParts) -> float:
    """Of an optimiser step, on a batch of examples from two trajectories."""
    data, module = parts.data, parts.module
    actors: Any = data.dataset.actors
    actor = actors.actor
    actor.selfplay.search_iterations = 2  # their values do not matter
    examples = actor.generate(module.networks, 2, Place(1, 0))
    for name, replay in data.replays.items():
        replay.add(examples[name])
    optimiser, draws = module.configure_optimizers()["optimizer"], random_stream(2)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        size = data.dataset.batch_size
        batch = {name: replay.sample(size, draws) for name, replay in data.replays.items()}
        optimiser.zero_grad()
        module.training_step(batch, 0).backward()
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.capacity", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("overrides", nargs="*", help="of a run's config, as for pokerlab.train")
    parser.add_argument("--measured", type=int, default=5, help="iterations of each search that are timed")
    parser.add_argument("--belief-states", type=float, default=60e6, help="value examples to be made")
    parser.add_argument("--tflops", type=float, default=150, help="of the GPU, that the network reaches")
    parser.add_argument("--bandwidth", type=float, default=1500, help="GB/s of the GPU, that CFR reaches")
    parser.add_argument("--price", type=float, default=3.95, help="USD an hour of the GPU")
    options = parser.parse_intermixed_args(given)
    try:
        (config,) = check_overrides("train", options.overrides)
        parts = RunParts(config)
    except UserError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    report = Report(parser, given, threads=1, dtype="float32", seed=options.seed)
    rows = [cost_of_subgame(parts, root, options) for root in line_of_play(parts.game, options.seed)]
    step = seconds_per_step(parts)
    examples = len(rows)
    here, there = (sum(row[key] for row in rows) for key in ("seconds", "gpu_milliseconds"))
    solves = options.belief_states / examples
    parameters = sum(p.numel() for p in parts.module.parameters())
    updates = count_updates(
        config.updates, config.draws_per_example, config.trajectories * examples, config.batch_size
    )
    steps = solves / config.trajectories * updates
    operations = 6 * parameters * config.batch_size
    learning = steps * operations / options.tflops / 1e12 / 3600
    hours = solves * there / 1e3 / 3600 + learning
    totals = {
        "seconds_a_trajectory": here,
        "examples_a_trajectory": examples,
        "seconds_a_step": step,
        "parameters": parameters,
        "gpu_milliseconds_a_trajectory": there,
        "gpu_hours_of_self_play": hours - learning,
        "gpu_hours_of_learning": learning,
        "hours_on_8": hours / 8,
        "usd": hours * options.price,
    }
    report.results |= {"subgames": rows, "totals": totals}
    report.table(f"{parts.game.name}: one trajectory to the last street", COLUMNS, rows)
    listed = [{"name": name.replace("_", " "), "value": value} for name, value in totals.items()]
    assumed = (
        f"{options.belief_states:,.0f} belief states, {options.tflops:g} TFLOP/s, {options.bandwidth:g} GB/s"
    )
    report.table(assumed, {"name": "", "value": ""}, listed)
    report.finish(options.json)


if __name__ == "__main__":
    main()
