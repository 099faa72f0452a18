"""Trees with one deal of each kind are worth what the whole trees are."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from solvers import EITHER_SOLVER, Start, with_loops
from torch import Tensor

from pokerlab.config.command import compose
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game, Ints
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import CARDS, SUITS, Leduc, LeducState
from pokerlab.games.parts import Symmetry, symmetry_of
from pokerlab.games.unfolding import walk
from pokerlab.search.backends import compiled, packing
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.rules import RULES
from pokerlab.search.tree import PublicTree, build_tree
from pokerlab.solve import solve

BETS: list[list[float]] = [[0.5, 1], [1]]


class LeducOfAlikeSuits(Leduc):
    """Payoffs are matrices; each rank's two cards can be exchanged."""

    def symmetry(self) -> Symmetry[LeducState]:
        return Symmetry(
            representative_hand=np.arange(CARDS) // SUITS * SUITS,
            outcomes=lambda state: [(outcome, SUITS) for outcome in self.chance_outcomes(state)[::SUITS]],
            representative=self._representative,
        )

    @staticmethod
    def _representative(state: LeducState) -> tuple[LeducState, Ints]:
        """With the first card of the rank on board: its cards are exchanged, or not."""
        board, hands = state.board or 0, np.arange(CARDS)
        kept = board // SUITS * SUITS
        hands[[board, kept]] = hands[[kept, board]]
        return replace(state, board=kept), hands


def endgame(board: str, ranks: int = 5, suits: int = 4, stack: float = 50, **options: Any) -> Holdem:
    return Holdem(
        "endgame", board=board, pot=20, stack=stack, blinds=(1, 2), bets=BETS, ranks=ranks, suits=suits,
        **options,
    )  # fmt: skip


ENDGAMES = {
    "two_suits_alike": endgame("2c3c4c5d"),
    "two_of_three_suits": endgame("2c3c4c5c", suits=3),
    "three_suits_alike": endgame("2c3c4c5c"),
    "suits_on_the_board": endgame("2c2d3c3d", ranks=4),
    "all_in_before_the_river": endgame("2c3c4c5d", stack=9),
    "ranges_of_alike_suits": endgame("2c3c4c5c", ranges=("uniform,5s5h:0.5", "33+,65s")),
    "flop": endgame("2c3c4c", ranks=3, stack=15),
    "whole": Holdem("whole", stack=9, blinds=(1, 2), bets=[[1]], ranks=3, suits=3, deals=(0, 2)),
}
GAMES: dict[str, Game] = {"leduc": LeducOfAlikeSuits(), **ENDGAMES}
every_game = pytest.mark.parametrize("name", GAMES)


@cache
def tree_of(name: str, reduced: bool) -> PublicTree:
    game = GAMES[name]
    symmetry = symmetry_of(game) if reduced else None
    return build_tree(game, game.root(), depth_limited=False, symmetry=symmetry)


def solver(search: Start, name: str, reduced: list[bool], rule: str, alternating: bool) -> CFR:
    forest = Forest(GAMES[name], [tree_of(name, which) for which in reduced], dtype=torch.float64)
    belief = torch.as_tensor(GAMES[name].initial_beliefs)[:, None].repeat(1, len(reduced), 1)
    return search(forest, belief, RULES[rule], alternating=alternating)


def found(cfr: CFR) -> list[Tensor]:
    worth = cfr.exploitability()
    return [worth.value, worth.best_response.T, cfr.root_values().transpose(0, 1)]


def assert_same(one: CFR, other: CFR) -> None:
    for ours, theirs in zip(found(one), found(other), strict=True):
        torch.testing.assert_close(ours, theirs.expand_as(ours), rtol=1e-9, atol=1e-9)


@every_game
@EITHER_SOLVER
@pytest.mark.parametrize("alternating", [False, True], ids=["simultaneous", "alternating"])
@pytest.mark.parametrize("rule", ["cfr", "linear_cfr", "dcfr"])
def test_worth_what_the_whole_tree_is(name: str, search: Start, rule: str, alternating: bool) -> None:
    reduced, whole = (solver(search, name, [which], rule, alternating) for which in (True, False))
    # later, regrets of hands that nobody can meet, rounding errors, are matched: two solvers of the whole
    # tree differ as much
    for iterations in (1, 1) if alternating else (1, 2, 2):
        assert_same(reduced.run(iterations), whole.run(iterations))


@pytest.mark.parametrize("name", ["leduc", "two_of_three_suits"])
@EITHER_SOLVER
def test_in_a_forest_of_several(name: str, search: Start) -> None:
    some = solver(search, name, [True, False, True, True], "dcfr", False).run(9)
    assert_same(some, solver(search, name, [False], "dcfr", False).run(9))


