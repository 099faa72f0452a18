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

from pokerlab.agents.base import DEALT, Agent, Line
from pokerlab.games.base import CHANCE, TERMINAL, Game, State
from pokerlab.search.best_response import Exploitability, exploitability
from pokerlab.search.cfr import SampledStrategies, divided
from pokerlab.search.forest import Forest, uniform_strategy
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import BeliefStates, Subgames
from pokerlab.search.tree import build_tree


class WholeGame(Generic[State]):
    """The complete public tree, in float64.

    Args:
        game: the rules; small enough to enumerate.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        self.tree = build_tree(game, game.root(), depth_limited=False)
        self.forest = Forest(game, [self.tree], dtype=torch.float64)
        self.belief = torch.as_tensor(game.initial_beliefs)[:, None]
        self.states = [self.tree.decisions.states[node] for node in self.forest.decisions.node]
        """The public state of each decision node, in the forest's order."""
        self.index = {state: d for d, state in enumerate(self.states)}

    def exploitability(self, strategy: Tensor) -> Exploitability:
        """Of ``strategy`` ``[A, D, H]``; batch size 1."""
        return exploitability(self.forest, strategy, self.belief)

    @cached_property
    def lines(self) -> list[Line[State]]:
        """How play comes to each decision node, in the forest's order."""
        found: dict[State, Line[State]] = {}
        waiting = [Line((self.game.root(),))]
        while waiting:
            line = waiting.pop()
            if (actor := self.game.actor(line.state)) == CHANCE:
                waiting += [line.after(DEALT, outcome) for outcome in self.game.chance_outcomes(line.state)]
            elif actor != TERMINAL:
                found[line.state] = line
                actions = self.game.actions(line.state)
                waiting += [line.after(a, self.game.next_state(line.state, a)) for a in actions]
        return [found[state] for state in self.states]

    def policy(self, agent: Agent[State]) -> Tensor:
        """``[A, D, H]`` what an agent plays that does not draw, in both seats.

        Raises:
            ValueError: it does.
        """
        if agent.draws:
            raise ValueError("the agent draws what it plays: it has no one policy")
        strategy = torch.zeros(self.forest.edge_shape, dtype=torch.float64)
        actor = self.forest.actor
        for player in (0, 1):
            nodes = (actor == player).nonzero()[:, 0]
            lines = [self.lines[node] for node in nodes.tolist()]
            chances = agent.sit_down(player, 0).strategies(lines).double().cpu()
            columns = torch.nn.functional.pad(chances, (0, 0, 0, 1))  # 0 where there is no action
            place = self.forest.action_of[:, nodes]
            strategy[:, nodes] = columns[torch.arange(len(nodes)), place]
        return divided(strategy, strategy.sum(0), uniform_strategy(self.forest))

    def export(self, strategy: Tensor) -> dict[str, dict[int, float]]:
        """``strategy`` ``[A, D, H]`` as OpenSpiel's information state string → {action: probability}."""
        return dict(self.information_states(strategy))

    def information_states(self, strategy: Tensor) -> Iterator[tuple[str, dict[int, float]]]:
        """The same one by one."""
        for d, state in enumerate(self.states):
            actions, possible = self.game.actions(state), self.game.possible_hands(state)
            for hand in possible.nonzero()[0].tolist():
                chances = strategy[: len(actions), d, hand].tolist()
                yield self.game.information_state(state, hand), dict(zip(actions, chances, strict=True))


@dataclass(frozen=True, slots=True)
class _Reached:
    """Belief states where search continues, and how likely each hand's player is to be in them."""

    at: BeliefStates
    weight: Tensor
    """``[2, n, H]`` own reach of each hand, times the share of play-throughs."""
    draws: list[int]
    """How many iterations each subgame is continued from."""


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
    game, forest = whole.game, whole.forest
    subgames = Subgames(game)
    played = torch.zeros(forest.edge_shape, dtype=torch.float64)  # Σ weight · own reach · strategy
    unweighted = torch.zeros_like(played)
    start = BeliefStates([game.root()], torch.as_tensor(game.initial_beliefs).to(like)[:, None])
    draws = 1 if game.actor(game.root()) == CHANCE else max(play_throughs, 1)  # a deal has one iteration
    frontier = _Reached(start, torch.ones_like(start.beliefs), [draws])
    while frontier.at.states:
        falls = [n if n < iterations else 1 for n in frontier.draws]
        spread = _spread(frontier.at.states, torch.tensor(falls), generator).split(falls)
        reached: list[_Reached] = []
        parts = subgames.forests(frontier.at.states, like, solver.memory, leaf_evaluator.numbers_a_leaf)
        for part, search in parts:
            belief, weight = frontier.at.beliefs[:, part], frontier.weight[:, part]
            steps = iterations if search.num_decisions else 1
            cfr, samples = solver.start(search, belief, leaf_evaluator), None
            if play_throughs and len(search.leaves):
                number, fallen = torch.tensor(frontier.draws[part]), torch.cat(spread[part])
                subgame, iteration, share = _draw_iterations(number, fallen, steps, solver)
                samples = SampledStrategies(search, subgame.numpy(), iteration.numpy())
            average = cfr.run(steps, samples).average_strategy()
            if samples is not None:
                shared = weight[:, subgame] * share.to(weight)[:, None]
                reached.append(_continue(samples.copies, samples.strategy, belief[:, subgame], shared))
            elif len(search.leaves):
                reached.append(_continue(search, average, belief, weight))
            _add_played(whole, search, average, weight, played, unweighted)
        frontier = _join(reached)
    mixture = torch.where(played.sum(0) > 0, played, unweighted)
    return divided(mixture, mixture.sum(0), uniform_strategy(forest))


