"""Kuhn poker: three cards, ante 1, one bet of 1 (Kuhn 1950). OpenSpiel's ``kuhn_poker``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pokerlab.games.base import TERMINAL, Game, MatrixPayoffs, PayoffOperator, Terminal

PASS, BET = 0, 1
CARDS = 3
NAMES = "JQK"
FOLD_KERNEL, SHOWDOWN_KERNEL = 0, 1
_LINES_THAT_END = {(PASS, PASS), (PASS, BET, PASS), (PASS, BET, BET), (BET, PASS), (BET, BET)}


@dataclass(frozen=True, slots=True)
class KuhnState:
    """The actions so far."""

    actions: tuple[int, ...] = ()


class Kuhn(Game[KuhnState]):
    """Kuhn poker.

    Args:
        depth_limit: a subgame ends this many actions below its root; None plays it out.
    """

    name = "kuhn"
    openspiel_name = "kuhn_poker"
    num_hands = CARDS
    action_labels = ("pass", "bet")
    num_features = 5

    def __init__(self, depth_limit: int | None = None) -> None:
        if depth_limit is not None and (type(depth_limit) is not int or depth_limit < 1):
            raise ValueError(f"depth_limit must be null or an integer of at least 1, got {depth_limit!r}")
        self.depth_limit = depth_limit
        different = 1 - np.eye(CARDS)
        self.deal = different / different.sum()
        strength = np.arange(CARDS)
        self._kernels = np.stack([self.deal, self.deal * np.sign(strength[:, None] - strength[None, :])])

    def root(self) -> KuhnState:
        return KuhnState()

    def actor(self, state: KuhnState) -> int:
        return TERMINAL if state.actions in _LINES_THAT_END else len(state.actions) % 2

    def actions(self, state: KuhnState) -> tuple[int, ...]:
        return (PASS, BET)

    def next_state(self, state: KuhnState, action: int) -> KuhnState:
        return KuhnState((*state.actions, action))

    def committed(self, state: KuhnState) -> tuple[int, int]:
        bets = [1, 1]
        for position, action in enumerate(state.actions):
            bets[position % 2] += action
        return bets[0], bets[1]

    def terminal(self, state: KuhnState) -> Terminal:
        first, second = self.committed(state)
        if first == second:
            return Terminal(SHOWDOWN_KERNEL, (first, first))
        return Terminal(FOLD_KERNEL, (1, -1) if first > second else (-1, 1))

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        return MatrixPayoffs(self._kernels, kernels, like)

    def pot(self, state: KuhnState) -> float:
        return sum(self.committed(state))

    def features(self, state: KuhnState) -> list[float]:
        first, second = self.committed(state)
        acting = [0.0, 0.0]
        if (actor := self.actor(state)) != TERMINAL:
            acting[actor] = 1.0
        return [*acting, first - 1.0, second - 1.0, len(state.actions) / 2]

    def is_leaf(self, root: KuhnState, state: KuhnState, depth: int) -> bool:
        return self.depth_limit is not None and depth >= self.depth_limit

    def check_or_call(self, state: KuhnState) -> int:
        return BET if state.actions[-1:] == (BET,) else PASS

    def check_or_fold(self, state: KuhnState) -> int:
        return PASS

    def hand_name(self, hand: int) -> str:
        return NAMES[hand]

    def action_names(self, state: KuhnState, action: int) -> tuple[str, ...]:
        facing_a_bet = state.actions[-1:] == (BET,)
        return ("pass", "fold" if facing_a_bet else "check") if action == PASS else ("bet", "call")

    def information_state(self, state: KuhnState, hand: int) -> str:
        return str(hand) + "".join("pb"[action] for action in state.actions)
