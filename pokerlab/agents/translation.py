"""Hands with any bets, told as lines of a game that has a menu of them: action translation.

A bet that the game does not offer is taken for one of its two neighbours, at random, by the pseudo-harmonic
mapping (Ganzfried and Sandholm, *Action Translation in Extensive-Form Games with Large Action Spaces*, IJCAI
2013): of sizes ``A < x < B``, as fractions of the pot after calling, ``A`` with probability
``(B − x)(1 + A) / ((B − A)(1 + x))``. Then little is to be gained by betting a little beside the menu.
"""

from dataclasses import dataclass

from numpy.random import Generator

from pokerlab.agents.base import DEALT, Line
from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.games.betting import CALL, FOLD, ROUNDING, SMALLEST_BET
from pokerlab.games.holdem import Holdem, HoldemState


@dataclass(frozen=True, slots=True)
class Bet:
    """What a player does at the table."""

    kind: str
    """``f`` folds, ``c`` checks or calls, ``r`` bets or raises: the ACPC's letters."""
    chips: float = 0
    """Of a raise: what the player has then put in in the whole hand, blinds included."""


class IllegalMoveError(ValueError):
    """A move that no rules of the game allow."""


class TranslatedHand:
    """A hand at the table, and the line of a game that stands for it.

    Args:
        game: hold'em, its chips those of the table.
        number: of the hand.
        draws: decides between neighbours.
        chip: of which bets are whole numbers; 0: of none.
    """

    def __init__(self, game: Holdem, number: int, draws: Generator, chip: float = 1) -> None:
        root = game.root()
        self.game, self._draws, self._chip = game, draws, chip
        self.line: Line[HoldemState] = Line((root,), hand=number)
        self.put_in = [root.pot / 2 + chips for chips in root.committed]
        """Chips of each player in the whole hand, half of the root's pot among them."""
        self.stack = root.pot / 2 + root.stack
        """The most that each can put in."""
        self.board = root.board
        self.actor = game.actor(root)
        """Who is to act; ``CHANCE`` or ``TERMINAL``."""
        self.is_left = False
        """Whether something happened that the game has no line for."""
        self._raised_by, self._acted = game.big_blind, False

    @property
    def folded(self) -> bool:
        """Whether somebody folded."""
        return self.actor == TERMINAL and self.put_in[0] != self.put_in[1]

    @property
    def least_raise(self) -> float | None:
        """The least that may be raised to; None: nothing may, for all chips are in."""
        called = max(self.put_in)
        return None if called >= self.stack else min(called + self._raised_by, self.stack)

    def deal(self, cards: tuple[int, ...]) -> None:
        """The next street's cards.

        Raises:
            IllegalMoveError: none are due, or others.
        """
        due = self.game.boards[self._street + 1] - len(self.board) if self.actor == CHANCE else 0
        if len(cards) != due or set(cards) & set(self.board):
            raise IllegalMoveError(
                f"{self.game.deck.board_name(cards) or 'no card'} dealt, {due} cards are due"
            )
        state = self.line.state
        if self.game.actor(state) == CHANCE:
            self.line = self.line.after(DEALT, state.deal(tuple(sorted(cards))))
        elif self.put_in[0] < self.stack:  # all chips are in, by our line
            self.is_left = True
        self.board += cards
        self._acted, self._raised_by = False, self.game.big_blind
        if self.put_in[0] < self.stack:
            self.actor = 0  # who has not the button
        elif len(self.board) == self.game.boards[-1]:
            self.actor = TERMINAL

    def act(self, bet: Bet, meant: int | None = None) -> None:
        """A move of who is to act.

        Args:
            bet: what the player does.
            meant: the game's action that it stands for, if the player has chosen one.

        Raises:
            IllegalMoveError: it cannot come.
        """
        if self.actor not in (0, 1):
            raise IllegalMoveError(f"{bet.kind} where nobody acts")
        actor, state = self.actor, self.line.state
        if self.game.fixed and bet.kind == "r":
            if SMALLEST_BET not in self.game.actions(state):
                raise IllegalMoveError("a raise where none may come")
            bet = Bet("r", self._to_limit(SMALLEST_BET))
        if not self.is_left:
            action = self._translate(bet) if meant is None else meant
            if action is None:
                self.is_left = True
            else:
                self.line = self.line.after(action, self.game.next_state(state, action))
        called = max(self.put_in)
        if bet.kind == "f":
            if self.put_in[actor] == called:
                raise IllegalMoveError("a fold where nothing was bet")
            self.actor = TERMINAL
        elif bet.kind == "c":
            self.put_in[actor] = called
            over = self._acted or called >= self.stack
            last = over and len(self.board) == self.game.boards[-1]
            self.actor = TERMINAL if last else CHANCE if over else 1 - actor
        else:
            self._raise(bet.chips)
        self._acted = True

    def _raise(self, chips: float) -> None:
        called, least = max(self.put_in), self.least_raise
        if least is None or not least * ROUNDING <= chips * ROUNDING <= self.stack:
            allowed = "none" if least is None else f"{least:g} to {self.stack:g}"
            raise IllegalMoveError(f"a raise to {chips:g}: expected {allowed}")
        if chips >= self.stack * ROUNDING:
            chips = self.stack
        self._raised_by = max(chips - called, self._raised_by)
        self.put_in[self.actor] = chips
        self.actor = 1 - self.actor

    def bet_for(self, action: int) -> Bet:
        """What an action, legal where the line stands, is at the table: the same share of the pot."""
        called, state = max(self.put_in), self.line.state
        if action == FOLD and self.put_in[self.actor] < called:
            return Bet("f")
        least = self.least_raise
        if action < SMALLEST_BET or least is None:
            return Bet("c")
        if self.game.fixed:
            return Bet("r", self._to_limit(action))
        if action == self.game.all_in:
            return Bet("r", self.stack)
        wanted = called + self._fraction(state, action) * 2 * called
        if self._chip:
            wanted = round(wanted / self._chip) * self._chip
        return Bet("r", min(max(wanted, least), self.stack))

    def _to_limit(self, action: int) -> float:
        """What a raise is to, with fixed limits."""
        state = self.line.state
        after = self.game.next_state(state, action)
        return state.pot / 2 + after.committed[self.game.actor(state)]

    @property
    def _street(self) -> int:
        return self.game.boards.index(len(self.board))

    def _fraction(self, state: HoldemState, action: int) -> float:
        """A raise over the pot after calling."""
        called = max(state.committed)
        after = self.game.next_state(state, action).committed[self.game.actor(state)]
        return (after - called) / (state.pot + 2 * called)

    def _translate(self, bet: Bet) -> int | None:
        """The game's action; None: it has none."""
        game, state = self.game, self.line.state
        if game.actor(state) != self.actor:  # all-in by our line, and not at the table
            return None
        legal = game.actions(state)
        if bet.kind != "r":
            action = FOLD if bet.kind == "f" else CALL
            return action if action in legal else None
        bets = [action for action in legal if action >= SMALLEST_BET]
        if not bets or game.fixed:
            return bets[0] if bets else None
        if bet.chips >= self.stack * ROUNDING and game.all_in in bets:
            return game.all_in
        called = max(self.put_in)
        wanted = (bet.chips - called) / (2 * called)
        sizes = [(self._fraction(state, action), action) for action in bets]
        below = [size for size in sizes if size[0] <= wanted]
        above = [size for size in sizes if size[0] > wanted]
        if not below or not above:
            return (below[-1] if below else above[0])[1]
        (less, lower), (more, higher) = below[-1], above[0]
        share = (more - wanted) * (1 + less) / ((more - less) * (1 + wanted))
        return lower if self._draws.random() < share else higher
