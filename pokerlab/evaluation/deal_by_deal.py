"""Exact exploitability of games with too many deals to hold at once, such as flop hold'em.

What comes before the first deal is one small tree, the *top*. Below each deal, values of strategies and of
best responses to them are found, added up where the deal was made, and the deal is forgotten. In the end they
are backed up through the top: a best response chooses there knowing what all deals are worth.

Of deals that differ in suits only, one is taken, as often as there are such: hands that differ in suits only
then have the mean of their values (:class:`~pokerlab.games.parts.Symmetry`). That is exact of agents to which
suits are alike, which is checked at some deals; others are measured at all deals.

Stopped before the end, what is done is an estimate from some deals in random order. Best responses that know
few deals fit these too well: it is too high, far too high at first. What half of the deals choose, valued at
the other half, gives an estimate that is too low. Neither is a bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line
from pokerlab.agents.beliefs import after_deals
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.evaluation.policies import Frontier, Mixture, PublicTrees, Searching
from pokerlab.games.base import CHANCE, Game, State
from pokerlab.games.parts import StreetStarts, Symmetry, different_outcomes, symmetry_of
from pokerlab.search.best_response import (
    Exploitability,
    response_values_above,
    root_values,
    root_values_above,
)
from pokerlab.search.forest import divide, rows_of
from pokerlab.search.resolving import SEARCH_GADGET, BeliefStates
from pokerlab.search.tree import build_tree

MOST_BELOW = 1_000_000
"""Public states below one deal."""
CHECKED = 2
"""Deals at which suits are checked to be alike."""
MOST_DIFFERENCE = 0.01
"""By which probabilities may differ on average between hands that differ in suits only."""


class Policy(Protocol[State]):
    """What is measured."""

    def at(self, trees: PublicTrees[State]) -> Tensor:
        """``[A, D, H]`` on some public trees: the top first, then those below a deal, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Deal(Generic[State]):
    """One way to deal the first cards."""

    states: Sequence[State]
    """``[L]`` what comes of each leaf of the top."""
    number: int
    """Deals that differ from it in suits only, itself among them."""


class DealByDeal(Generic[State]):
    """A game, taken apart at its first deal.

    Args:
        game: the rules.
        isomorphism: whether of deals that differ in suits only one is taken.

    Raises:
        ValueError: the game is not one of betting before and after a deal, or what is below one is large.
    """

    def __init__(self, game: Game[State], *, isomorphism: bool = True) -> None:
        if reason := _why_not(game):
            raise ValueError(reason)
        self.game = game
        self.top = PublicTrees(game, [Line((game.root(),))], depth_limited=True)
        (tree,) = self.top.forest.trees
        self.leaves = list(tree.leaves.states)
        """``L`` where the first cards are about to be dealt."""
        self.symmetry: Symmetry[State] | None = symmetry_of(game) if isomorphism else None
        self.belief = torch.as_tensor(game.initial_beliefs)[:, None]

    @cached_property
    def deals(self) -> list[Deal[State]]:
        """All of them, or of those that differ in suits only, one."""
        each = [different_outcomes(self.game, self.symmetry, leaf) for leaf in self.leaves]
        return [Deal([state for state, _ in deal], deal[0][1]) for deal in zip(*each, strict=True)]

    @cached_property
    def times_possible(self) -> Tensor:
        """``[H]`` how many deals leave each hand possible."""
        times = [deal.number * self.game.possible_hands(deal.states[0]) for deal in self.deals]
        return self.mean_of_suits(torch.as_tensor(np.sum(times, 0), dtype=torch.float64))

    def below(self, states: Sequence[State]) -> PublicTrees[State]:
        """What comes after a deal, given its states."""
        lines = [line.after(DEALT, state) for line, state in zip(self._leaf_lines, states, strict=True)]
        return PublicTrees(self.game, lines, depth_limited=False)

    @cached_property
    def _leaf_lines(self) -> list[Line[State]]:
        found = {}
        for line in self.top.lines:
            for action in self.game.actions(line.state):
                after = self.game.next_state(line.state, action)
                found[after] = line.after(action, after)
        return [found[leaf] for leaf in self.leaves]

    def measure(self, policy: Policy[State], seed: int = 1) -> Iterator["SoFar[State]"]:
        """Goes through the deals in random order, and says after each what is done; the last is exact.

        Args:
            policy: what is measured.
            seed: of the order.

        Raises:
            ValueError: suits are not alike to the policy.
        """
        top = self._symmetric(policy.at(self.top))
        generator = np.random.default_rng(seed)
        self._check_deals(policy, generator)
        sofar = SoFar(self, top, generator.permutation(len(self.deals)).tolist())
        for number in sofar.order:
            sofar.add(self.deals[number], policy)
            yield sofar

    def _symmetric(self, top: Tensor) -> Tensor:
        """The top's strategy, the mean over hands that differ in suits only."""
        if self.symmetry is None:
            return top
        mean = self.mean_of_suits(top)
        _check_alike((top - mean).abs().mean().item(), "before the deal")
        return mean

    def mean_of_suits(self, rows: Tensor) -> Tensor:
        """``[..., H]``: hands that differ in suits only have the mean."""
        if self.symmetry is None:
            return rows
        first = torch.as_tensor(self.symmetry.representative_hand)
        number = first.bincount(minlength=len(first))[first]
        return torch.zeros_like(rows).index_add_(-1, first, rows)[..., first] / number

    def _check_deals(self, policy: Policy[State], generator: np.random.Generator) -> None:
        """Whether the policy plays the same after deals that differ in suits only."""
        if self.symmetry is None:
            return
        outcomes = [self.game.chance_outcomes(leaf) for leaf in self.leaves]
        for number in generator.choice(len(outcomes[0]), CHECKED, replace=False).tolist():
            states = [of_leaf[number] for of_leaf in outcomes]
            there, hands = zip(*map(self.symmetry.representative, states), strict=True)
            here, other = self.below(states), self.below(there)
            difference = policy.at(here) - policy.at(other)[..., torch.as_tensor(hands[0])]
            nodes = here.forest.decisions  # those above a second deal, whose cards have another order there
            trees = zip(nodes.tree, nodes.node, strict=True)
            above = torch.tensor([not here.forest.trees[tree].dealt[node] for tree, node in trees])
            possible = torch.as_tensor(self.game.possible_hands(states[0]))
            _check_alike(difference[:, above][..., possible].abs().mean().item(), "after a deal")


