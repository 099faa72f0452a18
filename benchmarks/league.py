"""Populations against OpenSpiel's psro_v2, in the same run, in CPU seconds.

    python -m benchmarks.league [--rounds 500] [--curve 1000] [--peer-rounds 50] [--json PATH]

Everything is exact here: best responses, payoffs, exploitability; only psro_v2's payoffs are simulated, 100
games an entry, as it is meant to be used. Measuring exploitability is not counted for it. It needs cvxpy
(``pip install cvxpy ecos``); ``--peer-rounds 0`` leaves it out. Loops are compiled before they are timed.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Arguments, Report, natural, positive
from pokerlab.config.command import compose
from pokerlab.games.many_leduc import ManyLeduc
from pokerlab.games.registry import make_game
from pokerlab.league.evaluate import Exact
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.league.start import make_parts, open_folder, open_league
from pokerlab.league.tables import TabularPopulation
from pokerlab.search.rules import update_rule
from pokerlab.search.sequence_game import sequence_game
from pokerlab.search.tabular_cfr import TabularCFR
from pokerlab.selfplay.place import Place

COLUMNS = {
    "what": "what",
    "rounds": "rounds",
    "exploitability": "exploitability",
    "nash_conv": "NashConv",
    "seconds": "CPU seconds",
}
SIMULATIONS = 100
"""Games that psro_v2 simulates for an entry of its matrix."""
MEMBERS = 10


def grow(*overrides: str, rounds: int, target: float | None = None) -> list[dict[str, Any]]:
    """The rounds of a league in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as place:
        config = compose("league", [f"run_dir={place}/league", *overrides])
        parts = make_parts(config)
        folder, lock = open_folder(config, None)
        league = open_league(config, parts, folder)
        league.run(rounds, target=target)
        lock.release()
        return league.population.rounds


def row(what: str, line: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
    """A line of the table, of a round."""
    return {
        "what": what,
        "rounds": line["round"],
        "exploitability": line["exploitability"],
        "nash_conv": line["nash_conv"],
        "seconds": line["cpu_seconds"] if seconds is None else seconds,
    }


def first_below(rounds: Sequence[dict[str, Any]], level: float) -> dict[str, Any]:
    """The first round that is no more exploitable than that; the last, if there is none."""
    return next((line for line in rounds if line["exploitability"] <= level), rounds[-1])


def matrix_of_members() -> dict[str, Any]:
    """All pairs of ten random policies of Leduc, in both seats."""
    with tempfile.TemporaryDirectory() as place:
        game, folder = sequence_game(make_game("leduc")), LeagueFolder(Path(place))
        folder.make("leduc")
        population, random = TabularPopulation(folder, game), np.random.default_rng(1)
        for name in range(MEMBERS):
            policy = game.average(random.random((game.num_edges, game.num_hands)))
            population.add(Member(str(name), 0, "added"), policy)
        started = time.process_time()
        Exact().evaluate(population, range(MEMBERS), Place(1, 0))
        seconds = time.process_time() - started
    return {"what": f"{MEMBERS}×{MEMBERS} matrix of Leduc", "seconds": seconds}


def curve_of_three(iterations: int) -> list[dict[str, Any]]:
    """NashConv of CFR+ on Leduc of three players."""
    game = sequence_game(ManyLeduc(3))
    cfr, seconds, found = TabularCFR(game, update_rule("cfr_plus")), 0.0, []
    for at in (step * 10**power for power in range(5) for step in (1, 2, 5)):
        if at > iterations:
            break
        started = time.process_time()
        cfr.run(at - cfr.iteration)
        seconds += time.process_time() - started
        nash_conv = cfr.measure()[0].nash_conv
        found.append({"what": f"leduc3, CFR+, {at:,} iterations", "nash_conv": nash_conv, "seconds": seconds})
    return found


def psro_v2(name: str, rounds: int) -> list[dict[str, Any]]:
    """OpenSpiel's PSRO with exact best responses and Nash equilibria of simulated payoffs."""
    import pyspiel
    from open_spiel.python import policy
    from open_spiel.python.algorithms import exploitability, policy_aggregator
    from open_spiel.python.algorithms.psro_v2 import best_response_oracle, psro_v2, strategy_selectors

    np.random.seed(1)
    game = pyspiel.load_game(name)
    first = policy.TabularPolicy(game)
    solver = psro_v2.PSROSolver(
        game,
        best_response_oracle.BestResponseOracle(game=game, policy=first),
        initial_policies=[first.__copy__() for _ in range(game.num_players())],
        training_strategy_selector=strategy_selectors.probabilistic,
        sims_per_entry=SIMULATIONS,
        number_policies_selected=1,
        meta_strategy_method="nash",
        sample_from_marginals=True,
    )
    seconds, found = 0.0, []
    for number in range(1, rounds + 1):
        started = time.process_time()
        solver.iteration()
        seconds += time.process_time() - started
        if number % 10 and number != rounds:
            continue
        mixed = policy_aggregator.PolicyAggregator(game).aggregate(
            range(game.num_players()), solver.get_policies(), solver.get_meta_strategies()
        )
        nash_conv = exploitability.nash_conv(game, mixed)
        line = {"round": number, "exploitability": nash_conv / 2, "nash_conv": nash_conv}
        found.append(row("psro_v2 of OpenSpiel, Leduc", line, seconds))
    return found


def main(argv: list[str]) -> None:
    """The command line."""
    parser = Arguments("benchmarks.league", __doc__, repeats=None)
    parser.add_argument("--rounds", type=positive, default=500, metavar="N", help="of Leduc, at most")
    parser.add_argument("--curve", type=positive, default=1000, metavar="N", help="iterations of leduc3")
    parser.add_argument("--peer-rounds", type=natural, default=50, metavar="N", help="of psro_v2")
    asked = parser.parse_args(argv)
    report = Report(parser, argv)
    grow("game=kuhn", "weigh=restricted_game", "start=first", rounds=2)  # compiles the loops
    leduc = grow("experiment=phase2_leduc", rounds=asked.rounds)
    rows = [row(f"PSRO on Leduc, to {level}", first_below(leduc, level)) for level in (0.34, 0.1, 0.01, 1e-6)]
    rows += [
        row("XDO on Leduc, to 0.001", grow("experiment=phase2_leduc_xdo", rounds=16, target=1e-3)[-1]),
        row("PSRO on Kuhn", grow("game=kuhn", rounds=20)[-1]),
        row("PSRO on Kuhn of three", grow("experiment=phase2_kuhn3", rounds=10)[-1]),
        matrix_of_members(),
        *curve_of_three(asked.curve),
    ]
    if asked.peer_rounds:
        rows += psro_v2("leduc_poker", asked.peer_rounds)
    rows = [dict.fromkeys(COLUMNS) | line for line in rows]
    report.table("populations", COLUMNS, rows)
    report.results["rows"] = rows
    report.finish(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
