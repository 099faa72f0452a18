"""Where a run begins: in a new folder, or at a checkpoint of an old one."""

import os
import pickle
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from pokerlab.callbacks.checkpoint import FORMAT
from pokerlab.errors import UserError
from pokerlab.runs.build import build
from pokerlab.runs.command import near
from pokerlab.runs.folder import LAST, RunFolder, write_atomically

OUTPUTS = Path("outputs")
MAY_CHANGE = {
    "iterations", "resume_from", "run_name", "run_dir", "checkpoint_every", "commit_every", "trainer",
    "launcher", "evaluation",
}  # fmt: skip
"""Top-level keys that may be given anew when a run goes on; the others decide its numbers."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins."""

    run: RunFolder
    config: DictConfig
    checkpoint: Path | None
    """To continue from; None: from the start."""

    @property
    def iteration(self) -> int:
        """How many iterations are done."""
        return (
            0 if self.checkpoint is None else int(read_checkpoint(self.checkpoint)["pokerlab"]["iteration"])
        )


def start(config: DictConfig, experiment: str | None, overrides: Sequence[str]) -> Start:
    """Makes the run's folder, or finds the one to continue.

    Args:
        config: as composed.
        experiment: name of the experiment.
        overrides: what the command line says, to tell what is meant to change when a run goes on.

    Raises:
        UserError: the folder holds another run, cannot be written, or what to resume from is not there.
    """
    if config.resume_from is None:
        run = _new_folder(config, experiment)
        write_config(run, config)
        run.update_job(experiment=experiment)
        return Start(run, config, None)
    source, checkpoint = find_checkpoint(config)
    ours = check_checkpoint(checkpoint, source)
    stored = _resumed_config(config, source, experiment, overrides)
    if ours["game"] != (game := build(stored.game).name):
        raise UserError(
            f"{checkpoint} is a checkpoint of {ours['game']}, but {source.path} is a run of {game}"
        )
    run = source
    if _named_folder(config) not in (None, source.path):
        run = _new_folder(config, experiment)
        lines = [line for line in source.metrics.read_text().splitlines(keepends=True) if line.endswith("\n")]
        write_atomically(run.metrics, "".join(lines[: ours["iteration"]]))
    refuse_if_running(run)
    stored.run_name, stored.run_dir = run.path.name, str(run.path)
    write_config(run, stored)
    run.update_job(experiment=source.read_job().get("experiment"))
    return Start(run, stored, checkpoint)


def write_config(run: RunFolder, config: DictConfig) -> None:
    """Writes config.yaml, resolved."""
    config.run_name, config.run_dir = run.path.name, str(run.path)
    write_atomically(run.config, OmegaConf.to_yaml(config, resolve=True))


def _named_folder(config: DictConfig) -> Path | None:
    if config.run_dir is not None:
        return Path(str(config.run_dir))
    return None if config.run_name is None else OUTPUTS / str(config.run_name)


def _new_folder(config: DictConfig, experiment: str | None) -> RunFolder:
    if (named := _named_folder(config)) is not None:
        if not re.fullmatch(r"[\w.=,+-]+", named.name):
            raise UserError(f"run_name {named.name!r} must consist of letters, digits and any of . = , + - _")
        run = RunFolder(named)
        run.claim()
        return run
    stem = automatic_name(experiment)
    try:
        OUTPUTS.mkdir(exist_ok=True)
        for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
            path = OUTPUTS / f"{stem}{suffix}"
            try:
                path.mkdir()  # fails if a run that starts at the same moment has it
            except FileExistsError:
                continue
            break
    except OSError as error:
        raise UserError(f"cannot write run_dir {OUTPUTS}: {error.strerror}") from error
    run = RunFolder(path)
    run.claim()
    return run


def automatic_name(experiment: str | None) -> str:
    """Experiment, date and time."""
    return f"{experiment or 'run'}-{datetime.now():%Y%m%d-%H%M%S}"


def find_run(name: str) -> RunFolder:
    """A run by its name or folder.

    Raises:
        UserError: there is none; names the near matches.
    """
    for path in (Path(name), OUTPUTS / name):
        if RunFolder(path).holds_a_run:
            return RunFolder(path)
    known = sorted(path.name for path in OUTPUTS.glob("*") if RunFolder(path).holds_a_run)
    raise UserError(f"no run {name!r} here{near(name, known)}")


