"""CFR on the CPU, in compiled loops."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import pairwise
from queue import SimpleQueue
from threading import Thread

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints, MatrixPayoffs
from pokerlab.games.showdown import CardPayoffs
from pokerlab.search.backends import loops as kernels
from pokerlab.search.backends.card_payoffs import Cashier, pay, pay_and_advance
from pokerlab.search.best_response import Exploitability, at_roots, check_complete
from pokerlab.search.cfr import CFR, SampledStrategies, divided
from pokerlab.search.forest import Forest

ROW = 192
"""Numbers that a sequence row has at least, if there are so many: shorter rows cost more than they save."""
PACK = 2**20
"""Bytes of a pack to aim for where rows can be longer: it stays in a core's cache."""
CACHE_LINE = 64
"""Bytes: rows are padded to whole ones."""
MOST_HANDS_FOR_MATRICES = 64
"""Up to so many hands, payoff matrices are multiplied in the loops; above, by the payoff operator."""
AT_ONCE = 2**25
"""Numbers updated in one call: a fraction of a second, after which signals are heard."""
WORTH_A_THREAD = 2**16
"""Numbers updated in one call below which a second thread does not pay."""


class _Threads:
    """Threads that share out a solve.

    Not a ``ThreadPoolExecutor``: its locks are taken and released in Python code, in the midst of which
    an interrupt leaves them as they are. A ``SimpleQueue`` is C throughout.
    """

    def __init__(self, number: int) -> None:
        self._todo: SimpleQueue = SimpleQueue()
        self._threads = [Thread(target=self._serve, name=f"cfr-{i}", daemon=True) for i in range(number)]
        for thread in self._threads:
            thread.start()

    def run(self, parts: Sequence[Callable[[], None]]) -> None:
        """All of them, in any order; raises what one of them raised."""
        done: SimpleQueue = SimpleQueue()
        for part in parts:
            self._todo.put((part, done))
        for _ in parts:
            if (error := done.get()) is not None:
                raise error

    def end(self) -> None:
        """Wait until everything begun is done; no thread is left."""
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (task := self._todo.get()) is not None:
            part, done = task
            try:
                part()
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)
            del task, part, done  # not until the next solve


_threads = cache(_Threads)

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_threads.cache_clear)  # the threads stay behind


