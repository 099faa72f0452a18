"""Made hands and draws by their names; ranges in text and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pokerlab.games.cards import Deck
from pokerlab.games.hand_kinds import DRAWS, MADE, draws, made_hands

DECK = Deck()


def kind(board: str, hand: str) -> str:
    return MADE[made_hands(DECK, DECK.read_cards(board))[DECK.hand_of[DECK.read_cards(hand)]]]


def drawing(board: str, hand: str) -> set[str]:
    has = draws(DECK, DECK.read_cards(board))[:, DECK.hand_of[DECK.read_cards(hand)]]
    return {name for name, some in zip(DRAWS, has, strict=True) if some}


@pytest.mark.parametrize(
    ("board", "hand", "name"),
    [
        ("Td9d6h", "8d7d", "straight"), ("Td9d6d", "8d7d", "straight flush"), ("Td9d6h", "TcTh", "set"),
        ("TdTc6h", "Th2c", "trips"), ("TdTc6h", "6c6d", "full house"), ("Td9d6h", "Th9c", "two pair"),
        ("Td9d6h", "JcJd", "overpair"), ("Td9d6h", "ThAc", "top pair"),
        ("Td9d6h", "8c8d", "pocket pair below top"),
        ("Td9d6h", "9c2d", "second pair"), ("Td9d6h", "6c2d", "low pair"), ("Td9d6h", "AcKd", "ace high"),
        ("Td9d6h", "QcJs", "no made hand"), ("TdTc6h", "AcKd", "ace high"), ("TdTcTh", "AcKd", "ace high"),
        ("TdTcThTs2c", "AcKd", "four of a kind"), ("2d5d9dKdAd", "3c4c", "no made hand"),
        ("2d5d9dKdAd", "3d4c", "flush"),
    ],
)  # fmt: skip
def test_made_hands(board: str, hand: str, name: str) -> None:
    assert kind(board, hand) == name


@pytest.mark.parametrize(
    ("board", "hand", "names"),
    [
        ("Td9d6h", "AdKd", {"flush draw"}), ("Td9d6h", "QcJs", {"open-ended"}),
        ("Td9d6h", "8c2s", {"gutshot"}),
        ("Td9d6h", "Jd8d", {"flush draw", "open-ended"}), ("Td9d6h", "Ah2h", {"backdoor flush draw"}),
        ("AdKc4h", "QsJc", {"gutshot"}), ("AdKc4h2s", "5s3c", set()), ("Td9d6h2c3s", "AdKd", set()),
        ("4d3c2h", "AsKs", {"gutshot"}), ("Td9d6h2c", "Ah2h", set()),
    ],
)  # fmt: skip
def test_draws(board: str, hand: str, names: set[str]) -> None:
    assert drawing(board, hand) == names


def test_hands_that_the_board_blocks_are_none() -> None:
    board = DECK.read_cards("Td9d6h")
    blocked = ~DECK.possible(board)
    assert (made_hands(DECK, board)[blocked] == -1).all()
    assert not draws(DECK, board)[:, blocked].any()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("QQ+,AKs,A5s:0.5", "QQ+,AKs,A5s:0.5"), ("uniform", "uniform"), ("AK", "AKs,AKo"), ("88-55", "88-55"),
        ("A2s+", "A2s+"), ("KQo-K9o", "K9o+"), ("AhKd", "AhKd"), ("T9s:0.25,AhKh:0.5", "T9s:0.25,AhKh:0.5"),
    ],
)  # fmt: skip
def test_ranges_are_written_as_players_do(text: str, written: str) -> None:
    assert DECK.write_range(DECK.read_range(text)) == written


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 9999))
def test_what_is_written_is_read_as_the_same(seed: int) -> None:
    generator = np.random.default_rng(seed)
    kinds = generator.choice([0, 0, 0.25, 0.5, 1], 169)
    weights = kinds[generator.permutation(169)[np.arange(DECK.num_hands) % 169]]
    by_kind = np.array([0.0] * DECK.num_hands)
    for number, hands in enumerate(DECK._kinds.values()):
        by_kind[hands] = kinds[number]
    for given_weights in (weights, by_kind):
        text = DECK.write_range(given_weights)
        if text:
            np.testing.assert_array_equal(DECK.read_range(text), given_weights)
