"""Depth limits: what is asked at leaves, and that exact answers make the solve exact."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from belief_states import LinearLeaves, leduc_state, random_beliefs
from hypothesis import given
from hypothesis import strategies as st
from naive_cfr import NaiveCFR
from oracles import Policy, continuation_values, decision_states, strategy_tensor
from solvers import EITHER_SOLVER, Start, with_loops, with_tensors
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.search.best_response import strategy_values
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafValues
from pokerlab.search.rules import RULES
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)
BOTH_WAYS = pytest.mark.parametrize("alternating", [True, False], ids=["alternating", "simultaneous"])


class FixedContinuation:
    """What leaves are worth if both players go on with a given policy, by sums over hand pairs."""

    def __init__(self, forest: Forest, policy: Policy) -> None:
        self.game, self.policy = forest.game, policy
        found = zip(forest.leaves.tree, forest.leaves.node, strict=True)
        self.states = [forest.trees[tree].leaves.states[node] for tree, node in found]

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        def values(beliefs: Tensor) -> Tensor:
            found = [
                continuation_values(self.game, state, beliefs[:, leaf].numpy(), self.policy)
                for leaf, state in enumerate(self.states)
            ]
            return torch.as_tensor(np.stack(found, 1))

        return values


def continuation_of(game: Game, root: Any, seed: int) -> Policy:
    """A random policy of every decision state below ``root``'s depth limit."""
    generator = np.random.default_rng(seed)
    above = set(build_tree(game, root, depth_limited=True).decisions.states)
    everywhere = build_tree(game, root, depth_limited=False).decisions.states
    return {
        state: generator.dirichlet(np.ones(len(game.actions(state))), game.num_hands).T
        for state in everywhere
        if state not in above
    }


@lru_cache(maxsize=1)  # both solvers come one after the other
def full_tree(game: Game, root: Any, iterations: int, rule: str, alternating: bool) -> NaiveCFR:
    """The full tree, walked history by history, with the continuation held fixed."""
    policy, belief = continuation_of(game, root, 1), random_beliefs(game, root, 2)
    return NaiveCFR(game, root, belief, rule, alternating=alternating, fixed=policy).run(iterations)


@EITHER_SOLVER
@BOTH_WAYS
@pytest.mark.parametrize("rule", ["cfr", "pcfr_plus", "dcfr"])
@pytest.mark.parametrize(
    ("game", "line", "iterations"),
    [
        (Kuhn(depth_limit=1), None, 20),
        (Kuhn(depth_limit=2), None, 20),
        (Leduc(leaves="before_deal"), "crr", 5),
        (Leduc(leaves="after_deal"), "crr", 5),
        (Leduc(leaves="before_deal"), "", 2),
        (Leduc(leaves="after_deal"), "", 2),
    ],
)
def test_exact_leaf_values_make_the_solve_that_of_the_full_tree(
    game: Game, line: str | None, iterations: int, rule: str, alternating: bool, search: Start
) -> None:
    root = game.root() if line is None else leduc_state(game, line)
    policy, belief = continuation_of(game, root, 1), random_beliefs(game, root, 2)
    forest = Subgames(game).forest([root], DOUBLE)
    cfr = search(
        forest,
        torch.as_tensor(belief)[:, None],
        RULES[rule],
        alternating=alternating,
        leaf_evaluator=FixedContinuation(forest, policy),
    ).run(iterations)
    full = full_tree(game, root, iterations, rule, alternating)
    for ours, theirs in ((cfr.strategy, full.strategy), (cfr.average_strategy(), full.average())):
        torch.testing.assert_close(ours, strategy_tensor(forest, [theirs]), rtol=0, atol=1e-10)
    np.testing.assert_allclose(cfr.root_values()[:, 0].numpy(), full.root_values(), rtol=0, atol=1e-12)


