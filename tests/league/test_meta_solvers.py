"""Meta-solvers find what OpenSpiel's find, and what they promise."""

from typing import Any

import numpy as np
import pytest
from open_spiel.python.algorithms import projected_replicator_dynamics, regret_matching
from open_spiel.python.egt import alpharank

from pokerlab.evaluation.rankings import nash_average
from pokerlab.games.base import Floats
from pokerlab.league import meta_solvers

pytestmark = pytest.mark.quick

RANDOM = np.random.default_rng(5)
MATRIX = RANDOM.normal(size=(4, 5)).round(2)
TWO = np.stack([MATRIX, -MATRIX])
THREE = RANDOM.normal(size=(3, 2, 3, 2)).round(2)
ROCK = np.array([[0, -1, 1, -1.0], [1, 0, -1, 1], [-1, 1, 0, -1], [1, -1, 1, 0]])
"""Rock, paper, scissors, and rock again, which is better than the first."""


def test_nash_is_that_of_openspiels_lp_solver() -> None:
    # lp_solver.solve_zero_sum_matrix_game of OpenSpiel 2.0.2, which needs cvxpy
    first, second = meta_solvers.nash(TWO)
    np.testing.assert_allclose(first, [0.176923078, 0.823076920, 0, 0], atol=1e-8)
    np.testing.assert_allclose(second, [0, 0.407692310, 0.592307689, 0, 0], atol=1e-8)
    assert first @ MATRIX @ second == pytest.approx(-0.68623077, abs=1e-8)


@pytest.mark.parametrize("solve", [meta_solvers.nash, meta_solvers.largest_entropy_nash])
def test_nobody_gains_in_a_nash_equilibrium(solve: meta_solvers.Solve) -> None:
    matrix = np.random.default_rng(1).normal(size=(30, 20))
    first, second = solve(np.stack([matrix, -matrix]))
    assert (matrix @ second).max() - (first @ matrix).min() < 1e-6


def test_the_largest_entropy_is_that_of_the_nash_average() -> None:
    copies = ROCK[np.ix_([0, 1, 2, 2], [0, 1, 2, 2])]
    for matrix in (copies, ROCK, np.zeros((3, 3))):
        expected, _ = nash_average(matrix)
        for weights in meta_solvers.largest_entropy_nash(np.stack([matrix, -matrix])):
            np.testing.assert_allclose(weights, expected, atol=1e-5)


@pytest.mark.parametrize("payoffs", [TWO, THREE])
def test_regret_matching_and_replicators_are_openspiels(payoffs: Floats) -> None:
    for found, expected in (
        (
            meta_solvers.projected_replicator(payoffs, iterations=300, step_size=0.02),
            projected_replicator_dynamics.projected_replicator_dynamics(
                list(payoffs), prd_iterations=300, prd_dt=0.02
            ),
        ),
        (
            meta_solvers.regret_matching(payoffs, iterations=300),
            regret_matching.regret_matching(list(payoffs), iterations=300),
        ),
    ):
        for own, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, other, atol=1e-12)


@pytest.mark.parametrize("payoffs", [TWO, THREE])
def test_alpha_rank_is_openspiels(payoffs: Floats) -> None:
    expected = alpharank.compute(list(payoffs), alpha=2.0)[2]
    np.testing.assert_allclose(meta_solvers.alpha_rank(payoffs, alpha=2.0).ravel(), expected, atol=1e-12)


def test_alpha_rank_of_strong_selection_stays_where_nobody_leaves() -> None:
    """OpenSpiel's has no answer: its chances are 0."""
    prisoners = np.array([[[3, 0], [5, 1]], [[3, 5], [0, 1]]], dtype=float)
    np.testing.assert_allclose(meta_solvers.alpha_rank(prisoners), [[0, 0], [0, 1]], atol=1e-12)


def test_correlated_equilibria_are_those_of_jpsro() -> None:
    # _mgce and _mgcce of OpenSpiel 2.0.2's jpsro, which needs cvxpy
    ce: Any = [[[0.2168885, 0.3131452], [0.2168885, 0.0439671], [0, 0]],
          [[0.0316571, 0], [0.0336488, 0.1438048], [0, 0]]]  # fmt: skip
    cce: Any = [[[0.1626234, 0.2648954], [0.1180766, 0], [0.1163124, 0.1131561]],
           [[0, 0], [0.0403815, 0.15174], [0, 0.0328146]]]  # fmt: skip
    np.testing.assert_allclose(meta_solvers.correlated(THREE), ce, atol=1e-6)
    np.testing.assert_allclose(meta_solvers.coarse_correlated(THREE), cce, atol=1e-6)


def test_one_member_is_all_there_is() -> None:
    alone = np.zeros((3, 1, 1, 1))
    for joint in (meta_solvers.alpha_rank, meta_solvers.correlated, meta_solvers.coarse_correlated):
        assert joint(alone) == 1
    for weights in (
        meta_solvers.uniform(alone),
        meta_solvers.regret_matching(alone, iterations=5),
        meta_solvers.projected_replicator(alone, iterations=5),
    ):
        assert [own.tolist() for own in weights] == [[1]] * 3


def test_joint_picks_and_weights_say_the_same() -> None:
    weights = meta_solvers.nash(TWO)
    for own, again in zip(weights, meta_solvers.marginals(meta_solvers.product(weights)), strict=True):
        np.testing.assert_allclose(own, again, atol=1e-15)
    np.testing.assert_allclose(meta_solvers.deviations(TWO, weights)[0], MATRIX @ weights[1])


def test_three_players_have_no_linear_programme_for_nash() -> None:
    with pytest.raises(ValueError, match="for two players, got 3"):
        meta_solvers.nash(THREE)


def test_gaps_are_named() -> None:
    payoffs = TWO.copy()
    payoffs[:, 1, 3] = np.nan
    with pytest.raises(ValueError, match=r"^the matrix has gaps: there is no result of b against d$"):
        meta_solvers.check_complete(payoffs, "abcde")


def test_who_learns_meets_most_often_of_whom_it_wins_least() -> None:
    won = np.array([0.0, 2.0, -2.0, 1.0])
    np.testing.assert_allclose(meta_solvers.prioritised(won), np.array([4, 0, 16, 1]) / 21)
    np.testing.assert_allclose(meta_solvers.prioritised(won, power=1), np.array([2, 0, 4, 1]) / 7)
    np.testing.assert_allclose(meta_solvers.prioritised(won, power=0), 0.25)
    np.testing.assert_allclose(meta_solvers.prioritised(np.zeros(4)), 0.25)


def test_the_best_win_of_the_best() -> None:
    """The last one lives on the weakest: once that is gone, it goes."""
    weak, other, strong, bully = (0, -5, -5, -20), (5, 0, -1, 1), (5, 1, 0, 1), (20, -1, -1, 0)
    matrix = np.array([weak, other, strong, bully], dtype=float)
    assert [meta_solvers.best_of(matrix, number) for number in (5, 3, 2, 1)] == [
        [0, 1, 2, 3], [1, 2, 3], [1, 2], [2],
    ]  # fmt: skip
    assert meta_solvers.best_of(np.zeros((3, 3)), 2) == [1, 2]  # of equal ones the oldest goes
