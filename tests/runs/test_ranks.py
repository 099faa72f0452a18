"""trainer.devices: processes that play and learn together, by gloo on the CPU."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from pokerlab.config.stored import read_config
from pokerlab.learning.module import Learner
from pokerlab.selfplay.data import Batch
from pokerlab.selfplay.examples import Examples
from pokerlab.selfplay.place import BATCHES, Place
from pokerlab.selfplay.replay import by_rank
from pokerlab.store.folder import RunFolder
from pokerlab.training import ranks
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import restore
from pokerlab.training.world import World
from runs.harness import (
    FAILS,
    KUHN,
    ForkedRank,
    Moment,
    assert_same_run,
    command,
    identical,
    interrupted,
    metrics,
    read,
    refusal,
    trained,
)  # fmt: skip

pytestmark = pytest.mark.timeout(200)
TWO = (
    *KUHN, "trajectories=21", "trainer.devices=2", "checkpoint_every=2", "commit_every=2",
    "selfplay.newest=1",
)  # fmt: skip
START_PROCESS = ranks.start_process
LEARNING = "pokerlab.learning.module:Learner.training_step"


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "start_process", ForkedRank)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "start_process", ForkedRank)
        return trained(*TWO, "run", cwd=tmp_path_factory.mktemp("two"))


def played(run: RunFolder, iteration: int, rank: int, n: int) -> Mapping[str, Examples]:
    """What one process plays at the place of a rank, with the networks that the run had."""
    config = read_config(run)
    parts = RunParts(config) if iteration == 0 else restore(config, run.checkpoint(iteration))[0]
    return parts.actor.generate(parts.module.networks, n, Place(config.seed, iteration, rank))


def test_examples_are_those_of_one_process_at_the_same_places(straight: RunFolder) -> None:
    seen = []
    replays = read(straight.checkpoints / "replay-000004.pt")
    before = read(straight.checkpoints / "replay-000002.pt")
    for iteration in (0, 2):
        for rank, n in enumerate((11, 10)):
            for name, examples in played(straight, iteration, rank, n).items():
                kept = replays[name]["ranks"][rank]
                first = before[name]["ranks"][rank]["added"] if iteration else 0
                here = {
                    column: each[first : first + len(examples)] for column, each in kept["columns"].items()
                }
                assert identical(here, examples.columns())
                seen.append(here)
    assert not identical(seen[0], seen[2])  # ranks have different ones
    draws = [Place(1, 0, rank, BATCHES).generator().initial_seed() for rank in (0, 1)]
    assert draws[0] != draws[1]  # and draw others of them
    added = sum(each["added"] for name in replays for each in replays[name]["ranks"])
    assert sum(line["examples"] for line in metrics(straight)[:4]) == added


def test_weights_are_the_same_on_all_ranks(straight: RunFolder) -> None:
    weights = read(straight.checkpoints / "last.ckpt")["state_dict"]
    assert identical(dict(torch.load(straight.path / "rank-1.pt")), dict(weights))
    assert not identical(dict(weights), dict(read(straight.checkpoint(4))["state_dict"]))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_ends_rank_0_ends_all_and_the_run_resumes_to_the_same_numbers(
    number: int, straight: RunFolder, tmp_path: Path
) -> None:
    run, start = RunFolder(tmp_path / "outputs/run"), (*TWO, "run_name=run")
    assert interrupted(Moment(LEARNING, 4 * 3 + 2), number, *start, cwd=tmp_path) in (130, -signal.SIGKILL)
    assert read(run.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == (
        2 if number == signal.SIGKILL else 3
    )
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, straight)


def test_a_rank_that_is_killed_is_named_and_the_run_resumes_to_the_same_numbers(
    straight: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, started, steps = RunFolder(tmp_path / "outputs/run"), list[ForkedRank](), 0
    step = Learner.training_step

    def start(environment: Mapping[str, str], output: Any) -> ForkedRank:
        started.append(ForkedRank(environment, output))
        return started[-1]

    def kill_rank_1(module: Learner, batch: Batch, batch_idx: int) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 4 * 3 + 2:
            started[0].kill()
        return step(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ranks, "start_process", start)
        patch.setattr(Learner, "training_step", kill_rank_1)
        ended = command("train", *TWO, "run_name=run", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (1, "")
    why = f"rank 1 (pid {started[0].pid}) died: killed by SIGKILL, out of memory perhaps"
    assert run.log.read_text().endswith(f"failed: {why}\n")
    assert (run.read_job()["state"], run.read_job()["reason"]) == ("failed", why)
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(run, straight)


def test_a_rank_ends_with_a_rank_0_that_is_gone_before_they_are_connected(tmp_path: Path) -> None:
    nobody = World(1, 2, 1, 2, ranks.HERE, 1).environment()
    with (tmp_path / "said").open("wb") as output:
        process = START_PROCESS(os.environ | nobody, output)
    try:
        assert process.stdin is not None
        process.stdin.close()  # as the kernel does where rank 0 is killed
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()


def test_what_a_rank_raises_ends_the_run_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[ForkedRank]()

    def start(environment: Mapping[str, str], output: Any) -> ForkedRank:
        started.append(ForkedRank({**environment, FAILS: "1"}, output))
        return started[-1]

    monkeypatch.setattr(ranks, "start_process", start)
    ended = command("train", *TWO, "run_name=run", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (1, "")
    run = RunFolder(tmp_path / "outputs/run")
    said = f"failed: rank 1 (pid {started[0].pid}) failed: ValueError: no such hand\n"
    assert run.log.read_text().endswith(said)
    assert run.read_job()["state"] == "failed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["trainer.devices=3", "trajectories=2"], "trainer.devices=3 is more than trajectories=2"),
        (["trainer.devices=3"], "batch_size=16 must be a multiple of trainer.devices=3"),
        (["trainer.devices=0"], "trainer.devices must be null or an integer of at least 1, got 0"),
        (["trainer.strategy=fsdp"], "trainer.strategy must be one of auto, ddp, got 'fsdp'"),
    ],
)
def test_ranks_that_cannot_be_are_a_line(given: list[str], said: str, tmp_path: Path) -> None:
    assert refusal("train", *KUHN, *given, cwd=tmp_path) == said


@pytest.mark.parametrize("replay", ["memory", "disk"])
def test_a_run_goes_on_with_another_number_of_ranks(replay: str, tmp_path: Path) -> None:
    before = ("checkpoint_every=2", "iterations=2", "selfplay.newest=1", f"selfplay.replay={replay}")
    run = trained(*KUHN, *before, "trainer.devices=2", "run", cwd=tmp_path)
    ended = command("train", "resume_from=run", "iterations=4", "trainer=cpu", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    again = ("resume_from=run", "iterations=6", "trainer.devices=2")
    assert command("train", *again, cwd=tmp_path, plots=False).code == 0
    made = [sum(line["examples"] for line in metrics(run)[:done]) for done in (2, 4, 6)]
    kept = [read(run.checkpoints / f"replay-{done:06d}.pt") for done in (2, 4, 6)]
    assert [len(each["values"].get("ranks", [0])) for each in kept] == [2, 1, 2]
    added = [sum(each["added"] for stream in saved.values() for each in by_rank(stream)) for saved in kept]
    assert added[:2] == made[:2]
    assert added[2] == made[2] or (replay == "disk" and added[2] > made[2])  # chunks are given as a whole
