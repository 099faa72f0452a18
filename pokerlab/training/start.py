"""Where a run begins: in a new folder, or at a checkpoint of an old one."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pokerlab.config.machine import check_machine
from pokerlab.config.schema import RunConfig, check_run_name, plain
from pokerlab.config.stored import from_plain, read_config, write_config
from pokerlab.errors import DiskError, UserError
from pokerlab.selfplay.replay_on_disk import chunk_files
from pokerlab.store.checkpoints import load, read_checkpoint
from pokerlab.store.disk import writing
from pokerlab.store.files import check_regular, link_or_copy, write_atomically
from pokerlab.store.folder import LAST, OUTPUTS, RunFolder, find_run, new_folder
from pokerlab.store.lock import RunLock
from pokerlab.store.process import find_process
from pokerlab.store.records import GOING_ON
from pokerlab.training.assemble import RunParts
from pokerlab.training.first_weights import keep_weights, take_weights
from pokerlab.training.fit import check_checkpoint, check_fits
from pokerlab.training.loggers import check_logger

MAY_CHANGE = {
    "iterations", "resume_from", "run_name", "run_dir", "checkpoint_every", "commit_every",
    "commit_minutes", "trainer", "launcher", "logger", "callbacks", "evaluation",
    "actors.address", "actors.retries", "actors.timeout",
}  # fmt: skip
"""Keys, and groups, that may be given anew when a run goes on; the others decide its numbers."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins."""

    run: RunFolder
    config: RunConfig
    checkpoint: Path | None
    """To continue from; None: from the start."""
    iteration: int
    """How many iterations are done."""
    lock: RunLock
    parts: RunParts
    """What it trains with; has no folder yet."""
    notes: Sequence[str] = ()
    """What the run's log is to say first."""


def start(config: RunConfig, experiment: str | None, overrides: Sequence[str], *, here: bool = True) -> Start:
    """Makes the run's folder, or finds the one to continue.

    Going back to an earlier checkpoint of a run drops what came after it: the run's ``last.ckpt`` is that
    checkpoint from then on.

    Args:
        config: as composed.
        experiment: name of the experiment.
        overrides: what the command line says, to tell what is meant to change when a run goes on.
        here: whether it runs on this machine.

    Raises:
        UserError: the folder holds another run, cannot be written, or what to resume from is not there.
        DiskError: the disk is full or read-only; a new folder is gone again.
    """
    with contextlib.ExitStack() as held:
        began = _start(config, experiment, overrides, here, held)
        held.pop_all()
    return began


def _start(
    config: RunConfig,
    experiment: str | None,
    overrides: Sequence[str],
    here: bool,
    held: contextlib.ExitStack,
) -> Start:
    """The same; lets go of the lock when ``held`` is closed."""
    if config.resume_from is None:
        check_logger(config, here=True)
        parts = RunParts(config).make()  # a mistake shows here, before anything is written
        weights = take_weights(config, parts)
        run, lock = _new_folder(config, experiment)
        held.enter_context(lock)
        with _all_or_nothing(run):
            keep_weights(run, weights)
            run.update_job(experiment=experiment, overrides=list(overrides))
            config = write_config(run, config)
        return Start(run, config, None, 0, lock, parts)
    source, checkpoint = _find_source(config)
    named = _named_folder(config)
    goes_on = named is None or named.resolve() == source.path.resolve()
    if goes_on:
        lock = source.lock()
        held.enter_context(lock)
        refuse_if_running(source)
    checkpoint, notes = (checkpoint, []) if checkpoint is not None else newest_checkpoint(source)
    stored = resume_config(config, source, experiment, overrides)
    parts = RunParts(stored).make()
    if here:
        check_machine(stored)
    check_logger(stored, here=True)
    done = 0 if checkpoint is None else check_fits(checkpoint, source, parts)
    if stored.iterations < done:
        raise UserError(f"iterations={stored.iterations}: {checkpoint} has done {done} already")
    notes += missing_metrics(source, done)
    weights = take_weights(stored, parts, source) if checkpoint is None else None
    if goes_on:
        check_writable(source)
        with writing(source):
            keep_weights(source, weights)
            stored = write_config(source, stored)
            last = None if checkpoint is None else _adopt(source, checkpoint)
        return Start(source, stored, last, done, lock, parts, notes)
    run, lock = _new_folder(config, experiment)
    held.enter_context(lock)
    with _all_or_nothing(run):
        before = source.read_job()
        run.update_job(experiment=before.get("experiment"), overrides=before.get("overrides", []))
        lines = [line for line in source.read_metrics() if line["iteration"] < done]
        write_atomically(run.metrics, "".join(json.dumps(line) + "\n" for line in lines))
        last = None if checkpoint is None else _adopt(run, checkpoint)
        keep_weights(run, weights)
        stored = write_config(run, stored)
    return Start(run, stored, last, done, lock, parts, notes)


