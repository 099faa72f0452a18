"""Where a run begins: in a new folder, or at a checkpoint of an old one."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from pokerlab.callbacks.checkpoint import FORMAT
from pokerlab.config.build import build
from pokerlab.errors import DiskError, UserError, near
from pokerlab.selfplay.replay_on_disk import chunk_files, open_chunk
from pokerlab.store.disk import writing
from pokerlab.store.files import link_or_copy, write_atomically
from pokerlab.store.folder import LAST, OUTPUTS, RunFolder, cannot_write
from pokerlab.store.process import find_process
from pokerlab.store.status import GOING_ON
from pokerlab.training.assemble import Assembled
from pokerlab.training.board import check_logger

MAY_CHANGE = {
    "iterations", "resume_from", "run_name", "run_dir", "checkpoint_every", "commit_every", "trainer",
    "launcher", "logger", "evaluation",
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

    Going back to an earlier checkpoint of a run drops what came after it: the run's ``last.ckpt`` is that
    checkpoint from then on.

    Args:
        config: as composed.
        experiment: name of the experiment.
        overrides: what the command line says, to tell what is meant to change when a run goes on.

    Raises:
        UserError: the folder holds another run, cannot be written, or what to resume from is not there.
        DiskError: the disk is full or read-only; a new folder is gone again.
    """
    if config.resume_from is None:
        check_logger(config, here=True)
        run = _new_folder(config, experiment)
        with _all_or_nothing(run):
            run.update_job(experiment=experiment, overrides=list(overrides))
            write_config(run, config)
        return Start(run, config, None)
    source, checkpoint = find_checkpoint(config)
    stored = resumed_config(config, source, experiment, overrides)
    Assembled(stored)  # a mistake shows here, before anything is written
    check_logger(stored, here=True)
    done = _check_fits(checkpoint, source, stored) if checkpoint is not None else 0
    if stored.iterations < done:
        raise UserError(f"iterations={stored.iterations}: {checkpoint} has done {done} already")
    named = _named_folder(config)
    if named is None or named.resolve() == source.path.resolve():
        refuse_if_running(source)
        with writing(source):
            write_config(source, stored)
            return Start(source, stored, None if checkpoint is None else _adopt(source, checkpoint))
    run = _new_folder(config, experiment)
    with _all_or_nothing(run):
        before = source.read_job()
        run.update_job(experiment=before.get("experiment"), overrides=before.get("overrides", []))
        lines = [line for line in source.read_metrics() if line["iteration"] < done]
        write_atomically(run.metrics, "".join(json.dumps(line) + "\n" for line in lines))
        last = None if checkpoint is None else _adopt(run, checkpoint)
        write_config(run, stored)
    return Start(run, stored, last)


@contextlib.contextmanager
def _all_or_nothing(run: RunFolder) -> Iterator[None]:
    """Fills a new folder; its config comes last, for with it there is a run that can be resumed."""
    try:
        yield
    except BaseException as error:
        run.discard()
        if isinstance(error, OSError):
            raise DiskError(f"{error.filename or run.path}: {error.strerror or error}") from error
        raise


def _check_fits(checkpoint: Path, source: RunFolder, stored: DictConfig) -> int:
    """The iterations that a checkpoint of the run has done."""
    ours = check_checkpoint(checkpoint, source)
    if ours["game"] != (game := build(stored.game).name):
        raise UserError(
            f"{checkpoint} is a checkpoint of {ours['game']}, but {source.path} is a run of {game}"
        )
    return int(ours["iteration"])


def _adopt(run: RunFolder, checkpoint: Path) -> Path:
    """Makes ``checkpoint`` the run's last one."""
    last = run.checkpoints / LAST
    if checkpoint.resolve() == last.resolve():
        return last
    ours = read_checkpoint(checkpoint)["pokerlab"]
    replay = checkpoint.parent / ours["replay"]
    if replay.parent.resolve() != run.checkpoints.resolve():
        for name in chunk_files(_load(replay, mmap=True)):
            link_or_copy(_chunks_of(checkpoint) / name, run.replay / name)
        write_atomically(run.checkpoints / replay.name, replay.read_bytes())
    write_atomically(last, checkpoint.read_bytes())
    for iteration, path in run.numbered().items():
        if iteration > ours["iteration"]:
            path.unlink()
    return last


def _chunks_of(checkpoint: Path) -> Path:
    return RunFolder(checkpoint.parent.parent).replay


def write_config(run: RunFolder, config: DictConfig) -> None:
    """Writes config.yaml, resolved."""
    config.run_name, config.run_dir = run.path.name, str(run.path)
    write_atomically(run.config, OmegaConf.to_yaml(config, resolve=True))


def _named_folder(config: DictConfig) -> Path | None:
    if config.run_dir is not None:
        return Path(str(config.run_dir))
    return None if config.run_name is None else OUTPUTS / str(config.run_name)


