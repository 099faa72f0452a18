"""How wrong a run's value network is about flops, against deeper solves.

    python -m benchmarks.flops RUN [--states 12] [--iterations 100] [--most 200000]

Belief states at the start of the flop's betting, drawn as self-play draws starts, with a seed of their own.
What they are worth: where the game has few public states below, it is solved to its end, so that no network
takes part; elsewhere search asks the network about every turn card, which is as good as its turns are. Beside
that stand the network's answer and what flops are labelled by, search that asks about the deal of the turn.
Mean absolute errors in pots, weighted by belief.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch

from benchmarks.measure import Arguments, Report, positive
from pokerlab.config.build import build
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.games.holdem import Holdem
from pokerlab.search.forest import Forest
from pokerlab.search.payoffs import hand_probabilities
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import ValueExamples, value_examples
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint, restore

FLOP = 1
COLUMNS = {
    "spr": "stack, pots",
    "how": "worth by",
    "network": "network",
    "search": "search",
    "seconds": "seconds",
}


def flop_rows(
    parts: RunParts, deeper: Holdem, states: int, iterations: int, most: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Each belief state's errors.

    Args:
        parts: the run's.
        deeper: its game, with leaves after deals.
        states: how many.
        iterations: of a solve or a search.
        most: public states of a game that is solved to its end.
        seed: of belief states.
    """
    game, draws = cast(Holdem, parts.game), np.random.default_rng([seed, FLOP])
    network = parts.module.networks

    def solved(rules: Holdem, *, to_end: bool) -> ValueExamples:
        forest = Forest(rules, [build_tree(rules, state, depth_limited=not to_end)], dtype=torch.float32)
        cfr = parts.solver.start(forest, belief, None if to_end else network).run(iterations)
        return value_examples(game, forest, belief, cfr.root_infostate_values())

    for _ in range(states):
        outcomes = game.chance_outcomes(game.draw_deal(FLOP, draws))
        state = outcomes[int(draws.integers(len(outcomes)))]
        belief = torch.as_tensor(game.draw_ranges(state, draws)).float()[:, None]
        to_end = game.count_below(state) <= most
        started = time.perf_counter()
        truth = solved(game if to_end else deeper, to_end=to_end)
        seconds = time.perf_counter() - started
        weight = hand_probabilities(game, truth.beliefs.double()) / 2
        say = network.at(truth.features, truth.possible.float())
        said = say(truth.beliefs.transpose(0, 1)).transpose(0, 1)
        errors = [
            float((weight * (values - truth.values).double().abs()).sum())
            for values in (said, solved(game, to_end=False).values)
        ]
        yield {
            "spr": game.stack_to_pot(state),
            "how": "end of the game" if to_end else "every turn card",
            "network": errors[0],
            "search": errors[1],
            "seconds": seconds,
        }


def means(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The mean of those whose worth was found in the same way."""
    for how in dict.fromkeys(row["how"] for row in rows):
        some = [row for row in rows if row["how"] == how]
        numbers = {name: float(np.mean([row[name] for row in some])) for name in COLUMNS if name != "how"}
        yield {"how": f"{how}: mean of {len(some)}", **numbers}


@torch.no_grad()
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.flops", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("run", metavar="RUN", help="a run's name, folder or checkpoint")
    parser.add_argument("--states", type=positive, default=12, help="belief states")
    parser.add_argument("--iterations", type=positive, default=100, help="of a solve or a search")
    parser.add_argument(
        "--most", type=positive, default=200_000, help="public states that are solved to the end"
    )
    options = parser.parse_args(given)
    try:
        run, path = find_checkpoint(options.run)
        config = read_config(run)
        parts, iteration = restore(config, path)
    except UserError as error:
        parser.error(str(error))
    if not isinstance(parts.game, Holdem) or parts.game.streets[:3] != ("preflop", "flop", "turn"):
        parser.error(f"{options.run} plays {parts.game.name}, in which no flop comes before a turn")
    parts.module.eval()
    deeper = build(config.game | {"leaves": "after_deal", "solve_to_end": None}, key="game")
    report = Report(parser, given, threads=torch.get_num_threads(), dtype="float32", seed=options.seed)
    report.console.print(f"{run.path.name}, iteration {iteration}: {parts.game.name}", highlight=False)
    rows = report.results["flops"] = list(
        flop_rows(parts, deeper, options.states, options.iterations, options.most, options.seed)
    )
    report.results["means"] = list(means(rows))
    report.table("flops, mean absolute errors in pots", COLUMNS, rows + report.results["means"])
    report.finish(options.json)


if __name__ == "__main__":
    main()
