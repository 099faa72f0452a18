"""A network that knows cards, asked about fixed leaves on a GPU: three kernels, a product and its layers."""

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.dense_payoffs import ROUNDINGS, put_cards
from pokerlab.games.parts import HandInputsAt
from pokerlab.learning.further_kernels import further_kernels
from pokerlab.learning.kernel_layer import HistogramLayer, KernelLayer, potential_bins, stack_numbers
from pokerlab.learning.kernel_products import Query
from pokerlab.learning.query_kernels import THREADS, query_kernels, sizes_of
from pokerlab.search.leaves import BOTH, multiply_in

SPREADING = 128
"""Threads that spread values over a leaf's hands: half as many look up cards."""


class FusedQuery(Query):
    """Values of leaves of one kind, which are asked for again and again.

    What depends on one player's beliefs alone is kept until these change.

    Args:
        layer: of the network.
        inputs: of hands at the leaves.
        stack_to_pot: ``[n]``.
    """

    def __init__(self, layer: KernelLayer, inputs: HandInputsAt, stack_to_pot: Tensor) -> None:
        self._layer, like = layer, stack_to_pot
        ranked, hands = inputs.ranked, inputs.ranked.order.shape[1]
        self._wins, place, self._of_product = inputs.check_down_matrices()
        self._halves = self._wins.dtype == torch.float16
        self._times = inputs.rows.shape[1]
        per_board = self._times * (2 if self._halves else 1)
        slot = inputs.slot.numpy(force=True)
        at = place[slot // self._times] * per_board + slot % self._times

        def ints(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(values, np.int32), device=like.device)

        def reals(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(values), device=like.device).to(like.dtype)

        self._at, self._board_of = ints(at), ints(inputs.board_of)
        self._order, self._begin, self._end = map(ints, ranked[:3])
        self._possible = reals(ranked.possible.astype(np.float64))
        self._uniform = reals(inputs.uniform * ranked.possible / ranked.possible.sum(1, keepdims=True))
        lower, above = potential_bins(ranked.potential, layer.potentials)
        self._lower, self._above = ints(lower), reals(above)
        self._with_card, cards = put_cards(layer.cards.numpy(force=True), like.device)
        self._cards = cards.T.contiguous()

        n, number = len(stack_to_pot), layer.bins * layer.potentials
        self._scale = (inputs.weight * layer.scale(stack_to_pot)).contiguous()
        self._held, self._met, self._worth = like.new_zeros(3, 2, n, hands).unbind()
        self._totals, self._largest = like.new_zeros(2, 2, n).unbind()
        self._place, self._sums = like.new_empty(n, hands), like.new_empty(n, 4, number)
        shape = 2, len(ranked.order), per_board, hands
        self._rows = torch.zeros(shape, dtype=self._wins.dtype, device=like.device)
        self._won, self._no_pots = like.new_empty(shape), like.new_empty(1)
        self._of_summary, self._of_bins = layer.factors.prepare_inputs(stack_numbers(stack_to_pot))
        self._weight, self._mixed = inputs.weight, (1 - inputs.uniform) / 2
        self._rounding = ROUNDINGS * torch.finfo(like.dtype).eps
        self._sizes = self._times, shape[1] * per_board, int(self._halves)
        self._kernels = query_kernels(sizes_of(layer, like.dtype))

    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        self._hold(beliefs, BOTH, opponents=False)
        return self._values(players, self._no_pots, counterfactual=False)

    def hold(self, beliefs: Tensor) -> None:
        """See :class:`~pokerlab.search.leaves.ReachValues`."""
        self._hold(beliefs, BOTH, opponents=False)

    def of_reach(self, reach: Tensor, players: slice, changed: slice, pots: Tensor) -> Tensor:
        """See :class:`~pokerlab.search.leaves.ReachValues`."""
        self._hold(reach, changed, opponents=True)
        return self._values(players, pots, counterfactual=True)

    @torch.no_grad()
    def _hold(self, weights: Tensor, players: slice, *, opponents: bool) -> None:
        """Takes in what hands weigh, and what the other's win from them if nobody bets."""
        hands = weights.shape[2]
        self._kernels.hold(
            (weights.shape[1], players.stop - players.start), THREADS,
            [weights.contiguous(), self._possible, self._board_of, self._at, self._cards, self._with_card,
             self._held, self._met, self._totals, self._largest, self._rows.view(-1, hands)],
            (self._weight, self._rounding, *self._sizes, players.start, int(opponents)),
        )  # fmt: skip
        with multiply_in("float32", weights.device):  # sums over hands need all digits
            for rows, won in zip(self._rows[players], self._won[players], strict=True):
                if self._halves:
                    torch.bmm(rows, self._wins, out_dtype=won.dtype, out=won)
                else:
                    torch.bmm(rows, self._wins, out=won)

    @torch.no_grad()
    def _values(self, players: slice, pots: Tensor, *, counterfactual: bool) -> Tensor:
        n, hands = self._place.shape
        self._kernels.collect(
            (n,), THREADS,
            [self._held, self._met, self._largest, self._won.view(-1, hands), self._at, self._board_of,
             self._order, self._begin, self._end, self._uniform, self._lower, self._above, self._worth,
             self._place, self._sums, self._of_summary, self._of_bins],
            (self._mixed, self._of_product, *self._sizes),
        )  # fmt: skip
        factors = self._layer.factors.of_inputs(self._of_summary, self._of_bins).to(self._sums).contiguous()
        further, values = self._win_further(factors, players), torch.empty_like(self._held[players])
        self._kernels.spread(
            (n, len(values)), SPREADING,
            [factors, self._scale, self._held, self._met, self._totals, pots, self._worth,
             self._place, self._sums, self._board_of, self._possible, self._lower, self._above, self._cards,
             self._with_card, further, values],
            (players.start, self._weight, int(counterfactual)),
        )  # fmt: skip
        return values

    def _win_further(self, factors: Tensor, players: slice) -> Tensor:
        """``[n, B, 4 R]`` → ``[players, n, H]`` what hands win by A and B, if that is not by bins alone."""
        return factors


class FusedHistogramQuery(FusedQuery):
    """The same of a :class:`~pokerlab.learning.kernel_layer.HistogramLayer`: two kernels more.

    Args:
        layer: of the network.
        inputs: of hands at the leaves.
        stack_to_pot: ``[n]``.
        shares: ``[U, X, H]`` of the boards, how often hands will rank how high.
    """

    def __init__(
        self, layer: HistogramLayer, inputs: HandInputsAt, stack_to_pot: Tensor, shares: Tensor
    ) -> None:
        super().__init__(layer, inputs, stack_to_pot)
        self._further, self._shares = layer.further, shares.to(stack_to_pot).contiguous()
        self._inputs = layer.further.prepare_inputs(stack_numbers(stack_to_pot))
        self._further_kernels = further_kernels(sizes_of(layer, stack_to_pot.dtype))

    def _win_further(self, factors: Tensor, players: slice) -> Tensor:
        self._further_kernels.collect(
            (len(factors),), THREADS,
            [self._held, self._worth, self._shares, self._board_of, *self._inputs],
        )  # fmt: skip
        further = self._further.of_inputs(*self._inputs).to(factors).contiguous()
        won = torch.empty_like(self._held[players])
        self._further_kernels.win(
            (len(factors), len(won)), THREADS,
            [factors, further, self._held, self._worth, self._shares, self._place, self._board_of,
             self._lower, self._above, self._cards, self._with_card, won],
            (players.start,),
        )  # fmt: skip
        return won