class SoFar(Generic[State]):
    """What is known of a policy after some of the deals.

    Args:
        game: the game.
        top: ``[A, D, H]`` what is played before the deal.
        order: numbers of the deals, in the order in which they come.
    """

    def __init__(self, game: DealByDeal[State], top: Tensor, order: Sequence[int]) -> None:
        self._parts, self._strategy, self.order, self.done = game, top, order, 0
        forest = game.top.forest
        leaves = forest.leaves
        self._reach = rows_of(forest.reach(top), leaves.row) * game.belief[:, leaves.subgame]
        self._values = torch.zeros(2, 2, *self._reach.shape, dtype=torch.float64)
        """``[2, 2, 2, L, H]`` sums over every other deal: of the policy, and of best responses to it."""
        self._met = torch.zeros(2, game.game.num_hands, dtype=torch.float64)
        """``[2, H]`` how many of those left each hand possible."""

    def __len__(self) -> int:
        return len(self.order)

    @property
    def game(self) -> Game[State]:
        """The rules."""
        return self._parts.game

    @property
    def complete(self) -> bool:
        """Whether all deals are done: then numbers are exact."""
        return self.done == len(self.order)

    def add(self, deal: Deal[State], policy: Policy[State]) -> None:
        """Values a deal."""
        game, trees = self._parts.game, self._parts.below(deal.states)
        possible = torch.as_tensor(game.possible_hands(deal.states[0]))
        chance = deal.number * game.chance_probability(self._parts.leaves[0])
        found = root_values(trees.forest, policy.at(trees), self._reach * possible)
        self._values[self.done % 2] += chance * torch.stack(found)
        self._met[self.done % 2] += deal.number * possible
        self.done += 1

    def exploitability(self) -> Exploitability:
        """Of the policy, if all deals are like those that are done: too high if there are others."""
        parts = self._parts
        values = self._per_deal(self._values.sum(0), self._met.sum(0))
        return self._at_root(*root_values_above(parts.top.forest, self._strategy, parts.belief, values))

    def lower_estimate(self) -> Exploitability:
        """What responses earn that half of the deals choose, at the other half: on average too little.

        Of at least two deals.
        """
        parts = self._parts
        halves = [self._per_deal(*half) for half in zip(self._values, self._met, strict=True)]
        found = []
        for (_, chosen_by), below in (halves, halves[::-1]):
            above = parts.top.forest, self._strategy, parts.belief
            value, _ = root_values_above(*above, below)
            found.append((value, response_values_above(*above, chosen_by, below[1])))
        value, best = (torch.stack(each).mean(0) for each in zip(*found, strict=True))
        return self._at_root(value, best)

    def _per_deal(self, values: Tensor, met: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over some deals as if these were all: ``[2, L, H]`` of the policy, of best responses."""
        parts, met = self._parts, self._parts.mean_of_suits(met)
        # exactly 1 once all are there: they are whole numbers
        values = parts.mean_of_suits(values) * divide(parts.times_possible, met, torch.zeros_like(met))
        return values[0], values[1]

    def _at_root(self, value: Tensor, best: Tensor) -> Exploitability:
        return Exploitability.at_roots(self._parts.top.forest, self._parts.belief, value, best)


class AskedPolicy(Policy[State]):
    """What an agent answers that does not draw what it plays.

    Args:
        agent: the agent.
    """

    def __init__(self, agent: Agent[State]) -> None:
        self._agent = agent

    def at(self, trees: PublicTrees[State]) -> Tensor:
        return trees.policy(self._agent)  # with new seats: nothing is kept of one deal at the next


class NetworkPolicy(Policy[State]):
    """What a policy network plays: all of a deal's decisions at once.

    Args:
        agent: plays it.
    """

    def __init__(self, agent: PolicyNetworkAgent[State]) -> None:
        self._game, self._network = agent.game, agent.network
        self._above: Tensor
        """``[2, L, H]`` beliefs where the first cards are about to be dealt."""

    @torch.no_grad()
    def at(self, trees: PublicTrees[State]) -> Tensor:
        forest = trees.forest
        if trees.roots[0].actions:
            possible = torch.as_tensor(self._game.possible_hands(trees.roots[0].state)).to(self._above)
            dealt = after_deals(self._above.transpose(0, 1), possible.expand(len(trees.roots), -1))
            return self._network.strategy(forest, dealt.transpose(0, 1).contiguous())
        belief = torch.as_tensor(self._game.initial_beliefs)[:, None]
        strategy = self._network.strategy(forest, belief)
        self._above = forest.beliefs_at(forest.leaves, forest.reach(strategy, belief=belief), belief)
        return strategy


class SearchedPolicy(Policy[State]):
    """What an agent plays that searches, as :func:`~pokerlab.evaluation.policies.search_policy` has it.

    Args:
        agent: without gadgets.
        play_throughs: how many draws are averaged, of one that draws.
        seed: of these.
    """

    def __init__(self, agent: SearchAgent[State], play_throughs: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._game, self._like = agent.game, agent.resolving.like
        self._search: Searching[State] = Searching(
            agent.resolving, play_throughs if agent.draws else 0, generator
        )

    @torch.no_grad()
    def at(self, trees: PublicTrees[State]) -> Tensor:
        mixture = Mixture(trees)
        if trees.roots[0].actions:
            frontier = self._deal(trees)
            while len(frontier.states):
                frontier = self._search.play(frontier, mixture)
        else:
            self._above = self._search.play(Frontier.root(self._game, self._like), mixture)
        return mixture.strategy()

    def _deal(self, trees: PublicTrees[State]) -> Frontier[State]:
        """The belief states after a deal."""
        above, dealt = self._above.states, {line.states[-2]: line.state for line in trees.roots}
        states = [dealt[leaf] for leaf in above.states]
        possible = torch.as_tensor(self._game.possible_hands(trees.roots[0].state)).to(self._like)
        beliefs = after_deals(above.beliefs.transpose(0, 1), possible.expand(len(states), -1))
        return Frontier(BeliefStates(states, beliefs.transpose(0, 1).contiguous()), self._above.weight)


def policy_of(agent: Agent[State], *, play_throughs: int, seed: int) -> Policy[State]:
    """What is measured of an agent; arguments as of the classes above."""
    if isinstance(agent, SearchAgent) and agent.way != SEARCH_GADGET:
        return SearchedPolicy(agent, play_throughs, seed)
    return NetworkPolicy(agent) if isinstance(agent, PolicyNetworkAgent) else AskedPolicy(agent)


def _check_alike(difference: float, where: str) -> None:
    if not difference <= MOST_DIFFERENCE:
        raise ValueError(
            f"the agent tells hands apart that differ in suits only: {where} its probabilities differ by "
            f"{difference:.3g} on average; isomorphism=false measures it at every deal"
        )


def _why_not(game: Game[State]) -> str | None:
    """What keeps a game from being measured deal by deal."""
    if game.actor(game.root()) >= CHANCE:
        return f"{game.name} does not begin with a decision"
    tree = build_tree(game, game.root(), depth_limited=True)
    if not len(tree.leaves) or any(game.actor(leaf) != CHANCE for leaf in tree.leaves.states):
        return f"{game.name} is not bet on up to a deal, and after it"
    if isinstance(game, StreetStarts):
        states = 0.0
        for leaf in tree.leaves.states:
            states += game.count_below(game.chance_outcomes(leaf)[0])
            if states > MOST_BELOW:
                return f"{game.name} has more than {MOST_BELOW:,} public states below each deal"
    return None
