"""External sampling of games that are too large to be listed: on deals of their public cards.

Some traversals share a deal. Streets are added where one of them comes, and networks asked about these alone;
then all of them are traversed as in a game that is listed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Generic

import numpy as np
import torch

from pokerlab.games.base import Floats, Game, Ints, State
from pokerlab.search.payoffs import payoffs_of_pairs
from pokerlab.selfplay.external_sampling import Deals, Sampled, compatibility, traverse
from pokerlab.selfplay.public_game import DealtGame

MOST_DEALS = 16
"""Streets that are dealt."""
DRAWS = 64
"""That are made at a time, for so many decisions of the opponent on one line."""

Ask = Callable[[DealtGame, int], Floats]
"""``[D − first, A, H]`` the strategies at the decisions from number ``first`` on."""


class Sampling(ABC, Generic[State]):
    """Samples a game deal by deal.

    Args:
        game: the rules; it has calling.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game, self._marginal = game, game.deal.sum(1)

    @abstractmethod
    def sample(self, ask: Ask, player: int, n: int, generator: torch.Generator) -> tuple[Floats, Sampled]:
        """Deals the public cards, and finds what ``n`` traversals come to.

        Args:
            ask: the networks.
            player: who tries all actions.
            n: how many traversals.
            generator: source of randomness.

        Returns:
            ``[D, A, H]`` the strategies, and what the traversals come to.
        """

    def held(self, player: int) -> Floats:
        """``[H]`` how often a player is dealt each hand that it may hold."""
        return self._marginal * self.game.initial_beliefs[player]

    def deal(self, player: int, draws: Floats) -> tuple[int, DealtGame[State]]:
        """A player's hand and public cards that it leaves, by ``[1 + MOST_DEALS]`` draws."""
        (hand,) = draw_hands(self.held(player), draws[:1])
        return int(hand), DealtGame(self.game, int(hand), draws[1:].tolist())


class DealtSampling(Sampling[State]):
    """Traverses each deal by external sampling."""

    def __init__(self, game: Game[State]) -> None:
        super().__init__(game)
        self._pairs = compatibility(game)

    def sample(self, ask: Ask, player: int, n: int, generator: torch.Generator) -> tuple[Floats, Sampled]:
        game = self.game
        draws = torch.rand(1 + MOST_DEALS + n, generator=generator, dtype=torch.float64).numpy()
        fractions = torch.rand(n, DRAWS, generator=generator, dtype=torch.float64).numpy()
        first, dealt = self.deal(1 - player, draws[: 1 + MOST_DEALS])
        possible = game.possible_hands(dealt.complete)[None]
        # given the cards, all hands that they leave possible are as likely as they were
        others = draw_hands(self.held(1 - player) * possible[0], draws[1 + MOST_DEALS : -1])
        hand = np.concatenate([[first], others])
        deals = Deals(np.zeros(n, np.int64), hand, np.arange(n), fractions)
        strategy = ask(dealt, 0)
        nobody, nothing = np.zeros_like(possible), np.zeros((1, n, game.num_hands))
        while True:
            nodes = dealt.nodes.with_kernels(np.zeros_like(dealt.nodes.kernel))
            while deals.fractions.shape[1] <= nodes.decided[1 - player].max():
                more = torch.rand(n, DRAWS, generator=generator, dtype=torch.float64).numpy()
                deals = replace(deals, fractions=np.concatenate([deals.fractions, more], 1))
            _, reached = traverse(
                nodes, nobody, nothing, self._pairs, strategy, player, deals, dealt.num_leaves
            )
            if not reached.any():
                break
            dealt.follow(reached)
            strategy = np.concatenate([strategy, ask(dealt, len(strategy))])
        kernels, kernel = np.unique(dealt.nodes.kernel, return_inverse=True)
        payoff = payoffs_of_pairs(game, kernels, hand)
        nodes = dealt.nodes.with_kernels(kernel)
        found, _ = traverse(nodes, possible, payoff, self._pairs, strategy, player, deals, dealt.num_leaves)
        return strategy, found


def draw_hands(weights: Floats, fractions: Floats) -> Ints:
    """Hands, by their weights."""
    summed = np.cumsum(weights)
    return np.searchsorted(summed, fractions * summed[-1], side="right").clip(max=len(weights) - 1)
