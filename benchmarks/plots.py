"""Plots of how cost grows, and of what a run learned."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

COLOURS, MARKERS = ("#0072b2", "#d55e00"), ("o", "s")  # colour-blind readers can tell them apart
PANELS = {"batch": "subgames in the forest", "hands": "hands", "nodes": "decision nodes in the tree"}
"""The label of each panel's horizontal axis, by part of the benchmark."""


def plot_costs(parts: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Draws the cost of a subgame-iteration against batch, hands and nodes, log-log, side by side.

    A dashed line through the last point shows proportional growth in hands and nodes.

    Args:
        parts: the rows of each part, as :mod:`benchmarks.scaling` makes them.
        path: of the PNG.
    """
    panels = [part for part in PANELS if part in parts]
    figure = Figure(figsize=(4.6 * len(panels), 4), layout="constrained")
    for axes, part in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _plot_part(axes, part, parts[part])
    figure.savefig(path, format="png", dpi=120)


def _plot_part(axes: Axes, part: str, rows: Sequence[Mapping[str, Any]]) -> None:
    of_game: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        of_game.setdefault(row["game"], []).append(row)
    for (game, points), colour, marker in zip(of_game.items(), COLOURS, MARKERS, strict=False):
        sizes, costs = [row[part] for row in points], [row["microseconds"] for row in points]
        axes.plot(sizes, costs, color=colour, marker=marker, markersize=5, label=game)
    if part != "batch":
        last = rows[-1]
        line = [last["microseconds"] * row[part] / last[part] for row in rows]
        axes.plot([row[part] for row in rows], line, "--", color="#777777", linewidth=1, label="proportional")
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = sorted({row[part] for row in rows})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.set(xlabel=PANELS[part], ylabel="µs per subgame-iteration")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, which="major", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)


def plot_endgame(
    agents: Sequence[dict[str, Any]],
    full_game: Sequence[dict[str, Any]],
    errors: Sequence[dict[str, Any]],
    game: str,
    path: Path,
) -> None:
    """Draws the search agent beside full-game CFR, and its network's errors over time.

    Args:
        agents: rows with leaves, play_throughs and percent_of_pot.
        full_game: rows with iterations and percent_of_pot.
        errors: rows with minutes and error.
        game: its name.
        path: the PNG.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(
        [row["iterations"] for row in full_game],
        [row["percent_of_pot"] for row in full_game],
        "o-",
        color=COLOURS[0],
        label="full-game CFR",
    )
    for row in agents:
        name = "search, network" if row["leaves"] == "network" else "search, zero leaves"
        name += f", {row['play_throughs']} play-throughs" if row["play_throughs"] else ", average strategies"
        colour = COLOURS[1] if row["leaves"] == "network" else "#777777"
        left.axhline(
            row["percent_of_pot"], color=colour, linestyle="--" if row["play_throughs"] else ":", label=name
        )
    left.set(xlabel="iterations of full-game CFR", ylabel="exploitability (NashConv/2), % of the pot")
    left.set(yscale="log", title=game)
    left.legend(frameon=False, fontsize=8)
    right.plot([row["minutes"] for row in errors], [row["error"] for row in errors], "o-", color=COLOURS[1])
    right.set(xlabel="minutes of self-play and training", ylabel="mean absolute error, pots", yscale="log")
    right.set(title="value network, held-out rivers solved to the end")
    figure.savefig(path, format="png", dpi=120)
