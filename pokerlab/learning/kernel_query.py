"""A network that knows cards, asked about fixed leaves: in compiled loops, or by tensor operations."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.cuda import send
from pokerlab.games.dense_payoffs import ROUNDINGS
from pokerlab.games.parts import HandInputsAt
from pokerlab.learning import kernel_loops
from pokerlab.learning.kernel_layer import (
    HistogramLayer,
    KernelLayer,
    potential_bins,
    stack_numbers,
    values_by_vectors,
)
from pokerlab.learning.kernel_products import ProductQuery, Query
from pokerlab.learning.query_kernels import fit, sizes_of
from pokerlab.loops import NUMBA, warn_once
from pokerlab.search.leaves import ReachValues, multiply_in

AT_ONCE = {"cpu": 64, "cuda": 512}
"""Leaves whose hands' shares of further bins are held at once, 0.5 MB a leaf."""
Later = Callable[[Tensor, slice], Tensor]
"""``[k, 2, H]`` beliefs, and of which leaves, → ``[k, X, H]`` how often hands will rank how high."""


def prepare_query(layer: KernelLayer, inputs: HandInputsAt, stack_to_pot: Tensor) -> Query:
    """For leaves of one kind.

    Args:
        layer: that values them.
        inputs: of hands there.
        stack_to_pot: ``[n]``.
    """
    if compiles(stack_to_pot.device):
        return CompiledQuery(layer, inputs, stack_to_pot)
    if _is_fused(layer, inputs, stack_to_pot):
        from pokerlab.learning.fused_query import FusedQuery

        return FusedQuery(layer, inputs, stack_to_pot)
    return (ProductQuery if inputs.again else TensorQuery)(layer, inputs, stack_to_pot)


def prepare_histogram_query(
    layer: HistogramLayer, inputs: HandInputsAt, stack_to_pot: Tensor, shares: Tensor
) -> Query:
    """The same of a layer that is told how hands will rank.

    Args:
        layer: that values them.
        inputs: of hands there.
        stack_to_pot: ``[n]``.
        shares: ``[U, X, H]`` of the boards, whatever is believed.
    """
    if compiles(stack_to_pot.device):
        return CompiledHistogramQuery(layer, inputs, stack_to_pot, shares.numpy())
    if _is_fused(layer, inputs, stack_to_pot):
        from pokerlab.learning.fused_query import FusedHistogramQuery

        return FusedHistogramQuery(layer, inputs, stack_to_pot, shares)
    board_of = send(torch.from_numpy(inputs.board_of), shares.device)
    return HistogramQuery(layer, inputs, stack_to_pot, lambda beliefs, here: shares[board_of[here]])


def _is_fused(layer: KernelLayer, inputs: HandInputsAt, like: Tensor) -> bool:
    return inputs.again and like.dtype == torch.float32 and asks_kernels(layer, like.device)


def compiles(device: torch.device) -> bool:
    """Whether leaves on a device are asked about in compiled loops."""
    return NUMBA and device.type == "cpu"


def asks_kernels(layer: KernelLayer, device: torch.device) -> bool:
    """Whether what is asked again on a device is asked in kernels, if in float32. Warns of too large ones."""
    if not cuda.runs_on(device):
        return False
    if not (fits := fit(sizes_of(layer, torch.float32))):
        warn_once(
            "a GPU takes several times longer to ask a value network that is too large for its kernels: "
            "early_bins, potentials, later_bins and rank have to share 48 kB"
        )
    return fits


class QueryOfKinds(Query):
    """Leaves of several kinds.

    Args:
        parts: where each kind's leaves are, and what values them.
    """

    def __init__(self, parts: Sequence[tuple[Tensor, Query]]) -> None:
        self._parts = parts

    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        found = torch.empty_like(beliefs[players])
        for here, query in self._parts:
            found[:, here] = query.of_players(beliefs[:, here], players)
        return found


class ReachQueryOfKinds(QueryOfKinds):
    """The same, of :class:`~pokerlab.search.leaves.ReachValues`."""

    def hold(self, beliefs: Tensor) -> None:
        """See :class:`~pokerlab.search.leaves.ReachValues`."""
        for here, query in self._parts:
            cast(ReachValues, query).hold(beliefs[:, here])

    def of_reach(self, reach: Tensor, players: slice, changed: slice, pots: Tensor) -> Tensor:
        """See :class:`~pokerlab.search.leaves.ReachValues`."""
        found = torch.empty_like(reach[players])
        for here, query in self._parts:
            of_kind = cast(ReachValues, query)
            found[:, here] = of_kind.of_reach(reach[:, here], players, changed, pots[here])
        return found


