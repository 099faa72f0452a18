"""Ratings and equilibria with known values, and what changes of names and units do to them."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from pokerlab.evaluation.rankings import elo, nash_average
from pokerlab.games.base import Floats

ROCK_PAPER_SCISSORS = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


@st.composite
def matrices(draw: st.DrawFn) -> Floats:
    """Small whole numbers, of which many equilibria come."""
    n = draw(st.integers(1, 6))
    numbers = draw(st.lists(st.integers(0, 3), min_size=n * n, max_size=n * n))
    return np.array(numbers, dtype=float).reshape(n, n)


def entropy(probabilities: Floats) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())


def some_equilibrium(payoffs: Floats, objective: Floats) -> Floats:
    n = len(payoffs)
    found = linprog(objective, A_ub=payoffs, b_ub=np.zeros(n), A_eq=np.ones((1, n)), b_eq=[1])
    equilibrium: Floats = found.x
    return equilibrium


def test_elo_recovers_ratings() -> None:
    ratings = np.array([1200.0, 1450, 1500, 1600, 1750])
    probability = 1 / (1 + 10 ** ((ratings - ratings[:, None]) / 400))
    np.testing.assert_allclose(elo(1e9 * probability), ratings, atol=1e-3)


def test_elo_of_two_is_their_odds() -> None:
    first, second = elo(np.array([[0, 89.5], [8.5, 0]]))  # with the one that was drawn, 90 : 9
    assert first - second == pytest.approx(400)
    assert first + second == pytest.approx(3000)


def test_elo_is_finite_where_all_is_won() -> None:
    ratings = elo(np.triu(np.full((5, 5), 1e6), 1))
    assert (np.diff(ratings) < -400).all()
    np.testing.assert_allclose(elo(np.zeros((3, 3))), 1500)


@settings(deadline=None, max_examples=30)
@given(matrices(), st.randoms(use_true_random=False))
def test_elo_does_not_depend_on_names(wins: Floats, random: Random) -> None:
    order = list(range(len(wins)))
    random.shuffle(order)
    ratings = elo(wins)
    np.testing.assert_allclose(elo(wins[np.ix_(order, order)]), ratings[order], atol=1e-6)
    np.testing.assert_allclose(elo(wins.T), 3000 - ratings, atol=1e-6)
    assert ratings.mean() == pytest.approx(1500)


def test_rock_paper_scissors_is_uniform() -> None:
    equilibrium, payoffs = nash_average(ROCK_PAPER_SCISSORS)
    np.testing.assert_allclose(equilibrium, 1 / 3, atol=1e-7)
    np.testing.assert_allclose(payoffs, 0, atol=1e-7)


def test_who_is_dominated_gets_nothing() -> None:
    matrix = np.pad(ROCK_PAPER_SCISSORS, (0, 1))
    matrix[:3, 3], matrix[3, :3] = (2, 3, 4), (-2, -3, -4)
    equilibrium, payoffs = nash_average(matrix)
    assert equilibrium[3] == 0
    np.testing.assert_allclose(equilibrium[:3], 1 / 3, atol=1e-7)
    np.testing.assert_allclose(payoffs, [0, 0, 0, -3], atol=1e-7)


def test_the_best_gets_all() -> None:
    skill = np.array([3.0, 1, 2])
    equilibrium, payoffs = nash_average(skill[:, None] - skill)
    assert equilibrium.tolist() == [1, 0, 0]
    np.testing.assert_allclose(payoffs, skill - 3)


def test_clones_share_what_one_had() -> None:
    """In a cycle of unequal stakes, whose equilibrium is 1/4, 1/2, 1/4 (each weighs as the others' game)."""
    cycle = np.array([[0.0, -1, 2], [1, 0, -1], [-2, 1, 0]])
    weights, before = nash_average(cycle)
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.25], atol=1e-7)
    cloned = cycle[np.ix_([0, 1, 2, 1], [0, 1, 2, 1])]
    equilibrium, payoffs = nash_average(cloned)
    np.testing.assert_allclose(equilibrium, [0.25, 0.25, 0.25, 0.25], atol=1e-7)
    np.testing.assert_allclose(payoffs, before[[0, 1, 2, 1]], atol=1e-7)


@settings(deadline=None, max_examples=30)
@given(matrices(), st.integers(0, 2**32 - 1))
def test_it_is_the_equilibrium_of_largest_entropy(matrix: Floats, seed: int) -> None:
    antisymmetric = matrix - matrix.T
    rng, n = np.random.default_rng(seed), len(matrix)
    equilibrium, payoffs = nash_average(antisymmetric)
    assert equilibrium.sum() == pytest.approx(1)
    assert (equilibrium >= 0).all()
    assert payoffs.max() < 1e-6
    others = [some_equilibrium(antisymmetric, rng.normal(size=n)) for _ in range(4)]
    others.append(rng.dirichlet(np.ones(4)) @ np.array(others))
    for other in others:
        for near in (other, 0.9 * equilibrium + 0.1 * other):
            assert entropy(near) < entropy(equilibrium) + 1e-6
        assert (other[equilibrium == 0] < 1e-6).all()


@settings(deadline=None, max_examples=30)
@given(matrices(), st.randoms(use_true_random=False))
def test_an_equilibrium_does_not_depend_on_names_and_units(matrix: Floats, random: Random) -> None:
    antisymmetric = matrix - matrix.T
    order = list(range(len(matrix)))
    random.shuffle(order)
    equilibrium, payoffs = nash_average(antisymmetric)
    renamed, scaled = nash_average(100 * antisymmetric[np.ix_(order, order)])
    np.testing.assert_allclose(renamed, equilibrium[order], atol=1e-5)
    np.testing.assert_allclose(scaled, 100 * payoffs[order], atol=1e-3)
