"""How well the value network knows what hands are worth: predicted against solved values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from pokerlab.evaluation.plots import NETWORK, tidy
from pokerlab.games.base import Game
from pokerlab.learning.networks import Networks
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.trajectories import SelfPlay

BINS = 60
"""Of an axis."""
LEAST = 1e-4
"""Of the fullest bin's weight, what the colours begin with; of all weight, what may lie beyond an edge."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Values at ``n`` public belief states, in pots."""

    predicted: Tensor
    """``[n, 2, H]`` by the network."""
    solved: Tensor
    """``[n, 2, H]`` by search."""
    weight: Tensor
    """``[n, 2, H]`` how likely each hand is; each player has the same share in each state, all sum to 1."""

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def mean_absolute_error(self) -> float:
        """By weight, in pots."""
        return float((self.weight * (self.predicted - self.solved).abs()).sum())

    @property
    def root_mean_square_error(self) -> float:
        """By weight, in pots."""
        return float((self.weight * (self.predicted - self.solved).square()).sum().sqrt())


def calibration(
    game: Game,
    solver: Solver,
    networks: Networks,
    *,
    search_iterations: int,
    trajectories: int,
    generator: torch.Generator,
    like: Tensor,
) -> dict[str, Calibration]:
    """Compares the value network with search, at belief states of self-play with it.

    Solved values are the means over CFR's iterations that the network learns from. Those of subgames that
    end before the game does are made from its own values at their leaves.

    Args:
        game: the rules.
        solver: the CFR variant.
        networks: those of the run.
        search_iterations: CFR iterations a subgame.
        trajectories: of self-play.
        generator: source of all randomness, on the CPU.
        like: a tensor with the device and dtype of the networks.

    Returns:
        By street, first to last: ``street 1``, …; the game's name, if there is one only. A street is known by
        how many hands are possible.
    """
    play = SelfPlay(game, solver, search_iterations=search_iterations)
    examples, _ = play.generate(networks, trajectories, generator, like)
    with torch.no_grad():
        predicted = networks.value(examples.features.to(like), examples.beliefs.to(like))
    return by_street(game, examples, predicted.double().cpu())


def by_street(game: Game, examples: ValueExamples, predicted: Tensor) -> dict[str, Calibration]:
    """Sorts examples and what was predicted of them, ``[n, 2, H]`` in pots, see :func:`calibration`."""
    hands = examples.possible.sum(1)
    streets = hands.unique().flip(0)
    found = {}
    for number, street in enumerate(streets, start=1):
        here = hands == street
        beliefs = examples.beliefs[here].double()
        joint = beliefs * game.mass_operator(beliefs)(beliefs.flip(1))
        weight = joint / joint.sum(2, keepdim=True).clamp_min(1e-30) / (2 * len(joint))
        label = game.name if len(streets) == 1 else f"street {number}"
        found[label] = Calibration(predicted[here].double(), examples.values[here].double(), weight)
    return found


def plot_calibration(calibrations: Mapping[str, Calibration]) -> Figure:
    """Draws where hands lie, predicted against solved values: a panel for each street, coloured by weight.

    What is predicted well lies on the line. Of hands, a ten-thousandth may lie beyond each edge.
    """
    figure = Figure(figsize=(5 * len(calibrations) + 0.4, 4.8), layout="constrained")
    panels = figure.subplots(1, len(calibrations), squeeze=False)[0]
    for axes, (street, of) in zip(panels, calibrations.items(), strict=True):
        here = of.weight > 0
        predicted, solved, weight = (each[here].numpy() for each in (of.predicted, of.solved, of.weight))
        lows, highs = zip(*(_ends(values, weight) for values in (predicted, solved)), strict=True)
        low, high = min(lows), max(highs)
        margin = 0.03 * (high - low) or 0.1
        low, high = low - margin, high + margin
        ends = [[low, high], [low, high]]
        *_, drawn = axes.hist2d(predicted, solved, BINS, range=ends, weights=weight, cmap="cividis_r")
        full = np.ma.masked_equal(drawn.get_array(), 0)
        drawn.set(array=full, norm=LogNorm(LEAST * full.max(), full.max()))
        axes.plot([low, high], [low, high], color=NETWORK, linewidth=1.2, linestyle="--")
        axes.set(xlabel="predicted (pots)", ylabel="solved (pots)", box_aspect=1)
        states = f"{len(of):,} belief state{'s' if len(of) > 1 else ''}"
        errors = (
            f"mean absolute {of.mean_absolute_error:.3g}, root mean square {of.root_mean_square_error:.3g}"
        )
        axes.set_title(f"{street}, {states}\nerror: {errors}", fontsize=10)
        tidy(axes)
        figure.colorbar(drawn, ax=axes, label="weight of the hands", fraction=0.046)
    figure.supxlabel(
        "where search ends before the game does, solved values rest on the network's own", fontsize=8
    )
    return figure


def _ends(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Between which all values lie but ``LEAST`` of the weight on either side."""
    order = values.argsort()
    below = weight[order].cumsum()
    first, last = np.searchsorted(below, [LEAST * below[-1], (1 - LEAST) * below[-1]])
    return float(values[order[first]]), float(values[order[last]])
