"""Pictures of a league, into its folder's ``plots/``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pokerlab.evaluation import plots as pictures
from pokerlab.evaluation.match_matrix import plot_matrix
from pokerlab.evaluation.plots import CURVES, PAPERS, tidy
from pokerlab.evaluation.published import LEAGUES
from pokerlab.league.population import Population
from pokerlab.league.show import heaviest

WITH_NUMBERS = 12
"""Members of which the matrix has room for numbers."""
IN_COLOUR = 12
"""Members that weights have a colour for: the others are drawn together."""


def plot_league(population: Population) -> list[Path]:
    """Draws everything there is to be drawn; returns the files."""
    folder = population.folder.run.plots
    return [pictures.save(figure, folder / f"{name}.png") for name, figure in draw_league(population)]


def draw_league(population: Population) -> Iterator[tuple[str, Figure]]:
    """``exploitability``, ``weights``, ``lineage`` and ``matrix``, as far as there is something in them."""
    if any(strength_of(line) is not None for line in population.rounds):
        yield "exploitability", _draw_exploitability(population)
    if any(line["weights"] for line in population.rounds):
        yield "weights", _draw_weights(population)
    yield "lineage", _draw_lineage(population)
    if len(population.members) > 1 and not np.isnan(population.head_to_head()[0]).all():
        yield "matrix", _draw_matrix(population)


def strength_of(line: dict[str, Any]) -> float | None:
    """A round's exploitability, or a lower bound; None: it was not measured."""
    found: float | None = line["lower_bound"] if line["nash_conv"] is None else line["exploitability"]
    return found


