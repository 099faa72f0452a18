"""Plays against the dealer of the Annual Computer Poker Competition (ACPC), protocol version 2.0.0.

At every turn the dealer sends the whole hand so far as one player sees it,
``MATCHSTATE:position:hand:betting:cards``, such as ``MATCHSTATE:1:30:cr300c/:|AsKs/Td9d6h``. Who is to act
answers with that line and ``:f``, ``:c`` or ``:r900``: a raise names the player's chips in the whole hand;
with fixed limits, it is ``:r``. Position 0 is the big blind, as our player 0 is.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pokerlab.agents.base import Agent, Seat
from pokerlab.agents.translation import Bet, IllegalMoveError, TranslatedHand
from pokerlab.games.base import TERMINAL
from pokerlab.games.holdem import Holdem

VERSION = "VERSION:2.0.0"
STATE = re.compile(r"MATCHSTATE:([01]):(\d+):([^:]*):([^:]*)")
MOVE = re.compile(r"f|c|r\d*|/")
LONGEST = 2**16
"""Bytes of a line; the dealer's are shorter than 4,096."""


class ProtocolError(ValueError):
    """The dealer said what no dealer of this game says."""


@dataclass
class Results:
    """What a match has come to."""

    won: list[int] = field(default_factory=list)
    """Chips, hand by hand."""
    left: int = 0
    """Hands in which something happened that the agent's game has no line for: it checked and called then."""

    def summary(self, big_blind: float) -> str:
        """In one line, with the 95 % interval."""
        mbb = np.array(self.won) * 1000 / big_blind
        half = 1.96 * mbb.std(ddof=1) / len(mbb) ** 0.5 if len(mbb) > 1 else float("nan")
        return f"{len(mbb):,} hands, {sum(self.won):+,} chips: {mbb.mean():+.1f} ± {half:.1f} mbb a hand" + (
            f"; {self.left:,} left the agent's game" if self.left else ""
        )


