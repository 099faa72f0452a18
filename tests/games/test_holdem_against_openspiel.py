"""Hold'em against OpenSpiel's ``universal_poker``: lines of play, values and NashConv."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from math import comb, factorial
from typing import Any, cast

import pyspiel
import pytest
import torch
from dealing import dealt
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.evaluation.policies import WholeGame
from pokerlab.games import make_game
from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.parts import openspiel_names
from pokerlab.search.forest import uniform_strategy
from pokerlab.search.solver import Solver

PAPERS_FHP = (
    "universal_poker(betting=limit,numPlayers=2,numRounds=2,blind=50 100,raiseSize=100 100,firstPlayer=1 2,"
    "maxRaises=3 3,numSuits=4,numRanks=13,numHoleCards=2,numBoardCards=0 3)"
)
"""As it is written elsewhere: the button is OpenSpiel's player 0."""

LIKE = torch.empty(0, dtype=torch.float64)


def tiny(stack: float, deals: tuple[int, ...], ranks: int = 4, suits: int = 2) -> Holdem:
    return Holdem("tiny", stack=stack, blinds=(1, 2), bets=[[1]], ranks=ranks, suits=suits, deals=deals)


def fixed_limit(most_raises: int, deals: tuple[int, ...], ranks: int, suits: int = 2) -> Holdem:
    return Holdem(
        "limit", stack=700, limit=[100, 100], most_raises=most_raises, ranks=ranks, suits=suits, deals=deals
    )


SMALL = {
    "one card": tiny(7, (0, 1), ranks=3),
    "two cards at once": tiny(4, (0, 2)),
    "deep": tiny(20, (0, 1), ranks=3),
    "small blind always first": Holdem(
        "tiny", stack=7, blinds=(1, 2), small_blind=0, bets=[[1]], ranks=3, suits=2, deals=(0, 1)
    ),
    "limit": fixed_limit(3, (0, 1), ranks=3),
    "limit, three cards at once": fixed_limit(1, (0, 3), ranks=7, suits=1),
}
LARGE = {
    "where the pot is all-in": tiny(18, (0, 1)),
    "run-outs": tiny(15, (0, 1, 1), suits=3),
    "limits by street": Holdem(
        "limits by street",
        stack=40,
        blinds=(1, 2),
        limit=[2, 4, 6],
        most_raises=3,
        ranks=4,
        suits=2,
        deals=(0, 1, 1),
    ),
    "fhp of 16 cards": fixed_limit(3, (0, 3), ranks=4, suits=4),
    "fhp": cast(Holdem, make_game("fhp")),
    "24 cards": Holdem("24 cards", stack=180, blinds=(5, 10), bets=[[1]], ranks=6),
    "whole": Holdem("whole", bets=[[1]]),
}
GAMES = SMALL | LARGE


def some_hands(game: Holdem) -> st.SearchStrategy[tuple[int, int]]:
    cards = st.lists(st.sampled_from(range(len(game.deck.cards))), min_size=4, max_size=4, unique=True)
    return cards.map(lambda c: (int(game.deck.hand_of[c[0], c[1]]), int(game.deck.hand_of[c[2], c[3]])))


def their_name(game: Holdem, state: HoldemState, action: int) -> int:
    """Of an all-in that is just the pot, OpenSpiel has only the pot."""
    pot = state.pot + 2 * max(state.committed)
    is_pot = action == game.all_in and max(state.committed) + pot == state.stack
    return game.all_in - 1 if is_pot else action


def check_decision(game: Holdem, hands: tuple[int, int], ours: HoldemState, theirs: Any) -> None:
    actor = game.actor(ours)
    assert actor == theirs.current_player()
    assert [their_name(game, ours, action) for action in game.actions(ours)] == theirs.legal_actions()
    assert game.information_state(ours, hands[actor]) == theirs.information_state_string()


def deals(game: Holdem, ours: HoldemState, theirs: Any) -> Iterator[tuple[HoldemState, Any]]:
    """What can follow; OpenSpiel deals card by card, here in ascending order."""
    already = len(ours.board)
    found = {state.board[already:]: state for state in game.chance_outcomes(ours)}
    cards = len(next(iter(found)))

    def walk(state: Any, dealt: tuple[int, ...], chance: float) -> Iterator[tuple[HoldemState, Any]]:
        if len(dealt) == cards:
            assert chance * factorial(cards) == pytest.approx(game.chance_probability(ours), rel=1e-12)
            yield found[dealt], state
            return
        for card, probability in state.chance_outcomes():
            if card > max(dealt, default=-1):
                yield from walk(state.child(card), (*dealt, card), chance * probability)

    yield from walk(theirs, (), 1.0)


def check_payoffs(game: Holdem, hands: tuple[int, int], ours: HoldemState, theirs: Any) -> None:
    """Where both are all-in, OpenSpiel deals the rest of the board: here, some of the cards that it may."""
    board = list(ours.board)
    while theirs.is_chance_node():
        board.append(theirs.chance_outcomes()[7 * len(board) % len(theirs.chance_outcomes())][0])
        theirs = theirs.child(board[-1])
    assert theirs.is_terminal()
    end = game.terminal(replace(ours, board=tuple(board)))
    operator = game.payoff_operator([end.payoff_kernel], LIKE)
    for player in (0, 1):
        opponent = torch.zeros(1, 1, game.num_hands, dtype=torch.float64)
        opponent[..., hands[1 - player]] = game.num_hands * comb(len(game.deck.cards) - 2, 2)
        value = operator(opponent)[0, 0, hands[player]].item() * end.chips[player]
        assert value == pytest.approx(theirs.returns()[player], abs=1e-9)


