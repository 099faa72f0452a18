"""Passes over a game in sequence form, compiled; see :mod:`pokerlab.search.sequence_game` for the axes."""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Bools, Floats, Ints
from pokerlab.loops import jit


class Nodes(NamedTuple):
    """Decision nodes, player by player, parents before children."""

    of_player: Ints
    """``[n + 1]`` where each player's begin, and their number."""
    first: Ints
    """``[D]`` first edge."""
    end: Ints
    """``[D]`` last edge + 1."""
    above: Ints
    """``[D]`` the sequence row of the actor's last own move."""


class Ends(NamedTuple):
    """What terminal states pay, ``T`` parts of payoffs."""

    row: Ints
    """``[T, n]`` each player's sequence row."""
    kernel: Ints
    """``[T]``."""
    chips: Floats
    """``[T, n]`` chips × the probability of chance moves."""
    kernels: Floats
    """``[K, n, H^(n−1), H]`` what a player wins of one chip: for the others' hands, the first other's most
    significant, and its own."""


class Rule(NamedTuple):
    """What iterations do to regrets and averages, see :class:`~pokerlab.search.rules.UpdateRule`."""

    positive: Floats
    """``[iterations]`` factors of positive regrets."""
    negative: Floats
    """``[iterations]`` of negative ones."""
    weight: Floats
    """``[iterations]`` in the average."""
    floor: bool
    predictive: bool


class Numbers(NamedTuple):
    """What CFR changes; ``[E, H]`` but for ``reach``."""

    regret: Floats
    strategy: Floats
    strategy_sum: Floats
    reach: Floats
    """``[R, H]``."""
    allowed: Bools
    """Actions that may be played."""


@jit
def set_reach(player: int, nodes: Nodes, strategy: Floats, reach: Floats) -> None:
    """Own reach of a player's sequences."""
    players, hands = len(nodes.of_player) - 1, reach.shape[1]
    for node in range(nodes.of_player[player], nodes.of_player[player + 1]):
        above = nodes.above[node]
        for edge in range(nodes.first[node], nodes.end[node]):
            for hand in range(hands):
                reach[players + edge, hand] = reach[above, hand] * strategy[edge, hand]


@jit
def add_end_values(player: int, ends: Ends, reach: Floats, values: Floats) -> None:
    """Adds what a player wins where the game ends to ``values`` ``[R, H]`` of its sequences."""
    players, hands = ends.row.shape[1], reach.shape[1]
    others = np.empty(ends.kernels.shape[2])
    for end in range(len(ends.kernel)):
        others[0], count = ends.chips[end, player], 1
        for other in range(players):
            if other == player:
                continue
            row = ends.row[end, other]
            for place in range(count - 1, -1, -1):  # backwards: in place
                mass = others[place]
                for hand in range(hands - 1, -1, -1):
                    others[place * hands + hand] = mass * reach[row, hand]
            count *= hands
        own, kernel = ends.row[end, player], ends.kernel[end]
        for place in range(count):
            mass = others[place]
            if mass != 0:
                for hand in range(hands):
                    values[own, hand] += mass * ends.kernels[kernel, player, place, hand]


@jit
def back_up_best(player: int, nodes: Nodes, allowed: Bools, values: Floats, chosen: Floats) -> None:
    """Adds the best actions' values up to the root, and marks them in ``chosen`` ``[E, H]``.

    Of actions that are equally good the first is taken.
    """
    players, hands = len(nodes.of_player) - 1, values.shape[1]
    for node in range(nodes.of_player[player + 1] - 1, nodes.of_player[player] - 1, -1):
        for hand in range(hands):
            best = -1
            for edge in range(nodes.first[node], nodes.end[node]):
                if allowed[edge, hand] and (
                    best < 0 or values[players + edge, hand] > values[players + best, hand]
                ):
                    best = edge
            if best >= 0:
                chosen[best, hand] = 1.0
                values[nodes.above[node], hand] += values[players + best, hand]


@jit
def iterate(step: int, nodes: Nodes, ends: Ends, rule: Rule, numbers: Numbers) -> None:
    """One iteration of CFR, number ``step`` of the rule's; players update in turn."""
    values = np.empty_like(numbers.reach)
    for player in range(len(nodes.of_player) - 1):
        values[:] = 0.0
        add_end_values(player, ends, numbers.reach, values)
        _update(player, nodes, step, rule, numbers, values)
        set_reach(player, nodes, numbers.strategy, numbers.reach)


@jit
def _update(player: int, nodes: Nodes, step: int, rule: Rule, numbers: Numbers, values: Floats) -> None:
    """Backs values up, and updates averages, regrets and the strategy on the way."""
    players, hands = len(nodes.of_player) - 1, values.shape[1]
    regret, strategy, allowed = numbers.regret, numbers.strategy, numbers.allowed
    positive, negative, weight = rule.positive[step], rule.negative[step], rule.weight[step]
    mean, total = np.empty(hands), np.empty(hands)
    for node in range(nodes.of_player[player + 1] - 1, nodes.of_player[player] - 1, -1):
        first, end, above = nodes.first[node], nodes.end[node], nodes.above[node]
        mean[:], total[:] = 0.0, 0.0
        for edge in range(first, end):
            for hand in range(hands):
                mean[hand] += strategy[edge, hand] * values[players + edge, hand]
                numbers.strategy_sum[edge, hand] += weight * numbers.reach[players + edge, hand]
        for hand in range(hands):
            values[above, hand] += mean[hand]
        for edge in range(first, end):
            for hand in range(hands):
                gain = values[players + edge, hand] - mean[hand]
                old = regret[edge, hand]
                new = old * (positive if old > 0 else negative) + gain
                if rule.floor and new < 0:
                    new = 0.0
                regret[edge, hand] = new
                if rule.predictive:
                    new += gain
                new = new if new > 0 and allowed[edge, hand] else 0.0
                strategy[edge, hand] = new
                total[hand] += new
        for hand in range(hands):
            if total[hand] > 0:
                for edge in range(first, end):
                    strategy[edge, hand] /= total[hand]
            else:
                _spread(first, end, hand, allowed, strategy)


@jit
def _spread(first: int, end: int, hand: int, allowed: Bools, strategy: Floats) -> None:
    """Every allowed action equally likely."""
    count = 0
    for edge in range(first, end):
        count += allowed[edge, hand]
    for edge in range(first, end):
        strategy[edge, hand] = allowed[edge, hand] / count
