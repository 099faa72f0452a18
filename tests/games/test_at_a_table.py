"""What a game offers to those who play hands of it: checking, calling, folding, deals that are drawn."""

from collections.abc import Sequence
from itertools import combinations, pairwise, product
from math import comb
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import CHANCE, TERMINAL, Game, Terminal
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import (
    RunOuts,
    call_down,
    call_down_by_rules,
    draw_outcome,
    draw_outcome_by_rules,
    table_play,
)

DOUBLE = torch.empty(0, dtype=torch.float64)
FOLD, CALL, POT, ALL_IN = range(4)


def holdem(
    ranks: int, suits: int, deals: Sequence[int], *, board: str = "", pot: float = 0, stack: float = 12
) -> Holdem:
    return Holdem(
        "small",
        board=board,
        pot=pot,
        stack=stack,
        blinds=(1, 2),
        bets=((1,),),
        ranks=ranks,
        suits=suits,
        deals=deals,
    )


TWO_CARDS = holdem(4, 2, (0, 1, 1))
FLOP = holdem(4, 2, (0, 3, 1))
WHOLE_BOARD = holdem(4, 3, (0, 3, 1, 1))
FROM_THE_FLOP = holdem(4, 3, (0, 3, 1, 1), board="2c3d5h", pot=4)
HOLDEMS = [TWO_CARDS, FLOP, WHOLE_BOARD, FROM_THE_FLOP]
IDS = ["two cards", "flop", "whole board", "from the flop"]
EACH_HOLDEM = pytest.mark.parametrize("game", HOLDEMS, ids=IDS)
ENUMERATED: list[Game] = [Kuhn(), Leduc(), holdem(3, 2, (0, 1), stack=8)]
EACH_ENUMERATED = pytest.mark.parametrize("game", ENUMERATED, ids=["kuhn", "leduc", "holdem"])


def after(game: Game, line: Sequence[int], hands: tuple[int, int] = (0, 0)) -> Any:
    """The state after actions from the root; deals are the first that leave ``hands``."""
    state = game.root()
    for action in line:
        state = game.next_state(state, action)
        if game.actor(state) == CHANCE:
            state = draw_outcome(game, state, hands, 0)
    return state


def before_deal(game: Game) -> Any:
    """After checks and calls."""
    state = game.root()
    while game.actor(state) != CHANCE:
        state = game.next_state(state, table_play(game).check_or_call(state))
    return state


def some_hands(game: Game, state: Any, number: int) -> list[tuple[int, int]]:
    """Pairs that can be held at ``state``."""
    possible = np.outer(*[game.possible_hands(state)] * 2) & (game.deal > 0)
    pairs = np.argwhere(possible)
    chosen = np.random.default_rng(0).choice(len(pairs), number, replace=False)
    return [(int(first), int(second)) for first, second in pairs[chosen]]


# Deals


@pytest.mark.parametrize("game", [Leduc(), *HOLDEMS], ids=["leduc", *IDS])
def test_each_outcome_that_leaves_both_hands_has_an_equal_share_of_fractions(game: Game) -> None:
    state = before_deal(game)
    for hands in some_hands(game, state, 4):
        allowed = [
            outcome
            for outcome in game.chance_outcomes(state)
            if game.possible_hands(outcome)[hands[0]] and game.possible_hands(outcome)[hands[1]]
        ]
        points = 3 * len(allowed)
        drawn = [draw_outcome(game, state, hands, (point + 0.5) / points) for point in range(points)]
        assert drawn == [outcome for outcome in allowed for _ in range(3)]  # in their order
        assert draw_outcome(game, state, hands, 0) == allowed[0]
        assert draw_outcome(game, state, hands, 1 - 2**-53) == allowed[-1]


@EACH_HOLDEM
@given(fraction=st.floats(0, 1, exclude_max=True), of_hands=st.integers(0, 19))
def test_hold_em_draws_what_any_game_does(game: Holdem, fraction: float, of_hands: int) -> None:
    state = before_deal(game)
    hands = some_hands(game, state, 20)[of_hands]
    assert draw_outcome(game, state, hands, fraction) == draw_outcome_by_rules(game, state, hands, fraction)


def test_flops_of_a_whole_deck_are_drawn_equally_often() -> None:
    """Those without any of four cards, in the order of all."""
    game = Holdem("hunl")
    state, hands = before_deal(game), (3, 700)
    held = set(game.deck.hands[list(hands)].flatten().tolist())
    flops = list(combinations([card for card in range(52) if card not in held], 3))
    every = 173  # 17,296 flops
    drawn = [
        game.draw_outcome(state, hands, (n + 0.5) / len(flops)).board for n in range(0, len(flops), every)
    ]
    assert drawn == flops[::every]


