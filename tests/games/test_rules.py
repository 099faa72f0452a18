"""Which games are the same game."""

import pytest

from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice

RIVER = {"board": "Td9d6hQc2s", "pot": 200, "stack": 900, "bets": [[0.5, 1], [1]]}


def river(**changes: object) -> Holdem:
    return Holdem("river", **(RIVER | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"board": "Td9d6hQc2c"}, {"pot": 202}, {"stack": 901}, {"blinds": (50, 99)}, {"most_raises": 3},
        {"bets": [[0.5, 1], [0.5]]}, {"bets": [[0.5, 1]]}, {"bets": [[0.5, 0.75, 1], [1]]}, {"suits": 3},
    ],
    ids=str,
)  # fmt: skip
def test_other_rules_make_another_game(changes: dict[str, object]) -> None:
    if "suits" in changes:
        changes = changes | {"board": "Td9d6hQc2c"}
        assert river(board="Td9d6hQc2c").rules != river(**changes).rules
    assert river(**changes).rules != river().rules
    hash(river(**changes).rules)


@pytest.mark.parametrize(
    "changes",
    [
        {"board": "Td 9d 6h Qc 2s"}, {"pot": 200.0}, {"ranges": ["QQ+", "uniform"]}, {"jitter": 0.1},
        {"most_deals": 8}, {"isomorphism": False}, {"bets": [[[0.5, 1], [1]]]},
    ],
    ids=str,
)  # fmt: skip
def test_names_ranges_and_how_it_is_learned_do_not(changes: dict[str, object]) -> None:
    assert river(**changes).rules == river().rules
    assert Holdem("spot", **RIVER).rules == river().rules  # type: ignore[arg-type]


def test_depth_limits_are_no_rules() -> None:
    assert Kuhn(1).rules == Kuhn().rules
    assert Leduc("before_deal").rules == Leduc().rules
    assert LiarsDice(1, 4, 1).rules == LiarsDice(1, 4).rules


@pytest.mark.parametrize(
    "changes", [{"limit": (100, 200)}, {"most_raises": 2}, {"limit": None}, {"push_fold": True}], ids=str
)
def test_limits_are_rules(changes: dict[str, object]) -> None:
    limits: dict[str, object] = {"stack": 2000, "deals": (0, 3), "limit": (100, 100), "most_raises": 3}
    if "push_fold" in changes:
        limits |= {"limit": None, "most_raises": None}
    one, other = Holdem("fhp", **limits), Holdem("fhp", **(limits | changes))  # type: ignore[arg-type]
    assert one.rules != other.rules


def test_different_games_differ() -> None:
    games: list[Game] = [Kuhn(), Leduc(), LiarsDice(1, 4), LiarsDice(1, 5), river(), Holdem("hunl")]
    assert len({game.rules for game in games}) == len(games)
