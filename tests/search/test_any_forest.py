"""Forests of every mixture of shapes: whole and depth-limited, many and few, in any order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
import torch
from belief_states import DenseStreet, LinearLeaves, belief_states, whole_from
from hypothesis import given, settings
from hypothesis import strategies as st
from solvers import EITHER_SOLVER, Start, with_loops, with_tensors
from torch import Tensor

from benchmarks.street import Street, StreetState
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn, KuhnState
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.search.backends import compiled
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.rules import RULES, UpdateRule, update_rule
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.tree import PublicTree, build_tree

GAMES: dict[str, Game] = {
    "kuhn": Kuhn(depth_limit=2),
    "leduc before deal": Leduc("before_deal"),
    "leduc after deal": Leduc("after_deal"),
    "whole leduc": Leduc(),
    "dice": LiarsDice(1, 3),
    "limited dice": LiarsDice(2, 2, depth_limit=3),
    "street": Street(40),
    "street in matrices": DenseStreet(40),
    "street in matrices too large for the loops": DenseStreet(65),
    "street of many hands": Street(300),
}
STREETS = [
    StreetState(10, 100), StreetState(10, 100, board=0), StreetState(10, 100, board=39),
    StreetState(30, 45, board=7), StreetState(7, 3, board=7), StreetState(7, 3),
    StreetState(10, 100, None, (1,), (0, 0)), StreetState(10, 100, 3, (4,), (0, 100)),
]  # fmt: skip


@cache
def trees(name: str) -> Sequence[PublicTree]:
    """Subgames with depth limits, and whole ones."""
    game = GAMES[name]
    if name == "whole leduc":
        return [build_tree(game, root, depth_limited=False) for root in belief_states(game)]
    if isinstance(game, Street):
        return [build_tree(game, state, depth_limited=False) for state in STREETS]
    limited = [build_tree(game, root, depth_limited=True) for root in belief_states(game)]
    short = [root for root in belief_states(game) if not whole_from(game, root)]
    return [*limited, *(build_tree(game, root, depth_limited=False) for root in short)]


@dataclass(frozen=True)
class Mixture:
    """Subgames of a forest: which of the trees, and what their beliefs are drawn from."""

    numbers: tuple[int, ...]
    seed: int

    def of(self, name: str, dtype: torch.dtype) -> tuple[Forest, Tensor]:
        """The forest, in random order, and beliefs in every possible hand; of many hands, fewer subgames."""
        every, generator = trees(name), np.random.default_rng(self.seed)
        numbers = generator.permutation(self.numbers)[: 10**5 // GAMES[name].num_hands ** 2 + 4]
        occurring, tree_of = np.unique(numbers % len(every), return_inverse=True)
        forest = Forest(GAMES[name], [every[number] for number in occurring], tree_of, dtype=dtype)
        beliefs = generator.uniform(0.1, 1, (2, forest.num_subgames, forest.game.num_hands))
        beliefs *= forest.root_possible.numpy()
        return forest, torch.as_tensor(beliefs / beliefs.sum(-1, keepdims=True), dtype=dtype)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    """A few trees, each once or as often as fills one pack and more."""
    kinds = draw(
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 1, 2, 5, 33, 70])), min_size=1, max_size=5)
    )
    return Mixture(tuple(n for n, times in kinds for _ in range(times)), draw(st.integers(0, 2**32 - 1)))


rules, ways = st.sampled_from(list(RULES.values())), st.booleans()


def solver(
    search: Start, at: tuple[Forest, Tensor], rule: UpdateRule, alternating: bool,
    leaves: LeafEvaluator | None = None,
) -> CFR:  # fmt: skip
    forest, belief = at
    leaves = leaves or LinearLeaves(forest.game)
    return search(forest, belief, rule, alternating=alternating, leaf_evaluator=leaves)


def found(cfr: CFR) -> list[Tensor]:
    return [cfr.strategy, cfr.average_strategy(), cfr.root_values(), cfr.root_infostate_values()]


def identical(one: CFR, other: CFR) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(found(one), found(other), strict=True))


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=8)
@given(mixtures(), rules, ways)
def test_both_solvers_agree(name: str, mixture: Mixture, rule: UpdateRule, alternating: bool) -> None:
    at = mixture.of(name, torch.float64)
    plain, fast = (solver(search, at, rule, alternating).run(10) for search in (with_tensors, with_loops))
    for ours, theirs in zip(found(fast), found(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=8)
@given(mixtures(), rules, ways)
def test_values_in_single_precision_agree(
    name: str, mixture: Mixture, rule: UpdateRule, alternating: bool
) -> None:
    """Values only: a strategy that comes from differences of equal values has fewer digits."""
    at = mixture.of(name, torch.float32)
    plain, fast = (solver(search, at, rule, alternating).run(3) for search in (with_tensors, with_loops))
    torch.testing.assert_close(fast.root_values(), plain.root_values(), rtol=1e-5, atol=1e-5)


class OneByOne:
    """Infostate values by arithmetic of single numbers."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        return lambda beliefs: (3 * beliefs - 1) * possible * features[:, :1] + beliefs.flip(0)


