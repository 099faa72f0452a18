"""Traversals by external sampling (Lanctot et al. 2009), for all hands of the traverser at once.

Public cards and the opponent's hand are dealt, and the opponent's actions are sampled; the traverser tries
all actions. Each of the traverser's hands that the cards leave possible takes part: for each of them it is
an ordinary traversal, and they share what was sampled. The loops are compiled.
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch

from pokerlab.games.base import CHANCE, TERMINAL, Bools, Floats, Ints, State
from pokerlab.loops import jit
from pokerlab.selfplay.public_game import PublicGame

MULTIPLIER, MODULUS = 48271, 2**31 - 1
"""Of the generator that a traversal draws from (Park, Miller 1988); each has a seed of its own."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What traversals of one player came to, added up by decision."""

    advantages: Floats
    """``[D, A, H]`` chips that each action wins more than the strategy does, times weights."""
    squares: Floats
    """``[D]`` the squares of these, over actions and hands, times weights."""
    weights: Floats
    """``[D, H]`` how often each of the traverser's hands came there, an unequal deal made up for.

    Deals of public cards that block a hand do not count as its: on all lines alike, so that the mean of its
    advantages is exact."""
    met: Floats
    """``[D, H]`` how often the opponent came to its decisions with each hand."""
    nodes: int
    """Histories touched: public states visited, each as often as hands took part."""


class ExternalSampling(Generic[State]):
    """Samples a game.

    Args:
        listed: the game.
    """

    def __init__(self, listed: PublicGame[State]) -> None:
        self.listed = listed
        deal = listed.game.deal
        self._marginal = deal.sum(1)
        both = np.outer(self._marginal, self._marginal)
        self._weight = np.divide(deal, both, out=np.zeros_like(deal), where=both > 0)
        chances = self._marginal * listed.possible / listed.possible.sum(0).clip(1)
        self._deals = np.cumsum(chances.flatten())  # by run-out, then by hand

    def sample(self, strategy: Floats, player: int, n: int, generator: torch.Generator) -> Sampled:
        """Traverses the game ``n`` times.

        Args:
            strategy: ``[D, A, H]`` of both players, float32.
            player: who tries all actions.
            n: how many traversals.
            generator: source of randomness.
        """
        listed, hands = self.listed, self.listed.game.num_hands
        # evenly spread: each deal comes as often as it should, up to one
        fractions = (torch.arange(n) + torch.rand(n, generator=generator, dtype=torch.float64)) / n
        deals = np.searchsorted(self._deals, fractions.numpy() * self._deals[-1], side="right")
        deals = deals.clip(max=len(self._deals) - 1)
        seeds = torch.randint(1, MODULUS, (n,), generator=generator).numpy()
        advantages = np.zeros((listed.num_decisions, strategy.shape[1], hands))
        squares = np.zeros(listed.num_decisions)
        weights, met = np.zeros((2, listed.num_decisions, hands))
        nodes = _traverse(
            listed.kind, listed.end, listed.action, listed.number, listed.dealt, listed.possible,
            listed.payoff, listed.kernel, listed.chips, self._weight, strategy, player,
            deals // hands, deals % hands, seeds, advantages, squares, weights, met,
        )  # fmt: skip
        return Sampled(advantages, squares, weights, met, nodes)


@jit
def _traverse(
    kind: Ints, end: Ints, action: Ints, number: Ints, dealt: Ints, possible: Bools,
    payoff: Floats, kernel: Ints, chips: Floats, pairs: Floats, strategy: Floats, player: int,
    run_outs: Ints, hands: Ints, seeds: Ints,
    advantages: Floats, squares: Floats, weights: Floats, met: Floats,
) -> int:  # fmt: skip
    """Traverses a game; adds to the last four, and returns how many histories were touched."""
    width = pairs.shape[0]
    order, stack = np.empty(len(kind), np.int64), np.empty(len(kind), np.int64)
    values = np.zeros((len(kind), width))
    own = np.empty(width, np.int64)
    nodes = 0
    for traversal in range(len(hands)):
        theirs, run_out = hands[traversal], run_outs[traversal]
        dice = seeds[traversal]
        taking_part = 0
        for hand in range(width):
            if pairs[hand, theirs] > 0 and possible[run_out, hand]:
                own[taking_part] = hand
                taking_part += 1
        count, waiting = 0, 1
        stack[0] = 0
        while waiting:
            waiting -= 1
            here = stack[waiting]
            order[count] = here
            count += 1
            actor = kind[here]
            if actor == CHANCE:
                stack[waiting] = dealt[number[here], run_out]
                waiting += 1
            elif actor == player:
                child = here + 1
                while child < end[here]:
                    stack[waiting] = child
                    waiting += 1
                    child = end[child]
            elif actor != TERMINAL:
                met[number[here], theirs] += 1
                dice = dice * MULTIPLIER % MODULUS
                fraction = dice / MODULUS
                child, chosen = here + 1, here + 1
                while child < end[here]:
                    chance = strategy[number[here], action[child], theirs]
                    if chance > 0:
                        chosen = child
                        fraction -= chance
                        if fraction < 0:
                            break
                    child = end[child]
                stack[waiting] = chosen
                waiting += 1
        nodes += count * taking_part
        for place in range(count - 1, -1, -1):
            here = order[place]
            actor = kind[here]
            value = values[here]
            if actor == TERMINAL:
                end_here = number[here]
                stake, of_pairs = chips[end_here, player], payoff[kernel[end_here], theirs]
                for i in range(taking_part):
                    value[own[i]] = stake * of_pairs[own[i]]
            elif actor == player:
                for i in range(taking_part):
                    value[own[i]] = 0.0
                child = here + 1
                while child < end[here]:
                    for i in range(taking_part):
                        hand = own[i]
                        value[hand] += strategy[number[here], action[child], hand] * values[child, hand]
                    child = end[child]
                for i in range(taking_part):
                    weights[number[here], own[i]] += pairs[own[i], theirs]
                child = here + 1
                while child < end[here]:
                    for i in range(taking_part):
                        hand = own[i]
                        advantage = values[child, hand] - value[hand]
                        weighted = advantage * pairs[hand, theirs]
                        advantages[number[here], action[child], hand] += weighted
                        squares[number[here]] += weighted * advantage
                    child = end[child]
            else:  # the only state below that was visited came next
                below = order[place + 1]
                for i in range(taking_part):
                    value[own[i]] = values[below, own[i]]
    return nodes
