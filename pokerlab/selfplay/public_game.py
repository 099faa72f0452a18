"""A whole game as flat arrays, with every deal of its public cards: what compiled traversals walk on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.games.tree_size import too_large
from pokerlab.games.unfolding import UnfoldedSubgame, unfold
from pokerlab.search.forest import Forest
from pokerlab.search.tree import build_tree

MOST_PAIRS = 10**8
"""Numbers: payoffs of pairs of hands."""


@dataclass(frozen=True)
class PublicGame(Generic[State]):
    """Every public state of a game, ``N`` of them in preorder, ``D`` of them decisions, ``T`` terminal.

    The cards that chance deals do not depend on bets: a *run-out*, ``R`` of them, is all that is dealt in one
    game. A game without public chance has one.
    """

    game: Game[State]
    unfolded: UnfoldedSubgame[State]
    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE`` or ``TERMINAL``."""
    end: Ints
    """``[N]`` where the states below each one end."""
    action: Ints
    """``[N]`` the last move; −1 at the root and after chance."""
    number: Ints
    """``[N]`` of a decision among the decisions, of a terminal or a chance state among those."""
    dealt: Ints
    """``[C, R]`` what each chance state comes to with each run-out; −1 if it cannot."""
    possible: Bools
    """``[R, H]`` hands that each run-out leaves possible."""
    payoff: Floats
    """``[M, H, H]`` by payoff kernel: opponent's hand, own hand; of one chip."""
    kernel: Ints
    """``[T]`` which of those."""
    chips: Floats
    """``[T, 2]``."""

    @property
    def num_decisions(self) -> int:
        """``D``."""
        return int((self.kind < CHANCE).sum())

    @cached_property
    def decisions(self) -> Ints:
        """``[D]`` where they are among all states."""
        return np.flatnonzero(self.kind < CHANCE)

    @property
    def actor(self) -> Ints:
        """``[D]`` who acts."""
        return self.kind[self.decisions]

    @cached_property
    def lines(self) -> tuple[Sequence[State], Sequence[Sequence[int]]]:
        """The public state of each decision, and the actions that led there."""
        moves: list[tuple[int, ...]] = [()] * len(self.kind)
        for here in range(1, len(self.kind)):
            moved = (int(self.action[here]),) if self.action[here] >= 0 else ()
            moves[here] = moves[self.unfolded.above[here]] + moved
        return [self.unfolded.states[d] for d in self.decisions], [moves[d] for d in self.decisions]

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

    @cached_property
    def legal(self) -> Bools:
        """``[D, A]`` by the game's actions."""
        legal = np.zeros((self.num_decisions, self.game.num_actions), bool)
        moved = np.flatnonzero(self.action >= 0)
        legal[self.number[self.unfolded.above[moved]], self.action[moved]] = True
        return legal


def list_game(game: Game[State]) -> PublicGame[State]:
    """Lists a game's public states.

    Args:
        game: small enough to be enumerated.

    Raises:
        ValueError: it is not, or its public cards depend on bets.
    """
    if not game.enumerable:
        raise ValueError(f"{game.name} is too large to be enumerated")
    if (states := game.count_states()) and (reason := too_large(states, game.num_hands, 8, free=True)):
        raise ValueError(f"{game.name} has {reason}")
    unfolded = unfold(game, game.root(), depth_limited=False)
    kind, above = unfolded.kind, unfolded.above
    end = np.arange(1, len(kind) + 1)
    for here in range(len(kind) - 1, 0, -1):
        end[above[here]] = max(end[above[here]], end[here])
    number = np.zeros(len(kind), np.int64)
    for chosen in (kind < CHANCE, kind == CHANCE, kind == TERMINAL):
        number[chosen] = np.arange(chosen.sum())
    dealt, possible = _list_run_outs(game, unfolded)
    kernels, kernel = np.unique(unfolded.payoff_kernel, return_inverse=True)
    if len(kernels) * game.num_hands**2 > MOST_PAIRS:
        raise ValueError(f"{game.name} has too many hands for a table of their payoffs")
    return PublicGame(
        game, unfolded, kind, end, unfolded.action, number, dealt, possible,
        _payoffs_of_pairs(game, kernels), kernel, unfolded.chips.T.copy(),
    )  # fmt: skip


def _payoffs_of_pairs(game: Game[State], kernels: Ints) -> Floats:
    """``[M, H, H]`` opponent's hand, own hand: what is won of one chip; 0 for pairs that cannot be dealt."""
    hands = torch.eye(game.num_hands, dtype=torch.float64)
    operator = game.payoff_operator(kernels.tolist(), hands)
    weighted: Floats = operator(hands.expand(len(kernels), -1, -1)).numpy()
    pairs = game.deal.T
    return np.divide(weighted, pairs, out=np.zeros_like(weighted), where=pairs > 0)


def _list_run_outs(game: Game[State], unfolded: UnfoldedSubgame[State]) -> tuple[Ints, Bools]:
    """What each chance state comes to with each run-out, and the hands that run-outs leave possible."""
    kind, above = unfolded.kind, unfolded.above
    path: list[tuple[int, ...]] = [()] * len(kind)  # of outcomes, by their numbers
    outcomes = np.zeros(len(kind), np.int64)
    boards: dict[tuple[int, ...], int] = {(): int(unfolded.board[0])}
    for here in range(1, len(kind)):
        parent = int(above[here])
        path[here] = path[parent]
        if kind[parent] == CHANCE:
            path[here] = (*path[parent], int(outcomes[parent]))
            outcomes[parent] += 1
            if boards.setdefault(path[here], int(unfolded.board[here])) != unfolded.board[here]:
                raise ValueError(f"{game.name} deals other cards after other bets: they cannot be listed")
    extended = {line[:-1] for line in boards if line}
    run_outs = [line for line in boards if line not in extended]
    chances = np.flatnonzero(kind == CHANCE)
    dealt = np.full((len(chances), len(run_outs)), -1, np.int64)
    for number, chance in enumerate(chances):
        below = {path[here]: here for here in np.flatnonzero(above == chance)}
        depth = len(path[chance])
        for run_out, line in enumerate(run_outs):
            if line[:depth] == path[chance]:
                if line[: depth + 1] not in below:
                    raise ValueError(f"{game.name} deals other cards after other bets: they cannot be listed")
                dealt[number, run_out] = below[line[: depth + 1]]
    return dealt, np.array([unfolded.boards[boards[line]] for line in run_outs])
