"""Von Neumann's poker: one card each, ante 1; player 0 checks or bets, player 1 calls or folds.

After a check the higher card wins the antes. With a bet of 2 and very many cards the game is worth 1/9 to the
first player.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pokerlab.games.base import TERMINAL, Game, MatrixPayoffs, PayoffOperator, Terminal

PASS, BET = 0, 1  # check or fold; bet or call
FOLD_KERNEL, SHOWDOWN_KERNEL = 0, 1


@dataclass(frozen=True, slots=True)
class VonNeumannState:
    """The actions so far."""

    actions: tuple[int, ...] = ()


class VonNeumann(Game[VonNeumannState]):
    """Von Neumann's poker.

    Args:
        cards: in the deck, at least 2; hand ``cards − 1`` is the best.
        bet: chips.
    """

    name = "von_neumann"
    action_labels = ("pass", "bet")
    num_features = 3

    def __init__(self, cards: int = 100, bet: float = 2.0) -> None:
        if cards < 2:
            raise ValueError(f"cards must be at least 2, got {cards}")
        if bet <= 0:
            raise ValueError(f"bet must be above 0, got {bet}")
        self.num_hands, self.bet = cards, bet
        self.deal = (1 - np.eye(cards)) / (cards * (cards - 1))
        strength = np.arange(cards)
        higher = np.sign(strength[:, None] - strength)
        self._kernels = np.stack([self.deal, self.deal * higher])

    def root(self) -> VonNeumannState:
        return VonNeumannState()

    def actor(self, state: VonNeumannState) -> int:
        if state.actions in ((), (BET,)):
            return len(state.actions)
        return TERMINAL

    def actions(self, state: VonNeumannState) -> tuple[int, ...]:
        return (PASS, BET)

    def next_state(self, state: VonNeumannState, action: int) -> VonNeumannState:
        return VonNeumannState((*state.actions, action))

    def terminal(self, state: VonNeumannState) -> Terminal:
        if state.actions == (BET, PASS):
            return Terminal(FOLD_KERNEL, (1, -1))
        stake = 1 + self.bet if state.actions == (BET, BET) else 1
        return Terminal(SHOWDOWN_KERNEL, (stake, stake))

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        return MatrixPayoffs(self._kernels, kernels, like)

    def pot(self, state: VonNeumannState) -> float:
        return 2 + self.bet * sum(state.actions)

    def features(self, state: VonNeumannState) -> list[float]:
        actor = self.actor(state)
        return [float(actor == 0), float(actor == 1), float(sum(state.actions))]

    def is_leaf(self, root: VonNeumannState, state: VonNeumannState, depth: int) -> bool:
        return depth >= 1  # a subgame is one action deep

    def check_or_call(self, state: VonNeumannState) -> int:
        return BET if state.actions else PASS

    def check_or_fold(self, state: VonNeumannState) -> int:
        return PASS
