"""Self-play: from public belief states to examples (ReBeL, arXiv 2007.13544, algorithm 1).

All trajectories run in lockstep. What they share is solved once: the belief state after the same
subgame, the same sampled iteration and the same leaf is the same, and every trajectory of a batch starts
at the root of the game.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game, State
from pokerlab.search.best_response import strategy_values
from pokerlab.search.cfr import CFR, SampledStrategies
from pokerlab.search.forest import Forest, ForestNodes
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import BeliefStates, Subgames
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples, concatenate


class SelfPlay(Generic[State]):
    """Generates trajectories.

    Args:
        game: the rules.
        solver: the CFR variant that solves subgames.
        search_iterations: CFR iterations a subgame, ``T``.
        exploration: probability ε that the exploring player acts at random at a step.
        targets: value examples of one solve. The first is ReBeL's: the beliefs that were solved for. The
            others are what the iterations before, drawn as t* is, believed at the same leaf, valued under
            the average strategy that was found (TurboReBeL, openreview yMo7Z670f6). The root of the game
            has one belief only.
        policy_examples: of a subgame's decision nodes, drawn at random for each trajectory that comes
            through; null: all.
    """

    def __init__(
        self,
        game: Game[State],
        solver: Solver,
        *,
        search_iterations: int,
        exploration: float = 0.25,
        targets: int = 1,
        policy_examples: int | None = None,
    ) -> None:
        if search_iterations < 1:
            raise ValueError(f"selfplay.search_iterations must be at least 1, got {search_iterations}")
        if not 0 <= exploration <= 1:
            raise ValueError(f"selfplay.exploration must lie between 0 and 1, got {exploration}")
        self.game, self.solver = game, solver
        if targets < 1:
            raise ValueError(f"selfplay.targets must be at least 1, got {targets}")
        self.search_iterations, self.exploration, self.targets = search_iterations, exploration, targets
        self.policy_examples = policy_examples
        self._subgames = Subgames(game)

    @torch.no_grad()
    def generate(
        self, leaf_evaluator: LeafEvaluator, trajectories: int, generator: torch.Generator, like: Tensor
    ) -> tuple[ValueExamples, PolicyExamples]:
        """Plays ``trajectories`` games from the root to a terminal state.

        Args:
            leaf_evaluator: the value network.
            trajectories: how many.
            generator: source of all randomness, on the CPU.
            like: a tensor with the device and dtype to search in.

        Returns:
            ``targets`` value examples for every different subgame, and for each of its decision nodes (or
            ``policy_examples`` of them) one policy example for every trajectory that came through: the
            policy network is to know best what is played most.
        """
        root_beliefs = torch.as_tensor(self.game.initial_beliefs).to(like)[:, None]
        frontier = BeliefStates([self.game.root()], root_beliefs)
        others = _Others(torch.empty(0, dtype=torch.int64), root_beliefs[:, :0])
        subgame_of = torch.zeros(trajectories, dtype=torch.int64)
        values, policies = [ValueExamples.none(self.game)], [PolicyExamples.none(self.game)]
        while frontier.states:
            frontier = self._varied(frontier, generator)
            draws = torch.rand(3, len(subgame_of), dtype=torch.float64, generator=generator)
            draws_of_others = torch.rand(
                len(frontier.states), self.targets - 1, dtype=torch.float64, generator=generator
            )
            draws_of_nodes = torch.rand(
                len(subgame_of), self.policy_examples or 0, dtype=torch.float64, generator=generator
            )
            states: list[State] = []
            beliefs, next_subgame, next_others = [], torch.empty_like(subgame_of), []
            parts = self._subgames.forests(
                frontier.states, like, self.solver.memory, leaf_evaluator.numbers_a_leaf
            )
            for part, forest in parts:
                here = (subgame_of >= part.start) & (subgame_of < part.stop)
                # a deal has no decisions: its value needs one iteration
                iterations = self.search_iterations if forest.num_decisions else 1
                local, playing = subgame_of[here] - part.start, None
                if len(forest.leaves):
                    playing = _Playing(forest, local, iterations, draws[:, here], draws_of_others[part])
                cfr = self.solver.start(forest, frontier.beliefs[:, part], leaf_evaluator)
                cfr.run(iterations, None if playing is None else playing.samples)
                values.append(self.value_examples(cfr.forest, cfr.belief, cfr.root_infostate_values()))
                if len((others_here := others.within(part)).subgame):
                    values.append(self._other_value_examples(cfr, others_here, leaf_evaluator))
                policies.append(self._policy_examples(cfr, local, draws_of_nodes[here]))
                if playing is None:
                    next_subgame[here] = -1
                    continue
                reached, goes_to, others_there = playing.play_on(cfr.belief, self.exploration)
                next_subgame[here] = torch.where(goes_to < 0, goes_to, goes_to + len(states))
                next_others.append(_Others(others_there.subgame + len(states), others_there.beliefs))
                states += reached.states
                beliefs.append(reached.beliefs)
            if not states:
                break
            # in their order, so that draws do not depend on the parts
            frontier, others = BeliefStates(states, torch.cat(beliefs, 1)), _Others.join(next_others)
            subgame_of = next_subgame[next_subgame >= 0]
        return concatenate(values), concatenate(policies)

    def _other_value_examples(
        self, cfr: CFR, others: "_Others", leaf_evaluator: LeafEvaluator
    ) -> ValueExamples:
        subgame = others.subgame.numpy()
        copies = cfr.forest.copies(subgame)
        strategy = cfr.forest.on_copies(cfr.average_strategy(), copies, subgame)
        values = strategy_values(copies, strategy, others.beliefs, leaf_evaluator)
        return self.value_examples(copies, others.beliefs, values)

    def value_examples(self, forest: Forest, belief: Tensor, values: Tensor) -> ValueExamples:
        """Of ``[2, B, H]`` beliefs and infostate values in chips at the roots."""
        roots = [tree.root for tree in forest.trees]
        tree_of = torch.as_tensor(forest.tree_of)
        features = torch.tensor([self.game.features(root) for root in roots])[tree_of]
        pot = torch.tensor([self.game.pot(root) for root in roots])[tree_of]
        return ValueExamples(
            features=features,
            beliefs=belief.transpose(0, 1).float().cpu(),
            possible=forest.root_possible.bool().cpu(),
            values=values.transpose(0, 1).float().cpu() / pot[:, None, None],
        )

    def _policy_examples(self, cfr: CFR, subgame_of: Tensor, draws: Tensor) -> PolicyExamples:
        """Of the solved subgames.

        Args:
            cfr: has solved them.
            subgame_of: ``[n]`` which one each trajectory is in.
            draws: ``[n, policy_examples]`` uniform in [0, 1): they choose nodes.
        """
        forest, nodes = cfr.forest, cfr.forest.decisions
        chosen = self._chosen_nodes(forest, subgame_of, draws)
        strategy = cfr.average_strategy()
        reach = forest.reach(strategy, belief=cfr.belief)
        # nodes that are chosen often are made once
        different, again = chosen.unique(return_inverse=True)
        nodes, there = nodes.select(different), different.to(forest.device)
        beliefs = forest.beliefs_at(nodes, reach, cfr.belief).transpose(0, 1)
        action_of = forest.action_of[:, there]
        return PolicyExamples(
            features=nodes.features.float().cpu()[again],
            beliefs=beliefs.float().cpu()[again],
            possible=nodes.possible.bool().cpu()[again],
            legal=forest.by_action(forest.legal[:, there], action_of)[:, :, 0].cpu()[again],
            strategy=forest.by_action(strategy[:, there], action_of).float().cpu()[again],
        )

    def _chosen_nodes(self, forest: Forest, subgame_of: Tensor, draws: Tensor) -> Tensor:
        """Decision nodes to learn from, on the CPU."""
        subgame = forest.decisions.subgame.cpu()
        number = torch.bincount(subgame, minlength=forest.num_subgames)
        if self.policy_examples is None:
            trajectories = torch.bincount(subgame_of, minlength=forest.num_subgames)
            return torch.arange(len(subgame)).repeat_interleave(trajectories[subgame])
        some = number[subgame_of] > 0
        of = subgame_of[some, None]
        place = (number.cumsum(0) - number)[of] + (draws[some] * number[of]).long()
        return subgame.argsort(stable=True)[place.flatten()]

    def _varied(self, frontier: BeliefStates[State], generator: torch.Generator) -> BeliefStates[State]:
        if not self.game.varies:
            return frontier
        seeds = torch.randint(1, 2**62, (len(frontier.states),), generator=generator).tolist()
        states = [self.game.varied(state, seed) for state, seed in zip(frontier.states, seeds, strict=True)]
        return BeliefStates(states, frontier.beliefs)


@dataclass(frozen=True, slots=True)
class _Others:
    """What other iterations believe where the next subgames start, ``m`` such beliefs."""

    subgame: Tensor
    """``[m]``."""
    beliefs: Tensor
    """``[2, m, H]``."""

    def within(self, part: slice) -> "_Others":
        """Of these subgames, counted from the first."""
        among = ((self.subgame >= part.start) & (self.subgame < part.stop)).nonzero()[:, 0]
        return _Others(self.subgame[among] - part.start, self.beliefs[:, among.to(self.beliefs.device)])

    @staticmethod
    def join(parts: Sequence["_Others"]) -> "_Others":
        return _Others(torch.cat([p.subgame for p in parts]), torch.cat([p.beliefs for p in parts], 1))


class _Playing(Generic[State]):
    """Trajectories on their way through subgames: each plays the strategy of an iteration t* ~ uniform{1..T}.

    Trajectories with the same subgame, iteration and exploring player share one *copy* of the subgame.

    Args:
        subgames: ``B`` of them.
        subgame_of: ``[n]`` which one each trajectory is in.
        iterations: ``T``.
        draws: ``[3, n]`` uniform in [0, 1): they choose iteration, exploring player and end.
        others: ``[B, m]`` uniform in [0, 1): of each subgame, they choose iterations whose beliefs are
            wanted besides, each in a copy of its own.
    """

    def __init__(
        self, subgames: Forest[State], subgame_of: Tensor, iterations: int, draws: Tensor, others: Tensor
    ) -> None:
        self.subgame_of = subgame_of
        iteration, explorer = (draws[0] * iterations).long() + 1, (draws[1] * 2).long()
        self._end = draws[2]
        keys, self._copy_of = torch.stack([subgame_of, iteration, explorer]).unique(
            dim=1, return_inverse=True
        )
        if iterations == 1 or not len(subgames.leaves):
            others = others[:, :0]
        self._others, self._played = others.shape[1], keys.shape[1]
        subgame_of_others = torch.arange(len(others)).repeat_interleave(self._others)
        iteration_of_others = (others.flatten() * iterations).long() + 1
        more = torch.stack([subgame_of_others, iteration_of_others, torch.zeros_like(subgame_of_others)])
        self._subgame, self._iteration, self._explorer = torch.cat([keys, more], 1)
        self.samples = SampledStrategies(subgames, self._subgame.numpy(), self._iteration.numpy())
        """What the search has to keep."""

    def play_on(
        self, root_beliefs: Tensor, exploration: float
    ) -> tuple[BeliefStates[State], Tensor, _Others]:
        """Samples where each trajectory leaves its subgame.

        Args:
            root_beliefs: ``[2, B, H]`` of the subgames, some of which have leaves.
            exploration: ε of the exploring player.

        Returns:
            The different belief states where the next subgames start; which of them each trajectory is in,
            ``[n]``, −1: its game is over; and what other iterations believe there.
        """
        copies, strategy = self.samples.copies, self.samples.strategy
        beliefs = root_beliefs[:, self._subgame.to(root_beliefs.device)]
        leaf = self._sample_leaves(beliefs, exploration)
        goes_to, goes_on = torch.full_like(leaf, -1), leaf >= 0
        leaf, copy = leaf[goes_on], copies.leaves.subgame.cpu()
        # the exploring player's random actions stay out of the beliefs, so copies that differ in it agree
        node = torch.as_tensor(copies.leaves.node)
        keys = torch.stack([self._subgame[copy], self._iteration[copy], node])[:, leaf]
        distinct, goes_to[goes_on] = keys.unique(dim=1, return_inverse=True)
        first = torch.zeros(distinct.shape[1], dtype=torch.int64).scatter_(0, goes_to[goes_on], leaf)
        reach = copies.reach(strategy, belief=beliefs)
        chosen = copies.leaves.select(first)
        states = [copies.trees[t].leaves.states[i] for t, i in zip(chosen.tree, chosen.node, strict=True)]
        others = _Others(
            torch.arange(len(first)).repeat_interleave(self._others),
            copies.beliefs_at(copies.leaves.select(self._same_leaf_in_others(chosen)), reach, beliefs),
        )
        return BeliefStates(states, copies.beliefs_at(chosen, reach, beliefs)), goes_to, others

    def _same_leaf_in_others(self, chosen: ForestNodes) -> Tensor:
        """``[chosen · m]`` where each chosen leaf stands in its subgame's copies for other iterations."""
        if not self._others:
            return torch.empty(0, dtype=torch.int64)
        # a copy's leaves lie in a row, in their tree's order
        copy_of = self.samples.copies.leaves.subgame.numpy(force=True)
        leaves_at = np.searchsorted(copy_of, np.arange(len(self._subgame)))
        subgame, other = self._subgame[chosen.subgame.cpu()], torch.arange(self._others)
        there = leaves_at[self._played + subgame[:, None] * self._others + other] + chosen.node[:, None]
        return torch.as_tensor(there).flatten()

    def _sample_leaves(self, beliefs: Tensor, exploration: float) -> Tensor:
        """``[n]`` an index into the leaves of the copies; −1 where the game ends."""
        copies, leaves, strategy = self.samples.copies, self.samples.copies.leaves, self.samples.strategy
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
