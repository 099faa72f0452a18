"""What can be computed exactly of every hand, so that no network has to learn how hands rank.

A network that sees the cards of a board as ones and zeros must find out from examples which hand beats which,
and which hands exclude each other. It does so badly at any size that we can pay for (docs/holdem.md). These
are inputs instead.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.games.base import Floats, Ints, PayoffOperator
from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.games.holdem.features import HoldemFeatures
from pokerlab.games.parts import RankedBoards
from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN
from pokerlab.games.run_out_sums import win_on_run_outs
from pokerlab.games.showdown import order_by_strength
from pokerlab.loops import NUMBA

MOST_RUN_OUTS = 2048
"""Of a board, over which a hand's rank is averaged; of more, so many are drawn."""
AT_ONCE = 256
"""Boards that are ranked at once."""
UNIFORM = 0.1
"""Share of the uniform range in the mixture that percentiles are of; players' beliefs share the rest."""
MATRICES = 16
"""Of all-ins, that are held at once: 7 MB each."""
BOARDS = 4096
"""Of which ranks are remembered, the latest ones."""


class HoldemHandInputs(HoldemFeatures):
    """Check-down values, ranks and potentials."""

    hand_inputs = ("check-down value of player 0", "of player 1", "percentile", "potential")

    @property
    def layers(self) -> tuple[str, ...]:
        """Kinds of belief states that value networks are asked about, each unlike the others."""
        streets = [f"street {number}" for number in range(1, len(self.boards) + 1)]
        return tuple(name for street in streets for name in (street, f"deal after {street}"))[:-1]

    @property
    def pair_weight(self) -> float:
        """Probability of each pair of hands that share no card."""
        return self._weight

    @property
    def hand_cards(self) -> Ints:
        """``[H, 2]``."""
        return self.deck.hands

    def layer_of(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]`` int64 which of :attr:`layers`."""
        street = features[:, 7 : 7 + len(self.boards)].argmax(1)
        layer = 2 * street + (features[:, 2] > 0.5)
        return layer.clamp_max(len(self.layers) - 1)

    def stacks_to_pots(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]`` what a player has left on average, in pots."""
        pot = features[:, 3:6].sum(1)  # of all chips
        return (1 - pot).clamp_min(0) / (2 * pot)

    def prepare_hand_inputs(self, features: Tensor, like: Tensor, *, again: bool = False) -> "HandInputsAt":
        """See :class:`~pokerlab.games.parts.HandInputs`."""
        first = self.num_betting_features
        cards = features[:, first : first + len(self.deck.cards)] > 0.5
        boards = [tuple(np.flatnonzero(row).tolist()) for row in cards.cpu().numpy()]
        return HandInputsAt(self, boards, like, again=again)

    def check_downs(self, boards: list[tuple[int, ...]], like: Tensor) -> PayoffOperator:
        """``[..., U, K, H]`` the other's reach → what a hand wins less what it loses if nobody bets.

        In the unit of :meth:`mass_operator`.
        """
        kinds = [SHOWDOWN if len(board) == self.complete else RUN_OUT for board in boards]
        encoded = [self._kernels.encode(kind, board) for kind, board in zip(kinds, boards, strict=True)]
        return self.payoff_operator(encoded, like)

    def check_downs_once(self, boards: list[tuple[int, ...]], theirs: Tensor) -> Tensor:
        """The same at once, of boards that are not asked about again: ``[n, U, K, H]``."""
        won = torch.empty_like(theirs)
        summed = [len(board) == self.complete - 1 and NUMBA for board in boards]
        for number in np.flatnonzero(summed).tolist():
            dealt = _run_outs(self.deck, boards[number], self.complete)
            mass = theirs[:, number].double().cpu().flatten(0, 1).numpy()
            sums = self._weight * win_on_run_outs(self.deck, boards[number], dealt, mass)
            won[:, number] = torch.as_tensor(sums).view_as(won[:, number])
        others = np.flatnonzero(np.logical_not(summed))
        for part in np.split(others, range(MATRICES, len(others), MATRICES)):
            if len(part):
                won[:, part] = self.check_downs([boards[number] for number in part], theirs)(theirs[:, part])
        return won

    def rank_hands(self, board: tuple[int, ...]) -> Floats:
        """``[2, H]`` each hand's rank on a board and its potential; −1 where the board blocks it.

        The rank is the share of other hands that it beats on a complete board, ties counted half, on average
        over run-outs; the potential, the percentile among hands of its standard deviation. Both are from 0
        to 1; a complete board leaves no potential.
        """
        return self.rank_boards([board])[0]

    def rank_boards(self, boards: Sequence[tuple[int, ...]]) -> Floats:
        """``[n, 2, H]`` :meth:`rank_hands` on many boards; complete ones, all at once."""
        found = np.empty((len(boards), 2, self.num_hands))
        complete = np.array([len(board) == self.complete for board in boards], dtype=bool)
        for number in np.flatnonzero(~complete).tolist():
            found[number] = rank_hands(self.deck, boards[number], self.complete)
        numbers = np.flatnonzero(complete)
        for part in np.split(numbers, range(AT_ONCE, len(numbers), AT_ONCE)) if len(numbers) else []:
            strengths = self.deck.strengths(np.array([boards[number] for number in part]))
            found[part, 0] = _percentiles(strengths)
            found[part, 1] = np.where(strengths == BLOCKED, BLOCKED, 0)
        return found


