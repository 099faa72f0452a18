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

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.games.parts import Symmetry
from pokerlab.games.unfolding import LazyStates, unfold
from pokerlab.loops import jit

Edge: TypeAlias = tuple[int, int]
"""(decision node, position of the action among its legal actions)."""

NO_EDGE: Edge = (-1, 0)
"""The empty sequence: the player has not acted in this subgame."""


@dataclass(frozen=True, slots=True)
class PublicNodes(Generic[State]):
    """Public states of one kind in a tree, ``n`` of them."""

    states: Sequence[State]
    last_edge: Ints
    """``[2, n, 2]`` each player's last own edge as (node, position); node −1: none."""
    chance: Floats
    """``[n]`` probability of the chance moves on the way from the root."""
    board: Ints
    """``[n]`` which of the tree's boards."""
    features: Floats
    """``[n, F]``, see :class:`~pokerlab.games.parts.NetworkFeatures`."""
    pot: Floats
    """``[n]`` chips."""

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True, slots=True)
class AllStates(Generic[State]):
    """All public states of a tree, ``N`` of them, in preorder: those below one lie in one piece behind it."""

    states: Sequence[State]
    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE``, ``TERMINAL`` or ``LEAF``."""
    above: Ints
    """``[N]`` the state before the last move; −1 at the root."""
    chance: Floats
    """``[N]`` probability of the chance moves on the way from the root."""
    board: Ints
    """``[N]`` which of the tree's boards."""


@dataclass(frozen=True, slots=True)
class SequenceForm:
    """A tree in *sequence rows*: rows 0 and 1 are the players' empty sequences, row ``2 + e`` edge ``e``."""

    first: Ints
    """``[D]`` first edge of each decision node, the nodes sorted by actor, parents before children.

    Where values are averaged over isomorphic hands, nodes above the first deal come before those below it.
    """
    end: Ints
    """``[D]`` last edge + 1."""
    above: Ints
    """``[D]`` the row above: the actor's last own edge."""
    of_first_player: int
    """How many of the nodes are player 0's."""
    before_deal: Ints
    """``[2]`` how many of each player's nodes lie above the first deal; where the tree has all deals, all."""
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
    num_states: int
    """Of all kinds: decisions, chance, terminals and leaves."""
    every: "AllStates[State]"
    boards: Bools
    """``[K, H]`` hands that each board leaves possible; the root's is the first."""
    decisions: PublicNodes[State]
    """``D`` nodes, parents before children."""
    actor: Ints
    """``[D]`` who acts."""
    own_depth: Ints
    """``[D]`` how many own decisions lie above."""
    depth: Ints
    """``[D]`` how many moves of anybody lie above."""
    first_edge: Ints
    """``[D + 1]`` where each decision node's edges begin when all lie in a row, and their number."""
    edge_action: Ints
    """``[E]`` the action of each edge; a *position* counts a node's edges, its actions ascending."""
    terminals: PublicNodes[State]
    payoff_kernel: Ints
    """``[T]``, see :class:`~pokerlab.games.base.Terminal`."""
    payoff: Floats
    """``[2, T]`` chips × chance probability."""
    leaves: PublicNodes[State]
    representative: Ints | None
    """``[H]`` the first of the hands isomorphic to each one, where the tree has one of several isomorphic
    deals; None: it has all.

    Values that come up from the first deal are then those of all deals when each hand has the mean over
    the hands isomorphic to it: what is due to sequences that begin above the deal.
    """
    dealt: Bools
    """``[D]`` whether chance has acted, of ``decisions``."""

    @property
    def root_possible(self) -> Bools:
        """``[H]`` hands that the root's board leaves possible."""
        possible: Bools = self.boards[0]
        return possible

    def edges_of(self, node: int) -> slice:
        """A decision node's edges."""
        return slice(*self.first_edge[node : node + 2].tolist())

    @property
    def num_edges(self) -> int:
        """How many actions all decision nodes have together."""
        return len(self.edge_action)

    @cached_property
    def sequence_form(self) -> SequenceForm:
        """The tree's shape as rows and edges."""
        dealt = self.dealt & (self.representative is not None)
        by_actor = np.lexsort((dealt, self.actor))

        def rows(nodes: PublicNodes) -> Ints:
            node, position = nodes.last_edge[..., 0], nodes.last_edge[..., 1]
            edge = self.first_edge[np.maximum(node, 0)] + position
            return np.where(node < 0, np.arange(2)[:, None], 2 + edge)

        return SequenceForm(
            first=self.first_edge[:-1][by_actor],
            end=self.first_edge[1:][by_actor],
            above=rows(self.decisions)[self.actor, np.arange(len(self.actor))][by_actor],
            of_first_player=int((self.actor == 0).sum()),
            before_deal=np.bincount(self.actor[~dealt], minlength=2),
            terminal_row=rows(self.terminals),
            leaf_row=rows(self.leaves),
        )

    @property
    def width(self) -> int:
        """The most actions at one node, at least 1."""
        return int(np.diff(self.first_edge).max(initial=1))


