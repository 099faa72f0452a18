"""Curves of several runs in one picture."""

import re
from pathlib import Path

import pytest
from runs.harness import KUHN, trained

from benchmarks import curves


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of Kuhn, one of which was evaluated more often, and one of Leduc."""
    place = tmp_path_factory.mktemp("runs")
    for name, more in (
        ("a", "seed=1"),
        ("b", "seed=2"),
        ("often", "evaluation.every=1"),
        ("leduc", "game=leduc"),
    ):
        trained(*KUHN, "evaluation.every=2", more, name, cwd=place)
    return place


def test_groups_are_averaged_and_drawn(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    curves.main(["c.png", "plain=a,outputs/b", "often=often"])
    assert (place / "c.png").read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    rows = [
        re.findall(r"\d+\.\d{4}", line) for line in told.splitlines() if "plain" in line or "often" in line
    ]
    mean, low, high = map(float, rows[0])
    assert low <= mean <= high
    assert mean == pytest.approx((low + high) / 2, abs=1e-4)
    assert len(set(rows[1])) == 1
    assert told.splitlines()[-1] == "plot: c.png"


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["a"], "'a' is not a group: expected NAME=RUN,RUN,..."),
        (["x=c"], "no run 'c' here"),
        (["x=a,leduc"], "the runs are of several games: kuhn, leduc"),
        (["x=a,often"], "the runs of x were not evaluated at the same iterations"),
        ([f"{n}=a" for n in range(7)], "7 groups: at most 6 have colours of their own"),
    ],
)
def test_what_cannot_be_compared_ends_in_one_line(
    groups: list[str],
    expected: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as ended:
        curves.main(["c2.png", *groups])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {expected}")
    assert not (place / "c2.png").exists()
