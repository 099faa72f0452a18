"""A subgame's public states all at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Floats, Ints
from pokerlab.games.betting import CALL, FOLD, enumerate_betting
from pokerlab.games.holdem.features import HoldemFeatures
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.parts import Symmetry
from pokerlab.games.payoff_tables import FOLDED
from pokerlab.games.unfolding import LazyStates, UnfoldedSubgame

KIND, ABOVE, ACTION, RAISES, STREET, BOARD = range(6)
"""Whole numbers of a public state; boards are counted street by street."""
CHANCE_OF, POT, STACK, FIRST, SECOND = range(5)
"""The others: probability of the deals above, chips before the street, and what each player has put in."""


class _States(NamedTuple):
    """``N`` public states in preorder."""

    whole: Ints
    """``[6, N]``."""
    chips: Floats
    """``[5, N]``."""


class _Deal(NamedTuple):
    """What comes on a street: as much on every board before it."""

    boards: Ints
    """``[boards before it · outcomes, cards]``, those of each board before it side by side."""
    chance: Floats
    """``[outcomes]``."""


class HoldemStreets(HoldemFeatures):
    """Enumerates betting street by street: it is the same whatever cards come."""

    def unfold(
        self,
        root: HoldemState,
        *,
        depth_limited: bool,
        symmetry: Symmetry[HoldemState] | None = None,
        features: bool = True,
    ) -> UnfoldedSubgame[HoldemState]:
        street, plays_on = self._street(root), len(self.boards)
        deals = {street: _Deal(np.array([root.board], np.int64), np.ones(1))}
        looks_through = False
        if depth_limited and not self._is_solved_to_end(root):
            plays_on = street + 1
            looks_through = self.actor(root) == CHANCE or self._looks_through(plays_on)

        def below(start: HoldemState) -> _States:
            """A state and what follows it; its board stands for all boards of its street."""
            street = self._street(start)
            states = self._betting_below(start) if street < plays_on else _only(start, street, LEAF)
            kind = states.whole[KIND]
            if street + 1 >= plays_on and not looks_through:
                kind[kind == CHANCE] = LEAF
            after = {}
            make = _Maker(start, states, deals)
            for node in np.flatnonzero(kind == CHANCE).tolist():
                if street + 1 not in deals:
                    isomorphic = symmetry if len(deals) == 1 else None
                    deals[street + 1] = self._find_deal(make(node), deals[street].boards, isomorphic)
                dealt = deals[street + 1].boards[0, len(start.board) :].tolist()
                after[node] = below(make(node).deal(tuple(dealt)))
            return _with_deals(states, after, street, deals) if after else states

        return self._describe(root, below(root), deals, features)

    def _betting_below(self, start: HoldemState) -> _States:
        """The street's betting; ``CHANCE`` where a card comes next."""
        street = self._street(start)
        if self.actor(start) == CHANCE:
            return _only(start, street, CHANCE)
        betting = enumerate_betting(self._betting(start), self._sizes_at(start))
        kind = np.where(betting.player < 0, TERMINAL, betting.player)
        if street < len(self.boards) - 1:
            called = (betting.player < 0) & (betting.action == CALL)
            kind[called & (betting.committed.min(0) < start.stack)] = CHANCE
        shape = betting.above, betting.action, betting.raises
        return _lay_out(start, street, kind, *shape, betting.committed)

    def _find_deal(self, state: HoldemState, before: Ints, symmetry: Symmetry[HoldemState] | None) -> _Deal:
        """What can come at a state, and on the other boards of its street; of isomorphic outcomes, one."""
        chance = self.chance_probability(state)
        if symmetry:
            outcomes = symmetry.outcomes(state)
            boards = np.array([dealt.board for dealt, _ in outcomes])
            return _Deal(boards, chance * np.array([number for _, number in outcomes]))
        others = [replace(state, board=tuple(board)) for board in before.tolist()]
        boards = np.array([other.board + cards for other in others for cards in self._deals_at(other)])
        return _Deal(boards, np.full(len(boards) // len(before), chance))

    def _describe(
        self,
        root: HoldemState,
        states: _States,
        deals: Mapping[int, _Deal],
        features: bool,
    ) -> UnfoldedSubgame[HoldemState]:
        """All that is said of public states."""
        kind, above, action, raises, street, board = states.whole
        chance, before, _, first, second = states.chips
        boards = [deal.boards for deal in deals.values()]
        first_of = np.zeros(len(self.boards), np.int64)
        first_of[list(deals)] = np.cumsum([0, *map(len, boards)])[:-1]
        board = first_of[street] + board
        kernels = np.concatenate(
            [self._kernels.encode_all((self._payoff_kind(some[0]), FOLDED), some) for some in boards], 1
        )
        # boards that differ in order alone are one, that which comes first
        _, met, which = np.unique(kernels[1, board], return_index=True, return_inverse=True)
        order = met.argsort()
        possible = np.concatenate([~self.deck.holds[some].any(1) for some in boards])
        ends = np.flatnonzero(kind == TERMINAL)
        folded = action[ends] == FOLD
        won = np.where(first[ends] > second[ends], 1, -1) * np.array([[1], [-1]])
        found = np.zeros((len(kind), 0))
        if features:
            first_to_act = np.array([self._first(at) for at in range(len(self.boards))])
            dealt = kind[above] == CHANCE
            actor = np.where(kind == LEAF, np.where(dealt, first_to_act[street], CHANCE), kind)
            of_boards = np.concatenate([self._board_features(some) for some in boards])
            found = self._features_of(actor, street, raises, states.chips[POT:], of_boards[board])
        return UnfoldedSubgame(
            states=LazyStates(_Maker(root, states, deals), np.arange(len(kind))),
            kind=kind,
            above=above,
            action=action,
            chance=chance,
            boards=possible[board[met[order]]],
            board=order.argsort()[which.ravel()],
            features=found,
            pot=before + (first + second),
            payoff_kernel=kernels[folded.astype(np.int64), board[ends]],
            chips=np.where(folded, won, 1) * (before / 2 + np.minimum(first, second))[ends],
        )


def _only(state: HoldemState, street: int, kind: int) -> _States:
    """Nothing but a state where a street begins, or ends."""
    return _lay_out(state, street, np.array([kind]), -1, -1, state.raises, state.committed)


def _lay_out(
    start: HoldemState,
    street: int,
    kind: Ints,
    above: Ints | int,
    action: Ints | int,
    raises: Ints | int,
    committed: Floats | tuple[float, float],
) -> _States:
    """Public states of one street of one board."""
    states = _States(np.empty((6, len(kind)), np.int64), np.empty((5, len(kind))))
    for at, column in enumerate((kind, above, action, raises, street, 0)):
        states.whole[at] = column
    for at, chips in enumerate((1, start.pot, start.stack, *committed)):
        states.chips[at] = chips
    return states


def _with_deals(
    states: _States, below: Mapping[int, _States], street: int, deals: Mapping[int, _Deal]
) -> _States:
    """A street's states and what follows their deals, once for each outcome.

    Args:
        states: of the street.
        below: what follows each of the nodes where a card comes next, whatever it is.
        street: which one it is.
        deals: by street.
    """
    chance = deals[street + 1].chance
    number = len(chance)
    # of the boards of each street, how many lie below one of the next street's
    per_outcome = np.ones(max(deals) + 1, np.int64)
    for at in range(street + 2, max(deals) + 1):
        per_outcome[at] = per_outcome[at - 1] * len(deals[at].chance)
    sizes = np.ones(states.whole.shape[1], np.int64)
    for node, piece in below.items():
        sizes[node] += number * piece.whole.shape[1]
    place = np.concatenate([[0], np.cumsum(sizes)])
    joined = _States(*(np.empty((len(rows), place[-1]), rows.dtype) for rows in states))
    for rows, own in zip(joined, states, strict=True):
        rows[:, place[:-1]] = own
    joined.whole[ABOVE, place[1:-1]] = place[states.whole[ABOVE, 1:]]  # the first has none
    outcome = np.arange(number)[:, None]
    for node, piece in below.items():
        first, size = place[node] + 1, piece.whole.shape[1]
        whole, chips = (
            rows[:, first : place[node + 1]].reshape(len(rows), number, size) for rows in joined
        )  # views
        whole[:], chips[:] = piece.whole[:, None], piece.chips[:, None]
        whole[ABOVE] += first + outcome * size
        whole[ABOVE, :, 0] = first - 1
        whole[BOARD] += outcome * per_outcome[piece.whole[STREET]]
        chips[CHANCE_OF] *= chance[:, None]
    return joined


class _Maker:
    """Makes public states, and remembers them and those above.

    Args:
        root: the first.
        states: all.
        deals: by street.
    """

    def __init__(self, root: HoldemState, states: _States, deals: Mapping[int, _Deal]) -> None:
        self._made, self._states, self._deals = {0: root}, states, deals

    def __call__(self, node: int) -> HoldemState:
        whole, way = self._states.whole, list[int]()
        while node not in self._made:
            way.append(node)
            node = int(whole[ABOVE, node])
        state = self._made[node]
        for node in reversed(way):
            if whole[KIND, whole[ABOVE, node]] == CHANCE:
                board = self._deals[int(whole[STREET, node])].boards[whole[BOARD, node]]
                state = state.deal(tuple(board[len(state.board) :].tolist()))
            else:
                first, second = self._states.chips[FIRST:, node].tolist()
                played = (*state.actions[-1], int(whole[ACTION, node]))
                state = replace(state, committed=(first, second), actions=(*state.actions[:-1], played))
            self._made[node] = state
        return state
