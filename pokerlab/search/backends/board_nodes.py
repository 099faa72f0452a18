"""What :mod:`pokerlab.search.backends.board_loops` does at a decision node, hands side by side.

Regrets and sums of strategies are numbers, or whole numbers times a scale of the node; which strategy
matches them does not depend on it.
"""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Bools, Ints
from pokerlab.games.payoff_tables import Floats
from pokerlab.loops import jit_for_numbers, jit_inline
from pokerlab.search.backends.boards import Blocks


class Kept(NamedTuple):
    """What is kept from iteration to iteration: whole numbers times a scale for each node, or numbers."""

    regret: np.ndarray
    strategy_sum: np.ndarray
    regret_scale: Floats
    """``[D]``."""
    sum_scale: Floats
    """``[D]``."""
    limit: np.floating
    """The largest whole number but one; 0: numbers are kept as they are."""
    lock_of: Ints
    """``[D]`` which of ``locked`` a node has; −1: none."""
    locked: Bools
    """``[n, width]`` hands whose strategy is given: their regrets, numbers as they are, stay."""


@jit_inline
def place_of(node: int, width: int, blocks: Blocks) -> tuple[int, int]:
    """Where a node's regrets begin and where they end."""
    at = blocks.data_at[node]
    return at, at + (blocks.first_edge[node + 1] - blocks.first_edge[node]) * width


@jit_inline
def match(numbers: np.ndarray, actions: int, rows: Floats) -> None:
    """Row 1: 1 / the sum of positive numbers, or 0; row 2: 0, or where there are none, 1 / ``actions``."""
    total, inverse, rest, width = rows[0], rows[1], rows[2], rows.shape[1]
    number = total.dtype.type
    zero, one = number(0), number(1)
    uniform = one / number(actions)
    first = numbers[:width]
    for c in range(width):
        total[c] = max(number(first[c]), zero)
    for action in range(1, actions):
        more = numbers[action * width : (action + 1) * width]
        for c in range(width):
            total[c] += max(number(more[c]), zero)
    for c in range(width):
        some = total[c] > zero
        inverse[c] = one / total[c] if some else zero
        rest[c] = zero if some else uniform


@jit_inline
def share(numbers: np.ndarray, inverse: Floats, rest: Floats, upper: Floats, below: Floats) -> None:
    """The reach below an action."""
    number = upper.dtype.type
    for c in range(upper.shape[0]):
        below[c] = upper[c] * (max(number(numbers[c]), number(0)) * inverse[c] + rest[c])


@jit_inline
def add_to_sums(
    reach: Floats,
    sums: np.ndarray,
    scale: np.floating,
    weight: np.floating,
    room: Floats,
    limit: np.floating,
    most: Floats,
    unsigned: Ints,
    dither: Floats,
) -> np.floating:
    """Adds a node's own reach to its sums of strategies; the rest as for :func:`keep`."""
    number, summed = reach.dtype.type, room[: reach.shape[0]]
    for c in range(reach.shape[0]):
        summed[c] = number(sums[c]) * scale + weight * reach[c]
    return keep(summed, sums, limit, most, unsigned, dither)


@jit_inline
def keep(
    numbers: Floats, to: np.ndarray, limit: np.floating, most: Floats, unsigned: Ints, dither: Floats
) -> np.floating:
    """Writes a node's numbers as whole ones, or as they are.

    Whole numbers are rounded up or down at random, so that they are right on average: the small steps of late
    iterations would be lost if each one was rounded to the nearest.

    Args:
        numbers: to write.
        to: where.
        limit: ``Kept.limit``.
        most: room for one number.
        unsigned: an integer as wide as a number: all bits but that of the sign.
        dither: random numbers from 0 to below 1, at least as many.

    Returns:
        The scale.
    """
    number = numbers.dtype.type
    some, scale, inverse = number(0), number(1), number(1)
    if limit > 0:
        # found among the bits: of positive numbers, the largest has the largest
        bits, largest = numbers.view(unsigned.dtype), unsigned[0] & 0
        for c in range(bits.shape[0]):
            largest = max(largest, bits[c] & unsigned[0])
        most.view(unsigned.dtype)[0] = largest
        some = number(1)
        scale = most[0] / limit
        inverse = limit / most[0] if scale > 0 else number(0)
    for c in range(numbers.shape[0]):
        value = numbers[c] * inverse
        random = some * dither[c]
        to[c] = value + (random if value >= 0 else -random)
    return scale


@jit_inline
def best(values: Floats, worth: Floats) -> None:
    """The best action's value."""
    first = values[0]
    for c in range(worth.shape[0]):
        worth[c] = first[c]
    for action in range(1, values.shape[0]):
        value = values[action]
        for c in range(worth.shape[0]):
            worth[c] = max(worth[c], value[c])


