"""How accurate the value network is: predicted against solved values."""

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
from pokerlab.search.payoffs import hand_probabilities
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.trajectories import SelfPlay

BINS = 60
"""On each axis."""
SMALL = 1e-4
"""Where colours begin, as a share of the fullest bin's weight; the share of weight beyond each edge."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Values at ``n`` public belief states, in pots."""

    predicted: Tensor
    """``[n, 2, H]`` by the network."""
    solved: Tensor
    """``[n, 2, H]`` by search."""
    weight: Tensor
    """``[n, 2, H]`` each hand's probability, divided by the number of players and states; sums to 1."""

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def mean_absolute_error(self) -> float:
        """Weighted, in pots."""
        return float((self.weight * (self.predicted - self.solved).abs()).sum())

    @property
    def root_mean_square_error(self) -> float:
        """Weighted, in pots."""
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
    """Compares the value network with search, at belief states of self-play with that network.

    Solved values are what the network learns from: means over CFR's iterations. Where a subgame ends before
    the game does, they rest on the network's own values at its leaves.

    Args:
        game: the rules.
        solver: the CFR variant.
        networks: the run's.
        search_iterations: CFR iterations a subgame.
        trajectories: of self-play.
        generator: source of all randomness, on the CPU.
        like: a tensor with the device and dtype of the networks.

    Returns:
        By street, first to last: ``street 1``, …; the game's name, if it has only one. Streets are told apart
        by the number of possible hands.
    """
    play = SelfPlay(game, solver, search_iterations=search_iterations)
    examples, _ = play.generate(networks, trajectories, generator, like)
    with torch.no_grad():
        predicted = networks.value(examples.features.to(like), examples.beliefs.to(like))
    return by_street(game, examples, predicted.double().cpu())


def by_street(game: Game, examples: ValueExamples, predicted: Tensor) -> dict[str, Calibration]:
    """Groups examples and predictions ``[n, 2, H]``, in pots, by street; see :func:`calibration`."""
    hands = examples.possible.sum(1)
    streets = hands.unique().flip(0)
    found = {}
    for number, street in enumerate(streets, start=1):
        here = hands == street
        weight = hand_probabilities(game, examples.beliefs[here].double())
        weight /= 2 * len(weight)
        label = game.name if len(streets) == 1 else f"street {number}"
        found[label] = Calibration(predicted[here].double(), examples.values[here].double(), weight)
    return found


def plot_calibration(calibrations: Mapping[str, Calibration]) -> Figure:
    """Plots predicted against solved values: a panel for each street, coloured by the hands' weight.

    Good predictions lie on the line. At most a ten-thousandth of the hands lie beyond each edge.
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
        *_, histogram = axes.hist2d(predicted, solved, BINS, range=ends, weights=weight, cmap="cividis_r")
        full = np.ma.masked_equal(histogram.get_array(), 0)
        histogram.set(array=full, norm=LogNorm(SMALL * full.max(), full.max()))
        axes.plot([low, high], [low, high], color=NETWORK, linewidth=1.2, linestyle="--")
        axes.set(xlabel="predicted (pots)", ylabel="solved (pots)", box_aspect=1)
        states = f"{len(of):,} belief state{'s' if len(of) > 1 else ''}"
        errors = (
            f"mean absolute {of.mean_absolute_error:.3g}, root mean square {of.root_mean_square_error:.3g}"
        )
        axes.set_title(f"{street}, {states}\nerror: {errors}", fontsize=10)
        tidy(axes)
        figure.colorbar(histogram, ax=axes, label="weight of the hands", fraction=0.046)
    figure.supxlabel(
        "where search ends before the game does, solved values rest on the network's own", fontsize=8
    )
    return figure


def _ends(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The interval that leaves out at most ``SMALL`` of the weight on either side."""
    order = values.argsort()
    below = weight[order].cumsum()
    first, last = np.searchsorted(below, [SMALL * below[-1], (1 - SMALL) * below[-1]])
    return float(values[order[first]]), float(values[order[last]])
