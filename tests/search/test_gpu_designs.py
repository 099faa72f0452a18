"""What the benchmark for a GPU tries instead of the solver's own ways finds the same, on the CPU."""

import numpy as np
import pytest
import torch
from belief_states import LinearLeaves, random_beliefs
from solvers import with_tensors

from benchmarks.gpu_designs import DensePayoffs, count_wins, designed
from pokerlab.games.base import Game
from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.games.run_outs import num_run_outs, run_out_wins
from pokerlab.games.showdown import CardPayoffs
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
    with designed(["graph"]):
        graphed = with_tensors(forest, belief, RULES[rule], **options).run(9)
    for ours, theirs in (
        (graphed.average_strategy(), plain.average_strategy()),
        (graphed.root_values(), plain.root_values()),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("board", ["7c2d3h", "2c3c4c", "7c2d3h3c", "7c2d3h3c4d"])
def test_wins_are_counted_over_all_run_outs(board: str) -> None:
    cards = DECK.read_cards(board)
    expected = run_out_wins(DECK, cards, 5).T / num_run_outs(DECK, cards, 5) if len(cards) < 5 else None
    counted = count_wins(DECK, cards, 5, CPU).double().numpy()
    if expected is None:
        order = DECK.strengths(np.array([cards]))[0].astype(int)
        possible = DECK.possible(cards)
        expected = np.sign(order - order[:, None]) * (possible & possible[:, None] & DECK.disjoint)
    dealt = np.abs(counted).max() / np.abs(expected).max()
    assert dealt == pytest.approx(round(dealt))
    np.testing.assert_allclose(counted / dealt, expected, atol=1e-12)


def test_dense_payoffs_are_those_of_sums() -> None:
    """Up to the rounding of two float16 numbers, relative to the mass that is met."""
    boards = {FOLDED: ["7c2d3h", "7c2d3h3c4d"], SHOWDOWN: ["7c2d3h3c4d", "2c2d2h3c3d"], RUN_OUT: ["7c2d3h"]}
    kernels = [(kind, DECK.read_cards(board)) for kind, of_kind in boards.items() for board in of_kind]
    options = {"complete": 5, "weight": 0.5, "like": torch.empty(0)}
    reach = torch.rand(2, len(kernels), 7, DECK.num_hands, generator=torch.Generator().manual_seed(0)) ** 8
    expected = CardPayoffs(DECK, kernels, **options)(reach)  # type: ignore[arg-type]
    found = DensePayoffs(DECK, kernels, **options)(reach)  # type: ignore[arg-type]
    assert ((found - expected).abs() / reach.sum(-1, keepdim=True)).max() < 3e-6