def build_tree(
    game: Game[State],
    root: State,
    *,
    depth_limited: bool,
    symmetry: Symmetry[State] | None = None,
    features: bool = True,
) -> PublicTree[State]:
    """Enumerates the public tree below ``root``.

    Args:
        game: the rules.
        root: where the subgame starts; not terminal.
        depth_limited: whether to stop where ``game.is_leaf`` says so, or to play to the end.
        symmetry: the game's: of isomorphic deals, one is kept. Only for the game's own root and beliefs,
            played to the end; None: all are kept.
        features: whether networks will be asked about the tree's states.
    """
    unfolded = unfold(game, root, depth_limited=depth_limited, symmetry=symmetry, features=features)
    kind, above = unfolded.kind, unfolded.above
    last_edge, own_moves, moves, fanout, dealt = _follow(kind, above)
    decisions, terminals, leaves = (
        np.flatnonzero(chosen) for chosen in (kind < CHANCE, kind == TERMINAL, kind == LEAF)
    )
    below = np.flatnonzero(unfolded.action >= 0)  # the states that edges lead to
    below = below[np.argsort(above[below], kind="stable")]

    def nodes(index: Ints) -> PublicNodes[State]:
        return PublicNodes(
            states=LazyStates(unfolded.states.__getitem__, index),
            last_edge=last_edge[:, index],
            chance=unfolded.chance[index],
            board=unfolded.board[index],
            features=unfolded.features[index],
            pot=unfolded.pot[index],
        )

    return PublicTree(
        root=root,
        num_states=len(kind),
        every=AllStates(unfolded.states, kind, above, unfolded.chance, unfolded.board),
        boards=unfolded.boards,
        decisions=nodes(decisions),
        actor=kind[decisions],
        own_depth=own_moves[kind[decisions], decisions],
        depth=moves[decisions],
        first_edge=np.concatenate([[0], np.cumsum(fanout[decisions])]),
        edge_action=unfolded.action[below],
        terminals=nodes(terminals),
        payoff_kernel=unfolded.payoff_kernel,
        payoff=unfolded.chips * unfolded.chance[terminals],
        leaves=nodes(leaves),
        representative=symmetry.representative_hand if symmetry else None,
        dealt=dealt[decisions],
    )


@jit
def _follow(kind: Ints, above: Ints) -> tuple[Ints, Ints, Ints, Ints, Bools]:
    """What the moves on the way from the root add up to, for states in the order of ``unfold``.

    Returns:
        ``[2, N, 2]`` each player's last own edge, ``[2, N]`` how many own moves lie above, ``[N]`` moves of
        anybody above, ``[N]`` moves that start here, ``[N]`` whether a chance move lies above.
    """
    count = len(kind)
    last_edge, own_moves = np.zeros((2, count, 2), np.int64), np.zeros((2, count), np.int64)
    moves, fanout = np.zeros(count, np.int64), np.zeros(count, np.int64)
    dealt = np.zeros(count, np.bool_)
    number, decisions = np.zeros(count, np.int64), 0  # of a state among the decision nodes
    last_edge[:, 0, 0] = -1
    for here in range(count):
        if kind[here] < CHANCE:
            number[here] = decisions
            decisions += 1
        if here == 0:
            continue
        parent = above[here]
        for player in range(2):
            last_edge[player, here] = last_edge[player, parent]
            own_moves[player, here] = own_moves[player, parent]
        if kind[parent] < CHANCE:
            last_edge[kind[parent], here, 0] = number[parent]
            last_edge[kind[parent], here, 1] = fanout[parent]
            own_moves[kind[parent], here] += 1
        moves[here] = moves[parent] + 1
        dealt[here] = dealt[parent] or kind[parent] == CHANCE
        fanout[parent] += 1
    return last_edge, own_moves, moves, fanout, dealt
