"""What hold'em gives self-play and networks: sizes that vary, deals that are drawn, suits by other names."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.games.base import CHANCE
from pokerlab.games.holdem import Holdem, HoldemState

GAME = Holdem("hunl", bets=[[0.5, 1.0], [1.0]], jitter=0.1, most_deals=64)
SEEDS = st.integers(1, 2**62 - 1)


def flop_to_come(game: Holdem) -> HoldemState:
    return game.next_state(game.next_state(game.root(), 1), 1)


@given(seed=SEEDS)
def test_sizes_move_by_at_most_the_jitter_and_stay_for_the_street(seed: int) -> None:
    varied = GAME.vary(GAME.root(), seed)
    for action in set(GAME.actions(varied)) & {2, 3}:  # half a pot can turn out less than the least raise
        by = (GAME.next_state(varied, action).committed[1] - 100) / 200
        assert abs(by - {2: 0.5, 3: 1.0}[action]) <= 0.1
    raised = GAME.next_state(varied, 3)
    assert raised.variation == seed
    called = GAME.next_state(raised, 1)
    assert {outcome.variation for outcome in GAME.chance_outcomes(called)} == {0}


def test_seeds_make_a_difference_and_are_the_only_one() -> None:
    first, again, other = (GAME.unfold(GAME.vary(GAME.root(), s), depth_limited=True).pot for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or np.abs(first - other).max() > 1


@settings(max_examples=10)
@given(seed=SEEDS)
def test_drawn_deals_meet_all_pairs_of_hands_about_alike(seed: int) -> None:
    """Their probabilities add up to about 1 for every two hands, as those of all deals do exactly."""
    state = GAME.vary(flop_to_come(GAME), seed)
    outcomes = GAME.chance_outcomes(state)
    assert len(outcomes) == 51  # three decks of 17 flops
    assert len({outcome.board for outcome in outcomes}) > 45
    possible = np.array([GAME.possible_hands(outcome) for outcome in outcomes], dtype=float)
    together = possible.T @ possible * GAME.chance_probability(state)
    disjoint = GAME.deal > 0
    assert together[disjoint].mean() == pytest.approx(1, abs=0.01)
    assert together[disjoint].min() > 0.8
    assert together[disjoint].max() < 1.2


def test_few_deals_are_all_there() -> None:
    game = Holdem("turn", board="Td9d6hQc", pot=200, stack=900, most_deals=64, jitter=0.0)
    state = game.next_state(game.next_state(game.root(), 1), 1)
    assert game.actor(state) == CHANCE
    assert game.vary(state, 5) == state
    assert len(game.chance_outcomes(state)) == 48
    assert game.vary(game.root(), 5) == game.root()


@pytest.mark.parametrize(("ranks", "suits", "deals"), [(13, 4, (0, 3, 1, 1)), (4, 3, (0, 2, 1))])
def test_other_names_are_those_of_the_same_state(ranks: int, suits: int, deals: tuple[int, ...]) -> None:
    game = Holdem("game", ranks=ranks, suits=suits, deals=deals, stack=2000)
    names, number = game.relabellings(), {card: i for i, card in enumerate(game.deck.cards)}
    state = game.chance_outcomes(flop_to_come(game))[7]
    assert (names.features[0] == np.arange(game.num_features)).all()
    assert (names.hands[0] == np.arange(game.num_hands)).all()
    seen = set()
    for features, hands in zip(names.features, names.hands, strict=True):
        # card c of the renamed state is what hand and feature indices say that it was
        was = [hands_of_card(game, hands, card) for card in range(len(game.deck.cards))]
        board = tuple(sorted(was.index(card) for card in state.board))
        renamed = HoldemState(board, state.pot, state.stack, state.committed, state.actions)
        np.testing.assert_array_equal(game.features(renamed), np.array(game.features(state))[features])
        np.testing.assert_array_equal(game.possible_hands(renamed), game.possible_hands(state)[hands])
        seen.add(tuple(was))
    assert len(seen) == len(names.hands)
    assert number["2c"] == 0


def hands_of_card(game: Holdem, hands: np.ndarray, card: int) -> int:
    """The card that all hands with ``card`` had before."""
    before = [set(game.deck.hands[hands[hand]].tolist()) for hand in game.deck.holds[card].nonzero()[0]]
    (common,) = set.intersection(*before)
    return common


def test_hand_features_are_cards_ranks_suits_and_kinds() -> None:
    features, deck = GAME.hand_features(), GAME.deck
    assert features.shape == (1326, 52 + 13 + 4 + 169)
    pairs = {"AsAh": 1, "AsKs": 0, "AsKd": 0}
    for name, same in pairs.items():
        hand = int(deck.hand_of[deck.read_cards(name)])
        assert features[hand, :52].sum() == features[hand, 52:65].sum() == features[hand, 65:69].sum() == 2
        assert (features[hand, 52:65].max() == 2) == bool(same)
        assert features[hand, 69:].sum() == 1
    kinds = features[:, 69:].argmax(1)
    for first, second in combinations(("AsKs", "AdKd", "AsKd", "AsAh"), 2):
        of = [kinds[deck.hand_of[deck.read_cards(name)]] for name in (first, second)]
        assert (of[0] == of[1]) == ({first, second} == {"AsKs", "AdKd"})


def test_games_go_to_other_processes() -> None:
    GAME.possible_hands(GAME.root())
    game = pickle.loads(pickle.dumps(GAME))
    assert game.root() == GAME.root()
    assert game.actions(game.root()) == GAME.actions(GAME.root())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"jitter": 1.0}, "jitter must be a fraction of the pot from 0 to below 1, got 1.0"),
        ({"most_deals": 0}, "most_deals must be null or an integer of at least 1, got 0"),
        ({"leaves": "deal"}, "leaves must be before_deal or after_deal, got 'deal'"),
        ({"solve_to_end": 0}, "solve_to_end must be null or an integer of at least 1, got 0"),
        ({"solve_to_end": True}, "solve_to_end must be null or an integer of at least 1, got True"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, float], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Holdem("game", **arguments)  # type: ignore[arg-type]
