"""CFR on the CPU as compiled loops over packs, see :mod:`pokerlab.search.backends.packing`."""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Ints
from pokerlab.loops import jit, jit_in_place, jit_inline
from pokerlab.search.backends.packing import Floats, Packs, Trees

WHOLE, BELOW, ABOVE = 0, 1, 2
"""Parts of a tree that values are backed up through: all, or first what lies below the first deal, then,
after :func:`average_isomorphic`, what lies above it."""


class Numbers(NamedTuple):
    """What changes from iteration to iteration, one behind the other, pack by pack."""

    belief: Floats
    regret: Floats
    strategy: Floats
    strategy_sum: Floats
    reach: Floats
    """Own reach, 1 at the root."""
    root_values: Floats
    """Weighted sums."""
    values: Floats
    """Counterfactual values of sequences, to which terminals were added; zero again when they were backed up.
    None, if terminals are valued by matrices, while a pack is worked on."""


class Steps(NamedTuple):
    """What to do: iterations."""

    done: int
    """How many were taken before."""
    alternating: bool
    floor: bool
    predictive: bool
    positive: Floats
    """``[t]`` what positive regrets are multiplied by before iteration t is added."""
    negative: Floats
    """``[t]`` and negative ones."""
    weight: Floats
    """``[t]`` of the iteration in averages."""


class RootChoice(NamedTuple):
    """The opponent's choice between playing and leaving, see :mod:`pokerlab.search.gadget`.

    Pairs of rows that are packed like ``Numbers.belief``; empty, if there is no gadget.
    """

    opponent: int
    """Who chooses."""
    terms: Floats
    """What each hand weighs when it plays; the counterfactual value of leaving."""
    regret: Floats
    """Of playing, of leaving."""
    plays: Floats
    """How often each hand plays in the next iteration; the weighted sum over those before."""


class Samples(NamedTuple):
    """Strategies to write down: sorted by pack, then step."""

    at: Ints
    """``[P + 1]`` where each pack's begin."""
    iteration: Ints
    """Before which iteration, counted from 0."""
    lane: Ints
    out_at: Ints
    """Where its edges begin in ``out``."""
    averages: bool
    """Whether it is the sums of average strategies that are wanted."""
    out: Floats
    """``[E, H]``."""


