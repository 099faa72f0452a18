"""CFR in depth, board by board: compiled loops over :mod:`pokerlab.search.backends.boards`."""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Ints
from pokerlab.games.payoff_loops import value_lists
from pokerlab.games.payoff_tables import Floats
from pokerlab.lanes import fetch, scatter_lanes, transpose_lanes
from pokerlab.loops import jit_for_numbers, jit_inline
from pokerlab.search.backends.board_nodes import (
    Kept,
    add_average,
    averaged,
    best,
    hold,
    keep,
    place_of,
    reach_and_sum,
    reach_below,
    update,
    weigh_locked,
)
from pokerlab.search.backends.boards import Blocks
from pokerlab.vectors import LANES

ITERATE, AVERAGE, BEST = 0, 1, 2
"""What a pass does: updates a player, or values its average strategy or best response against the other's
average strategy."""
DITHER = 4096
"""Random numbers to choose a node's from."""


class Pass(NamedTuple):
    """One pass over the tree."""

    mode: int
    player: int
    """Who is updated, or whose values are wanted."""
    positive: np.floating
    """What positive regrets are multiplied by before this iteration's are added."""
    negative: np.floating
    lowest: np.floating
    """Regrets are cut off here."""
    own_weight: np.floating
    """Of the player's strategy in averages; 0: it is not added in this pass."""
    other_weight: np.floating
    """The same for the other's."""
    seed: int
    """Of rounding."""


class Room(NamedTuple):
    """Where a thread works."""

    own: Floats
    """Reach and values of the blocks on the way down, see ``Blocks.room``."""
    rows: Floats
    """Two, or as many as a node has."""
    numbers: np.ndarray
    """As many, like those that are kept."""
    dither: Floats
    """See :func:`~pokerlab.search.backends.board_nodes.keep`: ``DITHER`` and a node's numbers."""
    belief: Floats
    """``[width]`` the other's, of a block's hands."""
    mass: Floats
    """``[width, LANES]``."""
    outcome: Floats
    sums: Floats
    """``[n, LANES]``, see :func:`value_lists`."""
    places: Ints
    """``[4, LANES]``."""
    chips: Floats
    """``[LANES]``."""


@jit_for_numbers
def walk_blocks(
    first: int, last: int, blocks: Blocks, kept: Kept, what: Pass, top: Floats, total: Floats, room: Room
) -> None:
    """Goes through some children of the first block and all below them.

    Args:
        first: where to begin.
        last: where to end, exclusive.
        blocks: of the tree.
        kept: is updated.
        what: to do.
        top: the workspace of the first block.
        total: the values of its rows are added here.
        room: of this thread.
    """
    stack, child = room.places[2], room.places[3]
    for block in range(first, last):
        depth = 0
        stack[0] = block
        child[0] = blocks.first_child[block]
        go_down(block, 0, 1, blocks, kept, what, top, room.own, room)
        while depth >= 0:
            here = stack[depth]
            if child[depth] < blocks.last_child[here]:
                below = child[depth]
                child[depth] += 1
                depth += 1
                stack[depth] = below
                child[depth] = blocks.first_child[below]
                go_down(below, here, depth + 1, blocks, kept, what, room.own, room.own, room)
                continue
            come_up(here, depth + 1, blocks, kept, what, room.own, room)
            if depth > 0:
                values_at = blocks.room[depth, 2]
                add_entries(
                    here, stack[depth - 1], depth + 1, what.player, blocks, room.own, room.own[values_at:]
                )
            else:
                add_entries(here, 0, 1, what.player, blocks, room.own, total)
            depth -= 1


@jit_for_numbers
def go_down(
    block: int,
    parent: int,
    level: int,
    blocks: Blocks,
    kept: Kept,
    what: Pass,
    above: Floats,
    own: Floats,
    room: Room,
) -> None:
    """Sets the reach of a block's rows, values to zero, and adds to the sums of the player's strategies.

    Args:
        block: which.
        parent: the block above; −1: the first block's entries are there.
        level: how deep the block is.
        blocks: of the tree.
        kept: sums are added to.
        what: to do.
        above: the workspace of the block above.
        own: of this one.
        room: of this thread.
    """
    width, player, values_at = blocks.width[block], what.player, blocks.room[level, 2]
    if what.own_weight > 0:
        # the player's reach is of use until the values come, if there is no block below
        last = blocks.first_child[block] == blocks.last_child[block]
        reach = own[values_at if last else blocks.room[level, player] :]
        set_reach(block, parent, level, player, blocks, kept, what, what.own_weight, above, reach, room)
    first, end = blocks.node_at[block, player], blocks.node_at[block, player + 1]
    rows = blocks.first_edge[end] - blocks.first_edge[first]
    rows += blocks.entry_at[player, block + 1] - blocks.entry_at[player, block]
    own[values_at : values_at + rows * width] = 0
    reach = own[blocks.room[level, 1 - player] :]
    set_reach(block, parent, level, 1 - player, blocks, kept, what, what.other_weight, above, reach, room)


