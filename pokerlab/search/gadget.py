"""Re-solving a subgame so that the opponent gains nothing by it (Burch, Johanson and Bowling 2014, CFR-D).

At the roots, each of the opponent's hands may leave the subgame and take what it could expect before the
subgame was re-solved. The solution therefore tries to give no hand more than that, whatever the opponent's
range is: a hand's weight is the probability that it was dealt, times the frequency with which regret matching
has it play.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.search.forest import Forest, divide, normalise_beliefs


@dataclass(frozen=True, slots=True)
class Gadget:
    """What the opponent's hands may take at the roots instead of playing."""

    resolver: int
    """The player that re-solves."""
    paid: Tensor
    """``[B, H]`` the opponent's infostate values before re-solving, in chips."""

    def beliefs(self, forest: Forest, belief: Tensor) -> Tensor:
        """``[2, B, H]`` the resolver's part of ``belief``, and the opponent's hands as they are dealt."""
        opponent, possible = self.opponent, forest.root_possible.to(belief.dtype)
        dealt = torch.as_tensor(forest.game.initial_beliefs[opponent]).to(belief) * possible
        belief = belief.clone()
        belief[opponent] = normalise_beliefs(dealt, possible)
        return belief

    @property
    def opponent(self) -> int:
        """The other player, who chooses between playing and leaving by regret matching+."""
        return 1 - self.resolver

    def payments(self, forest: Forest, belief: Tensor) -> Tensor:
        """``[B, H]`` counterfactual values of leaving."""
        return self.paid * forest.mass(belief[self.resolver])

    def weigh(self, belief: Tensor, plays: Tensor) -> Tensor:
        """``[2, B, H]`` beliefs, the opponent's weighted by how often each hand plays, ``[B, H]``."""
        opponent, belief = self.opponent, belief.clone()
        weight = belief[opponent] * plays
        belief[opponent] = divide(weight, weight.sum(-1, keepdim=True), belief[opponent])
        return belief
