"""Continual re-solving: a frontier of public belief states is solved, played, and gives the next frontier.

Self-play, exact evaluation and the search agent all go through a game this way. Subgames start where those
above them ended, from beliefs that depend on what is played above (:data:`WAYS_TO_SEARCH`):

* ``search_iteration``: as in ReBeL (arXiv 2007.13544, section 6), the strategy of one iteration, drawn from
  those of the solve. The values that subgames were solved with hold for the beliefs of the iterations, not
  for those of their average;
* ``search_average``: the average strategy. That is unsafe: whatever is learned, hands that the other is not
  believed to hold can gain;
* ``search_gadget``: the average strategy too, but every subgame below the first is solved with a gadget
  (:mod:`pokerlab.search.gadget`) that pays the opponent's hands what they could expect.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game, State
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest, ForestNodes, normalise_beliefs
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import PublicTree

SEARCH_ITERATION, SEARCH_AVERAGE, SEARCH_GADGET = "search_iteration", "search_average", "search_gadget"
WAYS_TO_SEARCH = (SEARCH_ITERATION, SEARCH_AVERAGE, SEARCH_GADGET)

Watch = Callable[[slice, float], None]
"""Is told which share of the iterations is done of belief states that are solved together."""


@dataclass(frozen=True, slots=True)
class BeliefState:
    """One public belief state, of a public state that is known."""

    beliefs: Tensor
    """``[2, H]``."""
    expected: Tensor | None = None
    """``[2, H]`` what hands could expect of the subgame above, in chips; None: unknown."""


@dataclass(frozen=True, slots=True)
class BeliefStates(Generic[State]):
    """Public belief states, ``n`` of them: a frontier, if subgames start there."""

    states: Sequence[State]
    beliefs: Tensor
    """``[2, n, H]``."""
    expected: Tensor | None = None
    """``[2, n, H]`` what hands could expect of the subgame above, in chips; None: unknown."""

    @classmethod
    def root(cls, game: Game[State], like: Tensor) -> "BeliefStates[State]":
        """Where the game starts, in the device and dtype of ``like``."""
        return cls([game.root()], torch.as_tensor(game.initial_beliefs).to(like)[:, None])

    @classmethod
    def none(cls, game: Game[State], like: Tensor) -> "BeliefStates[State]":
        """No belief states, in the device and dtype of ``like``."""
        return cls([], like.new_empty(2, 0, game.num_hands))

    @classmethod
    def of(cls, states: Sequence[State], each: Sequence[BeliefState]) -> "BeliefStates[State]":
        """From at least one; it is known of all what hands could expect, or of none."""
        expected = [one.expected for one in each if one.expected is not None]
        beliefs = torch.stack([one.beliefs for one in each], 1)
        return cls(states, beliefs, torch.stack(expected, 1) if expected else None)

    def __len__(self) -> int:
        return len(self.states)

    @staticmethod
    def join(parts: Sequence["BeliefStates[State]"]) -> "BeliefStates[State]":
        """All of at least one frontier, in order; what their hands could expect is left out."""
        states = [state for part in parts for state in part.states]
        return BeliefStates(states, torch.cat([part.beliefs for part in parts], 1))


@dataclass(frozen=True, slots=True)
class Resolving(Generic[State]):
    """Solves frontiers."""

    subgames: Subgames[State]
    solver: Solver
    leaf_evaluator: LeafEvaluator
    iterations: int
    """CFR iterations a subgame."""
    like: Tensor
    """A tensor with the device and dtype to search in."""
    watch: Watch | None = None
    """Is told about once a second."""

    def parts(self, frontier: BeliefStates[State], resolver: int | None = None) -> Iterator["Part[State]"]:
        """Subgames that start at the frontier, in parts that can be solved in the solver's memory.

        Args:
            frontier: not terminal.
            resolver: who uses gadgets, wherever it is known what hands could expect; what they can expect at
                the leaves is then found out too. None: nobody.
        """
        solver, leaf_evaluator, expected = self.solver, self.leaf_evaluator, frontier.expected
        forests = self.subgames.forests(
            frontier.states,
            self.like,
            solver.memory,
            leaf_evaluator.floats_per_leaf,
            in_loops=solver.in_loops(self.like.device),
            in_kernels=solver.in_kernels(self.like.device),
            apart=solver.leaf_rule != solver.rule,
        )
        for place, forest in forests:
            gadget = None
            if resolver is not None and expected is not None:
                gadget = Gadget(resolver, expected[1 - resolver, place])
            cfr = solver.start(forest, frontier.beliefs[:, place], leaf_evaluator, gadget)
            # a deal has no decisions: its value needs one iteration
            iterations = self.iterations if forest.num_decisions else 1
            yield Part(place, cfr, iterations, expects=resolver is not None, watch=self.watch)


@dataclass(frozen=True)
class Part(Generic[State]):
    """``B`` subgames of a frontier that are solved together."""

    place: slice
    """Which of the frontier's belief states."""
    cfr: CFR
    """At iteration 0, until the part is played."""
    iterations: int
    expects: bool
    """Whether it is found out what hands can expect at the leaves."""
    watch: Watch | None = None

    @property
    def forest(self) -> Forest[State]:
        """The subgames."""
        return self.cfr.forest

    @cached_property
    def average(self) -> Tensor:
        """``[A, D, H]`` the average strategy, once the part is played."""
        return self.cfr.average_strategy()

    def solve(self, samples: SampledStrategies | None = None) -> CFR:
        """Takes all iterations, and keeps ``samples`` on the way."""
        if self.expects:
            self.cfr.watch_leaves()
        done, more = 0, self.iterations if self.watch is None else 1
        while done < self.iterations:
            started = time.perf_counter()
            self.cfr.run(more, samples)
            done += more
            if self.watch is not None:
                self.watch(self.place, done / self.iterations)
                # as many as take about a second; it makes no difference to the result where runs are cut
                in_a_second = int(more / max(time.perf_counter() - started, 1e-6))
                more = min(max(in_a_second, 1), self.iterations - done)
        return self.cfr

    def play_iterations(self, subgame: Tensor, iteration: Tensor) -> "Play[State]":
        """Solves the subgames, and plays the strategies of chosen iterations.

        Args:
            subgame: ``[n]`` which subgames, on the CPU.
            iteration: ``[n]`` which of their iterations, from 1, on the CPU.
        """
        samples = SampledStrategies(self.forest, subgame.numpy(), iteration.numpy())
        belief = self.solve(samples).belief
        return Play(samples.copies, samples.strategy, belief[:, subgame.to(belief.device)])

    def average_at(self, nodes: ForestNodes, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """What is played at decision nodes, once the part is played, and the beliefs there.

        Args:
            nodes: ``n`` of them.
            chosen: ``[n]`` which of the forest's they are, on the CPU.

        Returns:
            ``[n, actions of the game, H]`` the average strategy, and ``[2, n, H]``.
        """
        forest, belief = self.forest, self.cfr.belief
        few = 0 < len(chosen) < forest.num_decisions / 8
        if few and self.cfr.keeps_edges:  # the whole average takes long
            play = StrategyByEdges(forest.trees[0], self.cfr.average_edges(), forest.game.num_actions)
            reach = torch.stack([play.reach(node, belief[:, 0]) for node in nodes.node.tolist()], 1)
            return (
                torch.stack([play[node] for node in nodes.node.tolist()]),
                normalise_beliefs(reach * belief * nodes.possible, nodes.possible),
            )
        reach, there = forest.reach(self.average, belief=belief), chosen.to(forest.device)
        return (
            forest.by_action(self.average[:, there], forest.action_of[:, there]),
            forest.beliefs_at(nodes, reach, belief),
        )

    def play_to_end(self) -> "SubgamePlay":
        """Solves the one subgame, which has no leaves, and plays average strategies, in little memory."""
        (tree,) = self.forest.trees
        nothing = self.cfr.belief[:, :0]
        return SubgamePlay(
            StrategyByEdges(tree, self.solve().average_edges(), self.forest.game.num_actions), nothing, None
        )

    def play_average(self) -> "Play[State]":
        """Solves the subgames, and plays their average strategies."""
        cfr = self.solve()
        expected = cfr.leaf_infostate_values() if self.expects else None
        return Play(self.forest, self.average, cfr.root_beliefs(), expected)


@dataclass(frozen=True)
class Play(Generic[State]):
    """What is played on a forest of ``B`` subgames, or copies of subgames, and where that leads."""

    forest: Forest[State]
    strategy: Tensor
    """``[A, D, H]``."""
    belief: Tensor
    """``[2, B, H]`` at the roots."""
    expected: Tensor | None = None
    """``[2, L, H]`` what hands could expect at the leaves, in chips; None: unknown."""

    @cached_property
    def _reach(self) -> Tensor:
        return self.forest.reach(self.strategy, belief=self.belief)

    def beliefs_at(self, leaves: ForestNodes) -> Tensor:
        """``[2, n, H]``."""
        return self.forest.beliefs_at(leaves, self._reach, self.belief)

    def belief_states(self, leaves: ForestNodes) -> BeliefStates[State]:
        """Where the next subgames start: at some leaves."""
        trees = self.forest.trees
        states = [trees[t].leaves.states[i] for t, i in zip(leaves.tree, leaves.node, strict=True)]
        return BeliefStates(states, self.beliefs_at(leaves))

    def subgame_by_subgame(self) -> Iterator["SubgamePlay"]:
        """What is played in each subgame."""
        forest, leaves = self.forest, self.forest.leaves
        at_leaves = self.beliefs_at(leaves)
        first = np.searchsorted(leaves.subgame.numpy(force=True), np.arange(forest.num_subgames + 1))
        for number, of_tree in enumerate(forest.tree_of.tolist()):
            each, here = np.arange(len(forest.trees[of_tree].decisions)), slice(*first[number : number + 2])
            nodes = torch.as_tensor(forest.decision_index(np.full_like(each, number), each))
            yield SubgamePlay(
                strategy=forest.by_action(self.strategy[:, nodes], forest.action_of[:, nodes]),
                beliefs=at_leaves[:, here],
                expected=None if self.expected is None else self.expected[:, here],
            )


@dataclass(frozen=True, slots=True)
class SubgamePlay:
    """What is played in one subgame, nodes and leaves in the order of its tree."""

    strategy: "Tensor | StrategyByEdges"
    """``[D, actions of the game, H]``."""
    beliefs: Tensor
    """``[2, L, H]`` at the leaves."""
    expected: Tensor | None
    """``[2, L, H]``, see :class:`Play`."""

    def belief_state(self, leaf: int) -> BeliefState:
        """At a leaf."""
        expected = None if self.expected is None else self.expected[:, leaf]
        return BeliefState(self.beliefs[:, leaf], expected)


@dataclass(frozen=True, slots=True)
class StrategyByEdges:
    """``[D, actions of the game, H]`` that is made node by node."""

    tree: PublicTree
    edges: EdgeRows
    num_actions: int

    def __getitem__(self, node: int) -> Tensor:
        edges = self.tree.edges_of(node)
        rows = torch.as_tensor(self.edges[edges])
        strategy = rows.new_zeros(self.num_actions, rows.shape[1])
        strategy[self.tree.edge_action[edges]] = rows
        return strategy

    def reach(self, node: int, belief: Tensor) -> Tensor:
        """``[2, H]`` both players' at a decision node, as :meth:`Forest.reach` has it with a belief."""
        reach = torch.ones_like(belief)
        for player, believed in enumerate(belief):
            last_edge, moves = self.tree.decisions.last_edge[player], list[tuple[int, int]]()
            above, position = last_edge[node].tolist()
            while above >= 0:
                moves.append((above, position))
                above, position = last_edge[above].tolist()
            for above, position in reversed(moves):
                below = reach[player] * torch.as_tensor(self.edges[self.tree.edges_of(above)][position])
                if (below * believed).sum() > 0:
                    reach[player] = below
        return reach


@lru_cache(8)
def iteration_weights(rule: UpdateRule, iterations: int) -> Tensor:
    """``[T]`` what iterations weigh in averages, in float64."""
    return torch.tensor([rule.weight(t) for t in range(1, iterations + 1)], dtype=torch.float64)


def draw_iterations(rule: UpdateRule, iterations: int, fractions: Tensor) -> Tensor:
    """Iterations, from 1, that are drawn with their weights in averages.

    Args:
        rule: weighs them.
        iterations: ``T``.
        fractions: ``[n]`` uniform in [0, 1), float64: they choose.
    """
    cumulative = iteration_weights(rule, iterations).cumsum(0)
    chosen = torch.searchsorted(cumulative, fractions * cumulative[-1], right=True)
    return chosen.clamp_max(iterations - 1) + 1
