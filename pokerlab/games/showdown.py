"""What folds, showdowns and all-ins pay for every hand at once, card removal included.

With ``S`` the opponent's mass and ``C[c]`` that of the hands with card c, a hand {a, b} meets
``S − C[a] − C[b] + r[a, b]``. At a showdown it wins against what is weaker and loses to what is
stronger: with hands in order of strength, ``P`` and ``Q[c]`` the sums of mass before the hand's tie group and
``P'`` and ``Q'[c]`` those at its end, that is ``P + P' − S`` less ``Q[c] + Q'[c] − C[c]`` for both cards (the
same hand ties). In loops, the cost of both grows with hands, not with pairs of hands; elsewhere, products
with matrices of pairs take less time (:mod:`pokerlab.games.dense_payoffs`).
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import prod
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Bools, Ints, PayoffOperator
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import DensePayoffs, dense_bytes
from pokerlab.games.hand_order import order_by_strength
from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN, Floats, PayoffTables
from pokerlab.games.run_outs import set_shares
from pokerlab.loops import NUMBA

if NUMBA:
    from pokerlab.games import payoff_loops

_Cards = TypeVar("_Cards", int, Ints)
KINDS = 3
LISTED = 18
"""Bytes that a hand takes in a kernel's lists."""


class Kernels:
    """Payoff kernels as integers: a kind and a board, its cards in any order.

    Args:
        num_cards: of the deck.
    """

    def __init__(self, num_cards: int) -> None:
        self._base = num_cards + 1

    def encode(self, kind: int, board: Sequence[int]) -> int:
        """The kernel of ``kind`` with ``board``."""
        return self._number(sorted(board), 0) * KINDS + kind

    def encode_all(self, kinds: Sequence[int], boards: Ints) -> Ints:
        """``[kinds, n]`` the kernels of boards ``[n, k]``."""
        codes = self._number(np.sort(boards, 1).T, np.zeros(len(boards), np.int64))
        return codes * KINDS + np.array(kinds)[:, None]

    def _number(self, cards: Iterable[_Cards], code: _Cards) -> _Cards:
        for card in cards:
            code = code * self._base + card + 1
        return code

    def decode(self, kernel: int) -> tuple[int, tuple[int, ...]]:
        """Its kind and its board, ascending."""
        code, kind = divmod(int(kernel), KINDS)
        board: list[int] = []
        while code:
            code, card = divmod(code, self._base)
            board.append(card - 1)
        return kind, tuple(reversed(board))


def card_payoffs(
    deck: Deck, kernels: Sequence[tuple[int, Sequence[int]]], *, complete: int, weight: float, like: Tensor
) -> PayoffOperator:
    """Kernels as one batched operator: on the CPU, compiled loops; elsewhere, or without numba, products.

    Args:
        deck: the deck.
        kernels: ``M`` kinds and boards.
        complete: how many cards are on a complete board.
        weight: probability of each pair of hands that share no card.
        like: a tensor with the device and dtype to work in.
    """
    operator = CardPayoffs if _in_loops(like) else DensePayoffs
    return operator(deck, kernels, complete=complete, weight=weight, like=like)


def card_payoff_bytes(deck: Deck, kind: int, board: Sequence[int], *, complete: int, like: Tensor) -> int:
    """What :func:`card_payoffs` takes for a kernel."""
    if not _in_loops(like):
        return dense_bytes(deck, kind, board, complete=complete, like=like)
    hands = deck.num_hands
    matrix = hands * payoff_loops.padded_columns(hands) * like.element_size()
    return hands * LISTED + (matrix if kind == RUN_OUT else 0)


def _in_loops(like: Tensor) -> bool:
    return like.device.type == "cpu" and NUMBA


_RUN_OUTS: WeakValueDictionary[tuple[Any, ...], Floats] = WeakValueDictionary()
"""Of operators that there are: a search and its leaf evaluator ask about the same boards."""