class CompiledCFR(CFR):
    """:class:`CFR` in loops that numba compiles; its arguments are :class:`CFR`'s.

    Subgames are independent: ``torch.get_num_threads()`` threads share them. Where leaves are evaluated,
    or payoffs are operators, threads meet at every iteration; else each pack of subgames runs through all
    its iterations. A run that is interrupted leaves its subgames at different iterations: of no use.
    """

    def _set_up(self) -> None:
        forest, belief = self.forest, self.belief
        self._leaf_belief = self._leaf_belief.contiguous()
        self._interrupted = False
        self._dtype = np.dtype(str(forest.dtype).removeprefix("torch."))
        self._trees, self._packs = _trees(forest, self._dtype), _packs(forest, self._dtype)
        self._numbers = self._nothing_yet()
        self._every_pack(kernels.start, self._trees, self._packs, self._numbers, belief.contiguous().numpy())

        at = self._packs
        self._have_alike = len(self._trees.alike) > 0
        self._room = int(np.diff(at.row_at).max() + np.diff(at.root_at).max())

        self._leaf_reach = torch.zeros_like(self._leaf_belief)
        self._leaf_worth = torch.zeros_like(self._leaf_belief)
        self._cashier, slots = self._how_to_pay()
        if self._have_alike and not len(self._numbers.values):  # they stay while packs meet
            self._numbers = self._numbers._replace(values=self._zeros(len(self._numbers.reach)))
        self._terminal_reach = belief.new_zeros(2, slots, belief.shape[-1])
        self._outcomes = torch.zeros_like(self._terminal_reach)
        self._asked = [
            tensor.numpy()
            for tensor in (forest.boards, forest.leaves.board, self._leaf_reach, self._terminal_reach)
        ]
        if self._cashier:
            self._asked[-1] = self._asked[-1][:, :0]
        self._answered = (self._leaf_worth.numpy(), self._outcomes.numpy())

    def _how_to_pay(self) -> tuple[Cashier | None, int]:
        """What values terminals, if matrices do not, and how many slots it has."""
        forest = self.forest
        self._operates = not len(self._trees.matrices) and bool(len(self._trees.kernel))
        if not self._operates:
            return None, 0
        operator = forest.game.payoff_operator(forest.kernels.tolist(), self.belief)
        if not isinstance(operator, CardPayoffs):
            self._packs = self._packs._replace(slot=np.stack([forest.payoffs.slot] * 2))
            return None, forest.payoffs.row[0].numel()
        cashier = Cashier(forest, operator, self._packs, self._trees)
        self._packs = self._packs._replace(slot=cashier.slot)
        self._numbers = self._numbers._replace(values=self._zeros(len(self._numbers.reach)))
        return cashier, cashier.slots

    def _zeros(self, length: int) -> kernels.Floats:
        return torch.zeros(length, dtype=self.forest.dtype).numpy()  # aligned to cache lines

    def _nothing_yet(self) -> kernels.Numbers:
        edges, rows, roots = (at[-1] for at in (self._packs.edge_at, self._packs.row_at, self._packs.root_at))
        return kernels.Numbers(
            belief=self._zeros(roots),
            regret=self._zeros(edges),
            strategy=self._zeros(edges),
            strategy_sum=self._zeros(edges),
            reach=self._zeros(rows),
            root_values=self._zeros(roots),
            values=self._zeros(0),
        )

    @property
    def strategy(self) -> Tensor:
        return self._forest_edges(self._numbers.strategy)

    def run(self, iterations: int, samples: SampledStrategies | None = None) -> "CompiledCFR":
        ts = range(self.iteration + 1, self.iteration + iterations + 1)
        discounts = np.array([self.rule.discounts(t) for t in ts], self._dtype).reshape(-1, 2)
        weights = np.array([self.rule.weight(t) for t in ts])
        steps = kernels.Steps(
            done=self.iteration,
            alternating=self.alternating,
            floor=self.rule.floor,
            predictive=self.rule.predictive,
            positive=discounts[:, 0].copy(),
            negative=discounts[:, 1].copy(),
            weight=weights.astype(self._dtype),
        )
        kept = self._samples(samples)
        asks = len(self.forest.leaves) > 0 or self._have_alike
        if self._cashier and self._runs_apart and not asks:
            groups = np.arange(len(self._cashier.groups.job_at))
            shared = groups if torch.get_num_threads() > 1 else groups[[0, -1]]
            self._in_threads(shared, self._pay_and_advance, self._cashier, steps, iterations, kept)
        elif asks or self._operates:
            for i in range(iterations):
                self._step_by_query(steps, i, kept)
        else:
            whole = kernels.WHOLE
            self._every_pack(self._advance, steps, 0, iterations, 0, 2, kept, whole, iterations=iterations)
        self.iteration += iterations
        for weight in weights:  # one by one: the same however runs are cut
            self._weight_sum += float(weight)
        if samples is not None:
            self._hand_over(samples, kept, steps.done)
        return self

    def _start_from(self, strategy: Tensor, regret: Tensor) -> None:
        place = np.arange(len(self._numbers.regret), dtype=np.float64)
        place = self._edges(place).astype(np.int64)
        for numbers, values in ((self._numbers.strategy, strategy), (self._numbers.regret, regret)):
            numbers[place] = self.forest.to_edges(values).numpy()
        self._every_pack(kernels.follow, self._trees, self._packs, self._numbers)

    def average_strategy(self) -> Tensor:
        total = self._forest_edges(self._numbers.strategy_sum)
        return divided(total, total.sum(0), self.forest.uniform)

    def root_values(self) -> Tensor:
        values = torch.empty_like(self.belief, memory_format=torch.contiguous_format)
        kernels.unpack_roots(self._packs, self._numbers.root_values, values.numpy())
        return values / self._weight_sum

    def exploitability(self) -> Exploitability:
        check_complete(self.forest)
        packed = self._zeros(len(self._numbers.root_values))
        self._every_pack(kernels.follow_average, self._trees, self._packs, self._numbers)
        found = []
        for best in (False, True):
            self._query(slice(0, 2), 0)
            for part in self._parts(0, 2):
                self._every_pack(self._respond, best, packed, part)
            values = torch.empty_like(self.belief, memory_format=torch.contiguous_format)
            kernels.unpack_roots(self._packs, packed, values.numpy())
            found.append(at_roots(self.forest, self.belief, values))
        self._every_pack(kernels.follow, self._trees, self._packs, self._numbers)
        return Exploitability(value=found[0][0], best_response=found[1])

    # Steps

    def _parts(self, first_player: int, last_player: int) -> Iterator[int]:
        """The parts of the trees to back up in turn; between them, hands that are alike are evened out."""
        if not self._have_alike:
            yield kernels.WHOLE
            return
        yield kernels.BELOW
        kernels.even_out(first_player, last_player, self._trees, self._packs, self._numbers.values)
        yield kernels.ABOVE

    def _respond(
        self, first_pack: int, last_pack: int, best: bool, packed: kernels.Floats, part: int
    ) -> None:
        """:func:`kernels.respond`."""
        kernels.respond(
            first_pack, last_pack, best, self._trees, self._packs, self._numbers, part,
            self._answered[1], self._zeros(self._room), packed,
        )  # fmt: skip

    def _advance(
        self,
        first_pack: int,
        last_pack: int,
        steps: kernels.Steps,
        begin: int,
        end: int,
        first_player: int,
        last_player: int,
        kept: kernels.Samples,
        part: int,
    ) -> None:
        """:func:`kernels.advance`, a fraction of a second at a time."""
        numbers = int(self._packs.row_at[last_pack] - self._packs.row_at[first_pack])
        workspace, most = self._zeros(self._room), AT_ONCE // max(numbers, 1) or 1
        for step in range(begin, end, most):
            if self._interrupted:
                return
            kernels.advance(
                first_pack, last_pack, step, min(step + most, end), first_player, last_player,
                self._trees, self._packs, self._numbers, steps, kept, part, *self._answered, workspace,
            )  # fmt: skip

    def _step_by_query(self, steps: kernels.Steps, step: int, kept: kernels.Samples) -> None:
        """One iteration, with the leaf evaluator or the payoff operator asked in between."""
        for players in ((0, 1), (1, 2)) if self.alternating else ((0, 2),):
            self._query(slice(*players), steps.weight[step].item())
            for part in self._parts(*players):
                self._every_pack(self._advance, steps, step, step + 1, *players, kept, part)

    def _query(self, players: slice, weight: float) -> None:
        forest = self.forest
        if len(forest.leaves) or (self._operates and not self._cashier):
            self._every_pack(kernels.weigh_reach, self._trees, self._packs, self._numbers, *self._asked)
        if len(forest.leaves):
            self._leaf_worth[players] = self._leaf_values(self._leaf_reach, players, weight)
        if self._cashier:
            self._pay(self._cashier, players)
        elif self._operates:
            shape = (-1, *forest.payoffs.row.shape[1:], forest.game.num_hands)
            outcomes = forest.payoffs.operator(self._terminal_reach[players].view(shape))
            self._outcomes[players] = outcomes.flatten(1, 2)

    def _pay(self, cashier: Cashier, players: slice) -> None:
        """Adds what terminals are worth to the values."""
        bounds = cashier.bounds
        if self._is_small:
            bounds = bounds[[0, -1]]
        self._in_threads(bounds, self._pay_jobs, cashier, players)

    @property
    def _is_small(self) -> bool:
        """Whether one thread does an iteration as fast as several that have to meet twice or four times."""
        return torch.get_num_threads() == 1 or self._packs.edge_at[-1] < 4 * WORTH_A_THREAD

    @property
    def _runs_apart(self) -> bool:
        """Whether boards go through all iterations one by one, or there is no gain in threads for one."""
        if self._cashier is None:
            return False
        return len(self._cashier.groups.job_at) > 2 or self._is_small

    def _pay_and_advance(
        self,
        first_group: int,
        last_group: int,
        cashier: Cashier,
        steps: kernels.Steps,
        iterations: int,
        kept: kernels.Samples,
    ) -> None:
        """All iterations of some groups, a fraction of a second at a time."""
        workspace, room = self._zeros(self._room), cashier.operator.room(self.belief)
        for group in range(first_group, last_group):
            packs = cashier.groups.pack[slice(*cashier.groups.pack_at[group : group + 2])]
            numbers = int((self._packs.row_at[packs + 1] - self._packs.row_at[packs]).sum())
            most = AT_ONCE // max(numbers, 1) or 1
            for step in range(0, iterations, most):
                if self._interrupted:
                    return
                pay_and_advance(
                    group, step, min(step + most, iterations), cashier.groups, cashier.jobs, self._trees,
                    self._packs, self._numbers, steps, kept, self._dtype.type(cashier.operator.weight),
                    *self._answered, room, workspace,
                )  # fmt: skip

    def _pay_jobs(self, first_job: int, last_job: int, cashier: Cashier, players: slice) -> None:
        """:func:`paying.pay`."""
        pay(
            first_job, last_job, players.start, players.stop, cashier.jobs, self._trees, self._packs,
            self._numbers, self._dtype.type(cashier.operator.weight), self._answered[1],
            cashier.operator.room(self.belief),
        )  # fmt: skip

    def _normalise(self, reach: Tensor) -> None:
        kernels.normalise(reach.numpy(), self._leaf_belief.numpy())

    def _every_pack(self, work: Callable, *arguments: object, iterations: int = 1) -> None:
        """``work(first pack, last pack, *arguments)`` for parts of the packs, in as many threads as torch."""
        at, threads = self._packs.edge_at, torch.get_num_threads()
        if threads == 1 or at[-1] * iterations < WORTH_A_THREAD:
            work(0, len(at) - 1, *arguments)
            return
        parts = np.searchsorted(at, np.linspace(0, at[-1], 4 * threads + 1)[:-1])
        self._in_threads(np.unique([*parts, len(at) - 1]), work, *arguments)

    def _in_threads(self, bounds: Ints, work: Callable, *arguments: object) -> None:
        """``work(begin, end, *arguments)`` between every two bounds."""
        if len(bounds) == 2:
            work(int(bounds[0]), int(bounds[1]), *arguments)
            return
        pool = _threads(torch.get_num_threads())
        try:
            pool.run([partial(work, *part, *arguments) for part in pairwise(bounds.tolist())])
        except BaseException:  # above all KeyboardInterrupt, which threads do not hear
            self._interrupted = True
            _threads.cache_clear()
            pool.end()
            self._interrupted = False
            raise

    # Packed and not

    def _forest_edges(self, packed: kernels.Floats) -> Tensor:
        return self.forest.from_edges(torch.from_numpy(self._edges(packed)))

    def _edges(self, packed: kernels.Floats) -> kernels.Floats:
        edges = np.empty((self.forest.edges_at[-1], self.forest.game.num_hands), packed.dtype)
        kernels.unpack_edges(self._packs, packed, edges)
        return edges

    def _samples(self, samples: SampledStrategies | None) -> kernels.Samples:
        if samples is None:
            subgame = iteration = at = np.zeros(0, np.int64)
        else:
            subgame, iteration, at = samples.subgame, samples.iteration - 1, samples.copies.edges_at
        # each subgame's lanes: one, or one in each pack that has some of its hands
        by_subgame = np.argsort(self._packs.subgame, kind="stable")[(self._packs.subgame < 0).sum() :]
        lane = by_subgame.reshape(self.forest.num_subgames, -1)[subgame]
        pack = np.searchsorted(self._packs.lane_at, lane, side="right") - 1
        order = np.lexsort((np.broadcast_to(iteration[:, None], pack.shape).ravel(), pack.ravel()))
        sample, pack, lane = order // max(lane.shape[1], 1), pack.ravel()[order], lane.ravel()[order]
        return kernels.Samples(
            at=np.searchsorted(pack, np.arange(len(self._packs.tree) + 1)),
            iteration=iteration[sample],
            lane=lane - self._packs.lane_at[pack],
            out_at=at[sample],
            averages=self.average_leaves,
            out=np.empty((at[-1] if len(at) else 0, self.forest.game.num_hands), self._dtype),
        )

    def _hand_over(self, samples: SampledStrategies, kept: kernels.Samples, done: int) -> None:
        """What was written down since ``done`` iterations were taken, on the copies' forest."""
        copies = samples.copies
        due = (samples.iteration > done) & (samples.iteration <= self.iteration)
        nodes = torch.from_numpy(due[copies.decisions.subgame.numpy()])
        written = copies.from_edges(torch.from_numpy(kept.out))
        if self.average_leaves:
            written = divided(written, written.sum(0), copies.uniform)
        samples.strategy[:, nodes] = written[:, nodes]


