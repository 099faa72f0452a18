"""A game's public states as flat arrays: what compiled traversals walk on.

A game that is small has all of them at once, with every deal of its public cards. Of a larger one
(:class:`DealtGame`), the cards of one deal are drawn in advance, and streets are added where traversals come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.games.parts import RunOuts, draw_outcome, table_play
from pokerlab.games.tree_size import too_large
from pokerlab.games.unfolding import UnfoldedSubgame, unfold
from pokerlab.search.forest import Forest
from pokerlab.search.payoffs import payoffs_by_kernel
from pokerlab.search.tree import build_tree


@dataclass(frozen=True, slots=True)
class PublicNodes:
    """Public states, ``N`` of them: ``D`` decisions, ``C`` where chance acts, ``T`` terminal, ``L`` where the
    game goes on and was not followed."""

    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE`` or ``TERMINAL``; or ``LEAF``."""
    first: Ints
    """``[N]`` the first state below each one; −1: there is none."""
    sibling: Ints
    """``[N]`` the next one below the same state; −1: it is the last."""
    action: Ints
    """``[N]`` the last move; −1 at the root and after chance."""
    number: Ints
    """``[N]`` of a decision among the decisions, of a terminal among terminals, …"""
    decided: Ints
    """``[2, N]`` how many decisions of each player lie above."""
    dealt: Ints
    """``[C, R]`` what each chance state comes to with each run-out; −1 if it cannot."""
    kernel: Ints
    """``[T]`` the payoff kernel."""
    chips: Floats
    """``[T, 2]``."""

    @property
    def num_decisions(self) -> int:
        """``D``."""
        return int((self.kind < CHANCE).sum())

    @property
    def decisions(self) -> Ints:
        """``[D]`` where they are among all states."""
        return np.flatnonzero(self.kind < CHANCE)

    @property
    def actor(self) -> Ints:
        """``[D]`` who acts."""
        return self.kind[self.decisions]

    def with_kernels(self, kernel: Ints) -> "PublicNodes":
        """The same with other numbers of payoff kernels, ``[T]``."""
        return replace(self, kernel=kernel)

    def legal(self, actions: int) -> Bools:
        """``[D, actions]`` by the game's actions."""
        legal = np.zeros((self.num_decisions, actions), bool)
        for d, here in enumerate(self.decisions):
            child = self.first[here]
            while child >= 0:
                legal[d, self.action[child]] = True
                child = self.sibling[child]
        return legal


def lay_out(unfolded: UnfoldedSubgame[State]) -> PublicNodes:
    """The states of one tree; chance comes to nothing yet."""
    kind, above = unfolded.kind, unfolded.above
    first, sibling, last = np.full((3, len(kind)), -1, np.int64)
    decided = np.zeros((2, len(kind)), np.int64)
    for here in range(1, len(kind)):  # in preorder
        parent = above[here]
        if last[parent] < 0:
            first[parent] = here
        else:
            sibling[last[parent]] = here
        last[parent] = here
        decided[:, here] = decided[:, parent]
        if kind[parent] < CHANCE:
            decided[kind[parent], here] += 1
    number = np.zeros(len(kind), np.int64)
    for chosen in (kind < CHANCE, kind == CHANCE, kind == TERMINAL, kind == LEAF):
        number[chosen] = np.arange(chosen.sum())
    return PublicNodes(
        kind.copy(), first, sibling, unfolded.action, number, decided, np.zeros((0, 1), np.int64),
        unfolded.payoff_kernel, unfolded.chips.T,
    )  # fmt: skip


