"""What terminals are worth on a GPU: rows of an array that :mod:`pokerlab.search.backends.fused` adds up."""

from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Floats, Ints
from pokerlab.games.dense_payoffs import DensePayoffs, Product, put_cards
from pokerlab.search.backends.fused_kernels import (
    FOLD,
    HALF,
    MOST_THREADS,
    WEIGH,
    WHOLE,
    terminals_kernel,
)
from pokerlab.search.forest import Forest
from pokerlab.search.terminals import PayoffPart

NONE = -1
"""In place of a row of worth."""


class Terminals(Protocol):
    """Values all terminals of a forest for one player at a time."""

    rows: int
    """How many rows of worth it sets."""

    def sources(self) -> list[tuple[Ints, Floats]]:
        """Of every terminal, rows of worth or ``NONE``, and what to multiply them with; pairs add up."""
        ...

    def value(self, player: int, reach: Tensor, weights: Tensor, worth: Tensor, scale: Tensor) -> None:
        """Sets what the player wins less what it loses.

        Args:
            player: 0 or 1.
            reach: ``[R, H]`` own reach.
            weights: ``[2, B, H]`` what hands weigh.
            worth: ``[rows or more, H]``.
            scale: ``[rows or more]`` what its rows are to be multiplied with; 1 at first.
        """
        ...


class OperatorTerminals:
    """Those of any game, by its payoff operators."""

    def __init__(self, forest: Forest) -> None:
        self._payoffs = forest.payoffs
        like = forest.payoffs.chips
        self.rows, hands = self._payoffs.row.shape[1], forest.game.num_hands
        self._opponent = like.new_zeros(1, self.rows, hands)
        self._every_hand = torch.zeros_like(self._payoffs.subgame), like.new_ones(1, hands)

    def sources(self) -> list[tuple[Ints, Floats]]:
        slot = self._payoffs.slot
        return [(slot, np.ones(len(slot)))]

    def value(self, player: int, reach: Tensor, weights: Tensor, worth: Tensor, scale: Tensor) -> None:
        payoffs, opponent = self._payoffs, self._opponent
        WEIGH(
            (self.rows, 1),
            MOST_THREADS,
            [reach, weights, payoffs.row, payoffs.subgame, *self._every_hand, opponent],
            [player],
        )
        for part in payoffs.parts:
            worth[part.slots] = part.outcomes(opponent[0])


class DenseTerminals:
    """Those of a game of cards: one kernel, and the products of :class:`DensePayoffs`.

    Worth has the products of float16 first, of each board all rows' first halves, then their second halves;
    then the other products, then folds.
    """

    def __init__(self, forest: Forest) -> None:
        terminals, payoffs = forest.terminals, forest.payoffs
        self._operators = [(part, cast(DensePayoffs, part.operator)) for part in payoffs.parts]
        dense = self._operators[0][1]
        deck, like, number = dense.deck, payoffs.chips, len(terminals)
        slots = payoffs.row.shape[1]
        self._kind, self._to, self._second, self._board = (np.zeros(slots, np.int32) for _ in range(4))
        self._factor = np.ones(slots)
        self._products: list[tuple[slice, Product]] = []
        end = 0
        for half in (True, False):
            for part, operator in self._operators:
                for product in operator.products:
                    if (product.wins.dtype == torch.float16) == half:
                        end = self._place(part, product, end)
            if half:
                self._first_whole = end
        wholes = end - self._first_whole
        for number_of_part, (part, operator) in enumerate(self._operators):
            before = sum(len(each.folds) for _, each in self._operators[:number_of_part])
            slot = _slots(part, operator.folds)
            self._kind[slot], self._to[slot] = FOLD, end + np.arange(slot.size).reshape(slot.shape)
            self._board[slot] = before + np.arange(len(slot))[:, None]
            end += slot.size
        self.rows = end
        self._slot = payoffs.slot

        def put(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values.astype(np.int32), device=forest.device)

        possible = torch.cat([operator.possible[:, 0] for _, operator in self._operators])
        if not len(possible):
            possible = like.new_ones(1, deck.num_hands)
        self._arrays = [
            terminals.row,
            terminals.subgame,
            *(put(of[self._slot]) for of in (self._kind, self._to, self._second, self._board)),
            possible.contiguous(),
            *put_cards(deck.hands, forest.device),
            like.new_full((1,), dense.weight),
        ]
        self._number = number
        halves = like.new_zeros(max(self._first_whole, 1), deck.num_hands, dtype=torch.float16)
        self._halves, self._wholes = halves, like.new_zeros(max(wholes, 1), deck.num_hands)
        self._kernel = terminals_kernel(deck.num_hands, len(deck.cards), like.dtype)

    def _place(self, part: PayoffPart, product: Product, begin: int) -> int:
        """Gives a product's terminals their rows of worth from ``begin`` on; returns where they end."""
        boards, half = len(product.wins), product.wins.dtype == torch.float16
        slot = _slots(part, product.kernels).reshape(boards, -1)
        rows = slot.shape[1]
        each = rows * (2 if half else 1)
        self._kind[slot] = HALF if half else WHOLE
        self._to[slot] = begin + each * np.arange(boards)[:, None] + np.arange(rows)
        self._second[slot] = self._to[slot] + rows
        self._factor[slot] = product.scale
        self._products.append((slice(begin, begin + each * boards), product))
        return begin + each * boards

    def sources(self) -> list[tuple[Ints, Floats]]:
        slot = self._slot
        second = np.where(self._kind[slot] == HALF, self._second[slot], NONE)
        return [(self._to[slot], self._factor[slot]), (second, self._factor[slot])]

    def value(self, player: int, reach: Tensor, weights: Tensor, worth: Tensor, scale: Tensor) -> None:
        self._kernel(
            (self._number,),
            MOST_THREADS,
            [reach, weights, *self._arrays, worth, scale, self._halves, self._wholes],
            [1 - player, self._first_whole],
        )
        for rows, product in self._products:
            shape = (len(product.wins), -1, worth.shape[1])
            found = worth[rows].view(shape)
            if product.wins.dtype == torch.float16:
                halves = self._halves[rows].view(shape)
                torch.bmm(halves, product.wins, out_dtype=torch.float32, out=found)
            else:
                wholes = slice(rows.start - self._first_whole, rows.stop - self._first_whole)
                torch.bmm(self._wholes[wholes].view(shape), product.wins, out=found)


def _slots(part: PayoffPart, kernels: Ints) -> Ints:
    """``[kernels, K]`` the slots of some of a part's kernels."""
    each = (part.slots.stop - part.slots.start) // part.kernels
    return part.slots.start + kernels[:, None] * each + np.arange(each)


def _is_dense(part: PayoffPart) -> bool:
    return isinstance(part.operator, DensePayoffs)


def value_in_kernels(forest: Forest) -> Terminals:
    """What values a forest's terminals."""
    parts = forest.payoffs.parts
    return DenseTerminals(forest) if parts and all(map(_is_dense, parts)) else OperatorTerminals(forest)
