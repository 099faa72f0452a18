"""Policies on the whole game: from search, and to OpenSpiel's form.

A policy is a forest of one tree, the whole game, with a strategy ``[A, D, H]`` on it, so that its
exploitability is exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line, check_answers, write_line
from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Game, State
from pokerlab.games.parts import OpenSpielNames, openspiel_names
from pokerlab.games.tree_size import too_large
from pokerlab.search.best_response import Exploitability, exploitability
from pokerlab.search.forest import Forest, divide, uniform_strategy
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.resolving import (
    BeliefStates,
    Part,
    Play,
    Resolving,
    draw_iterations,
    iteration_weights,
)
from pokerlab.search.rules import UpdateRule
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree


def check_memory(game: Game) -> None:
    """Raises a ValueError if the complete public tree does not fit in the memory that is free."""
    if (states := game.count_states()) and (reason := too_large(states, game.num_hands, 8, free=True)):
        raise ValueError(f"{game.name} has {reason}")


class PublicTrees(Generic[State]):
    """Some public trees of a game, in float64, and how play comes to them.

    Args:
        game: the rules.
        roots: lines that end at the trees' roots.
        depth_limited: whether trees stop where :meth:`Game.is_leaf` says so, or play to the end.
    """

    def __init__(self, game: Game[State], roots: Sequence[Line[State]], *, depth_limited: bool) -> None:
        self.game, self.roots, self._depth_limited = game, roots, depth_limited
        trees = [build_tree(game, line.state, depth_limited=depth_limited) for line in roots]
        self.forest = Forest(game, trees, dtype=torch.float64)
        nodes = self.forest.decisions
        self.states = [trees[t].decisions.states[n] for t, n in zip(nodes.tree, nodes.node, strict=True)]
        """The public state of each decision node, in the forest's order."""
        self.index = {state: d for d, state in enumerate(self.states)}

    @cached_property
    def lines(self) -> list[Line[State]]:
        """How play comes to each decision node, in the forest's order."""
        found: dict[State, Line[State]] = {}
        waiting = list(self.roots)
        while waiting:
            line = waiting.pop()
            if (actor := self.game.actor(line.state)) == CHANCE:
                if not self._depth_limited:
                    outcomes = self.game.chance_outcomes(line.state)
                    waiting += [line.after(DEALT, outcome) for outcome in outcomes]
            elif actor != TERMINAL:
                found[line.state] = line
                actions = self.game.actions(line.state)
                waiting += [line.after(a, self.game.next_state(line.state, a)) for a in actions]
        return [found[state] for state in self.states]

    def policy(self, agent: Agent[State]) -> Tensor:
        """``[A, D, H]`` what an agent plays that does not draw, in both seats.

        Raises:
            ValueError: it does, or what it answers are no strategies.
        """
        if agent.draws:
            raise ValueError("the agent draws what it plays: it has no one policy")
        strategy = torch.zeros(self.forest.edge_shape, dtype=torch.float64)
        actor = self.forest.actor
        for player in (0, 1):
            nodes = (actor == player).nonzero()[:, 0]
            lines = [self.lines[node] for node in nodes.tolist()]
            chances = agent.sit_down(player, 0).strategies(lines)
            check_answers(self.game, lines, chances)
            chances = chances.double().cpu()
            columns = torch.nn.functional.pad(chances, (0, 0, 0, 1))  # 0 where there is no action
            place = self.forest.action_of[:, nodes]
            strategy[:, nodes] = columns[torch.arange(len(nodes)), place]
        return divide(strategy, strategy.sum(0), uniform_strategy(self.forest))


