"""How far what self-play learns from is from the truth, by update rule, iterations and depth of stacks.

    python -m benchmarks.labels [experiment=phase1_laptop] [--states 0 12] [--iterations 60 120 240]
        [--rules dcfr dcfr:gamma=4 linear_cfr:averaging=quadratic] [--network RUN]

Random belief states, drawn as those that runs are measured by, are solved to the end of the game; or as
search solves them, with a run's network at the leaves. Once by many iterations, which stand for the truth,
and by each rule. *Error*: the mean absolute one of what hands are worth, in pots, weighted by belief.
*Exploited*: the exploitability of the average strategy (NashConv/2), in % of the pot, where the game is
solved to its end. Both are means over belief states by the stack behind, in pots. Stopped by Ctrl-C, it shows
what is done.
"""

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from math import inf
from statistics import mean
from typing import Any, cast

import torch

from benchmarks.measure import Arguments, Report, natural, positive
from benchmarks.selfplay import config_of
from pokerlab.config.build import build, check_cards
from pokerlab.errors import UserError
from pokerlab.evaluation.held_out import (
    BUCKETS,
    DEEP_SOLVER,
    MOST_STATES,
    SPR,
    HeldOutSettings,
    draw_belief_states,
    mean_errors,
    solver_of,
)
from pokerlab.games.base import Game
from pokerlab.games.parts import StreetStarts
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import value_examples
from pokerlab.training.trained import load_run

EXPERIMENT = "experiment=phase1_laptop"
SETTINGS = ("averaging", "alpha", "beta", "gamma")
RULES = ("dcfr", "dcfr:gamma=4", "linear_cfr:averaging=quadratic")
DEPTHS = dict(zip(BUCKETS, ("<1", "1–4", ">4"), strict=True))
COLUMNS = {
    "rule": "rule",
    "iterations": "iterations",
    **{f"error_{bucket}": f"error {depth}" for bucket, depth in DEPTHS.items()},
    **{f"exploited_{bucket}": f"exploited {depth}" for bucket, depth in DEPTHS.items()},
}


def rule(text: str) -> tuple[str, Solver]:
    """An argument such as ``dcfr:alpha=1,gamma=5``."""
    name, _, rest = text.partition(":")
    try:
        given = [setting.partition("=") for setting in rest.split(",")] if rest else []
        if unknown := [key for key, _, _ in given if key not in SETTINGS]:
            raise ValueError(f"expected {', '.join(SETTINGS)}, got {unknown[0]!r}")
        settings: dict[str, Any] = {
            key: value if key == "averaging" else float(value) for key, _, value in given
        }
        return text, Solver(name, **settings)
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"{text!r} is no rule: {error}") from error


def solves(
    game: Game,
    settings: HeldOutSettings,
    rules: Sequence[tuple[str, Solver]],
    marks: Sequence[int],
    network: LeafEvaluator | None,
) -> Iterator[list[dict[str, Any]]]:
    """Of one belief state after the other, what each rule finds after so many iterations.

    Args:
        game: with streets.
        settings: which belief states, and the iterations of the truth.
        rules: their names and solvers.
        marks: iterations, ascending.
        network: values leaves; None: games are solved to their end.
    """
    most = None if network is None else inf
    for street, state, beliefs in draw_belief_states(game, settings, most):
        tree = build_tree(game, state, depth_limited=network is not None)
        forest = Forest(game, [tree], dtype=torch.float32)
        if network is not None and not len(forest.leaves):
            where = cast(StreetStarts, game).streets[street]
            raise UserError(
                f"search on the {where} asks no network: --states without it, or game.solve_to_end=null"
            )
        belief = torch.as_tensor(beliefs).float()[:, None]
        spr = cast(StreetStarts, game).stack_to_pot(state)
        depth = BUCKETS[int(torch.bucketize(spr, torch.tensor(SPR)))]
        best = solver_of(spr) if network is None else DEEP_SOLVER
        longest = best.start(forest, belief, network).run(settings.iterations)
        truth = value_examples(game, forest, belief, longest.root_infostate_values())
        rows = []
        for name, solver in rules:
            cfr = solver.start(forest, belief, network)
            for mark in marks:
                found = cfr.run(mark - cfr.iteration).root_infostate_values()
                values = value_examples(game, forest, belief, found).values
                exploited = None  # the network's part in it is not known
                if network is None:
                    exploited = 100 * float(cfr.exploitability().exploitability) / game.pot(state)
                rows.append({
                    "rule": name, "iterations": mark, "spr": spr, "depth": depth,
                    "error": float(mean_errors(game, truth, values)), "exploited": exploited,
                })  # fmt: skip
        yield rows


def summarise(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each rule and number of iterations: means over belief states."""
    for name, iterations in dict.fromkeys((row["rule"], row["iterations"]) for row in found):
        rows = [row for row in found if (row["rule"], row["iterations"]) == (name, iterations)]
        means: dict[str, Any] = {"rule": name, "iterations": iterations}
        for what in ("error", "exploited"):
            for bucket in BUCKETS:
                some = [row[what] for row in rows if row["depth"] == bucket and row[what] is not None]
                means[f"{what}_{bucket}"] = mean(some) if some else None
        yield means


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.labels", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument(
        "--states", type=natural, nargs="+", default=[0, 12], help="on the last street, the one before, …"
    )
    parser.add_argument("--iterations", type=positive, nargs="+", default=[60, 120, 240])
    parser.add_argument("--rules", type=rule, nargs="+", default=[rule(name) for name in RULES])
    parser.add_argument("--truth", type=positive, default=1600, help="iterations that stand for the truth")
    parser.add_argument(
        "--network", metavar="RUN", help="values leaves; left out: games are solved to their end"
    )
    parser.add_argument("overrides", nargs="*", help="of an experiment's config, as for pokerlab.train")
    options = parser.parse_intermixed_args(given)
    if options.truth < max(options.iterations):
        parser.error(
            f"--truth {options.truth} is less than the {max(options.iterations)} iterations held against it"
        )
    torch.set_num_threads(1)
    report = Report(parser, given, threads=1, dtype="float32", seed=options.seed)
    found = list[dict[str, Any]]()
    try:
        game = cast(Game, build(config_of(options.overrides, options.seed, EXPERIMENT).game, key="game"))
        settings = HeldOutSettings(options.states, options.truth, options.seed)
        marks, network = sorted({*options.iterations}), None
        if options.network:
            learned = load_run(options.network, torch.device("cpu"))
            check_cards(learned.rebel().game, game)
            network = cast(LeafEvaluator, learned.networks)
        for number, rows in enumerate(solves(game, settings, options.rules, marks, network), 1):
            found += rows
            print(f"{number} of {sum(options.states)} belief states are solved", file=sys.stderr)
    except (UserError, ValueError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    if not found:
        parser.error(
            f"no belief state was solved; those with over {MOST_STATES:,} public states below are left out"
        )
    rows = list(summarise(found))
    report.results |= {"truth": options.truth, "solves": found, "rows": rows}
    columns = {key: name for key, name in COLUMNS.items() if any(row[key] is not None for row in rows)}
    number = len(found) // (len(options.rules) * len({*options.iterations}))
    report.table(
        f"{number} belief states of {game.name}, {options.truth:,} iterations as the truth",
        columns,
        rows,
    )
    report.finish(options.json)


if __name__ == "__main__":
    main()
