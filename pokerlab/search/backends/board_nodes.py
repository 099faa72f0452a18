"""What :mod:`pokerlab.search.backends.board_loops` does at a decision node, hands side by side.

Regrets and sums of strategies are numbers, or whole numbers times a scale of the node; which strategy
matches them does not depend on it.
"""

from typing import Any, NamedTuple

import numpy as np

from pokerlab.games.base import Bools, Ints
from pokerlab.games.payoff_tables import Floats
from pokerlab.loops import jit_for_numbers, jit_inline
from pokerlab.search.backends.boards import Blocks
from pokerlab.vectors import LANES, larger, largest, load, splat, store, where

NEGLIGIBLE = 1e-37
"""A scale below which a node's numbers are kept as zeros: its inverse would overflow."""


class Kept(NamedTuple):
    """What is kept from iteration to iteration: whole numbers times a scale for each node, or numbers."""

    regret: np.ndarray
    strategy_sum: np.ndarray
    regret_scale: Floats
    """``[D]``."""
    sum_scale: Floats
    """``[D]``."""
    most_sum: Floats
    """``[D]`` the largest sum of each node, or more."""
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
def scale_for(most: np.floating, weight: np.floating, limit: np.floating) -> tuple[np.floating, np.floating]:
    """The scale of numbers up to ``most``, and its inverse; 1, if they are kept as they are.

    The inverse is to be multiplied by ``weight``.
    """
    scale = inverse = type(limit)(1)
    if limit > 0:
        scale = most / limit
        inverse = type(limit)(1) / scale if scale > NEGLIGIBLE * (1 + weight) else type(limit)(0)
    return scale, inverse


@jit_inline
def matching(numbers: np.ndarray, actions: int, width: int, c: int, like: Floats) -> tuple[Any, Any]:
    """1 / the sum of the actions' positive numbers, or 0; and 0 or, where there are none, 1 / ``actions``.

    Vectors, for the hands from ``c`` on, of numbers like those of an array.
    """
    zero, one = splat(like.dtype.type(0)), splat(like.dtype.type(1))
    total = zero
    for action in range(actions):
        total = total + larger(load(numbers, action * width + c, zero), zero)
    uniform = splat(like.dtype.type(1) / like.dtype.type(actions))
    return where(total, zero, one / total, zero), where(total, zero, zero, uniform)


@jit_inline
def share(numbers: np.ndarray, at: int, inverse: Any, rest: Any, zero: Any) -> Any:
    """How often the hands from a place on take an action, see :func:`matching`."""
    return larger(load(numbers, at, zero), zero) * inverse + rest


@jit_inline
def averaged(kept: Kept, at: int, end: int, width: int, to: np.ndarray) -> np.ndarray:
    """What a node's average strategy matches, in ``to``: sums of strategies.

    Of hands whose sums are all 0, regrets: whole numbers have none for what is hardly ever reached.
    """
    for c in range(width):
        total = to.dtype.type(0)
        for place in range(at + c, end, width):
            total = max(total, kept.strategy_sum[place])
        for place in range(at + c, end, width):
            to[place - at] = kept.strategy_sum[place] if total > 0 else kept.regret[place]
    return to[: end - at]


@jit_inline
def reach_below(numbers: np.ndarray, actions: int, upper: Floats, below: Floats) -> None:
    """The reach below a node's actions, by the strategy that matches its numbers."""
    width, zero = upper.shape[0], splat(upper.dtype.type(0))
    for c in range(0, width, LANES):
        inverse, rest = matching(numbers, actions, width, c, upper)
        above = load(upper, c, zero)
        for action in range(actions):
            at = action * width + c
            store(below, at, above * share(numbers, at, inverse, rest, zero))


