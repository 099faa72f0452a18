"""Hands in order of strength, against sorting them, and showdowns by that order."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pokerlab.games import hand_order
from pokerlab.games.hand_order import order_by_strength
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.parts import features_of

GAME = Holdem("small", ranks=5, suits=3, deals=(0, 2, 1), pot=0, stack=1000)


@given(
    strengths=st.lists(
        st.lists(st.integers(-1, 9) | st.integers(-1, 7461), min_size=6, max_size=6), max_size=4
    ),
    kind=st.sampled_from([np.int16, np.int64, np.float64]),
)
def test_hands_are_sorted_and_what_ties_stays_in_order(strengths: list[list[int]], kind: type) -> None:
    rows = np.array(strengths, dtype=kind).reshape(-1, 6) / (1 if kind != np.float64 else 7)
    order, ends = order_by_strength(rows.astype(kind))
    for row, found, end in zip(rows.astype(kind), order, ends, strict=True):
        assert found.tolist() == sorted(range(6), key=lambda hand: row[hand])
        assert end.tolist() == [int((row <= row[hand]).sum()) for hand in found]


def test_loops_and_sorting_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).random((20, 300)).round(2)
    loops = order_by_strength(rows)
    monkeypatch.setattr(hand_order, "NUMBA", False)
    for found, expected in zip(loops, order_by_strength(rows), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_complete_boards_asked_about_once_pay_what_operators_do(rows: int) -> None:
    boards = [(0, 4, 9), (3, 7, 11)] * rows
    states = [HoldemState(board, 200.0, 300.0, (0.0, 0.0), ((),)) for board in boards]
    beliefs = torch.rand(len(boards), 2, GAME.num_hands, generator=torch.Generator().manual_seed(1)).double()
    features = torch.as_tensor(features_of(GAME, states))
    once, again = (
        GAME.prepare_hand_inputs(features, beliefs, again=again)(beliefs) for again in (False, True)
    )
    torch.testing.assert_close(once, again, rtol=0, atol=1e-12)
    assert once[:, :2].abs().max() > 0.5