@pytest.mark.parametrize("name", SMALL)
@given(st.data())
@settings(max_examples=3)
def test_every_state_of_some_deals_agrees(name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    hands = data.draw(some_hands(game))

    def walk(ours: HoldemState, theirs: Any) -> None:
        actor = game.actor(ours)
        if actor == TERMINAL:
            check_payoffs(game, hands, ours, theirs)
        elif actor == CHANCE:
            assert theirs.is_chance_node()
            below = list(deals(game, ours, theirs))
            assert len(below) == comb(len(game.deck.cards) - 4, game.complete)
            for pair in below:
                walk(*pair)
        else:
            check_decision(game, hands, ours, theirs)
            for action in game.actions(ours):
                walk(game.next_state(ours, action), theirs.child(their_name(game, ours, action)))

    walk(game.root(), dealt(game, hands))


@pytest.mark.parametrize("name", GAMES)
@given(st.data())
@settings(max_examples=15)
def test_every_state_of_random_lines_agrees(name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    hands = data.draw(some_hands(game))
    ours, theirs = game.root(), dealt(game, hands)
    while game.actor(ours) != TERMINAL:
        if game.actor(ours) == CHANCE:
            to_come = game.boards[len(ours.actions)] - len(ours.board)
            cards: list[int] = []
            for _ in range(to_come):
                cards.append(data.draw(st.sampled_from([card for card, _ in theirs.chance_outcomes()])))
                theirs = theirs.child(cards[-1])
            board = (*ours.board, *sorted(cards))
            (ours,) = [state for state in game.chance_outcomes(ours) if state.board == board]
        else:
            check_decision(game, hands, ours, theirs)
            # often enough to the last street: fold and all-in are the first and the last
            actions = [a for a in game.actions(ours) if 0 < a < game.all_in] * 3 + list(game.actions(ours))
            action = data.draw(st.sampled_from(actions))
            theirs = theirs.child(their_name(game, ours, action))
            ours = game.next_state(ours, action)
    check_payoffs(game, hands, ours, theirs)


def test_fhp_is_the_papers_game_but_for_the_order_of_players() -> None:
    """Every way to bet: who acts, what is legal, and what is paid."""
    game, hands = GAMES["fhp"], (0, 40)

    def walk(ours: HoldemState, theirs: Any) -> None:
        if game.actor(ours) == TERMINAL:
            end = game.terminal(ours)
            assert theirs.is_terminal()
            if ours.is_folded:
                assert list(end.chips) == theirs.returns()[::-1]
            else:
                assert [abs(chips) for chips in theirs.returns()] in ([end.chips[0]] * 2, [0, 0])
        elif game.actor(ours) == CHANCE:
            for card in (50, 45, 30):
                theirs = theirs.child(card)
            walk(ours.deal((30, 45, 50)), theirs)
        else:
            assert game.actor(ours) == 1 - theirs.current_player()
            assert list(game.actions(ours)) == theirs.legal_actions()
            for action in game.actions(ours):
                walk(game.next_state(ours, action), theirs.child(action))

    start = pyspiel.load_game(PAPERS_FHP).new_initial_state()
    for card in game.deck.hands[list(hands[::-1])].flatten().tolist():
        start.apply_action(card)
    walk(game.root(), start)


@cache
def whole(name: str) -> WholeGame:
    return WholeGame(SMALL[name])


@lru_cache(maxsize=1)
def best_responders(name: str) -> list[Any]:
    """OpenSpiel's: most of its time goes into their trees, which take gigabytes."""
    game = pyspiel.load_game(SMALL[name].openspiel_name)
    return [pyspiel.TabularBestResponse(game, player, pyspiel.UniformRandomPolicy(game)) for player in (0, 1)]


@pytest.mark.parametrize("kind", ["uniform", "random", "solved"])
@pytest.mark.parametrize("name", SMALL)
def test_a_policy_has_openspiels_value_and_nash_conv(name: str, kind: str) -> None:
    tree = whole(name)
    strategy = uniform_strategy(tree.forest)
    if kind == "random":
        generator = torch.Generator().manual_seed(0)
        strategy = strategy * torch.rand(strategy.shape, dtype=torch.float64, generator=generator)
        strategy /= strategy.sum(0)
    elif kind == "solved":
        strategy = Solver().start(tree.forest, tree.belief).run(30).average_strategy()
    exported = {state: list(chances.items()) for state, chances in tree.export(strategy).items()}
    policy = pyspiel.TabularPolicy(exported)

    start = pyspiel.load_game(openspiel_names(tree.game).openspiel_name).new_initial_state()
    returns = pyspiel.expected_returns(start, policy, -1, True)
    best = []
    for responder in best_responders(name):
        responder.set_policy(policy)
        best.append(responder.value_from_state(start))

    ours = tree.exploitability(strategy)
    assert ours.value.item() == pytest.approx(returns[0], abs=1e-9)
    assert ours.best_response[:, 0].tolist() == pytest.approx(best, abs=1e-9)
    assert ours.nash_conv.item() == pytest.approx(sum(best) - sum(returns), abs=1e-9)
    assert ours.nash_conv.item() > 1e-3  # not by chance
