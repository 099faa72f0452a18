"""CFR, iteration by iteration, against a plain implementation that walks histories.

Few iterations: regret matching amplifies rounding errors about tenfold every fifteen iterations.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pyspiel
import pytest
import torch
from belief_states import LinearLeaves, belief_states, leduc_state, random_beliefs, whole_from
from naive_cfr import NaiveCFR
from open_spiel.python.algorithms import cfr as openspiel_cfr
from open_spiel.python.algorithms import discounted_cfr
from oracles import Floats, best_response_values, decision_states, pairs, strategy_tensor
from solvers import EITHER_SOLVER, Start

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.tree import build_tree

KUHN, LEDUC, BEFORE_DEAL = Kuhn(), Leduc(), Leduc(leaves="before_deal")
BOTH_WAYS = pytest.mark.parametrize("alternating", [True, False], ids=["alternating", "simultaneous"])
EVERY_RULE = pytest.mark.parametrize("rule", RULES)


def forest_of(game: Game, root: Any, *, depth_limited: bool = False) -> Forest:
    return Forest(game, [build_tree(game, root, depth_limited=depth_limited)], dtype=torch.float64)


def assert_same(forest: Forest, cfr: CFR, naive: NaiveCFR) -> None:
    for ours, theirs in ((cfr.strategy, naive.strategy), (cfr.average_strategy(), naive.average())):
        torch.testing.assert_close(ours, strategy_tensor(forest, [theirs]), rtol=0, atol=1e-10)
    np.testing.assert_allclose(cfr.root_values()[:, 0].numpy(), naive.root_values(), rtol=0, atol=1e-12)


COMPLETE = [
    (game, root) for game in (KUHN, LEDUC) for root in belief_states(game) if not whole_from(game, root)
]


@lru_cache(maxsize=1)  # both solvers come one after the other
def naive_of_complete(number: int, rule: str, alternating: bool) -> NaiveCFR:
    game, root = COMPLETE[number]
    belief = random_beliefs(game, root, seed=number)
    return NaiveCFR(game, root, belief, rule, alternating=alternating).run(12)


@EITHER_SOLVER
@EVERY_RULE
@BOTH_WAYS
@pytest.mark.parametrize("number", range(len(COMPLETE)))
def test_complete_subgames_of_any_beliefs(number: int, rule: str, alternating: bool, search: Start) -> None:
    game, root = COMPLETE[number]
    belief = random_beliefs(game, root, seed=number)
    forest = forest_of(game, root)
    cfr = search(forest, torch.as_tensor(belief)[:, None], RULES[rule], alternating=alternating).run(12)
    assert_same(forest, cfr, naive_of_complete(number, rule, alternating))


@lru_cache(maxsize=1)
def naive_of_leduc(rule: str, alternating: bool) -> NaiveCFR:
    return NaiveCFR(LEDUC, LEDUC.root(), LEDUC.initial_beliefs, rule, alternating=alternating).run(4)


@EITHER_SOLVER
@EVERY_RULE
@BOTH_WAYS
def test_the_whole_of_leduc(rule: str, alternating: bool, search: Start) -> None:
    belief, forest = LEDUC.initial_beliefs, forest_of(LEDUC, LEDUC.root())
    cfr = search(forest, torch.as_tensor(belief)[:, None], RULES[rule], alternating=alternating).run(4)
    assert_same(forest, cfr, naive_of_leduc(rule, alternating))


LIMITED: list[tuple[Game, Any]] = [
    *((Kuhn(depth_limit=limit), root) for limit in (1, 2) for root in belief_states(KUHN)[: 3 - limit]),
    *((BEFORE_DEAL, leduc_state(LEDUC, line)) for line in ("", "cr", "rc")),
    (LEDUC, leduc_state(LEDUC, "")),
    (LEDUC, leduc_state(LEDUC, "rr")),
    (LEDUC, leduc_state(LEDUC, "crrc")),
]


@lru_cache(maxsize=1)
def naive_of_limited(number: int, rule: str, alternating: bool) -> NaiveCFR:
    game, root = LIMITED[number]
    leaves = LinearLeaves(game, seed=number)
    return NaiveCFR(
        game,
        root,
        random_beliefs(game, root, seed=number),
        rule,
        alternating=alternating,
        leaf_value=lambda state, beliefs: leaves.in_numpy(game, state, beliefs),
    ).run(8)


@EITHER_SOLVER
@EVERY_RULE
@BOTH_WAYS
@pytest.mark.parametrize("number", range(len(LIMITED)))
def test_depth_limited_subgames_of_any_beliefs(
    number: int, rule: str, alternating: bool, search: Start
) -> None:
    game, root = LIMITED[number]
    belief, leaves = random_beliefs(game, root, seed=number), LinearLeaves(game, seed=number)
    forest = forest_of(game, root, depth_limited=True)
    assert len(forest.leaves)
    cfr = search(
        forest,
        torch.as_tensor(belief)[:, None],
        RULES[rule],
        alternating=alternating,
        leaf_evaluator=leaves,
    ).run(8)
    assert_same(forest, cfr, naive_of_limited(number, rule, alternating))


def openspiel_strategy(forest: Forest, solver: Any) -> torch.Tensor:
    """OpenSpiel's average policy of Kuhn as a strategy of ours."""
    policy = solver.average_policy()
    table = {
        state: np.stack([policy.policy_for_key(KUHN.information_state(state, hand)) for hand in range(3)], 1)
        for _, state in decision_states(forest)
    }
    return strategy_tensor(forest, [table])


