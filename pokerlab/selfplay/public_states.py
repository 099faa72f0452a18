"""The public states that hands are played on, as arrays: listed at once, or found as play comes to them.

Many hands are played together, so a hand's public state is a number, and a move an index into arrays. Where
a game is small all its states are listed. Where it is not, states get their numbers when a hand first comes
there: what several hands come to is looked up once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import CHANCE, MOST_HANDS, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.games.parts import RunOuts, draw_outcome, features_of
from pokerlab.games.unfolding import unfold
from pokerlab.search.payoffs import payoffs_by_kernel, realised_payoffs

MOST_LISTED = 200_000
"""Public states of a game that are listed."""
MOST_DEALS = 8
"""Public deals in a hand."""
NO_ACTION = -1
"""Stands for an action where chance acted, and at the root."""


class PublicStates(ABC, Generic[State]):
    """Public states by number, ``N`` of them; 0 is the root.

    Args:
        game: the rules.
        moves: how many moves from the root on networks are told of.
    """

    states: Sequence[State]
    """By number."""
    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE`` or ``TERMINAL``."""
    above: Ints
    """``[N]`` the state before; −1 at the root."""
    action: Ints
    """``[N]`` what led from there, or ``NO_ACTION``."""
    features: NDArray[np.float32]
    """``[N, F]``, see :class:`~pokerlab.games.parts.NetworkFeatures`."""
    moves: NDArray[np.int16]
    """``[N, moves]`` the first moves from the root: actions, A for a deal; −1: none."""
    legal: Bools
    """``[N, A]``; nothing is where nobody acts."""

    def __init__(self, game: Game[State], moves: int) -> None:
        self.game, self.most_moves = game, moves
        first, second = game.initial_beliefs
        summed = (first[:, None] * second * game.deal).cumsum()
        self._deals = summed / summed[-1]

    def draw_hands(self, fractions: Floats) -> Ints:
        """``[n, 2]`` both players' hands, given ``[n]`` numbers from 0 to below 1."""
        pairs = np.searchsorted(self._deals, fractions, side="right")
        return np.stack(np.divmod(pairs, self.game.num_hands), 1)

    @property
    def decisions(self) -> Ints:
        """``[D]`` where a player acts, ascending."""
        found: Ints = (self.kind < CHANCE).nonzero()[0]
        return found

    def way(self, at: int) -> list[int]:
        """The states on the way from the root to one, both included."""
        states = [at]
        while (before := int(self.above[states[-1]])) >= 0:
            states.append(before)
        return states[::-1]

    @abstractmethod
    def act(self, at: Ints, actions: Ints) -> Ints:
        """``[m]`` where legal actions ``[m]`` lead from states ``[m]``."""

    @abstractmethod
    def deal(self, at: Ints, hands: Ints, fractions: Floats) -> Ints:
        """``[m]`` where chance leads, given ``[m, 2]`` hands and ``[m]`` numbers from 0 to below 1."""

    def pay(self, at: Ints, hands: Ints, fractions: Floats) -> Floats:
        """``[m]`` chips that player 0 wins at terminal states.

        Args:
            at: ``[m]`` the states.
            hands: ``[m, 2]``.
            fractions: ``[m, MOST_DEALS]`` the cards, as for :meth:`deal`, where some are still to come.
        """
        ends = [self.states[state] for state in at.tolist()]
        if isinstance(self.game, RunOuts):
            dealt = zip(ends, hands.tolist(), fractions.tolist(), strict=True)
            ends = [self.game.run_out(end, (one, other), cards) for end, (one, other), cards in dealt]
        won: Floats = realised_payoffs(self.game, ends, hands).numpy()
        return won


class ListedStates(PublicStates[State]):
    """All public states of a game that has few, see :func:`list_states`."""

    def __init__(self, game: Game[State], moves: int) -> None:
        super().__init__(game, moves)
        found = unfold(game, game.root(), depth_limited=False)
        self.states, self.kind, self.above = found.states, found.kind, found.above
        self.action = np.where(found.action >= 0, found.action, NO_ACTION)
        self.features = found.features.astype(np.float32)
        self._after = np.full((len(self.kind), game.num_actions), -1)
        by_player = (self.action >= 0).nonzero()[0]
        self._after[self.above[by_player], self.action[by_player]] = by_player
        self.legal = self._after >= 0
        self.moves = _follow(self.above, self.action, game.num_actions, moves)
        self._list_deals(found.boards[found.board])
        self._won: Floats | None = None
        if game.num_hands <= MOST_HANDS:
            self._list_payoffs(found.payoff_kernel, found.chips[0])

    def _list_deals(self, possible: Bools) -> None:
        dealt = ((self.action < 0) & (self.above >= 0)).nonzero()[0]
        before, which, counts = np.unique(self.above[dealt], return_inverse=True, return_counts=True)
        self._deal_at = np.zeros(len(self.kind), np.int64)
        self._deal_at[before] = np.arange(len(before))
        place = np.empty(len(dealt), np.int64)  # among the outcomes of its deal
        place[which.argsort(kind="stable")] = np.concatenate([np.arange(0), *map(np.arange, counts)])
        self._outcomes = np.full((len(before), counts.max(initial=1)), -1)
        self._outcomes[which, place] = dealt
        self._possible = possible[self._outcomes] & (self._outcomes >= 0)[:, :, None]

    def _list_payoffs(self, kernel: Ints, chips: Floats) -> None:
        self._won, of_end = payoffs_by_kernel(self.game, kernel)
        self._kernel, self._chips = np.zeros(len(self.kind), np.int64), np.zeros(len(self.kind))
        ends = self.kind == TERMINAL
        self._kernel[ends], self._chips[ends] = of_end, chips

    def act(self, at: Ints, actions: Ints) -> Ints:
        after: Ints = self._after[at, actions]
        return after

    def deal(self, at: Ints, hands: Ints, fractions: Floats) -> Ints:
        which = self._deal_at[at]
        possible = self._possible[which, :, hands[:, 0]] & self._possible[which, :, hands[:, 1]]
        numbers = possible.cumsum(1)
        drawn = np.floor(fractions * numbers[:, -1]) + 1
        after: Ints = self._outcomes[which, (numbers < drawn[:, None]).sum(1)]
        return after

    def pay(self, at: Ints, hands: Ints, fractions: Floats) -> Floats:
        if self._won is None:
            return super().pay(at, hands, fractions)
        won: Floats = self._chips[at] * self._won[self._kernel[at], hands[:, 1], hands[:, 0]]
        return won


