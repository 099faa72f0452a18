"""A no-limit betting street with any number of hands and any size of tree.

Hands differ in strength and block only themselves, so a payoff is two cumulative sums, and cost can be
measured against the number of hands. A public state holds pot, stack and board: each root is another subgame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import TERMINAL, Bools, Game, PayoffOperator, Terminal
from pokerlab.games.betting import CALL, FOLD, ROUNDING, SMALLEST_BET, Betting, Sizes, enumerate_betting
from pokerlab.games.unfolding import LazyStates, UnfoldedSubgame

FOLD_KERNEL, SHOWDOWN_KERNEL = 0, 1
"""Without a board; with board b the kernels are ``2·(b + 1)`` more."""


@dataclass(frozen=True, slots=True)
class StreetState:
    """A public state."""

    pot: float
    """Chips in the pot before the street, half from each."""
    stack: float
    """Chips that each player could put in when the street began."""
    board: int | None = None
    """The hand that nobody can hold."""
    actions: tuple[int, ...] = ()
    """On this street."""
    committed: tuple[float, float] = (0, 0)
    """Each player's chips put in on this street."""


class Street(Game[StreetState]):
    """One betting street. Player 0 acts first; hand ``H-1`` is the best.

    Args:
        hands: ``H``, all equally likely, except that both players cannot hold the same.
        pot: chips in the root's pot.
        stack: chips that each player can put in at the root.
        bets: sizes of bets and raises as fractions of the pot after calling, ascending; all-in is always one
            more. A size is left out if it reaches the stack, or is smaller than the last raise.
        most_raises: the most bets and raises on the street, all-ins included.
    """

    name = "street"
    num_features = 7

    def __init__(
        self,
        hands: int,
        *,
        pot: float = 10,
        stack: float = 100,
        bets: Sequence[float] = (0.5, 1),
        most_raises: int = 3,
    ) -> None:
        self.num_hands, self._root = hands, StreetState(pot, stack)
        self.bets, self.most_raises = tuple(bets), most_raises
        self._sizes = Sizes.all_the_time(self.bets, most_raises)
        self.all_in = SMALLEST_BET + len(self.bets)
        self.action_labels = ("fold", "call", *(f"{bet:g} pot" for bet in self.bets), "all-in")
        different = 1 - np.eye(hands)
        self.deal = different / different.sum()

    def root(self) -> StreetState:
        return self._root

    def actor(self, state: StreetState) -> int:
        actions = state.actions
        over = actions[-1:] == (FOLD,) or (len(actions) >= 2 and actions[-1] == CALL)
        return TERMINAL if over else len(actions) % 2

    def actions(self, state: StreetState) -> tuple[int, ...]:
        facing_a_bet = state.committed[0] != state.committed[1]
        raises: list[int] = []
        if self._raises(state) < self.most_raises and max(state.committed) < state.stack:
            sizes = range(SMALLEST_BET, self.all_in)
            raises = [*(action for action in sizes if self._is_allowed(state, action)), self.all_in]
        return (*((FOLD,) if facing_a_bet else ()), CALL, *raises)

    def _is_allowed(self, state: StreetState, size: int) -> bool:
        """Whether a raise is at least the last one, and less than all-in."""
        last = max(state.committed) - min(state.committed)
        large_enough = self._raised_by(state, size) >= last * ROUNDING
        return large_enough and self._raised_to(state, size) < state.stack * ROUNDING

    @staticmethod
    def _raises(state: StreetState) -> int:
        return sum(action >= SMALLEST_BET for action in state.actions)

    def _raised_to(self, state: StreetState, action: int) -> float:
        """Chips that a player has put in after a raise."""
        if action == self.all_in:
            return state.stack
        return max(state.committed) + self._raised_by(state, action)

    def _raised_by(self, state: StreetState, size: int) -> float:
        """Chips that a raise adds to a call."""
        return self.bets[size - SMALLEST_BET] * (state.pot + 2 * max(state.committed))

    def next_state(self, state: StreetState, action: int) -> StreetState:
        committed, player = list(state.committed), len(state.actions) % 2
        if action != FOLD:
            committed[player] = max(state.committed) if action == CALL else self._raised_to(state, action)
        actions = (*state.actions, action)
        return StreetState(state.pot, state.stack, state.board, actions, (committed[0], committed[1]))

    def possible_hands(self, state: StreetState) -> Bools:
        return np.arange(self.num_hands) != (-1 if state.board is None else state.board)

    @staticmethod
    def _first_kernel(state: StreetState) -> int:
        return 0 if state.board is None else 2 * (state.board + 1)

    def terminal(self, state: StreetState) -> Terminal:
        stake, kernel = state.pot / 2 + min(state.committed), self._first_kernel(state)
        if state.actions[-1] == CALL:
            return Terminal(kernel + SHOWDOWN_KERNEL, (stake, stake))
        first_won = state.committed[0] > state.committed[1]
        return Terminal(kernel + FOLD_KERNEL, (stake, -stake) if first_won else (-stake, stake))

    def payoff_bytes(self, kernel: int, like: Tensor) -> int:
        return 0

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        weight = self.deal[0, 1]

        def operator(reach: Tensor) -> Tensor:
            outcome = torch.empty_like(reach)
            for m, kernel in enumerate(kernels):
                of_kernel, board = reach[..., m, :, :], kernel // 2 - 1
                if board >= 0:
                    of_kernel = of_kernel.clone()
                    of_kernel[..., board] = 0
                won = outcome[..., m, :, :]
                if kernel % 2 == FOLD_KERNEL:
                    torch.sub(of_kernel.sum(-1, keepdim=True), of_kernel, out=won)
                else:
                    torch.cumsum(of_kernel, -1, out=won)
                    # weaker less stronger: (up to own − own) − (total − up to own)
                    total = won[..., -1:].clone()
                    won.mul_(2).sub_(of_kernel).sub_(total)
                won.mul_(weight)
                if board >= 0:
                    won[..., board] = 0
            return outcome

        return operator

    def mass_operator(self, like: Tensor) -> PayoffOperator:
        weight = self.deal[0, 1]
        return lambda reach: weight * (reach.sum(-1, keepdim=True) - reach)

    def pot(self, state: StreetState) -> float:
        return state.pot + sum(state.committed)

    def features(self, state: StreetState) -> list[float]:
        actor = self.actor(state)
        chips = [committed / state.stack for committed in state.committed]
        raises = self._raises(state) / self.most_raises
        return [float(actor == 0), float(actor == 1), *chips, raises, *self._of_street(state)]

    def _of_street(self, state: StreetState) -> tuple[float, float]:
        """The features that betting does not change: the pot's share of all chips, and the board."""
        board = 0 if state.board is None else (state.board + 1) / self.num_hands
        return state.pot / (state.pot + 2 * state.stack), board

    def unfold(self, root: StreetState, **_: Any) -> UnfoldedSubgame[StreetState]:
        start = Betting(
            pot=root.pot,
            committed=root.committed,
            limit=root.stack,
            player=len(root.actions) % 2,
            acted=len(root.actions) > 0,
            raises=self._raises(root),
            big_blind=0,
        )
        betting = enumerate_betting(start, self._sizes)
        first, second = betting.committed
        actor = np.where(betting.player < 0, TERMINAL, betting.player)
        end = np.flatnonzero(betting.player < 0)
        showdown, first_won = betting.action[end] == CALL, first[end] > second[end]
        stake = root.pot / 2 + np.minimum(first[end], second[end])
        features = np.empty((len(actor), self.num_features))
        features[:, 0], features[:, 1] = actor == 0, actor == 1
        features[:, 2], features[:, 3] = first / root.stack, second / root.stack
        features[:, 4], features[:, 5:] = betting.raises / self.most_raises, self._of_street(root)

        def state(node: int) -> StreetState:
            actions, here = list[int](), node
            while betting.above[here] >= 0:
                actions.append(int(betting.action[here]))
                here = betting.above[here]
            actions = [*root.actions, *reversed(actions)]
            committed = float(first[node]), float(second[node])
            return StreetState(root.pot, root.stack, root.board, tuple(actions), committed)

        return UnfoldedSubgame(
            states=LazyStates(state, np.arange(len(actor))),
            kind=actor,
            above=betting.above,
            action=betting.action,
            chance=np.ones(len(actor)),
            boards=self.possible_hands(root)[None],
            board=np.zeros(len(actor), dtype=np.int64),
            features=features,
            pot=root.pot + (first + second),
            payoff_kernel=self._first_kernel(root) + np.where(showdown, SHOWDOWN_KERNEL, FOLD_KERNEL),
            chips=np.where(showdown, stake, np.where(first_won, 1, -1) * np.array([[1], [-1]]) * stake),
        )

    def is_leaf(self, root: StreetState, state: StreetState, depth: int) -> bool:
        return False