def of_subgame(cfr: CFR, subgame: int) -> list[Tensor]:
    """What a solver found for one of its subgames: strategies of its nodes in its tree's order, values."""
    nodes = cfr.forest.decisions
    here = np.flatnonzero(nodes.subgame.numpy() == subgame)
    here = here[np.argsort(nodes.node[here])]
    width = cfr.forest.trees[cfr.forest.tree_of[subgame]].width
    strategies = [strategy[:width, here] for strategy in (cfr.strategy, cfr.average_strategy())]
    return [*strategies, cfr.root_values()[:, subgame], cfr.root_infostate_values()[:, subgame]]


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
@settings(max_examples=8)
@given(mixtures(), rules, ways, st.data())
def test_order_company_and_threads_do_not_change_a_digit(
    name: str, dtype: torch.dtype, mixture: Mixture, rule: UpdateRule, alternating: bool, data: st.DataObject
) -> None:
    forest, belief = mixture.of(name, dtype)
    together = solver(with_loops, (forest, belief), rule, alternating, OneByOne()).run(5)
    order = np.random.default_rng(mixture.seed).permutation(forest.num_subgames)
    order = order[: data.draw(st.integers(1, len(order)), label="how many of them")]
    threads = data.draw(st.sampled_from([1, 2, 3]), label="threads")
    with patch.object(compiled, "WORTH_A_THREAD", 0):
        torch.set_num_threads(threads)
        try:
            again = solver(
                with_loops, (forest.copies(order), belief[:, order]), rule, alternating, OneByOne()
            )
            again.run(5)
        finally:
            torch.set_num_threads(1)
    # where a library multiplies matrices, it may add up in another order if there are more of them
    exact = not len(forest.leaves) and name != "street in matrices too large for the loops"
    for b in {0, len(order) // 2, len(order) - 1}:
        for ours, theirs in zip(of_subgame(again, b), of_subgame(together, order[b]), strict=True):
            assert not exact or torch.equal(ours, theirs)
        if dtype == torch.float64:
            ours, theirs = again.root_values()[:, b], together.root_values()[:, order[b]]
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


class OfAnyHands(Gadget):
    """The opponent's hands are not equally likely: ties would be for rounding errors to decide."""

    def beliefs(self, forest: Forest, belief: Tensor) -> Tensor:
        return belief


def with_gadget(
    search: Start, at: tuple[Forest, Tensor], rule: UpdateRule, alternating: bool, resolver: int
) -> CFR:
    """Every other hand always plays, so that all meet somebody: else regrets would be rounding errors."""
    forest, belief = at
    paid = 20 * (belief[resolver] - belief[1 - resolver])
    paid[:, ::2] = -1000
    return search(
        forest,
        belief,
        rule,
        alternating=alternating,
        leaf_evaluator=OneByOne(),
        gadget=OfAnyHands(resolver, paid),
    )


SOME_GAMES = pytest.mark.parametrize("name", ["kuhn", "leduc after deal", "street", "street in matrices"])
EITHER_PRECISION = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])


@EITHER_PRECISION
@SOME_GAMES
@settings(max_examples=5)
@given(mixtures(), rules, ways, st.sampled_from([0, 1]))
def test_both_solvers_agree_with_a_gadget(
    name: str, dtype: torch.dtype, mixture: Mixture, rule: UpdateRule, alternating: bool, resolver: int
) -> None:
    at, double = mixture.of(name, dtype), dtype == torch.float64
    plain, fast = (
        with_gadget(search, at, rule, alternating, resolver).run(10 if double else 3)
        for search in (with_tensors, with_loops)
    )
    tolerance = 1e-10 if double else 1e-5
    for ours, theirs in zip(found(fast), found(plain), strict=True) if double else ():
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    for ours, theirs in (
        (fast.root_values(), plain.root_values()),
        (fast.root_beliefs(), plain.root_beliefs()),
    ):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@EITHER_PRECISION
