"""The public tree of a subgame, as flat arrays in sequence form.

A player's reach changes only where that player acts, and the counterfactual values of opponent and
chance moves merely add up. So the tree keeps, for every node, each player's *last own edge*: the
decision node and action by which that player came here (sequence form, von Stengel 1996). A pass over
the tree then has as many steps as one player has own decisions in a row, not as the tree has levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import CHANCE, TERMINAL, Game, State

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

Edge: TypeAlias = tuple[int, int]
"""(decision node, position of the action among its legal actions)."""

NO_EDGE: Edge = (-1, 0)
"""The empty sequence: the player has not acted in this subgame."""


@dataclass(frozen=True, slots=True)
class PublicNodes(Generic[State]):
    """Public states of one kind in a tree, ``n`` of them."""

    states: tuple[State, ...]
    last_edge: Ints
    """``[2, n, 2]`` each player's last own edge as (node, position); node −1: none."""
    chance: Floats
    """``[n]`` probability of the chance moves on the way from the root."""
    possible: Bools
    """``[n, H]`` hands that the board leaves possible."""
    features: Floats
    """``[n, F]``, see :meth:`Game.features`."""
    pot: Floats
    """``[n]`` chips."""

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True, slots=True)
class SequenceForm:
    """A tree in *sequence rows*: rows 0 and 1 are the players' empty sequences, row ``2 + e`` edge ``e``."""

    first: Ints
    """``[D]`` first edge of each decision node, the nodes sorted by actor, parents before children."""
    end: Ints
    """``[D]`` last edge + 1."""
    above: Ints
    """``[D]`` the row above: the actor's last own edge."""
    of_first_player: int
    """How many of the nodes are player 0's."""
    terminal_row: Ints
    """``[2, T]`` each player's row."""
    leaf_row: Ints
    """``[2, L]``."""


@dataclass(frozen=True)
class PublicTree(Generic[State]):
    """A subgame's public tree; build it with :func:`build_tree`.

    ``D`` decision nodes, ``T`` terminals, ``L`` leaves at the depth limit.
    """

    root: State
    root_possible: Bools
    """``[H]`` hands that the root's board leaves possible."""
    decisions: PublicNodes[State]
    """``D`` nodes, parents before children."""
    actor: Ints
    """``[D]`` who acts."""
    own_depth: Ints
    """``[D]`` how many own decisions lie above."""
    depth: Ints
    """``[D]`` how many moves of anybody lie above."""
    actions: tuple[tuple[int, ...], ...]
    """Legal actions of each decision node; a *position* is an index into one of these."""
    terminals: PublicNodes[State]
    kernel: Ints
    """``[T]`` payoff kernel."""
    payoff: Floats
    """``[2, T]`` chips × chance probability."""
    leaves: PublicNodes[State]

    @cached_property
    def first_edge(self) -> Ints:
        """``[D + 1]`` where each decision node's edges begin when all lie in a row, and their number."""
        return np.concatenate([[0], np.cumsum([len(actions) for actions in self.actions], dtype=np.int64)])

    @property
    def num_edges(self) -> int:
        """How many actions all decision nodes have together."""
        return int(self.first_edge[-1])

    @cached_property
    def sequence_form(self) -> SequenceForm:
        """The tree's shape as rows and edges."""
        by_actor = np.argsort(self.actor, kind="stable")

        def rows(nodes: PublicNodes) -> Ints:
            node, position = nodes.last_edge[..., 0], nodes.last_edge[..., 1]
            edge = self.first_edge[np.maximum(node, 0)] + position
            return np.where(node < 0, np.arange(2)[:, None], 2 + edge)

        return SequenceForm(
            first=self.first_edge[:-1][by_actor],
            end=self.first_edge[1:][by_actor],
            above=rows(self.decisions)[self.actor, np.arange(len(self.actor))][by_actor],
            of_first_player=int((self.actor == 0).sum()),
            terminal_row=rows(self.terminals),
            leaf_row=rows(self.leaves),
        )

    @property
    def width(self) -> int:
        """The most actions at one node, at least 1."""
        return max((len(actions) for actions in self.actions), default=1)


def build_tree(game: Game[State], root: State, *, depth_limited: bool) -> PublicTree[State]:
    """Enumerates the public tree below ``root``.

    Args:
        game: the rules.
        root: where the subgame starts; not terminal.
        depth_limited: whether to stop where ``game.is_leaf`` says so, or to play to the end.
    """
    decisions: list[tuple[State, tuple[Edge, Edge], float]] = []
    terminals: list[tuple[State, tuple[Edge, Edge], float]] = []
    leaves: list[tuple[State, tuple[Edge, Edge], float]] = []
    actors: list[int] = []
    own_depths: list[int] = []
    depths: list[int] = []
    actions: list[tuple[int, ...]] = []

    def walk(state: State, depth: int, last: tuple[Edge, Edge], chance: float) -> None:
        actor = game.actor(state)
        if actor == TERMINAL:
            terminals.append((state, last, chance))
        elif depth_limited and depth > 0 and game.is_leaf(root, state, depth):
            leaves.append((state, last, chance))
        elif actor == CHANCE:
            probability = game.chance_probability(state)
            for outcome in game.chance_outcomes(state):
                walk(outcome, depth + 1, last, chance * probability)
        else:
            node, above = len(decisions), last[actor]
            decisions.append((state, last, chance))
            actors.append(actor)
            own_depths.append(0 if above == NO_EDGE else own_depths[above[0]] + 1)
            depths.append(depth)
            actions.append(game.actions(state))
            for position, action in enumerate(actions[node]):
                edge = (node, position)
                below = (edge, last[1]) if actor == 0 else (last[0], edge)
                walk(game.next_state(state, action), depth + 1, below, chance)

    walk(root, 0, (NO_EDGE, NO_EDGE), 1.0)
    ends = [game.terminal(state) for state, _, _ in terminals]
    chips = np.array([end.chips for end in ends], dtype=float).reshape(-1, 2)
    terminal_nodes = _public_nodes(game, terminals)
    return PublicTree(
        root=root,
        root_possible=game.possible_hands(root),
        decisions=_public_nodes(game, decisions),
        actor=np.array(actors, dtype=np.int64),
        own_depth=np.array(own_depths, dtype=np.int64),
        depth=np.array(depths, dtype=np.int64),
        actions=tuple(actions),
        terminals=terminal_nodes,
        kernel=np.array([end.kernel for end in ends], dtype=np.int64),
        payoff=(chips * terminal_nodes.chance[:, None]).T,
        leaves=_public_nodes(game, leaves),
    )


def _public_nodes(
    game: Game[State], nodes: Sequence[tuple[State, tuple[Edge, Edge], float]]
) -> PublicNodes[State]:
    states = tuple(state for state, _, _ in nodes)
    edges = np.array([last for _, last, _ in nodes], dtype=np.int64)
    features = np.array([game.features(state) for state in states], dtype=float)
    possible = np.array([game.possible_hands(state) for state in states], dtype=bool)
    return PublicNodes(
        states=states,
        last_edge=edges.reshape(-1, 2, 2).transpose(1, 0, 2),
        chance=np.array([chance for _, _, chance in nodes], dtype=float),
        possible=possible.reshape(-1, game.num_hands),
        features=features.reshape(-1, game.num_features),
        pot=np.array([game.pot(state) for state in states], dtype=float),
    )
