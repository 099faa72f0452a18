"""Re-solving a subgame so that the opponent gains nothing by it (Burch, Johanson and Bowling 2014, CFR-D).

At the roots, each of the opponent's hands may leave the subgame and take what it could expect before the
subgame was re-solved. The solution therefore tries to give no hand more than that, whatever the opponent's
range is: a hand's weight is the probability that it was dealt, times the frequency with which regret matching
has it play.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.search.forest import Forest, divide


@dataclass(frozen=True, slots=True)
class Gadget:
    """What the opponent's hands may take at the roots instead of playing."""

    resolver: int
    """The player that re-solves."""
    paid: Tensor
    """``[B, H]`` the opponent's infostate values before re-solving, in chips."""

    def beliefs(self, forest: Forest, belief: Tensor) -> Tensor:
        """``[2, B, H]`` the resolver's part of ``belief``, and the opponent's hands as they are dealt."""
        opponent, possible = 1 - self.resolver, forest.root_possible.to(belief.dtype)
        dealt = torch.as_tensor(forest.game.initial_beliefs[opponent]).to(belief) * possible
        dealt = torch.where(dealt.sum(-1, keepdim=True) > 0, dealt, possible)
        belief = belief.clone()
        belief[opponent] = dealt / dealt.sum(-1, keepdim=True)
        return belief


class GadgetRegrets:
    """The opponent's choice between playing and leaving, by regret matching+.

    Args:
        gadget: who re-solves, and what the opponent's hands may take.
        forest: the subgames.
        belief: ``[2, B, H]`` as :meth:`Gadget.beliefs` gives them.
    """

    def __init__(self, gadget: Gadget, forest: Forest, belief: Tensor) -> None:
        self._opponent, self._belief = 1 - gadget.resolver, belief
        self._paid = gadget.paid * forest.mass(belief[gadget.resolver])
        self._regret = belief.new_zeros(2, *belief.shape[1:])  # of playing, of leaving
        self.plays = forest.root_possible.to(belief.dtype)
        """``[B, H]`` how often each of the opponent's hands plays in the next iteration."""
        self._plays_sum = torch.zeros_like(self.plays)
        self._value_sum = torch.zeros_like(self.plays)

    def weighted_beliefs(self) -> Tensor:
        """``[2, B, H]``, the opponent's hands weighted by how often they play: not normalised."""
        belief = self._belief.clone()
        belief[self._opponent] *= self.plays
        return belief

    def update(self, root_value_sum: Tensor, weight: float) -> None:
        """Adds an iteration's regrets.

        Args:
            root_value_sum: ``[2, B, H]`` after it, see :attr:`Backend.root_value_sum`.
            weight: the iteration's weight in averages.
        """
        value_sum = root_value_sum[self._opponent].clone()
        played, self._value_sum = (value_sum - self._value_sum) / weight, value_sum
        self._plays_sum.add_(self.plays, alpha=weight)
        expected = torch.lerp(self._paid, played, self.plays)
        self._regret += torch.stack([played - expected, self._paid - expected])
        self._regret.clamp_min_(0)
        self.plays = divide(self._regret[0], self._regret.sum(0), self.plays)

    def average_beliefs(self) -> Tensor:
        """``[2, B, H]``, the opponent's weighted by how often each hand has played."""
        belief = self._belief.clone()
        weight = belief[self._opponent] * self._plays_sum
        belief[self._opponent] = divide(weight, weight.sum(-1, keepdim=True), belief[self._opponent])
        return belief