@jit_inline
def reach_and_sum(
    numbers: np.ndarray,
    actions: int,
    upper: Floats,
    below: Floats,
    kept: Kept,
    node: int,
    at: int,
    weight: np.floating,
    dither: Floats,
) -> None:
    """The same, which is also added to the node's sums of strategies; they begin at ``at``."""
    width, zero, sums = upper.shape[0], splat(upper.dtype.type(0)), kept.strategy_sum[at:]
    # sums are written as soon as they are known: the scale is for what they can be at most
    most = zero
    for c in range(0, width, LANES):
        most = larger(load(upper, c, zero), most)
    scale, inverse = scale_for(kept.most_sum[node] + weight * largest(most), weight, kept.limit)
    old, new = splat(kept.sum_scale[node] * inverse), splat(weight * inverse)
    kept.sum_scale[node], most = scale, zero
    for c in range(0, width, LANES):
        share_of, rest = matching(numbers, actions, width, c, upper)
        above = load(upper, c, zero)
        for action in range(actions):
            place = action * width + c
            reach = above * share(numbers, place, share_of, rest, zero)
            store(below, place, reach)
            total = load(sums, place, zero) * old + reach * new
            most = larger(total, most)
            store(sums, place, total + load(dither, place, zero))
    # whole numbers can be larger by one after rounding
    kept.most_sum[node] = (largest(most) + type(weight)(kept.limit > 0)) * scale


@jit_inline
def keep(numbers: Floats, most: Any, to: np.ndarray, limit: np.floating, dither: Floats) -> np.floating:
    """Writes a node's numbers as whole ones, or as they are.

    Whole numbers are rounded at random, so that they are right on average: the small steps of late
    iterations would be lost if each one was rounded to the nearest.

    Args:
        numbers: to write.
        most: a vector of which the largest number is the largest of their magnitudes.
        to: where.
        limit: ``Kept.limit``.
        dither: random numbers from −½ to below ½, or zeros, at least as many.

    Returns:
        The scale.
    """
    zero = splat(numbers.dtype.type(0))
    scale, inverse = scale_for(largest(most), limit * 0, limit)
    factor = splat(inverse)
    for c in range(0, numbers.shape[0], LANES):
        store(to, c, load(numbers, c, zero) * factor + load(dither, c, zero))
    return scale


@jit_inline
def weigh(
    numbers: np.ndarray, values: Floats, actions: int, width: int, c: int, inverse: Any, rest: Any
) -> Any:
    """A node's value for the hands from ``c`` on: its actions', weighted by the strategy."""
    zero = splat(values.dtype.type(0))
    worth = zero
    for action in range(actions):
        at = action * width + c
        worth = worth + load(values, at, zero) * share(numbers, at, inverse, rest, zero)
    return worth


@jit_inline
def add_average(numbers: np.ndarray, values: Floats, actions: int, upper: Floats) -> None:
    """Adds a node's value to that of the sequence above."""
    width, zero = upper.shape[0], splat(upper.dtype.type(0))
    for c in range(0, width, LANES):
        inverse, rest = matching(numbers, actions, width, c, upper)
        worth = weigh(numbers, values, actions, width, c, inverse, rest)
        store(upper, c, load(upper, c, zero) + worth)


@jit_inline
def best(values: Floats, actions: int, worth: Floats) -> None:
    """The best action's value."""
    width, zero = worth.shape[0], splat(worth.dtype.type(0))
    for c in range(0, width, LANES):
        most = load(values, c, zero)
        for action in range(1, actions):
            most = larger(load(values, action * width + c, zero), most)
        store(worth, c, most)


@jit_inline
def weigh_locked(locked: Bools, numbers: np.ndarray, values: Floats, actions: int, worth: Floats) -> None:
    """Where hands are locked, the value of what they play instead of the best."""
    width = worth.shape[0]
    for c in range(width):
        if locked[c]:
            total = worth.dtype.type(0)
            for action in range(actions):
                total += numbers[action * width + c]
            worth[c] = 0
            for action in range(actions):
                worth[c] += values[action * width + c] * (numbers[action * width + c] / total)


