"""Runs that begin with another run's weights."""

import shutil
from pathlib import Path

import pytest
import torch

from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, assert_same_run, command, copy, refusal, trained

LESS = (*KUHN, "iterations=2", "evaluation.every=null", "commit_every=1")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*LESS, "first", cwd=tmp_path_factory.mktemp("first"))


def test_it_begins_with_them_and_needs_the_other_run_no_more(good: RunFolder, tmp_path: Path) -> None:
    first = copy(good, tmp_path)
    second = trained(*LESS, "start_from=first", "second", cwd=tmp_path)
    theirs = torch.load(first.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    ours = torch.load(second.first_weights, weights_only=True)
    assert all(torch.equal(theirs[name], ours[name]) for name in {*theirs, *ours})
    third = copy(second, tmp_path, "third")
    for path in (
        *third.checkpoints.glob("*0*"),
        third.checkpoints / "last.ckpt",
        third.metrics,
        third.summary,
    ):
        path.unlink()  # killed before its first checkpoint
    shutil.rmtree(first.path)
    assert command("train", "resume_from=third", cwd=tmp_path, plots=False).code == 0
    assert_same_run(third, second)
    with_new = copy(good, tmp_path)
    differing = torch.load(second.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    new = torch.load(with_new.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    assert any(not torch.equal(new[name], differing[name]) for name in new)


def test_an_average_begins_with_what_plays_and_a_run_without_one_with_the_average(
    good: RunFolder, tmp_path: Path
) -> None:
    def weights(run: RunFolder, checkpoint: str = "last.ckpt") -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = torch.load(run.checkpoints / checkpoint, weights_only=True)[
            "state_dict"
        ]
        return found

    first, still = copy(good, tmp_path), ("model.learning_rate=1e-30", "model.final_learning_rate=0")
    average = trained(*LESS, *still, "start_from=first", "model.ema_decay=0.9", "average", cwd=tmp_path)
    played = weights(first)
    assert weights(average).keys() == {*played, *(f"learned.{name}" for name in played)}
    for name, each in weights(average).items():
        assert torch.equal(each, played[name.removeprefix("learned.")])
    plain = trained(*LESS, *still, "start_from=average", "plain", cwd=tmp_path)
    assert {name: each.tolist() for name, each in weights(plain).items()} == {
        name: each.tolist() for name, each in played.items()
    }
    resumed = command("train", "resume_from=average", "iterations=3", cwd=tmp_path, plots=False)
    assert resumed.code == 0


def test_what_cannot_be_begun_with_is_refused(good: RunFolder, tmp_path: Path) -> None:
    copy(good, tmp_path)
    assert refusal("train", *LESS, "start_from=frist", cwd=tmp_path).startswith(
        "no run 'frist' here: did you mean first"
    )
    message = refusal("train", "experiment=leduc", "start_from=first", cwd=tmp_path)
    assert message.endswith("last.ckpt is a checkpoint of kuhn, not of leduc")
    message = refusal("train", *LESS, "start_from=first", "model.value_network.hidden=8", cwd=tmp_path)
    assert "does not fit the run's networks" in message
    with_it = command("train", *LESS, "start_from=first", "run_name=second", cwd=tmp_path, plots=False)
    assert with_it.code == 0
    message = refusal("train", "resume_from=second", "start_from=null", cwd=tmp_path)
    assert message.startswith("start_from=null would change the run")