def join_kinds(parts: Sequence[tuple[Tensor, Query]]) -> Query:
    """What values leaves of several kinds."""
    fused = all(isinstance(query, ReachValues) for _, query in parts)
    return (ReachQueryOfKinds if fused else QueryOfKinds)(parts)


class TensorQuery(Query):
    """By tensor operations: see :func:`prepare_query`."""

    def __init__(self, layer: KernelLayer, inputs: HandInputsAt, stack_to_pot: Tensor) -> None:
        self._layer, self._inputs, self._stack_to_pot = layer, inputs, stack_to_pot

    @torch.no_grad()
    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        by_leaf = beliefs.transpose(0, 1)
        with multiply_in("float32", beliefs.device):
            inputs = self._inputs(by_leaf)
        found: Tensor = self._layer(self._stack_to_pot, by_leaf, inputs)
        return found.transpose(0, 1)[players]


class HistogramQuery(Query):
    """Of a :class:`~pokerlab.learning.kernel_layer.HistogramLayer`, by tensor operations.

    Args:
        layer: that values leaves.
        inputs: of hands there.
        stack_to_pot: ``[n]``.
        later: tells how often hands will rank how high.
    """

    def __init__(
        self,
        layer: HistogramLayer,
        inputs: HandInputsAt,
        stack_to_pot: Tensor,
        later: Later,
    ) -> None:
        self._layer, self._inputs, self._later = layer, inputs, later
        self._stacks = stack_numbers(stack_to_pot)

    @torch.no_grad()
    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        by_leaf = beliefs.transpose(0, 1)
        with multiply_in("float32", beliefs.device):
            inputs = self._inputs(by_leaf)
        found, once = torch.empty_like(by_leaf), AT_ONCE[beliefs.device.type]
        for first in range(0, len(by_leaf), once):
            here = slice(first, first + once)
            stacks, held, given = self._stacks[here], by_leaf[here], inputs[here]
            later = self._later(held, here)
            found[here] = values_by_vectors([self._layer], [len(held)], stacks, held, given, later)
        return found.transpose(0, 1)[players]