@EITHER_SOLVER
@pytest.mark.parametrize("line", ["cc", "rrc"])
def test_the_deal_as_a_subgame_is_worth_what_it_is_worth_as_a_leaf(line: str, search: Start) -> None:
    """One layer up or down, blocked hands masked: the mean over the cards that remain."""
    game = Leduc(leaves="before_deal")
    root, deal = game.root(), leduc_state(game, line)
    policy, belief = continuation_of(game, root, 5), random_beliefs(game, deal, 6)
    forest = Subgames(game).forest([deal], DOUBLE)
    assert (forest.num_decisions, len(forest.leaves)) == (0, 6)
    evaluator, joint = FixedContinuation(forest, policy), torch.as_tensor(belief)[:, None]
    cfr = search(forest, joint, RULES["dcfr"], alternating=False, leaf_evaluator=evaluator).run(1)
    expected = continuation_values(game, deal, belief, policy) * game.pot(deal)
    np.testing.assert_allclose(cfr.root_infostate_values()[:, 0].numpy(), expected, rtol=0, atol=1e-13)


@EITHER_SOLVER
@BOTH_WAYS
def test_leaves_are_asked_at_every_iteration_under_the_beliefs_of_its_strategy(
    alternating: bool, search: Start
) -> None:
    game = Leduc()
    root = game.root()
    forest = Subgames(game).forest([root, leduc_state(game, "r")], DOUBLE)
    beliefs = np.stack([random_beliefs(game, root, seed) for seed in (1, 2)], 1)
    belief, leaves = torch.as_tensor(beliefs), LinearLeaves(game)
    cfr = search(forest, belief, RULES["cfr"], alternating=alternating, leaf_evaluator=leaves)
    for iteration in range(1, 7):
        strategy = cfr.strategy.clone()
        cfr.step()
        assert len(leaves.queries) == iteration * (2 if alternating else 1)
        asked = leaves.queries[-2 if alternating else -1]
        for queried in (asked, leaves.queries[-1]):
            assert (queried >= 0).all()
            assert (queried[:, forest.leaves.possible == 0] == 0).all()
            torch.testing.assert_close(queried.sum(-1), torch.ones(queried.shape[:2], dtype=torch.float64))
        weight = forest.reach(strategy)[forest.leaves.row] * belief[:, forest.leaves.subgame]
        reached = (weight * forest.leaves.possible).sum(-1) > 0
        expected = forest.beliefs_at(forest.leaves, forest.reach(strategy), belief)
        torch.testing.assert_close(asked[reached], expected[reached], rtol=0, atol=1e-14)


@EITHER_SOLVER
@pytest.mark.parametrize("rule", ["cfr", "dcfr"])
def test_cfr_avg_asks_about_the_average_strategy_and_samples_it(rule: str, search: Start) -> None:
    game = Leduc()
    root = game.root()
    forest = Subgames(game).forest([root, leduc_state(game, "r")], DOUBLE)
    beliefs = np.stack([random_beliefs(game, root, seed) for seed in (1, 2)], 1)
    belief, leaves = torch.as_tensor(beliefs), LinearLeaves(game)
    cfr = search(forest, belief, RULES[rule], alternating=False, leaf_evaluator=leaves, average_leaves=True)
    subgame, iteration = np.array([0, 0, 1, 1, 1]), np.array([1, 4, 2, 5, 6])
    samples, averages = SampledStrategies(forest, subgame, iteration), []
    for _ in range(6):
        averages.append(cfr.average_strategy())
        cfr.run(1, samples)
        expected = forest.beliefs_at(forest.leaves, forest.reach(cfr.average_strategy()), belief)
        torch.testing.assert_close(leaves.queries[-1], expected, rtol=0, atol=1e-14)
    nodes = samples.copies.decisions
    for d, (copy, node) in enumerate(zip(nodes.subgame.tolist(), nodes.node, strict=True)):
        [there] = forest.decision_index(subgame[[copy]], np.array([node]))
        kept, average = samples.strategy[:, d], averages[iteration[copy] - 1][:, there]
        torch.testing.assert_close(kept, average, rtol=0, atol=1e-14)


