"""The adapter of donksolver: what it is told of a line, and what its answers are taken for.

A policy of its own takes minutes to make: a recorder stands in its place, with what version 0.1.0 answers.
"""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest.mock import Mock

import numpy as np
import pytest

import pokerlab
from benchmarks import openings
from pokerlab.agents.base import Player
from pokerlab.agents.registry import make_agent
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.holdem import Holdem

GAME = Holdem("hunl", small_blind=0, bets=[[0.5, 1.0], [1.0]], most_raises=3)
PREFLOP = ([0.1, 0.2, 0.3, 0.15, 0.25], [0, 1, 2, 2, 3], [0.0, 0.0, 0.5, 1.0, 99.5])
"""Chances, kinds and fractions of the pot, as they are at the root."""


class Recorder:
    """Stands for ``donksolver.Bundle``: even hands are in bucket 0, odd ones in bucket 1."""

    players = 2
    status = 0
    classes: tuple[dict[str, int], ...] = ({"stack": 20000, "bb": 100}, {"stack": 2000, "bb": 100})

    def __init__(self, path: str) -> None:
        if path != "bundle.json":
            raise OSError("no such file")
        self.asked: dict[str, Any] = {}

    def act(self, stacks: Any, blinds: Any, hole: Any, board: Any, histories: Any, u: Any) -> dict[str, Any]:
        self.asked = {
            "stacks": stacks, "blinds": blinds, "hole": hole, "board": board, "histories": histories
        }  # fmt: skip
        number = len(histories)
        bucket = np.arange(number) % 2
        return {
            "status": np.full(number, self.status),
            "cls": bucket * 0,
            "node": bucket * 0,
            "bucket": bucket,
        }

    def strategy(self, cls: int, node: int, bucket: int) -> Any:
        return PREFLOP if bucket == 0 else ([1.0], [1], [0.0])


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package, cards = ModuleType("donksolver"), ModuleType("donksolver.cards")
    package.Bundle = Recorder  # type: ignore[attr-defined]
    cards.card_id = lambda card: "23456789TJQKA".index(card[0]) * 4 + "cdhs".index(card[1])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "donksolver", package)
    monkeypatch.setitem(sys.modules, "donksolver.cards", cards)


def agent() -> Any:
    return make_agent("donksolver:bundle.json", GAME)


def test_answers_are_taken_for_the_nearest_actions() -> None:
    strategy = agent().strategy()
    assert list(strategy) == ["fold", "call", "raise 0.5", "raise 1", "all-in"]
    first, second = (np.array([chances[hand] for chances in strategy.values()]) for hand in (0, 1))
    assert first == pytest.approx([0.1, 0.2, 0.3, 0.15, 0.25])
    assert second == pytest.approx([0, 1, 0, 0, 0])


def test_it_is_told_of_bets_and_boards() -> None:
    opponent = agent()
    hand = int(GAME.deck.hand_of[0, 1])
    player = Player(GAME, opponent, 1, hand)
    raise_half = GAME.actions(GAME.root())[2]
    player.observe(raise_half)
    assert sum(player.distribution().values()) == pytest.approx(1)
    seat_0_raised = opponent._bundle.asked
    assert {tuple(map(tuple, history)) for history in seat_0_raised["histories"]} == {
        ((0, False, 150 * 1024),)
    }
    assert seat_0_raised["stacks"][0].tolist() == [20_000 * 1024] * 2
    assert seat_0_raised["blinds"][0].tolist() == [50 * 1024, 100 * 1024]
    player.observe(CALL)
    flop = player.state.deal((10, 20, 30))
    player.observe(flop)
    player.observe(CALL)
    player.distribution()
    asked = opponent._bundle.asked
    assert asked["board"][0] == [10, 20, 30]  # our cards have the same numbers
    assert asked["histories"][0] == [(0, False, 150 * 1024), (1, False, 100 * 1024), (0, False, 0)]
    assert len(asked["hole"]) == 49 * 48 // 2
    assert not {10, 20, 30} & set(asked["hole"].flatten().tolist())


def test_where_it_has_no_answer_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "status", 2)
    strategy = agent().strategy("call")
    assert all(strategy["check"] == GAME.possible_hands(GAME.root()))


