"""What hold'em computes of hands for networks, against every hand and run-out one at a time."""

from itertools import combinations
from typing import cast
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.cuda import Kernel
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.holdem.hand_inputs import MATRICES
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import features_of, with_hand_inputs
from pokerlab.games.ranks import UNITS, kept_ranks

SMALL = Holdem("small", ranks=5, suits=3, deals=(0, 2, 1), pot=0, stack=1000)
BOARDS = [(0, 4), (3, 7, 11), (12, 13), (2, 8, 13), (0, 4)]
STATES = [HoldemState(board, 200.0, 300.0, (0.0, 0.0), ((),)) for board in BOARDS]


def random_beliefs(number: int, seed: int = 0) -> Tensor:
    draws = (
        torch.rand(number, 2, SMALL.num_hands, generator=torch.Generator().manual_seed(seed)).double() ** 3
    )
    return draws / draws.sum(2, keepdim=True)


def inputs_of(states: list[HoldemState], beliefs: Tensor) -> Tensor:
    features = torch.as_tensor(features_of(SMALL, states))
    return SMALL.prepare_hand_inputs(features, beliefs)(beliefs)


def run_outs(board: tuple[int, ...]) -> list[tuple[int, ...]]:
    rest = [card for card in range(15) if card not in board]
    return [(*board, *dealt) for dealt in combinations(rest, 3 - len(board))]


def shows_down(board: tuple[int, ...], hand: int, beliefs: Tensor) -> float:
    """What a hand can expect against beliefs ``[H]``."""
    won = met = 0.0
    for complete in run_outs(board):
        strength = SMALL.deck.strengths(np.array([complete]))[0]
        for other in range(SMALL.num_hands):
            cards = {*SMALL.deck.hands[hand].tolist(), *SMALL.deck.hands[other].tolist(), *complete}
            if len(cards) == 7:
                won += float(beliefs[other]) * np.sign(int(strength[hand]) - int(strength[other]))
                met += float(beliefs[other])
    return won / met


def test_check_down_values_are_those_of_every_hand_and_run_out() -> None:
    beliefs = random_beliefs(len(STATES))
    inputs = inputs_of(STATES, beliefs)
    for number, board in enumerate(BOARDS):
        for hand in np.flatnonzero(SMALL.deck.possible(board))[::9]:
            for player in (0, 1):
                expected = shows_down(board, hand, beliefs[number, 1 - player])
                assert inputs[number, player, hand] == pytest.approx(expected, abs=1e-12)


def rank_hands(board: tuple[int, ...]) -> np.ndarray:
    """``[2, H]`` ranks, or on a complete board strengths, and potentials."""
    if len(board) == SMALL.complete:
        return SMALL.deck.strengths(np.array([board])).repeat(2, 0)
    return kept_ranks(SMALL.deck, board, SMALL.complete) / UNITS


def test_percentiles_count_the_mass_below_and_half_of_what_ties() -> None:
    beliefs = random_beliefs(len(STATES))
    inputs = inputs_of(STATES, beliefs)
    for number, board in enumerate(BOARDS):
        rank, possible = rank_hands(board)[0], SMALL.deck.possible(board)
        held = beliefs[number].numpy() * possible
        held /= held.sum(1, keepdims=True)
        mixture = 0.45 * held.sum(0) + 0.1 * possible / possible.sum()
        below = (mixture * (rank[:, None] > rank)).sum(1) + (mixture * (rank[:, None] == rank)).sum(1) / 2
        np.testing.assert_allclose(inputs[number, 2][possible], below[possible], atol=1e-12)
        assert (inputs[number, 2:, ~torch.as_tensor(possible)] == -1).all()


def test_ranks_are_shares_of_hands_beaten_on_average_over_run_outs() -> None:
    board = (0, 4)
    rank, potential = rank_hands(board)
    hand = 40
    shares = []
    for complete in run_outs(board):
        strength = SMALL.deck.strengths(np.array([complete]))[0].astype(int)
        if strength[hand] >= 0:
            others = strength[strength >= 0]
            ties = (others == strength[hand]).sum()
            shares.append(((others < strength[hand]).sum() + ties / 2) / len(others))
    assert rank[hand] == pytest.approx(np.mean(shares), abs=1e-8)
    assert 0 < potential[hand] < 1
    ranked, _ = SMALL.rank_boards([(2, 8, 13)])
    assert (ranked.potential[ranked.possible] == 0).all()


