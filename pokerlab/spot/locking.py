"""Strategies that a user gives at single public states, from words to :class:`Locks`."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from pokerlab.games import names
from pokerlab.games.base import CHANCE, Bools, Floats, Game, State
from pokerlab.search.locks import Locks
from pokerlab.search.tree import PublicTree

Given: TypeAlias = Mapping[str, Mapping[str, float | Floats]]
"""``{line: {action: probability, of all hands, or [H] with NaN for those that are free}}``; actions that are
not named have none."""
PRECISION = 1e-4
"""By which probabilities may differ from 1 in sum."""


def read_locks(game: Game[State], tree: PublicTree[State], given: Given) -> Locks:
    """Finds the nodes that are locked.

    Args:
        game: the rules.
        tree: of the whole game, every deal included.
        given: the strategies.

    Raises:
        ValueError: a line is not one of this game, nobody acts where it ends, an action is not legal there,
            or what is given are no probabilities.
    """
    nodes = {state: number for number, state in enumerate(tree.decisions.states)}
    found: dict[int, tuple[Bools, Floats]] = {}
    for line, actions in given.items():
        state = [game.root(), *(move.state for move in names.read_line(game, line))][-1]
        if game.actor(state) >= CHANCE:
            raise ValueError(f"lock at {line!r}: nobody acts there")
        strategy = _strategy(game, state, line, actions)
        locked: Bools = np.logical_not(np.isnan(strategy).any(0))
        if not locked.any():
            raise ValueError(f"lock at {line!r}: it has no hand")
        total = strategy[:, locked].sum(0)
        if (strategy[:, locked] < 0).any() or (np.abs(total - 1) > PRECISION).any():
            wrong = (
                strategy[:, locked].min()
                if (strategy[:, locked] < 0).any()
                else total.flat[np.abs(total - 1).argmax()]
            )
            raise ValueError(
                f"lock at {line!r}: a hand's probabilities must be from 0 to 1 and add up to 1, got {wrong:g}"
            )
        strategy[:, locked] /= total
        strategy[:, ~locked] = 0
        found[nodes[state]] = locked, strategy
    return Locks(
        node=np.array(list(found)),
        locked=np.array([locked for locked, _ in found.values()]),
        edges=np.concatenate([strategy for _, strategy in found.values()]),
    )


def _strategy(game: Game[State], state: State, line: str, actions: Mapping[str, float | Floats]) -> Floats:
    """``[A, H]`` of the legal actions; NaN for hands that are free."""
    legal = [names.action_name(game, state, action) for action in game.actions(state)]
    strategy = np.zeros((len(legal), game.num_hands))
    for name, chances in actions.items():
        if name not in legal:
            raise ValueError(f"lock at {line!r}: {name!r} is no action there: expected {', '.join(legal)}")
        strategy[legal.index(name)] = chances
    return strategy
