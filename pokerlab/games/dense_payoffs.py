"""Card payoffs as matrix products, for any device.

What hands win from each other are whole numbers: 1, 0 or −1 at a showdown, counts of run-outs at an all-in.
A GPU multiplies with them faster than it adds up hands in order of strength (docs/gpu.md). There, in
float32, numbers up to ``EXACT`` are held in float16, which is exact, and the reach is split into two float16
numbers: the product is as exact as float32's, and takes half the time.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.games.base import Ints
from pokerlab.games.cards import Deck
from pokerlab.games.payoff_tables import FOLDED
from pokerlab.games.run_out_kernels import MOST_TO_COME, set_wins
from pokerlab.games.run_outs import num_run_outs, run_out_wins

EXACT = 2048
"""Whole numbers up to so many are exact in float16."""
LEAST = 1e-30
"""Reach below which a row counts as nothing where it is split in two."""
ROUNDINGS = 64
"""Units in the last place that a difference of sums over hands may be off by."""


Rows: TypeAlias = slice | Tensor
"""Which of a tensor's rows."""


def put_cards(hands: Ints, device: torch.device) -> list[Tensor]:
    """``[N, N − 1]`` the hands that hold each card, and ``[H, 2]`` the cards of each hand, as given."""
    hands_of = np.array([np.flatnonzero((hands == card).any(1)) for card in range(hands.max() + 1)])
    return [torch.as_tensor(of.astype(np.int32), device=device) for of in (hands_of, hands)]


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
        self.deck = deck
        self.weight, self.rounding = weight, weight * ROUNDINGS * torch.finfo(like.dtype).eps
        """Of each pair of hands; of everything, what counts as rounding."""
        # last, everything; with rounding also that times what counts as such
        holds = np.pad(deck.holds.T * 1.0, ((0, 0), (0, 2)), constant_values=1)
        holds[:, -1] *= self.rounding
        shared = np.pad(deck.holds * -1.0, ((0, 1), (0, 0)), constant_values=1)
        self._with_rounding, self._shared = (
            torch.as_tensor(matrix, device=like.device).to(like.dtype) for matrix in (holds, shared)
        )
        self._holds = self._with_rounding[:, :-1]

    def sums(self, reach: Tensor) -> Tensor:
        """The same with its roundings."""
        rows = reach.flatten(0, -2)
        return self._meet(rows, rows @ self._holds).view_as(reach)

    def _meet(self, rows: Tensor, of_card: Tensor) -> Tensor:
        return torch.addmm(rows, of_card, self._shared, beta=self.weight, alpha=self.weight)

    def __call__(self, reach: Tensor) -> Tensor:
        rows = reach.flatten(0, -2)
        of_card = rows @ self._with_rounding
        met = self._meet(rows, of_card[:, :-1])
        return met.masked_fill_(met < of_card[:, -1:], 0).view_as(reach)


def card_mass(deck: Deck, weight: float, like: Tensor) -> CardMass:
    """A :class:`CardMass`; on the CPU, where to make one takes longer than to use it, the same ones again."""
    if like.device.type == "cpu":
        return _mass_on_cpu(deck, weight, like.dtype)
    return CardMass(deck, weight, like)


@lru_cache(8)
def _mass_on_cpu(deck: Deck, weight: float, dtype: torch.dtype) -> CardMass:
    return CardMass(deck, weight, torch.empty(0, dtype=dtype))


def is_half(deck: Deck, board: Sequence[int], complete: int, like: Tensor) -> bool:
    """Whether a board's matrix is held in float16."""
    exact = num_run_outs(deck, tuple(board), complete) <= EXACT
    return exact and like.device.type == "cuda" and like.dtype == torch.float32


def dense_bytes(deck: Deck, kind: int, board: Sequence[int], *, complete: int, like: Tensor) -> int:
    """What a kernel takes: its possible hands, and where nobody folded a matrix."""
    hands, number = deck.num_hands, like.element_size()
    of_matrix = 2 if is_half(deck, board, complete, like) else number
    return hands * number + (0 if kind == FOLDED else hands**2 * of_matrix)


_WINS: WeakValueDictionary[tuple[Any, ...], Tensor] = WeakValueDictionary()
"""Of operators that there are: a search and its leaf evaluator ask about the same boards."""


class Product(NamedTuple):
    """Boards of a kind, ``U`` of them, that are multiplied with at once."""

    kernels: Ints
    """``[U · times]`` the kernels, board by board."""
    rows: Rows
    """The same."""
    wins: Tensor
    """``[U, H, H]``."""
    scale: float
    """What to multiply products with."""


