"""What hold'em calls its hands, actions and deals, and what OpenSpiel does."""

from itertools import permutations

import numpy as np

from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET
from pokerlab.games.holdem.rules import UNLIMITED, HoldemRules
from pokerlab.games.holdem.state import HoldemState

OPENSPIEL_STACK = 2**31 - 1
"""Chips of each player in its games with limits."""


class HoldemNames(HoldemRules):
    """Names of hands, actions and deals, and what OpenSpiel and the ACPC call the same."""

    def hand_name(self, hand: int) -> str:
        return self.deck.hand_name(hand)

    def action_names(self, state: HoldemState, action: int) -> tuple[str, ...]:
        first, second = state.committed
        if action == FOLD:
            return ("fold",)
        if action == CALL:
            return ("call",) if first != second else ("check",)
        verb = "raise" if first or second else "bet"
        if action == self.all_in:
            return "all-in", "allin", f"{verb} all-in"
        size = self._bets[self._street(state)].plain.fractions[action - SMALLEST_BET]
        if self.fixed:
            return verb, f"{verb} {size:g}"
        return f"{verb} {size:g}", f"{verb} {size:g} pot", f"{verb} {100 * size:g}%", f"{size:g}"

    def outcome_names(self, outcome: HoldemState) -> tuple[str, ...]:
        """The cards in any order, in one word or several."""
        before = self.boards[self._street(outcome) - 1]
        orders = list(permutations(self.deck.cards[card] for card in reversed(outcome.board[before:])))
        return (*("".join(cards) for cards in orders), *(" ".join(cards) for cards in orders))

    @property
    def openspiel_name(self) -> str | None:
        """Its ``universal_poker``: with limits, or with the sizes of its betting abstraction fcpa.

        Those are the pot and all-in.
        """
        plain = self.sizes.tolist() == [1] and self._most_raises == UNLIMITED
        plain = plain and self._thresholds == (0, np.inf)
        plain = self.fixed or (plain and all(of.offered.all() for street in self._bets for of in street))
        if self._root.board or self._root.pot or not plain or (self._beliefs != self._beliefs[0, 0]).any():
            return None
        blinds, stack = self._root.committed, self._root.stack
        deals = np.diff(self.boards, prepend=0)
        first = [1 + self._first(street) for street in range(len(deals))]
        parameters = {
            "betting": "limit" if self.fixed else "nolimit", "numPlayers": 2, "numRounds": len(deals),
            "blind": f"{blinds[0]:g} {blinds[1]:g}",
            "firstPlayer": " ".join(map(str, first)), "numSuits": self.deck.suits,
            "numRanks": self.deck.ranks, "numHoleCards": 2, "numBoardCards": " ".join(map(str, deals)),
        }  # fmt: skip
        if self.fixed:  # without an end of stacks
            sizes = [f"{street.plain.fractions[0]:g}" for street in self._bets]
            most = [str(self._most_raises)] * len(deals)
            parameters |= {"raiseSize": " ".join(sizes), "maxRaises": " ".join(most)}
        else:
            parameters |= {"stack": f"{stack:g} {stack:g}", "bettingAbstraction": "fcpa"}
        return f"universal_poker({','.join(f'{key}={value}' for key, value in parameters.items())})"

    def information_state(self, state: HoldemState, hand: int) -> str:
        actor, street = self.actor(state), self._street(state)
        most = state.pot / 2 + max(state.committed)
        stack = OPENSPIEL_STACK - state.pot / 2 if self.fixed else state.stack
        money = " ".join(
            f"{stack - committed:.0f}" if self.fixed else f"{stack - committed:g}"
            for committed in state.committed
        )
        public = self.deck.board_name(sorted(state.board, reverse=True))
        return (
            f"[Round {street}][Player: {actor}][Pot: {2 * most:g}][Money: {money}]"
            f"[Private: {self.deck.hand_name(hand)}][Public: {public}][Sequences: {self._sequence(state)}]"
        )

    def _sequence(self, state: HoldemState) -> str:
        """The actions in the notation of the ACPC: a raise without limits is to chips of the whole hand."""
        played, text = self._root, ""
        for street, actions in enumerate(state.actions):
            if street:
                played = played.deal(state.board[len(played.board) : self.boards[street]])
                text += "|"
            for action in actions:
                played = self.next_state(played, action)
                chips = f"{played.pot / 2 + max(played.committed):g}"
                raised = "r" if self.fixed else f"r{chips}"
                text += "f" if action == FOLD else "c" if action == CALL else raised
        return text
