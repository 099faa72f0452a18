"""Plots the exploitability of several runs over minutes of training.

    python -m benchmarks.curves PNG NAME=RUN,RUN,... [NAME=RUN,...]

Each NAME is a group of runs, given by name or folder, that differ only in their seed. It prints each group's
last
exploitability: mean and range.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import CommandLine, output_path
from pokerlab.config.build import build
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.evaluation.plots import CURVES, evaluations, plot_curves
from pokerlab.store.folder import find_run


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = CommandLine("benchmarks.curves", __doc__)
    parser.add_argument("png", type=output_path, metavar="PNG", help="where the picture goes")
    parser.add_argument("groups", nargs="+", metavar="NAME=RUN,RUN,...", help=f"at most {len(CURVES)}")
    options = parser.parse_args(argv)
    try:
        game, groups = read(options.groups)
    except UserError as error:
        parser.error(str(error))
    table = Table("group", "runs", "last exploitability", "from", "to", title=f"{game}: NashConv/2, chips")
    for name, runs in groups.items():
        last = [evaluations(run)[-1]["exploitability"] for run in runs]
        numbers = (f"{value:.4f}" for value in (fmean(last), min(last), max(last)))
        table.add_row(name, str(len(last)), *numbers)
    plot_curves(groups, game, options.png)
    console = Console()
    console.print(table)
    console.print(f"plot: {options.png}", highlight=False, soft_wrap=True)


def read(given: Sequence[str]) -> tuple[str, dict[str, list[list[dict[str, Any]]]]]:
    """The game, and the metrics of each group's runs.

    Raises:
        UserError: a run does not exist, or runs cannot be compared.
    """
    if wrong := [group for group in given if "=" not in group]:
        raise UserError(f"{wrong[0]!r} is not a group: expected NAME=RUN,RUN,...")
    named = dict(group.split("=", 1) for group in given)
    if len(named) > len(CURVES):
        raise UserError(f"{len(named)} groups: at most {len(CURVES)} have colours of their own")
    runs = {name: [find_run(run) for run in listed.split(",")] for name, listed in named.items()}
    games = {build(read_config(run).game, key="game").name for group in runs.values() for run in group}
    if len(games) > 1:
        raise UserError(f"the runs are of several games: {', '.join(sorted(games))}")
    groups = {name: [run.read_metrics() for run in group] for name, group in runs.items()}
    for name, group in groups.items():
        when = [[line["iteration"] for line in evaluations(run)] for run in group]
        if when != [when[0]] * len(when) or not when[0]:
            raise UserError(f"the runs of {name} were not evaluated at the same iterations")
    return games.pop(), groups


if __name__ == "__main__":
    main()
