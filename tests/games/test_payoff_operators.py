"""Payoff and mass operators against sums over pairs of hands, with OpenSpiel's payoffs."""

from typing import Any

import numpy as np
import pytest
import torch
from dealing import dealt
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Game, Terminal
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import CARDS, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice

GAMES: dict[str, Game] = {
    "kuhn": Kuhn(),
    "leduc": Leduc(),
    "liars_dice_1x3f": LiarsDice(1, 3),
    "liars_dice_2x2f": LiarsDice(2, 2),
}
LIKE = torch.empty(0, dtype=torch.float64)


def terminal_states(game: Game) -> list[Any]:
    found, stack = [], [game.root()]
    while stack:
        state = stack.pop()
        actor = game.actor(state)
        if actor == TERMINAL:
            found.append(state)
        elif actor == CHANCE:
            stack += game.chance_outcomes(state)
        else:
            stack += [game.next_state(state, action) for action in game.actions(state)]
    return found


TERMINALS = {name: terminal_states(game) for name, game in GAMES.items()}


def moves(state: Any) -> list[int]:
    """The moves after the deal, as OpenSpiel numbers them."""
    if not isinstance(state, LeducState):
        return list(state.actions)
    board = [] if state.board is None else [state.board]
    return [*state.rounds[0], *board, *(state.rounds[1] if len(state.rounds) > 1 else ())]


def payoff_table(game: Game, state: Any) -> np.ndarray:
    """``[2, H, H]``: what each player wins, own hand first, times the deal; by OpenSpiel."""
    table = np.zeros((2, game.num_hands, game.num_hands))
    possible = game.possible_hands(state)
    for first, second in zip(*game.deal.nonzero(), strict=True):
        if not (possible[first] and possible[second]):
            continue
        theirs = dealt(game, (first, second))
        for move in moves(state):
            theirs.apply_action(move)
        won = theirs.returns()
        table[0, first, second] = won[0] * game.deal[first, second]
        table[1, second, first] = won[1] * game.deal[first, second]
    return table


def reaches(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


seeds = st.integers(0, 2**32 - 1)
games = st.sampled_from(sorted(GAMES))


@pytest.mark.parametrize("name", GAMES)
def test_every_terminal_pays_each_hand_the_sum_over_the_opponents_hands(name: str) -> None:
    game = GAMES[name]
    ends = [game.terminal(state) for state in TERMINALS[name]]
    operator = game.payoff_operator([end.payoff_kernel for end in ends], LIKE)
    reach = reaches(0, 2, len(ends), 1, game.num_hands)
    outcome = operator(reach)
    for index, (state, end) in enumerate(zip(TERMINALS[name], ends, strict=True)):
        table = payoff_table(game, state)
        for player in (0, 1):
            opponent = reach[player, index, 0].numpy()
            won = outcome[player, index, 0].numpy() * end.chips[player]
            np.testing.assert_allclose(won, table[player] @ opponent, rtol=0, atol=1e-12)


@given(games, seeds, st.lists(st.integers(0, 1), min_size=1, max_size=4), st.integers(1, 3))
def test_an_operator_of_several_kernels_is_each_kernel_on_its_own_rows(
    name: str, seed: int, kernels: list[int], terminals: int
) -> None:
    game = GAMES[name]
    reach = reaches(seed, 2, len(kernels), terminals, game.num_hands)
    together = game.payoff_operator(kernels, LIKE)(reach)
    assert together.shape == reach.shape
    for m, kernel in enumerate(kernels):
        alone = game.payoff_operator([kernel], LIKE)(reach[:, m : m + 1])
        torch.testing.assert_close(together[:, m : m + 1], alone, rtol=0, atol=1e-15)


@given(games, seeds, st.floats(-10, 10), st.floats(-10, 10))
def test_operators_are_linear_in_the_opponents_reach(name: str, seed: int, a: float, b: float) -> None:
    game = GAMES[name]
    kernels = sorted({game.terminal(state).payoff_kernel for state in TERMINALS[name]})
    first, second = reaches(seed, 2, len(kernels), 2, game.num_hands)
    for operator in (game.payoff_operator(kernels, LIKE), game.mass_operator(LIKE)):
        apart = a * operator(first) + b * operator(second)
        torch.testing.assert_close(operator(a * first + b * second), apart, rtol=0, atol=1e-12)


@given(games, seeds)
def test_both_players_together_win_nothing(name: str, seed: int) -> None:
    game = GAMES[name]
    reach = reaches(seed, 2, game.num_hands)
    for end in {game.terminal(state) for state in TERMINALS[name]}:
        operator = game.payoff_operator([end.payoff_kernel], LIKE)
        outcome = operator(reach.flip(0)[:, None, None])[:, 0, 0]
        won = (reach * outcome).sum(-1) * torch.tensor(end.chips, dtype=torch.float64)
        assert won.abs().max() > 1e-6, end
        assert won.sum().item() == pytest.approx(0, abs=1e-13), end


@given(games, seeds)
def test_mass_is_the_sum_of_the_deal_over_the_opponents_hands(name: str, seed: int) -> None:
    game = GAMES[name]
    reach = reaches(seed, 2, 3, game.num_hands)
    expected = np.einsum("hg,...g->...h", game.deal, reach.numpy())
    np.testing.assert_allclose(game.mass_operator(LIKE)(reach).numpy(), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", GAMES)
def test_the_deal_is_the_same_from_either_side(name: str) -> None:
    """Both players share the operators, own hand first: they would be wrong for player 1 otherwise."""
    assert (GAMES[name].deal == GAMES[name].deal.T).all()


@given(seeds)
def test_swapping_the_suits_of_hands_and_board_changes_nothing_in_leduc(seed: int) -> None:
    game, swapped_hands = Leduc(), [card ^ 1 for card in range(CARDS)]
    reach = reaches(seed, 1, 1, CARDS)
    for state in TERMINALS["leduc"]:
        board = None if state.board is None else state.board ^ 1
        swapped = LeducState(state.rounds, state.committed, board, state.folded)
        ends: list[Terminal] = [game.terminal(state), game.terminal(swapped)]
        here = game.payoff_operator([ends[0].payoff_kernel], LIKE)(reach)
        there = game.payoff_operator([ends[1].payoff_kernel], LIKE)(reach[..., swapped_hands])
        assert ends[0].chips == ends[1].chips
        torch.testing.assert_close(here, there[..., swapped_hands], rtol=0, atol=1e-15)


def test_operators_work_in_the_dtype_asked_for() -> None:
    like = torch.empty(0, dtype=torch.float32)
    for game in GAMES.values():
        reach = torch.ones(1, 1, game.num_hands)
        assert game.payoff_operator([0], like)(reach).dtype == torch.float32
        assert game.mass_operator(like)(reach).dtype == torch.float32
