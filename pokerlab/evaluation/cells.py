"""Tables whose cells are coloured by their values."""

from collections.abc import Sequence
from math import isnan

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage

from pokerlab.games.base import Floats

EMPTY, FAINT = "#ececec", "#a6a6a6"
"""Colours of a cell that has no value, and of what is written on it."""
NEGLIGIBLE = 1e-3
"""Hands believed less than this part of the most believed one count as not believed: averages over CFR's
iterations keep a trace of the first ones."""


def draw_cells(
    axes: Axes,
    values: Floats,
    texts: Sequence[Sequence[str]],
    fontsize: float,
    *,
    colours: str = "cividis",
    limits: tuple[float, float] = (0, 100),
) -> AxesImage:
    """Fills axes with coloured cells, each with a text in black or white, whichever reads better.

    Args:
        axes: has no ticks afterwards.
        values: ``[rows, columns]``; NaN: a grey cell with a faint text.
        texts: of each row's cells.
        fontsize: points.
        colours: a colour map's name.
        limits: the values of its first and last colour.

    Returns:
        What a colour bar is made for.
    """
    colour_map, norm = colormaps[colours].with_extremes(bad=EMPTY), Normalize(*limits)
    image = axes.imshow(values, cmap=colour_map, norm=norm, aspect="auto", interpolation="nearest")
    for row, of_row in enumerate(texts):
        for column, text in enumerate(of_row):
            value = float(values[row, column])
            ink = FAINT if isnan(value) else readable_on(colour_map(norm(value)))
            axes.text(column, row, text, ha="center", va="center", fontsize=fontsize, color=ink)
    rows, columns = values.shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.set(xticks=[], yticks=[])
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return image


def readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever contrasts more with red, green, blue from 0 to 1 (WCAG 2.1's ratio)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"
