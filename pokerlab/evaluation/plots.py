"""Plots of runs: losses and exploitability."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pokerlab.evaluation.published import PUBLISHED
from pokerlab.store.files import write_atomically
from pokerlab.store.status import Status

MATCHES = {
    "lbr": "local best response, won from the agent",
    "earlier": "agent, won from the checkpoint before",
}
"""What is played while a run trains, by what its fields begin with."""
SEARCH, NETWORK, PAPERS = "#0072b2", "#d55e00", "#777777"  # colour-blind readers can tell them apart
CURVES = (SEARCH, NETWORK, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def plot_run(
    metrics: Sequence[dict[str, Any]], game: str, units: Mapping[str, str], folder: Path
) -> list[Path]:
    """Draws losses and exploitability from a run's metrics as PNGs in ``folder``; see :func:`draw_run`."""
    return [save(figure, folder / f"{name}.png") for name, figure in draw_run(metrics, game, units)]


def draw_run(
    metrics: Sequence[dict[str, Any]], game: str, units: Mapping[str, str]
) -> Iterator[tuple[str, Figure]]:
    """Draws losses and exploitability from a run's metrics.

    Args:
        metrics: the lines of ``training_metrics.jsonl``.
        game: for the published results.
        units: of losses, by their names, see :func:`pokerlab.algorithms.base.units_of`.

    Yields:
        ``losses`` and, if it was measured, ``exploitability`` over iterations and ``exploitability_seconds``
        over time; ``value_errors`` at held-out belief states; and ``matches``.
    """
    yield "losses", _draw_losses(metrics, units)
    names = sorted({name for line in metrics for name in line if name.startswith("value_error_")})
    if names:
        yield "value_errors", _draw_value_errors(metrics, names)
    if any(line.get(f"{name}_mbb") is not None for line in metrics for name in MATCHES):
        yield "matches", _draw_matches(metrics)
    if evaluated := evaluations(metrics):
        seconds = _elapsed_seconds(metrics)
        iterations = [line["iteration"] + 1 for line in evaluated]
        times = [seconds[line["iteration"]] for line in evaluated]
        yield "exploitability", _draw_exploitability(evaluated, iterations, "iteration", game)
        label = "seconds of self-play and training"
        yield "exploitability_seconds", _draw_exploitability(evaluated, times, label, game)


def _draw_value_errors(metrics: Sequence[dict[str, Any]], names: Sequence[str]) -> Figure:
    """A panel for each street: all its belief states, and those of each stack-to-pot ratio."""
    streets = [name for name in names if "_spr_" not in name]
    figure = Figure(figsize=(5 * len(streets), 4), layout="constrained")
    for place, street in enumerate(streets, 1):
        axes = figure.add_subplot(1, len(streets), place)
        ratios = sorted((name for name in names if name.startswith(f"{street}_spr_")), key=_shallow_first)
        drawn = [street, *ratios]
        for name, colour in zip(drawn, CURVES, strict=False):
            label = name.removeprefix(street).removeprefix("_").replace("_", " ") or "all"
            iterations, values = _known(metrics, name)
            axes.plot(iterations, values, "o-", color=colour, markersize=3, label=label)
        title = street.removeprefix("value_error_").replace("_", " ")
        axes.set(xlabel="iteration", ylabel="mean absolute error (pots)", yscale="log", title=title)
        axes.legend(frameon=False)
        _tick_iterations(axes)
        tidy(axes)
    return figure


def _shallow_first(name: str) -> tuple[bool, bool]:
    ratio = name.rpartition("_spr_")[2]
    return ratio.startswith("above"), not ratio.startswith("below")