class HandInputsAt:
    """See :class:`~pokerlab.games.parts.HandInputsAt`.

    Args:
        game: the rules.
        boards: ``n``.
        like: a tensor with the device and dtype to work in.
        again: whether to keep the matrices of all-ins, 7 MB a board.
    """

    def __init__(
        self, game: HoldemHandInputs, boards: list[tuple[int, ...]], like: Tensor, *, again: bool
    ) -> None:
        self.uniform, self.weight = UNIFORM, game.pair_weight
        different = list(dict.fromkeys(boards))
        number = {board: i for i, board in enumerate(different)}
        self.board_of = np.array([number[board] for board in boards], dtype=np.int64)
        ranks = game.rank_boards(different)
        order, begin, end = _order(ranks[:, 0])
        self.ranked = RankedBoards(order, begin, end, ranks[:, 0] >= 0, ranks[:, 1])
        # a board's rows, padded with its first
        times = np.bincount(self.board_of, minlength=len(different))
        place = np.empty(len(boards), np.int64)
        by_board = self.board_of.argsort(kind="stable")
        place[by_board] = np.arange(len(boards)) - np.repeat(times.cumsum() - times, times)
        rows = np.zeros((len(different), max(times, default=0)), np.int64)
        rows[self.board_of, place] = np.arange(len(boards))
        self._rows = torch.as_tensor(rows, device=like.device)
        self._slot = torch.as_tensor(self.board_of * rows.shape[1] + place, device=like.device)
        self._mass = game.mass_operator(like)
        self._game, self._boards, self._like = game, different, like
        self._check_down = game.check_downs(different, like) if again else None

    def __call__(self, beliefs: Tensor) -> Tensor:
        order, begin, end, possible, potential, uniform = self._places
        here = possible[:, None]
        held = beliefs * here
        held = held / held.sum(2, keepdim=True).clamp_min(1e-30)
        theirs = held.flip(1)
        won = self.win(theirs.transpose(0, 1)).transpose(0, 1)
        mass = self._mass(theirs)
        check_down = won / mass.masked_fill(mass <= 0, 1)
        mixture = (1 - UNIFORM) / 2 * held.sum(1) + uniform
        below = functional.pad(mixture.gather(1, order).double().cumsum(1), (1, 0))
        percentile = ((below.gather(1, begin) + below.gather(1, end)) / 2).to(mixture.dtype)
        rest = torch.stack([percentile.masked_fill(possible <= 0, -1), potential], 1)
        return torch.cat([check_down.clamp(-1, 1) * here, rest], 1)

    @cached_property
    def _places(self) -> tuple[Tensor, ...]:
        """``[n, H]``: the order of hands; where each hand's tie group begins, and ends; whether the hand is
        possible; its potential; its part of the mixture that is uniform."""
        ranked, board_of, like = self.ranked, self.board_of, self._like
        order, begin, end, possible, potential = (
            torch.as_tensor(of_boards[board_of], device=like.device) for of_boards in ranked
        )
        there = possible.to(like.dtype)
        uniform = UNIFORM * there / there.sum(1, keepdim=True)
        return order, begin, end, there, potential.to(like.dtype), uniform

    def win(self, theirs: Tensor) -> Tensor:
        """``[p, n, H]`` the others' mass → what hands win less what they lose if nobody bets."""
        by_board = theirs[:, self._rows].transpose(0, 1).flatten(1, 2)  # [U, p K, H]
        won = self._win(by_board).unflatten(1, (len(theirs), -1)).transpose(0, 1)
        return won.flatten(1, 2)[:, self._slot]

    def _win(self, theirs: Tensor) -> Tensor:
        if self._check_down is not None:
            return self._check_down(theirs)
        return self._game.check_downs_once(self._boards, theirs[None])[0]


