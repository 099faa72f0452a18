"""Counterfactual regret minimisation on a forest of public subgames.

Depth-limit leaves (CFR-D and CFR-AVG), warm starts and averages are here; what an iteration does to regrets
and strategies, those of a gadget too, is the backend's.
"""

from typing import cast

import torch
from torch import Tensor

from pokerlab.search.backends import choose_backend
from pokerlab.search.backends.base import EdgeRows, KeepsEdges
from pokerlab.search.best_response import Exploitability, check_complete
from pokerlab.search.forest import Forest, divide, normalise_beliefs, rows_of
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import BOTH, LeafEvaluator, ReachValues, multiply_in, values_of
from pokerlab.search.locks import Locks
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies


class CFR:
    """CFR and its variants on a forest.

    Args:
        forest: the subgames.
        belief: ``[2, B, H]`` each player's belief at the subgames' roots, in the forest's device and dtype;
            with a gadget, the opponent's part is not used.
        rule: the update rule.
        alternating: whether player 1's update already meets player 0's new strategy; otherwise both
            update at once, with one query of the leaves an iteration.
        backend: ``auto``, ``compiled`` or ``tensors``, see :func:`choose_backend`.
        leaf_evaluator: values the depth-limit leaves at every iteration. Needed where the forest has leaves.
        average_leaves: under which beliefs it does: those that the present strategy induces (CFR-D), or
            those of the average strategy (CFR-AVG). See :meth:`_leaf_values`.
        gadget: what the opponent may take instead of playing the subgames.
        cuda_graph: whether iterations on a GPU are replays of a captured one.
        leaf_precision: of the leaf evaluator's matrix products, one of ``LEAF_PRECISIONS``.
        storage: of a game of several boards, see :class:`Solver`.
        locks: strategies that are given; the forest is then one subgame that is played to the end.

    Raises:
        ValueError: the forest has leaves, and there is no leaf evaluator.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        backend: str = "auto",
        leaf_evaluator: LeafEvaluator | None = None,
        average_leaves: bool = False,
        gadget: Gadget | None = None,
        cuda_graph: bool = True,
        leaf_precision: str = "float32",
        storage: str = "auto",
        locks: Locks | None = None,
    ) -> None:
        if gadget:
            belief = gadget.beliefs(forest, belief)
        self.forest, self.belief, self.rule, self.alternating = forest, belief, rule, alternating
        self.iteration = 0
        """How many iterations were taken."""
        self._weight_sum = 0.0
        self._average_leaves = average_leaves
        self._gadget, self._leaf_precision = gadget, leaf_precision
        self._prepare_leaves(leaf_evaluator)
        self._backend = choose_backend(
            backend, forest.device, cuda_graph=cuda_graph, storage=storage, locks=locks
        )(forest, belief, rule, alternating=alternating, gadget=gadget)

    def _prepare_leaves(self, leaf_evaluator: LeafEvaluator | None) -> None:
        leaves = self.forest.leaves
        self._leaf_scale = leaves.pot_in_chips
        # beliefs that an iteration leaves undefined keep their last value; the first are the roots'
        weight = self.belief[:, leaves.subgame] * leaves.possible
        self._leaf_belief = normalise_beliefs(weight, leaves.possible).contiguous()
        if len(leaves):
            if leaf_evaluator is None:
                raise ValueError(
                    f"the forest has {len(leaves)} depth-limit leaves: a leaf evaluator is needed"
                )
            self._evaluate_leaves = leaf_evaluator.at(leaves.features, leaves.possible)
            if isinstance(self._evaluate_leaves, ReachValues):
                self._evaluate_leaves.hold(self._leaf_belief)
        self._leaf_pots, self._asked = leaves.pot * leaves.chance, False
        if self._average_leaves:
            updates = 2 if self.alternating else 1  # alternating players meet different strategies
            self._leaf_sums = weight.new_zeros(updates, *weight.shape)
            self._leaf_sum_weights = weight.new_zeros(updates)
        self._leaf_watch: tuple[Tensor, Tensor] | None = None

    @property
    def strategy(self) -> Tensor:
        """``[A, D, H]`` what the next iteration plays; may be overwritten by it."""
        return self._backend.strategy

    def step(self) -> None:
        """One iteration: both players' regrets and averages are updated once."""
        self.run(1)

    def run(self, iterations: int, samples: SampledStrategies | None = None) -> "CFR":
        """Takes ``iterations`` more; returns itself.

        Args:
            iterations: in each, both players' regrets and averages are updated once.
            samples: strategies to keep on the way.
        """
        self._backend.run(
            self.iteration + 1,
            iterations,
            self._leaf_values if len(self.forest.leaves) else None,
            samples,
            sample_averages=self._average_leaves,
        )
        for _ in range(iterations):  # one by one: the same however runs are cut
            self.iteration += 1
            self._weight_sum += self.rule.weight(self.iteration)
        return self

    def warm_start(self, strategy: Tensor, pots: float) -> None:
        """Starts from ``strategy`` ``[A, D, H]`` instead of the uniform one; only before the first iteration.

        Regrets are set so that regret matching gives the strategy: each hand's are ``pots`` pots for every
        opponent that it meets at the node, divided among actions. Discounting rules forget them.
        """
        forest, nodes = self.forest, self.forest.decisions
        reach = rows_of(forest.reach(strategy), nodes.row) * self.belief[:, nodes.subgame] * nodes.possible
        opponent = torch.where((forest.actor == 0)[:, None], reach[1], reach[0])
        self._backend.start_from(strategy, strategy * forest.mass(opponent) * pots * nodes.pot_in_chips)

    # What was found

    def average_strategy(self) -> Tensor:
        """``[A, D, H]`` the average strategy, weighted by own reach; uniform where never reached."""
        return self._backend.average_strategy

    @property
    def keeps_edges(self) -> bool:
        """Whether :meth:`average_edges` makes rows when asked for, on the CPU; else it makes all, at once."""
        return isinstance(self._backend, KeepsEdges)

    def average_edges(self) -> EdgeRows:
        """``[E, H]`` the average strategy of the forest's one subgame, in its tree's order of edges."""
        if isinstance(self._backend, KeepsEdges):
            return self._backend.average_edges()
        return cast(EdgeRows, self.forest.to_edges(self.average_strategy()).numpy(force=True))

    def exploitability(self) -> Exploitability:
        """How far the average strategy is from equilibrium, exact but for rounding in the forest's dtype.

        Raises:
            ValueError: the forest has depth-limit leaves.
        """
        check_complete(self.forest)
        return Exploitability.at_roots(self.forest, self.belief, *self._backend.average_values())

    def root_values(self) -> Tensor:
        """``[2, B, H]`` counterfactual values: the weighted mean over iterations, in chips.

        The training target (ALGORITHMS.md section 2): not the value of the average strategy.
        """
        return self._backend.root_value_sum / self._weight_sum

    def root_infostate_values(self) -> Tensor:
        """``[2, B, H]`` :meth:`root_values` per unit of opponent mass, in chips."""
        mass = self.forest.mass(self.belief.flip(0))
        return divide(self.root_values(), mass, torch.zeros_like(mass))

    def root_beliefs(self) -> Tensor:
        """``[2, B, H]`` at the roots; with a gadget, the opponent's from how often each hand played."""
        return self._gadget.weigh(self.belief, self._backend.plays[1]) if self._gadget else self.belief

    # Leaves

    def watch_leaves(self) -> "CFR":
        """Keeps what :meth:`leaf_infostate_values` needs; returns itself.

        Raises:
            ValueError: an iteration was taken.
        """
        if self.iteration:
            raise ValueError("leaves are watched from the first iteration on")
        nothing = torch.zeros_like(self._leaf_belief)
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
        return divide(values * self.forest.leaves.pot[:, None], mass, torch.zeros_like(mass))

    def _leaf_values(self, reach: Tensor, players: slice, weight: float | Tensor) -> Tensor:
        """Counterfactual values of the leaves for those of the ``players`` who are about to update.

        Infostate values times opponent mass: both as the present strategy reaches the leaf (CFR-D), or
        both as the average strategy does, this iteration included (CFR-AVG). ReBeL's form of the latter
        takes differences of such values from iteration to iteration; see docs/liars-dice.md. Nothing here
        depends on the iteration's number but through ``weight``, and nothing that lasts is a new tensor: a
        backend may replay it.

        Args:
            reach: ``[2, L, H]`` for each player, the opponent's reach × belief.
            players: who updates.
            weight: the iteration's.
        """
        if isinstance(self._evaluate_leaves, ReachValues) and not (self._average_leaves or self._leaf_watch):
            changed = BOTH
            if self.alternating and not self._gadget and self._asked:  # the other player updated since then
                changed = slice(1 - players.start, 2 - players.start)
            self._asked = True
            with multiply_in(self._leaf_precision, reach.device):
                return self._evaluate_leaves.of_reach(reach, players, changed, self._leaf_pots)
        if self._average_leaves:
            which = players.start if self.alternating else 0
            total = self._leaf_sum_weights[which].add_(weight)
            reach = self._leaf_sums[which].add_(reach * weight) / total
        mass = self._backend.set_beliefs(reach, self._leaf_belief, players)
        with multiply_in(self._leaf_precision, reach.device):
            worth = values_of(self._evaluate_leaves, self._leaf_belief, players)
        if self._leaf_watch is not None:
            watched = mass * weight
            self._leaf_watch[0][players].addcmul_(worth, watched)
            self._leaf_watch[1][players].add_(watched)
        return mass.mul_(worth).mul_(self._leaf_scale)
