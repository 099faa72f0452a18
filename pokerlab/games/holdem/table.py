"""Hold'em at a table: checking, calling, folding, and dealing one card at a time."""

from collections.abc import Sequence
from dataclasses import replace
from math import comb

from pokerlab.games.base import TERMINAL, Terminal
from pokerlab.games.betting import FOLD
from pokerlab.games.holdem.rules import HoldemRules
from pokerlab.games.holdem.state import HoldemState


class HoldemTable(HoldemRules):
    """Checking, calling and folding, and cards that are dealt without enumerating those that might be."""

    def check_or_call(self, state: HoldemState) -> int:
        return next(action for action in self.actions(state) if action != FOLD)  # perhaps all-in

    def check_or_fold(self, state: HoldemState) -> int:
        return self.actions(state)[0]

    def call_down(self, state: HoldemState) -> Sequence[tuple[Terminal, float]]:
        if self.actor(state) == TERMINAL:
            return [(self.terminal(state), 1.0)]
        stake = state.pot / 2 + max(state.committed)
        return [(self._called(state, stake), 1.0)]

    def draw_outcome(self, state: HoldemState, hands: tuple[int, int], fraction: float) -> HoldemState:
        return state.deal(self._pick_cards(state.board, hands, fraction, self._to_deal(state)))

    def run_out(self, state: HoldemState, hands: tuple[int, int], fractions: Sequence[float]) -> HoldemState:
        if state.is_folded:
            return state
        board = state.board
        for street in range(self._street(state), len(self.boards) - 1):
            fraction = fractions[street - self._street(self._root)]
            cards = self.boards[street + 1] - self.boards[street]
            board = (*board, *self._pick_cards(board, hands, fraction, cards))
        return replace(state, board=board)

    def _pick_cards(
        self, board: tuple[int, ...], hands: tuple[int, int], fraction: float, cards: int
    ) -> tuple[int, ...]:
        """The combination of cards that has its place at ``fraction`` of all, in their order."""
        held = {*board, *self.deck.hands[list(hands)].flatten().tolist()}
        rest = [card for card in range(len(self.deck.cards)) if card not in held]
        number, drawn = int(fraction * comb(len(rest), cards)), list[int]()
        while len(drawn) < cards:
            card = rest.pop(0)
            with_this = comb(len(rest), cards - len(drawn) - 1)
            if number < with_this:
                drawn.append(card)
            else:
                number -= with_this
        return tuple(drawn)
