"""A run that version 0.1.0 began goes on as it would have there, and can be measured."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from pokerlab.config.command import compose
from pokerlab.config.upgrade import upgrade
from pokerlab.store.folder import RunFolder
from runs.harness import command, metrics

STORED = Path(__file__).parent / "run_of_0_1_0"
"""Kuhn poker, stopped after 4 of 8 iterations (d0ff8c7); ``uninterrupted.jsonl`` has all of them."""
LEARNED = ("value_loss", "learning_rate", "exploitability")
FROM_COPIES = ("policy_loss", "exploitability_policy_net", "examples")
"""Version 0.1.0 learned from a copy of a policy example for each trajectory, and replays were of those."""


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(STORED, tmp_path / "outputs/old")))


def test_it_goes_on_as_if_never_stopped(old: RunFolder, tmp_path: Path) -> None:
    expected = [json.loads(line) for line in (STORED / "uninterrupted.jsonl").read_text().splitlines()]
    ended = command("train", "resume_from=old", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    found = metrics(old)
    assert [line["iteration"] for line in found] == list(range(8))
    for line, wanted in zip(found, expected, strict=True):
        for key in LEARNED:
            assert line[key] == (None if wanted[key] is None else pytest.approx(wanted[key], rel=1e-3)), key
    for line, wanted in zip(found[:4], expected, strict=False):
        assert [line[key] for key in FROM_COPIES] == [wanted[key] for key in FROM_COPIES]
    for line, wanted in zip(found[4:], expected[4:], strict=True):
        assert line["examples"] < wanted["examples"]
        assert line["policy_loss"] == pytest.approx(wanted["policy_loss"], rel=0.5)


def test_it_is_evaluated(old: RunFolder, tmp_path: Path) -> None:
    ended = command("evaluate", "run=old", f"json={tmp_path / 'found.json'}", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["game"], found["iteration"]) == ("kuhn", 4)
    in_training = metrics(old)[3]["exploitability_policy_net"]
    assert found["policy_net"]["exploitability"] == pytest.approx(in_training, rel=1e-3)


@pytest.mark.parametrize(("precision", "fused"), [("32-true", True), ("bf16-mixed", False)])
def test_adam_stays_as_it_was_where_the_precision_decided(precision: str, fused: bool) -> None:
    config = asdict(compose("train", [f"trainer.precision={precision}"]))
    config["optimizer"]["fused"] = None
    assert upgrade(config)["optimizer"]["fused"] is fused
