"""Sums over run-outs on a GPU, in numba's simulator, held against those of the CPU."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.cuda import Kernel
from pokerlab.games import run_out_kernels
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import DensePayoffs
from pokerlab.games.payoff_tables import RUN_OUT
from pokerlab.games.run_out_kernels import set_wins, win_in_kernel
from pokerlab.games.run_out_sums import win_on_run_outs
from pokerlab.games.run_outs import run_out_wins

Boards = list[tuple[int, ...]]
CASES: dict[str, tuple[Deck, int, Boards]] = {
    "boards of three cards": (Deck(4, 2), 3, [(0, 4, 5), (3, 6), (7,)]),
    "boards of four": (Deck(3, 4), 4, [(0, 1, 2, 3), (0, 4, 8), (5, 6)]),
    "boards of two": (Deck(3, 2), 2, [(), (4,), (5,)]),
    "flushes of three to five cards on the board": (
        Deck(6, 2), 5, [(0, 2, 4, 7, 9), (0, 2, 4, 6, 9), (0, 2, 4, 8, 10), (1, 3, 7, 11), (0, 3, 5)]
    ),
    "three suits": (Deck(5, 3), 5, [(0, 3, 6, 1, 2), (0, 3, 6, 9, 1), (1, 3, 5, 7), (0, 4, 6)]),
}  # fmt: skip


def draw_mass(deck: Deck, boards: Boards, rows: int, dtype: torch.dtype = torch.float64) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(len(boards), rows, deck.num_hands, generator=draws, dtype=torch.float64).to(dtype)


def sums_on_the_cpu(deck: Deck, cards: int, boards: Boards, theirs: Tensor) -> Tensor:
    found = []
    for board, mass in zip(boards, theirs.double().numpy(), strict=True):
        rest = [card for card in range(len(deck.cards)) if card not in board]
        complete = [(*board, *dealt) for dealt in combinations(rest, cards - len(board))]
        found.append(win_on_run_outs(deck, board, np.array(complete), mass))
    return torch.from_numpy(np.stack(found))


@pytest.mark.parametrize("case", CASES)
def test_sums_are_those_of_the_cpu(case: str) -> None:
    deck, cards, boards = CASES[case]
    theirs = draw_mass(deck, boards, rows=2)
    found = win_in_kernel(deck, boards, cards, theirs)
    expected = sums_on_the_cpu(deck, cards, boards, theirs)
    assert expected.abs().amax((1, 2)).min() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for board, won in zip(boards, found, strict=True):
        assert won[:, ~torch.as_tensor(deck.possible(board))].count_nonzero() == 0


@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_of_the_cpu(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deck, cards, boards = CASES[case]
    monkeypatch.setattr(run_out_kernels, "COUNTED_AT_ONCE", 1)  # board by board
    for dealt in sorted({*map(len, boards)}):
        some = [board for board in boards if len(board) == dealt]
        expected = np.stack([run_out_wins(deck, board, cards).T for board in some])
        assert np.abs(expected).max((1, 2)).min() > 0
        found = torch.empty(expected.shape, dtype=torch.float16)
        set_wins(deck, some, cards, found)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_all_ins_of_many_boards_are_counted_in_a_few_launches() -> None:
    kernels = [(RUN_OUT, (0, 5, 10, card)) for card in range(20, 36)]
    with pretended_cuda(kernels=True, simulate=False) as counted:
        like = torch.empty(0, device=CUDA)
        counted.restart()
        DensePayoffs(Deck(), kernels, complete=5, weight=1.0, like=like)
        assert counted.operations <= 40


def test_one_hand_against_another_on_a_whole_deck() -> None:
    deck = Deck()
    board = deck.read_cards("7h8h9h2cAd")
    hands = [deck.hand_of[deck.read_cards(name)] for name in ("ThJh", "KhQh", "2d2h", "AsAc", "ThTc", "7h3s")]
    theirs = torch.zeros(1, 1, deck.num_hands, dtype=torch.float64)
    theirs[0, 0, hands[2:4]] = torch.tensor([1.0, 0.25]).double()
    won = win_in_kernel(deck, [board], 5, theirs)[0, 0, hands]
    # flushes beat three deuces and three aces, which do not meet themselves; 7h is on the board
    assert won.tolist() == [1.25, 1.25, -0.25, 1, -1.25, 0]


def test_float32_and_parts_of_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    deck, cards, boards = CASES["boards of three cards"]
    theirs = draw_mass(deck, boards, rows=1, dtype=torch.float32)
    together = win_in_kernel(deck, boards, cards, theirs)
    assert together.dtype == torch.float32
    torch.testing.assert_close(
        together.double(), sums_on_the_cpu(deck, cards, boards, theirs), rtol=0, atol=1e-5
    )
    monkeypatch.setattr(run_out_kernels, "AT_ONCE", 1)
    torch.testing.assert_close(win_in_kernel(deck, boards, cards, theirs), together)


def test_a_grid_holds_any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU launches at most 65,535 blocks along the second and third axis."""
    grids: list[list[int]] = []
    monkeypatch.setattr(Kernel, "launch", lambda _, blocks, *rest: grids.append(blocks))
    win_in_kernel(Deck(3, 2), [(0, 1), (2, 5)], 2, torch.zeros(2, 70_000, 15))
    assert grids == [[140_000, 1]]
