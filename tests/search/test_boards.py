"""Games of several boards, which compiled loops solve board by board."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from solvers import with_loops, with_tensors
from torch import Tensor

from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import symmetry_of
from pokerlab.search.backends.blockwise import BlockwiseBackend
from pokerlab.search.best_response import exploitability
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.resolving import Part
from pokerlab.search.rules import RULES, UpdateRule
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree


def endgame(board: str, stack: float, ranks: int = 5, **options: Any) -> Holdem:
    """Of 20 cards, 190 hands, or of 16 and 120."""
    bets: list[list[float]] = [[0.5, 1], [1]]
    return Holdem(
        "endgame", board=board, pot=20, stack=stack, blinds=(1, 2), bets=bets, ranks=ranks, suits=4, **options
    )


def backend_of(cfr: CFR) -> BlockwiseBackend:
    """The backend, which solves boards in turn."""
    assert isinstance(cfr._backend, BlockwiseBackend)
    return cfr._backend


GAMES = {
    "turn": endgame("2c3d4h6c", 50, isomorphism=False),
    "turn_with_ranges": endgame("2c3d4h6c", 50, ranges=["66,55,65,54s", "55,44:0.5,63,6s5s:0.2,42"]),
    "turn_with_alike_suits": endgame("2c3c4c5c", 50),
    "flop": endgame("2c3d4h", 15, ranks=4, isomorphism=False),
    "flop_with_alike_suits": endgame("2c3c4c", 15),
    "donk_bets": endgame("2c3d4h", 15, ranks=4, donk_bets=[0.33]),
}
RULES_TO_COMPARE = [RULES[name] for name in ("cfr", "linear_cfr", "dcfr")]


def subgame(name: str, dtype: torch.dtype = torch.float64) -> tuple[Forest, Tensor]:
    game = GAMES[name]
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry_of(game))
    forest = Forest(game, [tree], dtype=dtype)
    return forest, torch.as_tensor(game.initial_beliefs).to(dtype)[:, None] * forest.root_possible


def start(forest: Forest, belief: Tensor, rule: UpdateRule, seed: int) -> list[CFR]:
    """Both backends, with the same regrets: of a strategy that plays everything."""
    torch.manual_seed(seed)
    weights = (torch.rand(forest.edge_shape, dtype=forest.dtype) + 0.1) * forest.legal
    strategy = forest.average(as_isomorphic(forest, weights))
    both = [
        solver(forest, belief, rule, alternating=True, storage="full")
        for solver in (with_loops, with_tensors)
    ]
    for cfr in both:
        cfr.warm_start(strategy, 3.0)
    assert isinstance(both[0]._backend, BlockwiseBackend)
    return both


def as_isomorphic(forest: Forest, edges: Tensor) -> Tensor:
    """With the same numbers for isomorphic hands above the deal: any strategy that CFR comes to has them."""
    if forest.isomorphic_hands:
        for player in (0, 1):
            for step in forest.steps[player]:
                forest.isomorphic_hands.average(edges, step)
    return edges


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=3)
@given(rule=st.sampled_from(RULES_TO_COMPARE), seed=st.integers(0, 999))
def test_boards_one_by_one_give_what_tensors_give(name: str, rule: UpdateRule, seed: int) -> None:
    forest, belief = subgame(name)
    both = [cfr.run(6) for cfr in start(forest, belief, rule, seed)]
    believed = (belief > 0).any(0) & (forest.root_possible > 0)
    met = forest.decisions.possible * forest.legal * believed
    for fast, plain in (
        [cfr.strategy * met for cfr in both],
        [cfr.average_strategy() * met for cfr in both],
        [cfr.root_values() * believed for cfr in both],
    ):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)
    ours, theirs = both[0].exploitability(), exploitability(forest, both[1].average_strategy(), belief)
    torch.testing.assert_close(ours.best_response, theirs.best_response, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.value, theirs.value, rtol=1e-9, atol=1e-9)


def test_floored_regrets_give_what_tensors_give() -> None:
    at = subgame("turn_with_ranges")
    fast, plain = (cfr.run(30).exploitability() for cfr in start(*at, RULES["cfr_plus"], 0))
    torch.testing.assert_close(fast.value, plain.value, rtol=0, atol=1e-6)
    torch.testing.assert_close(fast.exploitability, plain.exploitability, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["turn", "flop_with_alike_suits"])
def test_whole_numbers_converge_as_others_do(name: str) -> None:
    """The pot is 20 chips."""
    forest, belief = subgame(name)
    full = with_loops(forest, belief, RULES["dcfr"], alternating=True, storage="full")
    whole = Solver(storage="int16").start(Forest(forest.game, forest.trees), belief.float())
    for iterations in (10, 20, 70, 200):
        exact, rounded = (cfr.run(iterations).exploitability() for cfr in (full, whole))
        torch.testing.assert_close(rounded.exploitability, exact.exploitability, rtol=0.1, atol=0.002 * 20)
    torch.testing.assert_close(rounded.value, exact.value, rtol=0, atol=0.001 * 20)
    assert whole.run(700).exploitability().exploitability < 0.0005 * 20  # the small steps are not lost
    found = exploitability(whole.forest, whole.average_strategy(), whole.belief)
    torch.testing.assert_close(
        found.exploitability, whole.exploitability().exploitability, rtol=0, atol=1e-5 * 20
    )
    numbers = backend_of(whole)._kept
    assert numbers.regret.dtype == numbers.strategy_sum.dtype == np.int16
    edges, hands = sum(tree.num_edges for tree in forest.trees), belief.count_nonzero() / 2
    assert numbers.regret.nbytes + numbers.strategy_sum.nbytes <= 4 * edges * (hands + 16)


def test_float32_is_whole_numbers_unless_told_otherwise() -> None:
    forest, belief = subgame("turn_with_ranges")
    narrow = Forest(forest.game, forest.trees)
    for made, storage, expected in (
        (narrow, "auto", np.int16),
        (forest, "auto", np.float64),
        (forest, "int16", np.int16),
    ):
        cfr = Solver(storage=storage).start(made, belief.to(made.dtype))
        assert backend_of(cfr)._kept.regret.dtype == expected


def test_hands_that_nobody_can_hold_are_left_out() -> None:
    forest, belief = subgame("turn_with_ranges")
    cfr = with_loops(forest, belief, RULES["dcfr"], alternating=True).run(5)
    left_out = ~(belief > 0).any(0)[0]
    assert not cfr.root_values()[:, 0, left_out].any()
    uniform = forest.uniform.expand(forest.edge_shape)[:, :, left_out]
    assert torch.equal(cfr.average_strategy()[:, :, left_out], uniform)
    assert backend_of(cfr)._layout.size < 0.3 * forest.trees[0].num_edges * forest.game.num_hands


def test_hands_that_nobody_is_believed_to_hold_have_values_and_strategies() -> None:
    """Networks learn them: they are asked about such hands."""
    forest, belief = subgame("turn")
    belief[:, :, ::3] = 0
    both = [cfr.run(6) for cfr in start(forest, belief / belief.sum(2, keepdim=True), RULES["dcfr"], 0)]
    met = forest.decisions.possible * forest.legal
    for fast, plain in (
        [cfr.average_strategy() * met for cfr in both],
        [cfr.root_values() * forest.root_possible for cfr in both],
    ):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)
    assert both[0].root_infostate_values()[:, :, ::3].abs().mean() > 1


def test_what_is_hardly_ever_reached_is_played_as_in_the_last_iteration() -> None:
    """Whole numbers are too coarse for its sums; the uniform strategy would be as bad as any."""
    forest, belief = subgame("turn", torch.float32)
    met = forest.decisions.possible.bool() & (forest.legal.sum(0) > 1)

    def undecided(storage: str) -> float:
        average = Solver(gamma=4, storage=storage).start(forest, belief).run(100).average_strategy()
        return float((average == forest.uniform).all(0)[met].float().mean())

    assert undecided("int16") <= undecided("full") + 0.001


@pytest.mark.parametrize("name", ["turn_with_ranges", "flop"])
@pytest.mark.parametrize("storage", ["int16", "full"])
def test_iterations_in_several_calls_are_those_of_one(name: str, storage: str) -> None:
    """In one call, player 0's strategies are added to the averages a pass ahead."""
    forest, belief = subgame(name)
    once = Solver(storage=storage).start(forest, belief).run(70)
    often = Solver(storage=storage).start(forest, belief)
    for iterations in (1, 3, 1, 25, 40):
        often.run(iterations)
    for ours, theirs in (
        (once.average_strategy(), often.average_strategy()),
        (once.strategy, often.strategy),
        (once.root_values(), often.root_values()),
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("rule", ["cfr", "cfr_plus", "linear_cfr", "dcfr"])
def test_sums_of_strategies_are_never_too_large_for_whole_numbers(rule: str) -> None:
    """Sums at nodes that are no longer played weigh less from iteration to iteration."""
    game = endgame("2c3d4h6c", 30, isomorphism=False)
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)])
    belief = torch.as_tensor(game.initial_beliefs).float()[:, None] * forest.root_possible
    cfr = Solver(rule, storage="int16").start(forest, belief)
    for iterations in (2, 1, 47, 150):
        average = cfr.run(iterations).average_strategy()
        assert average.min() >= 0
        assert average.max() <= 1 + 1e-6


