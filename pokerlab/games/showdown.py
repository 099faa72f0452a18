"""What folds, showdowns and all-ins pay for every hand at once, card removal included.

With ``S`` the opponent's mass and ``C[c]`` that of the hands with card c, a hand {a, b} meets
``S − C[a] − C[b] + r[a, b]``. At a showdown it wins against what is weaker and loses to what is
stronger: with hands in order of strength, ``P`` and ``Q[c]`` the sums of mass before the hand's tie group and
``P'`` and ``Q'[c]`` those at its end, that is ``P + P' − S`` less ``Q[c] + Q'[c] − C[c]`` for both cards (the
same hand ties). Both are sums and gathers: their cost grows with hands, not with pairs of hands.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.games.base import Ints
from pokerlab.games.cards import Deck
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN, PayoffTables
from pokerlab.games.run_outs import num_run_outs, run_out_wins
from pokerlab.loops import NUMBA

if NUMBA:
    from pokerlab.games import payoff_loops

Floats = NDArray[np.floating]

KINDS = 3
ROUNDINGS = 64
"""Units in the last place that a difference of sums over hands may be off by."""


class Kernels:
    """Payoff kernels as integers: a kind and a board, its cards in any order.

    Args:
        num_cards: of the deck.
    """

    def __init__(self, num_cards: int) -> None:
        self._base = num_cards + 1

    def encode(self, kind: int, board: Sequence[int]) -> int:
        """The kernel of ``kind`` with ``board``."""
        code = 0
        for card in sorted(board):
            code = code * self._base + card + 1
        return code * KINDS + kind

    def decode(self, kernel: int) -> tuple[int, tuple[int, ...]]:
        """Its kind and its board, ascending."""
        code, kind = divmod(int(kernel), KINDS)
        board: list[int] = []
        while code:
            code, card = divmod(code, self._base)
            board.append(card - 1)
        return kind, tuple(reversed(board))


class _Ordered(NamedTuple):
    """Hands in order of strength; ties are groups."""

    order: Ints
    """``[..., n]`` the hands, weakest first."""
    begin: Ints
    """``[..., n]`` where the tie group of each hand (not of each place) begins."""
    end: Ints
    """``[..., n]`` where it ends."""


def _ordered(strength: NDArray[np.integer]) -> _Ordered:
    """``[..., n]``."""
    order = strength.argsort(-1, kind="stable")
    ascending = np.take_along_axis(strength, order, -1)
    place = np.arange(strength.shape[-1])
    new = np.ones_like(ascending, dtype=bool)
    new[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    begin = np.maximum.accumulate(np.where(new, place, 0), -1)
    last = np.roll(new, -1, -1)
    last[..., -1] = True
    ends = np.where(last, place + 1, len(place))
    end = np.minimum.accumulate(ends[..., ::-1], -1)[..., ::-1]
    of_hand = np.empty_like(order)
    np.put_along_axis(of_hand, order, np.broadcast_to(place, order.shape), -1)
    return _Ordered(order, np.take_along_axis(begin, of_hand, -1), np.take_along_axis(end, of_hand, -1))


class CardMass:
    """The mass of hands that share no card with one's own, ``[..., H] → [..., H]``.

    Where that is no more than the rounding of differences, it is 0: a hand that meets nobody would else have
    the quotient of two rounding errors for a value.

    Args:
        deck: the deck.
        weight: probability of each such pair of hands.
        like: a tensor with the device and dtype to work in.
    """

    def __init__(self, deck: Deck, weight: float, like: Tensor) -> None:
        holds = deck.holds.T * 1.0
        self._holds = torch.as_tensor(holds, device=like.device).to(like.dtype)
        self._shared, self._weight = -self._holds.T.contiguous(), weight

    def __call__(self, reach: Tensor) -> Tensor:
        of_card = reach @ self._holds
        met = torch.addmm(reach.flatten(0, -2), of_card.flatten(0, -2), self._shared).view_as(reach)
        everything = reach.sum(-1, keepdim=True)
        met += everything
        met.masked_fill_(met < everything * (ROUNDINGS * torch.finfo(reach.dtype).eps), 0)
        return met.mul_(self._weight)


class CardPayoffs:
    """Kernels as one batched operator, ``[..., M, K, H] → [..., M, K, H]``.

    On the CPU, compiled loops; elsewhere, or without numba, tensor operations.

    Args:
        deck: the deck.
        kernels: ``M`` kinds and boards.
        complete: how many cards are on a complete board.
        weight: probability of each pair of hands that share no card.
        like: a tensor with the device and dtype to work in.
    """

    def __init__(
        self,
        deck: Deck,
        kernels: Sequence[tuple[int, Sequence[int]]],
        *,
        complete: int,
        weight: float,
        like: Tensor,
    ) -> None:
        self._deck, self._like = deck, like
        kinds = np.array([kind for kind, _ in kernels], dtype=np.int64)
        boards_of = [tuple(sorted(board)) for _, board in kernels]
        number = {board: i for i, board in enumerate(dict.fromkeys(boards_of))}
        self.board = np.array([number[board] for board in boards_of], dtype=np.int64)
        """``[M]`` numbers the different boards."""
        self.weight = weight
        self._rows = [(kinds == kind).nonzero()[0] for kind in range(KINDS)]
        self._possible = np.array([deck.possible(board) for _, board in kernels], dtype=bool).reshape(
            -1, deck.num_hands
        )
        boards = np.array([kernels[row][1] for row in self._rows[SHOWDOWN]], dtype=np.int64)
        strengths = deck.strengths(boards.reshape(-1, complete))
        self._strengths = strengths
        run_outs = [self._run_out(tuple(kernels[row][1]), complete) for row in self._rows[RUN_OUT]]
        self._loops = like.device.type == "cpu" and NUMBA
        if self._loops:
            self._prepare_loops(kinds, run_outs)
        else:
            self._run_outs = [matrix.to(like.device) * weight for matrix in run_outs]
            self._prepare_tensors()

    def _run_out(self, board: tuple[int, ...], complete: int) -> Tensor:
        """``[H, H]`` chances of winning less those of losing, on the CPU: the opponent's hand first."""
        wins = torch.from_numpy(run_out_wins(self._deck, board, complete)).to(self._like.dtype)
        return wins / -num_run_outs(self._deck, board, complete)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device=self._like.device).to(self._like.dtype)

    def _index(self, values: Ints) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device=self._like.device)

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` opponent reach → the same shape."""
        won = torch.empty_like(reach, memory_format=torch.contiguous_format)
        if self._loops:
            source = reach.contiguous().view(prod(reach.shape[:-3]), *reach.shape[-3:])  # M can be 0
            payoff_loops.value_rows(
                0, source.shape[1], self.tables, source.numpy(), won.view(source.shape).numpy(),
                source.numpy().dtype.type(self.weight),
                payoff_loops.workspace_for(self.tables, self._like.dtype),
            )  # fmt: skip
        else:
            self._with_tensors(reach, won)
            for row, matrix in zip(self._rows[RUN_OUT], self._run_outs, strict=True):
                torch.matmul(reach[..., row, :, :], matrix, out=won[..., row, :, :])
        return won

    # Compiled loops

    def _prepare_loops(self, kinds: Ints, run_outs: list[Tensor]) -> None:
        shown, count = self._rows[SHOWDOWN], self._possible.sum(-1)
        order = np.argsort(~self._possible, -1, kind="stable")
        first, end = np.zeros_like(count), np.zeros_like(order)
        by_strength = _ordered(self._strengths)
        order[shown], first[shown] = by_strength.order, self._deck.num_hands - count[shown]
        end[shown] = np.take_along_axis(by_strength.end, by_strength.order, -1) - first[shown, None]
        self.tables = PayoffTables(
            kind=kinds,
            first=first,
            last=first + count,
            order=order.astype(np.uint32),  # unsigned: an index that cannot count from the end
            end=end,
            cards=self._deck.hands.T.astype(np.uint32),
            num_cards=len(self._deck.cards),
            run_out=np.cumsum(kinds == RUN_OUT) - 1,
            run_outs=payoff_loops.pad_columns(run_outs, hands=self._deck.num_hands, dtype=self._like.dtype),
        )

    # Tensors

    def _prepare_tensors(self) -> None:
        deck, rows = self._deck, self._rows[SHOWDOWN]
        self._folded, self._shown = self._index(self._rows[FOLDED]), self._index(rows)
        cards = np.arange(len(deck.cards))
        self._of_card = np.array([deck.hand_of[card][cards != card] for card in cards])  # [N, N − 1]
        self._holds = self._tensor((deck.hands[:, None] == cards[:, None]).any(-1).astype(float))  # [H, N]
        self._possible_there = self._tensor(self._possible)[:, None]  # [M, 1, H]
        self._cards_of = self._index(deck.hands)
        by_strength = _ordered(self._strengths)
        by_card = _ordered(self._strengths[:, self._of_card])
        # where each card of each hand has the hand among its own
        slot = np.empty((len(deck.cards), deck.num_hands), dtype=np.int64)
        np.put_along_axis(slot, self._of_card, np.broadcast_to(cards[:-1], self._of_card.shape), -1)
        flat = deck.hands * (len(cards) - 1) + slot[deck.hands, np.arange(deck.num_hands)[:, None]]  # [H, 2]
        slots = len(cards) * (len(cards) - 1)
        ends = [found.reshape(len(rows), slots)[:, flat] for found in (by_card.begin, by_card.end)]
        self._order = self._index(by_strength.order)
        self._begin, self._end = self._index(by_strength.begin), self._index(by_strength.end)
        in_card = np.take_along_axis(np.broadcast_to(self._of_card, by_card.order.shape), by_card.order, -1)
        self._order_of_card = self._index(in_card.reshape(len(rows), slots))
        width = len(cards)  # of a card's sums, from that of no hand to that of all
        self._begin_of_card, self._end_of_card = (
            self._index((deck.hands * width + end).reshape(len(rows), deck.hands.size)) for end in ends
        )

    def _with_tensors(self, reach: Tensor, won: Tensor) -> None:
        reach = reach * self._possible_there
        if len(self._folded):
            mass = reach.index_select(-3, self._folded)
            of_card = mass @ self._holds
            met = mass.sum(-1, keepdim=True) + mass
            met -= of_card[..., self._cards_of[:, 0]] + of_card[..., self._cards_of[:, 1]]
            won.index_copy_(-3, self._folded, met)
        if len(self._shown):
            mass = reach.index_select(-3, self._shown)
            sums = _sums(_gathered(mass, self._order))
            beaten = _gathered(sums, self._begin) + _gathered(sums, self._end) - sums[..., -1:]
            cards = len(self._deck.cards)
            of_card = _sums(_gathered(mass, self._order_of_card).unflatten(-1, (cards, cards - 1)))
            total = of_card[..., -1]
            of_card = of_card.flatten(-2)
            both = _gathered(of_card, self._begin_of_card) + _gathered(of_card, self._end_of_card)
            beaten -= both.unflatten(-1, (-1, 2)).sum(-1)
            beaten += total[..., self._cards_of[:, 0]] + total[..., self._cards_of[:, 1]]
            won.index_copy_(-3, self._shown, beaten)
        won *= self._possible_there * self.weight


def _gathered(values: Tensor, index: Tensor) -> Tensor:
    """``values[..., M, K, n]`` at ``[M, m]`` → ``[..., M, K, m]``."""
    shape = (*values.shape[:-1], index.shape[-1])
    return values.gather(-1, index[:, None].expand(shape))


def _sums(values: Tensor) -> Tensor:
    """``[..., n]`` → ``[..., n + 1]`` of the first 0, 1, … n."""
    return torch.nn.functional.pad(values.cumsum(-1), (1, 0))
