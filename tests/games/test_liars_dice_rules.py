"""Liar's Dice: exact lines, the deal and payoffs by counting dice, depth limits, features, configs."""

import math
from itertools import product

import numpy as np
import pyspiel
import pytest
import torch

from pokerlab.config.build import build
from pokerlab.config.command import compose
from pokerlab.games.base import TERMINAL
from pokerlab.games.liars_dice import LiarsDice, LiarsDiceState

SIZES = [(1, 2), (1, 4), (2, 3), (3, 2)]


def play(game: LiarsDice, line: str) -> LiarsDiceState:
    """``line`` such as ``1-2 2-1 liar``."""
    state = game.root()
    for label in line.split():
        action = game.action_labels.index(label)
        assert action in game.actions(state), (line, label)
        state = game.next_state(state, action)
    return state


def first_player_wins(game: LiarsDice, line: str, first: str, second: str) -> float:
    """What player 0 wins after ``line`` with rolls such as ``13``."""
    own, other = (game.rolls.index(tuple(int(face) - 1 for face in roll)) for roll in (first, second))
    end = game.terminal(play(game, line))
    reach = torch.zeros(1, 1, game.num_hands, dtype=torch.float64)
    reach[..., other] = 1
    won = game.payoff_operator([end.payoff_kernel], reach)(reach)[0, 0, own].item() * end.chips[0]
    return won / game.deal[own, other]


@pytest.mark.parametrize(
    ("size", "line", "first", "second", "wins"),
    [
        ((1, 6), "1-3 liar", "3", "5", 1),
        ((1, 6), "1-3 liar", "5", "3", 1),
        ((1, 6), "1-3 liar", "5", "4", -1),
        ((1, 6), "1-3 liar", "4", "6", 1),  # a six is wild
        ((1, 6), "2-2 liar", "6", "2", 1),
        ((1, 6), "2-6 liar", "6", "2", -1),  # but a two is no six
        ((1, 6), "2-6 liar", "6", "6", 1),
        ((1, 6), "1-3 2-2 liar", "2", "2", -1),  # player 1 bid last, and was right
        ((1, 6), "1-3 2-2 liar", "2", "3", 1),
        ((1, 6), "1-3 2-2 2-3 liar", "3", "6", 1),
        ((2, 3), "3-1 liar", "11", "23", 1),
        ((2, 3), "3-1 liar", "11", "22", -1),
        ((2, 3), "3-1 4-2 liar", "23", "23", -1),
        ((2, 3), "3-1 4-2 liar", "23", "13", 1),
    ],
)
def test_the_bidder_wins_if_the_bid_holds(
    size: tuple[int, int], line: str, first: str, second: str, wins: int
) -> None:
    assert first_player_wins(LiarsDice(*size), line, first, second) == pytest.approx(wins, abs=1e-12)


def test_a_bid_must_be_higher_and_only_a_bid_can_be_challenged() -> None:
    game = LiarsDice(1, 3)
    assert game.action_labels == ("1-1", "1-2", "1-3", "2-1", "2-2", "2-3", "liar")
    assert game.actions(game.root()) == (0, 1, 2, 3, 4, 5)
    assert game.actions(play(game, "1-3")) == (3, 4, 5, 6)
    assert game.actions(play(game, "1-3 2-3")) == (6,)
    assert [game.actor(play(game, line)) for line in ("", "1-3", "1-3 2-3")] == [0, 1, 0]
    assert game.actor(play(game, "1-3 liar")) == TERMINAL


@pytest.mark.parametrize("size", SIZES)
def test_the_deal_is_that_of_openspiels_dice(size: tuple[int, int]) -> None:
    """Every order of the dice: its probability, and the information state of whoever acts."""
    game = LiarsDice(*size)
    dice, faces = size
    deal = np.zeros_like(game.deal)
    for rolled in product(range(faces), repeat=2 * dice):
        theirs, probability = pyspiel.load_game(game.openspiel_name).new_initial_state(), 1.0
        for die in rolled:
            probability *= dict(theirs.chance_outcomes())[die]
            theirs.apply_action(die)
        hands = [game.rolls.index(tuple(sorted(roll))) for roll in (rolled[:dice], rolled[dice:])]
        deal[*hands] += probability
        for player, (ours, state) in enumerate([(game.root(), theirs), (play(game, "1-1"), theirs.child(0))]):
            assert game.information_state(ours, hands[player]) == state.information_state_string()
    assert deal.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(game.deal, deal, rtol=0, atol=1e-15)


@pytest.mark.parametrize("size", SIZES)
def test_payoffs_count_the_dice(size: tuple[int, int]) -> None:
    game = LiarsDice(*size)
    dice, faces = size
    bids = list(product(range(1, 2 * dice + 1), range(faces)))
    expected = np.zeros((len(bids), game.num_hands, game.num_hands))
    for rolled in product(range(faces), repeat=2 * dice):
        own, other = (game.rolls.index(tuple(sorted(roll))) for roll in (rolled[:dice], rolled[dice:]))
        for bid, (quantity, face) in enumerate(bids):
            holds = rolled.count(face) + (rolled.count(faces - 1) if face != faces - 1 else 0) >= quantity
            expected[bid, own, other] += (1 if holds else -1) / faces ** (2 * dice)
    reach = torch.eye(game.num_hands, dtype=torch.float64).expand(len(bids), -1, -1)
    found = game.payoff_operator(range(len(bids)), reach)(reach)
    np.testing.assert_allclose(found.transpose(1, 2), expected, rtol=0, atol=1e-15)


def test_depth_limit_counts_actions_below_the_subgames_root() -> None:
    game = LiarsDice(1, 4)
    root, one, two, three = (play(game, line) for line in ("", "1-2", "1-2 2-1", "1-2 2-1 2-4"))
    assert not game.is_leaf(root, one, 1)
    assert game.is_leaf(root, two, 2)
    assert not game.is_leaf(one, two, 1)
    assert game.is_leaf(one, three, 2)
    assert not LiarsDice(1, 4, depth_limit=None).is_leaf(root, three, 3)


def test_features_are_actor_and_last_bid() -> None:
    game = LiarsDice(1, 2)
    assert game.features(game.root()) == [1, 0, 0, 0, 0, 0]
    assert game.features(play(game, "1-2")) == [0, 1, 0, 1, 0, 0]
    assert game.features(play(game, "1-1 2-2")) == [1, 0, 0, 0, 0, 1]
    assert game.features(play(game, "1-1 2-2 liar")) == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("name", [f"liars_dice_{size}" for size in ("1x4f", "1x5f", "1x6f", "2x3f")])
def test_the_configs_build_the_games_of_their_names(name: str) -> None:
    game = build(compose("solve", [f"game={name}"]).game, key="game")
    assert (game.name, game.depth_limit) == (name, 2)


def test_many_dice_are_counted_without_rolling_them() -> None:
    game = LiarsDice(40, 2)
    assert game.num_hands == 41
    assert game.deal.sum() == pytest.approx(1, abs=1e-12)
    assert game.deal[20].sum() == pytest.approx(math.comb(40, 20) / 2**40, rel=1e-12)
