"""Runs that are killed and resumed, and runs that only seem the same."""

import json
import shutil
from pathlib import Path

import pytest
from runs.harness import KUHN, copy, trained

from benchmarks import kills
from benchmarks.compare import differences
from pokerlab.store.folder import RunFolder

RUN = (
    *KUHN, "workers=0", "iterations=40", "checkpoint_every=20", "commit_every=2", "evaluation.every=100",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=tmp_path_factory.mktemp("run"))


@pytest.mark.usefixtures("_forked_attempts")
def test_a_run_that_is_killed_and_resumed_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert kills.main(["--rounds", "2", "--seed", "134", "--json", str(path), "--overrides", *RUN]) == 0
    found = json.loads(path.read_text())
    assert found["identical"]
    assert found["wrong"] == []
    assert [each["round"] for each in found["rounds"]] == [1, 2]
    assert {each["killed"] for each in found["rounds"]} != {"nothing"}
    for each in found["rounds"]:
        assert (each["saved"] or 0) <= each["iteration"] <= 40
        assert each["wrong"] == []


def test_mistakes_end_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--rounds", "0"], "expected an integer of at least 1, got '0'"),
        (["--overrides", "experiment=kuhm"], "did you mean kuhn?"),
        (["--repeats", "3"], "unrecognized arguments: --repeats 3"),
    ):
        with pytest.raises(SystemExit) as ended:
            kills.main(arguments)
        told = capsys.readouterr().err
        assert (ended.value.code, told.count("\n")) == (2, 1)
        assert expected in told


def test_what_differs_is_named(run: RunFolder, tmp_path: Path) -> None:
    other = copy(run, tmp_path)
    assert kills.wrong_in_the_end(other, run, 6) == []
    shutil.copy(other.checkpoint(2), other.checkpoint(4))
    lines = other.metrics.read_text().splitlines(keepends=True)
    other.metrics.write_text("".join([*lines[:-1], lines[0]]))
    (other.checkpoints / ".last.ckpt.tmp").touch()
    found = kills.wrong_in_the_end(other, run, 6)
    assert found[0] == "iterations in the metrics: [0, 1, 2, 3, 4, 0]"
    assert "left behind: checkpoints/.last.ckpt.tmp" in found
    (other.checkpoints / ".last.ckpt.tmp").unlink()
    assert {"state_dict of iteration=000004.ckpt", "line 5 of training_metrics.jsonl"} <= set(
        differences(other, run)
    )


def test_what_cannot_be_read_is_named(run: RunFolder, tmp_path: Path) -> None:
    torn = copy(run, tmp_path)
    assert kills.unreadable(torn) == []
    torn.job.write_text("{")
    torn.summary.write_text("[]")
    torn.checkpoint(4).write_bytes(b"PK")
    found = kills.unreadable(torn)
    assert [text.partition(":")[0] for text in found[:2]] == ["job.json", "summary.json is no object"]
    assert "iteration=000004.ckpt is damaged" in found[2]
