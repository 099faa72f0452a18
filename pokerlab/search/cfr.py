"""Counterfactual regret minimisation on a forest of public subgames: what a solver offers.

Two solvers do the same: :class:`CompiledCFR`, compiled loops for the CPU, and
:class:`TensorCFR`, tensor operations for any device, which the tests hold the
first against.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints
from pokerlab.search.forest import Forest, rows_of, uniform_strategy
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.rules import UpdateRule

if TYPE_CHECKING:
    from pokerlab.search.best_response import Exploitability

ILLEGAL = -1e30
"""Counterfactual value of an action that a node does not have: its regret never turns positive."""


def divided(values: Tensor, total: Tensor, otherwise: Tensor) -> Tensor:
    """``values / total``, and ``otherwise`` where the total is zero; all broadcast."""
    some = total > 0
    # a number instead of the fill would be copied to the device, which then waits for the host
    return torch.where(some, values / total.masked_fill(~some, 1), otherwise)


class SampledStrategies:
    """The strategies of chosen iterations of chosen subgames, as a forest of copies of those subgames.

    With CFR-AVG, the average strategies before those iterations: their beliefs are what leaves are valued
    under.

    Args:
        forest: the subgames.
        subgame: ``[n]`` which subgame each copy copies.
        iteration: ``[n]`` which iteration's strategy it plays, from 1.
    """

    def __init__(self, forest: Forest, subgame: Ints, iteration: Ints) -> None:
        self.subgame, self.iteration = subgame, iteration
        self.copies = forest.copies(subgame)
        self.strategy = uniform_strategy(self.copies)
        """``[A, D, H]`` on ``copies``; what is not yet sampled is uniform."""
        node = forest.copied_from(self.copies, subgame)
        of_node = iteration[self.copies.decisions.subgame.numpy(force=True)]
        order = np.argsort(of_node, kind="stable")
        self._to, self._from = (
            torch.as_tensor(i[order], device=forest.device) for i in (np.arange(len(node)), node)
        )
        self._until = np.searchsorted(
            of_node[order], np.arange(iteration.max(initial=0) + 1), side="right"
        ).tolist()

    def record(self, iteration: int, strategy: Tensor) -> None:
        """Keeps ``strategy`` ``[A, D, H]``, the subgames' at ``iteration``, in the copies that are due."""
        if iteration < len(self._until):
            due = slice(self._until[iteration - 1], self._until[iteration])
            if due.start < due.stop:
                self.strategy[:, self._to[due]] = strategy[:, self._from[due]]


