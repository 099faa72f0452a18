"""What solving takes is stated, bounded and configurable."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from belief_states import DenseStreet, LinearLeaves, belief_states, leduc_state
from hypothesis import given
from hypothesis import strategies as st
from solvers import EITHER_SOLVER, Start, with_loops, with_tensors
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from benchmarks.street import Street, StreetState
from pokerlab.games import showdown
from pokerlab.games.base import Game, PayoffOperator
from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.payoff_tables import RUN_OUT, TabledPayoffs
from pokerlab.games.showdown import card_payoff_bytes
from pokerlab.search import subgames as subgames_module
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.subgames import Subgames, payoff_bytes, solving_bytes
from pokerlab.search.tree import build_tree

MANY_SIZES = (0.25, 0.5, 0.75, 1, 1.5, 2, 3)


def streets(number: int, **changes: Any) -> list[StreetState]:
    return [StreetState(10, **({"stack": 100} | changes))] * number


GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "kuhn of depth 1": Kuhn(depth_limit=1),
    "leduc before deal": Leduc("before_deal"),
    "leduc after deal": Leduc(),
    "dice": LiarsDice(1, 3),
    "limited dice": LiarsDice(2, 2, depth_limit=3),
}
CASES: dict[str, tuple[Game, list[Any]]] = {
    **{f"one {name}": (game, belief_states(game)[:1]) for name, game in GAMES.items()},
    **{f"33 of {name}": (game, belief_states(game)[:1] * 33) for name, game in GAMES.items()},
    **{f"every kind of {name}": (game, belief_states(game)) for name, game in GAMES.items()},
    "one board often, others once": (
        Leduc(), [leduc_state(Leduc(), "cc/", 5)] * 200 + belief_states(Leduc())
    ),
    "street": (Street(24), streets(7)),
    "street in matrices": (DenseStreet(24), streets(7)),
    "street of many hands": (Street(420), streets(5)),
    "street of one board often, others once": (
        Street(24), streets(100, board=0) + [StreetState(10, 100, board=board) for board in range(1, 24)]
    ),
    "one wide street, many narrow": (Street(24, bets=MANY_SIZES), streets(60, stack=1) + streets(1)),
}  # fmt: skip
"""Games and the roots of subgames solved together."""
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])


def kept(cfr: CFR) -> int:
    """Bytes of the arrays that a solver holds, its forest's aside."""
    addresses: dict[int, int] = {}

    def count(value: object) -> None:
        if isinstance(value, Tensor):
            addresses[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, np.ndarray) and value.base is None:
            addresses[value.ctypes.data] = value.nbytes
        elif isinstance(value, np.ndarray):
            count(value.base)
        elif isinstance(value, tuple | list):
            for part in value:
                count(part)

    for part in (cfr, cfr._backend):
        for name, value in vars(part).items():
            if name.removeprefix("_") not in ("forest", "belief", "rule"):
                count(value)
    return sum(addresses.values())


def solved(search: Start, forest: Forest) -> CFR:
    possible = forest.root_possible
    belief = (possible / possible.sum(-1, keepdim=True)).expand(2, -1, -1)
    leaves = LinearLeaves(forest.game)
    return search(forest, belief, RULES["pcfr_plus"], alternating=True, leaf_evaluator=leaves).run(1)


@EITHER_SOLVER
@DTYPES
@pytest.mark.parametrize("case", CASES)
def test_a_solver_keeps_less_than_is_stated(case: str, dtype: torch.dtype, search: Start) -> None:
    game, states = CASES[case]
    forest = Subgames(game).forest(states, torch.empty(0, dtype=dtype))
    like = torch.empty(0, dtype=dtype)
    stated = sum(solving_bytes(forest.trees[tree], like, forest.width) for tree in forest.tree_of)
    assert 0.05 * stated < kept(solved(search, forest)) < stated + 10_000  # rows of few are padded


@EITHER_SOLVER
@given(
    st.lists(st.tuples(st.sampled_from([1, 20, 300]), st.integers(0, 23)), min_size=1, max_size=40),
    st.sampled_from([1e5, 1e6, 1e7]),
)
def test_no_part_of_a_forest_takes_more_than_is_allowed(
    search: Start, chosen: list[tuple[int, int]], most: float
) -> None:
    subgames, like = Subgames(Street(24, bets=MANY_SIZES)), torch.empty(0)
    states = [StreetState(10, stack, board) for stack, board in chosen]
    seen: list[int] = []
    for part, forest in subgames.forests(states, like, most):
        assert [forest.trees[tree].root for tree in forest.tree_of] == states[part]
        assert kept(solved(search, forest)) < most + 10_000 or forest.num_subgames == 1
        seen += range(part.start, part.stop)
    assert seen == list(range(len(states)))


