"""The histograms of :mod:`pokerlab.games.later_ranks` on a GPU: a block of threads for each belief state.

Mass is summed in whole numbers, so no order of threads matters: equal inputs give equal results.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.cuda import NUMBERS, Kernel, send
from pokerlab.cuda import numba_cuda as cuda
from pokerlab.games.cards import Deck
from pokerlab.games.later_ranks import BOARDS, of_first_suits
from pokerlab.games.ranks import rank_boards
from pokerlab.games.run_out_kernels import COUNTED_AT_ONCE, THREADS, strengths_on_run_outs, tables_of

UNITS = 2**30
"""Of all mass."""


def spread_after_next_card(
    deck: Deck, boards: Sequence[tuple[int, ...]], cards: int, beliefs: Tensor, uniform: float, bins: int
) -> Tensor:
    """The histogram of each hand's percentile after the next card, every card being as likely.

    Args:
        deck: with ``H`` hands.
        boards: ``n``, of the same length.
        cards: how many are on a complete board, at least one more and at most 5.
        beliefs: ``[n, 2, H]`` both players', on a GPU.
        uniform: share of all possible hands in the mixture that percentiles are of; beliefs share the rest.
        bins: ``X``.

    Returns:
        ``[n, X, H]``; 0 for hands that the board blocks.
    """
    device = beliefs.device
    lengths = {len(board) for board in boards}
    if len(lengths) != 1:
        raise ValueError(f"boards must have the same length, got {sorted(lengths)}")
    complete = cards - lengths.pop() == 1
    dealt = np.array(boards, np.int64)
    if complete:
        names, exchange = list(boards), np.zeros(len(boards), np.int64)
    else:
        firsts, exchange = deck.first_of_suits(dealt)
        names = [tuple(board) for board in firsts.tolist()]
    number = {board: i for i, board in enumerate(dict.fromkeys(names))}
    given = np.stack([[number[board] for board in names], exchange, (1 << dealt).sum(1)])
    there = send(torch.from_numpy(given), device)
    strengths = deck.strengths_by_ranks(cards + 2)[1:]
    most = 1 + max(int(some.max()) for some in strengths) if complete else deck.num_hands
    shares = beliefs.new_empty(len(boards), bins, deck.num_hands)
    once = max(1, COUNTED_AT_ONCE // (len(deck.cards) * deck.num_hands))
    masks, different = tables_of(deck, cards, torch.float32, device).masks, list(number)
    for first in range(0, len(different), once):
        some = different[first : first + once]
        levels = (
            strengths_on_run_outs(deck, some, cards, device)
            if complete
            else torch.stack([_ranks_after(deck, board, cards, device) for board in some])
        )
        _spreading(deck.num_hands, len(deck.cards), most, bins, beliefs.dtype)(
            (len(boards),), THREADS,
            [levels, there, _exchanges(deck, device), masks, beliefs.contiguous(), shares],
            (first, uniform, 1 / max(1, len(deck.cards) - len(boards[0]) - 2)),
        )  # fmt: skip
    return shares


def spread_on_complete_boards(
    deck: Deck, boards: Sequence[tuple[int, ...]], cards: int, like: Tensor, bins: int
) -> Tensor:
    """The histogram of each hand's percentile among all hands, over run-outs.

    Args:
        deck: with ``H`` hands.
        boards: ``n``, of the same length.
        cards: how many are on a complete board; more than are dealt.
        like: a tensor with the device and dtype to work in.
        bins: ``X``.

    Returns:
        ``[n, X, H]``; 0 for hands that the board blocks.
    """
    number = {board: i for i, board in enumerate(dict.fromkeys(boards))}
    if cards - len(boards[0]) == 1:
        nothing = like.new_zeros(len(number), 2, deck.num_hands)
        of_boards = spread_after_next_card(deck, list(number), cards, nothing, 1.0, bins)
    else:
        firsts, exchange = deck.first_of_suits(np.array(list(number), np.int64))
        found = [_on_device(deck, tuple(first), cards, bins, like.device) for first in firsts.tolist()]
        there = _exchanges(deck, like.device)[send(torch.from_numpy(exchange), like.device)].long()
        of_boards = torch.stack(found).gather(2, there[:, None].expand(-1, bins, -1)).to(like)
    return of_boards[send(torch.tensor([number[board] for board in boards]), like.device)]


@lru_cache(BOARDS)
def _on_device(deck: Deck, board: tuple[int, ...], cards: int, bins: int, device: torch.device) -> Tensor:
    return send(torch.from_numpy(of_first_suits(deck, board, cards, bins).copy()), device)


@lru_cache(BOARDS)
def _ranks_after(deck: Deck, board: tuple[int, ...], cards: int, device: torch.device) -> Tensor:
    """``[N, H]`` int16 how high hands rank after each card, on an incomplete board; −1: they are blocked."""
    levels = np.full((len(deck.cards), deck.num_hands), -1, np.int16)
    dealt = [card for card in range(len(deck.cards)) if card not in board]
    ranked, _ = rank_boards(deck, np.array([(*board, card) for card in dealt], np.int64), cards)
    levels[dealt] = np.where(ranked.possible, ranked.begin, -1)
    return send(torch.from_numpy(levels), device)


@cache
def _exchanges(deck: Deck, device: torch.device) -> Tensor:
    """``[G, H]`` int32 what hands become when suits are exchanged."""
    return torch.from_numpy(deck.hand_permutations.astype(np.int32)).to(device)


@cache
def _spreading(hands: int, cards: int, most: int, bins: int, dtype: torch.dtype) -> Kernel:
    """Blocks are belief states."""
    real: Any = NUMBERS[dtype]
    threads = THREADS
    zero, one, half, last = real(0), real(1), real(0.5), real(bins - 1)
    tiny, units = np.finfo(real).tiny, real(UNITS)

    def spread(levels, given, exchanges, masks, beliefs, shares, first, uniform, per_card):  # fmt: skip
        """Sets the histograms of those belief states whose boards are among some.

        Args:
            levels: ``[U, N, H]`` how high hands rank after each card; −1: they are blocked.
            given: ``[3, n]`` boards' numbers, exchanges of suits, and cards as bits.
            exchanges: ``[G, H]``.
            masks: ``[H]``.
            beliefs: ``[n, 2, H]``.
            shares: ``[n, X, H]`` is set.
            first: number of the first board of ``levels``.
            uniform: share of all possible hands in the mixture.
            per_card: share of each card that can come.
        """
        mass = cuda.shared.array(hands, np.int32)
        below = cuda.shared.array(most, np.int32)
        partial = cuda.shared.array(threads, np.int32)
        sums = cuda.shared.array((threads, 3), real)
        state, thread, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        row = given[0, state] - first
        if row < 0 or row >= levels.shape[0]:
            return
        exchange, board = given[1, state], given[2, state]
        for i in range(3):
            sums[thread, i] = zero
        for hand in range(thread, hands, step):
            if masks[hand] & board == 0:
                sums[thread, 0] += beliefs[state, 0, hand]
                sums[thread, 1] += beliefs[state, 1, hand]
                sums[thread, 2] += one
        cuda.syncthreads()
        width = step
        while width > 1:  # halves, to the first thread's
            rest = (width + 1) // 2
            if thread + rest < width:
                for i in range(3):
                    sums[thread, i] += sums[thread + rest, i]
            cuda.syncthreads()
            width = rest
        share = (one - real(uniform)) * half
        own, other = share / max(sums[0, 0], tiny), share / max(sums[0, 1], tiny)
        each = real(uniform) / max(sums[0, 2], one)
        for hand in range(thread, hands, step):
            mixed = zero
            if masks[hand] & board == 0:
                mixed = own * beliefs[state, 0, hand] + other * beliefs[state, 1, hand] + each
            mass[hand] = np.int32(mixed * units + half)
            for x in range(bins):
                shares[state, x, hand] = zero
        cuda.syncthreads()
        stretch = (most + step - 1) // step
        for card in range(cards):
            for level in range(thread, most, step):
                below[level] = 0
            cuda.syncthreads()
            for hand in range(thread, hands, step):
                level = levels[row, card, exchanges[exchange, hand]]
                if level >= 0:
                    cuda.atomic.add(below, level, mass[hand])
            cuda.syncthreads()
            # sums up to each level: each thread a stretch of them
            total = np.int32(0)
            for level in range(min(thread * stretch, most), min((thread + 1) * stretch, most)):
                total += below[level]
                below[level] = total
            partial[thread] = total
            cuda.syncthreads()
            reach = 1
            while reach < step:
                before = partial[thread - reach] if thread >= reach else np.int32(0)
                cuda.syncthreads()
                partial[thread] += before
                cuda.syncthreads()
                reach *= 2
            total = partial[thread - 1] if thread else np.int32(0)
            for level in range(min(thread * stretch, most), min((thread + 1) * stretch, most)):
                below[level] += total
            cuda.syncthreads()
            scale = last * half / max(real(below[most - 1]), one)
            for hand in range(thread, hands, step):
                level = levels[row, card, exchanges[exchange, hand]]
                if level >= 0:
                    weaker = real(below[level - 1]) if level > 0 else zero
                    along = min((weaker + real(below[level])) * scale, last)
                    lower = min(int(along), bins - 2)
                    above = along - real(lower)
                    shares[state, lower, hand] += (one - above) * real(per_card)
                    shares[state, lower + 1, hand] += above * real(per_card)
            cuda.syncthreads()

    return Kernel(spread, f"spread over {bins} bins of {most} levels of {hands} hands in {dtype}")
