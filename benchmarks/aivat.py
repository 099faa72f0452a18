"""How much luck AIVAT removes, and whether it is unbiased: a run's policy network in repeated matches.

    python -m benchmarks.aivat RUN [--opponents call equilibrium] [--repetitions 200] [--deals 500]

For a game of few hands. The same match is repeated with other seeds, once for each way of using AIVAT: *both*
strategies are known or only the run's *own*; positions are valued by the run's *self_play* or by
*check_down*. *Bias* is the mean estimate less the exact value, in standard errors of that mean: beyond 3,
something is wrong. *Cuts* say how many times smaller the standard deviation of a hand became, and that of a
deal played twice.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Arguments, Report, positive
from pokerlab.agents.registry import POLICY_NET
from pokerlab.errors import UserError
from pokerlab.evaluation.aivat import ValueFunction
from pokerlab.evaluation.contest import value_function
from pokerlab.evaluation.exact import exact_value
from pokerlab.evaluation.lineup import Entrant, Lineup, enter
from pokerlab.evaluation.matches import NO_LUCK, play_match
from pokerlab.games.base import Game
from pokerlab.training.trained import load_run

NO_LUCK_LEFT = "no luck left"
WAYS = [(known, values) for values in ("self_play", "check_down") for known in ("both", "own")]


def rows(
    game: Game, first: Entrant, second: Entrant, repetitions: int, deals: int, seed: int
) -> list[dict[str, Any]]:
    """One row for each way of using AIVAT; the last is for the chips that were won, without AIVAT."""
    exact = exact_value(game, first.agent, second.agent)
    if exact is None:
        raise UserError(f"{first.name} against {second.name}: there is no exact value to compare with")
    found = []
    for known, name in WAYS:
        values: ValueFunction = value_function(name, game, first.agent)
        estimates, raw, hand_cuts, deal_cuts = [], [], [], []
        for repetition in range(repetitions):
            match = play_match(
                game,
                (first.agent, second.agent),
                deals,
                seed + repetition,
                values=values,
                known=(True, known == "both"),
            )
            estimates.append(match.result().mean)
            raw.append(match.raw().mean)
            if cut := match.luck_cut():
                hand_cuts.append(cut[0])
                deal_cuts.append(cut[1])
        found.append({
            "opponent": second.name, "values": name, "known": known, "exact": exact,
            **_bias(estimates, exact),
            "hand_cut": _median(hand_cuts), "deal_cut": _median(deal_cuts),
        })  # fmt: skip
    won = {"opponent": second.name, "values": "as won", "known": "", "exact": exact}
    return [*found, {**won, **_bias(raw, exact), "hand_cut": 1.0, "deal_cut": 1.0}]


def _median(cuts: Sequence[float]) -> float | str:
    return float(np.median(cuts)) if cuts else NO_LUCK_LEFT


def _bias(estimates: Sequence[float], exact: float) -> dict[str, float]:
    """The mean and its bias in standard errors: 0 for estimates that differ by rounding alone."""
    error = float(np.std(estimates, ddof=1)) / len(estimates) ** 0.5
    bias = (float(np.mean(estimates)) - exact) / error if error > NO_LUCK else 0.0
    return {"mean": float(np.mean(estimates)), "bias": bias}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.aivat", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("run", metavar="RUN", help="a run's name, folder or checkpoint")
    parser.add_argument("--opponents", nargs="+", default=["call", "equilibrium"], metavar="AGENT")
    parser.add_argument("--repetitions", type=positive, default=200)
    parser.add_argument("--deals", type=positive, default=500, help="a match")
    options = parser.parse_args(given)
    report = Report(parser, given, threads=torch.get_num_threads(), dtype="float64", seed=options.seed)
    try:
        find_run = partial(load_run, device=torch.device("cpu"))
        run = find_run(options.run)
        first, lineup = enter(run, POLICY_NET), Lineup(run.game, find_run, POLICY_NET)
        found = [
            row
            for opponent in options.opponents
            for row in rows(
                run.game, first, lineup.entrant(opponent), options.repetitions, options.deals, options.seed
            )
        ]
    except (ValueError, UserError) as error:
        parser.error(str(error))
    report.results["matches"] = found
    title = f"{first.name}, {options.repetitions} matches of {options.deals:,} deals: chips a hand"
    columns = {
        "opponent": "opponent", "values": "values", "known": "known", "exact": "exact", "mean": "mean",
        "bias": "bias (standard errors)", "hand_cut": "cut, hand", "deal_cut": "cut, deal",
    }  # fmt: skip
    report.table(title, columns, found)
    report.finish(options.json)


if __name__ == "__main__":
    main()
