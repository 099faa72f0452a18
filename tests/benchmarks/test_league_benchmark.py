"""The benchmark of populations says what it found."""

import json
from pathlib import Path

import pytest

from benchmarks import league


def test_it_tells_rounds_and_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    league.main(["--rounds", "2", "--curve", "2", "--peer-rounds", "0", "--json", str(tmp_path / "l.json")])
    rows = {row["what"]: row for row in json.loads((tmp_path / "l.json").read_text())["rows"]}
    assert rows["PSRO on Leduc, to 0.1"]["rounds"] == 1  # all that was asked for
    assert rows["XDO on Leduc, to 0.001"]["exploitability"] < 0.001
    assert rows["PSRO on Kuhn"]["nash_conv"] < 1e-9
    assert 0 < rows["10×10 matrix of Leduc"]["seconds"] < 5
    assert rows["leduc3, CFR+, 2 iterations"]["nash_conv"] == pytest.approx(10.2, abs=0.05)
    assert "XDO on Leduc" in capsys.readouterr().out
