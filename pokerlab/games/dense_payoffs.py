"""Card payoffs as matrix products, for any device.

What hands win from each other are whole numbers: 1, 0 or −1 at a showdown, counts of run-outs at an all-in.
A GPU multiplies with them faster than it adds up hands in order of strength (docs/gpu.md). There, in
float32, numbers up to ``EXACT`` are held in float16, which is exact, and the reach is split into two float16
numbers: the product is as exact as float32's, and takes half the time.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.games.payoff_tables import FOLDED
from pokerlab.games.run_outs import num_run_outs, run_out_wins

EXACT = 2048
"""Whole numbers up to so many are exact in float16."""
LEAST = 1e-30
"""Reach below which a row counts as nothing where it is split in two."""
ROUNDINGS = 64
"""Units in the last place that a difference of sums over hands may be off by."""


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

    def sums(self, reach: Tensor) -> Tensor:
        """The same with its roundings."""
        of_card = reach @ self._holds
        met = torch.addmm(reach.flatten(0, -2), of_card.flatten(0, -2), self._shared).view_as(reach)
        return met.add_(reach.sum(-1, keepdim=True)).mul_(self._weight)

    def __call__(self, reach: Tensor) -> Tensor:
        met, everything = self.sums(reach), reach.sum(-1, keepdim=True) * self._weight
        return met.masked_fill_(met < everything * (ROUNDINGS * torch.finfo(reach.dtype).eps), 0)


def is_half(deck: Deck, board: Sequence[int], complete: int, like: Tensor) -> bool:
    """Whether a board's matrix is held in float16."""
    exact = num_run_outs(deck, tuple(board), complete) <= EXACT
    return exact and like.device.type == "cuda" and like.dtype == torch.float32


def dense_bytes(deck: Deck, kind: int, board: Sequence[int], *, complete: int, like: Tensor) -> int:
    """What a kernel takes: its possible hands, and where nobody folded a matrix."""
    hands, number = deck.num_hands, like.element_size()
    of_matrix = 2 if is_half(deck, board, complete, like) else number
    return hands * number + (0 if kind == FOLDED else hands**2 * of_matrix)


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
        self._deck, self._complete, self._like = deck, complete, like
        boards = [tuple(sorted(board)) for _, board in kernels]
        folded = np.array([kind == FOLDED for kind, _ in kernels], dtype=bool)
        possible = np.array([deck.possible(board) for board in boards]).reshape(-1, 1, deck.num_hands)
        self._possible = torch.as_tensor(possible, device=like.device).to(like.dtype)  # [M, 1, H]
        self._folded = self._index(np.flatnonzero(folded))
        self._mass, self._weight = CardMass(deck, weight, like), weight
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row in np.flatnonzero(~folded).tolist():
            rows_of.setdefault(boards[row], []).append(row)
        kinds = sorted({(self._is_half(board), len(rows)) for board, rows in rows_of.items()})
        self._products = [self._product(rows_of, *kind) for kind in kinds]

    def _index(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, device=self._like.device)

    def _is_half(self, board: tuple[int, ...]) -> bool:
        return is_half(self._deck, board, self._complete, self._like)

    def _product(
        self, rows_of: dict[tuple[int, ...], list[int]], half: bool, times: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The boards that have so many rows: those rows ``[U, times]``, matrices ``[U, H, H]`` and what
        to multiply products with, ``[U, 1, 1]``."""
        kind = half, times
        boards = [board for board, rows in rows_of.items() if (self._is_half(board), len(rows)) == kind]
        hands, dtype = self._deck.num_hands, torch.float16 if half else self._like.dtype
        wins = torch.empty(len(boards), hands, hands, dtype=dtype, device=self._like.device)
        for to, board in zip(wins, boards, strict=True):
            to.copy_(self._wins(board).T)
        run_outs = [num_run_outs(self._deck, board, self._complete) for board in boards]
        scale = self._index(self._weight / np.array(run_outs)).to(self._like.dtype)[:, None, None]
        return self._index(np.array([rows_of[board] for board in boards])), wins, scale

    def _wins(self, board: tuple[int, ...]) -> Tensor:
        """``[H, H]`` on how many run-outs a hand wins less on how many it loses."""
        deck, device = self._deck, self._like.device
        missing = self._complete - len(board)
        if missing > 1 or (missing and device.type == "cpu"):
            return torch.as_tensor(run_out_wins(deck, board, self._complete), device=device)
        rest = [[card] for card in range(len(deck.cards)) if card not in board] if missing else [[]]
        strengths = torch.as_tensor(
            deck.strengths(np.array([[*board, *dealt] for dealt in rest])), device=device
        )
        won = torch.zeros(deck.num_hands, deck.num_hands, dtype=torch.int16, device=device)
        for strength in strengths:
            there = strength != BLOCKED
            won += (strength[:, None] > strength) & there
        return (won - won.T) * torch.as_tensor(deck.disjoint, device=device)

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` opponent reach → the same shape."""
        rows_of = (reach * self._possible).reshape(-1, *reach.shape[-3:])
        won = torch.empty_like(rows_of)
        if len(self._folded):
            met = self._mass.sums(rows_of[:, self._folded]) * self._possible[self._folded]
            won.index_copy_(1, self._folded, met)
        for rows, wins, scale in self._products:
            chosen = rows_of[:, rows].flatten(2, 3)  # [n, U, times · K, H]
            found = _multiply(chosen.transpose(0, 1).flatten(1, 2), wins) * scale
            found = found.unflatten(1, (len(chosen), -1)).transpose(0, 1)
            won.index_copy_(1, rows.flatten(), found.reshape(len(chosen), rows.numel(), *reach.shape[-2:]))
        return won.view(reach.shape)


def _multiply(rows: Tensor, wins: Tensor) -> Tensor:
    """``[U, n, H]`` times ``[U, H, H]``, in the rows' dtype."""
    if wins.dtype != torch.float16:
        return rows @ wins
    top = rows.amax(-1, keepdim=True).clamp_min(LEAST)
    rows = rows / top
    first = rows.half()
    both = torch.cat([first, (rows - first).half()], 1)
    found = torch.bmm(both, wins, out_dtype=torch.float32)
    return found.unflatten(1, (2, -1)).sum(1) * top
