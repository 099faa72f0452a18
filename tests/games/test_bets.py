"""Bets of hold'em as configs say them: sizes by player, donk bets, and what is refused."""

from typing import Any

import pytest

from pokerlab.games.base import TERMINAL
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.names import action_name, read_line
from pokerlab.games.unfolding import unfold, walk
from pokerlab.search.tree import build_tree

SPOT: dict[str, Any] = {"board": "Td9d6hQc2s", "pot": 200, "stack": 900, "blinds": (1, 1)}


def spot(**changes: Any) -> Holdem:
    return Holdem("spot", **(SPOT | changes))


def options(game: Holdem, line: str) -> list[str]:
    state = [game.root(), *(move.state for move in read_line(game, line))][-1]
    return [action_name(game, state, action) for action in game.actions(state)]


def test_players_have_sizes_of_their_own() -> None:
    game = spot(bets=[[0.5, 1], [0.75]], ip_bets=[[0.3], [1], [0.6]])
    assert options(game, "") == ["check", "bet 0.5", "bet 1", "all-in"]
    assert options(game, "check") == ["check", "bet 0.3", "all-in"]
    assert options(game, "check bet 0.3") == ["fold", "call", "raise 0.75", "all-in"]
    assert options(game, "bet 0.5") == ["fold", "call", "raise 1", "all-in"]
    assert options(game, "check bet 0.3 raise 0.75") == [
        "fold", "call", "raise 0.6", "all-in",
    ]  # fmt: skip


def test_sizes_by_player_can_be_given_street_by_street() -> None:
    """From before the flop on; the last for all that follow."""
    by_street = [[[1]], [[0.5]], [[0.25]]]
    game = spot(board="Td9d6hQc", bets=by_street, ip_bets=[[2]])
    assert options(game, "") == ["check", "bet 0.25", "all-in"]
    assert options(game, "check check 2s") == ["check", "bet 0.25", "all-in"]
    assert options(game, "check") == ["check", "bet 2", "all-in"]


def test_thresholds_of_all_ins_are_those_of_postflop_solver() -> None:
    """The example of its documentation: 60 %, 216 and all-in into 200, raises to 2.5 times the bet."""
    bets = [[0.6, 1.08, 4.5], [180 / 440]]
    game = spot(bets=bets, add_all_in=1.5, force_all_in=0.15)
    assert options(game, "") == ["check", "bet 0.6", "bet 1.08", "all-in"]
    assert options(game, "bet 0.6") == ["fold", "call", "raise 0.409091"]
    assert options(spot(bets=bets), "bet 0.6") == ["fold", "call", "raise 0.409091", "all-in"]
    assert dict(game.rules)["all-ins"] == (0.15, 1.5)


def test_all_in_is_left_out_where_it_is_many_times_the_pot() -> None:
    game = spot(bets=[[0.5], [1]], add_all_in=2)
    assert options(game, "") == ["check", "bet 0.5"]  # 900 into 200
    assert options(game, "bet 0.5") == ["fold", "call", "raise 1", "all-in"]  # 800 more into 400
    assert "all-in" in options(spot(bets=[[0.5], [1]], add_all_in=0), "bet 0.5 raise 1")  # a size comes to it
    assert options(spot(bets=[[5], [1]], add_all_in=0), "") == ["check", "all-in"]


def test_a_size_that_leaves_little_behind_is_all_in() -> None:
    """Of 900, 600 leave 300 behind a pot of 1,400 after a call."""
    assert options(spot(bets=[[3]], force_all_in=0.21), "") == ["check", "bet 3", "all-in"]
    assert options(spot(bets=[[3]], force_all_in=0.22), "") == ["check", "all-in"]
    assert options(spot(bets=[[3]], force_all_in=0.22, add_all_in=0), "") == ["check", "all-in"]
    assert options(spot(bets=[[3]], force_all_in=0.21, add_all_in=0), "") == ["check", "bet 3"]


