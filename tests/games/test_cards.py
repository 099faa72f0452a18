"""Strengths against phevaluator, ranges against counts and eval7's parser."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phevaluator.evaluator import evaluate_cards  # type: ignore[import-untyped]

from pokerlab.games.base import Ints
from pokerlab.games.cards import BLOCKED, RANKS, Deck

DECKS = {
    "whole": (13, 4),
    "two suits": (13, 2),
    "one suit": (13, 1),
    "6 ranks of 3 suits": (6, 3),
    "3 ranks of 4 suits": (3, 4),
    "9 ranks of 4 suits": (9, 4),
}
BOARDS = {
    "royal flush": "AsKsQsJsTs",
    "straight flush, a better one possible": "9h8h7h6h5h",
    "wheel": "Ah2d3c4s5h",
    "wheel of one suit": "Ah2h3h4h5h",
    "around the corner": "QhKhAh2h3h",
    "flush": "AhTh8h5h2h",
    "four of a suit": "AhTh8h5h2s",
    "three of a suit": "AhTh8h5d2s",
    "two of a suit": "AhTh8c5d2s",
    "four of a kind": "7c7d7h7s2c",
    "full house": "7c7d7h2s2c",
    "three of a kind": "7c7d7hKsAc",
    "two pairs": "7c7dKhKsAc",
    "pair": "7c7dTh9s8c",
    "straight": "6c7dTh9s8c",
    "flop": "7c7d7h",
    "turn of one suit": "AhKhQhJh",
}

deck_of = cache(Deck)


def assert_phevaluators_order(deck: Deck, boards: Sequence[Sequence[int]]) -> None:
    """Every hand on every board, all together."""
    ours, theirs = deck.strengths(np.array(boards)), []
    ids = [rank * 4 + suit for rank in range(deck.ranks) for suit in range(deck.suits)]
    possible = np.array([deck.possible(board) for board in boards])
    for row, board in enumerate(boards):
        shown = [ids[card] for card in board]
        for low, high in deck.hands[possible[row]].tolist():
            theirs.append(-evaluate_cards(*shown, ids[low], ids[high]))  # theirs: less is better
    assert (ours[~possible] == BLOCKED).all()
    assert (ours[possible] > BLOCKED).all()
    assert places(ours[possible]) == places(np.array(theirs))


def places(strengths: Ints) -> list[int]:
    return np.unique(strengths, return_inverse=True)[1].tolist()


@st.composite
def decks_and_boards(draw: st.DrawFn) -> tuple[str, list[list[int]]]:
    """Boards of one size, 3 to 5 cards; at times of one suit."""
    name = draw(st.sampled_from(sorted(DECKS)))
    ranks, suits = DECKS[name]
    size, cards = draw(st.integers(3, 5)), range(ranks * suits)
    anything = st.lists(st.sampled_from(cards), min_size=size, max_size=size, unique=True)
    suited = st.lists(st.sampled_from(cards[::suits]), min_size=size, max_size=size, unique=True)
    of_this_deck = anything | suited if ranks >= size else anything
    return name, draw(st.lists(of_this_deck, min_size=1, max_size=3))


@given(decks_and_boards())
@settings(max_examples=60)
def test_strengths_are_phevaluators_in_order_and_ties(drawn: tuple[str, list[list[int]]]) -> None:
    name, boards = drawn
    assert_phevaluators_order(deck_of(*DECKS[name]), boards)


@pytest.mark.parametrize("name", BOARDS)
def test_strengths_on_boards_with_every_kind_of_hand(name: str) -> None:
    deck = deck_of()
    assert_phevaluators_order(deck, [deck.read_cards(BOARDS[name])])


def test_strengths_on_many_random_boards_together() -> None:
    rng = np.random.default_rng(0)
    for size in (3, 4, 5):
        boards = [rng.choice(52, size, replace=False).tolist() for _ in range(60)]
        assert_phevaluators_order(deck_of(), boards)


@pytest.mark.parametrize("cards", [3, 5])
def test_boards_may_name_their_cards_in_any_order(cards: int) -> None:
    deck = deck_of()
    board = deck.read_cards("AhTh8h5h2s")[:cards]
    one, other = deck.strengths(np.array([board, board[::-1]]))
    assert (one == other).all()


def test_a_hand_is_an_index_of_two_cards() -> None:
    for ranks, suits in DECKS.values():
        deck = deck_of(ranks, suits)
        cards = ranks * suits
        assert deck.num_hands == len(deck.hands) == cards * (cards - 1) // 2
        assert (deck.hand_of[deck.hands[:, 0], deck.hands[:, 1]] == np.arange(deck.num_hands)).all()
        assert (deck.hand_of == deck.hand_of.T).all()
        names = [deck.hand_name(hand) for hand in range(deck.num_hands)]
        assert [int(deck.read_range(name).nonzero()[0].item()) for name in names] == [*range(deck.num_hands)]


COUNTS = {
    "QQ": 6, "QQ+": 18, "22+": 78, "88-55": 24, "55-88": 24, "22-22": 6,
    "AKs": 4, "AKo": 12, "AK": 16, "KA": 16, "AKs+": 4,
    "A5s-A2s": 16, "A2s-A5s": 16, "A5o-A2o": 48, "A5-A2": 64,
    "ATs+": 16, "ATo+": 48, "AT+": 64, "A2+": 192, "72o": 12, "32s+": 4,
    "AhKd": 1, "KdAh": 1, "2c2d": 1, "uniform": 1326,
    "random": 1326, "qq": 6, "aks": 4, "AKO": 12, "ahkd": 1, "aHKD": 1,
    "KQo-JTo": 36, "JTo-KQo": 36, "AKs-QJs": 12, "T9s-54s": 24, "AQ-T8": 80,
    "1010": 6, "10h9h": 1, "A10s+": 16, "J10": 16, "10h10d": 1, "88+:1.": 42, "AK,": 16, "AK, QQ ,": 22,
    "QQ+,AK": 34, "QQ+, AKs, A5s-A2s": 38, "AA,AA": 6, "AA,AhAd": 6,
}  # fmt: skip


@pytest.mark.parametrize("text", COUNTS)
def test_a_range_has_so_many_hands(text: str) -> None:
    weights = deck_of().read_range(text)
    assert set(weights.tolist()) <= {0, 1}
    assert weights.sum() == COUNTS[text]


@pytest.mark.parametrize(
    ("text", "hands"),
    [
        ("A5s-A4s", {"Ac5c", "Ad5d", "Ah5h", "As5s", "Ac4c", "Ad4d", "Ah4h", "As4s"}),
        ("QQ-QQ", {"QdQc", "QhQc", "QsQc", "QhQd", "QsQd", "QsQh"}),
        ("KdAh", {"AhKd"}),
    ],
)
def test_a_range_has_these_hands(text: str, hands: set[str]) -> None:
    deck = deck_of()
    assert {deck.hand_name(hand) for hand in deck.read_range(text).nonzero()[0].tolist()} == hands


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("A5s:0.5", {"Ah5h": 0.5, "Ah5d": 0, "AhKh": 0}),
        ("QQ+:.25, AhAd", {"QhQd": 0.25, "AhAd": 1, "AhAc": 0.25}),
        ("AhAd, QQ+:0.25", {"QhQd": 0.25, "AhAd": 0.25}),
        ("uniform:0.1, 88-55:1.0, 66:0", {"AhKd": 0.1, "7h7d": 1, "6h6d": 0}),
        ("uniform, AK:0, AKs:0.75", {"AhKd": 0, "AhKh": 0.75, "AhQd": 1}),
    ],
)
def test_weights_are_those_of_the_last_item(text: str, weights: dict[str, float]) -> None:
    deck = deck_of()
    found = deck.read_range(text)
    for hand, weight in weights.items():
        assert found[deck.hand_of[deck.read_cards(hand)]] == weight


@pytest.mark.parametrize(
    ("pasted", "plain"),
    [
        ("[50]AK[/50]", "AK:0.5"),
        ("QQ+,[25.5]AKs,A5s-A2s,[/25.5],[10]JTs[/10]", "QQ+,AKs:0.255,A5s-A2s:0.255,JTs:0.1"),
        ("AKo:.5, 10h10d:0.10", "AKo:0.5,ThTd:0.1"),
        ("KQs-JTs", "KQs,QJs,JTs"),
        ("T8-97", "T8,97"),
    ],
)
def test_what_other_programs_write_is_read(pasted: str, plain: str) -> None:
    deck = deck_of()
    np.testing.assert_array_equal(deck.read_range(pasted), deck.read_range(plain))


@pytest.mark.parametrize("text", ["", ",", ",AK", "AK,,QQ"])
def test_nothing_is_no_item(text: str) -> None:
    with pytest.raises(ValueError, match="'' is no range"):
        deck_of().read_range(text)


@st.composite
def items(draw: st.DrawFn) -> str:
    """Such as eval7 reads too; of two ranks, the higher first."""
    low, high = sorted(draw(st.lists(st.sampled_from(range(13)), min_size=2, max_size=2, unique=True)))
    suited = draw(st.sampled_from(["s", "o", ""]))
    other = draw(st.integers(0, low))
    return draw(
        st.sampled_from([
            RANKS[high] * 2, RANKS[low] * 2 + "+", f"{RANKS[high] * 2}-{RANKS[low] * 2}",
            RANKS[high] + RANKS[low] + suited, RANKS[high] + RANKS[low] + suited + "+",
            f"{RANKS[high]}{RANKS[low]}{suited}-{RANKS[high]}{RANKS[other]}{suited}",
            f"{RANKS[high]}h{RANKS[low]}c", f"{RANKS[high]}d{RANKS[high]}s",
        ])
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # how eval7 calls pyparsing
@given(st.lists(items(), min_size=1, max_size=4).map(",".join))
@settings(max_examples=200)
def test_ranges_are_eval7s(text: str) -> None:
    import eval7  # its own import warns too

    deck = deck_of()
    names = {"".join(map(str, cards)) for cards, _ in eval7.HandRange(text).hands}
    theirs = {int(deck.hand_of[deck.read_cards(name)]) for name in names}
    assert set(deck.read_range(text).nonzero()[0].tolist()) == theirs


@pytest.mark.parametrize(
    "item",
    [
        "Q", "QQQ", "1K", "AX", "QQs", "QQo+", "AKx", "AKs++", "+", "-", "AhK", "AhKx",
        "AhAh", "AhKd+", "AhKd-AhQd", "QQ-", "-QQ", "QQ+-88", "QQ-88+", "AA-KQ", "KQ-AA", "A5s-A2o",
        "A5s-A2", "A5s-K2s", "A5s-AAs", "[50]AK", "[50]AK[/40]", "88-55-22", "QQ/AK", "10Ts",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["{}", "QQ+,{}", "{},AK:0.5"])
def test_a_malformed_item_is_named(item: str, where: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(item))):
        deck_of().read_range(where.format(item))


@pytest.mark.parametrize(
    "weight", ["", "1.5", "2", "-1", "abc", "2.", "nan", "1e-3", "50%", "0.5:0.5", "1.0001"]
)
@pytest.mark.parametrize("hands", ["AKs", "uniform", "AhKd"])
def test_a_wrong_weight_is_named(hands: str, weight: str) -> None:
    item = f"{hands}:{weight}"
    with pytest.raises(ValueError, match=re.escape(f"the weight in {item!r} must be a number from 0 to 1")):
        deck_of().read_range(f"QQ+,{item}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AA", "'AA': this deck's highest rank is 7"),
        ("77,A2s+", "'A2s+': this deck's highest rank is 7"),
        ("77-88", "'77-88': this deck's highest rank is 7"),
        ("7s6c", "'7s' in '7s6c' is no card of this deck: 2c to 7h"),
        ("8c6c", "'8c' in '8c6c' is no card of this deck: 2c to 7h"),
    ],
)
def test_hands_that_a_smaller_deck_lacks_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        deck_of(6, 3).read_range(text)


def test_ranges_of_a_smaller_deck_end_at_its_highest_card() -> None:
    deck = deck_of(6, 3)
    assert [deck.read_range(text).sum() for text in ("66+", "74s+", "74o+", "76", "uniform")] == [
        6, 9, 18, 9, 153,
    ]  # fmt: skip


def test_cards_are_read_by_name() -> None:
    deck = deck_of()
    assert deck.read_cards("2c 2d,2h2s") == (0, 1, 2, 3)
    assert deck.read_cards("AsKs") == (51, 47)
    assert deck.read_cards("") == ()
    assert deck.read_cards("10d9D, 6h") == deck.read_cards("Td9d6h")
    assert deck.board_name(deck.read_cards("Td9d6hQc2s")) == "Td9d6hQc2s"
    for wrong, named in (("Tx", "'Tx'"), ("Td9", "'9'"), ("TdTd", "Td is twice"), ("1d", "'1d'")):
        with pytest.raises(ValueError, match=named):
            deck.read_cards(wrong)


@pytest.mark.parametrize("ranks", [0, 14, 2.0, True, "13"])
def test_a_wrong_number_of_ranks_is_named(ranks: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"ranks must be an integer from 1 to 13, got {ranks!r}")):
        Deck(ranks)


def test_a_wrong_number_of_suits_is_named() -> None:
    with pytest.raises(ValueError, match=re.escape("suits must be an integer from 1 to 4, got 5")):
        Deck(13, 5)
