"""What hands win over all ways to deal a board's last cards, on a GPU: nothing is computed beside it.

The sums of :mod:`pokerlab.games.run_out_sums` without a matrix, and the matrices of
:mod:`pokerlab.games.run_outs`, for many boards at once. For sums: on a complete board hands of the same two
ranks are equally strong, but for flushes. So mass is summed by pairs of ranks, and by each card with each
rank for hands that exclude each other; hands that a flush makes stronger are met one by one.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Sequence
from functools import cache
from math import comb
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pokerlab.cuda import NUMBERS, Kernel, numba_cuda, send
from pokerlab.games.cards import FLUSH, Deck

MOST_TO_COME = 2
"""Cards that are dealt out."""
PARTS = (1, 4, 16)
"""Blocks that share a board's run-outs where none, one or two cards are to come."""
THREADS = 256
"""In a block."""
AT_ONCE = 2**26
"""Numbers that blocks leave to be added up."""
COUNTED_AT_ONCE = 2**23
"""Strengths of hands on run-outs, or pairs of hands, of boards that are counted at once."""


class Tables(NamedTuple):
    """What blocks look up of a deck of ``N`` cards and ``H`` hands: int32, but for two."""

    dealt: Tensor
    """``[1 + N + H, 2]`` what may be dealt: nothing, a card, two; −1 for no card."""
    shares: Tensor
    """``[3]`` one over the number of run-outs where none, one or two cards are to come; a float."""
    keys: Tensor
    """Sums of the keys of ranks, ascending."""
    values: Tensor
    """The strength of each without a flush."""
    flushes: Tensor
    """``[2 ** ranks]`` the strength of ranks in one suit."""
    rank_keys: Tensor
    """``[ranks]``."""
    pairs: Tensor
    """``[P, 2]`` pairs of ranks."""
    pair_of: Tensor
    """``[H]`` which of them a hand is."""
    suit_bits: Tensor
    """``[suits, H]`` a bit for the rank of each of a hand's cards of the suit."""
    cards_of: Tensor
    """``[H, 2]``."""
    masks: Tensor
    """``[H]`` a bit for each of a hand's cards; int64."""
    hand_of: Tensor
    """``[N, N]``, −1 for a card with itself."""
    by_suit: Tensor
    """``[suits, H]`` hands with two cards of the suit, then those with one, then the others."""