@pytest.mark.parametrize("chance", [1e-25, 1e-38])
def test_beliefs_need_not_add_up_to_one(chance: float) -> None:
    """Where scales are too small to divide by, lines are as never played."""
    forest, belief = subgame("turn_with_ranges", torch.float32)
    usual, seldom = (Solver(storage="int16").start(forest, belief * each).run(100) for each in (1, chance))
    assert seldom.average_strategy().isfinite().all()
    assert seldom.strategy.isfinite().all()
    if chance > 1e-30:
        worse = exploitability(forest, seldom.average_strategy(), belief).exploitability
        torch.testing.assert_close(worse, usual.exploitability().exploitability, rtol=0.2, atol=0.002)


def test_beliefs_may_change_after_the_start() -> None:
    forest, belief = subgame("turn_with_ranges")
    given = belief.clone()
    cfr = Solver(storage="full").start(forest, given)
    given.zero_()
    again = Solver(storage="full").start(forest, belief).run(3)
    torch.testing.assert_close(cfr.run(3).root_values(), again.root_values(), rtol=0, atol=0)


def test_threads_change_nothing() -> None:
    at, threads, found = subgame("turn"), torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(with_loops(*at, RULES["dcfr"], alternating=True).run(4).run(3))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert torch.equal(found[0].average_strategy(), other.average_strategy())
        assert torch.equal(found[0].root_values(), other.root_values())
        assert torch.equal(found[0].exploitability().value, other.exploitability().value)


