"""The benchmark of algorithms at its smallest: what it prints and writes, never how fast it was."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks import algorithms

SMALL = {"advantage_network_train_steps": 2, "policy_network_train_steps": 2}


def test_it_measures_ours_and_openspiels_under_one_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, png = tmp_path / "results.json", tmp_path / "plot.png"
    compared = ["deep_cfr", "openspiel_deep_cfr"]
    budget = ["--games", "kuhn", "--algorithms", *compared, "--minutes", "0.002", "--seeds", "1", "2"]
    with patch.dict(algorithms.PEER, SMALL):
        algorithms.main([*budget, "--json", str(path), "--png", str(png)])
    found = json.loads(path.read_text())
    assert [(run["algorithm"], run["seed"]) for run in found["runs"]] == [
        (algorithm, seed) for algorithm in compared for seed in (1, 2)
    ]
    for run in found["runs"]:
        assert run["points"][-1]["seconds"] >= 0.12
        assert run["points"][-1]["nodes"] > 0
        assert 0 < run["points"][-1]["exploitability"] < 1
    for row in found["rows"]:
        last = [
            run["points"][-1]["exploitability"]
            for run in found["runs"]
            if run["algorithm"] == row["algorithm"]
        ]
        assert row["worst"] == max(last)
        assert row["mean"] == pytest.approx(sum(last) / 2)
    (rates,) = found["rates"]
    assert rates["times_deep"] == pytest.approx(rates["ours"] / rates["deep"])
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "openspiel_deep_cfr" in capsys.readouterr().out


def test_a_budget_of_nodes_is_met_up_to_a_tenth() -> None:
    points: list[algorithms.Point] = [
        {"seconds": second, "nodes": nodes, "exploitability": 1 / second}
        for second, nodes in ((1.0, 4e6), (2.0, 5e6), (3.0, 6e6))
    ]
    assert algorithms.at_budget(points, "nodes", 4.7e6) == points[1]
    assert algorithms.at_budget(points, "nodes", 3e6) is None