@pytest.mark.parametrize("threads", [1, 2])
def test_in_packs_of_some_of_the_hands(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = solver(with_loops, "three_suits_alike", [False], "dcfr", False).run(9)
    for module, name, value in ((packing, "ROW", 64), (packing, "PACK", 1), (compiled, "WORTH_A_THREAD", 1)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    reduced = solver(with_loops, "three_suits_alike", [True], "dcfr", False)
    assert len(reduced._backend._packs.tree) > 2  # type: ignore[attr-defined]
    assert_same(reduced.run(9), whole)


# The strategy of a reduced tree, on the whole one


def exchanges(game: Holdem) -> list[Ints]:
    """What each card becomes when suits are exchanged that the game does not tell apart, by brute force."""
    root, found = game.root(), []
    for order in permutations(range(game.deck.suits)):
        cards = np.array(
            [card - card % len(order) + order[card % len(order)] for card in range(len(game.deck.cards))]
        )
        weights = game.initial_beliefs[:, [game.deck.hand_of[tuple(cards[hand])] for hand in game.deck.hands]]
        if set(cards[list(root.board)]) == set(root.board) and (weights == game.initial_beliefs).all():
            found.append(cards)
    return found


@pytest.mark.parametrize("name", ENDGAMES)
@EITHER_SOLVER
def test_is_a_strategy_of_the_whole_game(name: str, search: Start) -> None:
    game, cfr = ENDGAMES[name], solver(search, name, [True], "dcfr", False).run(15)
    average, forest = cfr.average_strategy(), cfr.forest
    states = [forest.trees[0].decisions.states[node] for node in forest.decisions.node]
    number = {state: d for d, state in enumerate(states)}
    whole, dealt = WholeGame(game), len(game.root().board)
    deal = game.boards[game.boards.index(dealt) + 1] - dealt
    strategy = torch.zeros(whole.forest.edge_shape, dtype=torch.float64)
    group = exchanges(game)
    for d, state in enumerate(whole.states):
        for cards in group:
            new = cards[list(state.board[dealt:])].tolist()
            there = replace(state, board=(*game.root().board, *sorted(new[:deal]), *new[deal:]))
            if state.board == game.root().board:
                there = state
            if there in number:
                hands = game.deck.hand_of[tuple(cards[game.deck.hands].T)]
                strategy[:, d] = average[:, number[there]][:, hands]
                break
        else:
            raise AssertionError(f"no state is like {state}")
    ours, theirs = cfr.exploitability(), whole.exploitability(strategy)
    torch.testing.assert_close(ours.value, theirs.value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.best_response, theirs.best_response, rtol=1e-9, atol=1e-9)


# What is alike


@pytest.mark.parametrize(
    ("board", "rivers"),
    [
        ("3s7sTsKh", 10 + 12 + 13),  # diamonds are clubs
        ("Td9d6hQh", 11 + 11 + 13),  # spades are clubs
        ("3s7sTsKs", 9 + 13),
        ("3s3h7s7h", 11 + 13),  # hearts are spades, clubs are diamonds
    ],
)
def test_one_river_of_each_kind(board: str, rivers: int) -> None:
    game = Holdem("turn", board=board, pot=20, stack=5, blinds=(1, 2), bets=[[1]])
    symmetry = game.symmetry()
    assert symmetry
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry)
    assert len(tree.boards) == 1 + rivers
    called = next(
        state for state in walk(game, game.root(), depth_limited=True).states if game.actor(state) == 2
    )
    assert sum(number for _, number in symmetry.outcomes(called)) == 48


@pytest.mark.parametrize("name", ENDGAMES)
def test_alike_are_hands_that_an_exchange_takes_to_one_another(name: str) -> None:
    game = ENDGAMES[name]
    symmetry = game.symmetry()
    assert symmetry
    hand_of, hands, group = game.deck.hand_of, game.deck.hands, exchanges(game)
    orbits = [min(int(hand_of[tuple(cards[hand])]) for cards in group) for hand in hands]
    assert symmetry.representative_hand.tolist() == orbits


@pytest.mark.parametrize(
    "game",
    [
        endgame("2c3c4d5h"),  # no two suits are alike
        endgame("2c3c4c5d", ranges=("uniform", "uniform,6h5h:0.5")),
        endgame("2c3c4c5d", ranges=("6h5h,6h6d", "uniform")),
        endgame("2c3c4c5c6c"),  # nothing is to come
        endgame("2c3c4c5c", isomorphism=False),
        Leduc(),
    ],
)
def test_nothing_is_alike(game: Game) -> None:
    assert symmetry_of(game) is None


def test_ranges_leave_some_suits_alike() -> None:
    every = endgame("2c3c4c5c").symmetry()
    some = endgame("2c3c4c5c", ranges=("uniform,6s6c:0.5", "uniform")).symmetry()
    assert every
    assert some
    assert (
        len(set(every.representative_hand))
        < len(set(some.representative_hand))
        < endgame("2c3c4c5c").num_hands
    )


def test_policies_of_the_whole_game_know_every_state() -> None:
    game = ENDGAMES["two_suits_alike"]
    boards = {state.board for state in WholeGame(game).states}
    assert len(boards) == 1 + len(game.deck.cards) - 4
    limited = build_tree(game, game.root(), depth_limited=True)
    assert limited.representative is None


def test_solve_tells(capsys: pytest.CaptureFixture[str]) -> None:
    game = ["game=turn", "game.board=3s7sTsKs", "game.stack=100", "game.bets=[[1]]", "iterations=1"]
    for isomorphism, told in (("true", True), ("false", False)):
        solve(compose("solve", [*game, f"game.isomorphism={isomorphism}"]))
        assert ("isomorphic ones left out" in capsys.readouterr().out) == told
