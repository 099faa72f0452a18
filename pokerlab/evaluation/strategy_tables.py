"""Strategies of a small game side by side: what each plays at every information state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pokerlab.evaluation.cells import NEGLIGIBLE, draw_cells
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, State
from pokerlab.games.names import rank_of_hand, rank_of_outcome
from pokerlab.search.forest import rows_of
from pokerlab.search.solver import Solver

ROW, COLUMN = 0.24, 0.58
"""Inches of a cell."""
LETTERS = 7
"""Of a strategy's name that have room above a cell."""


@dataclass(frozen=True, slots=True)
class Row:
    """An information state, those that differ in suits alone taken together."""

    actor: int
    line: str
    """The public state in words."""
    card: str
    """The private one."""
    nodes: tuple[int, ...]
    """Decision nodes of the whole game."""
    hands: tuple[int, ...]
    """The actor's hand at each of the nodes."""


def equilibrium(whole: WholeGame, iterations: int = 1000) -> Tensor:
    """``[A, D, H]`` DCFR's average strategy on the whole game, float64."""
    return Solver("dcfr").start(whole.forest, whole.belief).run(iterations).average_strategy()


def public_lines(game: Game[State]) -> dict[State, str]:
    """How every public state where a player acts came about, such as ``raise call | Q on board | raise``.

    Where a game has :class:`RankNames`, states that differ in suits alone have the same words.
    """
    found: dict[State, str] = {}
    paths: list[tuple[State, str]] = [(game.root(), "")]
    while paths:
        state, path = paths.pop()
        actor = game.actor(state)
        if actor < CHANCE:
            found[state] = path.strip(" |") or "start"
            paths += [
                (game.next_state(state, action), f"{path} {game.action_labels[action]}")
                for action in game.actions(state)
            ]
        elif actor != TERMINAL:
            paths += [
                (outcome, f"{path} | {rank_of_outcome(game, state, outcome)} |")
                for outcome in game.chance_outcomes(state)
            ]
    return found


def rows(whole: WholeGame) -> list[Row]:
    """The whole game's information states: player 0's, then player 1's, each in the order of the forest."""
    lines = public_lines(whole.game)
    found: dict[tuple[int, str, str], list[tuple[int, int]]] = {}
    for node, state in enumerate(whole.states):
        for hand in whole.game.possible_hands(state).nonzero()[0].tolist():
            key = whole.game.actor(state), lines[state], rank_of_hand(whole.game, hand)
            found.setdefault(key, []).append((node, hand))
    return [
        Row(*key, nodes=tuple(node for node, _ in members), hands=tuple(hand for _, hand in members))
        for key, members in found.items()
    ]


def merge_rows(whole: WholeGame, table: Sequence[Row], strategy: Tensor) -> tuple[Floats, Floats]:
    """A strategy's probabilities in the rows of a table, and its own reach there.

    Args:
        whole: the game.
        table: ``n`` of its rows.
        strategy: ``[A, D, H]``.

    Returns:
        ``[n, actions of the game]`` probabilities: means over suits by own reach × chance, plain ones where
        that is 0; NaN for actions that are not legal. ``[n]`` the own reach, its mean over suits.
    """
    forest, nodes = whole.forest, whole.forest.decisions
    reach = rows_of(forest.reach(strategy), nodes.row)
    own = torch.where((forest.actor == 0)[:, None], reach[0], reach[1]).numpy()
    by_action = forest.by_action(strategy).numpy()
    chances, reached = np.full((len(table), whole.game.num_actions), np.nan), np.empty(len(table))
    for i, row in enumerate(table):
        at = list(row.nodes), list(row.hands)
        weight = own[at] * nodes.chance.numpy()[at[0]]
        legal = list(whole.game.actions(whole.states[row.nodes[0]]))
        chances[i, legal] = np.average(
            by_action[at[0], :, at[1]][:, legal], 0, weight if weight.any() else None
        )
        reached[i] = own[at].mean()
    return chances, reached


