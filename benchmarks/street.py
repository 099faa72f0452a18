"""One no-limit betting street with as many hands and as large a tree as one likes.

Hands differ in strength and block nothing but themselves, so that a payoff is two cumulative sums and
cost can be measured against the number of hands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import TERMINAL, Game, PayoffOperator, Terminal

FOLD, CALL, SMALLEST_BET = 0, 1, 2
FOLD_KERNEL, SHOWDOWN_KERNEL = 0, 1


@dataclass(frozen=True, slots=True)
class StreetState:
    """A public state: the actions so far, and each player's chips put in on this street."""

    actions: tuple[int, ...] = ()
    committed: tuple[float, float] = (0, 0)


class Street(Game[StreetState]):
    """One betting street. Player 0 acts first; hand ``H-1`` is the best.

    Args:
        hands: ``H``, each as likely as any other that the opponent does not hold.
        pot: chips in the pot before, half from each.
        stack: chips that each player can still put in.
        bets: sizes of bets and raises as fractions of the pot after calling, ascending; going all-in
            is always one more. A size that the stack does not exceed is left out; there is no least raise.
        most_raises: bets and raises on the street, all-ins among them.
    """

    name = "street"
    num_features = 5

    def __init__(
        self,
        hands: int,
        *,
        pot: float = 10,
        stack: float = 100,
        bets: Sequence[float] = (0.5, 1),
        most_raises: int = 3,
    ) -> None:
        self.num_hands, self.initial_pot, self.stack = hands, pot, stack
        self.bets, self.most_raises = tuple(bets), most_raises
        self.all_in = SMALLEST_BET + len(self.bets)
        self.action_labels = ("fold", "call", *(f"{bet:g} pot" for bet in self.bets), "all-in")
        different = 1 - np.eye(hands)
        self.deal = different / different.sum()

    def root(self) -> StreetState:
        return StreetState()

    def actor(self, state: StreetState) -> int:
        actions = state.actions
        over = actions[-1:] == (FOLD,) or (len(actions) >= 2 and actions[-1] == CALL)
        return TERMINAL if over else len(actions) % 2

    def actions(self, state: StreetState) -> tuple[int, ...]:
        facing_a_bet = state.committed[0] != state.committed[1]
        called = max(state.committed)
        raises: list[int] = []
        if self._raises(state) < self.most_raises and called < self.stack:
            sizes = range(SMALLEST_BET, self.all_in)
            raises = [action for action in sizes if self._raised_to(action, called) < self.stack]
            raises.append(self.all_in)
        return (*((FOLD,) if facing_a_bet else ()), CALL, *raises)

    @staticmethod
    def _raises(state: StreetState) -> int:
        return sum(action >= SMALLEST_BET for action in state.actions)

    def _raised_to(self, action: int, called: float) -> float:
        """Chips that a player has put in after raising what both would have at ``called``."""
        if action == self.all_in:
            return self.stack
        return called + self.bets[action - SMALLEST_BET] * (self.initial_pot + 2 * called)

    def next_state(self, state: StreetState, action: int) -> StreetState:
        committed, player, called = list(state.committed), len(state.actions) % 2, max(state.committed)
        if action != FOLD:
            committed[player] = called if action == CALL else self._raised_to(action, called)
        return StreetState((*state.actions, action), (committed[0], committed[1]))

    def terminal(self, state: StreetState) -> Terminal:
        stake = self.initial_pot / 2 + min(state.committed)
        if state.actions[-1] == CALL:
            return Terminal(SHOWDOWN_KERNEL, (stake, stake))
        first_won = state.committed[0] > state.committed[1]
        return Terminal(FOLD_KERNEL, (stake, -stake) if first_won else (-stake, stake))

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        mass = self.mass_operator(like)
        weight = self.deal[0, 1]

        def operator(reach: Tensor) -> Tensor:
            outcome = torch.empty_like(reach)
            for m, kernel in enumerate(kernels):
                of_kernel = reach[..., m, :, :]
                if kernel == FOLD_KERNEL:
                    outcome[..., m, :, :] = mass(of_kernel)
                else:
                    up_to = of_kernel.cumsum(-1)
                    # weaker less stronger: (up_to − own) − (total − up_to)
                    outcome[..., m, :, :] = weight * (2 * up_to - of_kernel - up_to[..., -1:])
            return outcome

        return operator

    def mass_operator(self, like: Tensor) -> PayoffOperator:
        weight = self.deal[0, 1]
        return lambda reach: weight * (reach.sum(-1, keepdim=True) - reach)

    def pot(self, state: StreetState) -> float:
        return self.initial_pot + sum(state.committed)

    def features(self, state: StreetState) -> list[float]:
        actor = self.actor(state)
        chips = [committed / self.stack for committed in state.committed]
        return [float(actor == 0), float(actor == 1), *chips, self._raises(state) / self.most_raises]

    def is_leaf(self, root: StreetState, state: StreetState, depth: int) -> bool:
        return False