def _spread(states: Sequence[State], draws: Tensor, generator: torch.Generator) -> Tensor:
    """``[Σ draws]`` where in its subgame's iterations, by weight from 0 to 1, each draw falls.

    Each is uniform, but the n draws at one public state fall into n equal shares, one into each: the
    mixture needs fewer. Equal steps would not do: strategies go round in cycles, and might be met at one
    point of them alone.

    Args:
        states: of the subgames.
        draws: ``[B]`` how many each has.
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
    return (share + torch.rand(len(at), dtype=torch.float64, generator=generator)) / size[at]


def _draw_iterations(
    number: Tensor, fallen: Tensor, iterations: int, solver: Solver
) -> tuple[Tensor, Tensor, Tensor]:
    """From which iterations to go on: different (subgame, iteration) and their share of the subgame's draws.

    Args:
        number: ``[B]`` draws of each subgame; as many as there are iterations: each, with its exact weight.
        fallen: where each draw falls, see :func:`_spread`; one of each subgame whose iterations are all
            taken is not used.
        solver: weighs them.
    """
    weights = torch.tensor([solver.rule.weight(t) for t in range(1, iterations + 1)], dtype=torch.float64)
    weights /= weights.sum()
    drawn = number < iterations
    exact = (~drawn).nonzero()[:, 0]
    fallen = fallen[torch.repeat_interleave(drawn, torch.where(drawn, number, 1))]
    number = torch.where(drawn, number, 0)
    subgame = torch.repeat_interleave(torch.arange(len(number)), number)
    share = 1 / number[subgame].double()
    t = torch.searchsorted(weights.cumsum(0), fallen).clamp_max(iterations - 1) + 1
    t = torch.cat([t, torch.arange(1, iterations + 1).repeat(len(exact))])
    subgame = torch.cat([subgame, exact.repeat_interleave(iterations)])
    share = torch.cat([share, weights.repeat(len(exact))])
    keys, inverse = torch.stack([subgame, t]).unique(dim=1, return_inverse=True)
    return *keys, torch.zeros(keys.shape[1], dtype=torch.float64).index_add_(0, inverse, share)


def _continue(forest: Forest, strategy: Tensor, belief: Tensor, weight: Tensor) -> _Reached:
    """The leaves that a strategy comes to, given beliefs and weights at the subgames' roots."""
    own = forest.reach(strategy)[forest.leaves.row] * weight[:, forest.leaves.subgame]
    reached = (own > 0).any(2).any(0).nonzero()[:, 0].cpu()
    leaves, own = forest.leaves.select(reached), own[:, reached.to(own.device)]
    beliefs = forest.beliefs_at(leaves, forest.reach(strategy, belief=belief), belief)
    states = [forest.trees[t].leaves.states[i] for t, i in zip(leaves.tree, leaves.node, strict=True)]
    return _Reached(BeliefStates(states, beliefs), own, [1] * len(states))


def _join(parts: Sequence[_Reached]) -> _Reached:
    if not parts:
        return _Reached(BeliefStates([], torch.empty(2, 0, 0)), torch.empty(2, 0, 0), [])
    states = [state for part in parts for state in part.at.states]
    beliefs = torch.cat([part.at.beliefs for part in parts], 1)
    weight = torch.cat([part.weight for part in parts], 1)
    return _Reached(BeliefStates(states, beliefs), weight, [d for part in parts for d in part.draws])


def _add_played(
    whole: WholeGame, search: Forest, average: Tensor, weight: Tensor, played: Tensor, unweighted: Tensor
) -> None:
    """Adds what the subgames' average strategies play to the whole game's policy."""
    nodes = search.decisions
    states = [search.trees[t].decisions.states[i] for t, i in zip(nodes.tree, nodes.node, strict=True)]
    there = torch.tensor([whole.index[state] for state in states], dtype=torch.int64)
    own = search.edge_rows(search.reach(average)) * weight[search.actor, nodes.subgame]
    played[: search.width].index_add_(1, there, own.double().cpu())
    unweighted[: search.width].index_add_(1, there, average.double().cpu())