@jit_inline
def hold(locked: Bools, numbers: np.ndarray, regrets: Floats) -> None:
    """Leaves the regrets of locked hands as they are."""
    width = regrets.shape[1]
    for action in range(regrets.shape[0]):
        for c in range(width):
            if locked[c]:
                regrets[action, c] = numbers[action * width + c]


@jit_inline
def weigh_locked(
    locked: Bools, numbers: np.ndarray, inverse: Floats, rest: Floats, values: Floats, worth: Floats
) -> None:
    """Where hands are locked, the value of what they play instead of the best."""
    number, width = worth.dtype.type, worth.shape[0]
    for c in range(width):
        if locked[c]:
            worth[c] = 0
            for action in range(values.shape[0]):
                played = max(number(numbers[action * width + c]), number(0)) * inverse[c] + rest[c]
                worth[c] += values[action, c] * played


@jit_inline
def weigh(numbers: np.ndarray, inverse: Floats, rest: Floats, values: Floats, worth: Floats) -> None:
    """A node's value: its actions', weighted by the strategy."""
    number, width = worth.dtype.type, worth.shape[0]
    for c in range(width):
        worth[c] = 0
    for action in range(values.shape[0]):
        value, old = values[action], numbers[action * width :]
        for c in range(width):
            worth[c] += value[c] * (max(number(old[c]), number(0)) * inverse[c] + rest[c])


@jit_inline
def update(
    numbers: np.ndarray,
    scale: np.floating,
    values: Floats,
    worth: Floats,
    positive: np.floating,
    negative: np.floating,
    lowest: np.floating,
) -> None:
    """Discounts a node's regrets and adds the new ones: to ``values``."""
    number, width = worth.dtype.type, worth.shape[0]
    positive *= scale
    negative *= scale
    for action in range(values.shape[0]):
        value, old = values[action], numbers[action * width :]
        for c in range(width):
            before = number(old[c])
            before *= positive if before > 0 else negative
            value[c] = max(before + (value[c] - worth[c]), lowest)


@jit_for_numbers
def unpack_nodes(
    nodes: Ints,
    block_of: Ints,
    blocks: Blocks,
    row: Ints,
    hand: Ints,
    numbers: np.ndarray,
    scale: Floats,
    out: Floats,
) -> None:
    """Strategies that match numbers, or the numbers themselves, hand by hand.

    Args:
        nodes: ``[n]`` of which nodes.
        block_of: ``[n]`` their blocks.
        blocks: of the tree.
        row: ``[E]`` where each edge goes in ``out``; others than there are, nowhere.
        hand: which of the game's hands each one is.
        numbers: of edges.
        scale: of each node, if numbers are wanted; else empty.
        out: ``[n, H]`` is set; hands that are left out have the uniform strategy, or 0.
    """
    number, matches = out.dtype.type, scale.shape[0] == 0
    for i in range(nodes.shape[0]):
        node, block = nodes[i], block_of[i]
        width, first_hand = blocks.width[block], blocks.hand_at[block]
        at, end = place_of(node, width, blocks)
        first, actions = blocks.first_edge[node], (end - at) // width
        uniform = number(1) / number(actions)
        for action in range(actions):
            if row[first + action] < 0 or row[first + action] >= out.shape[0]:
                continue
            to, own = out[row[first + action]], numbers[at + action * width : at + (action + 1) * width]
            for h in range(to.shape[0]):
                to[h] = uniform if matches else number(0)
            for c in range(blocks.hand_at[block + 1] - first_hand):
                if not matches:
                    to[hand[first_hand + c]] = number(own[c]) * scale[node]
                    continue
                total = number(0)
                for other in range(actions):
                    total += max(number(numbers[at + other * width + c]), number(0))
                if total > 0:
                    to[hand[first_hand + c]] = max(number(own[c]), number(0)) / total


@jit_for_numbers
def pack_regrets(
    blocks: Blocks,
    edge: Ints,
    hand: Ints,
    edges: Floats,
    kept: Kept,
    room: Floats,
    most: Floats,
    unsigned: Ints,
    dither: Floats,
) -> None:
    """Sets regrets to numbers of edges ``[E, H]``.

    ``edge`` says which of the tree's each one is; ``hand`` is as for :func:`unpack_nodes`, the last arguments
    as for :func:`keep`; ``room`` is for the widest node's numbers.
    """
    for block in range(blocks.width.shape[0]):
        width, first_hand = blocks.width[block], blocks.hand_at[block]
        for node in range(blocks.node_at[block, 0], blocks.node_at[block, 2]):
            at, end = place_of(node, width, blocks)
            rows = room[: end - at]
            for c in range(rows.shape[0]):
                rows[c] = 0
            for action in range((end - at) // width):
                numbers = edges[edge[blocks.first_edge[node] + action]]
                for c in range(blocks.hand_at[block + 1] - first_hand):
                    rows[action * width + c] = numbers[hand[first_hand + c]]
            kept.regret_scale[node] = keep(rows, kept.regret[at:end], kept.limit, most, unsigned, dither)
