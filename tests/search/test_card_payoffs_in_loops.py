"""Card games in compiled loops do what the plain solver does with their payoff operator."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from belief_states import LinearLeaves
from hypothesis import given, settings
from hypothesis import strategies as st
from solvers import with_loops, with_tensors
from torch import Tensor

from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.search.best_response import exploitability
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import RULES, UpdateRule
from pokerlab.search.solver import Solver
from pokerlab.search.tree import PublicTree, build_tree

BETS: list[list[float]] = [[0.5, 1], [1]]


def endgame(board: str, pot: float, stack: float, ranks: int = 6) -> Holdem:
    """Of 18 cards, 153 hands: a row is one lane of 160; of 66 or 28 hands, it has several."""
    return Holdem(
        "endgame",
        board=board,
        pot=pot,
        stack=stack,
        ranks=ranks,
        suits=3,
        bets=BETS,
        blinds=(1, 2),
    )


def whole(stack: float, deals: tuple[int, ...]) -> Holdem:
    return Holdem("whole", stack=stack, blinds=(1, 2), bets=[[1]], ranks=4, suits=2, deals=deals)


GAMES = {
    "whole": whole(12, (0, 1)),
    "whole_with_run_outs": whole(6, (0, 1, 1)),
    "river": endgame("4c5d3h4d2c", 20, 90),
    "turn": endgame("4c5d3h4d", 20, 50),
    "flop": endgame("4c5d3h", 20, 10),
    "river_of_few_hands": endgame("4c5d3h4d2c", 20, 90, ranks=4),
}
# where nobody can be met, regrets are rounding errors: rules that floor them, and alternating updates, match
# those, each solver its own
RULES_TO_COMPARE = [RULES[name] for name in ("cfr", "linear_cfr", "dcfr")]


@cache
def trees(name: str, depth_limited: bool) -> list[PublicTree[HoldemState]]:
    """The game's own, another pot's, and another board's."""
    game = GAMES[name]
    root = game.root()
    roots = [root, replace(root, stack=root.stack + 7)]
    if root.board:
        others = [card for card in range(len(game.deck.cards)) if card not in root.board]
        roots += [replace(root, pot=root.pot + 9), replace(root, board=(*root.board[:-1], others[0]))]
    return [build_tree(game, state, depth_limited=depth_limited) for state in roots]


def forest(name: str, numbers: list[int], depth_limited: bool = False) -> tuple[Forest, Tensor]:
    kinds = trees(name, depth_limited)
    chosen = [kinds[number % len(kinds)] for number in numbers]
    made = Forest(GAMES[name], chosen, dtype=torch.float64)
    belief = torch.rand(2, len(chosen), made.game.num_hands, dtype=torch.float64) + 0.1
    belief *= made.root_possible
    return made, belief / belief.sum(-1, keepdim=True)


def assert_same(one: CFR, other: CFR) -> None:
    for ours, theirs in (
        (one.average_strategy(), other.average_strategy()),
        (one.root_values(), other.root_values()),
        (one.strategy, other.strategy),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=4)
@given(
    numbers=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    rule=st.sampled_from(RULES_TO_COMPARE),
    seed=st.integers(0, 999),
)
def test_both_solvers_agree(name: str, numbers: list[int], rule: UpdateRule, seed: int) -> None:
    torch.manual_seed(seed)
    at = forest(name, numbers)
    fast, plain = (solver(*at, rule, alternating=False).run(6) for solver in (with_loops, with_tensors))
    assert_same(fast, plain)
    ours, theirs = fast.exploitability(), exploitability(at[0], plain.average_strategy(), at[1])
    torch.testing.assert_close(ours.best_response, theirs.best_response, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.value, theirs.value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["river", "turn"])
@pytest.mark.parametrize("resolver", [0, 1])
def test_both_backends_agree_with_a_gadget(name: str, resolver: int) -> None:
    made, belief = forest(name, [0, 1, 2, 3])
    gadget = Gadget(resolver, torch.rand_like(belief[0]))
    fast, plain = (
        search(made, belief, RULES["linear_cfr"], alternating=False, gadget=gadget).run(6)
        for search in (with_loops, with_tensors)
    )
    assert_same(fast, plain)
    torch.testing.assert_close(fast.root_beliefs(), plain.root_beliefs(), rtol=0, atol=1e-9)
    ours, theirs = fast.exploitability(), exploitability(made, plain.average_strategy(), plain.belief)
    torch.testing.assert_close(ours.best_response, theirs.best_response, rtol=1e-9, atol=1e-9)
    assert_same(fast.run(2), plain.run(2))  # measuring changed nothing


