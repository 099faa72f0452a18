"""Update rules: published settings, their arithmetic, and mistakes named in one line."""

import re
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor

from pokerlab.games.leduc import Leduc
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES, UpdateRule, update_rule
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree


def test_published_settings() -> None:
    assert update_rule("cfr") == UpdateRule("cfr", alpha=inf, beta=inf, gamma=0)
    assert update_rule("cfr_plus") == UpdateRule("cfr_plus", alpha=inf, beta=inf, gamma=1, floor=True)
    assert update_rule("linear_cfr") == UpdateRule("linear_cfr", alpha=1, beta=1, gamma=1)
    assert update_rule("dcfr") == UpdateRule("dcfr", alpha=1.5, beta=0, gamma=2)
    assert update_rule("pcfr_plus") == UpdateRule("pcfr_plus", gamma=2, floor=True, predictive=True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("averaging", "weight_of_3"), [("uniform", 1), ("linear", 3), ("quadratic", 9)])
def test_averaging_is_the_weight_of_an_iteration(rule: str, averaging: str, weight_of_3: int) -> None:
    chosen = update_rule(rule, averaging)
    assert [chosen.weight(1), chosen.weight(3)] == [1, weight_of_3]
    assert chosen.discounts(7) == RULES[rule].discounts(7), "averaging is no business of regrets"


def test_regret_discounts() -> None:
    assert RULES["cfr"].discounts(1000) == (1, 1)
    assert RULES["linear_cfr"].discounts(4) == (3 / 4, 3 / 4)
    assert RULES["dcfr"].discounts(1) == (1, 1), "nothing to discount yet"
    assert RULES["dcfr"].discounts(5) == (8 / 9, 1 / 2)
    assert update_rule("dcfr", alpha=2, beta=-1).discounts(3) == (4 / 5, 1 / 3)


def test_exponents_of_dcfr_are_taken_one_by_one() -> None:
    assert update_rule("dcfr", alpha=3.0) == UpdateRule("dcfr", alpha=3.0, beta=0, gamma=2)
    assert update_rule("dcfr", beta=0.5) == UpdateRule("dcfr", alpha=1.5, beta=0.5, gamma=2)
    assert update_rule("dcfr", gamma=0.0) == UpdateRule("dcfr", alpha=1.5, beta=0, gamma=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "cfr+"},
            "unknown update rule 'cfr+': expected one of cfr, cfr_plus, linear_cfr, dcfr, pcfr_plus",
        ),
        (
            {"name": "dcfr", "averaging": "cubic"},
            "unknown averaging 'cubic': expected one of uniform, linear, quadratic",
        ),
        ({"name": "cfr", "gamma": 2.0}, "gamma given for cfr: only dcfr has them"),
        (
            {"name": "pcfr_plus", "alpha": 1.0, "beta": 0.0},
            "alpha, beta given for pcfr_plus: only dcfr has them",
        ),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        update_rule(**arguments)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Solver(arguments.pop("name"), **arguments)


def test_the_solver_is_dcfr_with_players_in_turn_unless_told_otherwise() -> None:
    solver = Solver()
    assert (solver.rule, solver.alternating) == (RULES["dcfr"], True)
    other = Solver("cfr_plus", "quadratic", alternating=False)
    assert (other.rule, other.alternating) == (UpdateRule("cfr_plus", gamma=2, floor=True), False)


class Worthless:
    """Leaves."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> Callable[[Tensor], Tensor]:
        return torch.zeros_like


def test_subgames_with_leaves_may_have_a_rule_of_their_own() -> None:
    assert Solver("cfr_plus").rule_of(has_leaves=True) == RULES["cfr_plus"]
    solver, game = Solver("dcfr", gamma=4.0, leaf_rule="linear_cfr", leaf_averaging="quadratic"), Leduc()
    assert solver.rule_of(has_leaves=True) == update_rule("linear_cfr", "quadratic")
    assert solver.rule_of(has_leaves=False) == update_rule("dcfr", gamma=4.0)
    for depth_limited, rule in ((True, solver.leaf_rule), (False, solver.rule)):
        forest = Forest(game, [build_tree(game, game.root(), depth_limited=depth_limited)])
        belief = torch.as_tensor(game.initial_beliefs).to(forest.dtype)[:, None]
        assert solver.start(forest, belief, Worthless()).rule == rule
    # what is solved beside it must not matter
    opening, second = game.root(), build_tree(game, game.root(), depth_limited=True).leaves.states[0]
    mixed, subgames, like = [opening, second, second, opening], Subgames(game), torch.empty(0)
    places = [place for place, _ in subgames.forests(mixed, like, 1e9, apart=True)]
    assert places == [slice(0, 1), slice(1, 3), slice(3, 4)]
    assert [place for place, _ in subgames.forests(mixed, like, 1e9)] == [slice(0, 4)]
    with pytest.raises(ValueError, match=r"^leaf_averaging is 'linear' without a leaf_rule$"):
        Solver(leaf_averaging="linear")
    with pytest.raises(ValueError, match=r"^leaf_rule cannot be had: unknown update rule 'best'"):
        Solver(leaf_rule="best")