@dataclass(frozen=True)
class PublicGame(Generic[State]):
    """All public states of a game.

    The cards that chance deals do not depend on bets: a *run-out*, ``R`` of them, is all that is dealt in one
    game. A game without public chance has one.
    """

    game: Game[State]
    unfolded: UnfoldedSubgame[State]
    nodes: PublicNodes
    possible: Bools
    """``[R, H]`` hands that each run-out leaves possible."""
    payoff: Floats
    """``[M, H, H]`` by payoff kernel, see :func:`~pokerlab.search.payoffs.payoffs_of_pairs`."""

    @property
    def num_decisions(self) -> int:
        """``D``."""
        return self.nodes.num_decisions

    @property
    def pots(self) -> Floats:
        """``[D]``."""
        return self.unfolded.pot[self.nodes.decisions]

    @cached_property
    def lines(self) -> tuple[Sequence[State], Sequence[Sequence[int]]]:
        """The public state of each decision, and the actions that led there."""
        decisions, moves = self.nodes.decisions, moves_to(self.unfolded)
        return [self.unfolded.states[d] for d in decisions], [moves[d] for d in decisions]

    @cached_property
    def forest(self) -> Forest[State]:
        """The game as one tree, in double precision."""
        tree = build_tree(self.game, self.game.root(), depth_limited=False)
        return Forest(self.game, [tree], dtype=torch.float64)

    def own_reach(self, strategy: Tensor) -> Tensor:
        """``[width, D, H]`` on :attr:`forest`: how likely the actor alone plays up to each action, and that.

        Args:
            strategy: ``[D, A, H]``.
        """
        forest = self.forest
        columns = torch.nn.functional.pad(strategy.double(), (0, 0, 0, 1))  # 0 where there is no action
        nodes = torch.as_tensor(forest.decisions.node)
        return forest.edge_rows(forest.reach(columns[nodes, forest.action_of]))


def moves_to(unfolded: UnfoldedSubgame[State]) -> list[tuple[int, ...]]:
    """The actions from the root to each state."""
    moves: list[tuple[int, ...]] = [()] * len(unfolded.kind)
    for here in range(1, len(moves)):
        moved = (int(unfolded.action[here]),) if unfolded.action[here] >= 0 else ()
        moves[here] = moves[unfolded.above[here]] + moved
    return moves


def list_game(game: Game[State]) -> PublicGame[State]:
    """Lists a game's public states.

    Args:
        game: with few hands and states.

    Raises:
        ValueError: it does not fit in memory, or its public cards depend on bets.
    """
    if (states := game.count_states()) and (reason := too_large(states, game.num_hands, 8, free=True)):
        raise ValueError(f"{game.name} has {reason}")
    unfolded = unfold(game, game.root(), depth_limited=False)
    nodes = lay_out(unfolded)
    dealt, possible = _list_run_outs(game, unfolded)
    payoff, kernel = payoffs_by_kernel(game, nodes.kernel)
    return PublicGame(game, unfolded, replace(nodes, kernel=kernel, dealt=dealt), possible, payoff)


def _list_run_outs(game: Game[State], unfolded: UnfoldedSubgame[State]) -> tuple[Ints, Bools]:
    """What each chance state comes to with each run-out, and the hands that run-outs leave possible."""
    kind, above = unfolded.kind, unfolded.above
    path: list[tuple[int, ...]] = [()] * len(kind)  # of outcomes, by their numbers
    below: dict[int, list[int]] = {chance: [] for chance in np.flatnonzero(kind == CHANCE).tolist()}
    boards: dict[tuple[int, ...], int] = {(): int(unfolded.board[0])}
    for here in range(1, len(kind)):
        parent = int(above[here])
        path[here] = path[parent]
        if parent in below:
            path[here] = (*path[parent], len(below[parent]))
            below[parent].append(here)
            if boards.setdefault(path[here], int(unfolded.board[here])) != unfolded.board[here]:
                raise ValueError(f"{game.name} deals other cards after other bets: they cannot be listed")
    extended = {line[:-1] for line in boards if line}
    run_outs = [line for line in boards if line not in extended]
    through: dict[tuple[int, ...], list[int]] = {}
    for run_out, line in enumerate(run_outs):
        for depth in range(len(line)):
            through.setdefault(line[:depth], []).append(run_out)
    dealt = np.full((len(below), len(run_outs)), -1, np.int64)
    for number, (chance, outcomes) in enumerate(below.items()):
        for run_out in through[path[chance]]:
            outcome = run_outs[run_out][len(path[chance])]
            if outcome >= len(outcomes):
                raise ValueError(f"{game.name} deals other cards after other bets: they cannot be listed")
            dealt[number, run_out] = outcomes[outcome]
    return dealt, np.array([unfolded.boards[boards[line]] for line in run_outs])