def default_forest(name: str) -> tuple[Forest, Tensor]:
    torch.manual_seed(0)
    made, belief = forest(name, [0, 1, 2, 3])
    made = Forest(made.game, made.trees, made.tree_of)
    return made, belief.float()


@pytest.mark.parametrize("resolver", [None, 0, 1], ids=["plain", "gadget of 0", "gadget of 1"])
@pytest.mark.parametrize("name", ["river", "turn"])
def test_both_backends_agree_on_what_is_shipped_for_holdem(name: str, resolver: int | None) -> None:
    """Alternating DCFR in single precision.

    From a strategy that plays everything: where all regrets of a hand that meets nobody are zero, each
    backend would play what its rounding says, and the other player would meet that in the next iteration.
    """
    made, belief = default_forest(name)
    strategy = made.average(torch.rand(made.edge_shape) * made.legal)
    gadget = None if resolver is None else Gadget(resolver, 40 * (torch.rand_like(belief[0]) - 0.5))
    both = [Solver(backend=backend).start(made, belief, gadget=gadget) for backend in ("compiled", "tensors")]
    for cfr in both:
        cfr.warm_start(strategy, 3.0)
        cfr.run(6)
    met = made.decisions.possible * made.legal
    for fast, plain in (
        [cfr.strategy * met for cfr in both],
        [cfr.average_strategy() * met for cfr in both],
        [cfr.root_beliefs() for cfr in both],
        [cfr.root_infostate_values() * made.root_possible / 20 for cfr in both],  # in pots
    ):
        errors = (fast - plain).abs()
        assert errors.mean() < 1e-6
        assert errors.max() < 2e-3


@pytest.mark.parametrize("name", ["river", "turn"])
def test_both_backends_solve_what_is_shipped_for_holdem(name: str) -> None:
    """From the uniform strategy, alternating DCFR in single precision comes to the same game values."""
    made, belief = default_forest(name)
    fast, plain = (
        Solver(backend=backend).start(made, belief).run(100).exploitability()
        for backend in ("compiled", "tensors")
    )
    for found in (fast, plain):
        assert (found.exploitability < 0.01 * 20).all()
    torch.testing.assert_close(fast.value, plain.value, rtol=0, atol=1e-3 * 20)


@pytest.mark.parametrize("name", ["whole_with_run_outs", "turn", "flop"])
@given(seed=st.integers(0, 999))
@settings(max_examples=4)
def test_both_solvers_agree_on_streets_with_leaves(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    at = forest(name, [0, 1, 2, 0], depth_limited=True)
    assert len(at[0].leaves)
    leaves = LinearLeaves(at[0].game)
    fast, plain = (
        solver(*at, RULES["dcfr"], alternating=False, leaf_evaluator=leaves).run(5)
        for solver in (with_loops, with_tensors)
    )
    assert_same(fast, plain)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("name", GAMES)
def test_threads_and_parts_change_nothing(
    name: str, alternating: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = forest(name, [0, 1, 2, 3, 0])
    monkeypatch.setattr("pokerlab.search.backends.compiled.WORTH_A_THREAD", 0)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(with_loops(*at, RULES["dcfr"], alternating=alternating).run(4).run(3))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert torch.equal(found[0].average_strategy(), other.average_strategy())
        assert torch.equal(found[0].root_values(), other.root_values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_company_changes_no_bit_of_a_payoff(dtype: torch.dtype) -> None:
    """All-ins on incomplete boards too: a library's matrix product depends on how many rows it has."""
    made = Forest(GAMES["flop"], trees("flop", False), dtype=dtype)
    reach = torch.rand(len(made.payoff_kernels), 40, made.game.num_hands, dtype=dtype)
    operator = made.game.payoff_operator(made.payoff_kernels.tolist(), reach)
    together = operator(reach)
    for number in (1, 2, 17):
        assert torch.equal(operator(reach[:, :number].contiguous()), together[:, :number])


@pytest.mark.parametrize("name", GAMES)
def test_measuring_exploitability_disturbs_nothing(name: str) -> None:
    at = forest(name, [0, 1])
    asked, unasked = (with_loops(*at, RULES["dcfr"], alternating=True) for _ in range(2))
    asked.run(3).exploitability()
    assert torch.equal(asked.run(4).average_strategy(), unasked.run(7).average_strategy())


@pytest.mark.parametrize("name", GAMES)
def test_it_converges(name: str) -> None:
    at = forest(name, [0, 1])
    found = [with_loops(*at, RULES["dcfr"], alternating=True).run(n).exploitability() for n in (3, 100)]
    assert (found[1].exploitability < 0.05 * found[0].exploitability).all()
    assert (found[1].exploitability > -1e-12).all()
