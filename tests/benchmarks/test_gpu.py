"""The script for a GPU machine, small and on the CPU: that each part runs and says what it should."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_forests import MODELS, STREETS, Setting, Traffic
from benchmarks.gpu_solves import AFTER

ON_CPU = ["--device", "cpu", "--small"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("gpu") / "gpu.json"
    parts = ",".join(part for part in gpu.LIMITS if part != "resume")
    gpu.main([*ON_CPU, "--parts", parts, "--json", str(path)])
    results: dict[str, Any] = json.loads(path.read_text())
    return results


def rows(found: dict[str, Any], part: str) -> list[dict[str, Any]]:
    assert "error" not in found["parts"][part]
    of_part: list[dict[str, Any]] = found["parts"][part]["rows"]
    assert not any("error" in row for row in of_part)
    return of_part


def test_solvers_agree_on_four_streets(found: dict[str, Any]) -> None:
    compared = rows(found, "agreement")
    assert {row["street"] for row in compared} == set(STREETS)
    for row in compared:
        single = row["dtype"] == "float32"
        if row["iterations"] == AFTER[0]:
            assert row["value_max"] < (1e-4 if single else 1e-12)
            assert row["strategy_max"] < (1e-6 if single else 1e-12)
        elif not single and row["street"] != "river":
            assert row["value_max"] < 1e-6
        elif not single:  # hands of this small deck tie exactly there: rounding decides what they play
            assert row["value_mean"] < 2e-3


def test_iterations_are_timed_and_counted(found: dict[str, Any]) -> None:
    measured = rows(found, "iterations")
    cases = [(row["street"], row["subgames"], row["network"]) for row in measured]
    assert cases[:-3] == [(street, size, "kernel") for size in (1, 2) for street in STREETS]
    assert cases[-3:] == [("flop", 1, "large"), ("flop", 2, "kernel"), ("flop", 2, "kernel")]
    for row in measured:
        assert row["gb_per_s"] == pytest.approx(row["megabytes"] / row["milliseconds"])
        assert row["operations"] > 50
        assert row["counted_gb"] > 0


def test_networks_in_bfloat16_err_and_those_in_float32_do_not(found: dict[str, Any]) -> None:
    asked = [row for row in rows(found, "networks") if "leaves" in row]
    errors = {(row["network"], row["precision"]): row["relative_error"] for row in asked}
    for network in MODELS:
        assert errors[network, "fp32"] < 1e-5 < 1e-4 < errors[network, "bf16"] < 0.1


def test_an_iteration_is_told_by_phase(found: dict[str, Any]) -> None:
    told = {row["phase"]: row for row in rows(found, "timeline")}
    shares = [row["percent"] for phase, row in told.items() if phase.startswith("self-play: ")]
    assert sum(shares) == pytest.approx(100)
    assert told["self-play: search"]["seconds"] > 0
    assert told["together"]["usd_for_60M"] == pytest.approx(3.95 * told["together"]["hours_for_60M"])


def test_learning_is_timed_with_the_replay_in_either_place(found: dict[str, Any]) -> None:
    places = [(row["replay"], row["adam"]) for row in rows(found, "learning")]
    assert places == [("memory", "separate"), ("device", "separate"), ("device", "fused")]


@pytest.mark.usefixtures("_forked_attempts")
def test_a_run_that_is_killed_goes_on_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    gpu.main([*ON_CPU, "--parts", "resume", "--json", str(path)])
    (row,) = rows(json.loads(path.read_text()), "resume")
    assert row["right"], row


def test_a_part_that_fails_loses_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        yield {"form": "first"}
        raise RuntimeError("no kernel\nimage")

    monkeypatch.setattr("benchmarks.gpu_solves.iterations", fail)
    path = tmp_path / "gpu.json"
    gpu.main([*ON_CPU, "--parts", "iterations,networks", "--json", str(path)])
    parts = json.loads(path.read_text())["parts"]
    assert parts["iterations"]["error"] == "RuntimeError: no kernel"
    assert parts["iterations"]["rows"] == [{"form": "first"}]
    assert parts["networks"]["rows"]


def test_mistakes_end_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for mistake in (["--parts", "nothing"], ["--device", "tpu"]):
        with pytest.raises(SystemExit) as ended:
            gpu.main(mistake)
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_traffic_counts_what_is_read_and_written() -> None:
    rows_of_8 = torch.zeros(100, 2)
    with Traffic() as traffic:
        rows_of_8[:10].index_select(0, torch.tensor([3, 4, 5]))  # 24 bytes of indices, read 24, write 24
    assert (traffic.operations, traffic.bytes) == (1, 72)
    with Traffic() as traffic:
        torch.zeros(4, 1).expand(4, 5) + rows_of_8[0, 0]
    assert traffic.operations == 2  # zeros, and the sum
    assert traffic.bytes == 16 + 16 + 4 + 80


def test_the_whole_game_is_what_a_gpu_solves() -> None:
    setting = Setting(torch.device("cpu"), small=False, seed=1)
    assert setting.game.num_hands == 1326
    assert [len(state.board) for street in range(4) for state in setting.states(street, 1)] == [0, 3, 4, 5]