def go_on(run: RunFolder, checkpoint: Path | None, lock: RunLock) -> Start:
    """A run that has its config goes on.

    Args:
        run: its folder.
        checkpoint: from where; None: from its newest, or from the start if it has none yet.
        lock: of the folder.

    Raises:
        UserError: its files cannot be gone on from.
    """
    config = read_config(run)
    checkpoint, notes = (checkpoint, []) if checkpoint is not None else newest_checkpoint(run)
    done = 0 if checkpoint is None else int(check_checkpoint(checkpoint, run)["pokerlab"]["iteration"])
    check_writable(run)
    notes += missing_metrics(run, done)
    parts = RunParts(config).make()
    if checkpoint is None:
        keep_weights(run, take_weights(config, parts, run))
    return Start(run, config, checkpoint, done, lock, parts, notes)


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


def _adopt(run: RunFolder, checkpoint: Path) -> Path:
    """Makes ``checkpoint`` the run's last one."""
    last = run.checkpoints / LAST
    if checkpoint.resolve() == last.resolve():
        return last
    ours = read_checkpoint(checkpoint)["pokerlab"]
    replay = checkpoint.parent / ours["replay"]
    if replay.parent.resolve() != run.checkpoints.resolve():
        for name in chunk_files(load(replay, mmap=True)):
            link_or_copy(RunFolder(checkpoint.parent.parent).replay / name, run.replay / name)
        write_atomically(run.checkpoints / replay.name, replay.read_bytes())
    write_atomically(last, checkpoint.read_bytes())
    for iteration, path in run.numbered_checkpoints().items():
        if iteration > ours["iteration"]:
            path.unlink()
    return last


def _named_folder(config: RunConfig) -> Path | None:
    if config.run_dir is not None:
        return Path(str(config.run_dir))
    return None if config.run_name is None else OUTPUTS / str(config.run_name)


def _new_folder(config: RunConfig, experiment: str | None) -> tuple[RunFolder, RunLock]:
    if config.run_dir is None and config.run_name is not None:
        check_run_name(str(config.run_name))
    if (named := _named_folder(config)) is not None:
        run = RunFolder(named)
        return run, run.claim()
    run = RunFolder(new_folder(automatic_name(experiment)))
    return run, run.claim()


def automatic_name(experiment: str | None) -> str:
    """Experiment, date and time."""
    return f"{experiment or 'run'}-{datetime.now():%Y%m%d-%H%M%S}"


def _find_source(config: RunConfig) -> tuple[RunFolder, Path | None]:
    """The run and the checkpoint that ``resume_from`` means; None: the newest.

    Raises:
        UserError: there is none.
    """
    wanted = str(config.resume_from)
    if wanted.endswith(".ckpt"):
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"resume_from={wanted}: no such file")
        return RunFolder(path.parent.parent), path
    if not wanted.isdigit():
        return find_run(wanted), None
    folder = _named_folder(config)
    if folder is None:
        raise UserError(f"resume_from={wanted} is an iteration: say of which run with run_name or run_dir")
    run = find_run(str(folder))
    checkpoint = run.checkpoint(int(wanted))
    if not checkpoint.is_file():
        have = ", ".join(str(iteration) for iteration in run.numbered_checkpoints()) or "none"
        raise UserError(
            f"resume_from={wanted}: {run.path} has no checkpoint of that iteration; it has {have}"
        )
    return run, checkpoint