class Dealt:
    """A seat in a match: answers what the dealer sends.

    Args:
        game: whole hold'em, by the dealer's blinds and stacks.
        agent: plays.
        seed: of what it draws.

    Raises:
        ValueError: the ACPC deals no such game.
    """

    def __init__(self, game: Holdem, agent: Agent, seed: int) -> None:
        root = game.root()
        if game.boards != (0, 3, 4, 5)[: len(game.boards)] or root.board or root.pot or game.actor(root) != 1:
            raise ValueError(
                f"{game.name} is not what the ACPC deals: expected hold'em from before the flop, the button "
                "with the small blind, such as hunl or fhp"
            )
        self.game, self.results = game, Results()
        self._seats: list[Seat] = [agent.sit_down(player, seed) for player in (0, 1)]
        self._seed, self._number, self._counted = seed, -1, -1
        self._hand: TranslatedHand
        self._read: str
        self._answered: tuple[str, Bet, int | None]
        self._dice: np.random.Generator

    def answer(self, line: str) -> str | None:
        """What to send to the dealer, without the end of the line; None: nothing.

        Args:
            line: the dealer's.

        Raises:
            ProtocolError: it cannot be read, or tells of a hand of another game.
        """
        if not line or line[0] in "#;":  # comments
            return None
        found = STATE.fullmatch(line)
        if not found:
            raise ProtocolError(f"expected MATCHSTATE:position:hand:betting:cards, got {line[:200]!r}")
        position, number, betting, cards = int(found[1]), int(found[2]), found[3], found[4]
        if number != self._number:
            self._begin(number)
        try:
            held, shown = self._follow(position, betting, cards)
        except (IllegalMoveError, ValueError) as error:
            raise ProtocolError(f"{line!r}: {error}: not a hand of {self.game.name}") from error
        hand = self._hand
        if hand.actor == TERMINAL:
            self._end(position, held, shown)
        if hand.actor != position:
            return None
        bet, action = self._choose(position, held)
        text = f"r{bet.chips:.0f}" if bet.kind == "r" and not self.game.fixed else bet.kind
        self._answered = self._read + text, bet, action
        return f"{line}:{text}"

    def _begin(self, number: int) -> None:
        self._dice = np.random.default_rng((self._seed, number))
        self._number, self._read, self._answered = number, "", ("", Bet("c"), None)
        self._hand = TranslatedHand(self.game, number, self._dice)

    def _follow(self, position: int, betting: str, cards: str) -> tuple[int, int | None]:
        """Goes on to where the dealer is; the own hand, and the other's if it is shown."""
        if not betting.startswith(self._read) or MOVE.sub("", betting):
            raise IllegalMoveError(f"betting {betting!r} after {self._read!r}")
        private, *boards = cards.split("/")
        for text in MOVE.findall(betting[len(self._read) :]):
            self._read += text
            if text == "/":
                street = self._read.count("/")
                if street > len(boards):
                    raise IllegalMoveError("the street's cards are missing")
                self._hand.deal(self.game.deck.read_cards(boards[street - 1]))
                continue
            said, bet, action = self._answered
            if said == self._read:
                self._hand.act(bet, action)
            else:
                self._hand.act(Bet(text[0], int(text[1:] or 0)))
        hands = private.split("|")
        if len(hands) != 2:
            raise IllegalMoveError(f"cards {private!r}")
        held = self._hand_of(hands[position])
        if held is None:
            raise IllegalMoveError("the own hand is not shown")
        return held, self._hand_of(hands[1 - position])

    def _hand_of(self, text: str) -> int | None:
        if not text:
            return None
        cards = self.game.deck.read_cards(text)
        if len(cards) != 2 or set(cards) & set(self._hand.board):
            raise IllegalMoveError(f"a hand of {text}")
        return int(self.game.deck.hand_of[cards])

    def _choose(self, position: int, held: int) -> tuple[Bet, int | None]:
        """What the agent does, and which of its game's actions that is."""
        hand = self._hand
        line = hand.line
        if hand.is_left or self.game.actor(line.state) != position:
            return Bet("c"), None
        chances = self._seats[position].strategies([line])[0, :, held].double().numpy(force=True)
        legal = list(self.game.actions(line.state))
        chances = chances[legal].clip(0)
        action = int(self._dice.choice(legal, p=chances / chances.sum()))
        return hand.bet_for(action), action

    def _end(self, position: int, held: int, shown: int | None) -> None:
        hand = self._hand
        if self._counted == self._number:
            return
        stake = min(hand.put_in)
        if hand.folded:
            sign = 1 if hand.put_in[position] > stake else -1
        elif shown is None:
            return  # the dealer sends it again, with the other's hand
        else:
            strength = self.game.deck.strengths(np.array([hand.board]))[0]
            sign = int(np.sign(int(strength[held]) - int(strength[shown])))
        self.results.won.append(sign * round(stake))
        self.results.left += hand.is_left
        self._counted = self._number


def play(host: str, port: int, seat: Dealt, *, timeout: float) -> Iterator[Results]:
    """Plays a match; yields after each hand, until the dealer hangs up.

    Args:
        host: the dealer's.
        port: that it gives to this player.
        seat: plays.
        timeout: seconds to wait for a connection, and for the dealer's next word.

    Raises:
        ProtocolError: see :meth:`Dealt.answer`.
        OSError: nobody answers there, or not in time.
    """
    with socket.create_connection((host, port), timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rw", encoding="ascii", errors="replace", newline="")
        stream.write(f"{VERSION}\r\n")
        stream.flush()
        played = 0
        while line := stream.readline(LONGEST):
            answer = seat.answer(line.rstrip("\r\n"))
            if answer is not None:
                stream.write(f"{answer}\r\n")
                stream.flush()
            if len(seat.results.won) > played:
                played = len(seat.results.won)
                yield seat.results