class FoundStates(PublicStates[State]):
    """The public states of any game, as hands come to them."""

    def __init__(self, game: Game[State], moves: int) -> None:
        super().__init__(game, moves)
        self.states: list[State] = []
        self._number: dict[State, int] = {}
        none = np.zeros(0, np.int64)
        self.kind, self.above, self.action = none, none, none
        self.features = features_of(game, [game.root()])[:0].astype(np.float32)
        self.legal, self.moves = np.zeros((0, game.num_actions), bool), np.zeros((0, moves), np.int16)
        self._add([game.root()], np.array([-1]), np.array([NO_ACTION]))

    def _add(self, states: Sequence[State], above: Ints, action: Ints) -> None:
        game, first = self.game, len(self.states)
        kind = np.array([game.actor(state) for state in states])
        legal = np.zeros((len(states), game.num_actions), bool)
        for row, state, actor in zip(legal, states, kind, strict=True):
            if actor < CHANCE:
                row[list(game.actions(state))] = True
        self._number |= {state: first + place for place, state in enumerate(states)}
        self.states += states
        self.kind = np.concatenate([self.kind, kind])
        self.above, self.action = np.concatenate([self.above, above]), np.concatenate([self.action, action])
        self.features = np.concatenate([self.features, features_of(game, states).astype(np.float32)])
        self.legal = np.concatenate([self.legal, legal])
        before = self.moves[above] if first else np.full((1, self.most_moves), -1, np.int16)
        moves = _one_more(before, action, game.num_actions) if first else before
        self.moves = np.concatenate([self.moves, moves])

    def _find(self, states: Sequence[State], above: Ints, action: Ints) -> Ints:
        """The numbers of states; new ones get theirs."""
        new: dict[State, int] = {}
        for place, state in enumerate(states):
            if state not in self._number:
                new.setdefault(state, place)
        if new:
            places = list(new.values())
            self._add(list(new), above[places], action[places])
        return np.array([self._number[state] for state in states], dtype=np.int64)

    def act(self, at: Ints, actions: Ints) -> Ints:
        moves, which = np.unique(np.stack([at, actions]), axis=1, return_inverse=True)
        after = [self.game.next_state(self.states[state], action) for state, action in moves.T.tolist()]
        return self._find(after, *moves)[which.reshape(-1)]

    def deal(self, at: Ints, hands: Ints, fractions: Floats) -> Ints:
        dealt = zip(at.tolist(), hands.tolist(), fractions.tolist(), strict=True)
        drawn = [
            draw_outcome(self.game, self.states[state], (one, other), fraction)
            for state, (one, other), fraction in dealt
        ]
        return self._find(drawn, at, np.full(len(at), NO_ACTION))


def _one_more(moves: NDArray[np.int16], action: Ints, num_actions: int) -> NDArray[np.int16]:
    """The moves ``[m, most]`` to states and what came then; what is too much is left out."""
    after = np.concatenate([moves, np.full((len(moves), 1), -1, np.int16)], 1)
    after[np.arange(len(moves)), (moves >= 0).sum(1)] = np.where(action < 0, num_actions, action)
    return after[:, :-1]


def _follow(above: Ints, action: Ints, num_actions: int, most: int) -> NDArray[np.int16]:
    """``[N, most]`` the moves to states, each of which comes after the one above it."""
    moves = np.full((len(above), most), -1, np.int16)
    depth = np.zeros(len(above), np.int64)
    for state in range(1, len(above)):
        depth[state] = depth[above[state]] + 1
    for level in range(1, depth.max(initial=0) + 1):
        here = (depth == level).nonzero()[0]
        moves[here] = _one_more(moves[above[here]], action[here], num_actions)
    return moves


def list_states(game: Game[State], moves: int) -> ListedStates[State] | None:
    """All public states of a game, if they are few."""
    few = game.enumerable and (game.count_states() or 0) <= MOST_LISTED
    return ListedStates(game, moves) if few else None
