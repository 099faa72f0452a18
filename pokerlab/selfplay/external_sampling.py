"""Traversals by external sampling (Lanctot et al. 2009), for all hands of the traverser at once.

Public cards and the opponent's hand are dealt, and the opponent's actions are sampled; the traverser tries
all actions. Each of the traverser's hands that the cards leave possible takes part: for each of them it is
an ordinary traversal, and they share what was sampled. The loops are compiled.
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch

from pokerlab.games.base import CHANCE, LEAF, TERMINAL, Bools, Floats, Game, Ints, State
from pokerlab.loops import jit
from pokerlab.selfplay.public_game import PublicGame, PublicNodes


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


def compatibility(game: Game[State]) -> Floats:
    """``[H, H]`` how much more often two hands are dealt than independently; 0 if they share a card."""
    marginal = game.deal.sum(1)
    independent = np.outer(marginal, marginal)
    return np.divide(game.deal, independent, out=np.zeros_like(independent), where=independent > 0)


@dataclass(frozen=True, slots=True)
class Deals:
    """What is dealt in ``n`` traversals, and drawn."""

    run_out: Ints
    """``[n]`` the public cards."""
    hand: Ints
    """``[n]`` the opponent's."""
    row: Ints
    """``[n]`` where that hand's payoffs stand."""
    fractions: Floats
    """``[n, depth]`` for the opponent's decisions by how many of them lie above: those below different
    actions of the traverser never meet, and may share one."""


class ExternalSampling(Generic[State]):
    """Samples a game whose public states are listed.

    Args:
        listed: the game.
    """

    def __init__(self, listed: PublicGame[State]) -> None:
        self.listed, self._pairs = listed, compatibility(listed.game)
        game, possible = listed.game, listed.possible
        held = (game.deal.sum(1) * game.initial_beliefs)[:, None] * possible / possible.sum(0).clip(1)
        self._deals = np.cumsum(held.reshape(2, -1), 1)  # of each player: by run-out, then by hand

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
        spread = (torch.arange(n) + torch.rand(n, generator=generator, dtype=torch.float64)) / n
        held = self._deals[1 - player]
        deals = np.searchsorted(held, spread.numpy() * held[-1], side="right").clip(max=len(held) - 1)
        run_out, hand = np.divmod(deals, hands)
        dealt = Deals(run_out, hand, hand, draw_fractions(listed.nodes, player, n, generator))
        sampled, _ = traverse(
            listed.nodes, listed.possible, listed.payoff, self._pairs, strategy, player, dealt
        )
        return sampled


def draw_fractions(nodes: PublicNodes, player: int, n: int, generator: torch.Generator) -> Floats:
    """``[n, depth]`` of :class:`Deals`."""
    depth = int(nodes.decided[1 - player].max()) + 1
    drawn: Floats = torch.rand(n, depth, generator=generator, dtype=torch.float64).numpy()
    return drawn


def traverse(
    nodes: PublicNodes,
    possible: Bools,
    payoff: Floats,
    pairs: Floats,
    strategy: Floats,
    player: int,
    dealt: Deals,
    leaves: int = 0,
) -> tuple[Sampled, Bools]:
    """Traverses a game.

    Args:
        nodes: the game.
        possible: ``[R, H]`` hands that each run-out leaves possible.
        payoff: ``[M, K, H]`` by payoff kernel: opponent's hand, own hand.
        pairs: ``[H, H]`` of :func:`compatibility`.
        strategy: ``[D, A, H]``.
        player: who tries all actions.
        dealt: cards and draws.
        leaves: how many leaves there are.

    Returns:
        What was sampled, and ``[leaves]`` which of them were reached: these count as worth 0.
    """
    decisions, actions, hands = strategy.shape
    advantages, squares = np.zeros((decisions, actions, hands)), np.zeros(decisions)
    (weights, met), reached = np.zeros((2, decisions, hands)), np.zeros(leaves, np.bool_)
    touched = _traverse(
        nodes.kind, nodes.first, nodes.sibling, nodes.action, nodes.number, nodes.decided, nodes.dealt,
        nodes.kernel, nodes.chips, possible, payoff, pairs, strategy, player,
        dealt.run_out, dealt.hand, dealt.row, dealt.fractions, advantages, squares, weights, met, reached,
    )  # fmt: skip
    return Sampled(advantages, squares, weights, met, touched), reached


@jit
def _traverse(
    kind: Ints, first: Ints, sibling: Ints, action: Ints, number: Ints, decided: Ints, dealt: Ints,
    kernel: Ints, chips: Floats, possible: Bools, payoff: Floats, pairs: Floats,
    strategy: Floats, player: int, run_outs: Ints, hands: Ints, rows: Ints, fractions: Floats,
    advantages: Floats, squares: Floats, weights: Floats, met: Floats, reached: Bools,
) -> int:  # fmt: skip
    """Traverses a game; adds to the last five, and returns how many histories were touched."""
    width = pairs.shape[0]
    order, stack = np.empty(len(kind), np.int64), np.empty(len(kind), np.int64)
    values = np.zeros((len(kind), width))
    own = np.empty(width, np.int64)
    touched = 0
    for traversal in range(len(hands)):
        theirs, run_out = hands[traversal], run_outs[traversal]
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
                child = first[here]
                while child >= 0:
                    stack[waiting] = child
                    waiting += 1
                    child = sibling[child]
            elif actor == LEAF:
                reached[number[here]] = True
            elif actor != TERMINAL:
                met[number[here], theirs] += 1
                fraction = fractions[traversal, decided[1 - player, here]]
                child, chosen = first[here], first[here]
                while child >= 0:
                    chance = strategy[number[here], action[child], theirs]
                    if chance > 0:
                        chosen = child
                        fraction -= chance
                        if fraction < 0:
                            break
                    child = sibling[child]
                stack[waiting] = chosen
                waiting += 1
        touched += count * taking_part
        for place in range(count - 1, -1, -1):
            here = order[place]
            actor = kind[here]
            value = values[here]
            if actor == TERMINAL:
                end = number[here]
                stake, of_pairs = chips[end, player], payoff[kernel[end], rows[traversal]]
                for i in range(taking_part):
                    value[own[i]] = stake * of_pairs[own[i]]
            elif actor == player:
                d = number[here]
                for i in range(taking_part):
                    value[own[i]] = 0.0
                    weights[d, own[i]] += pairs[own[i], theirs]
                child = first[here]
                while child >= 0:
                    for i in range(taking_part):
                        value[own[i]] += strategy[d, action[child], own[i]] * values[child, own[i]]
                    child = sibling[child]
                child = first[here]
                while child >= 0:
                    for i in range(taking_part):
                        hand = own[i]
                        advantage = values[child, hand] - value[hand]
                        weighted = advantage * pairs[hand, theirs]
                        advantages[d, action[child], hand] += weighted
                        squares[d] += weighted * advantage
                    child = sibling[child]
            elif actor == LEAF:
                for i in range(taking_part):
                    value[own[i]] = 0.0
            else:  # the only state below that was visited came next
                below = order[place + 1]
                for i in range(taking_part):
                    value[own[i]] = values[below, own[i]]
    return touched