class CompiledQuery(Query):
    """In compiled loops: see :func:`prepare_query`.

    What depends on one player's beliefs alone is kept until these change: players who update in turn change
    one of them between queries.
    """

    def __init__(self, layer: KernelLayer, inputs: HandInputsAt, stack_to_pot: Tensor) -> None:
        self._layer, self._inputs, self._board_of = layer, inputs, inputs.board_of
        self._scale, self._stack_numbers = layer.scale(stack_to_pot), stack_numbers(stack_to_pot)
        self._ranked = self._rank(layer, inputs, stack_to_pot)
        self._possible = torch.from_numpy(self._ranked.possible[inputs.board_of])
        n, hands = len(stack_to_pot), self._possible.shape[1]
        like, number = stack_to_pot, layer.bins * layer.potentials
        self._held = like.new_full((2, n, hands), -1)  # nothing is as before
        self._met, self._worth = torch.empty_like(self._held), torch.empty_like(self._held)
        self._sums = like.new_empty(n, 4, number)
        self._by_card = like.new_empty(2, n, number, layer.number + 1)
        self._gains, self._itself = torch.empty_like(self._by_card[0]), like.new_empty(n, number)
        self._bins = kernel_loops.Bins(
            np.zeros((n, hands), np.int32), np.zeros((n, hands), self._ranked.possible.dtype)
        )
        self._rounding = ROUNDINGS * torch.finfo(like.dtype).eps

    @staticmethod
    def _rank(layer: KernelLayer, inputs: HandInputsAt, like: Tensor) -> kernel_loops.RankedHands:
        ranked, dtype = inputs.ranked, torch.empty(0, dtype=like.dtype).numpy().dtype
        lower, above = potential_bins(ranked.potential, layer.potentials)
        order, begin, end = (of_hands.astype(np.int32, copy=False) for of_hands in ranked[:3])
        return kernel_loops.RankedHands(
            order=order,
            begin=begin,
            end=end,
            possible=ranked.possible.astype(dtype),
            uniform=(inputs.uniform / ranked.possible.sum(1)).astype(dtype),
            lower=lower.astype(np.int32),
            above=above.astype(dtype),
            cards=np.ascontiguousarray(layer.cards.numpy().T, np.int32),
        )

    @torch.no_grad()
    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        self._hold(beliefs)
        factors = self._collect(players)
        values = torch.empty_like(self._held[players])
        for to, player in zip(values, range(2)[players], strict=True):
            self._spread(player, factors, to)
        return values

    def _hold(self, beliefs: Tensor) -> None:
        """Takes in what is believed, and what depends on one player's beliefs alone."""
        held = beliefs * self._possible
        held /= held.sum(2, keepdim=True).clamp_min_(1e-30)
        for player in (0, 1):
            if torch.equal(held[player], self._held[player]):
                continue
            self._held[player] = held[player]
            other = 1 - player
            won = self._inputs.win(held[player : player + 1])[0]
            kernel_loops.meet(
                self._held[player].numpy(), won.numpy(), self._inputs.weight, self._rounding,
                self._ranked.cards, self._met[other].numpy(), self._worth[other].numpy(),
            )  # fmt: skip

    def _collect(self, players: slice) -> Tensor:
        """Puts hands in bins, and asks the network for ``[n, B, 4 R]`` factors of kernels."""
        theirs = slice(2 - players.stop, 2 - players.start)
        kernel_loops.collect(
            self._held.numpy(), self._worth.numpy(), self._ranked, self._board_of,
            (1 - self._inputs.uniform) / 2, self._layer.bins, self._layer.potentials, theirs.start,
            theirs.stop, self._bins, self._sums.numpy(), self._by_card[theirs].numpy(),
        )  # fmt: skip
        return self._layer.factors_of(self._sums, self._stack_numbers)

    def _spread(self, player: int, factors: Tensor, values: Tensor) -> None:
        """Sets a player's ``[n, H]`` values."""
        gains, itself = self._gains.numpy(), self._itself.numpy()
        kernel_loops.multiply(
            factors.numpy(), self._scale.numpy(), player, self._by_card[1 - player].numpy(),
            self._layer.bins, gains, itself,
        )  # fmt: skip
        kernel_loops.spread(
            gains, itself, self._held[1 - player].numpy(), self._met[player].numpy(),
            self._worth[player].numpy(), self._ranked, self._board_of, self._bins, self._layer.potentials,
            values.numpy(),
        )  # fmt: skip


class CompiledHistogramQuery(CompiledQuery):
    """The same of a :class:`~pokerlab.learning.kernel_layer.HistogramLayer`.

    Args:
        layer: that values leaves.
        inputs: of hands there.
        stack_to_pot: ``[n]``.
        later: ``[U, X, H]`` of the boards, how often hands will rank how high.
    """

    _of_bins: Tensor
    """``[n, B, 2 R]`` A and B."""
    _of_further: Tensor
    """``[n, 2 X, 2 R]`` what further bins add."""

    def __init__(
        self, layer: HistogramLayer, inputs: HandInputsAt, stack_to_pot: Tensor, later: np.ndarray
    ) -> None:
        super().__init__(layer, inputs, stack_to_pot)
        self._ask_further = layer.further_of
        self._later = later
        self._further_sums = stack_to_pot.new_empty(len(stack_to_pot), 4, 2 * layer.later)

    def _collect(self, players: slice) -> Tensor:
        factors = super()._collect(players)
        of_hands = factors[..., : 2 * self._layer.rank]
        self._of_bins = of_hands.clone()
        of_hands.zero_()  # hands win by these one by one
        kernel_loops.collect_further(
            self._held.numpy(), self._worth.numpy(), self._later, self._board_of, self._further_sums.numpy()
        )
        self._of_further = self._ask_further(self._further_sums, self._stack_numbers)
        return factors

    def _spread(self, player: int, factors: Tensor, values: Tensor) -> None:
        super()._spread(player, factors, values)
        kernel_loops.win_by_vectors(
            self._of_bins.numpy(), self._of_further.numpy(), self._later, self._scale.numpy(), player,
            self._held.numpy(), self._met[player].numpy(), self._worth.numpy(), self._ranked, self._board_of,
            self._bins, self._layer.potentials, values.numpy(),
        )  # fmt: skip
