"""Calibration compares predicted with solved values, weighted by what hands are believed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh

from pokerlab.evaluation.calibration import Calibration, by_street, calibration, plot_calibration
from pokerlab.evaluation.plots import save
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.learning.networks import Networks, PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.trajectories import SelfPlay

LIKE = torch.empty(0)


def networks(game: Game) -> Networks:
    torch.manual_seed(0)
    return Networks(ValueNetwork(game, 16, 1), PolicyNetwork(game, 16, 1))


def played(game: Game) -> ValueExamples:
    draws = torch.Generator().manual_seed(1)
    return SelfPlay(game, Solver(), search_iterations=5).generate(networks(game), 40, draws, LIKE)[0]


def calibrated(game: Game) -> dict[str, Calibration]:
    return calibration(
        game,
        Solver(),
        networks(game),
        search_iterations=5,
        trajectories=40,
        generator=torch.Generator().manual_seed(1),
        like=LIKE,
    )


def test_it_is_the_network_against_self_play() -> None:
    game, examples = Leduc(), played(Leduc())
    found = calibrated(game)
    assert list(found) == ["street 1", "street 2"]
    assert [len(of) for of in found.values()] == [1, len(examples) - 1]
    boards = examples.possible.sum(1) == 5
    torch.testing.assert_close(found["street 2"].solved, examples.values[boards].double())
    with torch.no_grad():
        said = networks(game).value(examples.features[~boards], examples.beliefs[~boards])
    torch.testing.assert_close(found["street 1"].predicted, said.double())


def test_one_street_has_the_name_of_the_game() -> None:
    assert list(calibrated(Kuhn(1))) == ["kuhn"]


def test_perfect_predictions_have_no_error() -> None:
    examples = played(Leduc())
    for of in by_street(Leduc(), examples, examples.values).values():
        assert of.mean_absolute_error == 0
        assert of.root_mean_square_error == 0
        assert of.weight.sum().item() == pytest.approx(1)


def test_errors_are_those_of_a_sum_over_hands() -> None:
    game, examples = Leduc(), played(Leduc())
    draws = torch.Generator().manual_seed(2)
    wrong = torch.randn(examples.values.shape, generator=draws, dtype=torch.float64)
    for street, of in by_street(game, examples, examples.values + wrong).items():
        absolute, square, states = 0.0, 0.0, 0
        for i in (examples.possible.sum(1) == (6 if street == "street 1" else 5)).nonzero()[:, 0].tolist():
            beliefs, states = examples.beliefs[i].double().numpy(), states + 1
            joint = beliefs[0][:, None] * game.deal * beliefs[1]
            for player in (0, 1):
                chance = joint.sum(1 - player) / joint.sum()
                absolute += sum(chance * np.abs(wrong[i, player].numpy()))
                square += sum(chance * wrong[i, player].numpy() ** 2)
        assert of.mean_absolute_error == pytest.approx(absolute / (2 * states))
        assert of.root_mean_square_error == pytest.approx((square / (2 * states)) ** 0.5)


def test_streets_are_drawn_where_they_belong(tmp_path: Path) -> None:
    game, examples = Leduc(), played(Leduc())
    shift = 0.25
    streets = by_street(game, examples, examples.values + shift)
    figure = plot_calibration(streets)
    for axes, (street, of) in zip(figure.axes, streets.items(), strict=False):
        plural = "s" if len(of) > 1 else ""
        errors = f"error: mean absolute {shift:g}, root mean square {shift:g}"
        assert axes.get_title() == f"{street}, {len(of)} belief state{plural}\n{errors}"
        mesh = next(drawn for drawn in axes.collections if isinstance(drawn, QuadMesh))
        shown = mesh.get_array()
        assert shown is not None
        weights = np.ma.filled(shown, 0).reshape(60, 60)
        assert weights.sum() == pytest.approx(1, abs=5e-4)
        bins = np.diff(axes.get_xlim())[0] / 60
        solved, predicted = weights.nonzero()
        assert (abs(predicted - solved - shift / bins) <= 1).all()
    assert save(figure, tmp_path / "calibration.png").stat().st_size > 10_000
