"""Values of terminals whose payoffs have tables, in compiled loops: from packed reach to packed values.

Terminals that share a payoff kernel are worked on in jobs of up to ``LANES``, see
:mod:`pokerlab.games.payoff_loops`: their reach is gathered hand by hand, so that each step is one of the
processor's vectors, and what they are worth goes straight to the sequences that they end.
"""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Ints
from pokerlab.games.payoff_loops import parts_of, value_lanes
from pokerlab.games.payoff_tables import PayoffTables, TabledPayoffs
from pokerlab.lanes import gather_lanes, scatter_lanes
from pokerlab.loops import jit, jit_inline
from pokerlab.search.backends.loops import WHOLE, Numbers, RootChoice, Samples, Steps, advance
from pokerlab.search.backends.packing import Floats, Packs, Trees
from pokerlab.search.forest import Forest
from pokerlab.vectors import LANES


class Jobs(NamedTuple):
    """Which terminals are valued together."""

    tables: PayoffTables
    row: Ints
    """``[J]`` the payoff kernel's row in ``tables``."""
    board: Ints
    """``[J]`` numbers the kernels' different boards."""
    at: Ints
    """``[J + 1]`` where the job's terminals begin."""
    subgame: Ints
    """``[terminals]``."""
    terminal: Ints
    """``[terminals]`` within the trees."""
    lane_of: Ints
    """``[B, parts]`` the lane of each part of a subgame's hands."""
    pack_of: Ints
    """``[B, parts]`` and its pack."""
    whole_vectors: bool
    """Whether a row is one lane, padded to whole vectors."""


@jit
def value_terminals(
    first_job: int,
    last_job: int,
    first_player: int,
    last_player: int,
    jobs: Jobs,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    weight: np.floating,
    outcomes: Floats,
    workspace: Floats,
) -> None:
    """Values the terminals of some jobs. Every ``last`` is exclusive.

    Args:
        first_job: where to begin.
        last_job: where to end.
        first_player: whose values.
        last_player: where to end.
        jobs: of the forest.
        trees: of the forest.
        packs: of the forest.
        numbers: ``values`` are added to.
        weight: of each pair of hands.
        outcomes: ``[2, slots, H]`` is set for terminals that end sequences beside other jobs' terminals.
        workspace: see :func:`pokerlab.games.payoff_loops.workspace_for`.
    """
    hands = jobs.tables.row.shape[2]
    mass, outcome, sums = parts_of(workspace, jobs.tables)
    for job in range(first_job, last_job):
        row, begin = jobs.row[job], jobs.at[job]
        lanes = jobs.at[job + 1] - begin
        if job == first_job or jobs.board[job] != jobs.board[job - 1]:
            outcome[:] = 0  # hands that the board rules out stay so
        for player in range(first_player, last_player):
            _gather(begin, lanes, 1 - player, jobs, trees, packs, numbers, mass)
            value_lanes(row, jobs.tables, mass, outcome, sums)
            _scatter(begin, lanes, player, jobs, trees, packs, numbers, weight, outcome)
            _hand_out(begin, lanes, player, jobs, trees, packs, weight, outcome[:hands], outcomes)


class Groups(NamedTuple):
    """Subgames that share no board with others: ``G`` groups that can go through iterations on their own."""

    job_at: Ints
    """``[G + 1]`` where each one's jobs begin."""
    pack_at: Ints
    """``[G + 1]`` where each one's packs begin in ``pack``."""
    pack: Ints
    """``[packs]``."""


@jit
def advance_group(
    group: int,
    first_step: int,
    last_step: int,
    groups: Groups,
    jobs: Jobs,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    choice: RootChoice,
    steps: Steps,
    samples: Samples,
    weight: np.floating,
    leaf_values: Floats,
    outcomes: Floats,
    lanes: Floats,
    workspace: Floats,
) -> None:
    """Takes some of ``steps`` with a group: :func:`value_terminals`, then :func:`advance` for each pack."""
    turns = 2 if steps.alternating else 1
    jobs_there = groups.job_at[group], groups.job_at[group + 1]
    for step in range(first_step, last_step):
        for turn in range(turns):
            players = turn, turn + 3 - turns
            value_terminals(*jobs_there, *players, jobs, trees, packs, numbers, weight, outcomes, lanes)
            for pack in groups.pack[groups.pack_at[group] : groups.pack_at[group + 1]]:
                advance(
                    pack, pack + 1, step, step + 1, *players, trees, packs, numbers, choice, steps, samples,
                    WHOLE, leaf_values, outcomes, workspace,
                )  # fmt: skip