def _draw_exploitability(population: Population) -> Figure:
    """Over rounds, and over seconds; dots are what others published."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    rounds, game = population.rounds, population.rules
    exact = rounds[0]["nash_conv"] is not None
    measured = np.array([strength_of(line) for line in rounds])
    least = np.minimum.accumulate(measured)
    for axes, key in zip(figure.subplots(1, 2, sharey=True), ("round", "seconds"), strict=True):
        places = [max(line[key], 0.5 if key == "round" else 1e-3) for line in rounds]
        values = np.maximum(measured, 1e-7)
        if not exact:
            widths = [line["lower_bound_half_width"] for line in rounds]
            axes.fill_between(
                places, np.maximum(measured - widths, 1e-7), measured + widths, color=CURVES[0], alpha=0.2
            )
        axes.plot(places, values, color=CURVES[0], linewidth=1, label="this league")
        axes.plot(places, np.maximum(least, 1e-7), color=CURVES[1], linewidth=2, label="its best so far")
        for (name, points), marker in zip(LEAGUES.get(game.name, {}).items(), "os^D", strict=False):
            known = [(point[0] if key == "round" else point[2], point[1]) for point in points]
            known = [point for point in known if point[0] is not None]
            if known:
                axes.plot(*zip(*known, strict=True), marker, color=PAPERS, label=name)
        axes.set(xlabel=key, yscale="log" if exact else "linear", xscale="log")
        tidy(axes)
    name = f"exploitability (NashConv/{population.num_players}, chips)"
    figure.axes[0].set_ylabel(name if exact else "a local best response wins (chips a hand)")
    figure.suptitle(game.name)
    labels = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    figure.legend(labels.values(), labels.keys(), frameon=False, loc="outside lower center", ncols=3)
    return figure


def _draw_weights(population: Population) -> Figure:
    """How often each member is picked, over rounds, a panel for each player."""
    rounds, players = population.rounds, population.num_players
    names = [member.name for member in population.members]
    shares = np.zeros((players, len(names), len(rounds)))
    for number, line in enumerate(rounds):
        for name, weights in line["weights"].items():
            shares[:, names.index(name), number] = weights
    drawn = sorted(np.argsort(-shares.sum((0, 2)), kind="stable")[:IN_COLOUR].tolist())
    figure = Figure(figsize=(5 * players + 1.5, 4), layout="constrained")
    colours = _colours(len(drawn))
    for player, axes in enumerate(figure.subplots(1, players, sharey=True, squeeze=False)[0]):
        below = np.zeros(len(rounds))
        for member, colour in zip(drawn, colours, strict=True):
            _add_band(axes, below, shares[player, member], colour, names[member])
            below = below + shares[player, member]
        _add_band(axes, below, shares[player].sum(0) - shares[player, drawn].sum(0), "#dddddd", "others")
        axes.set(xlabel="round", title=f"player {player + 1}", ylim=(0, 1))
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        tidy(axes)
    figure.axes[0].set_ylabel("weight in the mixture")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right center", fontsize=8)
    return figure


def _add_band(axes: Axes, below: np.ndarray, share: np.ndarray, colour: object, label: str) -> None:
    places = np.arange(len(share) + 1) - 0.5
    lower, upper = (np.append(line, line[-1]) for line in (below, below + share))
    axes.fill_between(places, lower, upper, step="post", color=colour, linewidth=0, label=label)


def _colours(number: int) -> list[object]:
    from matplotlib import colormaps

    return [colormaps["viridis"](place) for place in np.linspace(0, 1, max(number, 1))]


def _draw_lineage(population: Population) -> Figure:
    """Members over rounds, a line from each to its parent; the larger, the heavier in the last mixture."""
    members = population.members
    row: dict[str, float] = {}
    children: dict[str | None, int] = {}
    for number, member in enumerate(members):
        # the first child goes on in its parent's row, others get one of their own
        first = children.setdefault(member.parent, number) == number
        goes_on = first and member.parent in row
        row[member.name] = row[str(member.parent)] if goes_on else max(row.values(), default=-1.0) + 1
    weights = population.rounds[-1]["weights"] if population.rounds else {}
    height = min(2 + 0.22 * (max(row.values(), default=0) + 1), 9)
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    place = {member.name: (member.round, row[member.name]) for member in members}
    for member in members:
        if member.parent in place:
            (x, y), (over_x, over_y) = place[member.name], place[member.parent]
            axes.plot([over_x, x], [over_y, y], color="#bbbbbb", linewidth=0.7, zorder=1)
    sizes = np.array([float(np.mean(weights.get(member.name, [0.0]))) for member in members])
    xs, ys = np.array([place[member.name] for member in members], dtype=float).T
    for shown, alpha in ((sizes <= 0, 0.35), (sizes > 0, 0.9)):
        axes.scatter(xs[shown], ys[shown], s=6 + 600 * sizes[shown], color=CURVES[0], zorder=2, alpha=alpha)
    said_in = dict[float, int]()
    for number in sorted(np.argsort(-sizes, kind="stable")[:8].tolist()):
        if sizes[number] > 0 or len(members) <= 8:
            name = members[number].name
            said = f"{name} {sizes[number]:.2f}" if sizes[number] > 0 else name
            said_in[row[name]] = said_in.get(row[name], 0) + 1  # in one row above and below in turn
            above = 5 if said_in[row[name]] % 2 else -13
            axes.annotate(said, place[name], xytext=(5, above), textcoords="offset points", fontsize=8)
    axes.set(xlabel="round", yticks=[], title="who came from whom; large: heavy in the last mixture")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.margins(x=0.08, y=0.1)
    tidy(axes)
    return figure


def _draw_matrix(population: Population) -> Figure:
    """Who wins what of whom: with numbers if there are few, else in colours."""
    known, half_width = population.head_to_head()
    if len(known) <= WITH_NUMBERS:
        names = [member.name for member in population.members]
        return plot_matrix(names, known, half_width if half_width.any() else None, "chips/hand")
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.subplots()
    most = float(np.nanmax(np.abs(known))) or 1.0
    image = axes.imshow(known, cmap="PuOr", vmin=-most, vmax=most, interpolation="nearest")
    axes.set(xlabel="column's member, in order", ylabel="row's member, in order")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    picked = heaviest(population, 8)
    axes.set_yticks(picked, [population.members[number].name for number in picked], fontsize=8)
    figure.colorbar(image, ax=axes, label="winnings of the row's member\nagainst the column's (chips/hand)")
    return figure