class CFR(ABC):
    """CFR and its variants on a forest.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]`` each player's belief at the subgames' roots, in the forest's device and dtype.
        rule: the update rule.
        alternating: whether player 1's update already meets player 0's new strategy; otherwise both
            update at once, with one query of the leaves an iteration.
        leaf_evaluator: values the depth-limit leaves at every iteration. Needed where the forest has leaves.
        average_leaves: under which beliefs it does: those that the present strategy induces (CFR-D), or
            those of the average strategy (CFR-AVG). See :meth:`_leaf_values`.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        leaf_evaluator: LeafEvaluator | None = None,
        average_leaves: bool = False,
    ) -> None:
        self.forest, self.belief, self.rule, self.alternating = forest, belief, rule, alternating
        self.average_leaves = average_leaves
        self.iteration = 0
        """How many iterations were taken."""
        self._weight_sum = 0.0
        leaves = forest.leaves
        self._leaf_weight = belief[:, leaves.subgame] * leaves.possible
        self._leaf_scale = leaves.pot_in_chips
        # beliefs that an iteration leaves undefined keep their last value; the first are the roots'
        anything = leaves.possible / leaves.possible.sum(-1, keepdim=True)
        self._leaf_belief = divided(self._leaf_weight, self._leaf_weight.sum(-1, keepdim=True), anything)
        if len(leaves):
            if leaf_evaluator is None:
                raise ValueError(
                    f"the forest has {len(leaves)} depth-limit leaves: a leaf evaluator is needed"
                )
            self._evaluate_leaves = leaf_evaluator.at(leaves.features, leaves.possible)
        if average_leaves:
            updates = 2 if alternating else 1  # alternating players meet different strategies
            self._leaf_sums = self._leaf_weight.new_zeros(updates, *self._leaf_weight.shape)
            self._leaf_sum_weights = [0.0] * updates
        self._leaf_watch: tuple[Tensor, Tensor] | None = None
        self._set_up()

    def watch_leaves(self) -> "CFR":
        """Keeps what :meth:`leaf_infostate_values` needs, from now on; returns itself."""
        nothing = torch.zeros_like(self._leaf_weight)
        self._leaf_watch = nothing, nothing.clone()
        return self

    def leaf_infostate_values(self) -> Tensor:
        """``[2, L, H]`` what hands could expect at the leaves, in chips: the mean over the iterations.

        Of counterfactual values and of the opponent's mass, each weighted as averages are; 0 where a hand
        meets nobody. What it says of hands that the leaf's board blocks means nothing.

        Raises:
            ValueError: :meth:`watch_leaves` was not called.
        """
        if self._leaf_watch is None:
            raise ValueError("leaves are not watched: call watch_leaves() before the first iteration")
        values, mass = self._leaf_watch
        return divided(values, mass, torch.zeros_like(mass))

    @abstractmethod
    def _set_up(self) -> None:
        """The solver's own numbers, at iteration 0."""

    def step(self) -> None:
        """One iteration: both players' regrets and averages are updated once."""
        self.run(1)

    @property
    @abstractmethod
    def strategy(self) -> Tensor:
        """``[A, D, H]`` what the next iteration plays; may be overwritten by it."""

    @abstractmethod
    def run(self, iterations: int, samples: SampledStrategies | None = None) -> "CFR":
        """Takes ``iterations`` more; returns itself.

        Args:
            iterations: in each, both players' regrets and averages are updated once.
            samples: strategies to keep on the way.
        """

    def warm_start(self, strategy: Tensor, pots: float) -> None:
        """Starts from ``strategy`` ``[A, D, H]`` instead of the uniform one; only before the first iteration.

        Regrets are set so that regret matching gives the strategy: each hand's are ``pots`` pots for every
        opponent that it meets at the node, divided among actions. Discounting rules forget them.
        """
        forest, nodes = self.forest, self.forest.decisions
        reach = rows_of(forest.reach(strategy), nodes.row) * self.belief[:, nodes.subgame] * nodes.possible
        opponent = torch.where((forest.actor == 0)[:, None], reach[1], reach[0])
        self._start_from(strategy, strategy * forest.mass(opponent) * pots * nodes.pot_in_chips)

    @abstractmethod
    def _start_from(self, strategy: Tensor, regret: Tensor) -> None:
        """Sets both, ``[A, D, H]``."""

    @abstractmethod
    def average_strategy(self) -> Tensor:
        """``[A, D, H]`` the average strategy, weighted by own reach; uniform where never reached."""

    @abstractmethod
    def exploitability(self) -> "Exploitability":
        """How far the average strategy is from equilibrium, exact but for rounding in the forest's dtype.

        Raises:
            ValueError: the forest has depth-limit leaves.
        """

    @abstractmethod
    def root_values(self) -> Tensor:
        """``[2, B, H]`` counterfactual values: the weighted mean over iterations, in chips.

        The training target (ALGORITHMS.md section 2): not the value of the average strategy.
        """

    def _leaf_values(self, reach: Tensor, players: slice, weight: float) -> Tensor:
        """Counterfactual values of the leaves for those of the ``players`` who are about to update.

        Infostate values times opponent mass: both as the present strategy reaches the leaf (CFR-D), or
        both as the average strategy does, this iteration included (CFR-AVG). ReBeL's form of the latter
        takes differences of such values from iteration to iteration; see docs/liars-dice.md.

        Args:
            reach: ``[2, L, H]`` for each player, the opponent's reach × belief.
            players: who updates.
            weight: of the iteration in averages.
        """
        if self.average_leaves:
            which = players.start if self.alternating else 0
            self._leaf_sum_weights[which] += weight
            reach = self._leaf_sums[which].add_(reach, alpha=weight) / self._leaf_sum_weights[which]
        self._normalise(reach)
        worth = self._evaluate_leaves(self._leaf_belief)[players]
        mass = self.forest.mass(reach[players])
        if self._leaf_watch is not None:
            in_chips = worth * mass * self.forest.leaves.pot[:, None]
            self._leaf_watch[0][players].add_(in_chips, alpha=weight)
            self._leaf_watch[1][players].add_(mass, alpha=weight)
        return worth * mass * self._leaf_scale

    @abstractmethod
    def _normalise(self, reach: Tensor) -> None:
        """Sets the leaves' beliefs from ``[2, L, H]`` opponents' reach × belief, where it is not all zero."""

    def root_beliefs(self) -> Tensor:
        """``[2, B, H]`` at the roots; with a gadget, the opponent's from how often each hand played."""
        return self.belief

    def root_infostate_values(self) -> Tensor:
        """``[2, B, H]`` :meth:`root_values` per unit of opponent mass, in chips."""
        mass = self.forest.mass(self.belief.flip(0))
        return divided(self.root_values(), mass, torch.zeros_like(mass))
