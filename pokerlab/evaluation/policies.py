"""Policies on the whole game: from search, and to OpenSpiel's form.

A policy is a forest of one tree, the whole game, with a strategy ``[A, D, H]`` on it, so that its
exploitability is exact.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Generic

import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line
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


class WholeGame(Generic[State]):
    """The complete public tree, in float64.

    Args:
        game: the rules; small enough to enumerate.

    Raises:
        ValueError: it does not fit in memory.
    """

    def __init__(self, game: Game[State]) -> None:
        check_memory(game)
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
        return divide(strategy, strategy.sum(0), uniform_strategy(self.forest))

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
        line = self.lines[d]
        taken = zip(line.actions, line.states[1:], strict=True)
        moves = [names.Move(None if action == DEALT else action, state) for action, state in taken]
        return f"{names.hand_name(self.game, hand)} {names.write_line(self.game, moves)}".strip()


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
    resolving = Resolving(Subgames(game), solver, leaf_evaluator, iterations, like)
    played = torch.zeros(forest.edge_shape, dtype=torch.float64)  # Σ weight · own reach · strategy
    unweighted = torch.zeros_like(played)
    frontier = BeliefStates.root(game, like)
    weight = torch.ones_like(frontier.beliefs)  # own reach of each hand, times the share of play-throughs
    draws = 1 if game.actor(game.root()) == CHANCE else max(play_throughs, 1)  # a deal has one iteration
    while True:
        # as many draws as there are iterations are one of each
        fractions = _spread(frontier.states, draws if draws < iterations else 1, generator)
        reached: list[tuple[BeliefStates, Tensor]] = []
        for part in resolving.parts(frontier):
            here = shared = weight[:, part.place]
            if play_throughs and len(part.forest.leaves):
                chosen = None if draws >= part.iterations else fractions[part.place]
                subgame, iteration, share = _choose_iterations(
                    solver.rule, part.iterations, part.forest.num_subgames, chosen
                )
                play = part.play_iterations(subgame, iteration)
                shared = here[:, subgame] * share.to(here)[:, None]
            else:
                play = part.play_average()
            _add_play(whole, part, here, played, unweighted)
            if len(part.forest.leaves):
                reached.append(_reach_leaves(play, shared))
        if not any(len(at) for at, _ in reached):
            break
        frontier = BeliefStates.join([at for at, _ in reached])
        weight, draws = torch.cat([own for _, own in reached], 1), 1
    mixture = torch.where(played.sum(0) > 0, played, unweighted)
    return divide(mixture, mixture.sum(0), uniform_strategy(forest))


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


def _add_play(whole: WholeGame, part: Part, weight: Tensor, played: Tensor, unweighted: Tensor) -> None:
    """Adds what the subgames' average strategies play to the whole game's policy."""
    search, nodes = part.forest, part.forest.decisions
    states = [search.trees[t].decisions.states[i] for t, i in zip(nodes.tree, nodes.node, strict=True)]
    there = torch.tensor([whole.index[state] for state in states], dtype=torch.int64)
    own = search.edge_rows(search.reach(part.average)) * weight[search.actor, nodes.subgame]
    played[: search.width].index_add_(1, there, own.double().cpu())
    unweighted[: search.width].index_add_(1, there, part.average.double().cpu())