@pytest.mark.parametrize("averages", [False, True])
def test_chosen_iterations_are_sampled(averages: bool) -> None:
    forest, belief = subgame("turn_with_ranges")
    met = forest.decisions.possible * forest.legal * (belief > 0).any(0)
    found = []
    for cfr in start(forest, belief, RULES["dcfr"], 1):
        samples = SampledStrategies(forest, np.array([0, 0]), np.array([2, 4]))
        cfr._backend.run(1, 5, samples=samples, sample_averages=averages)
        found.append(samples)
    nodes = torch.as_tensor(forest.copy_from(found[0].copies, np.array([0, 0])))
    fast, plain = (samples.strategy * met[:, nodes] for samples in found)
    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


def other_rule(forest: Forest, belief: Tensor) -> CFR:
    return with_loops(forest, belief, RULES["pcfr_plus"], alternating=True)


def at_once(forest: Forest, belief: Tensor) -> CFR:
    return with_loops(forest, belief, RULES["dcfr"], alternating=False)


def with_gadget(forest: Forest, belief: Tensor) -> CFR:
    gadget = Gadget(0, torch.rand_like(belief[0]))
    return with_loops(forest, belief, RULES["dcfr"], alternating=True, gadget=gadget)


def in_company(forest: Forest, belief: Tensor) -> CFR:
    return with_loops(
        forest.copies(np.array([0, 0])), belief.repeat(1, 2, 1), RULES["dcfr"], alternating=True
    )


@pytest.mark.parametrize("search", [other_rule, at_once, with_gadget, in_company])
def test_what_cannot_be_done_board_by_board_is_done_as_ever(search: Callable[..., CFR]) -> None:
    cfr = search(*subgame("turn_with_ranges")).run(2)
    assert not isinstance(cfr._backend, BlockwiseBackend)


def test_games_of_few_hands_have_matrices() -> None:
    game = Leduc()
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)])
    belief = torch.as_tensor(game.initial_beliefs).float()[:, None]
    cfr = with_loops(forest, belief, RULES["dcfr"], alternating=True).run(1)
    assert not isinstance(cfr._backend, BlockwiseBackend)


def test_storages_have_names() -> None:
    with pytest.raises(ValueError, match=r"^storage must be one of auto, int16, full, got 'int8'$"):
        Solver(storage="int8")


@pytest.mark.parametrize("name", ["turn_with_ranges", "flop"])
def test_what_is_played_at_a_few_nodes_is_found_without_the_whole_average(name: str) -> None:
    forest, belief = subgame(name)
    seldom = belief.clone()
    seldom[1, :, ::3] = 0
    part: Part[Any] = Part(slice(0, 1), Solver(storage="full").start(forest, seldom), 5, expects=False)
    part.solve()
    chosen = torch.arange(len(forest.decisions))
    strategy, beliefs = part.average_at(forest.decisions.select(chosen), chosen)
    for some in chosen[:: len(chosen) // 7].split(3):
        few = replace(part)
        there, believed = few.average_at(forest.decisions.select(some), some)
        assert "average" not in few.__dict__
        torch.testing.assert_close(there, strategy[some], rtol=0, atol=0)
        torch.testing.assert_close(believed, beliefs[:, some])


def test_the_whole_average_is_found_once_where_edges_are_not_kept() -> None:
    """Such as on a GPU: rows of edges would be on the CPU."""
    forest, belief = subgame("turn_with_ranges")
    part: Part[Any] = Part(slice(0, 1), Solver(backend="tensors").start(forest, belief), 1, expects=False)
    part.solve()
    chosen = torch.tensor([3])
    strategy, _ = part.average_at(forest.decisions.select(chosen), chosen)
    assert "average" in part.__dict__
    there = forest.by_action(part.average[:, chosen], forest.action_of[:, chosen])
    torch.testing.assert_close(strategy, there, rtol=0, atol=0)
