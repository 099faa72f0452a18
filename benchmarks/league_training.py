"""Leagues of training runs against what could be had for the same work, in CPU seconds of one thread.

    python -m benchmarks.league_training exploiters [--games leduc] [--seeds 1 2 3] [--rounds 10]
    python -m benchmarks.league_training population [--games leduc] [--seeds 1] [--minutes 60]

``exploiters``: a main agent, one that exploits it, and one that exploits everybody, against a single agent
that plays itself for as many iterations of as many hands as the three have together; by mirror descent, and
by PPO's clipped update.

``population``: population-based training against a random search, eight agents each, until the minutes of
CPU time are used. Best of so many is what is compared: the least exploitability that a member had.

Exploitability is NashConv/2 in chips, exact.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measure import Arguments, Report, positive
from pokerlab.config.command import compose
from pokerlab.league.folder import Member
from pokerlab.league.start import make_parts, open_folder, open_league

MAIN, EXPLOITER = 40, 25
"""Iterations a round, of the main agent and of each of two exploiters."""
UPDATES = {
    "mirror": {
        "update": "mirror", "exploration": 0.25, "magnet": 1.0, "entropy": 0.05, "final_entropy": 0.02,
        "learning_rate": 1e-3, "final_learning_rate": 1e-4,
    },
    "clip": {
        "update": "clip", "exploration": 0.0, "magnet": 0.0, "entropy": 0.3, "final_entropy": 0.03,
        "learning_rate": 1e-3, "final_learning_rate": 1e-4,
    },
}  # fmt: skip
"""Of who plays itself; exploiters always learn by PPO's."""
COLUMNS = {
    "game": "game",
    "seed": "seed",
    "what": "what",
    "iterations": "iterations",
    "exploitability": "exploitability",
    "best": "at best",
    "mixture": "of the mixture",
    "best_mixture": "at best",
    "seconds": "CPU seconds",
}


def grow(
    *overrides: str, stop: Callable[[], bool] = lambda: False
) -> tuple[list[dict[str, Any]], list[Member]]:
    """The rounds and the members of a league in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as place:
        config = compose("league", [f"run_dir={place}/league", *overrides])
        parts = make_parts(config)
        folder, lock = open_folder(config, None)
        league = open_league(config, parts, folder)
        league.run(config.rounds, stop=stop)
        lock.release()
        return league.population.rounds, league.population.members


def of_role(role: str, values: dict[str, Any]) -> list[str]:
    """A role's algorithm, as overrides."""
    return [f"++propose.roles.{role}.run.algorithm.{key}={value}" for key, value in values.items()]


def exploiters(game: str, seed: int, update: str, rounds: int) -> list[dict[str, Any]]:
    """A row of a league with exploiters, and one of a single agent."""
    of_league, members = grow(
        "propose=exploiters", f"game={game}", f"seed={seed}", f"rounds={rounds + 1}",
        f"propose.run.iterations={EXPLOITER}", f"+propose.roles.main.run.iterations={MAIN}",
        *of_role("main", UPDATES[update]),
    )  # fmt: skip
    iterations = rounds * (MAIN + 2 * EXPLOITER)
    single, alone = grow(
        "propose=training", f"game={game}", f"seed={seed}", "rounds=2",
        f"propose.run.iterations={iterations}",
        "propose.roles.response.against=self", "propose.roles.response.greedy=false",
        *of_role("response", UPDATES[update] | {"opponent": "null"}),
    )  # fmt: skip
    found = {"game": game, "seed": seed, "iterations": iterations}
    return [
        found | {"what": f"main agent and exploiters, {update}"} | _strength(of_league, members, "main"),
        found | {"what": f"a single agent, {update}"} | _strength(single, alone, "response"),
    ]


def _strength(rounds: Sequence[dict[str, Any]], members: Sequence[Member], role: str) -> dict[str, Any]:
    """How exploitable a role's members are, the last and the best; and mixtures, if there are several."""
    own = [member.exploitability for member in members if member.origin == role]
    mixtures = [line["exploitability"] for line in rounds[1:]]
    mixed = len(own) > 1
    return {
        "exploitability": own[-1],
        "best": min(each for each in own if each is not None),
        "mixture": mixtures[-1] if mixed else None,
        "best_mixture": min(mixtures) if mixed else None,
        "seconds": rounds[-1]["cpu_seconds"],
        "curve": [
            {"seconds": line["cpu_seconds"], "exploitability": each, "mixture": line["exploitability"]}
            for line, each in zip(rounds[1:], own, strict=True)
        ],
    }


def population(game: str, seed: int, seconds: float) -> list[dict[str, Any]]:
    """A row of population-based training, and one of a random search."""
    found = []
    for what, share in (("population-based training", 0.25), ("random search", 0.0)):
        began = time.process_time()
        rounds, members = grow(
            "experiment=phase2_leduc_pbt", f"game={game}", f"seed={seed}", f"propose.share={share}",
            "rounds=100000", stop=lambda began=began: time.process_time() - began > seconds,  # type: ignore[misc]
        )  # fmt: skip
        curve = [
            {"seconds": line["cpu_seconds"], "exploitability": sorted(_of_round(members, line["round"]))}
            for line in rounds[1:]
        ]
        found.append({
            "game": game, "seed": seed, "what": what, "iterations": 50 * (len(members) - 1),
            "exploitability": curve[-1]["exploitability"][0],
            "best": min(line["exploitability"][0] for line in curve), "mixture": rounds[-1]["exploitability"],
            "best_mixture": min(line["exploitability"] for line in rounds), "curve": curve,
            "seconds": rounds[-1]["cpu_seconds"],
        })  # fmt: skip
    return found


def _of_round(members: Sequence[Member], number: int) -> list[float]:
    return [
        member.exploitability
        for member in members
        if member.round == number and member.exploitability is not None
    ]


def main(argv: list[str]) -> None:
    """The command line."""
    parser = Arguments("benchmarks.league_training", __doc__, repeats=None)
    parser.add_argument("part", choices=("exploiters", "population"))
    parser.add_argument("--games", nargs="+", default=["leduc"], metavar="GAME")
    parser.add_argument("--seeds", nargs="+", type=positive, default=[1, 2, 3], metavar="N")
    parser.add_argument("--rounds", type=positive, default=10, metavar="N", help="of leagues with exploiters")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="of CPU time, each")
    asked = parser.parse_args(argv)
    report, rows = Report(parser, argv), list[dict[str, Any]]()
    for game in asked.games:
        for seed in asked.seeds:
            if asked.part == "population":
                rows += population(game, seed, asked.minutes * 60)
                continue
            for update in UPDATES:
                rows += exploiters(game, seed, update, asked.rounds)
    report.table("leagues of training runs", COLUMNS, rows)
    report.results["rows"] = rows
    report.finish(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
