"""CFR that starts from a strategy it is given."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from belief_states import LinearLeaves, belief_states, random_beliefs
from hypothesis import given
from hypothesis import strategies as st
from solvers import EITHER_SOLVER, Start, with_loops, with_tensors
from torch import Tensor

from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.learning.networks import Networks, PolicyNetwork, ValueNetwork
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest, uniform_strategy
from pokerlab.search.rules import RULES
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames

DOUBLE = torch.empty(0, dtype=torch.float64)
GAMES = [Leduc(), LiarsDice(1, 3), LiarsDice(2, 2, depth_limit=3)]


def drawn(game: Game, seed: int) -> tuple[Forest, Tensor, Tensor]:
    """A forest, beliefs at its roots, and a random strategy on it."""
    roots = belief_states(game)
    forest = Subgames(game).forest(roots, DOUBLE)
    belief = torch.as_tensor(np.stack([random_beliefs(game, root, seed) for root in roots], 1))
    draws = torch.rand(forest.edge_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return forest, belief, (draws * forest.legal) / (draws * forest.legal).sum(0)


@EITHER_SOLVER
@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_the_first_iteration_plays_the_strategy(game: Game, search: Start) -> None:
    forest, belief, strategy = drawn(game, 1)
    leaves = LinearLeaves(game)
    cfr = search(forest, belief, RULES["dcfr"], alternating=False, leaf_evaluator=leaves)
    cfr.warm_start(strategy, 1.0)
    torch.testing.assert_close(cfr.strategy, strategy, rtol=0, atol=0)
    cfr.step()
    torch.testing.assert_close(cfr.average_strategy(), strategy, rtol=0, atol=1e-14)
    reached = (forest.reach(strategy)[forest.leaves.row] * belief[:, forest.leaves.subgame]).sum(-1) > 0
    expected = forest.beliefs_at(forest.leaves, forest.reach(strategy), belief)
    torch.testing.assert_close(leaves.queries[0][reached], expected[reached], rtol=0, atol=1e-14)


@EITHER_SOLVER
@pytest.mark.parametrize("average_leaves", [False, True])
def test_the_first_sample_is_the_strategy(search: Start, average_leaves: bool) -> None:
    game = Leduc()
    forest, belief, strategy = drawn(game, 1)
    cfr = search(
        forest,
        belief,
        RULES["dcfr"],
        alternating=True,
        leaf_evaluator=LinearLeaves(game),
        average_leaves=average_leaves,
    )
    cfr.warm_start(strategy, 1.0)
    samples = SampledStrategies(
        forest, np.arange(forest.num_subgames), np.ones(forest.num_subgames, np.int64)
    )
    cfr.run(3, samples)
    torch.testing.assert_close(samples.strategy, strategy, rtol=0, atol=1e-14)


@EITHER_SOLVER
def test_regrets_match_to_the_strategy_wherever_an_opponent_can_be(search: Start) -> None:
    game = Leduc()
    forest, belief, strategy = drawn(game, 2)
    cfr = search(forest, belief, RULES["cfr"], alternating=False, leaf_evaluator=LinearLeaves(game))
    cfr.warm_start(strategy, 1e9)  # one iteration's regrets are nothing beside these
    cfr.step()
    nodes = forest.decisions
    reach = forest.reach(strategy)[nodes.row] * belief[:, nodes.subgame] * nodes.possible
    opponent = torch.where((forest.actor == 0)[:, None], reach[1], reach[0])
    met = (forest.mass(opponent) > 0) & (nodes.possible > 0)
    assert 0.5 < met.double().mean() < 1
    after, before = (edges.movedim(0, 2)[met] for edges in (cfr.strategy, strategy))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(RULES)), st.booleans(), st.floats(0.1, 10))
def test_both_solvers_go_on_alike(game: Game, seed: int, rule: str, alternating: bool, pots: float) -> None:
    forest, belief, strategy = drawn(game, seed % 1000)
    found = []
    for search in (with_tensors, with_loops):
        cfr: CFR = search(
            forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=LinearLeaves(game)
        )
        cfr.warm_start(strategy, pots)
        found.append(cfr.run(6))
    plain, fast = found
    torch.testing.assert_close(fast.average_strategy(), plain.average_strategy(), rtol=0, atol=1e-9)
    torch.testing.assert_close(fast.root_values(), plain.root_values(), rtol=0, atol=1e-11)


def exploitability(whole: WholeGame, start: Callable[[CFR], None], iterations: int) -> float:
    cfr = Solver("dcfr").start(whole.forest, whole.belief)
    start(cfr)
    return whole.exploitability(cfr.run(iterations).average_strategy()).exploitability.item()


def test_a_good_start_is_ahead_and_a_bad_one_is_overcome() -> None:
    whole = WholeGame(Leduc())
    solution = Solver("dcfr").start(whole.forest, whole.belief).run(1000).average_strategy()
    folding = torch.zeros_like(solution)
    folding[0] = 1  # the first action of all
    assert exploitability(whole, lambda cfr: cfr.warm_start(solution, 5), 10) < 0.1
    assert exploitability(whole, lambda cfr: None, 10) > 0.2
    assert exploitability(whole, lambda cfr: cfr.warm_start(folding, 1), 1000) < 0.001


def test_a_solver_asks_the_policy_network() -> None:
    game = LiarsDice(1, 3)
    networks = Networks(ValueNetwork(game, 8, 1), PolicyNetwork(game, 8, 1)).double()
    forest = Subgames(game).forest(belief_states(game), DOUBLE)
    belief = torch.full((2, forest.num_subgames, 3), 1 / 3, dtype=torch.float64)
    expected = networks.policy.strategy(forest, belief)
    assert (expected - forest.uniform).abs().max() > 0.01
    start = Solver(warm_start=0.5).start
    torch.testing.assert_close(start(forest, belief, networks).strategy, expected)
    for cold in (Solver().start(forest, belief, networks), start(forest, belief, networks.value)):
        torch.testing.assert_close(cold.strategy, uniform_strategy(forest))


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "much", True])
def test_pots_are_a_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"^warm_start must be a number of at least 0, got"):
        Solver(warm_start=value)  # type: ignore[arg-type]
