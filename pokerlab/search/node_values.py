"""What a strategy pair is worth at any public state of a tree, hand by hand.

A forest's passes keep what belongs to a player's sequences; a reader of a solved game asks for both players'
values at single states. So the states below one are gone through in the tree's order, a piece at a time, and
values of the largest subtrees are remembered.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic

import numpy as np
import torch

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Floats, Game, Ints, State
from pokerlab.loops import jit
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.terminals import JoinedOperator, put_in_slots
from pokerlab.search.tree import PublicTree

AT_ONCE = 1000
"""States whose reach and values are held together."""
REMEMBERED = 500
"""Subtrees of more than one in so many of a tree's states are remembered."""
LAYOUTS = 256
"""Payoff operators that are kept, the latest ones."""


class NodeValues(Generic[State]):
    """Values of a strategy pair on a tree that is played to the end, or to leaves whose values are known.

    States are numbers among all of the tree's. ``reach`` is always ``[2, H]``: the beliefs at the tree's root
    times how often each hand comes to the state by its player's own actions.

    Args:
        game: the rules.
        tree: from the game's root.
        edges: ``[E, H]`` the strategies, in the tree's order of edges.
        leaves: ``[2, L, H]`` counterfactual values of the depth-limit leaves under these strategies, in
            chips, the chance on the way included; None: the tree has none.
    """

    def __init__(
        self, game: Game[State], tree: PublicTree[State], edges: EdgeRows, leaves: Floats | None = None
    ) -> None:
        self._game, self._tree, self._edges, self._leaves = game, tree, edges, leaves
        self._end = _ends(tree.every.above)
        self._edge = _edges_into(tree.every.kind, tree.every.above)
        kind = tree.every.kind
        self._decision, self._terminal, self._leaf = (
            np.concatenate([[0], np.cumsum(of)]) for of in (kind < CHANCE, kind == TERMINAL, kind == LEAF)
        )
        """``[N + 1]`` how many decisions, terminals, and leaves come before each state."""
        self._least = max(len(tree.every.kind) // REMEMBERED, 2)
        self._known: dict[int, Floats] = {}
        self._like = torch.empty(0, dtype=torch.float64)
        self._mass = game.mass_operator(self._like)
        self._operators = lru_cache(LAYOUTS)(self._lay_out)

    def children(self, state: int) -> list[int]:
        """The states that the moves at a state lead to, in their order."""
        found, child = [], state + 1
        while child < self._end[state]:
            found.append(child)
            child = int(self._end[child])
        return found

    def strategy(self, state: int) -> Floats:
        """``[A, H]`` what is played where somebody acts."""
        node = self._decision[state]
        return self._rows(node, node + 1)

    def reach_below(self, state: int, reach: Floats) -> Floats:
        """``[n, 2, H]`` the reach at a state's children."""
        below = np.repeat(reach[None], len(self.children(state)), 0)
        if (actor := self._tree.every.kind[state]) < CHANCE:
            below[:, actor] *= self.strategy(state)
        return below

    def __call__(self, state: int, reach: Floats) -> Floats:
        """``[2, H]`` chips that each hand wins or loses in the whole game, from a state on.

        NaN for hands that the other's range leaves nobody to meet.
        """
        every = self._tree.every
        possible = self._tree.boards[every.board[state]]
        met = self._mass(torch.as_tensor(reach[::-1] * possible)).numpy() * every.chance[state]
        values = self._counterfactual(state, reach)
        return np.where(met > 0, values / np.where(met > 0, met, 1), np.nan)

    def _counterfactual(self, state: int, reach: Floats) -> Floats:
        """``[2, H]``, the chance on the way from the root included."""
        if state in self._known:
            return self._known[state]
        size = self._end[state] - state
        if size <= AT_ONCE:
            values = self._piece(state, reach)
        else:
            below = self.reach_below(state, reach)
            children = self.children(state)
            values = self._combine(
                state, [self._counterfactual(*child) for child in zip(children, below, strict=True)]
            )
        if size >= self._least:
            self._known[state] = values
        return values

    def _combine(self, state: int, below: Sequence[Floats]) -> Floats:
        """The values at a state, from its children's."""
        values: Floats = np.sum(below, axis=0)
        if (actor := self._tree.every.kind[state]) < CHANCE:
            values[actor] = (self.strategy(state) * [of[actor] for of in below]).sum(0)
        elif self._tree.every.chance[state] == 1:
            return self._average(values)
        return values

    def _average(self, values: Floats) -> Floats:
        """``[2, H]`` at a first deal: where isomorphic ones are left out, means over isomorphic hands."""
        first = self._tree.representative
        if first is None:
            return values
        number = np.bincount(first, minlength=len(first))
        totals = [np.bincount(first, of, len(first)) for of in values]
        return np.stack([(total / np.maximum(number, 1))[first] for total in totals])

    def _piece(self, state: int, reach: Floats) -> Floats:
        """The values at a state, all states below it at once."""
        tree, end = self._tree, int(self._end[state])
        kind, above = tree.every.kind[state:end], tree.every.above[state:end] - state
        edges = self._rows(self._decision[state], self._decision[end])
        edge = self._edge[state:end] - int(tree.first_edge[self._decision[state]])
        at = _reach(kind, above, edge, edges, reach)
        ends, values = np.flatnonzero(kind == TERMINAL), np.zeros_like(at)
        terminals = slice(int(self._terminal[state]), int(self._terminal[end]))
        slot, slots, operator = self._operators(terminals.start, terminals.stop)
        there = torch.zeros(2, slots, at.shape[-1], dtype=torch.float64)
        there[:, slot] = torch.as_tensor(at[ends]).transpose(0, 1).flip(0)
        won = operator(there)[:, slot] * torch.as_tensor(tree.payoff[:, terminals])[..., None]
        values[ends] = won.transpose(0, 1).numpy()
        if self._leaves is not None:
            leaves = self._leaves[:, int(self._leaf[state]) : int(self._leaf[end])]
            values[kind == LEAF] = leaves.swapaxes(0, 1)
        last = len(kind)
        for deal in np.flatnonzero((kind == CHANCE) & (tree.every.chance[state:end] == 1))[::-1].tolist():
            _back_up(kind, above, edge, edges, values, deal + 1, last)
            values[deal], last = self._average(values[deal]), deal + 1
        _back_up(kind, above, edge, edges, values, 1, last)
        return values[0].copy()

    def _rows(self, first: int, last: int) -> Floats:
        """``[edges, H]`` of decisions that follow one another."""
        at = self._tree.first_edge
        if first == last:
            return np.zeros((0, self._game.num_hands))
        return self._edges[slice(int(at[first]), int(at[last]))].astype(np.float64)

    def _lay_out(self, first: int, last: int) -> tuple[Ints, int, JoinedOperator]:
        """Where some terminals stand among slots, how many slots there are, and their operator."""
        slot, slots, parts = put_in_slots(self._game, self._tree.payoff_kernel[first:last], self._like)
        return slot, slots, JoinedOperator(parts)


@jit
def _ends(above: Ints) -> Ints:
    """``[N]`` where the states below each one end."""
    end = np.arange(1, len(above) + 1)
    for here in range(len(above) - 1, 0, -1):
        end[above[here]] = max(end[above[here]], end[here])
    return end


@jit
def _edges_into(kind: Ints, above: Ints) -> Ints:
    """``[N]`` the edge that leads to each state; −1 where none does."""
    fanout = np.zeros(len(kind), np.int64)
    for here in range(1, len(kind)):
        fanout[above[here]] += kind[above[here]] < CHANCE
    free = np.cumsum(fanout) - fanout  # the first of its edges that is not taken yet
    edge = np.full(len(kind), -1)
    for here in range(1, len(kind)):
        parent = above[here]
        if kind[parent] < CHANCE:
            edge[here] = free[parent]
            free[parent] += 1
    return edge


@jit
def _reach(kind: Ints, above: Ints, edge: Ints, edges: Floats, reach: Floats) -> Floats:
    """``[n, 2, H]`` the reach at every state, of ``[2, H]`` at the first."""
    at = np.empty((len(kind), 2, reach.shape[1]))
    at[0] = reach
    for here in range(1, len(kind)):
        parent = above[here]
        at[here] = at[parent]
        if kind[parent] < CHANCE:
            at[here, kind[parent]] *= edges[edge[here]]
    return at


@jit
def _back_up(
    kind: Ints, above: Ints, edge: Ints, edges: Floats, values: Floats, first: int, last: int
) -> None:
    """Adds the ``[n, 2, H]`` values of the states from ``first`` to ``last`` (exclusive) to those above."""
    for here in range(last - 1, first - 1, -1):
        parent = above[here]
        for player in range(2):
            if player == kind[parent]:
                values[parent, player] += edges[edge[here]] * values[here, player]
            else:
                values[parent, player] += values[here, player]
