"""Plays by search: continual re-solving, from one public belief state to the next.

When the game comes to the leaf of a subgame, the agent solves the one that starts there. From which beliefs,
and how, is its way to search (:mod:`pokerlab.search.resolving`). With gadgets, a hand of the opponent is paid
the mean over the iterations of the subgame above; after a deal that is a subgame of its own, what the leaf
evaluator says.
"""

from collections.abc import Sequence
from typing import Generic, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.agents.beliefs import after_deals
from pokerlab.games.base import CHANCE, Game, State
from pokerlab.games.parts import features_of
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.resolving import (
    SEARCH_GADGET,
    SEARCH_ITERATION,
    WAYS_TO_SEARCH,
    BeliefState,
    BeliefStates,
    Part,
    Resolving,
    SubgamePlay,
    draw_iterations,
)
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames, has_boards

NODES = 512
"""Of the subgames that one hand comes to, about."""
COMPACT = 8
"""Public states of a subgame that is solved to the end and takes the memory of one node of others."""


class SearchAgent(Agent[State]):
    """Searches at every public belief state that it comes to.

    Args:
        game: the rules.
        solver: the CFR variant.
        leaf_evaluator: the value network.
        iterations: CFR iterations a subgame.
        way: ``search_iteration``, ``search_average`` or ``search_gadget``.
        like: a tensor with the device and dtype to search in.
    """

    def __init__(
        self,
        game: Game[State],
        solver: Solver,
        leaf_evaluator: LeafEvaluator,
        *,
        iterations: int,
        way: str,
        like: Tensor,
    ) -> None:
        if way not in WAYS_TO_SEARCH:
            raise ValueError(f"way must be one of {', '.join(WAYS_TO_SEARCH)}, got {way!r}")
        if way == SEARCH_GADGET and (solver.average_leaves or solver.warm_start):
            raise ValueError(f"{way} solves without warm start, leaves under current beliefs")
        self.game, self.way, self.draws = game, way, way == SEARCH_ITERATION
        self.resolving = Resolving(Subgames(game), solver, leaf_evaluator, iterations, like)
        self.nodes_kept = 1
        if self.draws or not game.enumerable:
            self.nodes_kept = NODES + (game.solve_to_end or 0) // COMPACT
        self.opening: dict[Key, SubgamePlay] = {}
        """What is played in the game's first subgame, if nothing is drawn: the same at every seat."""
        self._memories: WeakValueDictionary[int | None, _Memory[State]] = WeakValueDictionary()

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        if self.draws:
            return _SearchSeat(self, player, seed, _Memory(self))
        # who answers alike shares what was found out, such as a local best response that asks this agent
        who = player if self.way == SEARCH_GADGET else None
        return _SearchSeat(self, player, seed, self._memories.setdefault(who, _Memory(self)))


Drawn: TypeAlias = tuple[int, ...]
"""The iterations drawn in the subgames of a line; 0: none is."""
Key: TypeAlias = tuple[State, Drawn]
"""A subgame's root and the iterations drawn above it: they tell its beliefs. With the one drawn in it
besides, they tell what is played in it."""


class _Memory(Generic[State]):
    """What was found out of subgames; it goes with the last seat that has it."""

    def __init__(self, agent: SearchAgent[State]) -> None:
        root = BeliefStates.root(agent.game, agent.resolving.like)
        self.starts: dict[Key, BeliefState] = {(root.states[0], ()): BeliefState(root.beliefs[:, 0])}
        self.plays = dict(agent.opening)
        self.numbers: dict[State, tuple[dict[State, int], dict[State, int]]] = {}