def test_a_part_has_at_least_one_subgame_and_no_fewer_than_fit() -> None:
    game, like = Leduc(), torch.empty(0, dtype=torch.float64)
    subgames, states = Subgames(game), [belief_states(game)[i % 11] for i in range(50)]
    trees = [subgames.tree(state) for state in states]

    def size(part: slice) -> float:
        """With what the payoffs of all take once."""
        each = [solving_bytes(tree, like, max(t.width for t in trees)) for tree in trees[part]]
        return sum(each) + payoff_bytes(game, trees[part], like)

    assert len(list(subgames.forests(states, like, 1))) == 50
    most = 2.5 * max(size(slice(i, i + 1)) for i in range(50))
    parts = [part for part, _ in subgames.forests(states, like, most)]
    assert 5 < len(parts) < 50
    for part, following in pairwise(parts):
        assert size(part) <= most < size(slice(part.start, following.start + 1))


def endgame(board: str) -> Holdem:
    bets: list[list[float]] = [[0.5, 1], [1]]
    return Holdem("endgame", board=board, pot=20, stack=15, blinds=(1, 2), bets=bets, ranks=7)


CARD_GAMES = [
    Leduc(),
    LiarsDice(1, 3),
    DenseStreet(24),
    endgame("2c3c4d5d8h"),
    endgame("2c3c4d5d"),
    endgame("2c3c4d"),
]


def sizes_of(value: object) -> dict[int, int]:
    """The bytes of all tensors and arrays in it, each once."""
    if isinstance(value, Tensor | np.ndarray):
        return {id(value): value.nbytes}
    parts = value if isinstance(value, tuple | list) else ()
    return {name: size for part in parts for name, size in sizes_of(part).items()}


def bytes_of(operator: PayoffOperator) -> int:
    """What a payoff operator keeps, matrices that are made on first use too."""
    if isinstance(operator, TabledPayoffs):
        assert operator.tables
    return sum(sizes_of([*vars(operator).values()]).values())


