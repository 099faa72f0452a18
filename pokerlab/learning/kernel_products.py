"""A network that knows cards, asked about fixed leaves on a GPU: sums over hands as matrix products.

Which bins a hand belongs to along the percentile changes with the beliefs: at every query that is a matrix
``[n, K, H]`` with two numbers a hand. What does not change, a hand's bins along the potential and its cards,
is a matrix that is made once for each board.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.parts import HandInputsAt
from pokerlab.learning.kernel_layer import KernelLayer, potential_bins, stack_numbers
from pokerlab.learning.kernel_loops import LEAST_MASS
from pokerlab.search.leaves import BOTH, multiply_in


class Query(ABC):
    """:class:`~pokerlab.search.leaves.PlayersLeafValues`."""

    def __call__(self, beliefs: Tensor) -> Tensor:
        return self.of_players(beliefs, BOTH)

    @abstractmethod
    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        """``[2, n, H]`` → ``[players, n, H]``."""


BEFORE_LAST = 1e-5
"""Bins before the last that the highest place is put, so that a bin lies above it."""


class ProductQuery(Query):
    """Values of leaves of one kind.

    Leaves are in the order of boards: ``m = U · k`` of them, some of which are copies, so that each of the
    ``U`` boards has as many.

    Args:
        layer: of the network.
        inputs: of hands at the leaves.
        stack_to_pot: ``[n]``.
    """

    def __init__(self, layer: KernelLayer, inputs: HandInputsAt, stack_to_pot: Tensor) -> None:
        self._layer, self._inputs, like = layer, inputs, stack_to_pot
        self._rows, self._slot = inputs.rows.flatten(), inputs.slot
        self._stack_numbers = stack_numbers(stack_to_pot)[self._rows]
        # sums and mass are in probabilities of pairs of hands
        self._scale = (inputs.weight * layer.scale(stack_to_pot))[self._rows]
        ranked, times = inputs.ranked, inputs.rows.shape[1]
        boards, hands = ranked.order.shape
        self._boards, leaves = boards, boards * times

        def each(of_boards: np.ndarray) -> Tensor:
            """``[U, H]`` → ``[m, H]``, a board's once where there is one."""
            there = torch.as_tensor(of_boards, device=like.device)[:, None]
            return there.expand(boards, times, hands).reshape(leaves, hands)

        self._order = each(ranked.order).long()
        self._ends = torch.cat([each(ranked.begin), each(ranked.end)], 1).long()
        possible = ranked.possible.astype(np.float64)
        self._possible = each(possible).to(like.dtype)
        self._uniform = each(inputs.uniform * possible / possible.sum(1, keepdims=True)).to(like.dtype)
        self._below = like.new_zeros(leaves, hands + 1, dtype=torch.float64)
        self._in_bins = like.new_empty(leaves, layer.bins, hands)
        share = np.ones((boards, 1, hands))
        if layer.potentials > 1:
            lower, above = potential_bins(ranked.potential, layer.potentials)
            share = np.zeros((boards, layer.potentials, hands))
            np.put_along_axis(share, lower[:, None], 1 - above[:, None], 1)
            np.put_along_axis(share, lower[:, None] + 1, above[:, None], 1)
        self._share = torch.as_tensor(share, device=like.device).to(like.dtype)
        holds = torch.zeros(hands, layer.number + 1, dtype=like.dtype, device=like.device)
        holds.scatter_(1, layer.cards, 1)
        holds[:, -1] = -1  # hands that share a card count against all: signs are turned in the end
        self._of_board = (self._share[..., None] * holds).transpose(1, 2).flatten(2)  # [U, H, P (N + 1)]

    @torch.no_grad()
    def of_players(self, beliefs: Tensor, players: slice) -> Tensor:
        with multiply_in("float32", beliefs.device):  # sums over hands need all digits
            held = beliefs.index_select(1, self._rows).mul_(self._possible)
            held = held / held.sum(2, keepdim=True).clamp_min_(1e-30)
            met = self._inputs.mass(held).flip(0)
            won = self._inputs.win_by_board(held.flip(0).unflatten(1, (self._boards, -1))).flatten(1, 2)
            worth = (won / met.masked_fill(met <= 0, 1)).clamp_(-1, 1)
            lower, near = self._find_bins(held)
            sums = self._sum(held, worth)
        factors = self._layer.factors_of(sums, self._stack_numbers)
        with multiply_in("float32", beliefs.device):
            kernel = self._layer.kernel(factors) * self._scale[:, None, None]
            itself = kernel.diagonal(dim1=1, dim2=2).unflatten(1, (self._layer.bins, -1))
            found = []
            for player in range(2)[players]:
                gain, own = (kernel, itself) if player == 0 else (-kernel.transpose(1, 2), -itself)
                rest = self._win(gain, own, held[1 - player], lower, near)
                rest.div_(met[player].clamp_min(LEAST_MASS * self._inputs.weight))
                found.append(torch.add(rest, worth[player], alpha=0.5).mul_(self._possible))
            values = found[0][None] if len(found) == 1 else torch.stack(found)
            return values.index_select(1, self._slot)

    def _find_bins(self, held: Tensor) -> tuple[Tensor, Tensor]:
        """Sets ``in_bins``; returns ``[m, 1, H]`` each hand's lower bin along the percentile, and how far it
        is from there."""
        share = (1 - self._inputs.uniform) / 2
        mixture = torch.add(self._uniform, held[0] + held[1], alpha=share)
        torch.cumsum(mixture.gather(1, self._order), 1, dtype=torch.float64, out=self._below[:, 1:])
        begin, end = self._below.gather(1, self._ends).chunk(2, 1)
        last = self._layer.bins - 1
        place = (begin + end).mul_(last / 2).clamp_max_(last - BEFORE_LAST).to(held.dtype)[:, None]
        lower = place.long()
        near = place - lower
        self._in_bins.zero_().scatter_(1, lower, 1 - near).scatter_(1, lower + 1, near)
        return lower, near

    def _sum(self, held: Tensor, worth: Tensor) -> Tensor:
        """``[m, 4, B]`` both players' beliefs in bins, and these times the check-down values."""
        values = torch.cat([held, held * worth]).transpose(0, 1)  # [m, 4, H]
        spread = values.unflatten(0, (self._boards, -1))[:, :, :, None] * self._share[:, None, None]
        sums = spread.flatten(0, 1).flatten(1, 2) @ self._in_bins.transpose(1, 2)  # [m, 4 P, K]
        return sums.unflatten(1, (4, -1)).transpose(2, 3).flatten(2)

    def _win(self, gain: Tensor, own: Tensor, theirs: Tensor, lower: Tensor, near: Tensor) -> Tensor:
        """``[m, H]`` what a hand wins by the kernel, all beliefs being probabilities."""
        bins, boards = self._layer.bins, self._boards
        by_card = self._by_board(self._in_bins * theirs[:, None]) @ self._of_board
        won = gain @ by_card.view(len(theirs), bins * own.shape[2], -1)  # [m, B, N + 1]
        won[..., -1].neg_()
        each = self._by_board(won.view(len(theirs), bins, -1)) @ self._of_board.transpose(1, 2)
        each = each.view_as(self._in_bins)
        found = torch.lerp(each.gather(1, lower), each.gather(1, lower + 1), near)[:, 0].neg_()
        at = lower.transpose(1, 2).expand(-1, -1, own.shape[2])
        itself = torch.lerp(own.gather(1, at), own.gather(1, at + 1), near.transpose(1, 2))  # [m, H, P]
        shares = self._share.transpose(1, 2)[:, None]
        itself = (itself.unflatten(0, (boards, -1)) * shares).sum(3).flatten(0, 1)
        return found.addcmul_(itself, theirs)

    def _by_board(self, of_leaves: Tensor) -> Tensor:
        """``[m, K, C]`` → ``[U, k K, C]``."""
        return of_leaves.unflatten(0, (self._boards, -1)).flatten(1, 2)
