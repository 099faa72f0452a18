"""What networks see of hold'em."""

import numpy as np

from pokerlab.games.base import CHANCE, Floats, Ints
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
            *self._board_features(np.array([state.board], np.int64))[0].tolist(),
        ]  # fmt: skip

    def _board_features(self, boards: Ints) -> Floats:
        """Of boards ``[n, k]``, which cards, and how many of each rank and suit: a layer's weights of these
        are an embedding of cards that is shared over ranks and suits."""
        cards = np.zeros((len(boards), self.deck.ranks, self.deck.suits))
        ranks, suits = np.divmod(boards.T, self.deck.suits)
        cards[np.arange(len(boards)), ranks, suits] = 1
        return np.concatenate([cards.reshape(len(boards), -1), cards.sum(2), cards.sum(1)], 1)

    def _features_of(
        self, actor: Ints, street: Ints, raises: Ints, chips: Floats, of_boards: Floats
    ) -> Floats:
        """:meth:`features` of many states, ``[N, F]``.

        Args:
            actor: ``[N]``.
            street: ``[N]``.
            raises: ``[N]``.
            chips: ``[4, N]`` in the pot, behind both, and what each player has put in.
            of_boards: ``[N, …]`` those of the boards.
        """
        pot, stack, *committed = chips
        whole = pot + 2 * stack
        found = np.empty((len(actor), self.num_features))
        for at, who in enumerate((0, 1, CHANCE)):
            found[:, at] = actor == who
        for at, part in enumerate((pot, *committed, self.big_blind), 3):
            found[:, at] = part / whole
        for at in range(len(self.boards)):
            found[:, 7 + at] = street == at
        found[:, 7 + len(self.boards)] = raises / RAISES
        found[:, self.num_betting_features :] = of_boards
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
