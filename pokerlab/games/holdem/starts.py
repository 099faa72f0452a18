"""Where play can start besides the root: deals that random betting comes to, with random ranges."""

import numpy as np

from pokerlab.games.base import CHANCE, Floats, Ints
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET
from pokerlab.games.cards import BLOCKED
from pokerlab.games.holdem.rules import HoldemRules
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.ranges import draw_range

STREETS = ("preflop", "flop", "turn", "river")
COMPLETIONS = 8
"""Of a board, over which a hand's strength is averaged."""
NO_CARD = -1
DEALT = 2
"""In the code of a state, if a card was dealt."""


class HoldemStarts(HoldemRules):
    """Starts on every street after the root's."""

    @property
    def streets(self) -> tuple[str, ...]:
        """From the root's on."""
        more = tuple(f"street {number}" for number in range(len(STREETS) + 1, len(self.boards) + 1))
        return (STREETS + more)[self._street(self._root) : len(self.boards)]

    def street(self, state: HoldemState) -> int:
        """Which of :attr:`streets` a state belongs to; a deal, to the one that it begins."""
        return self._street(state) - self._street(self._root) + (self.actor(state) == CHANCE)

    def begins_street(self, root: HoldemState) -> bool:
        deal = self.actor(root) == CHANCE
        return deal != self._looks_through(self._street(root) + deal)

    def draw_deal(self, street: int, generator: np.random.Generator) -> HoldemState:
        """Where the cards of a street are about to be dealt, after random betting and random cards before it.

        Players check or call half of the time, and otherwise choose among the bets short of all-in.
        """
        state = self._vary_bets(self._root, generator)
        while not (self.actor(state) == CHANCE and self.street(state) == street):
            if self.actor(state) == CHANCE:
                rest = np.setdiff1d(np.arange(len(self.deck.cards)), state.board)
                cards = generator.choice(rest, self._to_deal(state), replace=False)
                state = self._vary_bets(state.deal(tuple(sorted(cards.tolist()))), generator)
                continue
            bets = [action for action in self.actions(state) if action not in (FOLD, CALL, self.all_in)]
            chosen = int(generator.integers(2 * len(bets) or 1))
            state = self.next_state(state, bets[chosen] if chosen < len(bets) else CALL)
        return state

    def _vary_bets(self, state: HoldemState, generator: np.random.Generator) -> HoldemState:
        return self.vary(state, int(generator.integers(1, 2**62)))

    def draw_ranges(self, state: HoldemState, generator: np.random.Generator) -> Floats:
        """``[2, H]`` beliefs for a state: hands are in order of how strong they are on average at the end."""
        possible = self.possible_hands(state)
        rest = np.setdiff1d(np.arange(len(self.deck.cards)), state.board)
        to_come = self.complete - len(state.board)
        dealt = generator.permuted(np.tile(rest, (COMPLETIONS if to_come else 1, 1)), axis=1)[:, :to_come]
        boards = np.concatenate([np.tile(np.array(state.board, np.int64), (len(dealt), 1)), dealt], 1)
        strengths = self.deck.strengths(boards)
        ranks = strengths.argsort(1).argsort(1).astype(float)
        met = strengths != BLOCKED
        strength = (ranks * met).sum(0) / met.sum(0).clip(1)
        return np.stack([draw_range(strength, possible, generator) for _ in (0, 1)])

    def stack_to_pot(self, state: HoldemState) -> float:
        return (state.stack - max(state.committed)) / self.pot(state)

    @property
    def code_length(self) -> int:
        return 5 + self.complete

    def encode(self, state: HoldemState) -> Ints:
        """Of a state where a street begins, all that play after it depends on.

        Whether the first player of the street before checked, and :data:`DEALT` if a card was dealt since;
        the number of raises, chips as the bits of floats, and the board.
        """
        dealt = not state.actions[-1]
        played, bits = state.actions[-1 - dealt], np.array([state.pot, state.stack, state.committed[0]])
        raises = sum(action >= SMALLEST_BET for action in played)
        board = [*state.board, *[NO_CARD] * (self.complete - len(state.board))]
        return np.array([(played[0] == CALL) + DEALT * dealt, raises, *bits.view(np.int64), *board])

    def decode(self, code: Ints) -> HoldemState:
        """The state; streets before its last have no actions, and what was raised is a matter of chips."""
        (dealt, checked), raises = divmod(int(code[0]), DEALT), int(code[1])
        pot, stack, called = code[2:5].view(np.float64).tolist()
        board = tuple(card for card in code[5:].tolist() if card != NO_CARD)
        board, cards = board[: len(board) - dealt], board[len(board) - dealt :]
        before = self.boards.index(len(board)) - self._street(self._root)
        # who checks behind, where nobody raised, calls as well
        last = (*[CALL] * checked, *[SMALLEST_BET] * raises, CALL)
        deal = HoldemState(board, pot, stack, (called, called), (*[()] * before, last))
        return deal.deal(cards) if dealt else deal
