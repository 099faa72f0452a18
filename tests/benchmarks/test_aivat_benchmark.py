"""What benchmarks.aivat tells."""

import json
from pathlib import Path

import pytest
from runs.harness import KUHN, trained

from benchmarks import aivat
from benchmarks.aivat import NO_LUCK_LEFT, WAYS

OPPONENTS = ("--opponents", "uniform", "call")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a run in it."""
    trained(*KUHN, "iterations=1", "run", cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_way_of_using_aivat_is_measured_beside_what_was_won(place: Path) -> None:
    aivat.main(["run", "--repetitions", "12", "--deals", "40", "--json", "found.json", *OPPONENTS])
    every = json.loads(Path("found.json").read_text())["matches"]
    rows, called = every[:5], every[5:]
    ways = [(row["values"], row["known"]) for row in rows]
    assert ways == [*((values, known) for known, values in WAYS), ("as won", "")]
    for row in rows:
        assert row["opponent"] == "uniform"
        assert row["exact"] == rows[0]["exact"]
        assert abs(row["bias"]) < 4.5
    assert rows[0]["deal_cut"] > 1
    assert rows[-1]["hand_cut"] == rows[-1]["deal_cut"] == 1
    # in Kuhn poker who always calls leaves nothing to do but check down: those values are exact
    assert called[WAYS.index(("both", "check_down"))]["hand_cut"] == NO_LUCK_LEFT


def test_an_opponent_that_is_not_there_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        aivat.main(["run", "--opponents", "nobody"])
    assert capsys.readouterr().err.startswith("error: no run 'nobody' here")
