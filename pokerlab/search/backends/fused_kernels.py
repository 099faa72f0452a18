"""Kernels of an iteration on a GPU, see :mod:`pokerlab.search.backends.fused`.

A thread has a hand of a subgame, of a terminal or of a leaf; what neighbouring threads read is side by side.
"""

# mypy: disable-error-code="no-untyped-def"

from functools import cache
from typing import Any

import torch

from pokerlab.cuda import NUMBERS, Kernel, numba_cuda
from pokerlab.games.dense_payoffs import LEAST


def _weigh(reach, belief, row, subgame, board, boards, weighed, first):
    """``weighed[p, t, h]``: what the hands of the opponent of player ``first + p`` come with."""
    t, p = numba_cuda.blockIdx.x, numba_cuda.blockIdx.y
    opponent = 1 - first - p
    above, root, possible = row[opponent, t], subgame[t], board[t]
    for h in range(numba_cuda.threadIdx.x, reach.shape[1], numba_cuda.blockDim.x):
        weighed[p, t, h] = reach[above, h] * belief[opponent, root, h] * boards[possible, h]


WEIGH = Kernel(_weigh, "weigh")


FOLD, HALF, WHOLE = 0, 1, 2
"""How a terminal is valued: at once, or by a product of a matrix in float16, or in the numbers' own type."""
MOST_THREADS = 128
"""In a block that shares memory."""


def card_sums(number: Any) -> Any:
    """A function for a block: each card's sum over the hands that hold it; returns that over all hands."""
    zero, half = number(0), number(0.5)

    def sum_cards(met, of_card, hands_of):
        numba_cuda.syncthreads()
        for card in range(numba_cuda.threadIdx.x, hands_of.shape[0], numba_cuda.blockDim.x):
            total = zero
            for i in range(hands_of.shape[1]):
                total += met[hands_of[card, i]]
            of_card[card] = total
        numba_cuda.syncthreads()
        total = zero
        for card in range(hands_of.shape[0]):
            total += of_card[card]
        return total * half  # a hand has two cards

    return numba_cuda.jit(device=True)(sum_cards)


@cache
def leaves_kernel(hands: int, cards: int, dtype: torch.dtype) -> Kernel:
    """Beliefs at leaves, and what hands meet there, in a game of cards: as
    :class:`~pokerlab.games.dense_payoffs.CardMass` has it. Blocks are leaves × players.
    """
    number: Any = NUMBERS[dtype]
    zero, sum_cards = number(0), card_sums(number)

    def set_beliefs(reach, hands_of, cards_of, weights, belief, mass, first, last):
        met = numba_cuda.shared.array(hands, number)
        of_card = numba_cuda.shared.array(cards, number)
        leaf, player = numba_cuda.blockIdx.x, numba_cuda.blockIdx.y
        thread, threads = numba_cuda.threadIdx.x, numba_cuda.blockDim.x
        for h in range(thread, hands, threads):
            met[h] = reach[player, leaf, h]
        total = sum_cards(met, of_card, hands_of)
        if total > zero:
            for h in range(thread, hands, threads):
                belief[1 - player, leaf, h] = met[h] / total
        if first <= player < last:
            least = weights[1] * total
            for h in range(thread, hands, threads):
                others = met[h] + (total - of_card[cards_of[h, 0]] - of_card[cards_of[h, 1]])
                found = weights[0] * others
                mass[player - first, leaf, h] = zero if found < least else found

    return Kernel(set_beliefs, f"beliefs in {hands} hands of {cards} cards in {dtype}")


