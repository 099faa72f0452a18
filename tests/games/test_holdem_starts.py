"""Where play can start on later streets: deals that can be come to, ranges, and states as numbers."""

from dataclasses import replace

import numpy as np
import pytest

from pokerlab.games.base import CHANCE
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.parts import street_names
from pokerlab.games.ranges import draw_range
from pokerlab.games.registry import make_game

SMALL = Holdem(
    "small", ranks=4, suits=3, stack=30, blinds=(1, 2), bets=[[0.5, 1]], donk_bets=[], deals=(0, 2, 1),
    jitter=0.2, most_deals=12,
)  # fmt: skip
GAMES: list[Holdem] = [SMALL, make_game("hunl"), make_game("teh")]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("game", "names"),
    [
        (SMALL, ("root", "flop", "turn")),
        (make_game("hunl"), ("root", "flop", "turn", "river")),
        (make_game("teh"), ("root", "river")),
        (make_game("river"), ("root",)),
        (make_game("leduc"), ("root",)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_game_starts_at_its_root_and_on_its_later_streets(game: Holdem, names: tuple[str, ...]) -> None:
    assert street_names(game) == names


def deals(game: Holdem, number: int = 60) -> list[tuple[int, HoldemState]]:
    draws = np.random.default_rng(1)
    streets = range(1, len(game.streets))
    return [(street, game.draw_deal(street, draws)) for street in streets for _ in range(number)]


@pytest.mark.parametrize("game", GAMES, ids=[game.name for game in GAMES])
def test_deals_are_come_to_by_bets_that_the_rules_allow(game: Holdem) -> None:
    pots = set()
    for street, state in deals(game):
        assert game.actor(state) == CHANCE
        assert game.street(state) == street
        assert game.street(game.chance_outcomes(state)[0]) == street
        assert len(set(state.board)) == len(state.board)
        assert FOLD not in {action for actions in state.actions for action in actions}
        # no chips come or go
        assert state.pot + 2 * state.stack == pytest.approx(game.root().pot + 2 * game.root().stack)
        pots.add(game.pot(state))
    assert len(pots) >= 7


def test_without_variation_a_deal_is_a_line_of_the_game() -> None:
    game = Holdem("plain", ranks=4, suits=3, stack=30, blinds=(1, 2), bets=[[0.5, 1]], deals=(0, 2, 1))
    for _, state in deals(game, 20):
        played = game.root()
        for street, actions in enumerate(state.actions):
            if street:
                played = played.deal(state.board[len(played.board) : game.boards[street]])
            for action in actions:
                assert action in game.actions(played)
                played = game.next_state(played, action)
        assert played == state


@pytest.mark.parametrize("game", GAMES, ids=[game.name for game in GAMES])
def test_what_was_encoded_plays_on_in_the_same_way(game: Holdem) -> None:
    """The same features, chips to the last bit, cards that can come, and tree below them."""
    for _, state in deals(game, 20):
        code = game.encode(state)
        assert code.dtype == np.int64
        assert code.shape == (game.code_length,)
        back = game.decode(code)
        assert game.features(back) == game.features(state)
        assert (back.pot, back.stack, back.committed) == (state.pot, state.stack, state.committed)
        assert (game.encode(back) == code).all()
        for first, second in zip(
            game.chance_outcomes(state)[:3], game.chance_outcomes(back)[:3], strict=False
        ):
            if not game.vary(state, 7).variation:  # else which cards come is drawn
                assert first.board == second.board
        cards = tuple(card for card in range(20) if card not in state.board)[: game._to_deal(state)]
        below, below_back = state.deal(cards), back.deal(cards)
        assert game.actions(below) == game.actions(below_back)  # whether there may be a lead


def test_after_a_deal_of_one_card_that_subgames_look_through_the_street_begins() -> None:
    through = Holdem(**{**SMALL.arguments, "name": "through", "jitter": 0.0, "leaves": "after_deal"})
    for street, deal in deals(through, 10):
        dealt = through.chance_outcomes(deal)[2]
        assert [through.begins_street(deal), through.begins_street(dealt)] == [street == 1, street == 2]
        assert [SMALL.begins_street(deal), SMALL.begins_street(dealt)] == [True, False]
        if street == 1:
            assert through.is_leaf(through.root(), deal, 2)
            continue
        assert not through.is_leaf(replace(deal, actions=((), ())), deal, 2)
        assert through.is_leaf(replace(deal, actions=((), ())), dealt, 3)
        code = through.encode(dealt)
        back = through.decode(code)
        assert (through.encode(back) == code).all()
        assert not (code == through.encode(deal)).all()
        assert through.features(back) == through.features(dealt)
        assert (back.board, back.pot, back.stack) == (dealt.board, dealt.pot, dealt.stack)
        assert through.actions(back) == through.actions(dealt)  # whether there may be a lead


def test_ranges_are_beliefs_over_the_hands_that_the_board_leaves() -> None:
    for game in GAMES:
        draws = np.random.default_rng(2)
        for _, state in deals(game, 5):
            ranges = game.draw_ranges(state, draws)
            assert ranges.shape == (2, game.num_hands)
            np.testing.assert_allclose(ranges.sum(1), 1)
            assert not ranges[:, ~game.possible_hands(state)].any()
            assert (ranges[:, game.possible_hands(state)] > 0).all()


def test_of_a_pair_and_its_better_more_alike_are_held_than_of_strangers() -> None:
    """Neighbours in strength have about the same weight; so have aces and kings on a dry board."""
    strength, possible, draws = np.arange(64.0), np.ones(64, dtype=bool), np.random.default_rng(3)
    logs = np.log([draw_range(strength, possible, draws) for _ in range(2000)])
    gaps = [np.abs(logs[:, 32 + gap :][:, :16] - logs[:, 32:48]).mean() for gap in (0, 1, 16)]
    assert gaps[0] == 0 < gaps[1] < gaps[2]
    assert abs(logs[:, :32].mean() - logs[:, 32:].mean()) < 0.1  # nobody is favoured
    # the mass of the stronger half is uniform where the power is 1, and nearer to a half where it is less
    upper = np.exp(logs[:, 32:]).sum(1)
    assert 0.45 < upper.mean() < 0.55
    assert np.quantile(upper, [0.05, 0.95]) == pytest.approx([0.12, 0.88], abs=0.08)


def test_one_hand_alone_is_held() -> None:
    only = np.array([False, True, False])
    assert draw_range(np.zeros(3), only, np.random.default_rng(0)).tolist() == [0, 1, 0]


def test_a_check_that_ends_the_street_is_told_from_a_raise() -> None:
    game: Holdem = make_game("turn", bets=[[1]])  # type: ignore[assignment]
    checked = game.next_state(game.next_state(game.root(), CALL), CALL)
    raised = game.next_state(game.next_state(game.next_state(game.root(), CALL), 2), CALL)
    for state in (checked, raised):
        assert game.decode(game.encode(state)).actions == state.actions
