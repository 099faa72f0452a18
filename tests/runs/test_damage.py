"""Whatever lies in a run's folder: every command ends in one line or works, and other runs are seen."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pokerlab.config.command import compose
from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.jobs import command as jobs
from pokerlab.store.checkpoints import load
from pokerlab.store.folder import RunFolder
from pokerlab.training.restore import find_checkpoint, restore
from pokerlab.training.start import start
from runs.harness import KUHN, command, copy, refusal, trained

FILES = ("config.yaml", "job.json", "summary.json", "training_metrics.jsonl", "training.log")
LAST, REPLAY = "checkpoints/last.ckpt", "checkpoints/replay-000002.pt"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    few = ("iterations=2", "evaluation.every=null", "checkpoint_every=1")
    return trained(*KUHN, *few, "damaged", cwd=tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def resuming() -> RunConfig:
    return compose("train", ["resume_from=damaged"])


@pytest.fixture
def run(good: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("MODAL_TOKEN_ID", raising=False)
    copy(good, tmp_path, "sound")
    copy(good, tmp_path)
    monkeypatch.chdir(tmp_path)
    return RunFolder(Path("outputs/damaged"))


def tried(name: str, resuming: RunConfig) -> str | None:
    """What a command refuses with; None: it worked. Anything else than a UserError is raised."""
    try:
        if name == "train":
            start(resuming, None, []).lock.release()
        else:
            folder, path = find_checkpoint("damaged")
            restore(read_config(folder), path)
    except UserError as error:
        return str(error)
    return None


def check_commands(
    run: RunFolder, resuming: RunConfig, capsys: pytest.CaptureFixture[str], *names: str
) -> dict[str, str | None]:
    """Runs every command; what each refused with."""
    capsys.readouterr()
    assert jobs.main(["list", "--json"]) == 0
    told = capsys.readouterr()
    assert "sound" in [status["run"] for status in json.loads(told.out)]
    assert told.err.count("\n") <= 1
    refused: dict[str, str | None] = {"list": told.err.strip() or None}
    for name in ("status", "logs", "metrics", "wait", "stop"):
        code = jobs.main([name, "damaged", *(["--timeout", "0"] if name == "wait" else [])])
        told = capsys.readouterr()
        assert code in (0, 1, 2)
        if code == 2:
            assert told.err.startswith("error: ")
            assert told.err.count("\n") == 1, told.err
            refused[name] = told.err.removeprefix("error: ").strip()
    for name in names:
        refused[name] = tried(name, resuming)
        assert "\n" not in (refused[name] or "")
    return refused


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(content: str | bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "folder": folder,
    "pipe": pipe,
    "missing": Path.unlink,
    "half": half,
    "empty": text(""),
    "words": text("hello\nworld\n"),
    "object": text("{}\n"),
    "list": text("[1, 2]\n"),
    "null": text("null\n"),
    "bytes": text(b"\x00\xff\xfe\n" * 50),
    "deep": text("[" * 100_000 + "\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", [*FILES, LAST, REPLAY])
def test_a_damaged_file_ends_in_a_line(
    file: str, damage: str, run: RunFolder, resuming: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](run.path / file)
    reads = ("evaluate",) if file in ("config.yaml", LAST) else ()
    refused = check_commands(run, resuming, capsys, "train", *reads)
    if damage in ("folder", "pipe") and file != REPLAY:
        assert refused["train"] is not None
        assert file in refused["train"]


WRONG = {
    "job.json": [
        {"state": "running", "pid": "abc"}, {"pid": -1}, {"pid": 2**70}, {"pid": True}, {"state": "walking"},
        {"state": ["running"]}, {"host": 3}, {"submitted": "yesterday"}, {"submitted": 5},
        {"overrides": "seed=1"}, {"overrides": [1]}, {"overrides": ["seed"]}, {"pid_started": "x"},
        {"sweep": {}}, {"launcher": []}, {"attempts": "1"},
    ],
    "summary.json": [
        {"latest_iteration": "2"}, {"total_iterations": 1.5}, {"best_value_loss": "low"},
        {"last_updated": "never"}, {"seconds": []}, {"last_checkpoint": 3}, {"cost_usd": float("nan")},
    ],
    "training_metrics.jsonl": [
        {}, {"iteration": "2"}, {"iteration": -1}, {"iteration": None},
        {"iteration": 2, "timestamp": "now"}, {"iteration": 2, "examples": "many"},
        {"iteration": 2, "value_loss": [1]}, {"iteration": 2, "value_loss": float("inf")},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "values"),
    [(file, values) for file, every in WRONG.items() for values in every],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:40],
)
def test_a_wrong_value_is_named(
    file: str,
    values: dict[str, Any],
    run: RunFolder,
    resuming: RunConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run.path / file
    if path.suffix == ".jsonl":
        with path.open("a") as lines:
            lines.write(json.dumps(values) + "\n")
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    refused = check_commands(run, resuming, capsys, "train")
    for name in ("list", "status", "train"):
        said = refused[name]
        assert said is not None
        assert said.startswith(f"outputs/damaged/{file} cannot be read: ")
        assert (list(values)[-1] if values else "iteration") in said
    # as the message advises
    if path.suffix == ".jsonl":
        assert "line 3: " in str(refused["train"])
        assert str(refused["train"]).endswith("; remove it from the file: the run goes on without")
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    else:
        assert str(refused["train"]).endswith("; remove the file: the run goes on without")
        path.unlink()
    assert tried("train", resuming) is None


def test_numbers_that_are_not_there_are_dashes(
    run: RunFolder, resuming: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run.metrics.write_text('{"iteration": 0}\n{"iteration": 1, "timestamp": "2026-01-01T00:00:00+00:00"}\n')
    refused = check_commands(run, resuming, capsys, "train")
    assert refused.pop("stop") == "damaged is not running: it is finished"
    assert set(refused.values()) == {None}


def tensors(content: Any) -> Iterator[tuple[dict[str, Any], str]]:
    for name in content["state_dict"]:
        yield content["state_dict"], name


def drop_weight(content: Any) -> None:
    del content["state_dict"][next(iter(content["state_dict"]))]


def add_weight(content: Any) -> None:
    content["state_dict"]["extra"] = torch.ones(2)


def widen(content: Any) -> None:
    values, name = next(tensors(content))
    values[name] = torch.ones(3, 3, 3)


def text_weight(content: Any) -> None:
    values, name = next(tensors(content))
    values[name] = "abc"


def spoil(content: Any) -> None:
    values, name = next(tensors(content))
    values[name] = torch.full_like(values[name], torch.nan)


def put(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def drop(*keys: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


@pytest.mark.parametrize("name", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_weight, "does not fit the run's networks: "),
        (add_weight, "does not fit the run's networks: they have no extra"),
        (widen, "has the shape [3, 3, 3] instead of ["),
        (text_weight, "is not a tensor"),
        (spoil, "has values that are not finite numbers"),
        (put("pokerlab", "iteration", value="abc"), "is not a checkpoint of this version"),
        (put("pokerlab", "replay", value="../../away.pt"), "is not a checkpoint of this version"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[Any], None], said: str, name: str, run: RunFolder, resuming: RunConfig
) -> None:
    content = torch.load(run.path / LAST, weights_only=True)
    change(content)
    torch.save(content, run.path / LAST)
    refused = tried(name, resuming)
    assert refused is not None
    assert refused.startswith("outputs/damaged/checkpoints/last.ckpt ")
    assert said in refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("optimizer_states"), "'optimizer_states' is missing"),
        (put("optimizer_states", value=[]), "list index out of range"),
        (put("optimizer_states", 0, "param_groups", value=[]), "different number of parameter groups"),
        (drop("SelfPlayData"), "'SelfPlayData' is missing"),
        (put("SelfPlayData", "iteration", value="abc"), "a count is not an integer"),
        (drop("SelfPlayData", "values_added"), "'values_added' is missing"),
        (put("epoch", value="abc"), "a count is not an integer"),
        (drop("loops"), "'loops' is missing"),
    ],
)
def test_a_checkpoint_that_lacks_what_training_needs_is_refused(
    change: Callable[[Any], None], said: str, run: RunFolder, resuming: RunConfig
) -> None:
    content = torch.load(run.path / LAST, weights_only=True)
    change(content)
    torch.save(content, run.path / LAST)
    refused = tried("train", resuming)
    assert refused is not None
    assert refused.startswith("outputs/damaged/checkpoints/last.ckpt cannot be gone on from: ")
    assert said in refused


@pytest.mark.parametrize(
    "change",
    [
        drop("values"),
        put("values", value=[]),
        drop("values", "columns"),
        drop("policies", "columns", "legal"),
        put("values", "columns", "features", value=torch.tensor(1.0)),
        put("values", "columns", "features", value=torch.ones(1, 2)),
        put("values", "added", value="abc"),
        put("values", value={"added": 3, "window": 3, "chunks": {"../away.pt": 3}}),
        put("values", value={"added": 3, "window": 3, "chunks": {"away.pt": 3}}),
    ],
)
def test_a_replay_that_lacks_something_is_refused(
    change: Callable[[Any], None], run: RunFolder, resuming: RunConfig
) -> None:
    content = torch.load(run.path / REPLAY, weights_only=True)
    change(content)
    torch.save(content, run.path / REPLAY)
    refused = tried("train", resuming)
    assert refused is not None
    assert "replay" in refused
    assert refused.endswith("; the one before it is outputs/damaged/checkpoints/iteration=000001.ckpt")


def test_a_run_of_a_gpu_goes_on_here_if_it_is_asked_to(run: RunFolder) -> None:
    text = run.config.read_text()
    for ours, theirs in (("accelerator: cpu", "accelerator: cuda"), ("32-true", "bf16-mixed")):
        assert ours in text
        text = text.replace(ours, theirs)
    run.config.write_text(text)
    run.update_job(launcher="modal", call_id="fc-1", state="running", pid=None, host=None)
    place = run.path.resolve().parents[1]
    again = ("resume_from=damaged", "iterations=3")
    if not torch.cuda.is_available():
        for name, more in (("train", ()), ("launch", ("launcher=local",))):
            assert refusal(name, *again, *more, cwd=place) == (
                "trainer.accelerator='cuda' is not available here: "
                "expected cpu, or cuda where there is a GPU; trainer=cpu trains on the CPU"
            )
    assert command("train", *again, "trainer=cpu", cwd=place, plots=False).code == 0
    assert run.read_job()["state"] == "finished"
    assert [line["iteration"] for line in run.read_metrics()] == [0, 1, 2]


def test_a_gpu_that_is_not_here_is_named(run: RunFolder, resuming: RunConfig) -> None:
    run.config.write_text(run.config.read_text().replace("accelerator: cpu", "accelerator: abacus"))
    assert tried("train", resuming) == (
        "trainer.accelerator='abacus' is not available here: expected cpu, or cuda where there is a GPU"
    )


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "last.ckpt").touch()
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read: Permission denied"):
        load(tmp_path / "last.ckpt")
