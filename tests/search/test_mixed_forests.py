"""Subgames solved together come out as each does alone."""

import numpy as np
import pytest
import torch
from belief_states import LinearLeaves, belief_states, random_beliefs
from hypothesis import given
from hypothesis import strategies as st
from solvers import EITHER_SOLVER, Start
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

DOUBLE = torch.empty(0, dtype=torch.float64)
GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "kuhn_depth_1": Kuhn(depth_limit=1),
    "kuhn_depth_2": Kuhn(depth_limit=2),
    "leduc_before_deal": Leduc(leaves="before_deal"),
    "leduc_after_deal": Leduc(),
}
SUBGAMES = {name: Subgames(game) for name, game in GAMES.items()}

picks = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 2**32 - 1)), min_size=2, max_size=6)


def solve(search: Start, forest: Forest, belief: Tensor, rule: str, alternating: bool) -> CFR:
    leaves = LinearLeaves(forest.game)
    return search(forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=leaves).run(8)


@EITHER_SOLVER
@pytest.mark.parametrize("name", GAMES)
@given(picks, st.sampled_from(sorted(RULES)), st.booleans())
def test_every_quantity_of_every_subgame(
    name: str, search: Start, chosen: list[tuple[int, int]], rule: str, alternating: bool
) -> None:
    game = GAMES[name]
    every = belief_states(game)
    roots = [every[number % len(every)] for number, _ in chosen]
    beliefs = [random_beliefs(game, root, seed) for root, (_, seed) in zip(roots, chosen, strict=True)]
    forest = SUBGAMES[name].forest(roots, DOUBLE)
    together = solve(search, forest, torch.as_tensor(np.stack(beliefs, 1)), rule, alternating)
    for b, (root, belief) in enumerate(zip(roots, beliefs, strict=True)):
        one = SUBGAMES[name].forest([root], DOUBLE)
        alone = solve(search, one, torch.as_tensor(belief)[:, None], rule, alternating)
        nodes, width = one.decisions, one.width
        there = forest.decision_index(np.full(len(nodes), b), nodes.node)
        for ours, theirs in (
            (together.strategy, alone.strategy),
            (together.average_strategy(), alone.average_strategy()),
        ):
            if len(nodes):
                torch.testing.assert_close(ours[:width, there], theirs, rtol=0, atol=1e-10)
                assert (ours[width:, there] == 0).all(), "actions that only other subgames have"
        for ours, theirs in (
            (together.root_values(), alone.root_values()),
            (together.root_infostate_values(), alone.root_infostate_values()),
        ):
            torch.testing.assert_close(ours[:, b : b + 1], theirs, rtol=0, atol=1e-10)


def test_equal_roots_share_a_tree_and_keep_their_order() -> None:
    game = Leduc()
    subgames, every = Subgames(game), belief_states(game)
    forest = subgames.forest([every[5], every[0], every[5], every[6]], DOUBLE)
    assert forest.tree_of.tolist() == [0, 1, 0, 2]
    assert [tree.root for tree in forest.trees] == [every[5], every[0], every[6]]
    again = subgames.forest([every[0]], DOUBLE)
    assert again.trees[0] is forest.trees[1], "built once"


def test_single_precision_is_close_to_double() -> None:
    game = Leduc()
    tree, root = build_tree(game, game.root(), depth_limited=False), game.root()
    belief = torch.as_tensor(random_beliefs(game, root, 3))[:, None]
    values = []
    for dtype in (torch.float32, torch.float64):
        forest = Forest(game, [tree], dtype=dtype)
        solver = Solver("dcfr").start(forest, belief.to(dtype))
        values.append(solver.run(10).root_infostate_values())
        assert values[-1].dtype == solver.average_strategy().dtype == dtype
    torch.testing.assert_close(values[0].double(), values[1], rtol=0, atol=1e-5)


def tensors(forest: Forest) -> dict[str, Tensor]:
    parts = [vars(forest)]
    for part in (forest.decisions, forest.terminals, forest.leaves, forest.payoffs):
        parts.append({f"{id(part)} {name}": getattr(part, name) for name in part.__slots__})
    return {name: v for part in parts for name, v in part.items() if isinstance(v, Tensor)}


@EITHER_SOLVER
def test_solving_leaves_forest_and_beliefs_as_they_were(search: Start) -> None:
    game = Leduc(leaves="before_deal")
    forest = SUBGAMES["leduc_before_deal"].forest(belief_states(game), DOUBLE)
    belief = torch.as_tensor(np.stack([random_beliefs(game, root, 1) for root in belief_states(game)], 1))
    before = {name: tensor.clone() for name, tensor in tensors(forest).items()}
    given_belief = belief.clone()
    runs = [solve(search, forest, belief, "pcfr_plus", True) for _ in range(2)]
    assert torch.equal(belief, given_belief)
    assert len(before) >= 20
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(forest).items())
    assert torch.equal(runs[0].average_strategy(), runs[1].average_strategy())