def test_other_names_of_suits_change_nothing_else() -> None:
    beliefs, exchange = random_beliefs(len(STATES)), SMALL.deck.suit_permutations[4]
    hands = torch.as_tensor(SMALL.deck.permute_hands(exchange))
    renamed = [
        HoldemState(tuple(sorted(exchange[list(board)].tolist())), 200.0, 300.0, (0.0, 0.0), ((),))
        for board in BOARDS
    ]
    other = torch.empty_like(beliefs)
    other[:, :, hands] = beliefs
    torch.testing.assert_close(
        inputs_of(renamed, other)[:, :, hands], inputs_of(STATES, beliefs), rtol=0, atol=1e-12
    )


def test_layers_stacks_and_who_acts_come_from_features() -> None:
    states = [STATES[0], HoldemState((0, 4), 200.0, 300.0, (100.0, 100.0), ((1, 1),)), STATES[1]]
    features = torch.as_tensor(features_of(SMALL, states))
    assert [SMALL.layers[layer] for layer in SMALL.layer_of(features)] == [
        "street 2",
        "deal after street 2",
        "street 3",
    ]
    assert SMALL.stacks_to_pots(features).tolist() == pytest.approx([1.5, 0.5, 1.5])
    actors = [SMALL.actor(state) for state in states]
    assert SMALL.acting(features).tolist() == [[actor == 0, actor == 1] for actor in actors]


def test_a_game_without_such_inputs_says_so() -> None:
    with pytest.raises(ValueError, match="leduc computes no inputs for networks that know cards"):
        with_hand_inputs(Leduc())


def test_beside_a_gpu_boards_that_are_asked_about_once_are_shared_out_among_cores() -> None:
    boards = [board for size in (0, 1, 2, 3) for board in list(combinations(range(15), size))[::40]]
    theirs = torch.rand(
        2, len(boards), 1, SMALL.num_hands, generator=torch.Generator().manual_seed(1)
    ).double()
    expected = SMALL.check_downs_once(boards, theirs)
    assert expected.abs().max() > 0.001
    with pretended_cuda():
        found = SMALL.check_downs_once(boards, theirs.to(CUDA)).cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_on_a_gpu_kernels_sum_what_boards_that_are_asked_about_once_win() -> None:
    boards = [board for size in (0, 2, 3) for board in list(combinations(range(15), size))[::100]]
    theirs = torch.rand(2, len(boards), 1, SMALL.num_hands, generator=torch.Generator().manual_seed(1))
    expected = SMALL.check_downs_once(boards, theirs.double())
    with pretended_cuda(kernels=True):  # three cards are to come on the first: no kernel for that
        found = SMALL.check_downs_once(boards, theirs.double().to(CUDA)).cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_check_downs_of_a_deal_take_one_launch_while_the_host_goes_on() -> None:
    boards = [(0, 4, card) for card in range(5, 15)]
    states = [HoldemState(board, 200.0, 300.0, (0.0, 0.0), ((),)) for board in boards]
    features = torch.as_tensor(features_of(SMALL, states))
    with pretended_cuda(kernels=True, simulate=False) as counted:
        beliefs = random_beliefs(len(states)).to(CUDA)
        inputs = SMALL.prepare_hand_inputs(features.to(CUDA), beliefs)
        inputs.win(beliefs.transpose(0, 1))  # tables go to the device once
        launch = cast(Mock, Kernel.launch)
        launch.reset_mock()
        counted.restart()
        inputs.win(beliefs.transpose(0, 1))
        assert launch.call_count == 1
        assert counted.synchronisations == 0, counted.waited_for
        assert counted.operations < 10


def test_many_boards_that_are_asked_about_once_give_what_each_gives_alone() -> None:
    boards = list(combinations(range(15), 2))[::5]
    states = [HoldemState(board, 200.0, 300.0, (0.0, 0.0), ((),)) for board in boards]
    beliefs = random_beliefs(len(states))
    assert len(states) > MATRICES
    together = inputs_of(states, beliefs)
    for number in (0, len(states) - 1):
        alone = inputs_of(states[number : number + 1], beliefs[number : number + 1])
        torch.testing.assert_close(together[number], alone[0], rtol=0, atol=1e-12)