def check_run_name(name: str) -> None:
    """A run's name is one part of a path.

    Raises:
        UserError: it is not.
    """
    if not re.fullmatch(r"[\w+=-][\w.,+=-]*", name):
        raise UserError(f"run_name {name!r} must consist of letters, digits and any of . , + - _ =")


def _new_folder(config: DictConfig, experiment: str | None) -> RunFolder:
    if config.run_dir is None and config.run_name is not None:
        check_run_name(str(config.run_name))
    if (named := _named_folder(config)) is not None:
        run = RunFolder(named)
        run.claim()
        return run
    stem = automatic_name(experiment)
    try:
        OUTPUTS.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(OUTPUTS, error) from error
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        run = RunFolder(OUTPUTS / f"{stem}{suffix}")
        try:
            run.path.mkdir()  # fails if a run that starts at the same moment has it
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(OUTPUTS, error) from error
        run.claim()
        return run
    raise UserError(f"too many runs named {stem}")


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


def find_checkpoint(config: DictConfig) -> tuple[RunFolder, Path | None]:
    """The run and the checkpoint that ``resume_from`` means; None: the run has none yet.

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
    return run, checkpoint if checkpoint.is_file() else None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content.

    Raises:
        UserError: it is truncated, or not one of ours.
    """
    content = _load(path, mmap=False)
    ours = content.get("pokerlab") if isinstance(content, dict) else None
    expected = {"format": int, "game": str, "iteration": int, "replay": str}
    if (
        not isinstance(ours, dict)
        or any(not isinstance(ours.get(key), kind) for key, kind in expected.items())
        or ours["format"] != FORMAT
        or "state_dict" not in content
    ):
        raise UserError(f"{path} is not a checkpoint of this version of pokerlab")
    return content


def _load(path: Path, *, mmap: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # what torch.load raises depends on what the file is
        raise UserError(f"{path} is truncated, or not a checkpoint") from error


def check_checkpoint(path: Path, run: RunFolder) -> dict[str, Any]:
    """What a checkpoint says of itself, after reading it and its replay.

    Raises:
        UserError: it, or its replay, cannot be used; names the newest one that can.
    """
    try:
        return _usable(path)
    except UserError as error:
        raise UserError(f"{error}; {_newest_good(path, run)}") from error


def _usable(path: Path) -> dict[str, Any]:
    ours: dict[str, Any] = read_checkpoint(path)["pokerlab"]
    replay = path.parent / ours["replay"]
    try:
        contents = _load(replay, mmap=True)
    except UserError as error:
        raise UserError(f"{replay}, the replay of {path.name}, is missing or truncated") from error
    if (
        not isinstance(contents, dict)
        or contents.keys() != {"values", "policies"}
        or not all(isinstance(content, dict) for content in contents.values())
    ):
        raise UserError(f"{replay} is not a replay")
    for name, examples in chunk_files(contents).items():
        open_chunk(_chunks_of(path) / name, examples)
    return ours


def _newest_good(bad: Path, run: RunFolder) -> str:
    limit = next((iteration for iteration, path in run.numbered().items() if path == bad), None)
    for iteration, path in reversed(run.numbered().items()):
        if path == bad or (limit is not None and iteration >= limit):
            continue
        try:
            _usable(path)
        except UserError:
            continue
        return f"the one before it is {path}"
    return "there is none before it"


def resumed_config(
    config: DictConfig, source: RunFolder, experiment: str | None, overrides: Sequence[str]
) -> DictConfig:
    """The run's own config, with what the command line may change.

    Args:
        config: as composed.
        source: the run.
        experiment: that the command line names.
        overrides: of the command line.

    Raises:
        UserError: the command line changes what decides the run's numbers.
    """
    stored = read_config(source)
    before = source.read_job().get("experiment")
    if experiment is not None and before is not None and experiment != before:
        raise UserError(f"{source.path} is a run of experiment={before}, not {experiment}")
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0]
        if key == "experiment" or (key == "launcher" and stored.launcher.name == config.launcher.name):
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


def read_config(run: RunFolder) -> DictConfig:
    """config.yaml.

    Raises:
        UserError: it is not there, or not what a run writes.
    """
    if not run.config.exists():
        raise UserError(f"{run.path} has no config.yaml: it is not a run's folder")
    try:
        config = OmegaConf.load(run.config)
    except (OSError, YAMLError) as error:
        raise UserError(f"{run.config} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(config, DictConfig) or "iterations" not in config:
        raise UserError(f"{run.config} is not the config of a run")
    return config


def refuse_if_running(run: RunFolder) -> None:
    """Two processes must not write one run's folder.

    Raises:
        UserError: another process of this machine still runs it.
    """
    job = run.read_job()
    process = find_process(job) if job.get("state") in GOING_ON else None
    if process is not None and process.pid != os.getpid():
        raise UserError(f"{run.path} is running as process {process.pid}: stop that first")
