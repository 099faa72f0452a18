"""Re-solving a subgame so that the opponent gains nothing by it (Burch, Johanson and Bowling 2014, CFR-D)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.search.backends.tensors import TensorCFR
from pokerlab.search.cfr import divided
from pokerlab.search.forest import Forest, rows_of
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.rules import UpdateRule


@dataclass(frozen=True, slots=True)
class Gadget:
    """Lets the opponent choose at the roots, hand by hand, to be paid instead of to play."""

    resolver: int
    """The player that solves anew."""
    paid: Tensor
    """``[B, H]`` infostate values of the opponent's hands, in chips: what each could expect before."""


class GadgetCFR(TensorCFR):
    """CFR on subgames at whose roots the opponent may choose, hand by hand, to be paid instead of to play.

    What it is paid is what the hand could expect before the subgame was solved anew. So the solution keeps
    the opponent's hands from getting more than that as far as it can, whatever range the opponent comes with:
    each hand comes as often as it was dealt, and as regret matching has it play.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]``; the opponent's part is not used.
        rule: the update rule.
        gadget: who solves anew, and what the opponent's hands are paid.
        alternating: see :class:`CFR`.
        leaf_evaluator: see :class:`CFR`.
        average_leaves: see :class:`CFR`.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        gadget: Gadget,
        alternating: bool,
        leaf_evaluator: LeafEvaluator | None = None,
        average_leaves: bool = False,
    ) -> None:
        self._resolver, self._opponent = gadget.resolver, 1 - gadget.resolver
        belief, everything = belief.clone(), forest.root_possible.to(belief.dtype)
        dealt = torch.as_tensor(forest.game.initial_beliefs[self._opponent]).to(belief) * everything
        dealt = torch.where(dealt.sum(-1, keepdim=True) > 0, dealt, everything)
        belief[self._opponent] = dealt / dealt.sum(-1, keepdim=True)
        super().__init__(
            forest,
            belief,
            rule,
            alternating=alternating,
            leaf_evaluator=leaf_evaluator,
            average_leaves=average_leaves,
        )
        self._paid = gadget.paid * forest.mass(belief[gadget.resolver])
        self._gadget_regret = belief.new_zeros(2, *belief.shape[1:])  # to play, to be paid
        self._plays = everything
        self._plays_sum = torch.zeros_like(self._plays)

    def step(self) -> None:
        self._weigh_opponent()
        before = self._value_sum[self._opponent].clone()
        super().step()
        weight = self.rule.weight(self.iteration)
        self._plays_sum.add_(self._plays, alpha=weight)
        played = (self._value_sum[self._opponent] - before) / weight
        expected = torch.lerp(self._paid, played, self._plays)
        regret = self._gadget_regret
        regret += torch.stack([played - expected, self._paid - expected])
        regret.clamp_min_(0)
        self._plays = divided(regret[0], regret.sum(0), self._plays)

    def _weigh_opponent(self) -> None:
        """Lets each of the opponent's hands come as often as it plays."""
        comes, forest = self.belief[self._opponent] * self._plays, self.forest
        self._opponent_belief[self._resolver] = rows_of(comes, forest.payoffs.subgame)
        leaves = forest.leaves
        self._leaf_weight[self._opponent] = rows_of(comes, leaves.subgame) * leaves.possible

    def root_beliefs(self) -> Tensor:
        belief = self.belief.clone()
        comes = belief[self._opponent] * self._plays_sum
        belief[self._opponent] = divided(comes, comes.sum(-1, keepdim=True), belief[self._opponent])
        return belief