@jit_inline
def update(
    numbers: np.ndarray,
    scale: np.floating,
    values: Floats,
    actions: int,
    upper: Floats,
    positive: np.floating,
    negative: np.floating,
    lowest: np.floating,
) -> Any:
    """Adds a node's value to that of the sequence above; ``values`` become its regrets, the new ones added.

    Returns a vector of which the largest number is the largest of their magnitudes.
    """
    width, zero = upper.shape[0], splat(upper.dtype.type(0))
    up, down, floor = splat(positive * scale), splat(negative * scale), splat(lowest)
    most = zero
    for c in range(0, width, LANES):
        inverse, rest = matching(numbers, actions, width, c, upper)
        worth = weigh(numbers, values, actions, width, c, inverse, rest)
        store(upper, c, load(upper, c, zero) + worth)
        for action in range(actions):
            at = action * width + c
            before = load(numbers, at, zero)
            regret = before * where(before, zero, up, down) + (load(values, at, zero) - worth)
            regret = larger(regret, floor)
            store(values, at, regret)
            most = larger(larger(regret, zero - regret), most)
    return most


@jit_inline
def hold(locked: Bools, numbers: np.ndarray, regrets: Floats, actions: int, width: int) -> None:
    """Leaves the regrets of locked hands as they are."""
    for action in range(actions):
        for c in range(width):
            if locked[c]:
                regrets[action * width + c] = numbers[action * width + c]


@jit_for_numbers
def unpack_nodes(
    nodes: Ints,
    block_of: Ints,
    blocks: Blocks,
    row: Ints,
    numbers: np.ndarray,
    regrets: np.ndarray,
    out: Floats,
) -> None:
    """Strategies that match numbers, hand by hand.

    Args:
        nodes: ``[n]`` of which nodes.
        block_of: ``[n]`` their blocks.
        blocks: of the tree.
        row: ``[E]`` where each edge goes in ``out``; others than there are, nowhere.
        numbers: of edges.
        regrets: matched instead, where a hand's numbers are all 0.
        out: ``[n, H]`` is set; hands that are left out have the uniform strategy.
    """
    number = out.dtype.type
    for i in range(nodes.shape[0]):
        node, block = nodes[i], block_of[i]
        width, first_hand = blocks.width[block], blocks.hand_at[block]
        at, end = place_of(node, width, blocks)
        first, actions = blocks.first_edge[node], (end - at) // width
        uniform = number(1) / number(actions)
        for action in range(actions):
            if row[first + action] < 0 or row[first + action] >= out.shape[0]:
                continue
            to = out[row[first + action]]
            for h in range(to.shape[0]):
                to[h] = uniform
            for c in range(blocks.hand_at[block + 1] - first_hand):
                for matched in (numbers, regrets):
                    total = number(0)
                    for place in range(at + c, end, width):
                        total += max(number(matched[place]), number(0))
                    if total > 0:
                        own = max(number(matched[at + action * width + c]), number(0))
                        to[blocks.hand[first_hand + c]] = own / total
                        break


@jit_for_numbers
def pack_regrets(
    blocks: Blocks,
    edge: Ints,
    edges: Floats,
    kept: Kept,
    room: Floats,
    dither: Floats,
) -> None:
    """Sets regrets to numbers of edges ``[E, H]``.

    ``edge`` says which of the tree's each one is; ``room`` is for the widest node's numbers; ``dither`` is as
    for :func:`keep`.
    """
    zero = splat(room.dtype.type(0))
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
                    rows[action * width + c] = numbers[blocks.hand[first_hand + c]]
            most = zero
            for c in range(0, rows.shape[0], LANES):
                most = larger(larger(load(rows, c, zero), zero - load(rows, c, zero)), most)
            kept.regret_scale[node] = keep(rows, most, kept.regret[at:end], kept.limit, dither)
