"""The ACPC's protocol: hands dealt by pokerkit, which refuses what is illegal and counts the chips."""

import random
import socket
import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pokerkit import Automation, Card, NoLimitTexasHoldem, State
from runs.harness import refusal

from pokerlab.agents.baselines import AlwaysCall
from pokerlab.agents.registry import make_agent
from pokerlab.agents.translation import Bet, IllegalMoveError, TranslatedHand
from pokerlab.games.base import TERMINAL
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.holdem import Holdem
from pokerlab.play_acpc import as_overrides
from pokerlab.protocols.acpc import Dealt, ProtocolError, play

STACK = 2000
Answer = Callable[[str], str | None]


@pytest.fixture(scope="module")
def game() -> Holdem:
    return Holdem("hunl", stack=STACK, blinds=(50, 100), bets=((0.5, 1), (1,)), most_raises=3)


def name_of(cards: Sequence[Card]) -> str:
    return "".join(map(repr, cards))


class Dealer:
    """Deals hands by pokerkit's rules, and tells them as the ACPC does."""

    def deal(self, number: int, answers: tuple[Answer, Answer]) -> list[int]:
        """A hand; what each position wins."""
        state = NoLimitTexasHoldem.create_state(tuple(Automation), True, 0, (50, 100), 100, (STACK, STACK), 2)
        hands = [name_of(cards) for cards in state.hole_cards]
        betting, boards = "", list[str]()
        while state.status:
            said = self._tell(number, betting, hands, boards, answers, shown=False)
            betting += self._move(state, said)
            while len("".join(boards)) < 2 * len(state.board_cards):
                first = len("".join(boards)) // 2
                street = state.board_cards[first : 3 if not boards else first + 1]
                boards.append("".join(map(name_of, street)))
                betting += "/"
        self._tell(number, betting, hands, boards, answers, shown=not betting.endswith("f"))
        return [chips - STACK for chips in state.stacks]

    def _tell(
        self, number: int, betting: str, hands: list[str], boards: list[str], answers: tuple[Answer, Answer],
        *, shown: bool,
    ) -> list[str]:  # fmt: skip
        said = []
        for position, answer in enumerate(answers):
            private = [hand if shown or who == position else "" for who, hand in enumerate(hands)]
            line = f"MATCHSTATE:{position}:{number}:{betting}:{'/'.join(['|'.join(private), *boards])}"
            reply = answer(line)
            if reply is not None:
                assert reply.startswith(f"{line}:")
                said.append(reply.removeprefix(f"{line}:"))
        return said

    def _move(self, state: State, said: list[str]) -> str:
        (move,) = said  # of the one who is to act
        if move == "f":
            state.fold()
        elif move == "c":
            state.check_or_call()
        else:  # chips of the whole hand; pokerkit counts those of the street
            player = state.actor_index
            assert player is not None
            before = STACK - state.stacks[player] - state.bets[player]
            state.complete_bet_or_raise_to(int(move[1:]) - before)
        return move


def test_hands_of_any_bets_are_played_as_pokerkit_plays_them(game: Holdem) -> None:
    """Seat 0 has a menu, seat 1 bets whatever is allowed."""
    random.seed(1)  # pokerkit's shuffling
    dealer, draws = Dealer(), np.random.default_rng(2)
    seat = Dealt(game, make_agent("uniform", game), seed=3)
    other = Dealt(game, make_agent("uniform", game), seed=4)

    def any_bet(line: str) -> str | None:
        reply = other.answer(line)
        if reply is None:
            return None
        hand, kind = other._hand, draws.integers(4)
        least = hand.least_raise
        if least is None or kind == 0:
            return f"{line}:c"
        chips = draws.integers(int(least), STACK + 1) if kind == 1 else min(least + 17 * int(kind), STACK)
        return f"{line}:r{chips:.0f}"

    won = [dealer.deal(number, (seat.answer, any_bet)) for number in range(80)]
    assert seat.results.won == [one for one, _ in won]
    assert other.results.won == [two for _, two in won]
    assert 0 < seat.results.left < 80
    swapped = [dealer.deal(number, (any_bet, seat.answer)) for number in range(80, 120)]
    assert seat.results.won[80:] == [two for _, two in swapped]


def test_two_agents_with_the_same_menu_never_leave_it(game: Holdem) -> None:
    random.seed(5)
    dealer, agent = Dealer(), make_agent("uniform", game)
    seats = [Dealt(game, agent, seed) for seed in (1, 2)]
    won = [dealer.deal(number, (seats[0].answer, seats[1].answer)) for number in range(40)]
    assert seats[0].results.won == [one for one, _ in won]
    assert sum(map(sum, won)) == 0


def test_bets_of_the_menu_are_its_own(game: Holdem) -> None:
    """And their translation is exact, whatever is drawn."""
    hand = TranslatedHand(game, 0, np.random.default_rng(1))
    assert [hand.bet_for(action) for action in game.actions(hand.line.state)] == [
        Bet("f"), Bet("c"), Bet("r", 200), Bet("r", 300), Bet("r", STACK),
    ]  # fmt: skip
    hand.act(Bet("r", 300))
    assert hand.line.actions[0] == 3
    hand.act(Bet("c"))
    hand.deal(game.deck.read_cards("Td9d6h"))
    hand.act(Bet("c"))
    hand.act(Bet("r", 600))
    assert list(hand.line.actions) == [3, CALL, -1, CALL, 2]
    hand.act(Bet("f"))
    assert (hand.actor, hand.folded, hand.put_in) == (TERMINAL, True, [300, 600])
    assert hand.line.actions[-1] == FOLD


