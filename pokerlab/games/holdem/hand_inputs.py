"""What can be computed exactly of every hand, so that no network has to learn how hands rank.

A network that sees the cards of a board as ones and zeros must find out from examples which hand beats which,
and which hands exclude each other. It does so badly at any size that we can pay for (docs/holdem.md). These
are inputs instead.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pokerlab import cuda
from pokerlab.games import later_rank_kernels
from pokerlab.games.base import Floats, Ints, PayoffOperator
from pokerlab.games.dense_payoffs import DensePayoffs
from pokerlab.games.holdem.features import HoldemFeatures
from pokerlab.games.later_ranks import spread_after_next_card, spread_on_complete_boards
from pokerlab.games.parts import RankedBoards
from pokerlab.games.payoff_tables import RUN_OUT, SHOWDOWN
from pokerlab.games.ranks import rank_boards
from pokerlab.games.run_out_kernels import MOST_TO_COME, win_in_kernel
from pokerlab.games.run_out_sums import sum_outcomes, win_showdowns
from pokerlab.loops import NUMBA

UNIFORM = 0.1
"""Share of the uniform range in the mixture that percentiles are of; players' beliefs share the rest."""
MOST_SUMMED = 8
"""Rows of a board for which outcomes are summed, if no more are asked for; a matrix takes as long."""
MATRICES = 16
"""Of all-ins, that are held at once: 7 MB each."""


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

    def acting(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n, 2]`` 1 for the player to act."""
        return features[:, :2]

    def stacks_to_pots(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]`` what a player has left on average, in pots."""
        pot = features[:, 3:6].sum(1)  # of all chips
        return (1 - pot).clamp_min(0) / (2 * pot)

    def prepare_hand_inputs(self, features: Tensor, like: Tensor, *, again: bool = False) -> "HandInputsAt":
        """See :class:`~pokerlab.games.parts.HandInputs`."""
        return HandInputsAt(self, self._boards_of(features), like, again=again)

    def _boards_of(self, features: Tensor) -> list[tuple[int, ...]]:
        first = self.num_betting_features
        there = (features[:, first : first + len(self.deck.cards)] > 0.5).cpu().numpy()
        cards = iter(np.nonzero(there)[1].tolist())
        return [tuple(islice(cards, number)) for number in there.sum(1).tolist()]

    @property
    def comes_before_one_card(self) -> tuple[bool, ...]:
        """See :class:`~pokerlab.games.parts.HandInputs`."""
        one = [after - before == 1 for before, after in pairwise(self.boards)]
        return (*(comes and not deal for comes in one for deal in (False, True)), False)

    def spread_after_next_card(self, features: Tensor, beliefs: Tensor, bins: int) -> Tensor:
        """See :class:`~pokerlab.games.parts.HandInputs`."""
        boards = self._boards_of(features)
        if cuda.runs_on(beliefs.device):
            deck, cards = self.deck, self.complete
            return later_rank_kernels.spread_after_next_card(deck, boards, cards, beliefs, UNIFORM, bins)
        numbers_of = dict[tuple[int, ...], list[int]]()
        for number, board in enumerate(boards):
            numbers_of.setdefault(board, []).append(number)
        held = beliefs.double().cpu().numpy()
        shares = np.empty((len(held), bins, self.num_hands))
        for board, numbers in numbers_of.items():
            possible = self.deck.possible(board)
            here = held[numbers] * possible
            here /= here.sum(2, keepdims=True).clip(1e-30)
            mixtures = (1 - UNIFORM) / 2 * here.sum(1) + UNIFORM / possible.sum() * possible
            shares[numbers] = spread_after_next_card(self.deck, board, self.complete, mixtures, bins)
        return torch.as_tensor(shares).to(beliefs)

    def spread_on_complete_boards(self, features: Tensor, like: Tensor, bins: int) -> Tensor:
        """See :class:`~pokerlab.games.parts.HandInputs`."""
        boards = self._boards_of(features)
        if cuda.runs_on(like.device):
            return later_rank_kernels.spread_on_complete_boards(self.deck, boards, self.complete, like, bins)
        shares = [spread_on_complete_boards(self.deck, board, self.complete, bins) for board in boards]
        return cuda.send(torch.from_numpy(np.stack(shares)).to(like.dtype), like.device)

    def check_downs(self, boards: list[tuple[int, ...]], like: Tensor) -> PayoffOperator:
        """``[..., U, K, H]`` the other's reach → what a hand wins less what it loses if nobody bets.

        In the unit of :meth:`mass_operator`.
        """
        kinds = [SHOWDOWN if len(board) == self.complete else RUN_OUT for board in boards]
        encoded = [self._kernels.encode(kind, board) for kind, board in zip(kinds, boards, strict=True)]
        return self.payoff_operator(encoded, like)

    def check_downs_once(self, boards: list[tuple[int, ...]], theirs: Tensor) -> Tensor:
        """The same at once, of boards that are not asked about again: ``[n, U, K, H]``."""
        kernels = cuda.runs_on(theirs.device)
        in_kernel = [kernels and self.complete - len(board) <= MOST_TO_COME for board in boards]
        if boards and all(in_kernel):
            rows = win_in_kernel(self.deck, boards, self.complete, theirs.transpose(0, 1).flatten(1, 2))
            return rows.mul_(self._weight).unflatten(1, (len(theirs), -1)).transpose(0, 1)
        won = torch.empty_like(theirs)
        if any(in_kernel):
            for part in (np.flatnonzero(in_kernel), np.flatnonzero(np.logical_not(in_kernel))):
                won[:, part] = self.check_downs_once([boards[number] for number in part], theirs[:, part])
            return won
        few = NUMBA and theirs.shape[0] * theirs.shape[2] <= MOST_SUMMED
        summed = np.array([few and len(board) < self.complete for board in boards], dtype=bool)
        if len(numbers := np.flatnonzero(summed)):
            here = torch.as_tensor(numbers, device=theirs.device)
            mass = theirs[:, here].transpose(0, 1).double().cpu()
            of_boards = [boards[number] for number in numbers], mass.flatten(1, 2).numpy()
            if theirs.device.type == "cpu":
                found = np.stack([*map(self._win_once, *of_boards)])
            else:  # which waits: meanwhile all cores are free
                with ThreadPoolExecutor() as threads:
                    found = np.stack([*threads.map(self._win_once, *of_boards)])
            won[:, here] = torch.as_tensor(found).view_as(mass).transpose(0, 1).to(theirs)
        others = np.flatnonzero(~summed)
        for part in np.split(others, range(MATRICES, len(others), MATRICES)):
            if len(part):
                won[:, part] = self.check_downs([boards[number] for number in part], theirs)(theirs[:, part])
        return won

    def _win_once(self, board: tuple[int, ...], theirs: Floats) -> Floats:
        return self._weight * sum_outcomes(self.deck, board, self.complete, theirs)

    def rank_boards(
        self, boards: Sequence[tuple[int, ...]]
    ) -> tuple[RankedBoards, NDArray[np.signedinteger]]:
        """See :func:`~pokerlab.games.ranks.rank_boards`: of boards of any length."""
        lengths = np.array([len(board) for board in boards], dtype=np.int64)
        if len(different := set(lengths.tolist())) == 1:
            return rank_boards(self.deck, np.array(boards, np.int64), self.complete)
        shape = len(boards), self.num_hands
        order, begin, end, ends = np.empty((4, *shape), np.int32)
        ranked = RankedBoards(order, begin, end, np.empty(shape, bool), np.empty(shape))
        for length in different:
            here = np.flatnonzero(lengths == length)
            of_length = np.array([boards[number] for number in here.tolist()], np.int64)
            found, ends[here] = rank_boards(self.deck, of_length, self.complete)
            for to, values in zip(ranked, found, strict=True):
                to[here] = values
        return ranked, ends


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
        self.ranked, self._ends = game.rank_boards(different)
        # a board's rows, padded with its first
        times = np.bincount(self.board_of, minlength=len(different))
        place = np.empty(len(boards), np.int64)
        by_board = self.board_of.argsort(kind="stable")
        place[by_board] = np.arange(len(boards)) - np.repeat(times.cumsum() - times, times)
        rows = np.zeros((len(different), max(times, default=0)), np.int64)
        rows[self.board_of, place] = np.arange(len(boards))
        self.rows = torch.as_tensor(rows, device=like.device)
        self.slot = torch.as_tensor(self.board_of * rows.shape[1] + place, device=like.device)
        self.mass: PayoffOperator = game.mass_operator(like)
        self.again = again
        self._game, self._boards, self._like = game, different, like
        self._check_down = game.check_downs(different, like) if again else None
        complete = all(len(board) == game.complete for board in different)
        self._shown = NUMBA and like.device.type == "cpu" and complete

    def __call__(self, beliefs: Tensor) -> Tensor:
        order, begin, end, possible, potential, uniform = self._places
        here = possible[:, None]
        held = beliefs * here
        held = held / held.sum(2, keepdim=True).clamp_min(1e-30)
        theirs = held.flip(1)
        won = self.win(theirs.transpose(0, 1)).transpose(0, 1)
        mass = self.mass(theirs)
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
        like = self._like
        board_of = torch.as_tensor(self.board_of, device=like.device)
        order, begin, end, possible, potential = (
            torch.as_tensor(of_boards, device=like.device)[board_of] for of_boards in self.ranked
        )
        there = possible.to(like.dtype)
        uniform = UNIFORM * there / there.sum(1, keepdim=True)
        return order.long(), begin.long(), end.long(), there, potential.to(like.dtype), uniform

    def win(self, theirs: Tensor) -> Tensor:
        """``[p, n, H]`` the others' mass → what hands win less what they lose if nobody bets."""
        return self.win_by_board(theirs[:, self.rows]).flatten(1, 2)[:, self.slot]

    def check_down_matrices(self) -> tuple[Tensor, Ints, float]:
        """See :meth:`DensePayoffs.matrices`; of boards that are asked about again, on a GPU."""
        assert isinstance(self._check_down, DensePayoffs)
        return self._check_down.matrices()

    def win_by_board(self, theirs: Tensor) -> Tensor:
        """The same ``[p, U, k, H]``, as ``rows`` says."""
        by_board = theirs.transpose(0, 1).flatten(1, 2)  # [U, p k, H]
        if self._check_down is not None:
            won = self._check_down(by_board)
        elif self._shown and by_board.shape[1] <= MOST_SUMMED:
            deck, cards = self._game.deck, self._game.complete
            shown = win_showdowns(deck, self.ranked.order, self._ends, cards, by_board.numpy())
            won = torch.as_tensor(shown).to(by_board) * self.weight
        else:
            won = self._game.check_downs_once(self._boards, by_board[None])[0]
        return won.unflatten(1, (len(theirs), -1)).transpose(0, 1)
