"""A run that is killed or stopped goes on to what an uninterrupted one gives, to the last bit."""

import json
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from pokerlab.store.folder import RunFolder
from runs.harness import (
    KUHN,
    LEDUC,
    Moment,
    assert_same_run,
    command,
    identical,
    interrupted,
    metrics,
    read,
    trained,
)

ON_DISK = (
    *KUHN, "checkpoint_every=4", "commit_every=2", "selfplay.replay=disk",
    "selfplay.value_capacity=60", "selfplay.policy_capacity=60",
)  # fmt: skip
EVERY_TWO = ("checkpoint_every=2", "commit_every=2")
PLAYING = "pokerlab.selfplay.trajectories:SelfPlay.play"
LEARNING = "pokerlab.learning.module:Learner.training_step"
EVALUATING = "pokerlab.evaluation.exact:search_policy"
MEASURED = "pokerlab.callbacks.progress:ProgressBar.on_train_epoch_end"  # after metrics, before checkpoint
WRITING = "pokerlab.callbacks.checkpoint:write_atomically"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("straight")


@pytest.fixture(scope="module")
def kuhn(place: Path) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=4", "run", cwd=place)


@pytest.fixture(scope="module")
def on_disk(place: Path) -> RunFolder:
    return trained(*ON_DISK, "on_disk", cwd=place)


@pytest.fixture(scope="module")
def leduc(place: Path) -> RunFolder:
    return trained(*LEDUC, *EVERY_TWO, "leduc", cwd=place)


