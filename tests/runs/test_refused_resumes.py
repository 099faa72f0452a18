"""What cannot be resumed is refused with one line, and nothing is lost."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import process_record
from runs.harness import KUHN, LEDUC, copy, read, refusal, trained

HERE = "outputs/run/checkpoints"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def good(place: Path) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "run", cwd=place)


@pytest.fixture(scope="module")
def leduc(place: Path) -> RunFolder:
    return trained(*LEDUC, "iterations=1", "leduc", cwd=place)


@pytest.fixture
def on_disk(tmp_path: Path) -> RunFolder:
    return trained(*KUHN, "checkpoint_every=2", "selfplay.replay=disk", "run", cwd=tmp_path)


@pytest.fixture
def run(good: RunFolder, tmp_path: Path) -> RunFolder:
    return copy(good, tmp_path)


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("resume_from", "expected"),
    [
        (["rum"], "no run 'rum' here: did you mean run?"),
        (["outputs"], "no run 'outputs' here: expected one of run"),
        (["true"], "resume_from must be null or text, got True"),
        (["''"], "resume_from must not be empty"),
        (["3", "run_name=run"],
         "resume_from=3: outputs/run has no checkpoint of that iteration; it has 2, 4, 6"),
        (["3"], "resume_from=3 is an iteration: say of which run with run_name or run_dir"),
        (["2", "run_name=other"], "no run 'outputs/other' here: expected one of run"),
        ([f"{HERE}/first.ckpt"], f"resume_from={HERE}/first.ckpt: no such file"),
    ],
)  # fmt: skip
def test_what_is_not_there_cannot_be_resumed(
    resume_from: list[str], expected: str, run: RunFolder, tmp_path: Path
) -> None:
    first, *more = resume_from
    assert refusal("train", f"resume_from={first}", *more, cwd=tmp_path) == expected


def test_a_run_without_a_checkpoint_cannot_be_resumed_from_an_iteration(
    run: RunFolder, tmp_path: Path
) -> None:
    shutil.rmtree(run.checkpoints)
    message = refusal("train", "resume_from=2", "run_name=run", cwd=tmp_path)
    assert message == "resume_from=2: outputs/run has no checkpoint of that iteration; it has none"


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_and_the_one_before_it_named(
    share: float, run: RunFolder, tmp_path: Path
) -> None:
    truncate(run.checkpoints / "last.ckpt", share)
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == (
        f"{HERE}/last.ckpt is damaged, or not a checkpoint; the one before it is {HERE}/iteration=000006.ckpt"
    )


@pytest.mark.parametrize("name", ["last.ckpt", "replay-000006.pt"])
def test_bytes_that_were_overwritten_are_noticed(name: str, run: RunFolder, tmp_path: Path) -> None:
    path = run.checkpoints / name
    content = bytearray(path.read_bytes())
    tensor = max(zipfile.ZipFile(path).infolist(), key=lambda each: each.file_size)
    middle = tensor.header_offset + tensor.file_size // 2
    content[middle : middle + 8] = bytes(byte ^ 1 for byte in content[middle : middle + 8])
    path.write_bytes(content)
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message.startswith(f"{HERE}/{name}")
    assert "damaged" in message


def test_the_one_before_it_is_one_that_can_be_read(run: RunFolder, tmp_path: Path) -> None:
    for name in ("last", "iteration=000006"):
        truncate(run.checkpoints / f"{name}.ckpt", 0.5)
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message.endswith(f"last.ckpt is damaged, or not a checkpoint; the one before it is "
                            f"{HERE}/iteration=000004.ckpt")  # fmt: skip


def test_the_one_before_a_numbered_checkpoint_is_older(run: RunFolder, tmp_path: Path) -> None:
    truncate(run.checkpoint(4), 0.5)
    message = refusal("train", "resume_from=4", "run_name=run", cwd=tmp_path)
    assert message == (
        f"{HERE}/iteration=000004.ckpt is damaged, or not a checkpoint; the one before it is "
        f"{HERE}/iteration=000002.ckpt"
    )
    truncate(run.checkpoint(2), 0.5)
    message = refusal("train", "resume_from=2", "run_name=run", cwd=tmp_path)
    assert message == (
        f"{HERE}/iteration=000002.ckpt is damaged, or not a checkpoint; there is none before it"
    )


@pytest.mark.parametrize("share", [None, 0, 0.5, 0.99])
def test_a_checkpoint_without_its_replay_is_refused(
    share: float | None, run: RunFolder, tmp_path: Path
) -> None:
    replay = run.checkpoints / "replay-000004.pt"
    if share is None:
        replay.unlink()
    else:
        truncate(replay, share)
    message = refusal("train", "resume_from=4", "run_name=run", cwd=tmp_path)
    assert message == (
        f"{HERE}/replay-000004.pt, the replay of iteration=000004.ckpt, is missing or damaged; "
        f"the one before it is {HERE}/iteration=000002.ckpt"
    )


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_checkpoint_without_a_chunk_of_its_replay_is_refused(
    share: float | None, on_disk: RunFolder, tmp_path: Path
) -> None:
    first, second = (
        set(read(on_disk.checkpoints / f"replay-00000{i}.pt")["values"]["chunks"]) for i in (2, 4)
    )
    chunk = on_disk.replay / max(second - first)
    if share is None:
        chunk.unlink()
    else:
        truncate(chunk, share)
    here = "outputs/run/checkpoints/iteration=000002.ckpt"
    message = refusal("train", "resume_from=4", "run_name=run", cwd=tmp_path)
    assert message == (
        f"outputs/run/replay/{chunk.name}, a part of the replay, is missing or damaged; "
        f"the one before it is {here}"
    )


@pytest.mark.parametrize(
    "content",
    [
        {"weights": torch.ones(3)},
        [1, 2],
        torch.ones(3),
        {"state_dict": {}, "epoch": 3, "pytorch-lightning_version": "2.6.0"},
        {"pokerlab": {"format": 999}},
        {"pokerlab": "what else"},
    ],
    ids=["dict", "list", "tensor", "Lightning", "another version", "text inside"],
)
def test_a_checkpoint_of_something_else_is_refused(content: Any, run: RunFolder, tmp_path: Path) -> None:
    torch.save(content, run.checkpoints / "last.ckpt")
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == (
        f"{HERE}/last.ckpt is not a checkpoint of this version of pokerlab; the one before it is "
        f"{HERE}/iteration=000006.ckpt"
    )


def test_a_pickled_object_is_refused_and_not_run(run: RunFolder, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), run.checkpoints / "last.ckpt")
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message.startswith(f"{HERE}/last.ckpt is damaged, or not a checkpoint; ")


def test_a_checkpoint_of_another_game_is_refused(run: RunFolder, leduc: RunFolder, tmp_path: Path) -> None:
    for path in leduc.checkpoints.iterdir():
        shutil.copy(path, run.checkpoints)
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == f"{HERE}/last.ckpt is a checkpoint of leduc, but outputs/run is a run of kuhn"


def test_another_experiment_does_not_continue_a_run(run: RunFolder, tmp_path: Path) -> None:
    message = refusal("train", "resume_from=run", "experiment=leduc", cwd=tmp_path)
    assert message == "outputs/run is a run of experiment=kuhn, not leduc"


@pytest.mark.parametrize("override", ["iterations=0", "commit_every=x", "trainer.threads=0"])
def test_a_wrong_value_is_refused_when_resuming_too(override: str, run: RunFolder, tmp_path: Path) -> None:
    key = override.partition("=")[0]
    assert refusal("train", "resume_from=run", override, cwd=tmp_path).startswith(
        f"{key} must be an integer of at least 1, got "
    )


def test_a_folder_without_a_config_is_not_a_run(run: RunFolder, tmp_path: Path) -> None:
    run.config.unlink()
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == "outputs/run has no config.yaml: it is not a run's folder"


def test_resuming_into_another_run_is_refused(run: RunFolder, good: RunFolder, tmp_path: Path) -> None:
    copy(good, tmp_path, "other")
    message = refusal("train", "resume_from=run", "run_name=other", cwd=tmp_path)
    assert message.startswith("outputs/other already holds a run: ")


@pytest.fixture
def somebody() -> Iterator[int]:
    """A process that is alive."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate()


def test_a_run_that_is_running_is_not_resumed(somebody: int, run: RunFolder, tmp_path: Path) -> None:
    write_json(run.job, run.read_job() | {"state": "running"} | process_record(somebody))
    message = refusal("train", "resume_from=run", cwd=tmp_path)
    assert message == f"outputs/run is running as process {somebody}: stop that first"
