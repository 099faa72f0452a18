"""CFR on the CPU, in compiled loops."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints
from pokerlab.games.payoff_loops import workspace_for
from pokerlab.games.payoff_tables import TabledPayoffs
from pokerlab.search.backends import loops
from pokerlab.search.backends.base import LeafQuery
from pokerlab.search.backends.packing import Floats, flatten_trees, pack_subgames
from pokerlab.search.backends.terminals import TerminalJobs, advance_group, value_terminals
from pokerlab.search.backends.threads import run_in_threads
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sampling import SampledStrategies

AT_ONCE = 2**25
"""Numbers updated in one call: a fraction of a second, after which signals are heard."""
WORTH_A_THREAD = 2**16
"""Numbers updated in one call below which a second thread does not pay."""


class CompiledBackend:
    """A :class:`~pokerlab.search.backends.base.Backend` in loops that numba compiles.

    Subgames are independent: ``torch.get_num_threads()`` threads share them. Where leaves are evaluated,
    or payoffs are operators, threads meet at every iteration; else each pack of subgames, or all packs of a
    board, run through all their iterations. A run that is interrupted leaves its subgames at different
    iterations: of no use.

    Args:
        forest: the subgames, on the CPU.
        belief: ``[2, B, H]`` at their roots.
        rule: the update rule.
        alternating: whether players update in turn.
        gadget: what the opponent may take instead of playing.
    """

    def __init__(
        self,
        forest: Forest,
        belief: Tensor,
        rule: UpdateRule,
        *,
        alternating: bool,
        gadget: Gadget | None = None,
    ) -> None:
        self._forest, self._rule, self._alternating = forest, rule, alternating
        self._interrupted = False
        self._dtype = np.dtype(str(forest.dtype).removeprefix("torch."))
        self._trees, self._packs = flatten_trees(forest, self._dtype), pack_subgames(forest, self._dtype)
        slots = self._prepare_terminals()
        self._averages_hands = len(self._trees.representative) > 0
        # values stay between calls where packs meet before they are backed up
        self._numbers = self._start_numbers(keep_values=self._averages_hands or self._jobs is not None)
        self._each_pack(loops.start, self._trees, self._packs, self._numbers)
        self._belief = self._pack_roots(belief)
        self._numbers.belief[:] = self._belief
        self._choice = self._start_choice(gadget, belief)
        self._workspaces: dict[int, Floats] = {}
        self._room = int(np.diff(self._packs.row_at).max() + np.diff(self._packs.root_at).max())

        hands, leaves = forest.game.num_hands, len(forest.leaves)
        self._boards = forest.boards.numpy(), forest.leaves.board.numpy()
        self._leaf_reach, self._leaf_values = (self._zeros(2, leaves, hands) for _ in range(2))
        self._outcomes = self._zeros(2, slots, hands)
        # a payoff operator is asked with the opponents' reach
        self._terminal_reach = self._zeros(2, 0 if self._jobs else slots, hands)
        self._no_samples = self._prepare_samples(None)

    def _prepare_terminals(self) -> int:
        """Decides what values terminals, if matrices do not; returns how many slots it has."""
        forest, self._jobs = self._forest, None
        self._asks_operator = False
        if len(self._trees.matrices) or not len(self._trees.payoff_kernel):
            return 0
        like = torch.empty(0, dtype=forest.dtype)
        operator = forest.game.payoff_operator(forest.payoff_kernels.tolist(), like)
        if isinstance(operator, TabledPayoffs):
            self._jobs = TerminalJobs(forest, operator, self._packs, self._trees)
            self._packs = self._packs._replace(slot=self._jobs.slot)
            return self._jobs.slots
        self._asks_operator = True
        self._packs = self._packs._replace(slot=np.stack([forest.payoffs.slot] * 2))
        return forest.payoffs.row[0].numel()

    def _zeros(self, *shape: int) -> Floats:
        return torch.zeros(shape, dtype=self._forest.dtype).numpy()  # aligned to cache lines

    def _start_numbers(self, *, keep_values: bool) -> loops.Numbers:
        edges, rows, roots = (at[-1] for at in (self._packs.edge_at, self._packs.row_at, self._packs.root_at))
        return loops.Numbers(
            belief=self._zeros(roots),
            regret=self._zeros(edges),
            strategy=self._zeros(edges),
            strategy_sum=self._zeros(edges),
            reach=self._zeros(rows),
            root_values=self._zeros(roots),
            values=self._zeros(rows if keep_values else 0),
        )

    def _start_choice(self, gadget: Gadget | None, belief: Tensor) -> loops.RootChoice:
        if gadget is None:
            return loops.RootChoice(0, *[self._zeros(0)] * 3)
        terms = torch.stack([belief[gadget.opponent], gadget.payments(self._forest, belief)])
        return loops.RootChoice(
            gadget.opponent,
            terms=self._pack_roots(terms),
            regret=self._zeros(len(self._belief)),
            plays=self._pack_roots(torch.stack([torch.ones_like(terms[0]), torch.zeros_like(terms[0])])),
        )

    @property
    def plays(self) -> Tensor:
        return self._unpack_roots(self._choice.plays)

    @property
    def strategy(self) -> Tensor:
        return self._unpack_edges(self._numbers.strategy)

    @property
    def average_strategy(self) -> Tensor:
        return self._forest.average(self._unpack_edges(self._numbers.strategy_sum))

    @property
    def root_value_sum(self) -> Tensor:
        return self._unpack_roots(self._numbers.root_values)

    def start_from(self, strategy: Tensor, regret: Tensor) -> None:
        place = np.arange(len(self._numbers.regret), dtype=np.float64)
        place = self._edges(place).astype(np.int64)
        for numbers, values in ((self._numbers.strategy, strategy), (self._numbers.regret, regret)):
            numbers[place] = self._forest.to_edges(values).numpy()
        self._each_pack(loops.set_reach, self._trees, self._packs, self._numbers)

    def run(
        self,
        first: int,
        iterations: int,
        leaf_query: LeafQuery | None = None,
        samples: SampledStrategies | None = None,
        *,
        sample_averages: bool = False,
    ) -> None:
        numbers = range(first, first + iterations)
        discounts = np.array([self._rule.discounts(t) for t in numbers], self._dtype).reshape(-1, 2)
        steps = loops.Steps(
            done=first - 1,
            alternating=self._alternating,
            floor=self._rule.floor,
            predictive=self._rule.predictive,
            positive=discounts[:, 0].copy(),
            negative=discounts[:, 1].copy(),
            weight=np.array([self._rule.weight(t) for t in numbers], self._dtype),
        )
        kept = self._prepare_samples(samples, sample_averages) if samples else self._no_samples
        if leaf_query or self._averages_hands or self._asks_operator:
            self._run_in_step(steps, iterations, kept, leaf_query)
        elif self._jobs is None:
            whole = loops.WHOLE
            self._each_pack(self._advance, steps, 0, iterations, 0, 2, kept, whole, iterations=iterations)
        elif self._jobs.num_groups > 1 or self._is_small:
            groups = np.arange(self._jobs.num_groups + 1)
            shared = groups if torch.get_num_threads() > 1 else groups[[0, -1]]
            self._in_threads(shared, self._advance_groups, self._jobs, steps, iterations, kept)
        else:
            self._run_in_step(steps, iterations, kept)
        if samples is not None:
            self._hand_over(samples, kept, first, iterations)

    def set_beliefs(self, reach: Tensor, belief: Tensor, players: slice) -> Tensor:
        loops.normalise(reach.numpy(), belief.numpy())
        return self._forest.mass(reach[players])

    def average_values(self) -> tuple[Tensor, Tensor]:
        packed, belief = self._zeros(len(self._numbers.root_values)), self._numbers.belief.copy()
        self._numbers.belief[:] = self._belief
        self._each_pack(loops.set_average_reach, self._trees, self._packs, self._numbers)
        found = []
        for best in (False, True):
            self._value_ends(slice(0, 2), 0, None)
            for part in self._parts(0, 2):
                self._each_pack(self._back_up_average, best, packed, part)
            found.append(self._unpack_roots(packed))
        self._each_pack(loops.set_reach, self._trees, self._packs, self._numbers)
        self._numbers.belief[:] = belief
        return found[0], found[1]

    # Iterations

    def _run_in_step(
        self,
        steps: loops.Steps,
        iterations: int,
        kept: loops.Samples,
        leaf_query: LeafQuery | None = None,
    ) -> None:
        """All packs take an iteration together, with leaves and payoffs valued in between."""
        turns = ((0, 1), (1, 2)) if self._alternating else ((0, 2),)
        for step in range(iterations):
            for players in turns:
                self._value_ends(slice(*players), float(steps.weight[step]), leaf_query)
                for part in self._parts(*players):
                    self._each_pack(self._advance, steps, step, step + 1, *players, kept, part)

    def _value_ends(self, players: slice, weight: float, leaf_query: LeafQuery | None) -> None:
        """Values leaves and, if matrices do not, terminals."""
        forest = self._forest
        if leaf_query or self._asks_operator:
            self._each_pack(
                loops.weigh_reach, self._trees, self._packs, self._numbers, *self._boards,
                self._leaf_reach, self._terminal_reach,
            )  # fmt: skip
        if leaf_query:
            values = leaf_query(torch.from_numpy(self._leaf_reach), players, weight)
            self._leaf_values[players] = values.numpy()
        if self._jobs:
            bounds = self._jobs.bounds[[0, -1]] if self._is_small else self._jobs.bounds
            self._in_threads(bounds, self._value_terminals, self._jobs, players)
        elif self._asks_operator:
            reach = torch.from_numpy(self._terminal_reach[players])
            self._outcomes[players] = forest.payoffs.operator(reach).numpy()

    def _parts(self, first_player: int, last_player: int) -> Iterator[int]:
        """The parts of the trees to back up in turn; between them, isomorphic hands are averaged."""
        if not self._averages_hands:
            yield loops.WHOLE
            return
        yield loops.BELOW
        loops.average_isomorphic(first_player, last_player, self._trees, self._packs, self._numbers.values)
        yield loops.ABOVE

    @property
    def _is_small(self) -> bool:
        """Whether one thread does an iteration as fast as several that have to meet twice or four times."""
        return torch.get_num_threads() == 1 or bool(self._packs.edge_at[-1] < 4 * WORTH_A_THREAD)

    # What threads do

    def _advance(
        self,
        first_pack: int,
        last_pack: int,
        steps: loops.Steps,
        begin: int,
        end: int,
        first_player: int,
        last_player: int,
        kept: loops.Samples,
        part: int,
    ) -> None:
        """:func:`loops.advance`, a fraction of a second at a time."""
        numbers = int(self._packs.row_at[last_pack] - self._packs.row_at[first_pack])
        if first_pack not in self._workspaces:
            self._workspaces[first_pack] = self._zeros(self._room)
        workspace, most = self._workspaces[first_pack], AT_ONCE // max(numbers, 1) or 1
        for step in range(begin, end, most):
            if self._interrupted:
                return
            loops.advance(
                first_pack, last_pack, step, min(step + most, end), first_player, last_player, self._trees,
                self._packs, self._numbers, self._choice, steps, kept, part, self._leaf_values,
                self._outcomes, workspace,
            )  # fmt: skip

    def _advance_groups(
        self,
        first_group: int,
        last_group: int,
        jobs: TerminalJobs,
        steps: loops.Steps,
        iterations: int,
        kept: loops.Samples,
    ) -> None:
        """All iterations of some groups, a fraction of a second at a time."""
        workspace, lanes = self._zeros(self._room), workspace_for(jobs.jobs.tables, self._forest.dtype)
        for group in range(first_group, last_group):
            packs = jobs.groups.pack[slice(*jobs.groups.pack_at[group : group + 2])]
            numbers = int((self._packs.row_at[packs + 1] - self._packs.row_at[packs]).sum())
            most = AT_ONCE // max(numbers, 1) or 1
            for step in range(0, iterations, most):
                if self._interrupted:
                    return
                advance_group(
                    group, step, min(step + most, iterations), jobs.groups, jobs.jobs, self._trees,
                    self._packs, self._numbers, self._choice, steps, kept, jobs.weight,
                    self._leaf_values, self._outcomes, lanes, workspace,
                )  # fmt: skip

    def _value_terminals(self, first_job: int, last_job: int, jobs: TerminalJobs, players: slice) -> None:
        """:func:`value_terminals`."""
        value_terminals(
            first_job, last_job, players.start, players.stop, jobs.jobs, self._trees, self._packs,
            self._numbers, jobs.weight, self._outcomes,
            workspace_for(jobs.jobs.tables, self._forest.dtype),
        )  # fmt: skip

    def _back_up_average(
        self, first_pack: int, last_pack: int, best: bool, packed: Floats, part: int
    ) -> None:
        """:func:`loops.back_up_average`."""
        loops.back_up_average(
            first_pack, last_pack, best, self._trees, self._packs, self._numbers, part, self._outcomes,
            self._zeros(self._room), packed,
        )  # fmt: skip

    def _each_pack(self, work: Callable, *arguments: Any, iterations: int = 1) -> None:
        """``work(first pack, last pack, *arguments)`` for parts of the packs, in as many threads as torch."""
        at, threads = self._packs.edge_at, torch.get_num_threads()
        if threads == 1 or at[-1] * iterations < WORTH_A_THREAD:
            work(0, len(at) - 1, *arguments)
            return
        parts = np.searchsorted(at, np.linspace(0, at[-1], 4 * threads + 1)[:-1])
        self._in_threads(np.unique([*parts, len(at) - 1]), work, *arguments)

    def _in_threads(self, bounds: Ints, work: Callable, *arguments: Any) -> None:
        """``work(begin, end, *arguments)`` between every two bounds."""
        parts = [partial(work, *part, *arguments) for part in pairwise(bounds.tolist())]
        try:
            run_in_threads(parts, torch.get_num_threads(), self._interrupt)
        finally:
            self._interrupted = False

    def _interrupt(self) -> None:
        self._interrupted = True

    # Packed and not

    def _unpack_edges(self, packed: Floats) -> Tensor:
        return self._forest.from_edges(torch.from_numpy(self._edges(packed)))

    def _edges(self, packed: Floats) -> Floats:
        edges = np.empty((self._forest.edges_at[-1], self._forest.game.num_hands), packed.dtype)
        loops.unpack_edges(self._packs, packed, edges)
        return edges

    def _pack_roots(self, roots: Tensor) -> Floats:
        packed = self._zeros(self._packs.root_at[-1])
        loops.pack_roots(self._packs, roots.contiguous().numpy(), packed)
        return packed

    def _unpack_roots(self, packed: Floats) -> Tensor:
        roots = self._zeros(2, self._forest.num_subgames, self._forest.game.num_hands)
        loops.unpack_roots(self._packs, packed, roots)
        return torch.from_numpy(roots)

    def _prepare_samples(self, samples: SampledStrategies | None, averages: bool = False) -> loops.Samples:
        if samples is None:
            subgame = iteration = at = np.zeros(0, np.int64)
        else:
            subgame, iteration, at = samples.subgame, samples.iteration - 1, samples.copies.edges_at
        # each subgame's lanes: one, or one in each pack that has some of its hands
        by_subgame = np.argsort(self._packs.subgame, kind="stable")[(self._packs.subgame < 0).sum() :]
        lane = by_subgame.reshape(self._forest.num_subgames, -1)[subgame]
        pack = np.searchsorted(self._packs.lane_at, lane, side="right") - 1
        order = np.lexsort((np.broadcast_to(iteration[:, None], pack.shape).ravel(), pack.ravel()))
        sample, pack, lane = order // max(lane.shape[1], 1), pack.ravel()[order], lane.ravel()[order]
        return loops.Samples(
            at=np.searchsorted(pack, np.arange(len(self._packs.tree) + 1)),
            iteration=iteration[sample],
            lane=lane - self._packs.lane_at[pack],
            out_at=at[sample],
            averages=averages,
            out=np.empty((at[-1] if len(at) else 0, self._forest.game.num_hands), self._dtype),
        )

    def _hand_over(
        self, samples: SampledStrategies, kept: loops.Samples, first: int, iterations: int
    ) -> None:
        """What was written down in these iterations, on the copies' forest."""
        copies = samples.copies
        due = (samples.iteration >= first) & (samples.iteration < first + iterations)
        nodes = torch.from_numpy(due[copies.decisions.subgame.numpy()])
        written = copies.from_edges(torch.from_numpy(kept.out))
        if kept.averages:
            written = copies.average(written)
        samples.strategy[:, nodes] = written[:, nodes]