@SOME_GAMES
@settings(max_examples=5)
@given(mixtures(), rules, ways, st.sampled_from([0, 1]))
def test_a_forest_with_a_gadget_is_its_subgames_one_at_a_time(
    name: str, dtype: torch.dtype, mixture: Mixture, rule: UpdateRule, alternating: bool, resolver: int
) -> None:
    forest, belief = mixture.of(name, dtype)
    together = with_gadget(with_loops, (forest, belief), rule, alternating, resolver).run(5)
    for b in {0, forest.num_subgames // 2, forest.num_subgames - 1}:
        only = np.array([b])
        alone = with_gadget(with_loops, (forest.copies(only), belief[:, only]), rule, alternating, resolver)
        alone.run(5)
        pairs = [*zip(of_subgame(alone, 0), of_subgame(together, b), strict=True)]
        pairs.append((alone.root_beliefs()[:, 0], together.root_beliefs()[:, b]))
        for ours, theirs in pairs:  # sums over hands at leaves may have another order
            assert len(forest.leaves) or torch.equal(ours, theirs)
        if dtype == torch.float64:
            for ours, theirs in (pairs[2], pairs[-1]):
                torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


cuts = st.lists(st.integers(0, 5), min_size=1, max_size=5)
any_rules = st.one_of(rules, st.floats(-2, 5).map(lambda gamma: update_rule("dcfr", gamma=gamma)))


@EITHER_SOLVER
@pytest.mark.parametrize("name", ["kuhn", "leduc after deal", "street", "street of many hands"])
@settings(max_examples=8)
@given(mixtures(), any_rules, ways, cuts, st.data())
def test_runs_can_be_cut_and_sampled_anywhere(
    name: str, search: Start, mixture: Mixture, rule: UpdateRule, alternating: bool, parts: list[int],
    data: st.DataObject,
) -> None:  # fmt: skip
    at = mixture.of(name, torch.float64)
    forest, total = at[0], sum(parts)
    wanted = st.tuples(st.integers(0, forest.num_subgames - 1), st.integers(1, total + 2))
    drawn = data.draw(st.lists(wanted, max_size=6), label="samples: (subgame, iteration)")
    subgame, iteration = np.array(drawn, dtype=np.int64).reshape(-1, 2).T
    samples, cut_samples = (SampledStrategies(forest, subgame, iteration) for _ in range(2))
    whole = solver(search, at, rule, alternating).run(total, samples)
    cut, by_step = (solver(search, at, rule, alternating) for _ in range(2))
    for part in parts:
        cut.run(part, cut_samples)
    assert torch.equal(samples.strategy, cut_samples.strategy)
    copies = samples.copies
    uniform, nodes = copies.uniform.expand(copies.edge_shape), copies.decisions
    for t in range(1, total + 3):
        here = np.isin(nodes.subgame.numpy(), np.flatnonzero(iteration == t))
        there = forest.decision_index(subgame[nodes.subgame.numpy()[here]], nodes.node[here])
        width = copies.width
        expected = by_step.strategy[:width, there] if t <= total else uniform[:, here]
        assert torch.equal(samples.strategy[:, here], expected), f"iteration {t}"
        if t <= total:
            by_step.step()
    if total:
        assert cut.iteration == by_step.iteration == whole.iteration == total
        assert identical(whole, cut)
        assert identical(whole, by_step)


@given(st.lists(st.sampled_from([0] * 30 + [*range(8)]), min_size=1, max_size=30), rules, ways)
def test_payoffs_by_operator_and_by_matrix_agree_however_unequal_the_boards_numbers(
    numbers: list[int], rule: UpdateRule, alternating: bool
) -> None:
    mixture = Mixture(tuple(numbers), len(numbers))
    operator, matrices = (
        solver(with_loops, mixture.of(name, torch.float64), rule, alternating).run(5)
        for name in ("street", "street in matrices")
    )
    for ours, theirs in zip(found(operator), found(matrices), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


# At the edge of what is a subgame


def one_hand_each(first: int, second: int) -> Callable[[Forest], Tensor]:
    def beliefs(forest: Forest) -> Tensor:
        belief = torch.zeros(2, forest.num_subgames, forest.game.num_hands, dtype=forest.dtype)
        belief[0, :, first] = belief[1, :, second] = 1
        return belief

    return beliefs


def every_hand(forest: Forest) -> Tensor:
    possible = forest.root_possible
    return (possible / possible.sum(-1, keepdim=True)).expand(2, -1, -1).contiguous()


EDGES: dict[str, tuple[Game, list, Callable[[Forest], Tensor]]] = {
    "only the first player acts": (Kuhn(depth_limit=1), [KuhnState()], every_hand),
    "only the second player acts": (Kuhn(), [KuhnState((1,))], every_hand),
    "each ends at once, for one of them": (
        Kuhn(), [KuhnState((1,)), KuhnState((0, 1)), KuhnState((1,))], every_hand
    ),
    "nobody acts": (Leduc("before_deal"), [belief_states(Leduc())[3]], every_hand),
    "nobody acts in most": (Leduc("before_deal"), belief_states(Leduc())[2:5] * 20, every_hand),
    "all hands but one are blocked": (Street(2), [StreetState(10, 100, board=0)], every_hand),
    "all hands but two are blocked": (Street(3), [StreetState(10, 100, board=1)], every_hand),
    "one hand each": (Leduc(), belief_states(Leduc())[:5], one_hand_each(1, 4)),
    "one hand for both": (Leduc(), belief_states(Leduc())[:5], one_hand_each(4, 4)),
    "one hand for both, by operator": (Street(70), STREETS[:1], one_hand_each(4, 4)),
    "a hand that the board blocks": (Leduc(), belief_states(Leduc())[5:6], one_hand_each(0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("alternating", [True, False], ids=["alternating", "simultaneous"])
def test_subgames_at_the_edge_are_solved(case: str, rule: str, alternating: bool, dtype: torch.dtype) -> None:
    game, states, beliefs = EDGES[case]
    forest = Forest(game, [build_tree(game, state, depth_limited=True) for state in states], dtype=dtype)
    at = forest, beliefs(forest)
    solvers = [
        solver(search, at, RULES[rule], alternating, OneByOne()) for search in (with_tensors, with_loops)
    ]
    for cfr in solvers:
        cfr.run(20)
        for strategy in (cfr.strategy, cfr.average_strategy()):
            assert (strategy >= 0).all()
            torch.testing.assert_close(strategy.sum(0), torch.ones_like(strategy[0]))
        mass = forest.mass(at[1].flip(0))
        assert cfr.root_values().isfinite().all()
        assert (cfr.root_infostate_values()[mass == 0] == 0).all()
    plain, fast = solvers
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-4}[dtype]
    torch.testing.assert_close(fast.root_values(), plain.root_values(), rtol=tolerance, atol=tolerance)


@EITHER_SOLVER
@settings(max_examples=10)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), ways)
def test_any_exponents_that_a_rule_may_have_leave_nothing_undefined(
    search: Start, alpha: float, beta: float, gamma: float, alternating: bool
) -> None:
    """Regrets that are soon forgotten make reaches that are next to nothing, in single precision."""
    at = Mixture((0, 1, 2, 3, 4), 7).of("leduc after deal", torch.float32)
    rule = update_rule("dcfr", alpha=alpha, beta=beta, gamma=gamma)
    for values in found(solver(search, at, rule, alternating).run(300)):
        assert values.isfinite().all()


@EITHER_SOLVER
@pytest.mark.parametrize("scale", [1e-30, 1e-37, 1e-42])
def test_beliefs_at_leaves_that_are_hardly_reached_are_beliefs(search: Start, scale: float) -> None:
    """Below 1e-38, where single precision has no inverse."""
    forest, belief = Mixture((0, 1, 2), 7).of("kuhn", torch.float32)
    leaves = LinearLeaves(forest.game)
    solver(search, (forest, belief * scale), RULES["dcfr"], True, leaves).run(5)
    for asked in leaves.queries:
        torch.testing.assert_close(asked.sum(-1), torch.ones(asked.shape[:2]), atol=1e-2, rtol=0)