@jit_for_numbers
def set_reach(
    block: int,
    parent: int,
    level: int,
    who: int,
    blocks: Blocks,
    kept: Kept,
    what: Pass,
    weight: np.floating,
    above: Floats,
    reach: Floats,
    room: Room,
) -> None:
    """One player's reach of a block's rows: to ``reach``; the rest as for :func:`go_down`.

    With a ``weight``, in an iteration, strategies are added to the sums.
    """
    width = blocks.width[block]
    if parent >= 0:
        bring_entries(block, parent, level, who, blocks, above, reach)
    first, last = blocks.node_at[block, who], blocks.node_at[block, who + 1]
    for node in range(first, last):
        at, end = place_of(node, width, blocks)
        if node + 1 < last:
            fetch(kept.regret, *place_of(node + 1, width, blocks))
            if weight > 0 or what.mode != ITERATE:
                fetch(kept.strategy_sum, *place_of(node + 1, width, blocks))
        above_at, row, actions = blocks.row_above[node] * width, blocks.row[node] * width, (end - at) // width
        upper, below = reach[above_at : above_at + width], reach[row : row + end - at]
        if weight > 0:
            # the same, whether they are added in this pass or ahead, in the other's before
            random = dither_of(node, what.seed - (who == what.player), room)
            reach_and_sum(kept.regret[at:end], actions, upper, below, kept, node, at, weight, random)
        elif what.mode == ITERATE:
            reach_below(kept.regret[at:end], actions, upper, below)
        else:
            reach_below(averaged(kept, at, end, width, room.numbers), actions, upper, below)


@jit_inline
def dither_of(node: int, seed: int, room: Room) -> Floats:
    """What a node's numbers are rounded by: other numbers at every node and in every pass."""
    return room.dither[(node * 619 + seed * 2029) % DITHER :]


@jit_inline
def bring_entries(
    block: int, parent: int, level: int, who: int, blocks: Blocks, above: Floats, reach: Floats
) -> None:
    """The reach of a block's entries, from the block above."""
    width, stride = blocks.width[block], blocks.width[parent]
    places = blocks.above[blocks.hand_at[block] : blocks.hand_at[block + 1]]
    hands, first = places.shape[0], blocks.entry_at[who, block]
    for entry in range(blocks.entry_at[who, block + 1] - first):
        at = blocks.room[level - 1, who] + blocks.entry[who, first + entry] * stride
        before, here = above[at : at + stride], reach[entry * width : (entry + 1) * width]
        for c in range(hands):
            here[c] = before[places[c]]
        for c in range(hands, width):
            here[c] = 0


@jit_for_numbers
def come_up(block: int, level: int, blocks: Blocks, kept: Kept, what: Pass, own: Floats, room: Room) -> None:
    """Values a block's rows, and updates the player's regrets.

    Args:
        block: which.
        level: how deep it is.
        blocks: of the tree.
        kept: regrets are updated.
        what: to do.
        own: the workspace of the block; its values have what comes from the blocks below.
        room: of this thread.
    """
    width, player = blocks.width[block], what.player
    value_ends(block, level, blocks, what, own, room)
    values = own[blocks.room[level, 2] :]
    first, last = blocks.node_at[block, player], blocks.node_at[block, player + 1]
    worth = room.rows[:width]
    for node in range(last - 1, first - 1, -1):
        actions = blocks.first_edge[node + 1] - blocks.first_edge[node]
        if node > first:
            fetch(kept.regret, *place_of(node - 1, width, blocks))
        at, row, above = blocks.data_at[node], blocks.row[node] * width, blocks.row_above[node] * width
        end = at + actions * width
        numbers, here = kept.regret[at:end], values[row : row + actions * width]
        upper, lock = values[above : above + width], kept.lock_of[node]
        if what.mode != ITERATE:
            numbers = averaged(kept, at, end, width, room.numbers)
        if what.mode == BEST:
            best(here, actions, worth)
            if lock >= 0:
                weigh_locked(kept.locked[lock], numbers, here, actions, worth)
            for c in range(width):
                upper[c] += worth[c]
        elif what.mode == AVERAGE:
            add_average(numbers, here, actions, upper)
        else:
            most = update(
                numbers, kept.regret_scale[node], here, actions, upper, what.positive, what.negative,
                what.lowest,
            )  # fmt: skip
            if lock >= 0:
                hold(kept.locked[lock], numbers, here, actions, width)
            kept.regret_scale[node] = keep(here, most, numbers, kept.limit, dither_of(node, what.seed, room))


