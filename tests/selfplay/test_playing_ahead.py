"""actors.staleness: the next iteration is played while one is learned."""

import threading
from pathlib import Path
from typing import Any

import pytest
from runs.harness import KUHN, assert_same_run, command, copy, identical, read, refusal, trained

from pokerlab.config.stored import read_config
from pokerlab.learning.module import Learner
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.place import Place
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import restore

RUN = (*KUHN, "actors=here", "checkpoint_every=1", "commit_every=1", "selfplay.newest=1")


@pytest.fixture(autouse=True)
def _lags(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process stands for others, which a test would have to start."""
    monkeypatch.setattr(Here, "staleness", 1, raising=False)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return trained(*RUN, "run", cwd=tmp_path)


def test_examples_are_of_the_weights_before_the_last_iteration_was_learned(run: RunFolder) -> None:
    config, added = read_config(run), dict[str, int]()
    for iteration in range(6):
        older = max(iteration - 1, 0)
        parts = RunParts(config) if older == 0 else restore(config, run.checkpoint(older))[0]
        played = parts.actor.generate(parts.module.networks, 20, Place(config.seed, iteration))
        replays = read(run.checkpoints / f"replay-{iteration + 1:06d}.pt")
        for name, examples in played.items():
            newest = {column: each[added.get(name, 0) :] for column, each in replays[name]["columns"].items()}
            assert identical(newest, examples.columns())
            added[name] = replays[name]["added"]


@pytest.mark.parametrize("iteration", [1, 4])
def test_a_run_goes_on_to_the_same_numbers(iteration: int, run: RunFolder, tmp_path: Path) -> None:
    again = copy(run, tmp_path, "again")
    resumed = command("train", f"resume_from={iteration}", "run_name=again", cwd=tmp_path, plots=False)
    assert (resumed.code, resumed.err) == (0, "")
    assert_same_run(again, run)


def test_a_run_goes_on_for_longer_to_the_same_numbers(tmp_path: Path) -> None:
    constant = ("model.final_learning_rate=0.005", "evaluation.every=1000")
    long = trained(*RUN, *constant, "long", cwd=tmp_path)
    short = trained(*RUN, *constant, "iterations=3", "short", cwd=tmp_path)
    assert command("train", "resume_from=short", "iterations=6", cwd=tmp_path, plots=False).code == 0
    weights = [read(each.checkpoint(6))["state_dict"] for each in (long, short)]
    assert identical(dict(weights[0]), dict(weights[1]))


def test_what_plays_ahead_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Learner.training_step

    def fail_later(module: Learner, batch: Batch, batch_idx: int) -> Any:
        if module.current_epoch == 2:
            raise ValueError("enough")
        return step(module, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", fail_later)
    before = threading.active_count()
    with pytest.raises(ValueError, match="enough"):
        command("train", *RUN, "run_name=run", cwd=tmp_path, plots=False)
    assert threading.active_count() <= before + 1  # one that waits for work


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["actors.staleness=1"],
         "actors.staleness needs workers, for the process that trains has no time to play"),
        (["actors.staleness=2", "workers=1"],
         "actors.staleness must be 0 or 1, got 2: actors are busy with one iteration at a time"),
        (["experiment=kuhn_deep_cfr", "actors.staleness=1", "workers=1"],
         "actors.staleness=1: DeepCFR plays with the newest networks only"),
    ],
)  # fmt: skip
def test_what_cannot_lag_is_a_line(given: list[str], said: str, tmp_path: Path) -> None:
    own = () if "experiment" in given[0] else KUHN
    assert refusal("train", *own, *given, cwd=tmp_path) == said
