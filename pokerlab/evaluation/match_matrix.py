"""Draws the results of a round robin as a matrix."""

from collections.abc import Sequence
from math import floor, log10, sqrt
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from pokerlab.evaluation.cells import draw_cells
from pokerlab.games.base import Floats

CELL, MARGIN, BAR = 0.85, 0.15, 0.2
"""In inches: a cell's side, the margin, the colour bar's width."""
LETTERS, POINTS = 22, 10
"""The longest line of a name, and its font size."""


def plot_matrix(names: Sequence[str], mean: Floats, half_width: Floats | None, unit: str) -> Figure:
    """Draws what each agent wins against each other one, mean ± half width.

    Args:
        names: of the ``n`` agents, at least 2.
        mean: ``[n, n]`` winnings of the row's agent against the column's; NaN if they have not played. The
            diagonal is not read.
        half_width: ``[n, n]`` half widths of the confidence intervals; None: means are exact.
        unit: of both, such as ``mbb/hand``.
    """
    number = len(names)
    values = np.where(np.eye(number, dtype=bool), np.nan, mean)
    most = float(np.nanmax(np.abs(values))) or 1.0
    decimals = max(2 - floor(log10(most)), 0)  # three digits of the largest
    if half_width is None:
        widths = [[""] * number] * number
    else:
        widths = [[f"\n±{w:.{decimals}f}" for w in row] for row in half_width]
    texts = [
        ["" if np.isnan(m) else f"{m:+.{decimals}f}{w}".replace("-", "−") for m, w in zip(*row, strict=True)]
        for row in zip(values, widths, strict=True)
    ]
    labels = [fill(name.replace(":", ": "), LETTERS) for name in names]  # RUN:PLAY breaks after the colon
    left = max(_width(label) for label in labels) + 2 * MARGIN
    above = max((_width(label) + _height(label)) / sqrt(2) for label in labels) + 2 * MARGIN
    side = max(CELL * number, 2.5)
    beyond = max(above - side / number / 2, BAR + 1.4) + MARGIN  # slanted names reach over the colour bar
    size = np.array([left + side + beyond, above + side + MARGIN])
    figure = Figure(figsize=(size[0], size[1]))
    axes = figure.add_axes((left / size[0], MARGIN / size[1], *(side / size)))
    bar = figure.add_axes(((left + side + MARGIN) / size[0], MARGIN / size[1], *((BAR, side) / size)))
    image = draw_cells(axes, values, texts, 9, colours="PuOr", limits=(-most, most))
    axes.set_xticks(range(number), labels, fontsize=POINTS, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(number), labels, fontsize=POINTS)
    axes.tick_params(which="both", length=0, labeltop=True, labelbottom=False)
    figure.colorbar(image, cax=bar, label=f"winnings of the row's agent\nagainst the column's\n({unit})")
    return figure


def _width(text: str) -> float:
    """Of a text, in inches."""
    return max(TextPath((0, 0), line, size=POINTS).get_extents().width for line in text.split("\n")) / 72


def _height(text: str) -> float:
    """Of a text, in inches."""
    return float(1.2 * POINTS * len(text.split("\n")) / 72)