class DensePayoffs:
    """Kernels as one batched operator, ``[..., M, K, H] → [..., M, K, H]``.

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
        self.deck, self._complete, self._like = deck, complete, like
        boards = [tuple(sorted(board)) for _, board in kernels]
        folded = np.array([kind == FOLDED for kind, _ in kernels], dtype=bool)
        possible = np.array([deck.possible(board) for board in boards]).reshape(-1, 1, deck.num_hands)
        self.folds: Ints = np.flatnonzero(folded)
        """Kernels where somebody folded."""
        self._folded = self._rows(self.folds)
        self.possible = self._index(possible[folded]).to(like.dtype)
        """``[folds, 1, H]`` 1 for hands that their boards leave possible, else 0."""
        self._mass, self.weight = card_mass(deck, weight, like), weight
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row in np.flatnonzero(~folded).tolist():
            rows_of.setdefault(boards[row], []).append(row)
        kinds = sorted({self._kind(board, len(rows)) for board, rows in rows_of.items()})
        self.products = [self._product(rows_of, kind) for kind in kinds]
        self._nothing = like.new_zeros(1)

    def matrices(self) -> tuple[Tensor, Ints, float]:
        """Of kernels that were one each of as many boards with as many cards, and where nobody folded.

        Returns:
            ``[M, H, H]`` to multiply rows with, ``[M]`` the matrix of each kernel, and what to multiply
            products with.
        """
        (product,) = self.products
        return product.wins, np.argsort(product.kernels), product.scale

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, device=self._like.device)

    def _rows(self, rows: np.ndarray) -> Rows:
        """A slice, if they are evenly spaced: it is read and written where it is."""
        spaces = np.unique(np.diff(rows))
        if len(rows) and len(spaces) <= 1 and spaces.min(initial=1) > 0:
            return slice(int(rows[0]), int(rows[-1]) + 1, int(spaces[0]) if len(spaces) else 1)
        return self._index(rows)

    def _is_half(self, board: tuple[int, ...]) -> bool:
        return is_half(self.deck, board, self._complete, self._like)

    def _kind(self, board: tuple[int, ...], times: int) -> tuple[bool, int, int]:
        """What boards have in common that are multiplied with at once: ``times`` rows each."""
        return self._is_half(board), len(board), times

    def _product(self, rows_of: dict[tuple[int, ...], list[int]], kind: tuple[bool, int, int]) -> Product:
        half, dealt, _ = kind
        boards = sorted(board for board, rows in rows_of.items() if self._kind(board, len(rows)) == kind)
        hands, dtype = self.deck.num_hands, torch.float16 if half else self._like.dtype
        key = self.deck, tuple(boards), self._complete, dtype, self._like.device
        if (wins := _WINS.get(key)) is None:
            wins = torch.empty(len(boards), hands, hands, dtype=dtype, device=self._like.device)
            few = self._complete - dealt <= MOST_TO_COME
            if few and cuda.runs_on(wins.device):
                set_wins(self.deck, boards, self._complete, wins)
            else:
                for to, board in zip(wins, boards, strict=True):
                    to.copy_(torch.from_numpy(run_out_wins(self.deck, board, self._complete).T))
            _WINS[key] = wins
        rows = np.concatenate([rows_of[board] for board in boards])
        run_outs = num_run_outs(self.deck, boards[0], self._complete)
        return Product(rows, self._rows(rows), wins, self.weight / run_outs)

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` opponent reach → the same shape."""
        rows_of = reach.reshape(reach.shape[:-3].numel(), *reach.shape[-3:])
        won = torch.empty_like(rows_of)
        if len(self.folds):
            met = self._mass.sums(rows_of[:, self._folded] * self.possible)
            self._set(won, self._folded, met, self.possible)
        for product in self.products:
            wins = product.wins
            by_board = (
                rows_of[:, product.rows].unflatten(1, (len(wins), -1)).transpose(0, 1)
            )  # [U, n, times, K, H]
            found, factor = (
                each.view(*by_board.shape[:-1], -1).transpose(0, 1).flatten(1, 2)
                for each in _multiply(by_board.flatten(1, -2), wins)
            )
            self._set(won, product.rows, found, factor, product.scale)
        return won.view(reach.shape)

    def _set(self, won: Tensor, rows: Rows, left: Tensor, right: Tensor, scale: float = 1) -> None:
        """Sets ``won[:, rows]`` to the product of all."""
        if isinstance(rows, slice):
            torch.addcmul(self._nothing, left, right, value=scale, out=won[:, rows])
        else:
            won.index_copy_(1, rows, torch.addcmul(self._nothing, left, right, value=scale))


def _multiply(rows: Tensor, wins: Tensor) -> tuple[Tensor, Tensor]:
    """``[U, n, H]`` times ``[U, H, H]``, in the rows' dtype, but for a factor ``[U, n, 1]``."""
    if wins.dtype != torch.float16:
        return rows @ wins, rows.new_ones(1, 1, 1).expand(*rows.shape[:2], 1)
    largest = torch.linalg.vector_norm(rows, inf, -1, keepdim=True).clamp_min_(LEAST)
    rows = rows / largest
    both = rows.new_empty(len(rows), 2 * rows.shape[1], rows.shape[2], dtype=torch.float16)
    first, second = both.chunk(2, 1)
    torch.sub(rows, first.copy_(rows), out=second)
    found = torch.bmm(both, wins, out_dtype=torch.float32)
    return found.unflatten(1, (2, -1)).sum(1), largest
