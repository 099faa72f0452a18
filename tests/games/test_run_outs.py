"""Counts of run-outs: the same however suits are called, kept on disk, and made anew where they cannot be."""

import logging
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.games import ranks, run_outs
from pokerlab.games.base import Ints
from pokerlab.games.cards import Deck
from pokerlab.games.parts import RankedBoards
from pokerlab.games.payoff_loops import new_zeros
from pokerlab.games.run_out_sums import win_by_counts, win_on_run_outs
from pokerlab.games.run_outs import num_run_outs, run_out_wins, set_shares
from pokerlab.loops import warn_once

DECK, CARDS = Deck(5, 4), 5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, where nothing is remembered."""
    monkeypatch.setenv("POKERLAB_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache" / "run_outs"
    forget()


def forget() -> None:
    for remembered in (run_out_wins, run_outs._counts, ranks._known, warn_once):
        remembered.cache_clear()


def counted(board: tuple[int, ...]) -> np.ndarray:
    """Run-out by run-out, from strengths."""
    total = np.zeros((DECK.num_hands, DECK.num_hands), np.int64)
    rest = [card for card in range(len(DECK.cards)) if card not in board]
    for dealt in combinations(rest, CARDS - len(board)):
        strength = DECK.strengths(np.array([[*board, *dealt]]))[0].astype(int)
        possible = DECK.possible([*board, *dealt])
        total += np.sign(strength[:, None] - strength) * (possible & possible[:, None] & DECK.disjoint)
    return total


@given(st.lists(st.integers(0, 19), min_size=2, max_size=4, unique=True))
def test_boards_that_differ_in_suits_share_their_counts(board: list[int]) -> None:
    np.testing.assert_array_equal(run_out_wins(DECK, tuple(board), CARDS), counted(tuple(board)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("board", ["2c3c4d", "2c3c4d6s", "4h2s6s3d5c"])
def test_shares_are_counts_over_their_number_to_the_last_bit(board: str, dtype: type) -> None:
    cards = DECK.read_cards(board)
    shares: np.ndarray = np.zeros((DECK.num_hands, DECK.num_hands + 2), dtype)
    set_shares(DECK, cards, CARDS, shares)
    expected = run_out_wins(DECK, cards, CARDS).astype(dtype) / dtype(-num_run_outs(DECK, cards, CARDS))
    assert (shares[:, :-2] == expected).all()
    assert not shares[:, -2:].any()


def test_matrices_of_loops_begin_where_vectors_may() -> None:
    for size in (1, 1000, 10**6):
        zeros = new_zeros((size, 3), np.dtype(np.float32))
        assert zeros.shape == (size, 3)
        assert zeros.ctypes.data % 64 == 0
        assert not zeros.any()


def test_types_are_as_small_as_counts_allow() -> None:
    sizes = [run_out_wins(Deck(), Deck().read_cards(board), 5).dtype for board in ("7c2d3h", "7c2d3h3c")]
    assert sizes == [np.int16, np.int8]
    assert num_run_outs(Deck(), (), 5) == 1_712_304


def test_counts_are_kept_once_for_all_suits(folder: Path) -> None:
    boards = [DECK.read_cards(board) for board in ("2c3c4d", "2h3h4s", "4c2s3s")]
    for board in boards:
        run_out_wins(DECK, board, CARDS)
    assert [path.name for path in folder.iterdir()] == ["5x4-5-2c3c4d.bin"]


@pytest.mark.parametrize("damage", ["a byte", "cut", "empty", "a folder", "none"])
def test_what_is_kept_is_checked(folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    board = DECK.read_cards("2c3c4d")
    expected = run_out_wins(DECK, board, CARDS)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "a byte":
        content[100] ^= 1
    path.write_bytes(content if damage in ("a byte", "none") else content[:100] if damage == "cut" else b"")
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    forget()
    if damage == "none":  # nothing is counted again
        monkeypatch.setattr(run_outs, "_count", None)
    np.testing.assert_array_equal(run_out_wins(DECK, board, CARDS), expected)


def test_where_nothing_can_be_kept_one_line_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.write_text("")  # a file where the folder should be
    with caplog.at_level(logging.WARNING):
        for board in ("2c3c4d", "2c3c5d"):
            assert run_out_wins(DECK, DECK.read_cards(board), CARDS).any()
    (record,) = caplog.records
    assert record.message.startswith("all-ins are counted anew at every start: ")
    assert "POKERLAB_CACHE" in record.message


@given(st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_sums_over_run_outs_are_products_with_their_counts(dealt: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    board = tuple(sorted(draws.choice(len(DECK.cards), dealt, replace=False).tolist()))
    rest = [card for card in range(len(DECK.cards)) if card not in board]
    boards = np.array([[*board, *cards] for cards in combinations(rest, CARDS - dealt)])
    theirs = draws.random((2, DECK.num_hands)) * DECK.possible(board)
    expected = theirs @ run_out_wins(DECK, board, CARDS).T / num_run_outs(DECK, board, CARDS)
    np.testing.assert_allclose(win_on_run_outs(DECK, board, boards, theirs), expected, atol=1e-10)


@pytest.mark.parametrize("board", ["", "5c", "4d2s", "3h5s2c"])
def test_counts_give_the_same_sums_as_matrices(board: str) -> None:
    cards = DECK.read_cards(board)
    theirs = np.random.default_rng(1).random((3, DECK.num_hands))
    expected = theirs @ run_out_wins(DECK, cards, CARDS).T / num_run_outs(DECK, cards, CARDS)
    np.testing.assert_allclose(win_by_counts(DECK, cards, CARDS, theirs), expected, atol=1e-10)


@pytest.mark.parametrize("damaged", [False, True])
def test_ranks_are_kept_once_for_all_suits(
    folder: Path, damaged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [DECK.read_cards(board) for board in ("2c3c4d", "2h3h4s", "2c3c4d5s")]
    expected = [ranked(board) for board in boards]
    (path,) = (folder.parent / "ranks").iterdir()
    assert path.name == "5x4-5-2c3c4d.bin"  # ranks of the last take less time to find than to read
    if damaged:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    else:
        monkeypatch.setattr(ranks, "_average_ranks", None)
    forget()
    for board, found in zip(boards[:2], expected, strict=False):
        np.testing.assert_equal(ranked(board), found)


def ranked(board: tuple[int, ...]) -> tuple[RankedBoards, Ints]:
    return ranks.rank_boards(DECK, np.array([board]), CARDS)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_boards_are_ranked_by_what_is_kept_under_the_first_names_of_suits(dealt: int, seed: int) -> None:
    """In order of strength; what ties, in any order."""
    draws = np.random.default_rng(seed)
    boards = np.array([draws.choice(len(DECK.cards), dealt, replace=False) for _ in range(3)]).reshape(3, -1)
    found, ends = ranks.rank_boards(DECK, boards, CARDS)
    for number, board in enumerate(boards):
        if dealt == CARDS:
            rank = DECK.strengths(board[None])[0]
            potential = np.where(rank < 0, -ranks.UNITS, 0)
        else:  # as if it were not a board of other names
            rank, potential = ranks._average_ranks(DECK, tuple(sorted(board.tolist())), CARDS)
        order = found.order[number]
        np.testing.assert_array_equal(rank[order], np.sort(rank))
        np.testing.assert_array_equal(np.sort(order), np.arange(len(rank)))
        np.testing.assert_array_equal(found.begin[number], (rank[:, None] > rank).sum(1))
        np.testing.assert_array_equal(found.end[number], (rank[:, None] >= rank).sum(1))
        np.testing.assert_array_equal(ends[number], found.end[number][order])
        np.testing.assert_array_equal(found.possible[number], DECK.possible(board.tolist()))
        np.testing.assert_allclose(found.potential[number], potential / ranks.UNITS)