@EITHER_SOLVER
@pytest.mark.parametrize(
    ("rule", "alternating", "solver"),
    [
        ("linear_cfr", True, discounted_cfr.LCFRSolver),
        ("dcfr", True, discounted_cfr.DCFRSolver),
        ("cfr", True, openspiel_cfr.CFRSolver),
        ("cfr_plus", True, openspiel_cfr.CFRPlusSolver),
        ("cfr", False, lambda game: openspiel_cfr._CFRSolver(game, False, False, False)),
        ("cfr_plus", False, lambda game: openspiel_cfr._CFRSolver(game, False, True, True)),
    ],
)
def test_average_strategies_of_kuhn_are_openspiels(
    rule: str, alternating: bool, solver: Any, search: Start
) -> None:
    forest, theirs = forest_of(KUHN, KUHN.root()), solver(pyspiel.load_game("kuhn_poker"))
    belief = torch.as_tensor(KUHN.initial_beliefs)[:, None]
    ours = search(forest, belief, RULES[rule], alternating=alternating)
    for iterations in (1, 2, 3, 10, 40):
        while ours.iteration < iterations:
            ours.step()
            theirs.evaluate_and_update_policy()
        expected = openspiel_strategy(forest, theirs)
        torch.testing.assert_close(ours.average_strategy(), expected, rtol=0, atol=1e-9)


@EITHER_SOLVER
@EVERY_RULE
@pytest.mark.parametrize("number", range(0, len(COMPLETE), 2))
def test_simultaneous_root_values_are_zero_sum_under_the_joint(rule: str, number: int, search: Start) -> None:
    game, root = COMPLETE[number]
    belief = torch.as_tensor(random_beliefs(game, root, seed=number))[:, None]
    forest = forest_of(game, root)
    cfr = search(forest, belief, RULES[rule], alternating=False).run(10)
    won = (belief * forest.mass(belief.flip(0)) * cfr.root_infostate_values()).sum(-1)
    assert won.abs().max() > 1e-6
    torch.testing.assert_close(won.sum(0), torch.zeros(1, dtype=torch.float64), rtol=0, atol=1e-14)


@EITHER_SOLVER
def test_root_infostate_values_are_root_values_per_opponent_mass(search: Start) -> None:
    root = leduc_state(LEDUC, "rc/", 3)
    belief = np.zeros((2, 6))
    belief[0, [0, 4]], belief[1, 5] = 0.5, 1
    cfr = search(
        forest_of(LEDUC, root), torch.as_tensor(belief)[:, None], RULES["cfr"], alternating=False
    ).run(3)
    values, infostate_values = cfr.root_values()[:, 0], cfr.root_infostate_values()[:, 0]
    mass = np.array([[1, 1, 1, 1, 1, 0], [0.5, 1, 1, 1, 0.5, 1]]) / 30
    np.testing.assert_allclose(infostate_values.numpy() * mass, values.numpy(), rtol=0, atol=1e-15)
    assert infostate_values[0, 5] == 0, "the opponent holds this very hand"
    assert (infostate_values[:, 3] == 0).all(), "the board"
    assert (infostate_values[0, [1, 2, 4]] != 0).all(), "hands without belief have values"


@EITHER_SOLVER
@pytest.mark.parametrize("line", ["cc/", "rc/r"])
def test_hands_without_belief_are_worth_a_best_response(line: str, search: Start) -> None:
    """Their regrets are minimised as well, against an opponent who does not expect them."""
    root = leduc_state(LEDUC, line, 2)
    belief: Floats = np.zeros((2, 6))
    belief[0, [0, 1]], belief[1, [3, 4, 5]] = [0.3, 0.7], [0.2, 0.5, 0.3]
    forest = forest_of(LEDUC, root)
    cfr = search(forest, torch.as_tensor(belief)[:, None], RULES["cfr_plus"], alternating=True).run(1500)
    average = cfr.average_strategy()
    policy = {
        state: average[: len(LEDUC.actions(state)), d].numpy()
        for d, (_, state) in enumerate(decision_states(forest))
    }
    assert len(pairs(LEDUC, root)) == 20
    infostate_values = cfr.root_infostate_values()[:, 0].numpy()
    mass = forest.mass(torch.as_tensor(belief).flip(0)).numpy()
    for player, hands in ((0, [3, 4, 5]), (1, [0, 1])):
        best = best_response_values(LEDUC, root, player, policy, belief[1 - player])
        for hand in hands:
            assert infostate_values[player, hand] == pytest.approx(best[hand] / mass[player, hand], abs=0.02)