@pytest.mark.parametrize(
    ("moment", "saved"),
    [
        pytest.param(Moment(PLAYING, 5), 4, id="playing"),
        pytest.param(Moment(LEARNING, 4 * 3 + 2), 2, id="learning"),
        pytest.param(Moment(EVALUATING, 1), 2, id="evaluating"),
        pytest.param(Moment(MEASURED, 4), 2, id="after the metrics, before the checkpoint"),
        pytest.param(Moment(WRITING, 1, "000004.ckpt"), 2, id="after the replay, before the checkpoint"),
        pytest.param(Moment(WRITING, 2, "last.ckpt"), 2, id="after a checkpoint, before last.ckpt"),
    ],
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_numbers(
    moment: Moment, saved: int, leduc: RunFolder, tmp_path: Path
) -> None:
    killed = RunFolder(tmp_path / "outputs/leduc")
    code = interrupted(moment, SIGKILL, *LEDUC, *EVERY_TWO, "run_name=leduc", cwd=tmp_path)
    assert code == -SIGKILL
    assert read(killed.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == saved
    assert json.loads(killed.summary.read_text())["state"] == "running"
    assert command("train", "resume_from=leduc", cwd=tmp_path, plots=False).code == 0
    assert_same_run(killed, leduc)


def test_a_run_killed_again_and_again_resumes_to_the_same_numbers(leduc: RunFolder, tmp_path: Path) -> None:
    start = (*LEDUC, *EVERY_TWO, "run_name=leduc")
    assert interrupted(Moment(PLAYING, 4), SIGKILL, *start, cwd=tmp_path) == -SIGKILL
    for _ in range(2):  # each begins after two iterations and gets into the fourth
        again = interrupted(Moment(LEARNING, 6), SIGKILL, "resume_from=leduc", cwd=tmp_path)
        assert again == -SIGKILL
    assert command("train", "resume_from=leduc", cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / "outputs/leduc"), leduc)


@pytest.mark.parametrize(
    ("moment", "saved"),
    [
        pytest.param(Moment("pathlib:Path.replace", 4, "/.values-"), 2, id="before a chunk is whole"),
        pytest.param(Moment("pathlib:Path.replace", 4, "/.policies-"), 2, id="between chunks"),
        pytest.param(Moment(LEARNING, 4 * 3 + 2), 2, id="learning"),
        pytest.param(Moment(WRITING, 2, "replay-"), 2, id="after the chunks, before the list of them"),
        pytest.param(Moment("pathlib:Path.unlink", 1, "replay/values-"), 2, id="before one is removed"),
    ],
)
def test_a_run_with_its_replay_on_disk_killed_at_any_moment_resumes_to_the_same_numbers(
    moment: Moment, saved: int, on_disk: RunFolder, tmp_path: Path
) -> None:
    killed = RunFolder(tmp_path / "outputs/on_disk")
    assert interrupted(moment, SIGKILL, *ON_DISK, "run_name=on_disk", cwd=tmp_path) == -SIGKILL
    assert read(killed.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == saved
    assert command("train", "resume_from=on_disk", cwd=tmp_path, plots=False).code == 0
    assert_same_run(killed, on_disk)


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
@pytest.mark.parametrize(
    ("moment", "finished"),
    [
        pytest.param(Moment(PLAYING, 4), 3, id="playing"),
        pytest.param(Moment(LEARNING, 4 * 3 + 2), 3, id="learning"),
        pytest.param(Moment(EVALUATING, 2), 3, id="evaluating"),
        pytest.param(Moment("threading:Thread.start", 4, "_look"), 3, id="starting a thread"),
        pytest.param(Moment(MEASURED, 4), 4, id="after the metrics, before the checkpoint"),
        pytest.param(Moment(WRITING, 2, "last.ckpt"), 4, id="writing the second checkpoint"),
    ],
)
def test_a_stopped_run_saves_the_last_finished_iteration_and_resumes_to_the_same_numbers(
    number: int, moment: Moment, finished: int, kuhn: RunFolder, tmp_path: Path
) -> None:
    stopped = RunFolder(tmp_path / "outputs/run")
    start = (*KUHN, "checkpoint_every=4", "commit_every=2", "run_name=run")
    assert interrupted(moment, number, *start, cwd=tmp_path) == 130
    assert read(stopped.checkpoints / "last.ckpt")["pokerlab"]["iteration"] == finished
    assert len(metrics(stopped)) == finished
    summary = json.loads(stopped.summary.read_text())
    assert (summary["state"], summary["latest_iteration"]) == ("stopped", finished - 1)
    assert summary["last_checkpoint"] == "checkpoints/last.ckpt"
    assert stopped.read_job()["state"] == "stopped"
    assert stopped.log.read_text().endswith("stopped; continue with resume_from=outputs/run\n")
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(stopped, kuhn)


def test_a_run_stopped_before_its_first_checkpoint_was_due_saves_one(kuhn: RunFolder, tmp_path: Path) -> None:
    stopped = RunFolder(tmp_path / "outputs/run")
    start = (*KUHN, "checkpoint_every=4", "commit_every=10", "run_name=run")
    assert interrupted(Moment(PLAYING, 3), SIGTERM, *start, cwd=tmp_path) == 130
    assert [path.name for path in sorted(stopped.checkpoints.iterdir())] == ["last.ckpt", "replay-000002.pt"]
    assert command("train", "resume_from=run", cwd=tmp_path, plots=False).code == 0
    assert_same_run(stopped, kuhn)


@pytest.mark.parametrize("where", ["store.folder:RunFolder.update_job", "training.start:write_config"])
def test_a_run_killed_before_its_config_was_written_starts_anew(
    where: str, kuhn: RunFolder, tmp_path: Path
) -> None:
    start = (*KUHN, "checkpoint_every=4", "run_name=run")
    moment = Moment(f"pokerlab.{where}", 1)
    assert interrupted(moment, SIGKILL, *start, cwd=tmp_path) == -SIGKILL
    assert command("train", *start, cwd=tmp_path, plots=False).code == 0
    assert_same_run(RunFolder(tmp_path / "outputs/run"), kuhn)


@pytest.mark.parametrize("where", ["_adopt", "write_config"])
def test_a_fork_killed_while_it_is_made_is_made_anew(where: str, leduc: RunFolder, tmp_path: Path) -> None:
    fork = (f"resume_from={leduc.checkpoint(2)}", "run_name=fork")
    moment = Moment(f"pokerlab.training.start:{where}", 1)
    assert interrupted(moment, SIGKILL, *fork, cwd=tmp_path) == -SIGKILL
    assert command("train", *fork, cwd=tmp_path, plots=False).code == 0
    assert len(metrics(RunFolder(tmp_path / "outputs/fork"))) == 6
    made = RunFolder(tmp_path / "outputs/fork")
    assert metrics(made) == metrics(leduc)
    ours, theirs = (read(run.checkpoints / "last.ckpt")["state_dict"] for run in (made, leduc))
    assert identical(ours, theirs)
