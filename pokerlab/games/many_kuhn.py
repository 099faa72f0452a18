"""Kuhn poker for any number of players: one card more than players, ante 1, one bet of 1.

OpenSpiel's ``kuhn_poker(players=n)``; of three players, Szafron, Gibson and Sturtevant 2013.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from pokerlab.games.base import Floats
from pokerlab.games.many_players import TERMINAL, ManyPlayerGame, PotKernels, Share

PASS, BET = 0, 1


@dataclass(frozen=True, slots=True)
class ManyKuhnState:
    """The actions so far."""

    actions: tuple[int, ...] = ()


class ManyKuhn(ManyPlayerGame[ManyKuhnState]):
    """Kuhn poker of ``players``.

    Args:
        players: from 2 to 5.
    """

    action_labels = ("pass", "bet")

    def __init__(self, players: int = 3) -> None:
        self.num_players, self.num_hands = check_players(players, most=5), players + 1
        self.name = f"kuhn{players}"
        self.openspiel_name = f"kuhn_poker(players={players})"
        self.deal = deal_cards(self.num_hands, players)
        every = np.ones((1, self.num_hands), dtype=bool)
        self._kernels = PotKernels(self.deal, np.arange(self.num_hands)[None], every)

    def root(self) -> ManyKuhnState:
        return ManyKuhnState()

    def actor(self, state: ManyKuhnState) -> int:
        actions, players = state.actions, self.num_players
        last = players if BET not in actions else actions.index(BET) + players
        return TERMINAL if len(actions) == last else len(actions) % players

    def actions(self, state: ManyKuhnState) -> tuple[int, ...]:
        return (PASS, BET)

    def next_state(self, state: ManyKuhnState, action: int) -> ManyKuhnState:
        return ManyKuhnState((*state.actions, action))

    def shares(self, state: ManyKuhnState) -> tuple[Share, ...]:
        bet = [False] * self.num_players
        for position, action in enumerate(state.actions):
            bet[position % self.num_players] |= action == BET
        return self._kernels.split(0, [1 + put for put in bet], [not put and any(bet) for put in bet])

    def kernel(self, number: int) -> Floats:
        return self._kernels.kernel(number)

    def information_state(self, state: ManyKuhnState, hand: int) -> str:
        return str(hand) + "".join("pb"[action] for action in state.actions)


def check_players(players: int, *, most: int) -> int:
    """A number of players of which a table of all hands can be held.

    Raises:
        ValueError: there are more than ``most``, or fewer than two.
    """
    if type(players) is not int or not 2 <= players <= most:
        raise ValueError(f"players must be an integer between 2 and {most}, got {players!r}")
    return players


def deal_cards(cards: int, players: int) -> Floats:
    """``[cards] * players`` one different card each, all equally likely."""
    deal = np.zeros((cards,) * players)
    for hands in permutations(range(cards), players):
        deal[hands] = 1
    return deal / deal.sum()
