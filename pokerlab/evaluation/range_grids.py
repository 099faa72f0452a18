"""Ranges and strategies of hold'em, as players draw them: a grid with a cell for every pair of ranks.

Pairs stand on the diagonal, suited hands above it, offsuit ones below, aces first.
"""

from collections.abc import Sequence
from math import ceil, isnan
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from pokerlab.evaluation.plots import _save
from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import RANKS, Deck
from pokerlab.games.holdem import Holdem, HoldemState

EMPTY, FAINT = "#ececec", "#a6a6a6"
"""Colours of a cell that has no value, and of what is written on it."""
NEGLIGIBLE = 1e-3
"""Hands believed less than this part of the most believed one count as not believed: averages over CFR's
iterations keep a trace of the first ones."""
CELL = 0.4
"""Inches."""


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure as PNG, all or nothing; folders are made; returns ``path``."""
    return _save(figure, path)


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


def hand_classes(deck: Deck) -> Ints:
    """``[H]`` each hand's cell, row · ranks + column; ``AKs`` is in row 0, column 1, ``AKo`` in 1, 0."""
    low, high = deck.ranks - 1 - (deck.hands // deck.suits).T  # aces first
    suited = deck.hands[:, 0] % deck.suits == deck.hands[:, 1] % deck.suits
    cells: Ints = np.where(suited, high * deck.ranks + low, low * deck.ranks + high)
    return cells


def class_names(deck: Deck) -> tuple[str, ...]:
    """``[ranks²]`` of the cells, such as ``77``, ``AKs``, ``T9o``."""
    ranks = RANKS[: deck.ranks][::-1]
    return tuple(
        row + column + ("" if r == c else "s") if r <= c else column + row + "o"
        for r, row in enumerate(ranks)
        for c, column in enumerate(ranks)
    )


def cell_means(deck: Deck, values: Floats, weight: Floats) -> Floats:
    """``[..., H]`` values → their weighted means over each cell's hands, ``[..., ranks, ranks]``.

    Args:
        deck: the cards.
        values: ``[..., H]``.
        weight: ``[H]``; a cell without any has NaN.
    """
    belongs = hand_classes(deck)[:, None] == np.arange(deck.ranks**2)
    total = weight @ belongs
    means = np.where(total > 0, (values * weight) @ belongs / np.where(total > 0, total, 1), np.nan)
    return means.reshape(*values.shape[:-1], deck.ranks, deck.ranks)


def range_grid(game: Holdem, belief: Tensor, board: Sequence[int]) -> Figure:
    """Draws a range: hands' weights in % of the greatest, in each cell the mean over its possible hands.

    Args:
        game: gives the deck.
        belief: ``[H]``, in any scale.
        board: cards.
    """
    possible = game.deck.possible(board)
    weights = belief.numpy(force=True) * possible
    weights = weights / weights.max()
    means = 100 * cell_means(game.deck, weights, possible.astype(np.float64))
    means = np.where(means > 100 * NEGLIGIBLE, means, np.nan)
    heading = f"{game.deck.board_name(board) or 'no board'}, {weights.sum():,.0f} of {possible.sum():,} hands"
    return _grids(game.deck, [means], [heading], "", "weight of a hand (% of the greatest)")


def strategy_grid(game: Holdem, state: HoldemState, strategy: Tensor, belief: Tensor) -> Figure:
    """Draws how often each legal action is played, in %: a panel for each.

    Args:
        game: the rules.
        state: where a player acts.
        strategy: ``[A, H]`` of its legal actions, in their order.
        belief: ``[H]`` of the player to act: a cell's frequency, and all hands', is the mean by belief. Which
            hands the opponent's block more often is not counted.
    """
    played, believed = strategy.numpy(force=True), belief.numpy(force=True) * game.possible_hands(state)
    means = 100 * cell_means(game.deck, played, np.where(believed > NEGLIGIBLE * believed.max(), believed, 0))
    overall = 100 * (played @ believed) / believed.sum()
    labels = game.action_labels
    headings = [f"{labels[a]}: {of:.1f} %" for a, of in zip(game.actions(state), overall, strict=True)]
    line = ", ".join(labels[action] for action in state.actions[-1])
    board = game.deck.board_name(state.board) or "no board"
    title = f"{board}, pot {game.pot(state):g}, player {game.actor(state)} acts"
    return _grids(
        game.deck,
        means,
        headings,
        f"{title} after {line}" if line else title,
        "how often a hand plays it (%)",
    )


def _grids(
    deck: Deck, panels: Sequence[Floats] | Floats, headings: Sequence[str], title: str, label: str
) -> Figure:
    columns = min(len(panels), 2)
    rows, side = ceil(len(panels) / columns), max(CELL * deck.ranks, 3)
    figure = Figure(figsize=(columns * side + 1.2, rows * (side + 0.4) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=14)
    every = figure.subplots(rows, columns, squeeze=False).flatten()
    names = np.array(class_names(deck)).reshape(deck.ranks, deck.ranks)
    for axes, means, heading in zip(every, panels, headings, strict=False):
        texts = [
            [name if np.isnan(mean) else f"{name}\n{mean:.0f}" for name, mean in zip(*row, strict=True)]
            for row in zip(names, means, strict=True)
        ]
        image = draw_cells(axes, means, texts, 7.5)
        axes.set_box_aspect(1)
        axes.set_title(heading, fontsize=12)
    for axes in every[len(panels) :]:
        axes.remove()
    figure.colorbar(image, ax=list(every[: len(panels)]), label=label, aspect=40, fraction=0.05)
    return figure
