"""A forest is one tree at a time; depth limits and beliefs mean what they should."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.search.best_response import exploitability
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafValues
from pokerlab.search.rules import RULES, update_rule
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)


class LinearLeaves:
    """Some fixed function of features and beliefs."""

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        scale = features.sum(1)[None, :, None] + 1

        def values(beliefs: Tensor) -> Tensor:
            ramp = torch.arange(beliefs.shape[-1], dtype=beliefs.dtype)
            return (beliefs * 2 - beliefs.flip(0) + 0.1 * ramp) * scale * possible

        return values


def leduc_states(game: Leduc) -> list[LeducState]:
    """The root, and the starts of the second round; before_deal: the deals too."""
    root = game.root()
    tree = build_tree(game, root, depth_limited=True)
    after = list(tree.leaves.states)
    if game.leaves == "before_deal":
        after += [dealt for leaf in after for dealt in game.chance_outcomes(leaf)]
    return [root, *after]


def random_beliefs(game: Game, states: Sequence[Any], seed: int, *, sparse: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    beliefs = torch.rand(2, len(states), game.num_hands, generator=generator, dtype=torch.float64) + 1e-3
    if sparse:
        beliefs *= torch.rand(beliefs.shape, generator=generator) < 0.5
    possible = torch.as_tensor(np.stack([game.possible_hands(state) for state in states]))
    beliefs = (beliefs + 1e-9) * possible if sparse else beliefs * possible
    return beliefs / beliefs.sum(-1, keepdim=True)


@given(
    seed=st.integers(0, 10_000),
    leaves=st.sampled_from(["before_deal", "after_deal"]),
    rule=st.sampled_from(sorted(RULES)),
    alternating=st.booleans(),
)
def test_a_forest_of_mixed_shapes_equals_one_tree_at_a_time(
    seed: int, leaves: str, rule: str, alternating: bool
) -> None:
    game = Leduc(leaves)
    every = leduc_states(game)
    picked = np.random.default_rng(seed).choice(len(every), size=5)
    states = [every[i] for i in picked]
    beliefs, subgames = random_beliefs(game, states, seed), Subgames(game)

    def solve(chosen: list[int]) -> CFR:
        forest = subgames.forest([states[i] for i in chosen], DOUBLE)
        solver = CFR(
            forest,
            beliefs[:, chosen],
            update_rule(rule),
            alternating=alternating,
            leaf_evaluator=LinearLeaves(),
        )
        return solver.run(8)

    together = solve(list(range(5)))
    for i in range(5):
        alone = solve([i])
        torch.testing.assert_close(
            together.root_infostate_values()[:, [i]], alone.root_infostate_values(), rtol=1e-10, atol=1e-10
        )
        nodes = alone.forest.decisions
        there = together.forest.decision_index(np.full(len(nodes), i), nodes.node)
        ours = together.average_strategy()[: alone.forest.width, there]
        torch.testing.assert_close(ours, alone.average_strategy(), rtol=1e-10, atol=1e-10)


@given(seed=st.integers(0, 10_000), depth=st.sampled_from([1, 2, None]))
def test_kuhn_forests_equal_one_tree_at_a_time(seed: int, depth: int | None) -> None:
    game, subgames = Kuhn(depth), Subgames(Kuhn(depth))
    states = [game.root(), game.next_state(game.root(), 0), game.next_state(game.root(), 1), game.root()]
    beliefs = random_beliefs(game, states, seed, sparse=True)
    together = CFR(
        subgames.forest(states, DOUBLE),
        beliefs,
        update_rule("dcfr"),
        alternating=True,
        leaf_evaluator=LinearLeaves(),
    ).run(20)
    for i, state in enumerate(states):
        alone = CFR(
            subgames.forest([state], DOUBLE),
            beliefs[:, [i]],
            update_rule("dcfr"),
            alternating=True,
            leaf_evaluator=LinearLeaves(),
        ).run(20)
        torch.testing.assert_close(
            together.root_values()[:, [i]], alone.root_values(), rtol=1e-10, atol=1e-10
        )


@given(seed=st.integers(0, 10_000))
def test_simultaneous_root_values_are_zero_sum_under_the_joint(seed: int) -> None:
    game = Leduc()
    states = leduc_states(game)[1:8]
    beliefs = random_beliefs(game, states, seed)
    cfr = CFR(Subgames(game).forest(states, DOUBLE), beliefs, update_rule("linear_cfr"), alternating=False)
    total = (cfr.run(10).root_values() * beliefs).sum((0, 2))
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-12)


@given(seed=st.integers(0, 10_000), weight=st.floats(0.1, 10))
def test_payoffs_are_linear_in_opponent_reach_and_zero_sum(seed: int, weight: float) -> None:
    game = Leduc()
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(
        2, *forest.payoff.shape[1:3], game.num_hands, generator=generator, dtype=torch.float64
    )
    mixed = forest.outcome(first + weight * second)
    torch.testing.assert_close(mixed, forest.outcome(first) + weight * forest.outcome(second))
    won = (forest.outcome(second) * first).sum(-1) * forest.payoff[0, ..., 0]
    lost = (forest.outcome(first) * second).sum(-1) * forest.payoff[1, ..., 0]
    torch.testing.assert_close(won, -lost)


@given(seed=st.integers(0, 10_000))
def test_swapping_the_suits_of_leduc_swaps_the_values(seed: int) -> None:
    game, swap = Leduc(), [1, 0, 3, 2, 5, 4]
    root = build_tree(game, game.root(), depth_limited=True)
    state = root.leaves.states[seed % len(root.leaves.states)]
    assert state.board is not None
    mirrored = LeducState(state.rounds, state.committed, swap[state.board])
    beliefs = random_beliefs(game, [state], seed)
    subgames = Subgames(game)
    values = CFR(subgames.forest([state], DOUBLE), beliefs, update_rule("cfr"), alternating=True).run(10)
    mirror = CFR(
        subgames.forest([mirrored], DOUBLE), beliefs[..., swap], update_rule("cfr"), alternating=True
    ).run(10)
    torch.testing.assert_close(values.root_values()[..., swap], mirror.root_values())


class UniformBelow:
    """Kuhn's leaves, worth what uniform play below them is worth: computed deal by deal."""

    def __init__(self, game: Kuhn, states: Sequence[Any]) -> None:
        self.game, self.states = game, states

    def payoff(self, state: Any, hands: tuple[int, int]) -> float:
        if self.game.actor(state) != 3:
            below = [self.payoff(self.game.next_state(state, a), hands) for a in self.game.actions(state)]
            return sum(below) / len(below)
        first, second = self.game._commitments(state)
        if first == second:
            return first * float(np.sign(hands[0] - hands[1]))
        return 1.0 if first > second else -1.0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        table = torch.tensor(
            [[[self.payoff(s, (h, g)) for g in range(3)] for h in range(3)] for s in self.states],
            dtype=torch.float64,
        )
        deal = torch.as_tensor(self.game.deal)
        pots = torch.tensor([self.game.pot(state) for state in self.states], dtype=torch.float64)

        def values(beliefs: Tensor) -> Tensor:
            first = torch.einsum("lhg,hg,lg->lh", table, deal, beliefs[1]) / (beliefs[1] @ deal.T)
            second = -torch.einsum("lhg,hg,lh->lg", table, deal, beliefs[0]) / (beliefs[0] @ deal)
            return torch.stack([first, second]) / pots[:, None]

        return values


