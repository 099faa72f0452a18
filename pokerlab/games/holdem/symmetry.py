"""Suits that can be exchanged: of isomorphic deals one is solved."""

from dataclasses import replace
from itertools import chain, pairwise
from math import comb

import numpy as np

from pokerlab.games.base import Ints
from pokerlab.games.holdem.rules import HoldemRules
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.parts import Symmetry
from pokerlab.games.tree_size import Streets, count_states


class HoldemSymmetry(HoldemRules):
    """Exchanges of suits."""

    def symmetry(self) -> Symmetry[HoldemState] | None:
        """Exchanges of suits that leave the root's board and both ranges as they are, if cards will come."""
        board, exchanges = self._root.board, self.deck.suit_permutations
        hands = self.deck.permute_hands(exchanges)
        same = (np.sort(exchanges[:, list(board)]) == np.sort(np.array(board, dtype=np.int64))).all(1)
        same &= (self._beliefs[:, hands] == self._beliefs[:, None]).all((0, 2))
        if not self._isomorphism or len(board) == self.complete or same.sum() == 1:
            return None
        dealt = [outcome.board[len(board) :] for outcome in self.chance_outcomes(self._root)]
        exchanges, hands = exchanges[same], hands[same]
        names = (1 << exchanges[:, np.array(dealt)]).sum(2).min(0)
        _, first, number = np.unique(names, return_index=True, return_counts=True)
        kept = sorted((dealt[at], times) for at, times in zip(first, number.tolist(), strict=True))
        kept_as = dict(
            zip(dealt, (dealt[at] for at in first[np.unique(names, return_inverse=True)[1]]), strict=True)
        )

        def representative(state: HoldemState) -> tuple[HoldemState, Ints]:
            start = self._street(self._root)
            streets = [state.board[a:b] for a, b in pairwise(self.boards[start:])]
            there = np.array(kept_as[streets[0]])
            which = int((np.sort(exchanges[:, list(streets[0])]) == there).all(1).argmax())
            exchanged = [sorted(exchanges[which, list(cards)].tolist()) for cards in streets]
            return replace(state, board=(*board, *chain.from_iterable(exchanged))), hands[which]

        return Symmetry(
            representative_hand=hands.min(0),
            outcomes=lambda state: [(state.deal(cards), times) for cards, times in kept],
            representative=representative,
        )

    def count_states(self, *, isomorphism: bool = False) -> float:
        street, root = self._street(self._root), self._root
        numbers = [comb(len(self.deck.cards) - a, b - a) for a, b in pairwise(self.boards[street:])]
        if isomorphism and (symmetry := self.symmetry()):
            numbers[0] = len(symmetry.outcomes(root))
        return count_states(self._betting(root), Streets(self._bets[street:], numbers, self.big_blind))