@cache
def terminals_kernel(hands: int, cards: int, dtype: torch.dtype) -> Kernel:
    """Terminals of a game of cards, each a block: what folds are worth, and what matrices multiply else.

    See :class:`~pokerlab.search.backends.fused_terminals.DenseTerminals`.
    """
    number: Any = NUMBERS[dtype]
    zero, least, sum_cards = number(0), number(LEAST), card_sums(number)

    def value_terminals(
        reach, weights, row, subgame, kind, to, second, board, possible, hands_of, cards_of,
        weight, worth, scale, halves, wholes, opponent, first_whole,
    ):  # fmt: skip
        met = numba_cuda.shared.array(hands, number)
        of_card = numba_cuda.shared.array(cards, number)
        most = numba_cuda.shared.array(MOST_THREADS, number)
        t, thread, threads = numba_cuda.blockIdx.x, numba_cuda.threadIdx.x, numba_cuda.blockDim.x
        above, root, there = row[opponent, t], subgame[t], to[t]
        if kind[t] == WHOLE:
            for h in range(thread, hands, threads):
                wholes[there - first_whole, h] = reach[above, h] * weights[opponent, root, h]
        elif kind[t] == HALF:
            largest = zero
            for h in range(thread, hands, threads):
                comes = reach[above, h] * weights[opponent, root, h]
                met[h] = comes
                if comes > largest:
                    largest = comes
            most[thread] = largest
            numba_cuda.syncthreads()
            size = threads
            while size > 1:
                rest = (size + 1) // 2
                if thread < size - rest and most[thread + rest] > most[thread]:
                    most[thread] = most[thread + rest]
                numba_cuda.syncthreads()
                size = rest
            largest = most[0] if most[0] > least else least
            if thread == 0:
                scale[there] = largest
                scale[second[t]] = largest
            for h in range(thread, hands, threads):
                share = met[h] / largest
                halves[there, h] = share
                halves[second[t], h] = share - number(halves[there, h])
        else:
            for h in range(thread, hands, threads):
                met[h] = reach[above, h] * weights[opponent, root, h] * possible[board[t], h]
            total = sum_cards(met, of_card, hands_of)
            for h in range(thread, hands, threads):
                others = met[h] + (total - of_card[cards_of[h, 0]] - of_card[cards_of[h, 1]])
                worth[there, h] = weight[0] * others * possible[board[t], h]

    return Kernel(value_terminals, f"terminals of {hands} hands of {cards} cards in {dtype}")


@cache
def update_kernel(width: int, dtype: torch.dtype) -> Kernel:
    """A player's update: values from the leaves upward, regrets, the new strategy, and its reach downward.

    Blocks are subgames × parts of their hands. See :class:`~pokerlab.search.backends.fused_layout.Walk` for
    what it walks over.

    Args:
        width: the most actions of a node.
        dtype: of all numbers.
    """
    number: Any = NUMBERS[dtype]
    zero = number(0)

    @numba_cuda.jit(device=True)
    def add_up(edge, h, source_at, source, factor, scale, worth, leaf_values):
        """The counterfactual value of an edge, or of a root."""
        value = zero
        for s in range(source_at[edge], source_at[edge + 1]):
            row = source[s]
            if row >= 0:
                value += factor[s] * scale[row] * worth[row, h]
            else:
                value += leaf_values[-1 - row, h]
        return value

    def update(
        now, strategy, regret, strategy_sum, reach, value_sum, root_values, worth, scale, leaf_values,
        node_at, node, above, uniform, first_edge, source_at, source, factor,
        player, first_value, floor, predictive,
    ):  # fmt: skip
        b, hands, decisions = numba_cuda.blockIdx.x, strategy.shape[2], strategy.shape[1]
        weight, positive, ratio = now[0], now[1], now[2]
        first_row, root = 2 * value_sum.shape[1], first_edge[first_edge.shape[0] - 1] + b
        values = numba_cuda.local.array(width, number)
        begin = numba_cuda.blockIdx.y * numba_cuda.blockDim.x + numba_cuda.threadIdx.x
        for h in range(begin, hands, numba_cuda.gridDim.y * numba_cuda.blockDim.x):
            for k in range(node_at[b + 1] - 1, node_at[b] - 1, -1):
                d, first = node[k], first_edge[k]
                fanout = first_edge[k + 1] - first
                mean = zero
                for a in range(fanout):
                    values[a] = add_up(first + a, h, source_at, source, factor, scale, worth, leaf_values)
                    mean += strategy[a, d, h] * values[a]
                worth[first_value + k, h] = mean
                total = zero
                for a in range(fanout):
                    gained, sum_before = values[a] - mean, regret[a, d, h]
                    if sum_before < zero:
                        sum_before *= ratio
                    summed = gained + positive * sum_before
                    if floor and summed < zero:
                        summed = zero
                    regret[a, d, h] = summed
                    if predictive:
                        summed += gained
                    values[a] = summed if summed > zero else zero
                    total += values[a]
                for a in range(fanout):
                    strategy[a, d, h] = values[a] / total if total > zero else uniform[k]
            value = add_up(root, h, source_at, source, factor, scale, worth, leaf_values)
            root_values[player, b, h] = value
            value_sum[player, b, h] += weight * value
            for k in range(node_at[b], node_at[b + 1]):
                d, comes = node[k], reach[above[k], h]
                for a in range(first_edge[k + 1] - first_edge[k]):
                    row = first_row + a * decisions + d
                    strategy_sum[a, d, h] += weight * reach[row, h]
                    reach[row, h] = strategy[a, d, h] * comes

    return Kernel(update, f"update of up to {width} actions in {dtype}")
