"""How trajectories go through a solved subgame: which iteration each plays, and where it comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pokerlab.search.forest import ForestNodes
from pokerlab.search.resolving import BeliefStates, Play


@dataclass(frozen=True, slots=True)
class OtherBeliefs:
    """What iterations that no trajectory plays believe where the next subgames start, ``m`` such beliefs."""

    subgame: Tensor
    """``[m]``."""
    beliefs: Tensor
    """``[2, m, H]``."""

    def within(self, part: slice) -> "OtherBeliefs":
        """Of these subgames, counted from the first."""
        among = ((self.subgame >= part.start) & (self.subgame < part.stop)).nonzero()[:, 0]
        return OtherBeliefs(self.subgame[among] - part.start, self.beliefs[:, among.to(self.beliefs.device)])

    @staticmethod
    def join(parts: Sequence["OtherBeliefs"]) -> "OtherBeliefs":
        """All of them, in order."""
        return OtherBeliefs(
            torch.cat([part.subgame for part in parts]), torch.cat([part.beliefs for part in parts], 1)
        )


class TrajectorySampler:
    """Chooses what trajectories play in ``B`` subgames: each an iteration t* ~ uniform{1..T}.

    Trajectories with the same subgame, iteration and exploring player share one *copy* of the subgame.

    Args:
        subgame_of: ``[n]`` which subgame each trajectory is in.
        iterations: ``T``.
        draws: ``[3, n]`` uniform in [0, 1): they choose iteration, exploring player and end.
        others: ``[B, m]`` uniform in [0, 1): of each subgame, they choose iterations whose beliefs are
            wanted besides, each in a copy of its own.
    """

    def __init__(self, subgame_of: Tensor, iterations: int, draws: Tensor, others: Tensor) -> None:
        iteration, explorer = (draws[0] * iterations).long() + 1, (draws[1] * 2).long()
        self._end = draws[2]
        played, self._copy_of = torch.stack([subgame_of, iteration, explorer]).unique(
            dim=1, return_inverse=True
        )
        if iterations == 1:
            others = others[:, :0]
        self._played, self._others = played.shape[1], others.shape[1]
        subgame = torch.arange(len(others)).repeat_interleave(self._others)
        iteration = (others.flatten() * iterations).long() + 1
        copies = torch.cat([played, torch.stack([subgame, iteration, torch.zeros_like(subgame)])], 1)
        self.subgame, self.iteration, self._explorer = copies
        """What each copy copies, and which iteration is played in it."""

    def leave(self, play: Play, exploration: float) -> tuple[BeliefStates, Tensor, OtherBeliefs]:
        """Samples the leaf at which each trajectory leaves its subgame.

        Args:
            play: of the copies; each copies a subgame that has leaves, or whose game ends there.
            exploration: ε of the exploring player.

        Returns:
            The different belief states where the next subgames start; which of them each trajectory is in,
            ``[n]``, −1: its game is over; and what other iterations believe there.
        """
        leaves, goes_to = play.forest.leaves, torch.full_like(self._copy_of, -1)
        leaf = self._sample_leaves(play, exploration)
        goes_on = leaf >= 0
        leaf, copy = leaf[goes_on], leaves.subgame.cpu()
        # the exploring player's random actions stay out of the beliefs, so copies that differ in it agree
        node = torch.as_tensor(leaves.node)
        keys = torch.stack([self.subgame[copy], self.iteration[copy], node])[:, leaf]
        distinct, goes_to[goes_on] = keys.unique(dim=1, return_inverse=True)
        first = torch.zeros(distinct.shape[1], dtype=torch.int64).scatter_(0, goes_to[goes_on], leaf)
        chosen = leaves.select(first)
        others = OtherBeliefs(
            torch.arange(len(first)).repeat_interleave(self._others),
            play.beliefs_at(leaves.select(self._same_leaves_of_others(leaves, chosen))),
        )
        return play.belief_states(chosen), goes_to, others

    def _same_leaves_of_others(self, leaves: ForestNodes, chosen: ForestNodes) -> Tensor:
        """``[chosen · m]`` where each chosen leaf stands in its subgame's copies for other iterations."""
        if not self._others:
            return torch.empty(0, dtype=torch.int64)
        # a copy's leaves lie in a row, in their tree's order
        first = np.searchsorted(leaves.subgame.numpy(force=True), np.arange(len(self.subgame)))
        subgame, other = self.subgame[chosen.subgame.cpu()], torch.arange(self._others)
        there = first[self._played + subgame[:, None] * self._others + other] + chosen.node[:, None]
        return torch.as_tensor(there).flatten()

    def _sample_leaves(self, play: Play, exploration: float) -> Tensor:
        """``[n]`` an index into the leaves of the copies; −1 where the game ends."""
        copies, leaves, strategy, beliefs = play.forest, play.forest.leaves, play.strategy, play.belief
        explores = self._explorer.to(copies.device)[copies.decisions.subgame] == copies.actor
        rate = exploration * explores[:, None].to(strategy.dtype)
        reach = copies.reach(torch.lerp(strategy, copies.uniform.expand_as(strategy), rate))
        hands = reach[leaves.row] * beliefs[:, leaves.subgame] * leaves.possible
        weight = ((hands[0] * copies.mass(hands[1])).sum(-1) * leaves.chance).double().cpu()
        everything = (beliefs[0] * copies.mass(beliefs[1])).sum(-1).double().cpu()
        number = torch.bincount(leaves.subgame.cpu(), minlength=copies.num_subgames)
        cumulative = torch.nn.functional.pad(weight.cumsum(0), (1, 0))
        last = number.cumsum(0)
        start, until = cumulative[last - number], cumulative[last]
        going_on = until - start
        may_end = torch.tensor([len(tree.terminals) > 0 for tree in copies.trees])
        may_end = may_end[torch.as_tensor(copies.tree_of)]
        ending = torch.where(may_end, (everything - going_on).clamp_min(0), 0)
        # along a line: of each copy, the ends of the game, then its leaves
        target = self._end * (ending + going_on)[self._copy_of] - ending[self._copy_of]
        leaf = torch.searchsorted(cumulative[1:], start[self._copy_of] + target, right=True)
        # what nobody comes to has no weight: a leaf of the copy all the same, if it has any
        leaf = leaf.clamp((last - number)[self._copy_of], (last - 1)[self._copy_of])
        return torch.where((target < 0) | (number == 0)[self._copy_of], -1, leaf)