@EITHER_SOLVER
@BOTH_WAYS
def test_cfr_avg_values_a_leaf_as_the_average_strategy_reaches_it(alternating: bool, search: Start) -> None:
    """Player 1 of Kuhn, whose decisions all come later: its value is the weighted mean of the leaves'."""
    game, rule = Kuhn(depth_limit=1), RULES["dcfr"]
    forest, leaves = Subgames(game).forest([game.root()], DOUBLE), LinearLeaves(game)
    belief = torch.tensor([[[0.2, 0.3, 0.5]], [[0.5, 0.4, 0.1]]], dtype=torch.float64)
    cfr = search(forest, belief, rule, alternating=alternating, leaf_evaluator=leaves, average_leaves=True)
    total, weights, sums = torch.zeros(3, dtype=torch.float64), 0.0, torch.zeros(2, 3, dtype=torch.float64)
    for t in range(1, 9):
        met = cfr.strategy[:, 0].clone()
        cfr.step()
        if alternating:  # player 1 answers player 0's new strategy
            met = cfr.strategy[:, 0].clone()
        sums += rule.weight(t) * met * belief[0]
        weights += rule.weight(t)
        beliefs = torch.stack([sums / sums.sum(-1, keepdim=True), belief[1].expand(2, 3)])
        worth = leaves.at(forest.leaves.features, forest.leaves.possible)(beliefs)[1]
        chips = worth * forest.leaves.pot[:, None]
        total += rule.weight(t) * (chips * forest.mass(sums / weights)).sum(0)
    torch.testing.assert_close(cfr.root_values()[1, 0], total / weights, rtol=0, atol=1e-13)


@BOTH_WAYS
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(RULES)))
def test_both_solvers_agree_on_cfr_avg(alternating: bool, seed: int, rule: str) -> None:
    game = Leduc()
    roots = [leduc_state(game, line) for line in ("", "r", "cc", "rc/", "cc/cr")]
    forest = Subgames(game).forest(roots, DOUBLE)
    belief = torch.as_tensor(np.stack([random_beliefs(game, root, seed) for root in roots], 1))
    plain, fast = (
        search(
            forest,
            belief,
            RULES[rule],
            alternating=alternating,
            leaf_evaluator=LinearLeaves(game, seed % 100),
            average_leaves=True,
        ).run(8)
        for search in (with_tensors, with_loops)
    )
    torch.testing.assert_close(fast.average_strategy(), plain.average_strategy(), rtol=0, atol=1e-9)
    torch.testing.assert_close(fast.root_values(), plain.root_values(), rtol=0, atol=1e-10)


class OneSided:
    """Leaves whose worth makes player 0 of Kuhn pass or bet with every hand alike, as told."""

    def __init__(self) -> None:
        self.passing_is_worth = 1.0
        self.queries: list[Tensor] = []

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        def values(beliefs: Tensor) -> Tensor:
            self.queries.append(beliefs.clone())
            worth = torch.tensor([self.passing_is_worth, -self.passing_is_worth], dtype=beliefs.dtype)
            return torch.stack([worth, -worth])[:, :, None].expand_as(beliefs)

        return values


@EITHER_SOLVER
def test_a_leaf_that_is_not_reached_keeps_its_last_belief(search: Start) -> None:
    game, leaves = Kuhn(depth_limit=1), OneSided()
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.tensor([[[0.2, 0.3, 0.5]], [[0.5, 0.4, 0.1]]], dtype=torch.float64)
    cfr = search(forest, belief, RULES["cfr_plus"], alternating=False, leaf_evaluator=leaves)
    cfr.step()  # uniform: both leaves are reached
    for _ in range(3):  # then nobody bets
        assert cfr.strategy[1].abs().max() == 0
        cfr.step()
    for asked in leaves.queries:
        torch.testing.assert_close(asked, belief.expand(2, 2, 3), rtol=0, atol=1e-15)
    values = cfr.root_infostate_values()[:, 0]
    assert values[0].tolist() == pytest.approx([2 * 0.9 - 0.1 * 0.5] * 3), "weights 1 of 10 for iteration 1"
    assert values[1].tolist() == pytest.approx([-2 * 0.9 + 0.1 * 0.5] * 3)


@EITHER_SOLVER
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(RULES)), st.booleans())
def test_beliefs_in_single_hands_leave_nothing_undefined(
    search: Start, seed: int, rule: str, alternating: bool
) -> None:
    """Boards that block all that is believed, opponents who hold the very same card, in float32."""
    game, generator = Leduc(), np.random.default_rng(seed)
    roots = [leduc_state(game, line, 2) for line in ("", "rr", "cc", "rc/", "cc/cr")]
    belief = torch.zeros(2, len(roots), 6)
    for player in (0, 1):
        for b, root in enumerate(roots):
            belief[player, b, generator.choice(np.flatnonzero(game.possible_hands(root)))] = 1
    forest, leaves = Subgames(game).forest(roots, torch.empty(0)), LinearLeaves(game, seed % 100)
    cfr = search(forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=leaves).run(25)
    for asked in leaves.queries:
        torch.testing.assert_close(asked.sum(-1), torch.ones(asked.shape[:2]))
    average = cfr.average_strategy().sum(0)
    torch.testing.assert_close(average, torch.ones_like(average))
    for tensor in (cfr.strategy, cfr.root_values(), cfr.root_infostate_values()):
        assert tensor.isfinite().all()


