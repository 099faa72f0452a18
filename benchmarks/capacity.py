"""What self-play and learning cost, and what that means for a GPU.

    python -m benchmarks.capacity experiment=phase1 trainer=cpu [--belief-states 60e6]

Measured on one thread: one subgame of each kind on the way through a game (its search, with the config's
networks and iterations), one optimiser step, and which kinds of subgames self-play solves how often. Counted
on a pretended GPU (:mod:`benchmarks.pretended_cuda`): the bytes that an iteration reads and writes there.
Computed from these: a solve takes the time of its bytes and that of the network's floating-point operations,
one after the other. A GPU's speed and price are assumptions, which options set.
"""

import copy
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu_forests import forest_of, random_beliefs
from benchmarks.measure import Arguments, Report, positive
from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.algorithms.rebel import VALUES
from pokerlab.config.command import check_overrides
from pokerlab.errors import UserError
from pokerlab.games.base import CHANCE, Game
from pokerlab.games.parts import HandInputs, Variation, features_of, with_hand_inputs
from pokerlab.learning.kernel_layer import BinNetwork
from pokerlab.learning.kernel_network import KernelValueNetwork
from pokerlab.search.subgames import Subgames, solving_bytes
from pokerlab.selfplay.data import count_updates
from pokerlab.selfplay.place import Place, random_stream
from pokerlab.training.assemble import RunParts

SINGLE = torch.empty(0)
COLUMNS = {
    "root": "subgame",
    "states": "public states",
    "leaves": "leaves",
    "iterations": "iterations",
    "seconds": "seconds here",
    "megabytes": "MB",
    "network_gflop": "network GFLOP",
    "moved_megabytes": "MB an iteration",
    "gpu_milliseconds": "GPU ms",
    "share": "% of examples",
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
    operations = iterations * queries * len(tree.leaves) * flops_per_state(asked(parts, root)) / 1e9
    moved = moved_bytes(parts, root) / 1e9
    return {
        "root": name_of(parts.game, root),
        "states": tree.num_states,
        "leaves": len(tree.leaves),
        "iterations": iterations,
        "seconds": seconds,
        "megabytes": solving_bytes(tree, SINGLE, tree.width, network.floats_per_leaf) / 1e6,
        "network_gflop": operations,
        "moved_megabytes": moved * 1e3,
        "gpu_milliseconds": operations / options.tflops + iterations * moved / options.bandwidth * 1e3,
    }


def name_of(game: Game, root: Any) -> str:
    """Such as ``deal after 3 cards``."""
    street = f"{len(root.board)} cards" if hasattr(root, "board") and root.board else "start"
    return f"deal, {street}" if game.actor(root) == CHANCE else f"betting, {street}"


def moved_bytes(parts: RunParts, root: Any) -> int:
    """What an iteration reads and writes on a GPU; weights aside, which many subgames share."""
    with pretended_cuda(kernels=True, simulate=False) as cuda:
        networks = copy.deepcopy(parts.module.networks).to(CUDA)
        forest = forest_of(parts.game, [root], CUDA, torch.float32)
        solver = copy.copy(parts.solver)
        solver.cuda_graph = False
        cfr = solver.start(forest, random_beliefs(forest, 0), networks)
        cfr.run(1)
        cuda.restart()
        cfr.run(1)
        queries = (2 if solver.alternating else 1) * bool(len(forest.leaves))
    weights = sum(layer.weight.nbytes for layer in linear_layers(asked(parts, root)))
    return max(cuda.bytes - queries * weights, 0)


def asked(parts: RunParts, root: Any) -> nn.Module:
    """The part of the value network that a subgame's leaves ask."""
    value, leaves = parts.module.networks.value, Subgames(parts.game).tree(root).leaves
    if isinstance(value, KernelValueNetwork) and len(leaves):
        kinds = with_hand_inputs(parts.game).layer_of(torch.as_tensor(leaves.features))
        return value.layers[int(kinds[0])]
    return value


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """All of them."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def flops_per_state(module: nn.Module) -> int:
    """Floating-point operations of a network's linear layers, forward, for one belief state."""
    once = sum(layer.weight.numel() for layer in linear_layers(module))
    for part in module.modules():
        if isinstance(part, BinNetwork):
            of_bins = [*linear_layers(part.of_bin), *linear_layers(part.shared)]
            once += (part.bins * part.potentials - 1) * sum(layer.weight.numel() for layer in of_bins)
    return 2 * once


def play(parts: RunParts, trajectories: int) -> Any:
    """Examples of self-play whose searches are so short that their values do not matter."""
    actors: Any = parts.data.dataset.actors
    actors.actor.selfplay.search_iterations = 2
    return actors.actor.generate(parts.module.networks, trajectories, Place(1, 0))


def shares_of(game: Game, roots: Sequence[Any], features: Tensor) -> list[float]:
    """How often examples ``[n, F]`` are of each root's kind; all alike where a game does not tell."""
    if not isinstance(game, HandInputs):
        return [1 / len(roots)] * len(roots)
    own = game.layer_of(torch.as_tensor(features_of(game, roots)))
    kinds = game.layer_of(features)
    return [(kinds == kind).double().mean().item() for kind in own]


def seconds_per_step(parts: RunParts, examples: Any) -> float:
    """Of an optimiser step."""
    data, module = parts.data, parts.module
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
    parser.add_argument("--step", type=float, default=20.7, help="ms of a step at least (docs/gpu.md)")
    parser.add_argument("--trajectories", type=positive, default=32, help="whose examples are counted")
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
    examples = play(parts, options.trajectories)
    step = seconds_per_step(parts, examples)
    roots, values = line_of_play(parts.game, options.seed), examples[VALUES]
    for row, share in zip(rows, shares_of(parts.game, roots, values.features), strict=True):
        row["share"] = 100 * share
    here, there = (sum(row[key] for row in rows) for key in ("seconds", "gpu_milliseconds"))
    an_example = sum(row["share"] * row["gpu_milliseconds"] for row in rows) / 100
    a_trajectory = len(values) / options.trajectories
    parameters = sum(p.numel() for p in parts.module.parameters())
    updates = count_updates(
        config.updates, config.draws_per_example, round(config.trajectories * a_trajectory), config.batch_size
    )
    steps = options.belief_states / (config.trajectories * a_trajectory) * updates
    operations = 6 * parameters * config.batch_size
    learning = steps * max(operations / options.tflops / 1e12, options.step / 1e3) / 3600
    hours = options.belief_states * an_example / 1e3 / 3600 + learning
    totals = {
        "seconds_a_trajectory": here,
        "examples_a_trajectory": len(rows),
        "seconds_a_step": step,
        "parameters": parameters,
        "gpu_milliseconds_a_trajectory": there,
        "gpu_milliseconds_an_example": an_example,
        "examples_a_trajectory_of_self_play": a_trajectory,
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