class WholeGame(PublicTrees[State]):
    """The complete public tree.

    Args:
        game: the rules; small enough to enumerate.

    Raises:
        ValueError: it does not fit in memory.
    """

    def __init__(self, game: Game[State]) -> None:
        check_memory(game)
        super().__init__(game, [Line((game.root(),))], depth_limited=False)
        (self.tree,) = self.forest.trees
        self.belief = torch.as_tensor(game.initial_beliefs)[:, None]

    def exploitability(self, strategy: Tensor) -> Exploitability:
        """Of ``strategy`` ``[A, D, H]``; batch size 1."""
        return exploitability(self.forest, strategy, self.belief)

    def export(self, strategy: Tensor) -> dict[str, dict[int, float]]:
        """``strategy`` ``[A, D, H]`` as OpenSpiel's information state string → {action: probability}.

        Raises:
            ValueError: OpenSpiel does not have the game.
        """
        openspiel_names(self.game)
        return dict(self.information_states(strategy))

    def information_states(self, strategy: Tensor) -> Iterator[tuple[str, dict[int, float]]]:
        """The same one by one; of a game that OpenSpiel does not have, states are named by hand and line."""
        for d, state in enumerate(self.states):
            actions, possible = self.game.actions(state), self.game.possible_hands(state)
            for hand in possible.nonzero()[0].tolist():
                chances = strategy[: len(actions), d, hand].tolist()
                yield self._name(d, hand), dict(zip(actions, chances, strict=True))

    def _name(self, d: int, hand: int) -> str:
        if isinstance(self.game, OpenSpielNames):
            return self.game.information_state(self.states[d], hand)
        return f"{names.hand_name(self.game, hand)} {write_line(self.game, self.lines[d])}".strip()


@torch.no_grad()
def search_policy(
    whole: WholeGame,
    solver: Solver,
    leaf_evaluator: LeafEvaluator,
    *,
    iterations: int,
    play_throughs: int,
    generator: torch.Generator,
    like: Tensor,
) -> Tensor:
    """``[A, D, H]`` what an agent plays that searches at every public belief state it comes to.

    In a subgame it plays the average strategy. It goes on from the belief state of one iteration t* that
    it draws with the averaging weights, as ReBeL does: the subgame's values hold for the beliefs of the
    iterations, not for those of their average. The policy returned is the mixture over ``play_throughs``
    draws in the first subgame; from as many draws as there are iterations, it is the exact expectation over
    that subgame's t*. Later subgames draw one t* for each belief state. Draws at the same public state are
    spread over the iterations. Belief states that neither player comes to are not searched: what the
    policy says there is uniform, and of no consequence.

    Args:
        whole: the game.
        solver: the CFR variant.
        leaf_evaluator: the value network.
        iterations: CFR iterations a subgame.
        play_throughs: number of draws; 0: go on from the average strategy's beliefs instead.
        generator: source of the draws.
        like: a tensor with the device and dtype to search in.
    """
    resolving = Resolving(Subgames(whole.game), solver, leaf_evaluator, iterations, like)
    search, mixture = Searching(resolving, play_throughs, generator), Mixture(whole)
    frontier = Frontier.root(whole.game, like)
    while len(frontier.states):
        frontier = search.play(frontier, mixture)
    return mixture.strategy()


@dataclass(frozen=True, slots=True)
class Frontier(Generic[State]):
    """Where search goes on from, and how likely each hand comes there."""

    states: BeliefStates[State]
    weight: Tensor
    """``[2, n, H]`` own reach of each hand, times the share of the play-throughs."""
    first: bool = False
    """Whether it is where the game starts: play-throughs part there."""

    @classmethod
    def root(cls, game: Game[State], like: Tensor) -> "Frontier[State]":
        """Where the game starts."""
        states = BeliefStates.root(game, like)
        # a deal has one iteration
        return cls(states, torch.ones_like(states.beliefs), first=game.actor(game.root()) != CHANCE)


class Mixture(Generic[State]):
    """What is played on some trees by several play-throughs together.

    Args:
        trees: the trees.
    """

    def __init__(self, trees: PublicTrees[State]) -> None:
        self.trees = trees
        self._played = torch.zeros(trees.forest.edge_shape, dtype=torch.float64)
        """Σ weight · own reach · strategy."""
        self._unweighted = torch.zeros_like(self._played)

    def add(self, part: Part[State], weight: Tensor) -> None:
        """Adds what the subgames' average strategies play.

        Args:
            part: the subgames.
            weight: ``[2, n, H]`` of each hand at their roots.
        """
        search, nodes = part.forest, part.forest.decisions
        states = [search.trees[t].decisions.states[i] for t, i in zip(nodes.tree, nodes.node, strict=True)]
        there = torch.tensor([self.trees.index[state] for state in states], dtype=torch.int64)
        own = search.edge_rows(search.reach(part.average)) * weight[search.actor, nodes.subgame]
        self._played[: search.width].index_add_(1, there, own.double().cpu())
        self._unweighted[: search.width].index_add_(1, there, part.average.double().cpu())

    def strategy(self) -> Tensor:
        """``[A, D, H]``."""
        mixture = torch.where(self._played.sum(0) > 0, self._played, self._unweighted)
        return divide(mixture, mixture.sum(0), uniform_strategy(self.trees.forest))


