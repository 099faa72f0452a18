"""What a run's agent does before the flop, beside an independent solver's chart.

    python -m benchmarks.openings RUN FOLDER/bundle.json [--lines "" call "raise 1"] [--png PATH]

The other is a bundle of ``benchmarks.donksolver``: Monte Carlo CFR that keeps all hands apart before the
flop, and classes of them after it. Its two-player games have the small blind first on every street, so the
run plays that game as well. Shown is how often each action is taken, in % of the run's range; by how much
that differs on average with the same hand; and how often at least the two then do something else, in all.
Many actions are worth the same: to differ is no error.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import pokerlab
from benchmarks.measure import Arguments, Report, output_path, positive
from pokerlab.agents.base import Agent, read_line
from pokerlab.errors import UserError
from pokerlab.evaluation.plots import save
from pokerlab.games.base import Floats
from pokerlab.games.holdem import Holdem

COLUMNS = {
    "line": "after",
    "action": "action",
    "run": "run, %",
    "other": "other, %",
    "differs": "differs, %",
    "in_all": "in all, %",
}
LINES = ["", "call", "raise 0.5", "raise 1", "raise 1 raise 1"]
NAMES = ("run", "donksolver")


def rows_of(ours: Agent, theirs: Agent, line: str, seed: int) -> Iterator[dict[str, Any]]:
    """What both do where a line ends: an action a row, and in the first what differs in all."""
    first, second = (agent.strategy(line, seed) for agent in (ours, theirs))
    weights = ours.weights(line, seed)[ours.game.actor(read_line(ours.game, line).state)]
    if not weights.any():
        raise ValueError(f"line {line!r}: the run never plays it")

    def percent(chances: Floats) -> float:
        return 100 * float(np.average(chances, weights=weights))

    differs = {action: np.abs(first[action] - second[action]) for action in first}
    for number, action in enumerate(first):
        yield {
            "line": (line or "–") if number == 0 else "",
            "action": action,
            "run": percent(first[action]),
            "other": percent(second[action]),
            "differs": percent(differs[action]),
            "in_all": percent(sum(differs.values(), np.zeros(len(weights))) / 2) if number == 0 else None,
        }


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Arguments("benchmarks.openings", __doc__, repeats=None)
    given = list(sys.argv[1:] if argv is None else argv)
    parser.add_argument("run", metavar="RUN", help="a run's name, folder or checkpoint")
    parser.add_argument("bundle", metavar="BUNDLE", help="of donksolver, with as many big blinds")
    parser.add_argument("--lines", nargs="+", default=LINES, help="to look at")
    parser.add_argument("--iterations", type=positive, default=100, help="of search in a subgame")
    parser.add_argument(
        "--png", type=output_path, metavar="PATH", help="draw what is done after the first line"
    )
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    try:
        if not isinstance(learned := pokerlab.load(options.run).game, Holdem):
            raise UserError(f"{options.run} plays {learned.name}: expected hold'em")
        run = pokerlab.load(options.run, rules={"small_blind": 0})
        ours = run.agent("search_average", iterations=options.iterations)
        theirs = pokerlab.make_agent(f"donksolver:{options.bundle}", run.game)
        rows = [row for line in options.lines for row in rows_of(ours, theirs, line, options.seed)]
    except (UserError, ValueError) as error:
        parser.error(str(error))
    report = Report(parser, given, threads=torch.get_num_threads(), dtype="float32", seed=options.seed)
    report.results |= {"iteration": run.iteration, "search_iterations": options.iterations, "lines": rows}
    report.console.print(f"{run.name}, iteration {run.iteration}: {run.game.name}", highlight=False)
    report.table("what is done where lines end", COLUMNS, rows)
    report.finish(options.json)
    if options.png:
        figure = pokerlab.strategy_grid(ours, options.lines[0], beside=theirs, names=NAMES)
        try:
            save(figure, options.png)
        except OSError as error:
            parser.error(f"cannot write {options.png}: {error.strerror}")


if __name__ == "__main__":
    main()
