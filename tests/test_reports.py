"""Many boards with the same ranges."""

import csv
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs.harness import command, refusal

from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem
from pokerlab.spot import Spot, solve
from pokerlab.spot.reports import ReportFile, boards_like, means, report, suits_are_alike

RIVER = (
    "game=river",
    "game.bets=[[1]]",
    "game.stack=200",
    "game.ranges=[AKs,QQ]",
    "iterations=20",
    "threads=1",
)


def river(board: str) -> Spot:
    ranges = "AK,99", "QQ,A5s"
    return solve(Holdem("river", board=board, pot=100, stack=150, bets=[[1]], ranges=ranges), iterations=30)


def test_all_flops_are_1755_and_weigh_as_often_as_they_come() -> None:
    boards = boards_like(Deck(), 3)
    assert len(boards) == 1755
    assert sum(weight for _, weight in boards) == pytest.approx(1)
    deck = Deck(ranks=3, suits=3)
    firsts, _ = deck.first_of_suits(np.array([*combinations(range(9), 3)]))
    alike = Counter(map(tuple, firsts.tolist()))
    found = {
        tuple(deck.first_of_suits(np.array([deck.read_cards(name)]))[0][0].tolist()): weight
        for name, weight in boards_like(deck, 3)
    }
    assert found == pytest.approx({board: number / 84 for board, number in alike.items()})


def test_some_flops_stand_for_all() -> None:
    boards = boards_like(Deck(), 3, 50)
    assert len(boards) == 50
    assert {weight for _, weight in boards} == {0.02}
    paired = sum(weight for name, weight in boards if len(set(name[::2])) < 3)
    assert paired == pytest.approx(1 - 48 * 44 / (51 * 50), abs=0.02)  # of all flops


def test_rows_tell_what_the_spot_does() -> None:
    ((row, after), other) = report([("Td9d6hQc2s", 0.25), ("Td9d6hQcAs", 0.75)], river, ["", "bet 1"])
    spot = river("Td9d6hQc2s")
    node = spot.node()
    assert (row["board"], row["weight"], row["player"], after["player"]) == ("Td9d6hQc2s", 0.25, 0, 1)
    assert (row["ev_0"], row["ev_1"]) == pytest.approx(node.expected_values())
    assert row["ev_0"] == pytest.approx(row["equity_0"] * row["eqr_0"] * 100)
    assert row["check"] + row["bet 1"] + row["all-in"] == pytest.approx(1)
    assert row["bet 1"] == pytest.approx(node.frequencies()["bet 1"])
    mean, _ = means([row, after, *other])
    assert mean["ev_0"] == pytest.approx(0.25 * row["ev_0"] + 0.75 * other[0]["ev_0"])
    assert mean["board"] == "2 boards"


def test_ranges_that_name_suits_are_not_alike() -> None:
    assert suits_are_alike(Holdem("flop", board="Td9d6h", pot=1, ranges=("AK,T9s:0.5", "uniform")))
    assert not suits_are_alike(Holdem("flop", board="Td9d6h", pot=1, ranges=("AK", "AhKh")))


def test_a_report_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (*RIVER, "boards=[Td9d6hQc2s,Td9d6hQc3s]", "report=r.csv")
    ended = command("solve", *settings, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, ""), ended
    path = tmp_path / "r.csv"
    whole = path.read_text()
    assert [row["board"] for row in csv.DictReader(whole.splitlines()[1:])] == ["Td9d6hQc2s", "Td9d6hQc3s"]
    path.write_text("".join(whole.splitlines(keepends=True)[:3]))  # as if it was stopped
    assert command("solve", *settings, cwd=tmp_path).code == 0
    assert path.read_text() == whole
    expected = "r.csv is of other settings: give another name, or remove it"
    assert expected in refusal("solve", *settings, "iterations=21", cwd=tmp_path)
    path.write_text(whole.replace("Td9d6hQc3s,0.5", "Td9d6hQc3s,x"))
    assert "r.csv is no report, or is damaged" in refusal("solve", *settings, cwd=tmp_path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["game=flop", "boards=6"], "boards and report belong together"),
        (["game=flop", "boards=6", "report=r", "save=s"], "save is of one board: leave out boards, or save"),
        (
            ["game=leduc", "boards=6", "report=r"],
            "boards are of hold'em from the flop on, and leduc",
        ),
        (["game=turn", "boards=6", "report=r"], "boards: all of 4 cards are too many: list them"),
        (["game=flop", "boards=[Td9d]", "report=r"], "boards: expected 3 cards, as game=flop has, got Td9d"),
        (["game=flop", "boards=[Td9d6h,Td9d6h]", "report=r"], "boards: expected different boards"),
        (["game=flop", "boards=[TdTd6h]", "report=r"], "boards: Td is twice"),
        (["game=flop", "boards=al", "report=r"], "boards must be null or one of all"),
        (
            ["game=flop", "game.ranges=[AhKh,QQ]", "boards=9", "report=r"],
            "boards: suits are not alike",
        ),
        (["game=leduc", "leaf=hunl-laptop"], "networks know other cards"),
        (["game=flop", "leaf=hunl-laptop", "target=1"], "target needs the whole game solved: leave out leaf"),
        (["game=flop", "leaf=nobody"], "no run 'nobody' here"),
    ],
)
def test_mistakes_are_one_line(settings: list[str], expected: str, tmp_path: Path) -> None:
    assert expected in refusal("solve", *settings, cwd=tmp_path)


@pytest.mark.parametrize(
    "text", ["", "x", "# {}\n", "# {}\nboard,weight\nTd,1,2\n", "# {}\nboard,weight\nTd\n"]
)
def test_foreign_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    about: dict[str, Any] = {} if text.startswith("# {}\nb") else {"game": "river"}
    with pytest.raises(ValueError, match=r"r\.csv is (of other settings|no report, or is damaged)"):
        ReportFile(path, about)
