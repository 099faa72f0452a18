"""Public chance sampling (Johanson et al. 2012, "Efficient Nash equilibrium approximation through Monte Carlo
counterfactual regret minimization"): only the public cards are drawn.

On these, what traversals by external sampling find is computed as it is on average: of all hands and actions
of both players. That visits every public state which the cards leave, so it is for games with few of them.
"""

from collections.abc import Iterator

import numpy as np
import torch

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Bools, Floats, Game, State
from pokerlab.search.payoffs import outcomes
from pokerlab.selfplay.dealt_sampling import MOST_DEALS, Ask, Sampling
from pokerlab.selfplay.external_sampling import Sampled
from pokerlab.selfplay.public_game import DealtGame, PublicNodes

MOST_STATES = 10_000
"""Public states that a deal may leave."""


def check_deals_are_small(game: Game[State]) -> None:
    """Checks that all public states which a deal leaves can be visited.

    Raises:
        ValueError: they are too many.
    """
    dealt = DealtGame(game, 0, [0.5] * MOST_DEALS)
    while add_street(dealt):
        if len(dealt.nodes.kind) > MOST_STATES:
            raise ValueError(
                f"sampling=public_chance visits all public states of a deal, at most {MOST_STATES:,}: "
                f"{game.name} has more"
            )


class PublicChanceSampling(Sampling[State]):
    """Finds what traversals that share a deal come to on average.

    Decisions are left out as often as traversals would miss them, and the others count more for it: so
    examples are as many, and weigh about as much, as those of traversals.
    """

    def __init__(self, game: Game[State]) -> None:
        super().__init__(game)
        self._deal = torch.as_tensor(game.deal)

    def sample(self, ask: Ask, player: int, n: int, generator: torch.Generator) -> tuple[Floats, Sampled]:
        draws = torch.rand(1 + MOST_DEALS, generator=generator, dtype=torch.float64).numpy()
        _, dealt = self.deal(1 - player, draws)
        strategy = ask(dealt, 0)
        while add_street(dealt):
            strategy = np.concatenate([strategy, ask(dealt, len(strategy))])
        found = self.expect(dealt, strategy, player, n)
        come = (found.weights * self._marginal + found.met).sum(1)  # how many traversals
        kept = torch.rand(len(come), generator=generator, dtype=torch.float64).numpy() < come
        share = np.where(kept, 1 / come.clip(1e-30, 1), 0)
        return strategy, Sampled(
            found.advantages * share[:, None, None],
            found.squares * share,
            found.weights * share[:, None],
            found.met * share[:, None],
            found.nodes,
        )

    def expect(self, dealt: DealtGame[State], strategy: Floats, player: int, n: int) -> Sampled:
        """What ``n`` traversals of a deal come to on average; all its streets have been added.

        Args:
            dealt: the game.
            strategy: ``[D, A, H]``.
            player: who tries all actions.
            n: how many traversals.
        """
        nodes, possible = dealt.nodes, self.game.possible_hands(dealt.complete)
        reach = self._reach(nodes, strategy, player, possible, n)
        values = self._values(nodes, strategy, player, reach, possible)
        advantages, (weights, met) = np.zeros(strategy.shape), np.zeros((2, len(strategy), len(possible)))
        for d, here in enumerate(nodes.decisions):
            if nodes.kind[here] == player:
                for below in children(nodes, here):
                    advantages[d, nodes.action[below]] = values[below] - values[here]
        mine = nodes.actor == player
        there = torch.as_tensor(reach[nodes.decisions])
        weights[mine] = (there[mine] @ self._deal).numpy() * possible / self._marginal
        met[~mine] = there[~mine].numpy() * self._marginal
        squares = (advantages**2 / weights.clip(1e-30)[:, None]).sum((1, 2))
        return Sampled(advantages, squares, weights, met, len(nodes.kind) * int(possible.sum()))

    def _reach(self, nodes: PublicNodes, strategy: Floats, player: int, possible: Bools, n: int) -> Floats:
        """``[N, H]`` how many of ``n`` traversals come to each state with each hand of the opponent, divided
        by how likely the hand is dealt."""
        reach = np.zeros((len(nodes.kind), len(possible)))
        reach[0] = self.game.initial_beliefs[1 - player] * possible
        reach[0] *= n / (reach[0] @ self._marginal)
        for here in range(len(nodes.kind)):
            for below in children(nodes, here):
                reach[below] = reach[here]
                if nodes.kind[here] == 1 - player:
                    reach[below] *= strategy[nodes.number[here], nodes.action[below]]
        return reach

    def _values(
        self, nodes: PublicNodes, strategy: Floats, player: int, reach: Floats, possible: Bools
    ) -> Floats:
        """``[N, H]`` chips that each hand of the player wins, in sum over traversals that come there."""
        values = np.zeros_like(reach)
        ends = np.flatnonzero(nodes.kind == TERMINAL)
        number = nodes.number[ends]
        won = outcomes(self.game, nodes.kernel[number], torch.as_tensor(reach[ends])).numpy()
        values[ends] = won * nodes.chips[number, player, None] * possible / self._marginal
        for here in reversed(range(len(nodes.kind))):
            for below in children(nodes, here):
                mine = nodes.kind[here] == player
                share = strategy[nodes.number[here], nodes.action[below]] if mine else 1.0
                values[here] += share * values[below]
        return values


def add_street(dealt: DealtGame[State]) -> bool:
    """Adds the streets that come next, if there are any."""
    leaves = dealt.nodes.number[dealt.nodes.kind == LEAF]
    dealt.follow(np.isin(np.arange(dealt.num_leaves), leaves))
    return bool(leaves.size)


def children(nodes: PublicNodes, here: int) -> Iterator[int]:
    """The states below one; below chance, the one that was dealt."""
    below = nodes.dealt[nodes.number[here], 0] if nodes.kind[here] == CHANCE else nodes.first[here]
    while below >= 0:
        yield below
        below = nodes.sibling[below]
