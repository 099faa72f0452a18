"""What games can be made of: YAML's types are read, and mistakes named in one line."""

from collections.abc import Callable
from typing import Any

import pytest

from pokerlab.games import game_names, make_game
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice

RIVER: dict[str, Any] = {"board": "Td9d6hQc2s", "pot": 200, "stack": 900}


def holdem(**changes: Any) -> Holdem:
    return Holdem(**({"name": "spot", **RIVER} | changes))


@pytest.mark.parametrize("given", [[22, 33], ["22", "33"], ("22", 33)])
def test_pairs_may_be_numbers(given: Any) -> None:
    assert (holdem(ranges=given).initial_beliefs == holdem(ranges=["22", "33"]).initial_beliefs).all()


@pytest.mark.parametrize("board", [["Td", "9d", "6h", "Qc", "2s"], "Td 9d 6h Qc 2s", "10d9d6hqc2s"])
def test_a_board_may_be_a_list(board: Any) -> None:
    assert holdem(board=board).root() == holdem().root()


@pytest.mark.parametrize("board", [None, "", []])
def test_no_board_is_before_the_flop(board: Any) -> None:
    assert holdem(board=board, pot=0).root() == Holdem("hunl", stack=900).root()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name must be text, got None"),
        ({"name": ""}, "name must be text, got ''"),
        ({"board": 5}, "board must be cards such as Td9d6h, got 5"),
        ({"board": [1, 2, 3]}, "board must be cards such as Td9d6h, got [1, 2, 3]"),
        ({"board": "Td9d"}, "board must have 0, 3, 4, 5 cards, got 2"),
        ({"pot": "x"}, "pot must be a number of chips from 0 to 1e+12, got 'x'"),
        ({"pot": float("inf")}, "pot must be a number of chips from 0 to 1e+12, got inf"),
        ({"pot": float("nan")}, "pot must be a number of chips from 0 to 1e+12, got nan"),
        ({"pot": -1}, "pot must be a number of chips from 0 to 1e+12, got -1"),
        ({"pot": True}, "pot must be a number of chips from 0 to 1e+12, got True"),
        ({"pot": 0}, "pot must be above 0 where the game starts with a board, got 0"),
        ({"stack": float("inf")}, "stack must be a number of chips from 0 to 1e+12, got inf"),
        ({"stack": 1e308}, "stack must be a number of chips from 0 to 1e+12, got 1e+308"),
        ({"stack": True}, "stack must be a number of chips from 0 to 1e+12, got True"),
        ({"stack": None}, "stack must be a number of chips from 0 to 1e+12, got None"),
        ({"stack": 0}, "stack must be more than the big blind and than 0, got 0"),
        ({"board": "", "pot": 0, "stack": 100}, "stack must be more than the big blind and than 0, got 100"),
        ({"blinds": [100]}, "blinds must be a small and a big one, got [100]"),
        ({"blinds": 100}, "blinds must be a small and a big one, got 100"),
        ({"blinds": [100, 50]}, "blinds must be a small and a big one, got [100, 50]"),
        ({"blinds": ["a", "b"]}, "blinds must be a small and a big one, got ['a', 'b']"),
        ({"blinds": [0, float("inf")]}, "blinds must be a small and a big one, got [0, inf]"),
        ({"most_raises": "x"}, "most_raises must be null or an integer of at least 0, got 'x'"),
        ({"most_raises": 1.5}, "most_raises must be null or an integer of at least 0, got 1.5"),
        ({"most_raises": -1}, "most_raises must be null or an integer of at least 0, got -1"),
        ({"most_raises": True}, "most_raises must be null or an integer of at least 0, got True"),
        (
            {"limit": 100},
            "limit must be the chips of a bet on each of 4 streets, such as [100, 100",
        ),
        (
            {"limit": [100, 100]},
            "limit must be the chips of a bet on each of 4 streets, such as [100",
        ),
        ({"limit": [100, 100, 100, "x"]}, "limit must be the chips of a bet on each of 4 streets"),
        (
            {"limit": [100, 100, 100, 99]},
            "limit must be at least the big blind, 100, got [100, 100, ",
        ),
        (
            {"limit": [100] * 4},
            "limit needs most_raises: how many bets and raises there may be on a street",
        ),
        (
            {"limit": [100] * 4, "most_raises": 3, "stack": 299},
            "stack must be at least 300, which a player can put in with limit [100, 100, 100, 100] and 3 "
            "raises, got 299: nobody is all-in",
        ),
        (
            {"limit": [100] * 4, "board": "", "pot": 0, "most_raises": 3, "stack": 1299},
            "stack must be at least 1300, which a player can put in with limit",
        ),
        (
            {"limit": [100] * 4, "bets": [[1]]},
            "limit fixes bets in chips: leave out bets, ip_bets,",
        ),
        (
            {"limit": [100] * 4, "jitter": 0.1},
            "limit fixes bets in chips: leave out bets, ip_bets,",
        ),
        (
            {"push_fold": True, "most_raises": 2},
            "push_fold leaves nothing to bet but all chips: leave out bets, ip_bets, donk_bets, limit",
        ),
        (
            {"push_fold": True},
            "push_fold starts before the flop, with blinds: leave out board and pot",
        ),
        ({"ranges": ["AA"]}, "ranges must be two, one for each player, got 1"),
        ({"ranges": "AA"}, "ranges must be two, one for each player, got AA"),
        ({"ranges": 5}, "ranges must be two, one for each player, got 5"),
        ({"ranges": [None, "AA"]}, "ranges must be such as QQ+,AKs or uniform, got [None, 'AA']"),
        ({"ranges": ["AA", "TdTh"]}, "ranges must have hands: the board leaves none of 'TdTh'"),
        ({"ranges": ["AA", "KK:0"]}, "ranges must have hands: the board leaves none of 'KK:0'"),
        ({"ranges": ["AsAh", "AsAh"]}, "ranges must have hands that can meet: none of 'AsAh' and 'AsAh' do"),
        (
            {"board": "Td9d6h2c3s", "ranges": ["TT", "TT"]},
            "ranges must have hands that can meet: none of 'TT' and 'TT' do",
        ),
        ({"ranges": ["AsKs", "AA"], "board": "AdAcKhQd2c"}, "ranges must have hands that can meet"),
        ({"ranks": 14}, "ranks must be an integer from 1 to 13, got 14"),
        ({"deals": 5}, "deals must be no card before the first street, then some, got 5"),
        ({"deals": [1, 3]}, "deals must be no card before the first street, then some, got [1, 3]"),
        ({"deals": [0, 3, 1, 2]}, "deals must come to 5 cards at most, got [0, 3, 1, 2]"),
        (
            {"deals": [0, 3], "ranks": 3, "suits": 2},
            "deals of 3 cards and two hands take 7 cards, and there are 6: expected more ranks",
        ),
        ({"deals": [0, 3, 0]}, "deals must be no card before the first street, then some, got [0, 3, 0]"),
        ({"jitter": "x"}, "jitter must be a fraction of the pot from 0 to below 1, got 'x'"),
        ({"jitter": True}, "jitter must be a fraction of the pot from 0 to below 1, got True"),
    ],
    ids=str,
)
def test_hold_em_names_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        holdem(**changes)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_hands_that_can_meet_are_enough() -> None:
    """Of six pairs of tens three are blocked by one on the board, and any two of the others share a card."""
    tens = holdem(board="9d6hQc2s3s", ranges=["TT", "TT"])
    assert (tens.initial_beliefs > 0).sum() == 12
    assert holdem(ranges=["AsKs", "AsKs,AhKh"]).initial_beliefs[1].max() == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Kuhn(True), "depth_limit must be null or an integer of at least 1, got True"),
        (lambda: Kuhn(0), "depth_limit must be null or an integer of at least 1, got 0"),
        (lambda: Leduc("nowhere"), "leaves must be before_deal or after_deal, got 'nowhere'"),
        (lambda: LiarsDice(1, 1000), "faces 1000 and dice 1 make too many hands and bids"),
        (lambda: LiarsDice(40, 6), "faces 6 and dice 40 make too many hands and bids"),
        (lambda: LiarsDice(10**6, 10**6), "faces 1000000 and dice 1000000 make too many hands and bids"),
    ],
)
def test_small_games_name_what_is_wrong(make: Callable[[], Game], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        make()
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("name", game_names())
def test_every_game_is_made_by_name(name: str) -> None:
    game = make_game(name)
    again = type(game)(**game.arguments)
    assert again.rules == game.rules
    assert again.name == game.name == name


def test_arguments_stand_instead_of_the_yamls() -> None:
    game = make_game("river", board="2c3c4c5c6c", pot=10, stack=20, blinds=(1, 1))
    assert game.arguments["board"] == "2c3c4c5c6c"
    assert game.arguments["bets"] == [[0.5, 1], [1]]
    same = holdem(board="2c3c4c5c6c", pot=10, stack=20, blinds=(1, 1), bets=[[0.5, 1], [1]])
    assert game.rules == same.rules


def test_unknown_games_and_arguments_have_near_matches() -> None:
    with pytest.raises(ValueError, match=r"^unknown game 'rivr': did you mean river\?$"):
        make_game("rivr")
    with pytest.raises(TypeError, match=r"^river has no argument 'bord': did you mean board\?$"):
        make_game("river", bord="2c")
