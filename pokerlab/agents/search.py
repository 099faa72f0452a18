"""Plays by search: continual re-solving, from one public belief state to the next.

When the game comes to the leaf of a subgame, the agent solves the one that starts there. From which beliefs
is its choice (``continue_from``):

* ``iteration``: as ReBeL does (arXiv 2007.13544, section 6), it draws an iteration of each solve with the
  averaging weights, plays that iteration's strategy and goes on from its beliefs;
* ``average``: it plays the average strategy and goes on from its beliefs. That is unsafe: whatever is
  learned, hands that the other is not believed to have can gain;
* ``gadget``: the same, but every subgame below the first is solved with a gadget
  (:mod:`pokerlab.search.gadget`) that pays the opponent's hands what they could expect: at the leaf of a
  subgame the mean over its iterations, after a deal that is a subgame of its own what the leaf evaluator
  says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.agents.beliefs import after_deals
from pokerlab.games.base import CHANCE, Game, Ints, State
from pokerlab.search.cfr import SampledStrategies
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames

CONTINUE_FROM = ("iteration", "average", "gadget")


class SearchAgent(Agent[State]):
    """Searches at every public belief state that it comes to.

    Args:
        game: the rules.
        solver: the CFR variant.
        leaf_evaluator: the value network.
        iterations: CFR iterations a subgame.
        continue_from: ``iteration``, ``average`` or ``gadget``, see the module.
        like: a tensor with the device and dtype to search in.
    """

    def __init__(
        self,
        game: Game[State],
        solver: Solver,
        leaf_evaluator: LeafEvaluator,
        *,
        iterations: int,
        continue_from: str,
        like: Tensor,
    ) -> None:
        if continue_from not in CONTINUE_FROM:
            raise ValueError(
                f"continue_from must be one of {', '.join(CONTINUE_FROM)}, got {continue_from!r}"
            )
        if continue_from == "gadget" and (solver.average_leaves or solver.warm_start):
            raise ValueError("continue_from=gadget solves without warm start, leaves under current beliefs")
        self.game, self.solver, self.leaf_evaluator = game, solver, leaf_evaluator
        self.iterations, self.continue_from, self.like = iterations, continue_from, like
        self.draws = continue_from == "iteration"
        self.subgames = Subgames(game)

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return _SearchSeat(self, player, seed)


Drawn: TypeAlias = tuple[int, ...]
"""The iterations drawn in the subgames of a line; 0: none is."""
Key: TypeAlias = tuple[State, Drawn]
"""A subgame's root and the iterations drawn above it: they tell its beliefs. With the one drawn in it
besides, they tell what is played in it."""


@dataclass(frozen=True, slots=True)
class _BeliefState:
    """Where a subgame starts."""

    beliefs: Tensor
    """``[2, H]``."""
    paid: Tensor | None = None
    """``[2, H]`` what a gadget pays hands, in chips; null: there is none."""


@dataclass(frozen=True, slots=True)
class _Solved:
    """What is played in a subgame."""

    strategy: Tensor
    """``[D, actions of the game, H]``."""
    beliefs: Tensor
    """``[2, L, H]`` at the leaves."""
    paid: Tensor | None
    """``[2, L, H]``, see :class:`_BeliefState`."""


class _SearchSeat(Seat[State]):
    def __init__(self, agent: SearchAgent[State], player: int, seed: int) -> None:
        self._agent, self._player, self._seed = agent, player, seed
        self._starts: dict[Key, _BeliefState] = {}
        self._solved: dict[Key, _Solved] = {}
        self._numbers: dict[State, tuple[dict[State, int], dict[State, int]]] = {}
        rule, iterations = agent.solver.rule, agent.iterations
        self._weights = np.cumsum([rule.weight(t) for t in range(1, iterations + 1)])
        beliefs = torch.as_tensor(agent.game.initial_beliefs).to(agent.like)
        self._starts[agent.game.root(), ()] = _BeliefState(beliefs)

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        roots = [self._roots(line) for line in lines]
        drawn = [self._draw(line.hand, len(places)) for line, places in zip(lines, roots, strict=True)]
        for level in range(max(map(len, roots))):
            keys = dict.fromkeys(
                (line.states[places[level]], draws[: level + 1])
                for line, places, draws in zip(lines, roots, drawn, strict=True)
                if level < len(places)
            )
            self._solve([key for key in keys if key not in self._solved and not self._is_dealt(key[0])])
            for line, places, draws in zip(lines, roots, drawn, strict=True):
                if level + 1 < len(places):
                    self._start(
                        line.states[places[level]], line.states[places[level + 1]], draws[: level + 1]
                    )
        found = []
        for line, places, draws in zip(lines, roots, drawn, strict=True):
            root = line.states[places[-1]]
            found.append(self._solved[root, draws].strategy[self._number(root)[0][line.state]])
        return torch.stack(found)

    def _roots(self, line: Line[State]) -> list[int]:
        """Where on the line subgames start."""
        places, game = [0], self._agent.game
        for place, state in enumerate(line.states[1:], 1):
            if game.is_leaf(line.states[places[-1]], state, place - places[-1]):
                places.append(place)
        return places

    def _draw(self, hand: int, subgames: int) -> Drawn:
        if not self._agent.draws:
            return (0,) * subgames
        # the same in a hand however lines come
        draws = np.random.default_rng((self._seed, self._player, hand)).random(subgames)
        return tuple((np.searchsorted(self._weights, draws * self._weights[-1], side="right") + 1).tolist())

    def _number(self, root: State) -> tuple[dict[State, int], dict[State, int]]:
        """Of a subgame's decision nodes and of its leaves, by public state."""
        if root not in self._numbers:
            tree = self._agent.subgames.tree(root)
            decisions, leaves = (
                {state: number for number, state in enumerate(nodes.states)}
                for nodes in (tree.decisions, tree.leaves)
            )
            self._numbers[root] = decisions, leaves
        return self._numbers[root]

    def _is_dealt(self, root: State) -> bool:
        """Whether there is nothing to solve: a deal, after which other subgames start."""
        return self._agent.game.actor(root) == CHANCE

    def _start(self, root: State, leaf: State, drawn: Drawn) -> None:
        """The belief state at a leaf of a subgame."""
        if (leaf, drawn) in self._starts:
            return
        if self._is_dealt(root):
            self._starts[leaf, drawn] = self._deal(self._starts[root, drawn[:-1]].beliefs, leaf)
            return
        solved, number = self._solved[root, drawn], self._number(root)[1][leaf]
        paid = None if solved.paid is None else solved.paid[:, number]
        self._starts[leaf, drawn] = _BeliefState(solved.beliefs[:, number], paid)

    @torch.no_grad()
    def _deal(self, beliefs: Tensor, dealt: State) -> _BeliefState:
        """The belief state after a deal, of the many that there might have been."""
        agent = self._agent
        possible = torch.as_tensor(agent.game.possible_hands(dealt)).to(beliefs)[None]
        after = after_deals(beliefs[None], possible)
        if agent.continue_from != "gadget":
            return _BeliefState(after[0])
        features = after.new_tensor([agent.game.features(dealt)])
        worth = agent.leaf_evaluator.at(features, possible)(after.transpose(0, 1))[:, 0]
        return _BeliefState(after[0], worth * agent.game.pot(dealt))

    @torch.no_grad()
    def _solve(self, keys: Sequence[Key]) -> None:
        """Solves subgames: those that only differ in what is drawn in them at once."""
        starts: dict[Key, list[int]] = {}
        for root, drawn in keys:
            starts.setdefault((root, drawn[:-1]), []).append(drawn[-1])
        # with a gadget and without are not solved alike
        for paid in (False, True):
            chosen = [key for key in starts if self._has_gadget(key) == paid]
            agent, states = self._agent, [key[0] for key in chosen]
            parts = agent.subgames.forests(
                states, agent.like, agent.solver.memory, agent.leaf_evaluator.numbers_a_leaf
            )
            for part, forest in parts:
                self._solve_part(chosen[part], [starts[key] for key in chosen[part]], forest)

    def _has_gadget(self, key: Key) -> bool:
        return self._starts[key].paid is not None

    def _solve_part(self, keys: list[Key], drawn: list[list[int]], forest: Forest[State]) -> None:
        agent, starts = self._agent, [self._starts[key] for key in keys]
        beliefs = torch.stack([start.beliefs for start in starts], 1)
        if agent.draws:
            subgame = np.repeat(np.arange(len(keys)), [len(iterations) for iterations in drawn])
            solution = self._solve_for_iterations(forest, beliefs, subgame, np.concatenate(drawn))
            keys = [keys[number] for number in subgame]
            drawn = [[t] for t in np.concatenate(drawn).tolist()]
        elif self._has_gadget(keys[0]):
            paid = [start.paid[1 - self._player] for start in starts if start.paid is not None]
            solution = self._solve_with_gadget(forest, beliefs, torch.stack(paid))
        else:
            solution = self._solve_for_average(forest, beliefs)
        for number, solved in enumerate(solution.by_subgame()):
            root, above = keys[number]
            for t in drawn[number]:
                self._solved[root, (*above, t)] = solved

    def _solve_for_average(self, forest: Forest[State], beliefs: Tensor) -> "_Solution":
        agent = self._agent
        cfr = agent.solver.start(forest, beliefs, agent.leaf_evaluator)
        if agent.continue_from != "gadget":
            return _Solution(forest, cfr.run(agent.iterations).average_strategy(), beliefs)
        cfr.watch_leaves().run(agent.iterations)
        return _Solution(forest, cfr.average_strategy(), beliefs, cfr.leaf_infostate_values())

    def _solve_for_iterations(
        self, forest: Forest[State], beliefs: Tensor, subgame: Ints, iteration: Ints
    ) -> "_Solution":
        agent, samples = self._agent, SampledStrategies(forest, subgame, iteration)
        agent.solver.start(forest, beliefs, agent.leaf_evaluator).run(agent.iterations, samples)
        return _Solution(samples.copies, samples.strategy, beliefs[:, torch.as_tensor(subgame)])

    def _solve_with_gadget(self, forest: Forest[State], beliefs: Tensor, paid: Tensor) -> "_Solution":
        agent = self._agent
        cfr = agent.solver.start(forest, beliefs, agent.leaf_evaluator, Gadget(self._player, paid))
        cfr.watch_leaves().run(agent.iterations)
        return _Solution(forest, cfr.average_strategy(), cfr.root_beliefs(), cfr.leaf_infostate_values())


@dataclass(frozen=True, slots=True)
class _Solution(Generic[State]):
    """What is played on a forest."""

    forest: Forest[State]
    strategy: Tensor
    """``[A, D, H]``."""
    beliefs: Tensor
    """``[2, B, H]`` at the roots."""
    paid: Tensor | None = None
    """``[2, L, H]``."""

    def by_subgame(self) -> Iterator[_Solved]:
        """The subgames one by one."""
        forest, leaves, beliefs = self.forest, self.forest.leaves, self.beliefs
        at_leaves = forest.beliefs_at(leaves, forest.reach(self.strategy, belief=beliefs), beliefs)
        first = np.searchsorted(leaves.subgame.numpy(force=True), np.arange(forest.num_subgames + 1))
        for number, of_tree in enumerate(forest.tree_of.tolist()):
            tree, here = forest.trees[of_tree], slice(first[number], first[number + 1])
            each = np.arange(len(tree.decisions))
            nodes = torch.as_tensor(forest.decision_index(np.full_like(each, number), each))
            yield _Solved(
                strategy=forest.by_action(self.strategy[:, nodes], forest.action_of[:, nodes]),
                beliefs=at_leaves[:, here],
                paid=None if self.paid is None else self.paid[:, here],
            )