def _order(rank: np.ndarray) -> tuple[Ints, Ints, Ints]:
    """Of ``[U, H]`` ranks: the order, lowest first; where the tie group of each hand begins, and ends."""
    order, ends = order_by_strength(rank)
    first = np.diff(ends, axis=1, prepend=0) > 0
    begins = np.maximum.accumulate(np.where(first, np.arange(rank.shape[1]), 0), 1)
    begin, end = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(begin, order, begins, 1)
    np.put_along_axis(end, order, ends, 1)
    return order, begin, end


def rank_hands(deck: Deck, board: tuple[int, ...], cards: int) -> Floats:
    """See :meth:`HoldemHandInputs.rank_hands`; boards that differ in suits only are ranked once."""
    first, exchange = deck.first_of_suits(board)
    return _rank_hands(deck, first, cards)[:, deck.permute_hands(exchange)]


@lru_cache(BOARDS)
def _rank_hands(deck: Deck, board: tuple[int, ...], cards: int) -> Floats:
    """Of a board of the first suits that is not complete."""
    total, squares, times = np.zeros((3, deck.num_hands))
    boards = _run_outs(deck, board, cards)
    for part in range(0, len(boards), AT_ONCE):
        found = _percentiles(deck.strengths(boards[part : part + AT_ONCE]))
        there = found >= 0
        total += np.where(there, found, 0).sum(0)
        squares += np.where(there, found**2, 0).sum(0)
        times += there.sum(0)
    ranked = times > 0
    mean = np.where(ranked, total / times.clip(1), BLOCKED)
    spread = np.sqrt((squares / times.clip(1) - mean**2).clip(0))
    if not board:  # run-outs are drawn: suits must not matter
        hands = deck.permute_hands(deck.suit_permutations)
        mean, spread = mean[hands].mean(0), spread[hands].mean(0)
    levels = np.where(ranked, (spread * 3e4).round(), BLOCKED).astype(np.int16)
    # what ties exactly may differ in its last digit
    return np.stack([mean.round(9), _percentiles(levels[None])[0]])


def _run_outs(deck: Deck, board: tuple[int, ...], cards: int) -> Ints:
    """``[B, cards]`` complete boards."""
    rest = np.setdiff1d(np.arange(len(deck.cards)), board)
    missing = cards - len(board)
    if comb(len(rest), missing) <= MOST_RUN_OUTS:
        dealt = np.array(list(combinations(rest, missing)), dtype=np.int64)
    else:
        dealt = np.random.default_rng(0).permuted(np.tile(rest, (MOST_RUN_OUTS, 1)), axis=1)[:, :missing]
    return np.concatenate([np.tile(np.array(board, np.int64), (len(dealt), 1)), dealt], 1)


def _percentiles(strengths: np.ndarray) -> Floats:
    """``[B, H]`` the share of hands that are weaker, and half of those that tie; −1 for blocked hands."""
    _, begin, end = _order(strengths)
    possible = strengths != BLOCKED
    number = possible.sum(1, keepdims=True)
    blocked = strengths.shape[1] - number
    shares: Floats = ((begin + end) / 2 - blocked) / number.clip(1)
    return np.where(possible, shares, BLOCKED)