@pytest.mark.parametrize("depth", [1, 2])
def test_a_depth_limited_solve_meets_what_the_leaves_stand_for(depth: int) -> None:
    """The strategy is an equilibrium of the game in which everybody plays uniformly below the leaves."""
    game = Kuhn(depth)
    forest = Subgames(game).forest([game.root()], DOUBLE)
    belief = torch.as_tensor(game.initial_beliefs)[:, None]
    states = [forest.trees[0].leaves.states[i] for i in forest.leaves.node]
    cfr = CFR(
        forest, belief, update_rule("dcfr"), alternating=True, leaf_evaluator=UniformBelow(game, states)
    )
    average = cfr.run(3000).average_strategy()

    whole = Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    strategy = whole.uniform.expand(whole.edge_shape).clone()
    index = {whole.trees[0].decisions.states[n]: d for d, n in enumerate(whole.decisions.node)}
    for d, n in enumerate(forest.decisions.node):
        strategy[:, index[forest.trees[0].decisions.states[n]]] = average[:, d]
    value = exploitability(whole, strategy, belief).value.item()
    mean = (cfr.root_values() * belief).sum().item()  # both players' means are of the same game
    assert mean == pytest.approx(0, abs=1e-3)
    joint = (belief[0] * (belief[1] @ torch.as_tensor(game.deal).T)).sum().item()
    assert (cfr.root_values()[0] * belief[0]).sum().item() / joint == pytest.approx(value, abs=2e-3)


def test_hands_with_no_belief_still_get_values_and_strategies() -> None:
    game = Leduc()
    states = leduc_states(game)[1:3]
    beliefs = random_beliefs(game, states, 0)
    none = beliefs.clone()
    none[0, :, 5] = 0  # player 0 never holds the last card
    none /= none.sum(-1, keepdim=True)
    cfr = CFR(Subgames(game).forest(states, DOUBLE), none, update_rule("dcfr"), alternating=True).run(400)
    few = none.clone()
    few[0, :, 5] = 1e-12
    close = CFR(Subgames(game).forest(states, DOUBLE), few, update_rule("dcfr"), alternating=True).run(400)
    torch.testing.assert_close(
        cfr.root_infostate_values(), close.root_infostate_values(), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(cfr.average_strategy().sum(0), torch.ones_like(cfr.average_strategy()[0]))


def test_leaves_that_nobody_reaches_do_no_harm() -> None:
    game = Leduc("before_deal")
    forest = Subgames(game).forest([game.root()], torch.empty(0))
    belief = torch.as_tensor(game.initial_beliefs).float()[:, None]
    cfr = CFR(forest, belief, update_rule("cfr_plus"), alternating=False, leaf_evaluator=LinearLeaves())
    for _ in range(300):
        cfr.step()
        assert cfr.strategy.isfinite().all()
    assert (cfr.strategy == 0).any()  # some action is not taken by any hand
    assert cfr.root_infostate_values().isfinite().all()


def test_leaves_need_an_evaluator() -> None:
    game = Leduc()
    forest = Subgames(game).forest([game.root()], DOUBLE)
    with pytest.raises(ValueError, match="30 depth-limit leaves: a leaf evaluator is needed"):
        CFR(forest, torch.as_tensor(game.initial_beliefs)[:, None], update_rule("cfr"), alternating=True)
    with pytest.raises(ValueError, match="exploitability needs complete trees"):
        exploitability(forest, forest.uniform, torch.as_tensor(game.initial_beliefs)[:, None])
