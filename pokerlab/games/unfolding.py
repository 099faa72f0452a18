"""Every public state of a subgame at once, as trees are built from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, overload, runtime_checkable

import numpy as np

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.games.parts import Symmetry, different_outcomes, features_of

_State = TypeVar("_State")


class LazyStates(Sequence[State]):
    """Public states that are made when asked for: number i is ``make(index[i])``.

    Args:
        make: makes one state; the same each time.
        index: ``[n]`` integers.
    """

    def __init__(self, make: Callable[[int], State], index: Ints) -> None:
        self._make, self._index = make, index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, at: int) -> State: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[State]: ...
    def __getitem__(self, at: int | slice) -> State | Sequence[State]:
        if isinstance(at, slice):
            return LazyStates(self._make, self._index[at])
        return self._make(int(self._index[at]))


@dataclass(frozen=True, slots=True)
class UnfoldedSubgame(Generic[_State]):
    """Every public state of a subgame, ``N`` of them: each before those below it, those in order of action.

    This is preorder: the states below one state lie in one piece behind it. ``T`` of them are terminal.
    """

    states: Sequence[_State]
    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE`` or ``TERMINAL``; or ``LEAF``, where the subgame ends."""
    above: Ints
    """``[N]`` the state before the last move; −1 at the root."""
    action: Ints
    """``[N]`` the last move; −1 at the root and after chance."""
    chance: Floats
    """``[N]`` probability of the chance moves on the way from the root."""
    boards: Bools
    """``[K, H]`` the different ``possible_hands``; the root's are the first."""
    board: Ints
    """``[N]`` which of ``boards`` is a state's."""
    features: Floats
    """``[N, F]``, see :class:`~pokerlab.games.parts.NetworkFeatures`."""
    pot: Floats
    """``[N]`` chips."""
    payoff_kernel: Ints
    """``[T]`` of the terminals, in their order, see :class:`Terminal`."""
    chips: Floats
    """``[2, T]``."""


@runtime_checkable
class FastUnfolding(Protocol[_State]):
    """A faster way than :func:`walk`: an optional part of a game."""

    def unfold(
        self, root: _State, *, depth_limited: bool, symmetry: Symmetry[_State] | None, features: bool
    ) -> UnfoldedSubgame[_State]:
        """Exactly what :func:`walk` gives."""


def unfold(
    game: Game[State],
    root: State,
    *,
    depth_limited: bool,
    symmetry: Symmetry[State] | None = None,
    features: bool = True,
) -> UnfoldedSubgame[State]:
    """What :func:`walk` gives, the fastest way."""
    if isinstance(game, FastUnfolding):
        return game.unfold(root, depth_limited=depth_limited, symmetry=symmetry, features=features)
    return walk(game, root, depth_limited=depth_limited, symmetry=symmetry, features=features)


def walk(
    game: Game[State],
    root: State,
    *,
    depth_limited: bool,
    symmetry: Symmetry[State] | None = None,
    features: bool = True,
) -> UnfoldedSubgame[State]:
    """Every public state of the subgame that starts at ``root``, found state by state.

    Args:
        game: the rules.
        root: not terminal.
        depth_limited: whether to stop where :meth:`Game.is_leaf` says so, or to play to the end.
        symmetry: of isomorphic outcomes of the first chance move, one is taken, with the probability
            of all; None: all are.
        features: whether networks will ask for them; otherwise a state has none.
    """
    states: list[State] = []
    nodes: list[tuple[int, int, int, int]] = []
    chances: list[float] = []
    boards: dict[bytes, int] = {}
    stack = [(root, -1, -1, 1.0, 0, False)]
    while stack:
        state, above, action, chance, depth, dealt = stack.pop()
        here, kind = len(states), game.actor(state)
        if depth_limited and depth > 0 and kind != TERMINAL and game.is_leaf(root, state, depth):
            kind = LEAF
        board = boards.setdefault(game.possible_hands(state).tobytes(), len(boards))
        states.append(state)
        nodes.append((kind, above, action, board))
        chances.append(chance)
        if kind == CHANCE:
            chance *= game.chance_probability(state)
            outcomes = different_outcomes(game, None if dealt else symmetry, state)
            stack += [
                (outcome, here, -1, chance * number, depth + 1, True)
                for outcome, number in reversed(outcomes)
            ]
        elif kind < CHANCE:
            moves = reversed(game.actions(state))
            stack += [(game.next_state(state, move), here, move, chance, depth + 1, dealt) for move in moves]
    kinds, aboves, actions, board_of = np.array(nodes, dtype=np.int64).T.copy()
    ends = [game.terminal(states[i]) for i in (kinds == TERMINAL).nonzero()[0]]
    return UnfoldedSubgame(
        states=states,
        kind=kinds,
        above=aboves,
        action=actions,
        chance=np.array(chances),
        boards=np.frombuffer(b"".join(boards), dtype=bool).reshape(-1, game.num_hands),
        board=board_of,
        features=features_of(game, states) if features else np.zeros((len(states), 0)),
        pot=np.array([game.pot(state) for state in states], dtype=float),
        payoff_kernel=np.array([end.payoff_kernel for end in ends], dtype=np.int64),
        chips=np.array([end.chips for end in ends], dtype=float).reshape(-1, 2).T,
    )