def probabilities(whole: WholeGame, table: Sequence[Row], strategy: Tensor) -> Floats:
    """``[n]`` how likely a game comes to each of ``n`` rows when both players play ``strategy``."""
    forest, nodes = whole.forest, whole.forest.decisions
    reach = rows_of(forest.reach(strategy), nodes.row) * whole.belief * nodes.possible
    joint = reach * forest.mass(reach.flip(0)) * nodes.chance[:, None]
    deal = (whole.belief[0] * forest.mass(whole.belief[1])).sum()
    acting = torch.where((forest.actor == 0)[:, None], joint[0], joint[1]).numpy() / float(deal)
    return np.array([acting[list(row.nodes), list(row.hands)].sum() for row in table])


def strategy_table(whole: WholeGame, strategies: Mapping[str, Tensor], *, most_rows: int = 40) -> Figure:
    """Draws probabilities of actions, information state by information state, strategy beside strategy.

    Args:
        whole: the game.
        strategies: by name, ``[A, D, H]`` each.
        most_rows: of information states, those are kept that are most likely when both players play the
            first strategy; they stay in the tree's order.
    """
    every = rows(whole)
    likely = probabilities(whole, every, next(iter(strategies.values())))
    kept = np.sort(np.argsort(-likely, kind="stable")[:most_rows])
    table, likely = [every[i] for i in kept], likely[kept]
    groups = [[i for i, row in enumerate(table) if row.actor == player] for player in (0, 1)]
    groups = [group for group in groups if group]
    actions, first = whole.game.num_actions, next(iter(strategies))
    size = (len(strategies) * (COLUMN * actions + 0.2) + 3.4, ROW * len(table) + 2.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(
        len(groups), len(strategies), squeeze=False, height_ratios=[len(group) for group in groups]
    )
    for column, (name, strategy) in enumerate(strategies.items()):
        chances, reached = merge_rows(whole, table, strategy)
        for axes, group in zip(panels[:, column], groups, strict=True):
            _draw(axes, [table[i] for i in group], 100 * chances[group], reached[group])
            axes.set_xticks(range(actions), whole.game.action_labels, fontsize=8)
            axes.tick_params(which="both", length=0, labeltop=True, labelbottom=False)
        panels[0, column].set_title(fill(name, LETTERS * actions), fontsize=11)
    for of_player, group in zip(panels, groups, strict=True):
        _label(of_player[0], [table[i] for i in group])
        seen = of_player[-1].secondary_yaxis("right")
        seen.set_yticks(range(len(group)), [f"{100 * likely[i]:.2g} %" for i in group], fontsize=8)
        seen.tick_params(which="both", length=0)
        seen.spines[:].set_visible(False)
    figure.align_ylabels(panels[:, 0])
    out = len(every) - len(table)
    figure.supxlabel(
        f"probability of each action in %; at the right how likely a game comes there with {first}\n"
        "grey: not legal, or faint: the player's own earlier moves exclude it"
        + (f"\nthe {len(table)} likeliest information states; {out} are left out" if out else ""),
        fontsize=8,
    )
    figure.suptitle(whole.game.name, fontsize=13)
    return figure


def _draw(axes: Axes, table: Sequence[Row], percent: Floats, reached: Floats) -> None:
    """Fills cells, with a line wherever another public state begins."""
    texts = [["" if np.isnan(of) else f"{of:.0f}" for of in row] for row in percent]
    shown = np.where(reached[:, None] > NEGLIGIBLE, percent, np.nan)
    draw_cells(axes, shown, texts, 8)
    for at, (above, below) in enumerate(pairwise(table)):
        if above.line != below.line:
            axes.axhline(at + 0.5, color="black", linewidth=1)


def _label(axes: Axes, table: Sequence[Row]) -> None:
    """Writes a public state once, beside the first of its cards."""
    labels, last = list[str](), ""
    for row in table:
        labels.append(row.card if row.line == last else f"{row.line}   {row.card}")
        last = row.line
    axes.set_yticks(range(len(table)), labels, fontsize=8)
    axes.set_ylabel(f"player {table[0].actor} acts", fontsize=10)