class DealtGame(Generic[State]):
    """A game whose public cards are dealt: streets are added with :meth:`follow`.

    Args:
        game: the rules; it has calling.
        hand: that the cards leave possible.
        fractions: what is dealt on each street, see :func:`~pokerlab.games.parts.draw_outcome`.
    """

    def __init__(self, game: Game[State], hand: int, fractions: Sequence[float]) -> None:
        self.game, self._hands, self._fractions = game, (hand, hand), fractions
        state, deals = game.root(), 0
        play = table_play(game)
        while (actor := game.actor(state)) != TERMINAL:
            if actor == CHANCE:
                state, deals = self._deal(state, deals), deals + 1
            else:
                state = game.next_state(state, play.check_or_call(state))
        if isinstance(game, RunOuts):  # of an all-in
            state = game.run_out(state, self._hands, fractions)
        self.complete: State = state
        """A terminal state with all cards on the board."""
        self.states: list[State] = []
        """Of the decisions."""
        self.moves: list[tuple[int, ...]] = []
        """That led to them."""
        self.pots: list[float] = []
        """There."""
        self.nodes: PublicNodes
        self._leaves: list[tuple[State, tuple[int, ...], int]] = []
        self._add(game.root(), (), 0)

    def _deal(self, state: State, deals: int) -> State:
        return draw_outcome(self.game, state, self._hands, self._fractions[deals])

    def _add(self, root: State, moves: tuple[int, ...], deals: int, leaf: int | None = None) -> None:
        """Adds the street that begins at ``root``, after what stands at ``leaf``."""
        unfolded = unfold(self.game, root, depth_limited=True)
        street, after = lay_out(unfolded), moves_to(unfolded)
        for here in np.flatnonzero(street.kind < CHANCE).tolist():
            self.states.append(unfolded.states[here])
            self.moves.append(moves + after[here])
            self.pots.append(float(unfolded.pot[here]))
        leaves = len(self._leaves)
        self._leaves += [
            (unfolded.states[here], moves + after[here], deals)
            for here in np.flatnonzero(street.kind == LEAF).tolist()
        ]
        shared = street.chips[:, 0] == street.chips[:, 1]  # nobody folded
        kernel = np.where(shared, self.game.terminal(self.complete).payoff_kernel, street.kernel)
        street = replace(street, kernel=kernel)
        self.nodes = street if leaf is None else _join(self.nodes, street, leaf, leaves)

    def follow(self, reached: Bools) -> None:
        """Deals the next cards at leaves, by their numbers, and adds the streets below."""
        for leaf in np.flatnonzero(self.nodes.kind == LEAF):
            if reached[number := self.nodes.number[leaf]]:
                state, moves, deals = self._leaves[number]
                self._add(self._deal(state, deals), moves, deals + 1, int(leaf))

    @property
    def num_leaves(self) -> int:
        """How many leaves there ever were."""
        return len(self._leaves)


def _join(nodes: PublicNodes, street: PublicNodes, leaf: int, leaves: int) -> PublicNodes:
    """States and then those of a street that begins at one of the leaves, which is chance's from now on.

    Args:
        nodes: the states.
        street: the street's.
        leaf: where it begins.
        leaves: how many leaves there were before.
    """
    size = len(nodes.kind)
    kind = np.concatenate([nodes.kind, street.kind])
    kind[leaf] = CHANCE
    number = np.concatenate([nodes.number, street.number])
    before = {TERMINAL: len(nodes.kernel), LEAF: leaves}
    number[size:] += [before.get(each, nodes.num_decisions) for each in street.kind.tolist()]
    number[leaf] = len(nodes.dealt)
    below = [np.where(links < 0, -1, links + size) for links in (street.first, street.sibling)]
    return PublicNodes(
        kind=kind,
        first=np.concatenate([nodes.first, below[0]]),
        sibling=np.concatenate([nodes.sibling, below[1]]),
        action=np.concatenate([nodes.action, street.action]),
        number=number,
        decided=np.concatenate([nodes.decided, street.decided + nodes.decided[:, leaf, None]], 1),
        dealt=np.concatenate([nodes.dealt, [[size]]]),
        kernel=np.concatenate([nodes.kernel, street.kernel]),
        chips=np.concatenate([nodes.chips, street.chips]),
    )