def find_checkpoint(config: DictConfig) -> tuple[RunFolder, Path]:
    """The run and the checkpoint that ``resume_from`` means.

    Raises:
        UserError: there is none.
    """
    wanted = str(config.resume_from)
    if wanted.endswith(".ckpt"):
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"resume_from={wanted}: no such file")
        return RunFolder(path.parent.parent), path
    if wanted.isdigit():
        folder = _named_folder(config)
        if folder is None:
            raise UserError(
                f"resume_from={wanted} is an iteration: say of which run with run_name or run_dir"
            )
        run = find_run(str(folder))
        checkpoint = run.checkpoint(int(wanted))
        if not checkpoint.is_file():
            have = ", ".join(str(iteration) for iteration in run.numbered()) or "none"
            raise UserError(
                f"resume_from={wanted}: {run.path} has no checkpoint of that iteration; it has {have}"
            )
        return run, checkpoint
    run = find_run(wanted)
    checkpoint = run.checkpoints / LAST
    if not checkpoint.is_file():
        raise UserError(f"resume_from={wanted}: {run.path} has no checkpoint yet")
    return run, checkpoint


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content.

    Raises:
        UserError: it is truncated, or not one of ours.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is truncated, or not a checkpoint") from error
    ours = content.get("pokerlab") if isinstance(content, dict) else None
    if not isinstance(ours, dict) or ours.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of this version of pokerlab")
    return content


def check_checkpoint(path: Path, run: RunFolder) -> dict[str, Any]:
    """What a checkpoint says of itself, after reading it whole.

    Raises:
        UserError: it, or its replay, cannot be used; names the newest one that can.
    """
    try:
        ours: dict[str, Any] = read_checkpoint(path)["pokerlab"]
        try:
            torch.load(path.parent / ours["replay"], map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path.parent / ours['replay']}, the replay of {path.name}, is missing or truncated"
            ) from error
    except UserError as error:
        raise UserError(f"{error}; {_newest_good(path, run)}") from error
    return ours


def _newest_good(bad: Path, run: RunFolder) -> str:
    limit = next((iteration for iteration, path in run.numbered().items() if path == bad), None)
    for iteration, path in reversed(run.numbered().items()):
        if path == bad or (limit is not None and iteration >= limit):
            continue
        try:
            replay = read_checkpoint(path)["pokerlab"]["replay"]
        except UserError:
            continue
        if (path.parent / replay).is_file():
            return f"the one before it is {path}"
    return "there is none before it"


def _resumed_config(
    config: DictConfig, source: RunFolder, experiment: str | None, overrides: Sequence[str]
) -> DictConfig:
    """The run's own config, with what the command line may change."""
    if not source.config.exists():
        raise UserError(f"{source.path} has no config.yaml: it is not a run's folder")
    stored = OmegaConf.load(source.config)
    assert isinstance(stored, DictConfig)
    before = source.read_job().get("experiment")
    if experiment is not None and before is not None and experiment != before:
        raise UserError(f"{source.path} is a run of experiment={before}, not {experiment}")
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0]
        if key == "experiment":
            continue
        wanted, had = OmegaConf.select(config, key), OmegaConf.select(stored, key)
        if key.partition(".")[0] in MAY_CHANGE:
            OmegaConf.update(stored, key, wanted, force_add=True)
        elif wanted != had:
            has = "" if isinstance(had, DictConfig) else f", which has {key}={had}"
            raise UserError(
                f"{override} would change the run {source.path}{has}: leave it out, or start a new run"
            )
    return stored


def refuse_if_running(run: RunFolder) -> None:
    """Two processes must not write one run's folder.

    Raises:
        UserError: another process of this machine still runs it.
    """
    job = run.read_job()
    if (
        job.get("state") != "running"
        or job.get("host") != os.uname().nodename
        or job.get("pid") == os.getpid()
    ):
        return
    if is_alive(job["pid"]):
        raise UserError(f"{run.path} is running as process {job['pid']}: stop that first")


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
