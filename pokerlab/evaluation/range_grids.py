"""Ranges and strategies of hold'em, as players draw them: a grid with a cell for every pair of ranks.

Pairs stand on the diagonal, suited hands above it, offsuit ones below, aces first.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from pokerlab.evaluation.cells import NEGLIGIBLE, draw_cells
from pokerlab.games.base import Floats, Ints
from pokerlab.games.cards import RANKS, Deck
from pokerlab.games.holdem import Holdem, HoldemState

CELL = 0.4
"""Inches."""


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


def strategy_grid(
    game: Holdem,
    state: HoldemState,
    strategy: Tensor,
    belief: Tensor,
    beside: Tensor | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> Figure:
    """Draws how often each legal action is played, in %: a panel for each.

    Args:
        game: the rules.
        state: where a player acts.
        strategy: ``[A, H]`` of its legal actions, in their order.
        belief: ``[H]`` of the player to act: a cell's frequency, and all hands', is the mean by belief. Which
            hands the opponent's block more often is not counted.
        beside: ``[A, H]`` another strategy, whose panels stand to the right.
        names: of the two.
    """
    believed = belief.numpy(force=True) * game.possible_hands(state)
    weight = np.where(believed > NEGLIGIBLE * believed.max(), believed, 0)
    labels, headings = [game.action_labels[action] for action in game.actions(state)], list[str]()
    every = [strategy] if beside is None else [strategy, beside]
    played = np.stack([each.numpy(force=True) for each in every], 1)  # [A, strategies, H]
    overall = 100 * (played @ believed) / believed.sum()
    whose = [f"{name}, " for name in names] if len(every) > 1 else [""]
    for label, of in zip(labels, overall, strict=True):
        headings += [f"{who}{label}: {each:.1f} %" for who, each in zip(whose, of, strict=True)]
    means = 100 * cell_means(game.deck, played.reshape(-1, game.num_hands), weight)
    line = ", ".join(game.action_labels[action] for action in state.actions[-1])
    board = game.deck.board_name(state.board) or "no board"
    title = f"{board}, pot {game.pot(state):g}, player {game.actor(state)} acts"
    title = f"{title} after {line}" if line else title
    return _grids(game.deck, means, headings, title, "how often a hand plays it (%)")


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