def test_a_bet_between_two_sizes_is_either_pseudo_harmonically(game: Holdem) -> None:
    """Of sizes 1/2 and 1, a bet of 3/4 of the pot is the smaller with (1 − .75)(1.5) / (.5 · 1.75) = 3/7."""
    draws, small, hands = np.random.default_rng(7), 0, 1000
    for number in range(hands):
        hand = TranslatedHand(game, number, draws)
        hand.act(Bet("c"))
        hand.act(Bet("r", 250))  # 150 into 200
        small += hand.line.actions[-1] == 2
    assert small / hands == pytest.approx(3 / 7, abs=3 * (3 / 7 * 4 / 7 / hands) ** 0.5)


@pytest.mark.parametrize(
    ("bets", "reason"),
    [
        ([Bet("r", 150)], "a raise to 150: expected 200 to 2000"),
        ([Bet("r", 2001)], "expected 200 to 2000"),
        ([Bet("r", 2000), Bet("r", 2000)], "expected none"),
        ([Bet("c"), Bet("f")], "a fold where nothing was bet"),
        ([Bet("f"), Bet("c")], "c where nobody acts"),
    ],
)
def test_what_no_rules_allow_is_refused(bets: list[Bet], reason: str, game: Holdem) -> None:
    hand = TranslatedHand(game, 0, np.random.default_rng(1))
    for bet in bets[:-1]:
        hand.act(bet)
    with pytest.raises(IllegalMoveError, match=reason):
        hand.act(bets[-1])


def test_fixed_limits_have_no_numbers() -> None:
    fhp = Holdem("fhp", stack=1000, blinds=(50, 100), limit=(100, 100), most_raises=3, deals=(0, 3))
    agent = AlwaysCall(fhp)
    seat = Dealt(fhp, agent, seed=1)
    assert seat.answer("MATCHSTATE:0:0::AsKs|") is None
    assert seat.answer("MATCHSTATE:0:0:r:AsKs|") == "MATCHSTATE:0:0:r:AsKs|:c"
    assert seat.answer("MATCHSTATE:0:0:rc/:AsKs|/Td9d6h") == "MATCHSTATE:0:0:rc/:AsKs|/Td9d6h:c"
    assert seat.answer("MATCHSTATE:0:0:rc/cr:AsKs|/Td9d6h") == "MATCHSTATE:0:0:rc/cr:AsKs|/Td9d6h:c"
    assert seat.answer("MATCHSTATE:0:0:rc/crc:AsKs|AcQs/Td9d6h") is None
    assert seat.results.won == [300]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("HELLO", "expected MATCHSTATE:position:hand:betting:cards"),
        ("MATCHSTATE:0:0:x:AsKs|", "betting 'x'"),
        ("MATCHSTATE:0:0:r5000:AsKs|", "a raise to 5000: expected 200 to 2000"),
        ("MATCHSTATE:0:0:cc/:AsKs|", "cards are missing"),
        ("MATCHSTATE:0:0:cc/:AsKs|/Td9d", "Td9d dealt, 3 cards are due"),
        ("MATCHSTATE:0:0::|", "own hand is not shown"),
        ("MATCHSTATE:0:0::AsXs|", "no card of this deck"),
        ("MATCHSTATE:0:0:cc/:AsKs|/AsTd9d", "a hand of AsKs"),
    ],
)
def test_what_no_dealer_says_is_told(line: str, reason: str, game: Holdem) -> None:
    with pytest.raises(ProtocolError, match=reason):
        Dealt(game, AlwaysCall(game), seed=1).answer(line)


def test_a_match_over_a_socket_ends_when_the_dealer_hangs_up(game: Holdem) -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def deal() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rw", newline="") as stream:
                heard.append(stream.readline())
                for number in count():
                    stream.write("# a comment\r\n")
                    stream.write(f"MATCHSTATE:1:{number}::|AsKs\r\n")
                    stream.flush()
                    heard.append(stream.readline())
                    stream.write(f"MATCHSTATE:1:{number}:cr300f:|AsKs\r\n")
                    if number == 1:
                        return

        thread = threading.Thread(target=deal)
        thread.start()
        seat = Dealt(game, AlwaysCall(game), seed=1)
        hands = [len(results.won) for results in play("127.0.0.1", server.getsockname()[1], seat, timeout=10)]
        thread.join()
    assert heard == ["VERSION:2.0.0\r\n", "MATCHSTATE:1:0::|AsKs:c\r\n", "MATCHSTATE:1:1::|AsKs:c\r\n"]
    assert hands == [1, 2]
    assert seat.results.won == [-100, -100]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["localhost", "1", "agent=call"], "agent=call is no run: give the game too, such as game=hunl"),
        (["localhost", "1", "agent=call", "game=leduc"], "the ACPC deals hold'em, and leduc is not that"),
        (["localhost", "1", "agent=call", "game=river"], "river is not what the ACPC deals"),
        (["localhost", "1", "agent=leduc:search"], "agent=leduc:search: way: 'search' is now called"),
        (["localhost", "1", "agent=cal"], "no run 'cal' here"),
        (["localhost", "agent=call"], "Missing mandatory value: port"),
        (["localhost", "x", "agent=call"], "port must be an integer of at least 1, got 'x'"),
        (["localhost", "1", "agent=call", "game=hunl"], "the dealer at localhost:1: Connection refused"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    assert expected in refusal("play_acpc", *as_overrides(arguments), cwd=tmp_path)