def win_in_kernel(deck: Deck, boards: Sequence[tuple[int, ...]], cards: int, theirs: Tensor) -> Tensor:
    """What each hand wins less what it loses, on average over run-outs.

    Args:
        deck: with ``H`` hands.
        boards: ``U``, of which at most ``MOST_TO_COME`` cards are to come.
        cards: how many are on a complete board, at most 5.
        theirs: ``[U, K, H]`` the other's mass, on a GPU.

    Returns:
        ``[U, K, H]``, see :func:`~pokerlab.games.run_out_sums.win_on_run_outs`. No order of threads matters.
    """
    there = _put(boards, cards, theirs.device)
    tables = tables_of(deck, cards, theirs.dtype, theirs.device)
    kernel = _sums(deck.ranks, deck.suits, theirs.dtype)
    parts = PARTS[cards - min(map(len, boards), default=cards)]
    once = max(1, AT_ONCE // (parts * max(1, theirs[0].numel())))
    found = []
    for board, mass in zip(there.split(once), theirs.split(once), strict=True):
        number, rows, _ = mass.shape
        won = mass.new_empty(parts, *mass.shape)
        kernel((number * rows, parts), THREADS, [mass.contiguous(), board, *tables, won])
        found.append(won.sum(0) if parts > 1 else won[0])
    return torch.cat(found) if len(found) > 1 else found[0]


def set_wins(deck: Deck, boards: Sequence[tuple[int, ...]], cards: int, wins: Tensor) -> None:
    """Sets on how many run-outs a hand wins less on how many it loses.

    Args:
        deck: with ``H`` hands.
        boards: ``U``, of the same length; at most ``MOST_TO_COME`` cards are to come.
        cards: how many are on a complete board, at most 5.
        wins: ``[U, H, H]`` on a GPU, the loser's hand first; 0 for hands that cannot meet.
    """
    hands = deck.num_hands
    to_come = cards - len(boards[0])
    once = max(1, COUNTED_AT_ONCE // (hands * max(comb(len(deck.cards), to_come), hands)))
    for first in range(0, len(boards), once):
        some, to = boards[first : first + once], wins[first : first + once]
        strengths = strengths_on_run_outs(deck, some, cards, wins.device)
        masks = tables_of(deck, cards, torch.float32, wins.device).masks
        counts = torch.empty(to.shape, dtype=torch.int16, device=wins.device)
        _counting()((len(some) * hands,), THREADS, [strengths, masks, counts])
        to.copy_(counts)


def strengths_on_run_outs(
    deck: Deck, boards: Sequence[tuple[int, ...]], cards: int, device: torch.device
) -> Tensor:
    """How strong hands are on complete boards.

    Args:
        deck: with ``H`` hands.
        boards: ``U``, of the same length; at most ``MOST_TO_COME`` cards are to come.
        cards: how many are on a complete board, at most 5.
        device: a GPU.

    Returns:
        ``[U, D, H]`` int16, for all ``D`` ways to deal cards, the board's own among them; −1 for hands that
        cannot be.
    """
    begins = [0, 1, 1 + len(deck.cards), 1 + len(deck.cards) + deck.num_hands]
    to_come = cards - len(boards[0])
    first, last = begins[to_come : to_come + 2]
    tables = tables_of(deck, cards, torch.float32, device)
    strengths = torch.empty(len(boards), last - first, deck.num_hands, dtype=torch.int16, device=device)
    _ranking(deck.ranks, deck.suits)(
        (len(boards) * (last - first),), THREADS,
        [_put(boards, cards, device), tables.dealt[first:last], tables.keys, tables.values, tables.flushes,
         tables.rank_keys, tables.pairs, tables.pair_of, tables.suit_bits, tables.masks, strengths],
    )  # fmt: skip
    return strengths


def _put(boards: Sequence[tuple[int, ...]], cards: int, device: torch.device) -> Tensor:
    """``[U, cards]`` boards, −1 for cards that are to come."""
    padded = np.full((len(boards), cards), -1, np.int32)
    for row, board in zip(padded, boards, strict=True):
        row[: len(board)] = board
    return send(torch.from_numpy(padded), device)


@cache
def tables_of(deck: Deck, cards: int, dtype: torch.dtype, device: torch.device) -> Tables:
    """Of a deck and complete boards of so many cards."""
    number = len(deck.cards)
    keys, values, flushes = deck.strengths_by_ranks(cards + 2)
    singles = np.stack([np.arange(number), np.full(number, -1)], 1)
    run_outs = [comb(max(0, number - cards + come - 4), come) for come in range(MOST_TO_COME + 1)]
    of_suit = (deck.hands % deck.suits == np.arange(deck.suits)[:, None, None]).sum(2)

    def move(array: np.ndarray, kind: torch.dtype = torch.int32) -> Tensor:
        return torch.as_tensor(array).to(kind).contiguous().to(device)

    return Tables(
        dealt=move(np.concatenate([[[-1, -1]], singles, deck.hands])),
        shares=move(1 / np.maximum(run_outs, 1), dtype),
        keys=move(keys),
        values=move(values),
        flushes=move(flushes),
        rank_keys=move(deck.rank_keys),
        pairs=move(deck.pairs_of_ranks),
        pair_of=move(deck.pair_of),
        suit_bits=move(deck.suit_bits),
        cards_of=move(deck.hands),
        masks=move((1 << deck.hands).sum(1), torch.int64),
        hand_of=move(deck.hand_of),
        by_suit=move((-of_suit).argsort(1, kind="stable")),
    )


@cache
def _device() -> Any:
    """What blocks have in common: the strength of hands on a complete board."""

    @numba_cuda.jit(device=True)
    def find(keys, key):
        """Where a key is, or where one would be that is not there."""
        low, high = 0, keys.shape[0] - 1
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        return low

    @numba_cuda.jit(device=True)
    def rank_hands(
        board, key, flushing, keys, values, flushes, rank_keys, pairs_of_ranks, pair_of, suit_bits, masks,
        cards_in, ranks_in, strength_of, strength,
    ):  # fmt: skip
        """Sets the strength of pairs of ranks without a flush, and of hands, −1 if they are blocked; returns
        the suit of which flushes are possible, or −1."""
        thread, threads = numba_cuda.threadIdx.x, numba_cuda.blockDim.x
        suits, ranks = suit_bits.shape[0], rank_keys.shape[0]
        one, nothing = np.int64(1), np.int64(0)
        for suit in range(thread, suits, threads):
            count, bits = 0, 0
            for rank in range(ranks):
                if (board >> (rank * suits + suit)) & one != nothing:
                    count += 1
                    bits |= 1 << rank
            cards_in[suit] = count
            ranks_in[suit] = bits
        numba_cuda.syncthreads()
        flush, least = -1, 0
        for suit in range(suits):
            if cards_in[suit] >= flushing:
                flush = suit
                least = flushes[ranks_in[suit]]  # where the board is a flush itself
        for pair in range(thread, pairs_of_ranks.shape[0], threads):
            low, high = pairs_of_ranks[pair, 0], pairs_of_ranks[pair, 1]
            strength_of[pair] = max(values[find(keys, key + rank_keys[low] + rank_keys[high])], least)
        numba_cuda.syncthreads()
        for h in range(thread, strength.shape[0], threads):
            value = strength_of[pair_of[h]]
            if masks[h] & board != nothing:
                value = -1
            elif flush >= 0:
                value = max(value, flushes[ranks_in[flush] | suit_bits[flush, h]])
            strength[h] = value
        numba_cuda.syncthreads()
        return flush

    return rank_hands


@cache
def _ranking(ranks: int, suits: int) -> Kernel:
    """Blocks are boards × what is dealt to them."""
    rank_hands = _device()
    hands, pairs, flushing = comb(ranks * suits, 2), comb(ranks + 1, 2), FLUSH - 2

    def set_strengths(
        boards, dealt, keys, values, flushes, rank_keys, pairs_of_ranks, pair_of, suit_bits, masks, strengths,
    ):  # fmt: skip
        strength = numba_cuda.shared.array(hands, np.int32)
        strength_of = numba_cuda.shared.array(pairs, np.int32)
        cards_in = numba_cuda.shared.array(suits, np.int32)
        ranks_in = numba_cuda.shared.array(suits, np.int32)
        u, d = numba_cuda.blockIdx.x // dealt.shape[0], numba_cuda.blockIdx.x % dealt.shape[0]
        thread, threads = numba_cuda.threadIdx.x, numba_cuda.blockDim.x
        one, nothing = np.int64(1), np.int64(0)
        board, key, clashes = nothing, np.int32(0), False
        for i in range(boards.shape[1] + 2):
            card = boards[u, i] if i < boards.shape[1] else dealt[d, i - boards.shape[1]]
            if card >= 0:
                clashes = clashes or (board >> card) & one != nothing
                board |= one << card
                key += rank_keys[card // suits]
        if clashes:
            for h in range(thread, hands, threads):
                strengths[u, d, h] = -1
        else:
            rank_hands(
                board, key, flushing, keys, values, flushes, rank_keys, pairs_of_ranks, pair_of, suit_bits,
                masks, cards_in, ranks_in, strength_of, strength,
            )  # fmt: skip
            for h in range(thread, hands, threads):
                strengths[u, d, h] = strength[h]

    return Kernel(set_strengths, f"strengths of {ranks} ranks of {suits} suits")


@cache
def _counting() -> Kernel:
    """Blocks are boards × hands; threads are hands before that one, of which both get what is counted."""

    def count(strengths, masks, wins):
        hands = masks.shape[0]
        u, i = numba_cuda.blockIdx.x // hands, numba_cuda.blockIdx.x % hands
        for j in range(numba_cuda.threadIdx.x, i + 1, numba_cuda.blockDim.x):
            total = 0
            if masks[i] & masks[j] == np.int64(0):
                for d in range(strengths.shape[1]):
                    own, other = strengths[u, d, i], strengths[u, d, j]
                    if own >= 0 and other >= 0:
                        if own > other:
                            total += 1
                        elif own < other:
                            total -= 1
            wins[u, j, i] = total
            wins[u, i, j] = -total

    return Kernel(count, "wins over run-outs")


@cache
def _sums(ranks: int, suits: int, dtype: torch.dtype) -> Kernel:
    """Blocks are boards × rows, of which there may be many, and parts of their run-outs."""
    number: Any = NUMBERS[dtype]
    rank_hands = _device()
    zero, half = number(0), number(0.5)
    step = np.uint32(1)  # an index without a sign needs no test of it
    cards = ranks * suits
    hands, pairs, with_rank = comb(cards, 2), comb(ranks + 1, 2), cards * ranks
    table, flushing = ranks * ranks, FLUSH - 2
    with_two = comb(ranks, 2)
    with_one = with_two + ranks * (cards - ranks)

    @numba_cuda.jit(device=True)
    def outcome(own, other, mass):
        """What is won from hands of some mass."""
        if other < own:
            return mass
        if other > own:
            return -mass
        return zero

    @numba_cuda.jit(device=True)
    def outcomes(own, strengths, first, masses, begin, count):
        """What is won from groups of hands that lie side by side."""
        total, i, j = zero, np.uint32(first), np.uint32(begin)
        for _ in range(count):
            total += outcome(own, strengths[i], masses[j])
            i, j = np.uint32(i + step), np.uint32(j + step)
        return total

    def win(
        theirs, boards, dealt, shares, keys, values, flushes, rank_keys, pairs_of_ranks, pair_of, suit_bits,
        cards_of, masks, hand_of, by_suit, won,
    ):  # fmt: skip
        met = numba_cuda.shared.array(hands, number)
        strength = numba_cuda.shared.array(hands, np.int32)
        flush_strength = numba_cuda.shared.array(with_one, np.int32)
        flush_mask = numba_cuda.shared.array(with_one, np.int64)
        flush_mass = numba_cuda.shared.array(with_one, number)
        by_rank = numba_cuda.shared.array(with_rank, number)  # mass of a card with each rank
        strength_of = numba_cuda.shared.array(pairs, np.int32)
        strength_with = numba_cuda.shared.array(table, np.int32)  # the same by both ranks
        mass_of = numba_cuda.shared.array(pairs, number)
        won_by = numba_cuda.shared.array(pairs, number)
        cards_in = numba_cuda.shared.array(suits, np.int32)
        ranks_in = numba_cuda.shared.array(suits, np.int32)
        u, k = numba_cuda.blockIdx.x // theirs.shape[1], numba_cuda.blockIdx.x % theirs.shape[1]
        part = numba_cuda.blockIdx.y
        thread, threads = numba_cuda.threadIdx.x, numba_cuda.blockDim.x
        nothing = np.int64(0)
        one, there, board_key, to_come = np.int64(1), nothing, np.int32(0), 0
        for i in range(boards.shape[1]):
            card = boards[u, i]
            if card >= 0:
                there |= one << card
                board_key += rank_keys[card // suits]
            else:
                to_come += 1
        first, last = 0, 1
        if to_come == 1:
            first, last = 1, 1 + cards
        elif to_come == 2:
            first, last = 1 + cards, 1 + cards + hands
        share = shares[to_come]
        for h in range(thread, hands, threads):
            met[h] = theirs[u, k, h]
            won[part, u, k, h] = zero
        for d in range(first + part, last, numba_cuda.gridDim.y):
            board, key = there, board_key
            clashes = False
            for i in range(2):
                card = dealt[d, i]
                if card >= 0:
                    clashes = clashes or (there >> card) & one != nothing
                    board |= one << card
                    key += rank_keys[card // suits]
            if clashes:
                continue
            numba_cuda.syncthreads()
            flush = rank_hands(
                board, key, flushing, keys, values, flushes, rank_keys, pairs_of_ranks, pair_of, suit_bits,
                masks, cards_in, ranks_in, strength_of, strength,
            )  # fmt: skip
            listed = np.uint32(0)
            if flush >= 0:
                listed = np.uint32(with_two if cards_in[flush] == flushing else with_one)
            for pair in range(thread, pairs, threads):
                low, high = pairs_of_ranks[pair, 0], pairs_of_ranks[pair, 1]
                strength_with[low * ranks + high] = strength_with[high * ranks + low] = strength_of[pair]
            numba_cuda.syncthreads()
            # sums of mass where no flush matters
            for i in range(thread, with_rank, threads):
                card, rank = i // ranks, i % ranks
                value = strength_with[card // suits * ranks + rank]
                total = zero
                for other in range(rank * suits, rank * suits + suits):
                    h = hand_of[card, other]
                    if h >= 0 and strength[h] == value:
                        total += met[h]
                by_rank[i] = total
            numba_cuda.syncthreads()
            for pair in range(thread, pairs, threads):
                low, high = pairs_of_ranks[pair, 0], pairs_of_ranks[pair, 1]
                total = zero
                for card in range(low * suits, low * suits + suits):
                    total += by_rank[card * ranks + high]
                mass_of[pair] = total * half if low == high else total  # where both cards count a hand
            for i in range(thread, listed, threads):
                h = by_suit[flush, i]
                value = strength[h]
                flush_strength[i] = value
                flush_mask[i] = masks[h]
                flush_mass[i] = met[h] if value > strength_of[pair_of[h]] else zero
            numba_cuda.syncthreads()
            for pair in range(thread, pairs, threads):
                won_by[pair] = outcomes(strength_of[pair], strength_of, 0, mass_of, 0, pairs)
            numba_cuda.syncthreads()
            for h in range(thread, hands, threads):
                own, mask = strength[h], masks[h]
                if own >= 0:
                    pair = pair_of[h]
                    total = won_by[pair]
                    if own != strength_of[pair]:
                        total = outcomes(own, strength_of, 0, mass_of, 0, pairs)
                    for i in range(2):
                        card = cards_of[h, i]
                        row = card // suits * ranks
                        total -= outcomes(own, strength_with, row, by_rank, card * ranks, ranks)
                    at = np.uint32(0)
                    while at < listed:
                        if flush_mask[at] & mask == nothing:
                            total += outcome(own, flush_strength[at], flush_mass[at])
                        at = np.uint32(at + step)
                    won[part, u, k, h] += share * total

    return Kernel(win, f"check-downs of {ranks} ranks of {suits} suits in {dtype}")