@jit_inline
def value_ends(block: int, level: int, blocks: Blocks, what: Pass, own: Floats, room: Room) -> None:
    """Adds what a block's terminals pay to the player's rows."""
    width, first_hand, player = blocks.width[block], blocks.hand_at[block], what.player
    hands = blocks.hand_at[block + 1] - first_hand
    members = blocks.members[3 * first_hand : 3 * (first_hand + hands)]
    group_end = blocks.group_end[3 * first_hand : 3 * (first_hand + hands)]
    rows = blocks.list_row[4 * first_hand : 4 * (first_hand + hands)].reshape(4, hands)
    reach_at, values_at = blocks.room[level, 1 - player], blocks.room[level, 2]
    from_row, to_row, chips = room.places[0], room.places[1], room.chips
    mass, outcome = room.mass, room.outcome
    for c in range(hands):
        room.belief[c] = blocks.belief[1 - player, blocks.hand[first_hand + c]]
    for c in range(hands, width):
        room.belief[c] = 0
    for kind in range(2):
        last = blocks.terminal_at[block, kind + 1]
        for begin in range(blocks.terminal_at[block, kind], last, LANES):
            lanes = min(LANES, last - begin)
            for k in range(LANES):
                at = begin + min(k, lanes - 1)  # lanes that are left over do what the last does
                from_row[k] = reach_at + blocks.terminal_row[1 - player, at] * width
                to_row[k] = values_at + blocks.terminal_row[player, at] * width
                chips[k] = blocks.payoff[player, at]
            for c in range(0, width, LANES):
                transpose_lanes(mass, c, own, from_row, c, room.belief)
            outcome[hands:width] = 0
            value_lists(
                kind == 1, members, blocks.list_at[block], group_end, blocks.group_at[block],
                rows[2 * kind : 2 * kind + 2], mass, outcome, room.sums,
            )  # fmt: skip
            for c in range(0, width, LANES):
                scatter_lanes(own, to_row, c, chips, lanes, outcome, c, blocks.weight)


@jit_for_numbers
def add_entries(
    block: int, parent: int, level: int, player: int, blocks: Blocks, own: Floats, values: Floats
) -> None:
    """Adds the values of a block's entries to the rows of the block above, where those begin."""
    width, stride = blocks.width[block], blocks.width[parent]
    places = blocks.above[blocks.hand_at[block] : blocks.hand_at[block + 1]]
    first = blocks.entry_at[player, block]
    for entry in range(blocks.entry_at[player, block + 1] - first):
        here = own[blocks.room[level, 2] + entry * width :]
        at = blocks.entry[player, first + entry] * stride
        there = values[at : at + stride]
        for c in range(places.shape[0]):
            there[places[c]] += here[c]


@jit_for_numbers
def average_isomorphic(values: Floats, width: int, representative: Ints, total: Floats) -> None:
    """Gives isomorphic hands the mean of their values, row by row.

    Args:
        values: rows of ``width``.
        width: of a row.
        representative: ``[hands]`` the place of the first of the hands isomorphic to each one.
        total: room for two rows.
    """
    hands, number = representative.shape[0], total.dtype.type
    for row in range(0, values.shape[0] - width + 1, width):
        for c in range(2 * width):
            total[c] = 0
        for c in range(hands):
            total[representative[c]] += values[row + c]
            total[width + representative[c]] += number(1)
        for c in range(hands):
            values[row + c] = total[representative[c]] / total[width + representative[c]]
