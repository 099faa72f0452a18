"""What the benchmark for a GPU tries instead of the solver's own ways finds the same, on the CPU."""

import pytest
import torch
from belief_states import LinearLeaves, random_beliefs
from solvers import with_tensors

from benchmarks.gpu_designs import apply_designs
from pokerlab.games.base import Game
from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.tree import build_tree

DECK = Deck(6, 3)
CPU = torch.device("cpu")


def turn() -> Holdem:
    bets: list[list[float]] = [[0.5, 1], [1]]
    return Holdem("turn", board="2c3d5c4d", pot=20, stack=60, blinds=(1, 2), bets=bets, ranks=5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("leaves", ["none", "before_deal"])
def test_weights_from_a_table_are_those_of_the_rule(rule: str, alternating: bool, leaves: str) -> None:
    game: Game = Leduc(leaves=leaves) if leaves != "none" else Leduc()
    tree = build_tree(game, game.root(), depth_limited=leaves != "none")
    forest = Forest(game, [tree], dtype=torch.float64)
    belief = torch.as_tensor(random_beliefs(game, game.root(), seed=1))[:, None]
    options = {"alternating": alternating, "leaf_evaluator": LinearLeaves(game)}
    plain = with_tensors(forest, belief, RULES[rule], **options).run(9)
    with apply_designs(["graph"]):
        graphed = with_tensors(forest, belief, RULES[rule], **options).run(9)
    for ours, theirs in (
        (graphed.average_strategy(), plain.average_strategy()),
        (graphed.root_values(), plain.root_values()),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