@jit_inline
def _place(at: int, jobs: Jobs, trees: Trees, packs: Packs) -> int:
    """Where a job's terminal stands among the forest's."""
    subgame = jobs.subgame[at]
    tree = packs.tree[jobs.pack_of[subgame, 0]]
    return packs.terminal_at[subgame] - trees.terminal_at[tree] + jobs.terminal[at]


@jit_inline
def _hand_out(
    begin: int,
    lanes: int,
    player: int,
    jobs: Jobs,
    trees: Trees,
    packs: Packs,
    weight: np.floating,
    values: Floats,
    out: Floats,
) -> None:
    """Lanes of the terminals that have a slot, to their slots."""
    for k in range(lanes):
        slot = packs.slot[player, _place(begin + k, jobs, trees, packs)]
        if slot >= 0:
            for hand in range(values.shape[0]):
                out[player, slot, hand] = values[hand, k] * weight


@jit_inline
def _gather(
    begin: int,
    lanes: int,
    opponent: int,
    jobs: Jobs,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    mass: Floats,
) -> None:
    """The terminals' opponent reach × belief, each into its lane."""
    reach_at, belief_at = np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    for part in range(jobs.pack_of.shape[1]):
        for k in range(LANES):
            at = begin + min(k, lanes - 1)  # lanes that are left over do what the last does
            pack = jobs.pack_of[jobs.subgame[at], part]
            width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
            row = trees.terminal_row[opponent, jobs.terminal[at]]
            reach_at[k] = packs.row_at[pack] + row * width
            belief_at[k] = packs.root_at[pack] + opponent * width
        pack = jobs.pack_of[jobs.subgame[begin], part]
        first, hands = packs.first_hand[pack], packs.last_hand[pack] - packs.first_hand[pack]
        if jobs.whole_vectors:
            for i in range(0, hands, LANES):
                gather_lanes(mass, first + i, numbers.reach, reach_at, numbers.belief, belief_at, i)
            continue
        for k in range(lanes):
            subgame = jobs.subgame[begin + k]
            stride, lane = packs.lanes[jobs.pack_of[subgame, part]], jobs.lane_of[subgame, part]
            for i in range(hands):
                at = i * stride + lane
                mass[first + i, k] = numbers.reach[reach_at[k] + at] * numbers.belief[belief_at[k] + at]


@jit_inline
def _scatter(
    begin: int,
    lanes: int,
    player: int,
    jobs: Jobs,
    trees: Trees,
    packs: Packs,
    numbers: Numbers,
    weight: np.floating,
    outcome: Floats,
) -> None:
    """What terminals without a slot are worth, to the values of the sequences that they end."""
    values_at, chips = np.empty(LANES, np.int64), np.empty(LANES, outcome.dtype)
    for part in range(jobs.pack_of.shape[1]):
        for k in range(lanes):
            subgame, terminal = jobs.subgame[begin + k], jobs.terminal[begin + k]
            pack = jobs.pack_of[subgame, part]
            width = (packs.root_at[pack + 1] - packs.root_at[pack]) // 2
            values_at[k] = packs.row_at[pack] + trees.terminal_row[player, terminal] * width
            chips[k] = trees.payoff[player, terminal]
            if packs.slot[player, _place(begin + k, jobs, trees, packs)] >= 0:
                chips[k] = 0
        pack = jobs.pack_of[jobs.subgame[begin], part]
        first, hands = packs.first_hand[pack], packs.last_hand[pack] - packs.first_hand[pack]
        if jobs.whole_vectors:
            for i in range(0, hands, LANES):
                scatter_lanes(numbers.values, values_at, i, chips, lanes, outcome, first + i, weight)
            continue
        for k in range(lanes):
            subgame = jobs.subgame[begin + k]
            stride, lane = packs.lanes[jobs.pack_of[subgame, part]], jobs.lane_of[subgame, part]
            for i in range(hands):
                numbers.values[values_at[k] + i * stride + lane] += chips[k] * (
                    outcome[first + i, k] * weight
                )