class CardPayoffs:
    """Kernels as one batched operator in compiled loops, see :func:`card_payoffs`."""

    def __init__(
        self,
        deck: Deck,
        kernels: Sequence[tuple[int, Sequence[int]]],
        *,
        complete: int,
        weight: float,
        like: Tensor,
    ) -> None:
        self.weight, self._dtype = weight, like.dtype
        self._deck, self._complete = deck, complete
        kinds = np.array([kind for kind, _ in kernels], dtype=np.int64)
        boards = [tuple(sorted(board)) for _, board in kernels]
        number = {board: i for i, board in enumerate(dict.fromkeys(boards))}
        self.board = np.array([number[board] for board in boards], dtype=np.int64)
        """``[M]`` numbers the different boards."""
        self._dealt_out = tuple(sorted({boards[row] for row in np.flatnonzero(kinds == RUN_OUT)}))
        matrix = {board: i for i, board in enumerate(self._dealt_out)}
        cards, members, list_at, group_end, group_at, row = _list_hands(
            deck, kinds == SHOWDOWN, boards, complete
        )
        self.lists = PayoffTables(
            cards=cards,
            kind=kinds,
            members=members,
            list_at=list_at,
            group_end=group_end,
            group_at=group_at,
            row=row,
            run_out=np.array([matrix.get(board, -1) for board in boards], dtype=np.int64),
            run_outs=self._pad(()),
        )
        """What loops need to know, without run-outs."""

    @cached_property
    def tables(self) -> PayoffTables:
        """What loops need to know."""
        if not self._dealt_out:
            return self.lists
        key = self._deck, self._dealt_out, self._complete, self._dtype
        if (run_outs := _RUN_OUTS.get(key)) is None:
            run_outs = self._pad(self._dealt_out)
            _RUN_OUTS[key] = run_outs
        return self.lists._replace(run_outs=run_outs)

    def _pad(self, boards: Sequence[tuple[int, ...]]) -> Floats:
        """``[R, H, H + padding]``: shares of run-outs won less those lost, the opponent's hand first."""
        hands, dtype = self._deck.num_hands, torch.empty(0, dtype=self._dtype).numpy().dtype
        shape = len(boards), hands, payoff_loops.padded_columns(hands)
        padded = payoff_loops.new_zeros(shape, dtype)
        for board, to in zip(boards, padded, strict=True):
            set_shares(self._deck, board, self._complete, to)
        return padded

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` opponent reach → the same shape."""
        won = torch.empty_like(reach, memory_format=torch.contiguous_format)
        source = reach.contiguous().view(prod(reach.shape[:-3]), *reach.shape[-3:])  # M can be 0
        payoff_loops.value_rows(
            0, source.shape[1], self.tables, source.numpy(), won.view(source.shape).numpy(),
            source.numpy().dtype.type(self.weight), payoff_loops.workspace_for(self.tables, self._dtype),
        )  # fmt: skip
        return won


def _list_hands(
    deck: Deck, shown: Bools, boards: Sequence[tuple[int, ...]], complete: int
) -> tuple[np.ndarray, ...]:
    """``cards`` and what follows ``kind`` in :class:`PayoffTables`; ``shown`` at showdowns."""
    number, hands = len(boards), deck.num_hands
    possible = np.array([deck.possible(board) for board in boards], dtype=bool).reshape(-1, hands)
    blocked = hands - possible.sum(-1)
    order, ends = np.argsort(~possible, -1, kind="stable"), np.zeros((number, hands), np.int64)
    complete_boards = [board for board, is_shown in zip(boards, shown, strict=True) if is_shown]
    strengths = deck.strengths(np.array(complete_boards, np.int64).reshape(-1, complete))
    order[shown], ends[shown] = order_by_strength(strengths)  # those that are blocked come first
    cards = deck.hands.T.astype(np.uint16, order="C")
    members, group_end = (np.zeros((number, 3 * hands), np.uint16) for _ in range(2))
    list_at, group_at = (np.zeros((number, len(deck.cards) + 2), np.int64) for _ in range(2))
    row = np.zeros((number, 2, hands), np.uint16)
    for i in range(number):
        there = slice(blocked[i], hands) if shown[i] else slice(0, hands - blocked[i])
        end = ends[i, there] - blocked[i] if shown[i] else ends[i, :0]
        payoff_loops.list_hands(
            order[i, there], end, cards, members[i], list_at[i], group_end[i], group_at[i], row[i]
        )
    return cards, members, list_at, group_end, group_at, row