class _SearchSeat(Seat[State]):
    def __init__(self, agent: SearchAgent[State], player: int, seed: int, memory: _Memory[State]) -> None:
        self._agent, self._player, self._seed, self._memory = agent, player, seed, memory
        self._resolving = agent.resolving
        self._starts, self._plays, self._numbers = memory.starts, memory.plays, memory.numbers

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        roots = [[line.states[place] for place in self._find_roots(line)] for line in lines]
        drawn = [self._draw(line.hand, states) for line, states in zip(lines, roots, strict=True)]
        for level in range(max(map(len, roots))):
            keys = dict.fromkeys(
                (states[level], draws[: level + 1])
                for states, draws in zip(roots, drawn, strict=True)
                if level < len(states)
            )
            self._solve([key for key in keys if key not in self._plays and not self._is_deal(key[0])])
            for states, draws in zip(roots, drawn, strict=True):
                if level + 1 < len(states):
                    self._start(states[level], states[level + 1], draws[: level + 1])
        return torch.stack([
            self._plays[states[-1], draws].strategy[self._number(states[-1])[0][line.state]]
            for line, states, draws in zip(lines, roots, drawn, strict=True)
        ])  # fmt: skip

    def _find_roots(self, line: Line[State]) -> list[int]:
        """Where on the line subgames start."""
        places, game = [0], self._agent.game
        for place, state in enumerate(line.states[1:], 1):
            if game.is_leaf(line.states[places[-1]], state, place - places[-1]):
                places.append(place)
        return places

    def _draw(self, hand: int, roots: Sequence[State]) -> Drawn:
        if not self._agent.draws:
            return (0,) * len(roots)
        # the same in a hand however lines come
        fractions = np.random.default_rng((self._seed, self._player, hand)).random((len(roots), 1))
        solver, iterations = self._resolving.solver, self._resolving.iterations
        has_leaves = [self._is_deal(root) or len(self._number(root)[1]) > 0 for root in roots]
        rules = [solver.rule_of(has_leaves=has) for has in has_leaves]
        return tuple(
            int(draw_iterations(rule, iterations, torch.as_tensor(fraction)))
            for rule, fraction in zip(rules, fractions, strict=True)
        )

    def _number(self, root: State) -> tuple[dict[State, int], dict[State, int]]:
        """Of a subgame's decision nodes and of its leaves, by public state."""
        if root not in self._numbers:
            tree = self._resolving.subgames.tree(root)
            decisions, leaves = (
                {state: number for number, state in enumerate(nodes.states)}
                for nodes in (tree.decisions, tree.leaves)
            )
            self._numbers[root] = decisions, leaves
        return self._numbers[root]

    def _is_deal(self, root: State) -> bool:
        """Whether there is nothing to solve: a deal, after which other subgames start."""
        return self._agent.game.actor(root) == CHANCE

    def _start(self, root: State, leaf: State, drawn: Drawn) -> None:
        """Finds the belief state at a leaf of a subgame."""
        if (leaf, drawn) in self._starts:
            return
        if self._is_deal(root):
            self._starts[leaf, drawn] = self._deal(self._starts[root, drawn[:-1]].beliefs, leaf)
        else:
            self._starts[leaf, drawn] = self._plays[root, drawn].belief_state(self._number(root)[1][leaf])

    @torch.no_grad()
    def _deal(self, beliefs: Tensor, dealt: State) -> BeliefState:
        """The belief state after a deal, of the many that there might have been."""
        game = self._agent.game
        possible = torch.as_tensor(game.possible_hands(dealt)).to(beliefs)[None]
        after = after_deals(beliefs[None], possible)
        if self._agent.way != SEARCH_GADGET:
            return BeliefState(after[0])
        features = torch.as_tensor(features_of(game, [dealt])).to(after)
        worth = self._resolving.leaf_evaluator.at(features, possible)(after.transpose(0, 1))[:, 0]
        return BeliefState(after[0], worth * game.pot(dealt))

    @torch.no_grad()
    def _solve(self, keys: Sequence[Key]) -> None:
        """Solves subgames: those that only differ in what is drawn in them at once."""
        drawn: dict[Key, list[int]] = {}
        for root, draws in keys:
            drawn.setdefault((root, draws[:-1]), []).append(draws[-1])
        resolver = self._player if self._agent.way == SEARCH_GADGET else None
        # with a gadget and without are not solved alike
        for has_gadget in (False, True):
            chosen = [key for key in drawn if (self._starts[key].expected is not None) == has_gadget]
            if chosen:
                frontier = BeliefStates.of([key[0] for key in chosen], [self._starts[key] for key in chosen])
                for part in self._resolving.parts(frontier, resolver):
                    self._solve_part(part, chosen[part.place], [drawn[key] for key in chosen[part.place]])

    def _solve_part(self, part: Part[State], keys: Sequence[Key], drawn: Sequence[Sequence[int]]) -> None:
        if self._agent.draws:
            subgame = torch.arange(len(keys)).repeat_interleave(torch.tensor([len(d) for d in drawn]))
            iteration = torch.tensor([t for draws in drawn for t in draws])
            plays = part.play_iterations(subgame, iteration).subgame_by_subgame()
        elif has_boards(part.forest.trees[0]):
            plays = iter([part.play_to_end()])
        else:
            plays = part.play_average().subgame_by_subgame()
        solved = [
            (root, (*above, t)) for (root, above), draws in zip(keys, drawn, strict=True) for t in draws
        ]
        self._plays |= zip(solved, plays, strict=True)
        first = self._agent.game.root(), (0,)
        if first in self._plays:
            self._agent.opening[first] = self._plays[first]
