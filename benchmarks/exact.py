"""Search with exact leaf values: what search loses by itself, and how large the networks' errors are.

    python -m benchmarks.exact experiment=liars_dice_1x4f [--iterations 512 1024] [--play-throughs 0 50]
    python -m benchmarks.exact experiment=liars_dice_1x4f --runs RUN [RUN ...]

At every query the rest of the game below a leaf is solved, so the game must be small. The first form measures
the search policy (NashConv/2, chips). The second measures the value networks of runs, on belief states from
one iteration of the first run's self-play, below the game's root. *Player error* is the root mean square
error of what a player expects, in pots; *hand error* that of a hand's value, weighted by belief, which also
counts the values of other equilibria as wrong. The last row has the targets of self-play in place of a
network.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import Arguments, Report, natural, positive
from pokerlab.config.command import check_overrides
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import Game
from pokerlab.learning.networks import Networks
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafValues
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint, restore

SINGLE = torch.empty(0)


class ExactLeaves:
    """A leaf evaluator that solves the rest of the game: alternating DCFR.

    Args:
        game: the rules; small enough to enumerate. Features must determine the public state, up to what
            comes before it.
        iterations: CFR iterations of each solve.
    """

    floats_per_leaf = 0

    def __init__(self, game: Game, iterations: int) -> None:
        self.game, self.iterations, self._solver = game, iterations, Solver("dcfr")
        tree = build_tree(game, game.root(), depth_limited=False)
        self._state = dict(
            zip(map(tuple, tree.decisions.features.tolist()), tree.decisions.states, strict=True)
        )

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafEvaluator`."""
        states = [self._state[tuple(row)] for row in features.tolist()]
        number = {state: i for i, state in enumerate(dict.fromkeys(states))}
        trees = [build_tree(self.game, state, depth_limited=False) for state in number]
        forest = Forest(self.game, trees, np.array([number[state] for state in states]), dtype=features.dtype)
        pots = torch.tensor([self.game.pot(state) for state in states], dtype=features.dtype)[:, None]

        def values(beliefs: Tensor) -> Tensor:
            solve = self._solver.start(forest, beliefs.clone()).run(self.iterations)
            return solve.root_infostate_values() / pots

        return values


def search_rows(parts: RunParts, leaves: ExactLeaves, options: Namespace) -> list[dict[str, float]]:
    """The search policy's exploitability with exact leaves."""
    whole, rows = WholeGame(parts.game), []
    for iterations in options.iterations:
        for play_throughs in options.play_throughs:
            policy = search_policy(
                whole,
                parts.solver,
                leaves,
                iterations=iterations,
                play_throughs=play_throughs,
                generator=torch.Generator().manual_seed(options.seed),
                like=SINGLE,
            )
            exploitability = whole.exploitability(policy).exploitability.item()
            rows.append(
                {"iterations": iterations, "play_throughs": play_throughs, "exploitability": exploitability}
            )
    return rows


def network_rows(parts: RunParts, leaves: ExactLeaves, options: Namespace) -> list[dict[str, float | str]]:
    """Errors of value networks, and of self-play's targets."""
    networks = {run: networks_of(run, leaves.game) for run in options.runs}
    play, first = parts.data.dataset, networks[options.runs[0]]
    actors: Any = play.actors
    draws = random_stream(options.seed)
    examples, _ = actors.actor.selfplay.generate(first, play.trajectories, draws, SINGLE)
    exact = leaves.at(examples.features, examples.possible.float())(examples.beliefs.transpose(0, 1))
    exact = exact.transpose(0, 1)
    with torch.no_grad():
        answers = {
            run: network.value(examples.features, examples.beliefs) for run, network in networks.items()
        }
    answers["targets"] = examples.values
    return [
        {"values": name, **errors(parts.game, examples, values - exact)} for name, values in answers.items()
    ]


def networks_of(run: str, game: Game) -> Networks:
    """A run's newest networks.

    Raises:
        UserError: there is no such run, or it is of another game.
    """
    folder, path = find_checkpoint(run)
    parts, _ = restore(read_config(folder), path)
    if parts.game.name != game.name:
        raise UserError(f"{run} is a run of {parts.game.name}, not of {game.name}")
    return parts.module.networks


def errors(game: Game, examples: ValueExamples, wrong: Tensor) -> dict[str, float]:
    """Root mean square errors; ``wrong`` holds the errors ``[n, 2, H]``."""
    joint = examples.beliefs * game.mass_operator(wrong)(examples.beliefs.flip(1))
    joint = joint / joint.sum(2, keepdim=True)
    return {
        "player_error": (joint * wrong).sum(2).square().mean().sqrt().item(),
        "hand_error": (joint * wrong.square()).sum(2).mean().sqrt().item(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.exact", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("overrides", nargs="*", help="of a run's config, as for pokerlab.train")
    parser.add_argument("--iterations", type=positive, nargs="+", default=[1024], help="of search")
    parser.add_argument("--play-throughs", type=natural, nargs="+", default=[0, 50])
    help_text = "of a leaf's solve; 10 times as many for networks"
    parser.add_argument("--leaf-iterations", type=positive, default=100, help=help_text)
    parser.add_argument("--runs", nargs="+", default=[], metavar="RUN", help="measure these networks")
    options = parser.parse_intermixed_args(given)
    try:
        (config,) = check_overrides("train", options.overrides)
        report = Report(parser, given, threads=config.trainer.threads, dtype="float32", seed=options.seed)
        parts = RunParts(config)
        leaves = ExactLeaves(parts.game, options.leaf_iterations * (10 if options.runs else 1))
        if options.runs:
            report.results["networks"] = network_rows(parts, leaves, options)
        else:
            report.results["search"] = search_rows(parts, leaves, options)
    except UserError as error:
        parser.error(str(error))
    if options.runs:
        columns = {"values": "values", "player_error": "player error", "hand_error": "hand error"}
        report.table("root mean square errors, pots", columns, report.results["networks"])
    else:
        columns = {
            "iterations": "search iterations",
            "play_throughs": "play-throughs",
            "exploitability": "exploitability",
        }
        report.table("search with exact leaf values: NashConv/2, chips", columns, report.results["search"])
    report.finish(options.json)


if __name__ == "__main__":
    main()