@pytest.mark.parametrize("loops", [True, False], ids=["loops", "products"])
@pytest.mark.parametrize("game", CARD_GAMES, ids=lambda game: f"{game.name}-{game.num_hands}")
@DTYPES
def test_payoffs_take_what_is_stated(
    game: Game, dtype: torch.dtype, loops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrices too, each once: a frequent kernel has several rows."""
    monkeypatch.setattr(showdown, "NUMBA", loops)
    like = torch.empty(0, dtype=dtype)
    forest = Subgames(game).forest([game.root()] * 3, like)
    stated = payoff_bytes(game, forest.trees, like)
    assert bytes_of(forest.payoffs.operator) <= 1.05 * stated + 5_000
    once = game.payoff_operator(forest.payoff_kernels.tolist(), like)
    assert stated <= 2 * bytes_of(once)
    if isinstance(game, Holdem):
        assert stated == pytest.approx(bytes_of(once), rel=0.05, abs=5_000)


@pytest.mark.parametrize(("board", "number"), [("2c3d4h5s", 2), ("2c3d4h", 2), ("", 4)])
def test_on_a_gpu_a_matrix_takes_half_where_its_counts_are_small(board: str, number: int) -> None:
    deck = Deck(13, 4)
    like: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32, element_size=lambda: 4)
    cards = deck.read_cards(board)
    found = card_payoff_bytes(deck, RUN_OUT, cards, complete=5, like=like)
    assert found == pytest.approx(1326**2 * number, rel=0.01)


def test_beside_a_gpu_the_next_parts_trees_are_made_while_one_is_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = [StreetState(10, 100 + number, number % 23) for number in range(12)]
    game, threads, build = Street(24, bets=MANY_SIZES), list[bool](), build_tree

    def watched(*given: Any, **options: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return build(*given, **options)

    def parts(like: Tensor) -> Iterator[tuple[slice, list[StreetState]]]:
        for part, forest in Subgames(game).forests(states, like, 3e5):
            yield part, [forest.trees[tree].root for tree in forest.tree_of]

    expected = list(parts(torch.empty(0)))
    assert len(expected) > 3
    monkeypatch.setattr(subgames_module, "build_tree", watched)
    with pretended_cuda():
        found = parts(torch.empty(0, device=CUDA))
        assert next(found) == expected[0]
        end = time.monotonic() + 10
        while len(threads) < expected[1][0].stop + 1 and time.monotonic() < end:
            time.sleep(0.001)
        assert len(threads) == expected[1][0].stop + 1  # the second part's, and one that did not fit
        assert list(found) == expected[1:]
    assert threads == [False] * len(states)


def test_parts_of_a_forest_count_the_matrices_of_their_boards() -> None:
    """Each once in a part, however many of its subgames need it."""
    game, like = DenseStreet(60), torch.empty(0)
    subgames = Subgames(game)
    few, many = ([StreetState(10, 100, b) for b in boards] for boards in ([0] * 40, range(40)))
    of_one = solving_bytes(subgames.tree(few[0]), like, subgames.tree(few[0]).width)
    most = 20 * of_one + payoff_bytes(game, [subgames.tree(few[0])], like)
    parts = {
        name: [part for part, _ in subgames.forests(states, like, most)]
        for name, states in (("few", few), ("many", many))
    }
    assert [part.stop - part.start for part in parts["few"]] == [20, 20]
    for part in parts["many"]:
        trees = [subgames.tree(state) for state in many[part]]
        assert len(trees) * of_one + payoff_bytes(game, trees, like) <= most
    assert len(parts["many"]) > 2


@given(st.lists(st.sampled_from([*range(8)] + [0] * 20), min_size=1, max_size=200))
def test_half_of_the_payoff_operators_argument_is_terminals(boards: list[int]) -> None:
    """However unequal the boards' numbers are."""
    states = [StreetState(10, 100, board) for board in boards]
    forest = Subgames(Street(8)).forest(states, torch.empty(0))
    slots = forest.payoffs.row[0].numel()
    assert len(forest.terminals) <= slots < 2 * len(forest.terminals)
    assert len(np.unique(forest.payoffs.slot)) == len(forest.terminals)
    assert (forest.payoffs.chips != 0).sum() == 2 * len(forest.terminals)


@DTYPES
def test_what_more_subgames_of_a_kind_take_is_proportional(dtype: torch.dtype) -> None:
    like, game = torch.empty(0, dtype=dtype), Street(420)
    for search in (with_tensors, with_loops):
        few, many = (kept(solved(search, Subgames(game).forest(streets(n), like))) for n in (2, 8))
        assert many == pytest.approx(4 * few, rel=0.05)


@pytest.mark.parametrize("street", [1, 2, 3])
def test_little_of_the_payoff_operators_argument_is_padding_where_self_play_starts(street: int) -> None:
    bets: list[list[float]] = [[0.5, 1, 2], [1]]
    game = Holdem("hunl", pot=0, stack=20_000, bets=bets, most_raises=4, jitter=0.1, most_deals=64)
    generator = np.random.default_rng(street)
    starts = []
    for _ in range(64):
        deal = game.draw_deal(street, generator)
        dealt = game.chance_outcomes(deal)
        chosen = dealt[int(generator.integers(len(dealt)))]
        starts.append(game.vary(chosen, int(generator.integers(1, 2**62))))
    forest = Subgames(game).forest(starts, torch.empty(0))
    assert len(forest.terminals) > 0.85 * len(forest.payoffs.subgame)


def test_what_goes_on_through_deals_to_the_end_is_solved_alone() -> None:
    """Board by board, which takes several times less than together with others."""
    game = Holdem(
        "small", ranks=5, suits=3, stack=8, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), solve_to_end=700
    )
    draws = np.random.default_rng(1)
    flops = [game.chance_outcomes(game.draw_deal(1, draws))[number] for number in range(3)]
    turns = [game.chance_outcomes(game.draw_deal(2, draws))[number] for number in range(3)]
    parts = list(Subgames(game).forests([*turns, *flops], torch.empty(0), 1e9))
    assert [place for place, _ in parts] == [slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 6)]
    assert not any(len(forest.leaves) for _, forest in parts)