def fractions_of(seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    fractions: list[float] = generator.random(8).tolist()
    return fractions


def dealt(game: Holdem, hands: tuple[int, int], fractions: Sequence[float]) -> tuple[int, ...]:
    """The board if nobody bets, deal by deal."""
    state, deals = game.root(), 0
    while game.actor(state) != TERMINAL:
        if game.actor(state) == CHANCE:
            state = game.draw_outcome(state, hands, fractions[deals])
            deals += 1
        else:
            state = game.next_state(state, CALL)
    return state.board


@EACH_HOLDEM
def test_running_out_deals_what_would_have_been_dealt_street_by_street(game: Holdem) -> None:
    """Whether all chips go in at once or later, the same fractions give the same cards."""
    for seed, hands in enumerate(some_hands(game, game.root(), 20)):
        fractions = fractions_of(seed)
        board = dealt(game, hands, fractions)
        assert len(board) == game.complete
        for checked in (0, 1, 2):
            state, deals = game.root(), 0
            calls = 2 * checked
            while game.actor(state) != TERMINAL:
                if game.actor(state) == CHANCE:
                    state = game.draw_outcome(state, hands, fractions[deals])
                    deals += 1
                else:
                    all_in = calls <= 0 and ALL_IN in game.actions(state)
                    state, calls = game.next_state(state, ALL_IN if all_in else CALL), calls - 1
            end = game.run_out(state, hands, fractions)
            assert end.board == board
            assert game.actor(end) == TERMINAL
            assert game.possible_hands(end)[list(hands)].all()
            assert game.pot(end) == game.pot(state)
            assert game.terminal(end).chips == game.terminal(state).chips
            if len(state.board) == game.complete:
                assert end == state


@EACH_HOLDEM
def test_running_out_pays_on_average_what_the_end_does(game: Holdem) -> None:
    """Each way to deal the rest once."""
    state = game.next_state(game.next_state(game.root(), ALL_IN), CALL)
    hands = some_hands(game, state, 1)[0]
    assert game.actor(state) == TERMINAL
    grids, left = [], len(game.deck.cards) - 4 - len(state.board)
    for before, after_it in pairwise(game.boards[game.boards.index(len(state.board)) :]):
        ways = comb(left, after_it - before)
        grids.append([(way + 0.5) / ways for way in range(ways)])
        left -= after_it - before
    ends = [game.run_out(state, hands, fractions) for fractions in product(*grids)]
    assert len({end.board for end in ends}) == len(ends)
    own, other = (torch.nn.functional.one_hot(torch.tensor(hand), game.num_hands).double() for hand in hands)
    shown = [(game.terminal(end), 1 / len(ends)) for end in ends]
    values = [paid_by_all(game, of, other) @ own for of in (shown, [(game.terminal(state), 1.0)])]
    torch.testing.assert_close(*values, rtol=0, atol=1e-12)


@EACH_HOLDEM
def test_after_a_fold_no_card_comes(game: Holdem) -> None:
    for line in ([FOLD], [POT, FOLD], [CALL, ALL_IN, FOLD], [CALL, CALL, POT, FOLD]):
        if line[0] == FOLD and FOLD not in game.actions(game.root()):
            continue
        state = after(game, line, (0, 27))
        assert game.actor(state) == TERMINAL
        assert game.run_out(state, (0, 27), fractions_of(0)) == state


@pytest.mark.parametrize("game", [Kuhn(), Leduc()], ids=["kuhn", "leduc"])
def test_where_all_cards_are_dealt_there_is_nothing_to_run_out(game: Game) -> None:
    state = game.root()
    while game.actor(state) != TERMINAL:
        state = (
            draw_outcome(game, state, (0, 1), 0.5)
            if game.actor(state) == CHANCE
            else game.next_state(state, table_play(game).check_or_call(state))
        )
    assert not isinstance(game, RunOuts)


# Calling down


def paid_by_all(game: Game, ends: Sequence[tuple[Terminal, float]], reach: Tensor) -> Tensor:
    """``[H]`` counterfactual values of player 0."""
    kernels = [end.payoff_kernel for end, _ in ends]
    weights = torch.tensor([end.chips[0] * probability for end, probability in ends], dtype=torch.float64)
    won = game.payoff_operator(kernels, DOUBLE)(reach.expand(len(ends), 1, -1))[:, 0]
    return (weights[:, None] * won).sum(0)


CALLED_DOWN = {
    "to act": [],
    "facing a bet": [POT],
    "facing an all-in": [CALL, ALL_IN],
    "all-in": [ALL_IN, CALL],
    "folded": [POT, FOLD],
    "on the next street": [CALL, CALL],
    "facing a bet there": [CALL, CALL, POT],
    "all-in there": [CALL, CALL, ALL_IN, CALL],
    "bet and called": [POT, CALL],
}


@pytest.mark.parametrize("name", CALLED_DOWN)
@pytest.mark.parametrize("game", [TWO_CARDS, FLOP, FROM_THE_FLOP], ids=["two cards", "flop", "from the flop"])
def test_hold_em_is_called_down_as_any_game_is(game: Holdem, name: str) -> None:
    state = after(game, CALLED_DOWN[name])
    check_called_down(game, state)


@pytest.mark.parametrize("game", [TWO_CARDS, FLOP, FROM_THE_FLOP], ids=["two cards", "flop", "from the flop"])
@pytest.mark.parametrize("line", [[CALL, CALL], [POT, CALL], [ALL_IN, CALL], [CALL, CALL, ALL_IN, CALL]])
def test_hold_em_is_called_down_before_a_deal_as_any_game_is(game: Holdem, line: list[int]) -> None:
    """Or, where both are all-in, before several."""
    state = game.next_state(after(game, line[:-1]), CALL)
    assert game.actor(state) == CHANCE or ALL_IN in line
    check_called_down(game, state)


def check_called_down(game: Holdem, state: HoldemState) -> None:
    found, expected = call_down(game, state), call_down_by_rules(game, state)
    generator = torch.Generator().manual_seed(0)
    reach = torch.rand(game.num_hands, dtype=torch.float64, generator=generator)
    reach *= torch.as_tensor(game.possible_hands(state))
    values = [paid_by_all(game, ends, reach) for ends in (found, expected)]
    torch.testing.assert_close(*values, rtol=0, atol=1e-12)
    assert values[0].abs().amax() > 1e-3
    assert len(found) == 1


def test_leduc_is_called_down_over_all_boards() -> None:
    game = Leduc()
    ends = call_down(game, LeducState(rounds=((2,),), committed=(3, 1)))
    assert [(end.chips, probability) for end, probability in ends] == [((3, 3), 1 / 4)] * 6
    assert len({end.payoff_kernel for end, _ in ends}) == 6
    ((end, probability),) = call_down(game, LeducState(((2, 1), (2,)), (7, 3), board=1))
    assert (end.chips, probability) == ((7, 7), 1)


# Checking, calling, folding


@EACH_ENUMERATED
def test_one_can_always_check_or_call_and_check_or_fold(game: Game) -> None:
    facing = 0
    for state in WholeGame(game).states:
        call, fold = table_play(game).check_or_call(state), table_play(game).check_or_fold(state)
        assert {call, fold} <= set(game.actions(state))
        called, folded = game.next_state(state, call), game.next_state(state, fold)
        assert game.pot(folded) == game.pot(state)  # puts nothing in
        puts_in_nothing = game.pot(called) == game.pot(state)
        assert (call == fold) == puts_in_nothing
        if call != fold:
            facing += 1
            assert game.actor(folded) == TERMINAL
            stakes = game.terminal(folded).chips
            assert stakes[game.actor(state)] < 0 < stakes[1 - game.actor(state)]
        raises = set(game.actions(state)) - {call, fold}
        assert all(game.pot(game.next_state(state, action)) > game.pot(called) for action in raises)
    assert facing > 0


def test_liars_dice_has_neither() -> None:
    game = LiarsDice(1, 3)
    assert not hasattr(game, "check_or_call")
    assert not hasattr(game, "check_or_fold")
    with pytest.raises(ValueError, match="liars_dice_1x3f has no calling"):
        table_play(game)
    with pytest.raises(ValueError, match="liars_dice_1x3f has no calling"):
        call_down(game, game.root())


@pytest.mark.parametrize(
    ("game", "expected"),
    [(Kuhn(), 1), (Leduc(), 1), (Holdem("hunl", blinds=(50, 100)), 100), (TWO_CARDS, 2)],
    ids=["kuhn", "leduc", "hunl", "small"],
)
def test_results_are_told_in_big_blinds(game: Game, expected: float) -> None:
    assert game.big_blind == expected
