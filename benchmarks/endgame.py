"""What a run on an endgame has learned: its search agent beside full-game CFR.

    python -m benchmarks.endgame RUN [--search-iterations 300] [--play-throughs 0 4] [--states 100]

For a game that can be enumerated, such as a turn. Exact exploitability (NashConv/2, chips and % of the pot)

* of the run's search agent, see ``evaluate``, and of the same search with every leaf worth 0;
* of the average strategy after more and more iterations of full-game CFR with the run's rule, until it is at
  least as good as the agent.

And for each of the run's checkpoints: the mean absolute error of the value network, in pots, weighted by
belief, on held-out belief states. These are the roots of subgames that are solved to the end, from self-play
of the run's last network with other random numbers.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import Arguments, Report, natural, output_path, positive
from benchmarks.plots import plot_endgame
from pokerlab.config.build import check_enumerable
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import Game
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.trajectories import SelfPlay
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint, restore

SINGLE = torch.empty(0)
FULL_GAME = (10, 20, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300)
"""Iterations of full-game CFR after which it is measured."""
HELD_OUT = 1
"""Keeps random streams apart from those of training."""


class NoLeaves:
    """A leaf evaluator that says 0 for every hand."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafEvaluator`."""
        return torch.zeros_like


class CompleteSelfPlay(SelfPlay):
    """Self-play that keeps only the values of subgames that were solved to the end."""

    def value_examples(self, forest: Forest, belief: Tensor, values: Tensor) -> ValueExamples:
        if len(forest.leaves):
            return ValueExamples.none(self.game, hand_inputs=self.hand_inputs)
        return super().value_examples(forest, belief, values)


def agent_rows(parts: RunParts, whole: WholeGame, options: Namespace) -> list[dict[str, Any]]:
    """Exploitability of search, with the network and with leaves worth 0."""
    leaves: dict[str, LeafEvaluator] = {"network": parts.module.networks, "zero": NoLeaves()}
    rows = []
    for name, evaluator in leaves.items():
        for play_throughs in options.play_throughs:
            policy = search_policy(
                whole,
                parts.solver,
                evaluator,
                iterations=options.search_iterations,
                play_throughs=play_throughs,
                generator=random_stream(options.seed, HELD_OUT),
                like=SINGLE,
            )
            found = whole.exploitability(policy).exploitability.item()
            rows.append({"leaves": name, "play_throughs": play_throughs, **_of_pot(whole, found)})
    return rows


def full_game_rows(parts: RunParts, whole: WholeGame, least: float) -> list[dict[str, Any]]:
    """Exploitability of full-game CFR, until it is at most ``least``."""
    forest = Forest(parts.game, [whole.tree])
    cfr = parts.solver.start(forest, whole.belief.float())
    rows = []
    for iterations in FULL_GAME:
        cfr.run(iterations - cfr.iteration)
        found = cfr.exploitability().exploitability.item()
        rows.append({"iterations": iterations, **_of_pot(whole, found)})
        if found <= least:
            break
    return rows


def _of_pot(whole: WholeGame, exploitability: float) -> dict[str, float]:
    pot = whole.game.pot(whole.tree.root)
    return {"exploitability": exploitability, "percent_of_pot": 100 * exploitability / pot}


def error_rows(run: RunFolder, parts: RunParts, options: Namespace) -> list[dict[str, Any]]:
    """The value network's error at each checkpoint; the first row is that of saying 0."""
    play = CompleteSelfPlay(parts.game, parts.solver, search_iterations=options.search_iterations)
    draws = random_stream(options.seed, HELD_OUT)
    held_out, _ = play.generate(parts.module.networks, 4 * options.states, draws, SINGLE)
    lines = run.read_metrics()
    minutes = list(accumulate((line["seconds_selfplay"] + line["seconds_training"]) / 60 for line in lines))
    zero = _error(parts.game, held_out, held_out.values)
    rows = [{"iteration": 0, "minutes": 0.0, "states": len(held_out), "error": zero}]
    for iteration in sorted(run.numbered_checkpoints()):
        restored_there, _ = restore(read_config(run), run.checkpoint(iteration))
        with torch.no_grad():
            network = restored_there.module.value_network.eval()
            wrong = network(held_out.features, held_out.beliefs) - held_out.values
        error = _error(parts.game, held_out, wrong)
        rows.append(
            {
                "iteration": iteration,
                "minutes": minutes[iteration - 1],
                "states": len(held_out),
                "error": error,
            }
        )
    return rows


def _error(game: Game, examples: ValueExamples, wrong: Tensor) -> float:
    """Mean absolute error, weighted by belief; ``wrong`` holds the errors ``[n, 2, H]``, in pots."""
    joint = examples.beliefs * game.mass_operator(wrong)(examples.beliefs.flip(1))
    weight = joint / joint.sum(2, keepdim=True).clamp_min(1e-30)
    return (weight * wrong.abs()).sum(2).mean().item()


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.endgame", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("run", metavar="RUN", help="a run's name, folder or checkpoint")
    parser.add_argument("--search-iterations", type=positive, default=300, help="of a subgame")
    parser.add_argument("--play-throughs", type=natural, nargs="+", default=[0, 4])
    parser.add_argument("--states", type=positive, default=100, help="held-out belief states, about so many")
    parser.add_argument("--png", type=output_path, metavar="PATH", help="draw it all there")
    options = parser.parse_args(given)
    try:
        run, path = find_checkpoint(options.run)
        parts, iteration = restore(read_config(run), path)
        check_enumerable(parts.game, "its exploitability")
    except UserError as error:
        parser.error(str(error))
    parts.module.eval()
    report = Report(parser, given, threads=torch.get_num_threads(), dtype="float32", seed=options.seed)
    report.console.print(f"{run.path.name}, iteration {iteration}: {parts.game.name}", highlight=False)
    whole = WholeGame(parts.game)
    agents = report.results["agents"] = agent_rows(parts, whole, options)
    best = min(row["exploitability"] for row in agents)
    full_game = report.results["full_game"] = full_game_rows(parts, whole, best)
    errors = report.results["errors"] = error_rows(run, parts, options)
    worth = {"exploitability": "exploitability", "percent_of_pot": "% of the pot"}
    searched = f"search, {options.search_iterations} iterations a subgame: NashConv/2, chips"
    report.table(searched, {"leaves": "leaves", "play_throughs": "play-throughs"} | worth, agents)
    report.table("full-game CFR: NashConv/2, chips", {"iterations": "iterations"} | worth, full_game)
    columns = {"iteration": "iteration", "minutes": "minutes", "states": "states", "error": "mean abs. error"}
    report.table("value network, held-out subgames solved to the end, pots", columns, errors)
    if options.png:
        plot_endgame(agents, full_game, errors, parts.game.name, options.png)
    report.finish(options.json)


if __name__ == "__main__":
    main()
