"""What networks see of hold'em."""

import numpy as np

from pokerlab.games.base import CHANCE, LEAF, Floats, Ints
from pokerlab.games.betting import BettingTree
from pokerlab.games.holdem.rules import HoldemRules
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.parts import Relabellings

RAISES = 4
"""On a street, of which features count fractions."""


class HoldemFeatures(HoldemRules):
    """What networks see."""

    @property
    def num_features(self) -> int:
        return self.num_betting_features + len(self.deck.cards) + self.deck.ranks + self.deck.suits

    @property
    def num_betting_features(self) -> int:
        return 3 + 4 + len(self.boards) + 1

    def features(self, state: HoldemState) -> list[float]:
        actor, street = self.actor(state), self._street(state)
        chips = state.pot + 2 * state.stack
        return [
            *(float(actor == who) for who in (0, 1, CHANCE)),
            state.pot / chips, *(committed / chips for committed in state.committed), self.big_blind / chips,
            *(float(street == number) for number in range(len(self.boards))),
            state.raises / RAISES,
            *self._board_features(state.board),
        ]  # fmt: skip

    def _board_features(self, board: tuple[int, ...]) -> list[float]:
        """Which cards, and how many of each rank and suit: a layer's weights of these are an embedding of
        cards that is shared over ranks and suits."""
        counts = [0.0] * (len(self.deck.cards) + self.deck.ranks + self.deck.suits)
        for card in board:
            rank, suit = divmod(card, self.deck.suits)
            counts[card] += 1
            counts[len(self.deck.cards) + rank] += 1
            counts[len(self.deck.cards) + self.deck.ranks + suit] += 1
        return counts

    def _features_of(self, root: HoldemState, kind: Ints, betting: BettingTree) -> Floats:
        """:meth:`features` of a street's states, ``[N, F]``."""
        found = np.tile(self.features(root), (len(kind), 1))
        found[:, :3] = np.stack([kind == 0, kind == 1, kind == LEAF], 1)
        found[:, 4:6] = betting.committed.T / (root.pot + 2 * root.stack)
        found[:, 7 + len(self.boards)] = betting.raises / RAISES
        return found

    def hand_features(self) -> Floats:
        """Cards, ranks, suits, and pairs of ranks suited or not: with ``AKs`` goes every suited ace-king."""
        deck = self.deck
        ranks, suits = deck.hands // deck.suits, deck.hands % deck.suits
        of_rank = (ranks[:, :, None] == np.arange(deck.ranks)).sum(1)
        of_suit = (suits[:, :, None] == np.arange(deck.suits)).sum(1)
        kinds = np.concatenate([ranks, suits[:, :1] == suits[:, 1:]], 1)
        kind = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1, 1)
        of_kind = kind == np.arange(kind.max() + 1)
        return np.concatenate([deck.holds.T, of_rank, of_suit, of_kind], 1).astype(np.float64)

    def relabellings(self) -> Relabellings:
        """Suits by other names."""
        deck = self.deck
        cards = deck.suit_permutations
        of_cards = self.num_features - len(deck.cards) - deck.ranks - deck.suits
        of_suits = self.num_features - deck.suits
        features = np.tile(np.arange(self.num_features), (len(cards), 1))
        features[:, of_cards : of_cards + len(deck.cards)] = of_cards + cards
        features[:, of_suits:] = of_suits + cards[:, : deck.suits]
        return Relabellings(features=features, hands=deck.permute_hands(cards))