def newest_checkpoint(run: RunFolder) -> tuple[Path | None, list[str]]:
    """``last.ckpt``, or if that is missing the newest numbered one that can be used, and a note that says so.

    None: the run has none yet.

    Raises:
        UserError: it had one, and has none any more.
    """
    last = run.checkpoints / LAST
    if os.path.lexists(last):
        return last, []
    for path in reversed(run.numbered_checkpoints().values()):
        with contextlib.suppress(UserError):
            check_checkpoint(path, run)
            return path, [f"{last} is missing: goes on from {path.name}"]
    if (lost := run.read_summary().get("last_checkpoint")) or run.numbered_checkpoints():
        raise UserError(f"{run.path} has lost its checkpoint {lost or LAST}: start a new run")
    return None, []


def missing_metrics(run: RunFolder, done: int) -> list[str]:
    """What to say if ``training_metrics.jsonl`` lacks some of the iterations that are done."""
    if lacking := done - len({line["iteration"] for line in run.read_metrics() if line["iteration"] < done}):
        return [f"{run.metrics} lacks {lacking} of the {done} iterations that are done: they stay unknown"]
    return []


def check_writable(run: RunFolder) -> None:
    """What a run that goes on appends to or replaces must be files.

    Raises:
        UserError: one is something else.
    """
    run.read_summary()
    for path in (run.config, run.job, run.summary, run.metrics, run.log, run.checkpoints / LAST):
        try:
            check_regular(path)
        except OSError as error:
            raise UserError(f"{path} {error.strerror}") from error


def resume_config(
    config: RunConfig, source: RunFolder, experiment: str | None, overrides: Sequence[str]
) -> RunConfig:
    """The run's own config, with what the command line may change.

    Args:
        config: as composed.
        source: the run.
        experiment: that the command line names.
        overrides: of the command line.

    Raises:
        UserError: the command line changes what decides the run's numbers.
    """
    composed, stored = plain(config), plain(read_config(source))
    before = source.read_job().get("experiment")
    if experiment is not None and before is not None and experiment != before:
        raise UserError(f"{source.path} is a run of experiment={before}, not {experiment}")
    same_launcher = _select(stored, "launcher.name") == _select(composed, "launcher.name")
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0]
        if key == "experiment" or (key == "launcher" and same_launcher):
            continue
        wanted, had = _select(composed, key), _select(stored, key)
        if {key, key.partition(".")[0]} & MAY_CHANGE:
            _replace(stored, key, wanted)
        elif wanted != had:
            has = "" if isinstance(had, dict) else f", which has {key}={had}"
            raise UserError(
                f"{override} would change the run {source.path}{has}: leave it out, or start a new run"
            )
    return from_plain(stored)


def _select(values: Any, key: str) -> Any:
    """What stands under ``key``, as ``a.b.0``; None if nothing does."""
    for part in key.split("."):
        if isinstance(values, list) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            values = values.get(part) if isinstance(values, dict) else None
    return values


def _replace(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        if not isinstance(values.get(group), dict):
            values[group] = {}
        values = values[group]
    values[last] = value


def refuse_if_running(run: RunFolder) -> None:
    """Two processes must not write one run's folder: what the lock does not see.

    Raises:
        UserError: another process still runs it, here or on another machine.
    """
    job = run.read_job()
    if job.get("state") not in GOING_ON:
        return
    process, host = find_process(job), job.get("host")
    if process is not None and process.pid != os.getpid():
        raise UserError(f"{run.path} is running as process {process.pid}: stop that first")
    if host not in (None, os.uname().nodename) and job.get("launcher") in ("foreground", "local"):
        raise UserError(
            f"{run.path} is running on {host}: stop it there, or if nothing runs there any more, "
            f"say so with python -m pokerlab.jobs stop {run.path} --now"
        )
