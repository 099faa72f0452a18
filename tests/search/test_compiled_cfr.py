"""The compiled solver does what the plain one in tensors does."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from belief_states import DenseStreet, LinearLeaves, belief_states
from hypothesis import given
from hypothesis import strategies as st
from solvers import EITHER_SOLVER, Start, with_loops, with_tensors
from torch import Tensor

from benchmarks.street import Street, StreetState
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.search import subgames
from pokerlab.search.backends import compiled, loops, packing
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames

GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "kuhn_depth_1": Kuhn(depth_limit=1),
    "leduc_before_deal": Leduc(leaves="before_deal"),
    "leduc_after_deal": Leduc(),
    "dice": LiarsDice(1, 3),
    "dice_of_unequal_chance": LiarsDice(2, 2, depth_limit=3),
    "street": Street(24),
    "dense_street": DenseStreet(24),
    "street_of_many_hands": Street(420),  # more than a pack takes
}
SUBGAMES = {name: Subgames(game) for name, game in GAMES.items()}
STREETS = [
    StreetState(10, 100), StreetState(10, 100, board=3), StreetState(30, 45), StreetState(7, 3, board=23)
]  # fmt: skip

picks = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 2**32 - 1)), min_size=1, max_size=12)
rules, ways = st.sampled_from(sorted(RULES)), st.booleans()


def roots(game: Game) -> Sequence:
    return STREETS if isinstance(game, Street) else belief_states(game)


def drawn(name: str, chosen: list[tuple[int, int]], dtype: torch.dtype) -> tuple[Forest, Tensor]:
    """A forest, and beliefs in every possible hand."""
    game, every = GAMES[name], roots(GAMES[name])
    states = [every[number % len(every)] for number, _ in chosen]
    beliefs = []
    for state, (_, seed) in zip(states, chosen, strict=True):
        belief = np.random.default_rng(seed).uniform(0.1, 1, (2, game.num_hands)) * game.possible_hands(state)
        beliefs.append(belief / belief.sum(1, keepdims=True))
    forest = SUBGAMES[name].forest(states, torch.empty(0, dtype=dtype))
    return forest, torch.as_tensor(np.stack(beliefs, 1), dtype=dtype)


def solve(search: Start, at: tuple[Forest, Tensor], rule: str, alternating: bool, iterations: int) -> CFR:
    forest, belief = at
    leaves = LinearLeaves(forest.game)
    return search(forest, belief, RULES[rule], alternating=alternating, leaf_evaluator=leaves).run(iterations)


def found(cfr: CFR) -> list[Tensor]:
    return [cfr.strategy, cfr.average_strategy(), cfr.root_values(), cfr.root_infostate_values()]


@pytest.mark.parametrize("name", [name for name, game in GAMES.items() if not isinstance(game, Street)])
@given(picks, rules, ways)
def test_both_solvers_agree_in_single_precision(
    name: str, chosen: list, rule: str, alternating: bool
) -> None:
    """To 1e-5, but for one number in a hundred: where regrets are small beside values, strategies err more.

    On streets, actions can even be equal up to what single precision leaves of sums over many hands.
    """
    at = drawn(name, chosen, torch.float32)
    plain, fast = (solve(search, at, rule, alternating, 3) for search in (with_tensors, with_loops))
    for ours, theirs in zip(found(fast), found(plain), strict=True):
        if ours.numel():
            errors = (ours - theirs).abs()
            assert errors.flatten().quantile(0.99) < 1e-5
            assert errors.max() < 1e-3


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sets how many threads there are, however small the work."""
    monkeypatch.setattr(compiled, "WORTH_A_THREAD", 0)
    yield torch.set_num_threads
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["kuhn", "leduc_after_deal", "street_of_many_hands"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_company_and_threads_do_not_change_a_digit(
    name: str, dtype: torch.dtype, threads: Callable[[int], None]
) -> None:
    """Over many iterations: rounding that differed anywhere would show."""
    iterations = 20 if name == "street_of_many_hands" else 200
    forest, belief = drawn(name, complete := [(5 + i % 6, i) for i in range(40)], dtype)
    together = solve(with_loops, (forest, belief), "dcfr", True, iterations)
    threads(2)
    shared = solve(with_loops, (forest, belief), "dcfr", True, iterations)
    assert all(torch.equal(*pair) for pair in zip(found(together), found(shared), strict=True))
    threads(1)
    for b in (0, 7, 39):
        alone = solve(with_loops, drawn(name, [complete[b]], dtype), "dcfr", True, iterations)
        assert torch.equal(alone.root_values()[:, 0], together.root_values()[:, b])


@pytest.mark.parametrize("memory", [0, -1, float("nan"), True, "much"])
def test_memory_must_be_positive(memory: Any) -> None:
    with pytest.raises(ValueError, match=r"^memory_gb must be a number above 0, got"):
        Solver(memory_gb=memory)


def test_leaf_beliefs_are_current_or_average() -> None:
    with pytest.raises(ValueError, match=r"^leaf_beliefs must be one of current, average, got 'avg'"):
        Solver(leaf_beliefs="avg")


@EITHER_SOLVER
def test_beliefs_that_no_deal_allows_give_zeros(search: Start) -> None:
    """Both players can only hold the same card."""
    forest, _ = drawn("leduc_before_deal", [(0, 0)], torch.float64)
    belief = torch.zeros(2, 1, 6, dtype=torch.float64)
    belief[:, :, 2] = 1
    for values in found(solve(search, (forest, belief), "dcfr", True, 20)):
        assert values.isfinite().all()


INTERRUPTED = """
import itertools, signal, time
import test_compiled_cfr as tests

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for threads, (name, number) in itertools.product((1, 2), (("kuhn", 4000), ("street_of_many_hands", 50))):
    tests.torch.set_num_threads(threads)
    at = tests.drawn(name, [(i, i) for i in range(number)], tests.torch.float32)
    tests.solve(tests.with_loops, at, "dcfr", True, 1)  # compiles
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    started = time.monotonic()
    try:
        tests.solve(tests.with_loops, at, "dcfr", True, 200_000)
    except KeyboardInterrupt:
        print(time.monotonic() - started)  # and if a thread went on, the process could not end
"""


def test_an_interrupt_is_heard_while_a_forest_is_solved_in_one_thread_or_two() -> None:
    """In a process of its own: hypothesis swallows exceptions in a callback of the garbage collector."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    )
    took = [float(line) for line in done.stdout.splitlines()]
    assert len(took) == 4
    assert all(0.5 <= seconds < 5 for seconds in took)


def test_many_hands_are_divided_among_packs() -> None:
    forest, _ = drawn("street_of_many_hands", [(0, 0)], torch.float64)
    packs = packing.pack_subgames(forest, np.dtype("float64"))
    assert len(packs.tree) > 1
    assert packs.first_hand.tolist() == [0, *packs.last_hand[:-1].tolist()]
    assert packs.last_hand[-1] == 420


def test_a_process_forked_after_a_solve_in_threads_solves_too(threads: Callable[[int], None]) -> None:
    def values() -> Tensor:
        at = drawn("kuhn", [(i, i) for i in range(40)], torch.float64)
        return solve(with_loops, at, "dcfr", True, 20).root_values()

    threads(2)
    expected = values()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: os._exit(not torch.equal(values(), expected))
    )
    process.start()
    process.join(30)
    alive = process.is_alive()
    process.kill()
    assert not alive
    assert process.exitcode == 0


def test_trees_are_kept_up_to_a_size_and_stay_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subgames, "MOST_NODES", 500)
    made = Subgames(Street(6))
    for pot in range(1, 30):
        made.tree(StreetState(pot, 100))
    assert made.tree(StreetState(29, 100)) is made.tree(StreetState(29, 100))
    assert 1 <= len(made._trees) < 10
    assert sum(map(subgames._size, made._trees.values())) == made._nodes <= 500
    there = pickle.loads(pickle.dumps(made))
    assert len(there.tree(StreetState(5, 100)).decisions) > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_loops_are_compiled_once_for_each_dtype(dtype: torch.dtype) -> None:
    """Whatever forests a process has solved: a compilation takes seconds."""
    games: list[Game] = [Leduc("before_deal"), Leduc(), Kuhn(), LiarsDice(1, 3)]
    for game in games:
        states = belief_states(game)
        for roots in (states[:1], states[-1:], states):
            forest = Subgames(game).forest(roots, torch.empty(0, dtype=dtype))
            belief = (forest.root_possible / forest.root_possible.sum(-1, keepdim=True)).expand(2, -1, -1)
            leaves = LinearLeaves(game)
            with_loops(forest, belief, RULES["dcfr"], alternating=True, leaf_evaluator=leaves).run(1)
    compilers: list[Any] = [loops.advance, loops.start]
    assert [len(compiler.signatures) <= 2 for compiler in compilers] == [True, True]