@pytest.mark.parametrize("thresholds", [{"force_all_in": 0.3}, {"add_all_in": 1}, {"add_all_in": 0}])
def test_trees_with_thresholds_are_as_state_by_state(thresholds: dict[str, float]) -> None:
    game = spot(bets=[[0.5, 1], [1]], most_raises=3, **thresholds)
    unfolded = unfold(game, game.root(), depth_limited=False)
    walked = walk(game, game.root(), depth_limited=False)
    assert list(unfolded.states) == list(walked.states)
    assert game.count_states() == len(walked.states)
    assert len(walked.states) < (spot(bets=[[0.5, 1], [1]], most_raises=3).count_states() or 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("force_all_in", -1), ("force_all_in", None), ("add_all_in", "pot"), ("add_all_in", 2000)],
)
def test_wrong_thresholds(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a fraction of the pot from 0 to 1000, got"):
        spot(**{name: value})
    with pytest.raises(ValueError, match="leave out bets"):
        Holdem("p", stack=1000, push_fold=True, add_all_in=1)


DONK = {"board": "Td9d6hQc", "bets": [[0.5], [1]]}
PLAIN_LINES = ["check check 2s", "bet 0.5 call 2s", "check bet 0.5 raise 1 call 2s"]
"""Nobody bet on the turn, or player 0 was the last to."""
AGGRESSOR_LINES = ["check bet 0.5 call 2s", "bet 0.5 raise 1 call 2s"]
"""Player 1 was."""


@pytest.mark.parametrize("line", PLAIN_LINES)
@pytest.mark.parametrize("donk_bets", [None, [], [0.3], [0.3, 0.6]], ids=str)
def test_who_leads_into_no_aggressor_bets_as_always(line: str, donk_bets: list[float] | None) -> None:
    game = spot(**DONK, donk_bets=donk_bets, stack=20_000)
    assert options(game, "") == ["check", "bet 0.5", "all-in"]
    assert options(game, line) == ["check", "bet 0.5", "all-in"]


@pytest.mark.parametrize("line", AGGRESSOR_LINES)
@pytest.mark.parametrize(
    ("donk_bets", "expected"),
    [
        (None, ["check", "bet 0.5", "all-in"]),
        ([], ["check"]),
        ([0.3], ["check", "bet 0.3", "all-in"]),
        ([0.3, 0.6], ["check", "bet 0.3", "bet 0.6", "all-in"]),
    ],
    ids=str,
)
def test_donk_bets_lead_into_the_aggressor(
    line: str, donk_bets: list[float] | None, expected: list[str]
) -> None:
    game = spot(**DONK, donk_bets=donk_bets, stack=20_000)
    assert options(game, line) == expected
    assert options(game, f"{line} check") == ["check", "bet 0.5", "all-in"]
    assert options(game, f"{line} check bet 0.5") == ["fold", "call", "raise 1", "all-in"]
    if donk_bets:
        assert options(game, f"{line} bet 0.3") == ["fold", "call", "raise 1", "all-in"]


def test_before_the_flop_the_button_is_player_1() -> None:
    game = Holdem("hunl", stack=2000, bets=[[1]], donk_bets=[])
    assert options(game, "bet 1 call 2c3c4c".replace("bet", "raise")) == ["check"]
    assert options(game, "call raise 1 call 2c3c4c") == ["check", "bet 1", "all-in"]
    assert options(game, "call check 2c3c4c") == ["check", "bet 1", "all-in"]


def test_a_street_is_enumerated_with_its_donk_bets() -> None:
    game = spot(**DONK, donk_bets=[0.3], stack=2000)
    for line in (*PLAIN_LINES, *AGGRESSOR_LINES):
        root: HoldemState = read_line(game, line)[-1].state
        fast, plain = (way(game, root, depth_limited=True) for way in (unfold, walk))
        assert list(fast.states) == list(plain.states)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bets": []}, "bets must be lists of fractions of the pot above 0, such as [[0.5, 1], [1]], got []"),
        ({"bets": [[]]}, "bets must be lists of fractions"),
        ({"bets": [0.5, 1]}, "bets must be lists of fractions"),
        ({"bets": "0.5"}, "bets must be lists of fractions"),
        ({"bets": None}, "bets must be lists of fractions"),
        ({"bets": [[0.5, -1]]}, "bets must be lists of fractions"),
        ({"bets": [[True]]}, "bets must be lists of fractions"),
        ({"bets": [[float("inf")]]}, "bets must be lists of fractions"),
        ({"bets": [["x"]]}, "bets must be lists of fractions"),
        ({"ip_bets": {"oop": [[1]]}}, "ip_bets must be lists of fractions"),
        ({"ip_bets": []}, "ip_bets must be lists of fractions of the pot above 0, such as [[0.5, 1]"),
        ({"bets": [[50, 100]]}, "bets must be fractions of the pot, at most 10, got 50: 50 % is 0.5"),
        ({"bets": [[33]]}, "bets must be fractions of the pot, at most 10, got 33: 33 % is 0.33"),
        ({"donk_bets": [30]}, "donk_bets must be fractions of the pot, at most 10, got 30: 30 % is 0.3"),
        ({"donk_bets": 0.5}, "donk_bets must be lists of fractions of the pot above 0, such as [0.33], got"),
        ({"donk_bets": [[1]]}, "donk_bets must be lists of fractions"),
        (
            {"pot": 110, "stack": 1950, "bets": [[0.33], [1]], "blinds": (50, 100)},
            "bets of 0.33 pot are never offered as a bet: that is 36.3 chips, and the least bet is 100, the "
            "big blind",
        ),
        (
            {"pot": 5.5, "stack": 97.5, "bets": [[0.5], [1]], "blinds": (50, 100)},
            "bets of 0.5 pot are never offered as a bet: that is 2.75 chips",
        ),
        (
            {"bets": [[1], [0.3]]},
            "bets of 0.3 pot are never offered as a raise: that is 180 chips, and the least raise is 200",
        ),
        (
            {"board": "Td9d6hQc", "pot": 5.5, "stack": 97.5, "bets": [[0.5], [1]], "blinds": (50, 100)},
            "bets of 0.5 pot are never offered as a bet: that is 2.75 chips",
        ),
        (
            {
                "board": "Td9d6hQc", "pot": 5.5, "stack": 9, "blinds": (1, 2),
                "bets": [[[1]], [[1]], [[1]], [[0.1]]],
            },
            "bets of 0.1 pot are never offered as a bet: it takes a pot of 20 chips for the least bet, 2",
        ),
        ({"bets": [[1]], "ip_bets": [[1], [0.3]]}, "bets of 0.3 pot are never offered as a raise"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_bet_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        spot(**changes)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_sizes_that_reach_the_stack_are_no_mistake() -> None:
    """All-in stands for them, as in other programs."""
    assert options(spot(stack=50, bets=[[0.5, 1], [1]]), "") == ["check", "all-in"]
    assert options(spot(bets=[[0.5], [1, 2]]), "bet 0.5") == ["fold", "call", "raise 1", "all-in"]


def test_sizes_that_are_large_enough_on_a_later_street_are_no_mistake() -> None:
    assert options(Holdem("hunl", bets=[[0.25], [1.0]]), "") == ["fold", "call", "all-in"]
    game = spot(board="Td9d6hQc", pot=10, stack=900, bets=[[0.25, 1], [1]], blinds=(2, 4))
    assert options(game, "") == ["check", "bet 1", "all-in"]
    assert options(game, "bet 1 call 2s") == ["check", "bet 0.25", "bet 1", "all-in"]


def test_a_raise_that_is_large_enough_after_a_small_bet_is_offered_there() -> None:
    game = spot(bets=[[0.3, 1], [0.3]], stack=2000)
    assert options(game, "bet 0.3") == ["fold", "call", "raise 0.3", "all-in"]
    assert options(game, "bet 1") == ["fold", "call", "all-in"]


COUNTED: dict[str, dict[str, Any]] = {
    "river": {},
    "sizes by player": {"bets": [[0.5, 1], [1]], "ip_bets": [[0.75]]},
    "turn": {"board": "Td9d6hQc", "stack": 400},
    "a cap": {"board": "Td9d6hQc", "most_raises": 2, "bets": [[0.5, 1], [1]]},
    "a cap of all-ins": {"board": "Td9d6hQc", "most_raises": 1, "stack": 300},
    "donk bets": {**DONK, "donk_bets": [0.3]},
    "no donk bets": {**DONK, "donk_bets": []},
    "suits that are alike": {"board": "3s7sTsKs", "bets": [[0.5, 1], [1]]},
    "flop": {"board": "2c3c4c", "pot": 20, "stack": 30, "ranks": 3, "blinds": (1, 2), "bets": [[1]]},
    "two cards": {
        "board": "", "pot": 0, "stack": 9, "blinds": (1, 2), "ranks": 3, "suits": 3, "deals": (0, 2),
    },
    "a card twice": {
        "board": "", "pot": 0, "stack": 12, "blinds": (1, 2), "ranks": 4, "suits": 2, "deals": (0, 1, 1),
        "bets": [[1]],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_states_are_counted_without_building_them(name: str) -> None:
    game = spot(**COUNTED[name])
    for symmetry in (None, game.symmetry()):
        tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry)
        assert game.count_states(isomorphism=symmetry is not None) == tree.num_states


def test_many_states_are_counted_roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    game = spot(board="Td9d6hQc", stack=5000, bets=[[0.3, 0.5, 1], [0.5, 1]])
    exact = game.count_states()
    monkeypatch.setattr("pokerlab.games.tree_size.MOST_POTS", 10)
    assert game.count_states() == pytest.approx(exact, rel=0.1)


def test_bets_that_fill_the_memory_are_refused_at_once() -> None:
    ten = [size / 10 for size in range(1, 11)]
    with pytest.raises(
        ValueError, match=r"^bets make about \d\.\d*e\+1[23] public states of 1,326 hands: .* GB"
    ) as raised:
        spot(pot=2, stack=20_000, bets=[ten])
    assert "\n" not in str(raised.value)


def test_the_game_ends_where_both_are_all_in() -> None:
    """Nobody can bet into the aggressor when the money is in."""
    game = spot(**DONK, donk_bets=[0.3], stack=100)
    state = read_line(game, "check all-in call")[-1].state
    assert game.actor(state) == TERMINAL