class TerminalJobs:
    """What :func:`value_terminals` needs for a forest.

    Args:
        forest: the forest.
        operator: the payoffs of ``forest.payoff_kernels``.
        packs: of the forest.
        trees: of the forest.
    """

    def __init__(self, forest: Forest, operator: TabledPayoffs, packs: Packs, trees: Trees) -> None:
        nodes = forest.terminals
        subgame = nodes.subgame.numpy()
        terminal = trees.terminal_at[nodes.tree] + nodes.node
        row = trees.payoff_kernel[terminal]
        board = operator.board[row]
        self.slot = self._slots(subgame, nodes.row.numpy(), board)
        """See :attr:`Packs.slot`."""
        order = np.lexsort((row, board))
        new = np.flatnonzero(np.diff(row[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(new, np.diff([*new, len(order)]))
        at = np.flatnonzero(rank % LANES == 0)
        of_job = board[order][at]
        self.weight = trees.payoff.dtype.type(operator.weight)
        """Of each pair of hands."""
        by_lane = np.argsort(packs.subgame, kind="stable")[(packs.subgame < 0).sum() :]
        lane = by_lane.reshape(forest.num_subgames, -1)
        pack = np.searchsorted(packs.lane_at, lane, side="right") - 1
        self.jobs = Jobs(
            tables=operator.tables,
            row=row[order][at],
            board=of_job,
            at=np.append(at, len(order)),
            subgame=subgame[order],
            terminal=terminal[order],
            lane_of=lane - packs.lane_at[pack],
            pack_of=pack,
            whole_vectors=bool((packs.lanes == 1).all()) and not (np.diff(packs.root_at) % (2 * LANES)).any(),
        )
        self.bounds = np.append(np.flatnonzero(np.diff(of_job, prepend=-1)), len(at))
        """Between which jobs to part: a board's are done by one thread."""
        self.groups = self._groups(subgame, board, len(packs.tree))
        """What can go through iterations apart."""
        self.slots = int(self.slot.max(initial=-1)) + 1

    def _groups(self, subgame: Ints, board: Ints, packs: int) -> Groups:
        """One a board, where each subgame has one; else all are one.

        Args:
            subgame: ``[terminals]``.
            board: ``[terminals]``.
            packs: how many there are.
        """
        of_subgame = np.zeros(len(self.jobs.pack_of), np.int64)
        of_subgame[subgame] = board
        if (of_subgame[subgame] != board).any() or len(np.unique(subgame)) < len(of_subgame):
            return Groups(np.array([0, len(self.jobs.row)]), np.array([0, packs]), np.arange(packs))
        of_pack = np.zeros(packs, np.int64)
        of_pack[self.jobs.pack_of] = of_subgame[:, None]
        return Groups(
            job_at=self.bounds,
            pack_at=np.searchsorted(np.sort(of_pack), np.append(np.unique(board), board.max() + 1)),
            pack=np.argsort(of_pack, kind="stable"),
        )

    @property
    def num_groups(self) -> int:
        """``G``."""
        return len(self.groups.job_at) - 1

    @staticmethod
    def _slots(subgame: Ints, row: Ints, board: Ints) -> Ints:
        """Numbers those terminals that cannot be added where they belong."""
        apart = np.zeros((2, len(subgame)), dtype=bool)
        for player in (0, 1):
            order = np.lexsort((board, row[player]))
            sequence, boards = row[player][order], board[order]
            other = (np.diff(sequence) == 0) & (np.diff(boards) != 0)
            shared = np.unique(sequence[1:][other])
            apart[player] = np.isin(row[player], shared)
        slots = np.where(apart.any(0), np.cumsum(apart.any(0)) - 1, -1)
        return np.where(apart, slots, -1)