def _starts(lengths: list[int] | Ints) -> Ints:
    """Where things of these lengths begin when they lie in a row, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _trees(forest: Forest, dtype: np.dtype) -> kernels.Trees:
    trees, forms = forest.trees, [tree.sequence_form for tree in forest.trees]
    node_at = _starts([len(form.first) for form in forms])
    of_first = np.array([form.of_first_player for form in forms])
    before_deal = np.array([form.before_deal for form in forms])
    alike = np.empty((0, forest.game.num_hands), np.int64)
    if any(tree.alike is not None for tree in trees):
        each = np.arange(forest.game.num_hands)
        alike = np.array([each if tree.alike is None else tree.alike for tree in trees])
    numbers = [np.bincount(first, minlength=len(first)) for first in alike]
    hands, matrices = forest.game.num_hands, np.empty((0, 0, 0), dtype)
    if hands <= MOST_HANDS_FOR_MATRICES:
        operator = forest.game.payoff_operator(forest.kernels.tolist(), torch.empty(0, dtype=forest.dtype))
        if isinstance(operator, MatrixPayoffs):
            matrices = operator.matrices.numpy()
    return kernels.Trees(
        node_at=np.stack([node_at[:-1], node_at[:-1] + of_first, node_at[1:]], 1),
        first=np.concatenate([form.first for form in forms]),
        end=np.concatenate([form.end for form in forms]),
        deal_at=np.stack([node_at[:-1], node_at[:-1] + of_first], 1) + before_deal,
        above=np.concatenate([form.above for form in forms]),
        terminal_at=_starts([len(tree.terminals) for tree in trees]),
        terminal_row=np.concatenate([form.terminal_row for form in forms], 1),
        kernel=np.searchsorted(forest.kernels, np.concatenate([tree.kernel for tree in trees])),
        payoff=np.concatenate([tree.payoff for tree in trees], 1).astype(dtype),
        matrices=matrices,
        leaf_at=_starts([len(tree.leaves) for tree in trees]),
        leaf_row=np.concatenate([form.leaf_row for form in forms], 1),
        alike=alike,
        share=(1 / np.maximum(np.array(numbers).reshape(alike.shape), 1)).astype(dtype),
    )


def _packs(forest: Forest, dtype: np.dtype) -> kernels.Packs:
    hands, line, threads = forest.game.num_hands, CACHE_LINE // dtype.itemsize, torch.get_num_threads()
    number = np.bincount(forest.tree_of, minlength=len(forest.trees))
    edges_of = np.array([tree.num_edges for tree in forest.trees])
    # regrets, strategy, its sum, reach and values
    row = np.maximum(PACK // (5 * dtype.itemsize * (edges_of + 2)), ROW)
    parts = -(-hands // row.min())  # hands that do not fit in a row go to more packs, of one lane each
    row = row if parts == 1 else np.full_like(row, ROW)
    packs_of = -(-number // np.maximum(row // hands, 1))  # of each tree
    if threads > 1 and packs_of.sum() < 4 * threads:  # too few to share out
        packs_of = -(-number // max(ROW // hands, 1))
    if packs_of.sum() < threads:
        packs_of = np.minimum(number, threads)
    tree = np.repeat(np.arange(len(number)), packs_of)
    lanes = -(-number // np.maximum(packs_of, 1))[tree]
    lane_at = _starts(lanes)
    subgame = np.full(lane_at[-1], -1)
    # a tree's subgames fill its packs' lanes in order; lanes that are left over stay empty
    first_lane = lane_at[_starts(packs_of)[:-1]]
    by_tree = np.argsort(forest.tree_of, kind="stable")
    rank = np.arange(len(by_tree)) - np.repeat(_starts(number)[:-1], number)
    subgame[first_lane[forest.tree_of[by_tree]] + rank] = by_tree
    first_hands = np.arange(0, hands, hands if parts == 1 else -(-hands // (parts * line)) * line)
    first_hand = np.tile(first_hands, len(tree))
    last_hand = np.tile(np.append(first_hands[1:], hands), len(tree))
    tree, lanes, subgame = (np.repeat(array, len(first_hands)) for array in (tree, lanes, subgame))
    edges = edges_of[tree]
    width = -(lanes * (first_hand - last_hand) // line) * line
    return kernels.Packs(
        tree=tree,
        lanes=lanes,
        lane_at=_starts(lanes),
        first_hand=first_hand,
        last_hand=last_hand,
        edge_at=_starts(edges * width),
        row_at=_starts((edges + 2) * width),
        root_at=_starts(2 * width),
        subgame=subgame,
        leaf_at=_starts(np.array([len(t.leaves) for t in forest.trees])[forest.tree_of]),
        terminal_at=_starts(np.array([len(t.terminals) for t in forest.trees])[forest.tree_of]),
        slot=np.empty((2, 0), np.int64),
        flat_at=forest.edges_at,
    )