def _draw_matches(metrics: Sequence[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, label), colour in zip(MATCHES.items(), CURVES, strict=False):
        iterations, values = _known(metrics, f"{name}_mbb")
        _, widths = _known(metrics, f"{name}_mbb_half_width", among=f"{name}_mbb")
        axes.errorbar(iterations, values, widths, fmt="o-", color=colour, capsize=3, label=label)
    axes.axhline(0, color=PAPERS, linewidth=0.8)
    axes.set(xlabel="iteration", ylabel="thousandths of a big blind a hand")
    axes.legend(frameon=False)
    _tick_iterations(axes)
    tidy(axes)
    return figure


def _known(
    metrics: Sequence[dict[str, Any]], name: str, among: str | None = None
) -> tuple[list[int], list[float]]:
    """Iterations from 1 and the field's values, of the lines where it, or another field, is known."""
    lines = [line for line in metrics if line.get(among or name) is not None]
    values = [math.nan if line.get(name) is None else line[name] for line in lines]
    return [line["iteration"] + 1 for line in lines], values


def evaluations(metrics: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics of the iterations after which exploitability was measured."""
    return [line for line in metrics if line["exploitability"] is not None]


def _elapsed_seconds(metrics: Sequence[dict[str, Any]]) -> dict[int, float]:
    total, elapsed = 0.0, {}
    for line in metrics:
        total += line["seconds_selfplay"] + line["seconds_training"]
        elapsed[line["iteration"]] = total
    return elapsed


def _draw_losses(metrics: Sequence[dict[str, Any]], units: Mapping[str, str]) -> Figure:
    losses = [name for name, value in metrics[-1].items() if name.endswith("loss") and value is not None]
    figure = Figure(figsize=(5 * max(len(losses), 1), 4), layout="constrained")
    iterations = [line["iteration"] + 1 for line in metrics]
    for place, name in enumerate(losses, 1):
        axes = figure.add_subplot(1, len(losses), place)
        values = [math.nan if line.get(name) is None else line[name] for line in metrics]
        axes.plot(iterations, values, color=SEARCH, linewidth=1.5)
        scale = "linear" if any(value <= 0 for value in values) else "log"  # what is gained is a loss below 0
        label = name.replace("_", " ") + (f" ({units[name]})" if name in units else "")
        axes.set(xlabel="iteration", ylabel=label, yscale=scale)
        _tick_iterations(axes)
        tidy(axes)
    return figure


def _tick_iterations(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _draw_exploitability(
    evaluated: Sequence[dict[str, Any]], positions: Sequence[float], label: str, game: str
) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    last = evaluated[-1]
    series = []
    if last["search_iterations"] is not None:
        searched = "search_iteration, " if last["play_throughs"] else "search_average, "
        searched += f"{last['search_iterations']:,} iterations, {last['play_throughs']:,} play-throughs"
        series.append(("exploitability", SEARCH, "o", searched))
    if last["exploitability_policy_net"] is not None:
        series.append(("exploitability_policy_net", NETWORK, "s", "policy_net"))
    for name, colour, marker, legend in series or [("exploitability", SEARCH, "o", "exploitability")]:
        values = [line[name] for line in evaluated]
        axes.plot(positions, values, color=colour, marker=marker, markersize=4, label=legend)
    _finish_exploitability(axes, label, game)
    return figure


def _finish_exploitability(axes: Axes, label: str, game: str) -> None:
    """Adds published results, labels and the legend."""
    published = PUBLISHED.get(game, {})
    for value in published.values():
        axes.axhline(value, color=PAPERS, linewidth=1, linestyle="--")
    axes.set(xlabel=label, ylabel="exploitability (NashConv/2, chips)", yscale="log", title=game)
    if label == "iteration":
        _tick_iterations(axes)
    axes.figure.legend(frameon=False, loc="outside lower center", ncols=2)
    tidy(axes)
    _label_levels(axes, published)


LINE_OF_TEXT = 9.0
"""Points from one label to the next."""
AXES_POINTS = 250.0
"""How high axes are at least."""


def _label_levels(axes: Axes, levels: Mapping[str, float]) -> None:
    """Names horizontal lines at their right ends, outside the axes; labels of close ones are moved apart."""
    bottom, top = map(math.log, axes.get_ylim())
    points = AXES_POINTS / (top - bottom)
    heights = {name: math.log(value) * points for name, value in levels.items()}
    lowest = -math.inf
    for name in sorted(heights, key=lambda name: heights[name]):
        lowest = max(heights[name], lowest + LINE_OF_TEXT)
        axes.annotate(
            f"{name}: {levels[name]:g}",
            (1, levels[name]),
            xycoords=("axes fraction", "data"),
            xytext=(12, lowest - heights[name]),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=PAPERS,
            arrowprops={"arrowstyle": "-", "color": PAPERS, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0},
        )


def plot_curves(groups: Mapping[str, Sequence[Sequence[dict[str, Any]]]], game: str, path: Path) -> Path:
    """Draws exploitability with search over minutes of self-play and training, group by group.

    Args:
        groups: the metrics of each group's runs, by the group's name. A run is a thin line, the mean a
            thick one. All runs of a group were evaluated at the same iterations.
        game: for the published results.
        path: the PNG.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for (name, runs), colour in zip(groups.items(), CURVES, strict=False):
        minutes, found = [], []
        for metrics in runs:
            elapsed = _elapsed_seconds(metrics)
            evaluated = evaluations(metrics)
            minutes.append([elapsed[line["iteration"]] / 60 for line in evaluated])
            found.append([line["exploitability"] for line in evaluated])
            if len(runs) > 1:
                axes.plot(minutes[-1], found[-1], color=colour, linewidth=0.8, alpha=0.5)
        means = [[fmean(of_runs) for of_runs in zip(*each, strict=True)] for each in (minutes, found)]
        label = f"{name}, mean of {len(runs)} runs" if len(runs) > 1 else name
        axes.plot(*means, "o-", color=colour, linewidth=2, label=label)
    _finish_exploitability(axes, "minutes of self-play and training", game)
    return save(figure, path)


def plot_sweep(runs: Sequence[Status], keys: Sequence[str], path: Path) -> Path:
    """Draws each run's exploitability against each of the config keys in which they differ.

    Args:
        runs: of the sweep.
        keys: see :func:`pokerlab.jobs.show.varied_keys`.
        path: the PNG.
    """
    panels = list(keys) or ["run"]
    figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
    for axes, key in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        found: dict[str, list[float]] = {}
        for run in runs:
            if run.exploitability is not None:
                value = run.overridden.get(key, "–")
                found.setdefault(value, []).append(run.exploitability)
        order = sorted(found, key=_as_number)
        for x, value in enumerate(order):
            axes.plot([x] * len(found[value]), found[value], "o", color=SEARCH, markersize=5, alpha=0.7)
        axes.plot(range(len(order)), [median(found[value]) for value in order], color=NETWORK, label="median")
        axes.set(xlabel=key, yscale="log")
        axes.margins(x=0.2)
        axes.set_xticks(range(len(order)), [_short(value) for value in order])
        tidy(axes)
    figure.axes[0].set_ylabel("exploitability (NashConv/2, chips)")
    figure.axes[0].legend(frameon=False)
    return save(figure, path)


def _as_number(text: str) -> tuple[int, float, str]:
    """Orders numbers by value, before words."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _short(text: str) -> str:
    word, value, _ = _as_number(text)
    return text if word else f"{value:.3g}"


def tidy(axes: Axes) -> None:
    """Removes the frame's upper and right edges, and adds a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, which="major", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure as PNG, all or nothing, and makes the folder; returns ``path``."""
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))
    return path