@EITHER_SOLVER
def test_own_beliefs_change_neither_values_nor_play_where_there_are_no_leaves(search: Start) -> None:
    """A hand's regrets see only the opponent's reach: zero belief in it makes no difference at first."""
    game = Leduc()
    root = leduc_state(game, "rc/", 1)
    forest = Subgames(game).forest([root], DOUBLE)
    full = torch.as_tensor(random_beliefs(game, root, 1))[:, None]
    other = full.clone()
    other[0, 0] = torch.as_tensor(random_beliefs(game, root, 8))[0]
    assert ((full[0] == 0) != (other[0] == 0)).any()
    first, second = (
        search(forest, belief, RULES["dcfr"], alternating=True).run(1) for belief in (full, other)
    )
    mine = forest.player_nodes[0]
    assert torch.equal(first.root_values()[0], second.root_values()[0])
    assert torch.equal(first.strategy[:, mine], second.strategy[:, mine])
    assert not torch.equal(first.root_values()[1], second.root_values()[1])


@EITHER_SOLVER
def test_a_forest_with_leaves_needs_an_evaluator(search: Start) -> None:
    game = Kuhn(depth_limit=2)
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    assert [state.actions for _, state in decision_states(forest)] == [(), (0,), (1,)]
    with pytest.raises(ValueError, match="the forest has 1 depth-limit leaves: a leaf evaluator is needed"):
        search(forest, belief, RULES["cfr"], alternating=True)


@pytest.mark.parametrize(
    ("game", "line"),
    [(Kuhn(depth_limit=2), None), (Leduc(leaves="before_deal"), "crr"), (Leduc(), ""), (Leduc(), "rrc")],
)
def test_the_values_of_a_strategy_are_sums_over_hand_pairs(game: Game, line: str | None) -> None:
    root = game.root() if line is None else leduc_state(game, line)
    below = continuation_of(game, root, 3)
    forest = Subgames(game).forest([root, root], DOUBLE)
    above = [_random_play(game, forest, seed) for seed in (6, 7)]
    beliefs = [random_beliefs(game, root, seed) for seed in (4, 5)]
    found = strategy_values(
        forest,
        strategy_tensor(forest, above),
        torch.as_tensor(np.stack(beliefs, 1)),
        FixedContinuation(forest, below),
    )
    for subgame, (belief, policy) in enumerate(zip(beliefs, above, strict=True)):
        expected = continuation_values(game, root, belief, below | policy) * game.pot(root)
        np.testing.assert_allclose(found[:, subgame].numpy(), expected, rtol=0, atol=1e-12)


def _random_play(game: Game, forest: Forest, seed: int) -> Policy:
    generator, states = np.random.default_rng(seed), forest.trees[0].decisions.states
    return {s: generator.dirichlet(np.ones(len(game.actions(s))), game.num_hands).T for s in states}


@pytest.mark.parametrize("backend", ["tensors", "compiled"])
def test_a_deal_asks_about_its_leaves_once_for_both_players(backend: str) -> None:
    game = Leduc(leaves="before_deal")
    deals = [leduc_state(game, line) for line in ("cc", "rc")]
    beliefs = np.stack([random_beliefs(game, state, seed) for seed, state in enumerate(deals)], 1)
    forest, leaves = Subgames(game).forest(deals, DOUBLE), LinearLeaves(game)
    assert forest.num_decisions == 0
    solver = Solver(backend=backend)
    found = solver.start(forest, torch.as_tensor(beliefs), leaves).run(1)
    assert len(leaves.queries) == 1
    in_turn = CFR(
        forest,
        torch.as_tensor(beliefs),
        solver.rule,
        alternating=True,
        backend=backend,
        leaf_evaluator=leaves,
    ).run(1)
    assert len(leaves.queries) == 3
    torch.testing.assert_close(found.root_values(), in_turn.root_values(), rtol=0, atol=1e-12)