def test_what_it_cannot_play(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^donksolver cannot read other\.json: no such file$"):
        make_agent("donksolver:other.json", GAME)
    for game in (Holdem("hunl"), Holdem("river", board="Td9d6hQc2s", pot=200)):
        with pytest.raises(ValueError, match=r"expected hunl with small_blind=0$"):
            make_agent("donksolver:bundle.json", game)
    wrong = r"^bundle\.json is for stacks of 200, 20 big blinds, not of 30$"
    with pytest.raises(ValueError, match=wrong):
        make_agent("donksolver:bundle.json", Holdem("hunl", small_blind=0, stack=3000))
    damaged = Mock(side_effect=AttributeError("'list' object has no attribute 'get'"))
    monkeypatch.setattr(sys.modules["donksolver"], "Bundle", damaged)
    with pytest.raises(ValueError, match=r"^donksolver cannot read bundle\.json: 'list' object has no"):
        agent()
    monkeypatch.setitem(sys.modules, "donksolver", None)
    with pytest.raises(
        ValueError, match=r"^donksolver is not installed: pip install 'pokerlab\[donksolver\]'$"
    ):
        agent()


def test_an_unaffordable_fold_is_a_check() -> None:
    assert agent()._action(GAME.next_state(GAME.root(), CALL), FOLD, 0.0) == CALL


def test_openings_stand_beside_its_chart(tmp_path: Path) -> None:
    found = tmp_path / "openings.json"
    sizes = ["hunl-20bb", "bundle.json", "--iterations", "2", "--lines", "", "call"]
    openings.main([*sizes, "--json", str(found)])
    rows = json.loads(found.read_text())["lines"]
    assert [(row["line"], row["action"]) for row in rows] == [
        ("–", "fold"), ("", "call"), ("", "raise 0.5"), ("", "raise 1"), ("", "all-in"),
        ("call", "check"), ("", "raise 0.5"), ("", "raise 1"), ("", "all-in"),
    ]  # fmt: skip
    # of its hands in bucket 0, as the root's are played; the others call
    even = np.arange(1326) % 2 == 0
    assert [row["other"] for row in rows[:5]] == pytest.approx([5, 60, 15, 7.5, 12.5])
    ours = pokerlab.load("hunl-20bb", rules={"small_blind": 0}).agent("search_average", iterations=2)
    strategy = np.stack(list(ours.strategy().values()))
    theirs = np.where(even, np.array(PREFLOP[0])[:, None], np.eye(5)[:, 1:2])
    assert [row["run"] for row in rows[:5]] == pytest.approx(100 * strategy.mean(1), abs=0.01)
    apart = np.abs(strategy - theirs).mean(1)
    assert [row["differs"] for row in rows[:5]] == pytest.approx(100 * apart, abs=0.01)
    assert rows[0]["in_all"] == pytest.approx(50 * apart.sum(), abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["hunl-20bb", "no.json"], "donksolver cannot read no.json: no such file"),
        (["leduc", "bundle.json"], "leduc plays leduc: expected hold'em"),
        (["hunl-20bb", "bundle.json", "--iterations", "1", "--lines", "rise"], "line 'rise'"),
        (["hunl-20bb", "bundle.json", "--iterations", "1", "--lines", "call check"], "nobody acts there"),
    ],
)
def test_openings_that_cannot_be_compared_are_one_line(
    wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        openings.main(wrong)
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


def test_a_line_that_is_never_played_has_no_openings() -> None:
    class Never:
        game = GAME

        def strategy(self, line: str, seed: int) -> dict[str, Any]:
            return {"call": np.ones(GAME.num_hands)}

        def weights(self, line: str, seed: int) -> Any:
            return np.zeros((2, GAME.num_hands))

    with pytest.raises(ValueError, match="line 'call': the run never plays it"):
        next(openings.rows_of(cast(Any, Never()), cast(Any, Never()), "call", 0))


def test_openings_are_shown_where_they_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["hunl-20bb", "bundle.json", "--iterations", "1", "--lines", "all-in"]
    openings.main([*sizes, "--png", str(tmp_path / "openings.png")])
    assert (tmp_path / "openings.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match=r"error: cannot write /proc/x\.json: No such file or directory"):
        openings.main([*sizes, "--json", "/proc/x.json"])
    assert "fold" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        openings.main([*sizes, "--png", "/proc/x.png"])
    printed = capsys.readouterr()
    assert "fold" in printed.out
    assert printed.err == "error: cannot write /proc/x.png: No such file or directory\n"