@dataclass(frozen=True, slots=True)
class Searching(Generic[State]):
    """Plays by search, see :func:`search_policy`."""

    resolving: Resolving[State]
    play_throughs: int
    generator: torch.Generator

    def play(self, frontier: Frontier[State], mixture: Mixture[State]) -> Frontier[State]:
        """Plays the subgames that start at a frontier, and gives the next one."""
        draws = max(self.play_throughs, 1) if frontier.first else 1
        iterations, rule = self.resolving.iterations, self.resolving.solver.leaf_rule
        # as many draws as there are iterations are one of each
        fractions = _spread(frontier.states.states, draws if draws < iterations else 1, self.generator)
        reached = [(BeliefStates.none(self.resolving.subgames.game, frontier.weight), frontier.weight[:, :0])]
        for part in self.resolving.parts(frontier.states):
            here = shared = frontier.weight[:, part.place]
            if self.play_throughs and len(part.forest.leaves):
                chosen = None if draws >= part.iterations else fractions[part.place]
                subgame, iteration, share = _choose_iterations(
                    rule, part.iterations, part.forest.num_subgames, chosen
                )
                play = part.play_iterations(subgame, iteration)
                shared = here[:, subgame] * share.to(here)[:, None]
            else:
                play = part.play_average()
            mixture.add(part, here)
            if len(part.forest.leaves):
                reached.append(_reach_leaves(play, shared))
        states = BeliefStates.join([at for at, _ in reached])
        return Frontier(states, torch.cat([own for _, own in reached], 1))


def _spread(states: Sequence[State], draws: int, generator: torch.Generator) -> Tensor:
    """``[B, draws]`` where in its subgame's iterations, by weight from 0 to 1, each draw falls.

    Each is uniform, but the n draws at one public state fall into n equal shares, one into each: the
    mixture needs fewer. Equal steps would not do: strategies go round in cycles, and might be met at one
    point of them alone.

    Args:
        states: of the subgames.
        draws: how many each has.
        generator: source of randomness.
    """
    number: dict[State, int] = {}
    of_state = torch.tensor([number.setdefault(state, len(number)) for state in states])
    at = of_state.repeat_interleave(draws)
    shuffled = torch.randperm(len(at), generator=generator)
    order = shuffled[at[shuffled].argsort(stable=True)]
    size = at.bincount()
    share = torch.empty(len(at), dtype=torch.float64)
    share[order] = (torch.arange(len(at)) - (size.cumsum(0) - size)[at[order]]).double()
    fractions = (share + torch.rand(len(at), dtype=torch.float64, generator=generator)) / size[at]
    return fractions.view(-1, draws)


def _choose_iterations(
    rule: UpdateRule, iterations: int, subgames: int, fractions: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """From which iterations to go on: different (subgame, iteration) and their share of the subgame's draws.

    Args:
        rule: weighs iterations.
        iterations: how many there are.
        subgames: ``B``.
        fractions: ``[B, draws]``, see :func:`_spread`; None: from each, with its exact weight.
    """
    if fractions is None:
        weights = iteration_weights(rule, iterations)
        subgame = torch.arange(subgames).repeat_interleave(iterations)
        iteration = torch.arange(1, iterations + 1).repeat(subgames)
        return subgame, iteration, (weights / weights.sum()).repeat(subgames)
    draws = fractions.shape[1]
    subgame = torch.arange(subgames).repeat_interleave(draws)
    iteration = draw_iterations(rule, iterations, fractions.flatten())
    keys, inverse = torch.stack([subgame, iteration]).unique(dim=1, return_inverse=True)
    share = torch.full(inverse.shape, 1 / draws, dtype=torch.float64)
    return *keys, share.new_zeros(keys.shape[1]).index_add_(0, inverse, share)


def _reach_leaves(play: Play, weight: Tensor) -> tuple[BeliefStates, Tensor]:
    """The leaves that are reached, and each hand's own reach ``[2, n, H]``, given that at the roots."""
    leaves = play.forest.leaves
    own = play.forest.reach(play.strategy)[leaves.row] * weight[:, leaves.subgame]
    reached = (own > 0).any(2).any(0).nonzero()[:, 0].cpu()
    return play.belief_states(leaves.select(reached)), own[:, reached.to(own.device)]