@jit_in_place
def advance(
    first_pack: int,
    last_pack: int,
    first_step: int,
    last_step: int,
    first_player: int,
    last_player: int,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    choice: RootChoice,
    steps: Steps,
    samples: Samples,
    part: int,
    leaf_values: Floats,
    outcomes: Floats,
    workspace: Floats,
) -> None:
    """Takes some of ``steps`` with some of the packs. Every ``last`` is exclusive.

    Args:
        first_pack: where to begin.
        last_pack: where to end.
        first_step: the same in ``steps``; one at a time if the trees have leaves or no payoff matrices.
        last_step: where to end.
        first_player: whose regrets to update; one at a time likewise if ``steps`` alternate.
        last_player: where to end.
        trees: of the forest.
        packs: of the forest.
        numbers: are changed.
        choice: is made anew in every step.
        steps: what to do.
        samples: strategies to write down before their step.
        part: of the trees; not all of it at once where values are averaged over hands.
        leaf_values: ``[2, L, H]`` counterfactual values of the forest's leaves.
        outcomes: ``[2, slots, H]`` what the payoff operator gave, if the trees have no matrices.
        workspace: room for the rows of any pack, zero and left so; and behind it for two more.
    """
    zero = numbers.regret.dtype.type(0)
    lowest = zero if steps.floor else numbers.regret.dtype.type(-np.inf)
    for pack in range(first_pack, last_pack):
        tree, root = packs.tree[pack], numbers.belief[packs.root_at[pack] : packs.root_at[pack + 1]]
        belief = root.reshape(2, root.shape[0] // 2)
        width = belief.shape[1]
        lanes, edge_at, edge_end = packs.lanes[pack], packs.edge_at[pack], packs.edge_at[pack + 1]
        count = (edge_end - edge_at) // width
        regret = numbers.regret[edge_at:edge_end].reshape(count, width)
        strategy = numbers.strategy[edge_at:edge_end].reshape(count, width)
        strategy_sum = numbers.strategy_sum[edge_at:edge_end].reshape(count, width)
        reach = numbers.reach[packs.row_at[pack] : packs.row_at[pack + 1]].reshape(count + 2, width)
        root_sum = numbers.root_values[packs.root_at[pack] : packs.root_at[pack + 1]].reshape(2, width)
        values = _values(packs, pack, numbers, workspace).reshape(count + 2, width)
        scratch = workspace[workspace.shape[0] - 2 * width :].reshape(2, width)
        # written down before either player's update
        first_call = first_player == 0 and part != ABOVE
        sample, samples_end = samples.at[pack], samples.at[pack + 1] if first_call else 0
        while sample < samples_end and samples.iteration[sample] < steps.done + first_step:
            sample += 1
        for step in range(first_step, last_step):
            while sample < samples_end and samples.iteration[sample] == steps.done + step:
                lane, out_at = samples.lane[sample], samples.out_at[sample]
                to = samples.out[out_at : out_at + count, packs.first_hand[pack] : packs.last_hand[pack]]
                average = samples.averages and steps.done + step > 0
                _unpack_lane(strategy_sum if average else strategy, lane, lanes, to)
                sample += 1
            weight = steps.weight[step]
            for player in range(first_player, last_player):
                if part != ABOVE:
                    if trees.matrices.shape[0] > 0:
                        _add_terminals(player, tree, trees, lanes, belief, reach, values, scratch)
                    else:
                        _add_outcomes(player, pack, tree, trees, packs, outcomes, values)
                    _add_leaves(player, pack, tree, trees, packs, leaf_values, values)
                first_node, last_node = _nodes_of(player, tree, trees, part)
                for node in range(last_node - 1, first_node - 1, -1):
                    first, end = trees.first[node], trees.end[node]
                    _node_values(first, end, strategy, values, scratch[0])
                    above = values[trees.above[node]]
                    for c in range(width):
                        above[c] += scratch[0, c]
                    _match_regrets(
                        first, end, steps.positive[step], steps.negative[step], lowest, steps.predictive,
                        regret, strategy, values, scratch,
                    )  # fmt: skip
                    for edge in range(first + 2, end + 2):
                        used = values[edge]
                        for c in range(width):
                            used[c] = zero
                if part == BELOW:
                    continue
                for c in range(width):
                    root_sum[player, c] += weight * values[player, c]
                if player == choice.opponent and choice.plays.shape[0] > 0:
                    _choose(pack, packs, choice, weight, values[player])
                for c in range(width):
                    values[player, c] = zero
                if steps.alternating:
                    _update_reach(player, tree, trees, weight, strategy, strategy_sum, reach)
            if part != BELOW and not steps.alternating:
                for player in range(first_player, last_player):
                    _update_reach(player, tree, trees, weight, strategy, strategy_sum, reach)
            if part != BELOW and last_player == 2 and choice.plays.shape[0] > 0:
                # not sooner: in turn, player 1 still meets player 0's hands as this step found them
                at = packs.root_at[pack]
                for c in range(width):
                    belief[choice.opponent, c] = choice.terms[at + c] * choice.plays[at + c]


@jit_inline
def _choose(pack: int, packs: Packs, choice: RootChoice, weight: np.floating, played: Floats) -> None:
    """Regret matching+ between playing, worth ``played``, and leaving; as before where none is positive."""
    width, zero, one = played.shape[0], played.dtype.type(0), played.dtype.type(1)
    for c in range(width):
        first = packs.root_at[pack] + c
        second = first + width
        plays, gain = choice.plays[first], played[c] - choice.terms[second]
        playing = max(choice.regret[first] + (one - plays) * gain, zero)
        leaving = max(choice.regret[second] - plays * gain, zero)
        choice.regret[first], choice.regret[second] = playing, leaving
        choice.plays[second] += weight * plays
        if playing + leaving > zero:
            choice.plays[first] = playing / (playing + leaving)


@jit_inline
def _nodes_of(player: int, tree: int, trees: Trees, part: int) -> tuple[int, int]:
    """Where a player's nodes in a part of a tree begin, and where they end."""
    deal = trees.deal_at[tree, player]
    first = deal if part == BELOW else trees.node_at[tree, player]
    return first, deal if part == ABOVE else trees.node_at[tree, player + 1]


@jit
def average_isomorphic(
    first_player: int, last_player: int, trees: Trees, packs: Packs, values: Floats
) -> None:
    """Gives isomorphic hands the mean of their values, in the sequences that begin above the first deal.

    Args:
        first_player: whose sequences.
        last_player: where to end, exclusive.
        trees: of the forest.
        packs: of the forest.
        values: ``Numbers.values``.
    """
    total, pack, last_pack = np.empty(trees.representative.shape[1], values.dtype), 0, packs.tree.shape[0]
    while pack < last_pack:
        end, tree = pack + 1, packs.tree[pack]
        while end < last_pack and packs.first_hand[end] > 0:  # more hands of the same subgame
            end += 1
        for player in range(first_player, last_player):
            _average_isomorphic_row(player, pack, end, trees, packs, values, total)
            for node in range(trees.node_at[tree, player], trees.deal_at[tree, player]):
                for edge in range(trees.first[node], trees.end[node]):
                    _average_isomorphic_row(edge + 2, pack, end, trees, packs, values, total)
        pack = end


@jit
def _average_isomorphic_row(
    row: int, first_pack: int, last_pack: int, trees: Trees, packs: Packs, values: Floats, total: Floats
) -> None:
    """One row of some subgames whose hands are in these packs; ``total`` ``[H]`` is room."""
    tree, lanes = packs.tree[first_pack], packs.lanes[first_pack]
    representative, share = trees.representative[tree], trees.share[tree]
    for lane in range(lanes):
        total[:] = 0
        for pack in range(first_pack, last_pack):
            at, first = _row_at(row, pack, packs) + lane, packs.first_hand[pack]
            for hand in range(first, packs.last_hand[pack]):
                total[representative[hand]] += values[at + (hand - first) * lanes]
        for pack in range(first_pack, last_pack):
            at, first = _row_at(row, pack, packs) + lane, packs.first_hand[pack]
            for hand in range(first, packs.last_hand[pack]):
                values[at + (hand - first) * lanes] = (
                    total[representative[hand]] * share[representative[hand]]
                )


@jit_inline
def _row_at(row: int, pack: int, packs: Packs) -> int:
    """Where a row of a pack begins."""
    return packs.row_at[pack] + row * ((packs.root_at[pack + 1] - packs.root_at[pack]) // 2)


@jit_inline
def _values(packs: Packs, pack: int, numbers: Numbers, workspace: Floats) -> Floats:
    """Room for a pack's values."""
    begin, end = packs.row_at[pack], packs.row_at[pack + 1]
    return numbers.values[begin:end] if numbers.values.shape[0] > 0 else workspace[: end - begin]


@jit_inline
def _add_terminals(
    player: int,
    tree: int,
    trees: Trees,
    lanes: int,
    belief: Floats,
    reach: Floats,
    values: Floats,
    scratch: Floats,
) -> None:
    """Terminal values from payoff matrices."""
    hands, width = trees.matrices.shape[1], values.shape[1]
    opponent, weighted, zero = belief[1 - player], scratch[1], values.dtype.type(0)
    for terminal in range(trees.terminal_at[tree], trees.terminal_at[tree + 1]):
        chips = trees.payoff[player, terminal]
        theirs = reach[trees.terminal_row[1 - player, terminal]]
        for c in range(width):
            weighted[c] = theirs[c] * opponent[c] * chips
        own = values[trees.terminal_row[player, terminal]]
        matrix = trees.matrices[trees.payoff_kernel[terminal]]
        if lanes == 1:
            for j in range(hands):
                theirs_j = weighted[j]
                for i in range(hands):
                    own[i] += matrix[j, i] * theirs_j
            continue
        for i in range(hands):
            for j in range(hands):
                factor = matrix[j, i]
                if factor != zero:
                    for w in range(lanes):
                        own[i * lanes + w] += factor * weighted[j * lanes + w]


@jit_inline
def _add_outcomes(
    player: int, pack: int, tree: int, trees: Trees, packs: Packs, outcomes: Floats, values: Floats
) -> None:
    """Terminal values that the payoff operator computed."""
    lanes, first_hand, last_hand = packs.lanes[pack], packs.first_hand[pack], packs.last_hand[pack]
    for lane in range(lanes):
        subgame = packs.subgame[packs.lane_at[pack] + lane]
        if subgame >= 0:
            first = packs.terminal_at[subgame] - trees.terminal_at[tree]
            for terminal in range(trees.terminal_at[tree], trees.terminal_at[tree + 1]):
                slot = packs.slot[player, first + terminal]
                if slot >= 0:
                    own = values[trees.terminal_row[player, terminal]]
                    won = outcomes[player, slot, first_hand:last_hand]
                    _add_to_lane(own, lane, lanes, trees.payoff[player, terminal], won)


@jit_inline
def _add_leaves(
    player: int, pack: int, tree: int, trees: Trees, packs: Packs, leaf_values: Floats, values: Floats
) -> None:
    """Values of depth-limit leaves."""
    first, end = trees.leaf_at[tree], trees.leaf_at[tree + 1]
    lanes, first_hand, last_hand = packs.lanes[pack], packs.first_hand[pack], packs.last_hand[pack]
    for lane in range(lanes):
        subgame = packs.subgame[packs.lane_at[pack] + lane]
        if subgame >= 0:
            at = packs.leaf_at[subgame] - first
            for leaf in range(first, end):
                own = values[trees.leaf_row[player, leaf]]
                worth = leaf_values[player, at + leaf, first_hand:last_hand]
                _add_to_lane(own, lane, lanes, values.dtype.type(1), worth)


@jit_inline
def _add_to_lane(row: Floats, lane: int, lanes: int, factor: np.floating, values: Floats) -> None:
    if lanes == 1:  # in the processor's vectors
        for i in range(values.shape[0]):
            row[i] += factor * values[i]
    else:
        for i in range(values.shape[0]):
            row[i * lanes + lane] += factor * values[i]


@jit_inline
def _node_values(first: int, end: int, strategy: Floats, values: Floats, node: Floats) -> None:
    """A decision node's value: its actions' values, weighted by the strategy."""
    width = node.shape[0]
    chance, value = strategy[first], values[first + 2]
    for c in range(width):
        node[c] = chance[c] * value[c]
    for edge in range(first + 1, end):
        chance, value = strategy[edge], values[edge + 2]
        for c in range(width):
            node[c] += chance[c] * value[c]


@jit_inline
def _match_regrets(
    first: int,
    end: int,
    positive: np.floating,
    negative: np.floating,
    lowest: np.floating,
    predictive: bool,
    regret: Floats,
    strategy: Floats,
    values: Floats,
    scratch: Floats,
) -> None:
    """Discounts a node's regrets, adds the new ones, and matches them; uniform where none is positive."""
    node, total, width = scratch[0], scratch[1], scratch.shape[1]
    zero, one = scratch.dtype.type(0), scratch.dtype.type(1)
    for c in range(width):
        total[c] = zero
    for edge in range(first, end):
        summed, new, value = regret[edge], strategy[edge], values[edge + 2]
        for c in range(width):
            old = summed[c]
            old *= positive if old > zero else negative
            old = max(old + (value[c] - node[c]), lowest)
            summed[c] = old
            old = max(old, zero)
            new[c] = old
            total[c] += old
    if predictive:
        _add_predictions(first, end, regret, strategy, values, scratch)
    for c in range(width):
        some = total[c] > zero
        node[c] = total[c] if some else one
        total[c] = zero if some else one / scratch.dtype.type(end - first)
    for edge in range(first, end):
        new = strategy[edge]
        for c in range(width):
            new[c] = new[c] / node[c] + total[c]  # divided: a pure strategy is exactly 1


@jit_inline
def _add_predictions(
    first: int,
    end: int,
    regret: Floats,
    strategy: Floats,
    values: Floats,
    scratch: Floats,
) -> None:
    """Regrets to match as if the latest ones came again."""
    node, total, width = scratch[0], scratch[1], scratch.shape[1]
    zero = scratch.dtype.type(0)
    for c in range(width):
        total[c] = zero
    for edge in range(first, end):
        new, value, summed = strategy[edge], values[edge + 2], regret[edge]
        for c in range(width):
            new[c] = max(summed[c] + (value[c] - node[c]), zero)
            total[c] += new[c]


@jit_inline
def _update_reach(
    player: int,
    tree: int,
    trees: Trees,
    weight: np.floating,
    strategy: Floats,
    strategy_sum: Floats,
    reach: Floats,
) -> None:
    """Adds the reach of ``player``'s sequences to the average strategy, then makes it the new strategy's."""
    width = reach.shape[1]
    for node in range(trees.node_at[tree, player], trees.node_at[tree, player + 1]):
        above = reach[trees.above[node]]
        for edge in range(trees.first[node], trees.end[node]):
            chance, total, below = strategy[edge], strategy_sum[edge], reach[edge + 2]
            for c in range(width):
                total[c] += weight * below[c]
                below[c] = chance[c] * above[c]


@jit
def set_reach(first_pack: int, last_pack: int, trees: Trees, packs: Packs, numbers: Numbers) -> None:
    """Sets the reach to that of the strategy."""
    for pack in range(first_pack, last_pack):
        tree, edge_at = packs.tree[pack], packs.edge_at[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        count = (packs.edge_at[pack + 1] - edge_at) // width
        strategy = numbers.strategy[edge_at : packs.edge_at[pack + 1]].reshape(count, width)
        reach = numbers.reach[packs.row_at[pack] : packs.row_at[pack + 1]].reshape(count + 2, width)
        strategy_sum = numbers.strategy_sum[edge_at : packs.edge_at[pack + 1]].reshape(count, width)
        reach[:2] = numbers.reach.dtype.type(1)
        for player in range(2):
            _update_reach(player, tree, trees, numbers.reach.dtype.type(0), strategy, strategy_sum, reach)


@jit
def set_average_reach(first_pack: int, last_pack: int, trees: Trees, packs: Packs, numbers: Numbers) -> None:
    """Sets the reach to that of the average strategy."""
    for pack in range(first_pack, last_pack):
        tree, edge_at = packs.tree[pack], packs.edge_at[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        count = (packs.edge_at[pack + 1] - edge_at) // width
        reach = numbers.reach[packs.row_at[pack] : packs.row_at[pack + 1]].reshape(count + 2, width)
        strategy_sum = numbers.strategy_sum[edge_at : packs.edge_at[pack + 1]].reshape(count, width)
        for node in range(trees.node_at[tree, 0], trees.node_at[tree, 2]):
            first, end = trees.first[node], trees.end[node]
            above = reach[trees.above[node]]
            for c in range(width):
                total = strategy_sum[first, c]
                for edge in range(first + 1, end):
                    total += strategy_sum[edge, c]
                for edge in range(first, end):
                    reach[edge + 2, c] = above[c] * _share(strategy_sum[edge, c], total, end - first)


@jit_inline
def _share(part: np.floating, total: np.floating, parts: int) -> np.floating:
    """Of an action in the average strategy: uniform where it was never reached."""
    return part / total if total > 0 else type(part)(1) / type(part)(parts)


@jit
def back_up_average(
    first_pack: int,
    last_pack: int,
    best: bool,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    part: int,
    outcomes: Floats,
    workspace: Floats,
    responses: Floats,
) -> None:
    """What a best response to the other's reach is worth, or what the average strategy is.

    Args:
        first_pack: where to begin.
        last_pack: where to end, exclusive.
        best: which of the two.
        trees: of the forest; without leaves.
        packs: of the forest.
        numbers: are read.
        part: of the trees, as for :func:`advance`.
        outcomes: ``[2, slots, H]`` what the payoff operator gave, if the trees have no matrices.
        workspace: as for :func:`advance`.
        responses: is set, packed like ``numbers.root_values``.
    """
    for pack in range(first_pack, last_pack):
        tree, lanes, edge_at = packs.tree[pack], packs.lanes[pack], packs.edge_at[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        count = (packs.edge_at[pack + 1] - edge_at) // width
        belief = numbers.belief[packs.root_at[pack] : packs.root_at[pack + 1]].reshape(2, width)
        reach = numbers.reach[packs.row_at[pack] : packs.row_at[pack + 1]].reshape(count + 2, width)
        strategy_sum = numbers.strategy_sum[edge_at : packs.edge_at[pack + 1]].reshape(count, width)
        values = _values(packs, pack, numbers, workspace).reshape(count + 2, width)
        scratch = workspace[workspace.shape[0] - 2 * width :].reshape(2, width)
        for player in range(2):
            if part != ABOVE and trees.matrices.shape[0] > 0:
                _add_terminals(player, tree, trees, lanes, belief, reach, values, scratch)
            elif part != ABOVE:
                _add_outcomes(player, pack, tree, trees, packs, outcomes, values)
            first_node, last_node = _nodes_of(player, tree, trees, part)
            for node in range(last_node - 1, first_node - 1, -1):
                first, end = trees.first[node], trees.end[node]
                above = values[trees.above[node]]
                for c in range(width):
                    worth, total = values[first + 2, c], strategy_sum[first, c]
                    for edge in range(first + 1, end):
                        worth = max(worth, values[edge + 2, c])
                        total += strategy_sum[edge, c]
                    if not best:
                        worth = values.dtype.type(0)
                        for edge in range(first, end):
                            share = _share(strategy_sum[edge, c], total, end - first)
                            worth += share * values[edge + 2, c]
                    above[c] += worth
                values[first + 2 : end + 2] = 0
            if part != BELOW:
                at = packs.root_at[pack] + player * width
                responses[at : at + width] = values[player]
                values[player] = 0


@jit
def start(first_pack: int, last_pack: int, trees: Trees, packs: Packs, numbers: Numbers) -> None:
    """Sets the uniform strategy and its reach."""
    one = numbers.regret.dtype.type(1)
    for pack in range(first_pack, last_pack):
        tree, edge_at = packs.tree[pack], packs.edge_at[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        count = (packs.edge_at[pack + 1] - edge_at) // width
        strategy = numbers.strategy[edge_at : packs.edge_at[pack + 1]].reshape(count, width)
        for node in range(trees.node_at[tree, 0], trees.node_at[tree, 2]):
            strategy[trees.first[node] : trees.end[node]] = one / strategy.dtype.type(
                trees.end[node] - trees.first[node]
            )
    set_reach(first_pack, last_pack, trees, packs, numbers)


@jit
def pack_roots(packs: Packs, roots: Floats, packed: Floats) -> None:
    """``[2, B, H]`` at the roots, such as beliefs, packed like ``numbers.belief``."""
    for pack in range(packs.tree.shape[0]):
        lanes, first_hand = packs.lanes[pack], packs.first_hand[pack]
        here = packed[packs.root_at[pack] : packs.root_at[pack + 1]]
        to = here.reshape(2, here.shape[0] // 2)
        for lane in range(lanes):
            subgame = packs.subgame[packs.lane_at[pack] + lane]
            if subgame >= 0:
                for player in range(2):
                    for i in range(packs.last_hand[pack] - first_hand):
                        to[player, i * lanes + lane] = roots[player, subgame, first_hand + i]


@jit_in_place
def weigh_reach(
    first_pack: int,
    last_pack: int,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    boards: Floats,
    leaf_board: Ints,
    leaf_reach: Floats,
    terminal_reach: Floats,
) -> None:
    """What leaf evaluator and payoff operator need to know: the opponent's reach × belief.

    Args:
        first_pack: where to begin.
        last_pack: where to end, exclusive.
        trees: of the forest.
        packs: of the forest.
        numbers: are read.
        boards: ``[K, H]`` 1 for hands that each board leaves possible.
        leaf_board: ``[L]`` which board each of the forest's leaves has.
        leaf_reach: ``[2, L, H]`` is set for the forest's leaves.
        terminal_reach: ``[2, slots, H]`` is set for the terminals, if there are any slots.
    """
    for pack in range(first_pack, last_pack):
        tree, lanes, first_hand = packs.tree[pack], packs.lanes[pack], packs.first_hand[pack]
        last_hand = packs.last_hand[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        belief = numbers.belief[packs.root_at[pack] : packs.root_at[pack + 1]].reshape(2, width)
        reach = numbers.reach[packs.row_at[pack] : packs.row_at[pack + 1]].reshape(-1, width)
        for lane in range(lanes):
            subgame = packs.subgame[packs.lane_at[pack] + lane]
            if subgame < 0:
                continue
            at = packs.leaf_at[subgame] - trees.leaf_at[tree]
            for player in range(2):
                prior = belief[1 - player]
                for leaf in range(trees.leaf_at[tree], trees.leaf_at[tree + 1]):
                    theirs = reach[trees.leaf_row[1 - player, leaf]]
                    possible = boards[leaf_board[at + leaf], first_hand:last_hand]
                    out = leaf_reach[player, at + leaf, first_hand:last_hand]
                    _multiply_lane(theirs, prior, lane, lanes, out)
                    for i in range(out.shape[0]):
                        out[i] *= possible[i]
                if terminal_reach.shape[1] > 0:
                    slot = packs.terminal_at[subgame] - trees.terminal_at[tree]
                    for terminal in range(trees.terminal_at[tree], trees.terminal_at[tree + 1]):
                        theirs = reach[trees.terminal_row[1 - player, terminal]]
                        out = terminal_reach[
                            player, packs.slot[player, slot + terminal], first_hand:last_hand
                        ]
                        _multiply_lane(theirs, prior, lane, lanes, out)


@jit_inline
def _multiply_lane(first: Floats, second: Floats, lane: int, lanes: int, out: Floats) -> None:
    if lanes == 1:
        for i in range(out.shape[0]):
            out[i] = first[i] * second[i]
    else:
        for i in range(out.shape[0]):
            out[i] = first[i * lanes + lane] * second[i * lanes + lane]


@jit_in_place
def normalise(leaf_reach: Floats, leaf_belief: Floats) -> None:
    """Beliefs at leaves; one that no hand reaches stays as it was.

    Args:
        leaf_reach: ``[2, L, H]`` the opponent's reach × belief.
        leaf_belief: ``[2, L, H]`` is set to each player's own, normalised.
    """
    zero = leaf_reach.dtype.type(0)
    for player in range(2):
        for leaf in range(leaf_reach.shape[1]):
            weighted, total = leaf_reach[1 - player, leaf], zero
            for hand in range(weighted.shape[0]):
                total += weighted[hand]
            if total > zero:
                belief = leaf_belief[player, leaf]
                for hand in range(weighted.shape[0]):
                    belief[hand] = weighted[hand] / total  # of tiny totals, the inverse is infinite


@jit
def unpack_edges(packs: Packs, edges: Floats, out: Floats) -> None:
    """Packed edges, such as ``numbers.strategy``, as ``[E, H]``: subgame by subgame in their trees' order."""
    for pack in range(packs.tree.shape[0]):
        lanes = packs.lanes[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        here = edges[packs.edge_at[pack] : packs.edge_at[pack + 1]].reshape(-1, width)
        for lane in range(lanes):
            subgame = packs.subgame[packs.lane_at[pack] + lane]
            if subgame >= 0:
                at = packs.flat_at[subgame]
                to = out[at : at + here.shape[0], packs.first_hand[pack] : packs.last_hand[pack]]
                _unpack_lane(here, lane, lanes, to)


@jit
def unpack_roots(packs: Packs, roots: Floats, out: Floats) -> None:
    """Packed empty sequences, such as ``numbers.root_values``, as ``[2, B, H]``."""
    for pack in range(packs.tree.shape[0]):
        lanes = packs.lanes[pack]
        width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
        here = roots[packs.root_at[pack] : packs.root_at[pack + 1]].reshape(2, width)
        for lane in range(lanes):
            subgame = packs.subgame[packs.lane_at[pack] + lane]
            if subgame >= 0:
                for player in range(2):
                    to = out[player, subgame, packs.first_hand[pack] : packs.last_hand[pack]]
                    for i in range(to.shape[0]):
                        to[i] = here[player, i * lanes + lane]


@jit_inline
def _unpack_lane(edges: Floats, lane: int, lanes: int, out: Floats) -> None:
    for edge in range(edges.shape[0]):
        for hand in range(out.shape[1]):
            out[edge, hand] = edges[edge, hand * lanes + lane]
