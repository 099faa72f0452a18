"""Who wins an all-in: how often each hand beats each other, over all ways to deal the board's last cards.

Boards that differ in the names of suits only have the same numbers: one of them is counted, for which a flop
takes a tenth of a second and the empty board twenty; the 1,755 flops that differ make 2.4 GB. So they are
counted when they are first needed, and kept in :func:`pokerlab.store.files.cache_folder`.
"""

import contextlib
import os
import zlib
from functools import lru_cache
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Ints
from pokerlab.games.cards import BLOCKED, Deck
from pokerlab.loops import jit, warn_once
from pokerlab.store.files import cache_folder

REMEMBERED = 16
"""Boards whose matrices are remembered, the latest ones."""
COUNTED = 128
"""Boards up to suits whose counts are remembered, the latest ones: up to 1.8 MB each."""
AT_ONCE = 512
"""Run-outs whose strengths are made at once."""
CHECKSUM = 4
"""Bytes."""


def num_run_outs(deck: Deck, board: tuple[int, ...], cards: int) -> int:
    """In how many ways a board can be completed for two hands.

    Args:
        deck: the deck.
        board: what is dealt.
        cards: how many are on a complete board.
    """
    return comb(len(deck.cards) - len(board) - 4, cards - len(board))


@lru_cache(REMEMBERED)
def run_out_wins(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    """``[H, H]`` on how many run-outs a hand wins less on how many it loses; 0 for hands that cannot meet.

    What is lost is the negative of what is won: the transpose is the negative. Of the smallest type that
    holds :func:`num_run_outs`.

    Args:
        deck: with ``H`` hands.
        board: what is dealt, in any order.
        cards: how many are on a complete board.
    """
    first, exchange = deck.first_of_suits(board)
    triangle = _counts(deck, first, cards)
    hands = np.argsort(deck.permute_hands(exchange))[deck.possible(first)]
    wins = np.zeros((deck.num_hands, deck.num_hands), triangle.dtype)
    _spread(triangle, hands, wins)
    return wins


@jit
def _spread(triangle: np.ndarray, hands: np.ndarray, wins: np.ndarray) -> None:
    """Sets ``wins`` of some hands: below the diagonal to ``triangle``, row by row; above, to its negative."""
    at = 0
    for i in range(hands.shape[0]):
        for j in range(i):
            wins[hands[i], hands[j]] = triangle[at]
            wins[hands[j], hands[i]] = -triangle[at]
            at += 1


@lru_cache(COUNTED)
def _counts(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    """:func:`run_out_wins` below the diagonal, row by row, for the hands that the board leaves possible."""
    if cards - len(board) < 2:
        return _count(deck, board, cards)
    name = f"{deck.ranks}x{deck.suits}-{cards}-{deck.board_name(board) or 'empty'}.bin"
    path = cache_folder() / "run_outs" / name
    hands = int(deck.possible(board).sum())
    dtype = np.min_scalar_type(-num_run_outs(deck, board, cards))
    if (kept := _read(path, hands * (hands - 1) // 2 * dtype.itemsize)) is not None:
        return np.frombuffer(kept, dtype)
    counted = _count(deck, board, cards)
    _keep(path, counted.tobytes())
    return counted


def _read(path: Path, size: int) -> bytes | None:
    """What :func:`_keep` kept; None: nothing that is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    whole = len(content) == CHECKSUM + size and content[:CHECKSUM] == _checksum(content[CHECKSUM:])
    return content[CHECKSUM:] if whole else None


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM, "little")


def _keep(path: Path, content: bytes) -> None:
    """Writes a file, if that is possible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # others may be at the same board
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_checksum(content) + content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        why = f"{error.strerror}: {path.parent} (POKERLAB_CACHE)"
        warn_once(f"all-ins are counted anew at every start: {why}")


def _count(deck: Deck, board: tuple[int, ...], cards: int) -> NDArray[np.signedinteger]:
    boards, alike, exchanges = deck.boards(board, cards)
    won = np.zeros((deck.num_hands, deck.num_hands), np.int32)
    for times in np.unique(alike):
        same = boards[alike == times]
        for part in range(0, len(same), AT_ONCE):
            strengths = deck.strengths(same[part : part + AT_ONCE])
            others = np.where(strengths == BLOCKED, np.iinfo(np.int16).max, strengths)
            _add_wins(strengths, others, times, won)
    won -= won.T
    hands: Ints = deck.permute_hands(exchanges)
    total = sum(won[hand[:, None], hand] for hand in hands) // len(hands)
    possible = deck.possible(board)
    below = np.where(deck.disjoint, total, 0)[possible][:, possible][np.tri(possible.sum(), k=-1, dtype=bool)]
    return below.astype(np.min_scalar_type(-num_run_outs(deck, board, cards)))


@jit
def _add_wins(strengths: np.ndarray, others: np.ndarray, times: int, won: np.ndarray) -> None:
    """Adds ``times`` for each board ``[B]`` on which the row's hand beats the column's.

    ``strengths`` and ``others`` are ``[B, H]``, contiguous; others' blocked hands have the most there is.
    """
    wins = np.empty(strengths.shape[1], np.int16)
    for i in range(strengths.shape[1]):
        wins[:] = 0
        for b in range(strengths.shape[0]):
            own, theirs = strengths[b, i], others[b]
            for j in range(theirs.shape[0]):
                wins[j] += np.int16(own > theirs[j])
        for j in range(strengths.shape[1]):
            won[i, j] += times * wins[j]
