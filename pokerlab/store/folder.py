"""A run's folder: the same files here and on a cloud volume (docs/run-folder.md).

Imports no torch, so that looking at runs is quick.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pokerlab.errors import DiskError, UserError, near
from pokerlab.store.files import (
    TEMPORARY,
    append_line,
    open_to_read,
    read_lines,
    read_yaml,
    shipped_path,
    write_atomically,
    write_json,
)
from pokerlab.store.lock import RunLock
from pokerlab.store.process import find_process, process_record
from pokerlab.store.records import JOB, PROGRESS, SUMMARY, Check, parse, parse_line

OUTPUTS = Path("outputs")
"""Where the runs of this machine are."""
LAST = "last.ckpt"
LEAGUE = "league.json"
"""What tells a league's folder from a run's."""
FULL_OR_READ_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def job(self) -> Path:
        """Where the run runs and in what state it is."""
        return self.path / "job.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def first_weights(self) -> Path:
        """What it began with, if those are another run's."""
        return self.checkpoints / "start.pt"

    @property
    def replay(self) -> Path:
        """The folder of a replay on disk."""
        return self.path / "replay"

    @property
    def metrics(self) -> Path:
        """One JSON object an iteration."""
        return self.path / "training_metrics.jsonl"

    @property
    def summary(self) -> Path:
        """The latest state, in short."""
        return self.path / "summary.json"

    @property
    def progress(self) -> Path:
        """How far a long iteration is."""
        return self.path / "progress.json"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "training.log"

    @property
    def output(self) -> Path:
        """What a detached run's process printed."""
        return self.path / "output.txt"

    @property
    def plots(self) -> Path:
        """The folder of pictures."""
        return self.path / "plots"

    @property
    def evaluation(self) -> Path:
        """What ``pokerlab.evaluate`` found."""
        return self.path / "evaluation.json"

    @property
    def holds_a_run(self) -> bool:
        """Whether a run was ever started here."""
        return any(map(os.path.exists, (self.config, self.job, self.metrics)))

    @property
    def holds_a_league(self) -> bool:
        """Whether what is here is a population, and no run: :mod:`pokerlab.league`."""
        return any(map(os.path.exists, [self.path / LEAGUE]))  # not Path.exists: a name may be too long

    def lock(self) -> RunLock:
        """Makes this process the only one that writes the folder, until the lock is released.

        Raises:
            UserError: another process is.
        """
        try:
            return RunLock(self.path)
        except BlockingIOError as error:
            pid = self.read_job().get("pid")
            by = "another process" if pid is None else f"process {pid}"
            raise UserError(f"{self.path} is running as {by}: stop that first") from error
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}") from error

    def claim(self) -> RunLock:
        """Makes the folder, for a new run, and locks it.

        A start that was killed before it wrote the config left nothing to continue: its folder is free.

        Raises:
            UserError: it holds another run, or cannot be made.
            DiskError: the disk is full or read-only.
        """
        if self.holds_a_run and not self._is_abandoned:
            raise UserError(
                f"{self.path} already holds a run: give another run_name or run_dir, "
                f"or continue it with resume_from={self.path}"
            )
        taken = f"{self.path} was just taken by another run"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            lock = RunLock(self.path)
            if self._is_abandoned:
                self._remove_files()
            self.checkpoints.mkdir(exist_ok=True)
            self.job.open("x").close()  # where there are no locks, one of two gets it
        except (FileExistsError, BlockingIOError) as error:
            raise UserError(taken) from error
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            append_line(self.job, json.dumps(process_record(os.getpid())))
        except OSError as error:
            self.discard()
            raise cannot_write(self.path, error) from error
        return lock

    @property
    def _is_abandoned(self) -> bool:
        """Whether a process of this machine claimed the folder, and died before it wrote the config."""
        if self.config.exists() or self.log.exists() or not self.job.is_file():
            return False
        if not self.job.read_bytes().endswith(b"\n"):  # killed before it had said who it is
            return True
        job = self.read_job()
        return job.get("host") == os.uname().nodename and find_process(job) is None

    def discard(self) -> None:
        """Removes what a start that did not succeed has written, as far as that can be done."""
        self._remove_files()
        for folder in (self.checkpoints, self.replay, self.path):
            with contextlib.suppress(OSError):
                folder.rmdir()  # not if there is something else

    def _remove_files(self) -> None:
        replays = self.checkpoints.glob("replay-*.pt")
        chunks = self.replay.glob("*.pt")
        files = (self.checkpoints / LAST, self.first_weights, self.metrics, self.config, self.job)
        for path in (*replays, *chunks, *files):
            with contextlib.suppress(OSError):
                path.unlink()
        self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Removes what a killed process was writing; only the process that runs the run may."""
        for folder in (self.path, self.checkpoints, self.replay, self.plots):
            for path in folder.glob(f".*{TEMPORARY}"):
                path.unlink(missing_ok=True)

    def update_job(self, **changes: Any) -> None:
        """Sets fields of job.json."""
        write_json(self.job, self.read_job() | changes)

    def read_config(self) -> dict[str, Any]:
        """config.yaml.

        Raises:
            UserError: it is not there, or not what a run writes.
        """
        try:
            config = read_yaml(self.config)
        except FileNotFoundError as error:
            raise UserError(f"{self.path} has no config.yaml: it is not a run's folder") from error
        if not isinstance(config, dict) or "iterations" not in config:
            raise UserError(f"{self.config} is not the config of a run")
        return config

    def read_job(self) -> dict[str, Any]:
        """job.json, empty if there is none.

        Raises:
            UserError: it is not what a run writes.
        """
        return _read_record(self.job, JOB)

    def read_summary(self) -> dict[str, Any]:
        """summary.json, empty if there is none.

        Raises:
            UserError: it is not what a run writes.
        """
        return _read_record(self.summary, SUMMARY)

    def read_progress(self) -> dict[str, Any]:
        """How far a long iteration is; empty if nothing says that.

        Raises:
            UserError: it is damaged.
        """
        return _read_record(self.progress, PROGRESS)

    def checkpoint(self, iteration: int) -> Path:
        """The checkpoint that is kept after ``iteration`` iterations."""
        return self.checkpoints / f"iteration={iteration:06d}.ckpt"

    def numbered_checkpoints(self) -> dict[int, Path]:
        """Iteration → checkpoint, ascending."""
        paths = self.checkpoints.glob("iteration=*.ckpt")
        found = {int(n): path for path in paths if (n := path.stem.partition("=")[2]).isdecimal()}
        return dict(sorted(found.items()))

    def remove_replays(self, needed: str) -> None:
        """Removes the replays that neither a numbered checkpoint nor ``last.ckpt`` needs.

        Args:
            needed: the name of the one that ``last.ckpt`` needs.
        """
        kept = {needed, *(f"replay-{iteration:06d}.pt" for iteration in self.numbered_checkpoints())}
        for path in self.checkpoints.glob("replay-*.pt"):
            if path.name not in kept:
                path.unlink()

    def read_metrics(self, last: int | None = None) -> list[dict[str, Any]]:
        """The whole lines of the metrics; a last line that is still being written is left out.

        Args:
            last: only so many, which is quick however long the file is; None: all.

        Raises:
            UserError: a line is not what a run writes.
        """
        return [line for _, line in self._metrics(last)]

    def salvage_metrics(self) -> tuple[list[dict[str, Any]], str | None]:
        """All lines that can be read, and what is wrong with the first that cannot, if there is one.

        Raises:
            UserError: the file cannot be read.
        """
        parsed = list(self._parse_metrics(None))
        damage = next((line for _, line in parsed if isinstance(line, str)), None)
        return [line for _, line in parsed if not isinstance(line, str)], damage

    def _metrics(self, last: int | None) -> list[tuple[str, dict[str, Any]]]:
        """Each line as it stands, and as it is read."""
        found = []
        for text, line in self._parse_metrics(last):
            if isinstance(line, str):
                raise UserError(line)
            found.append((text, line))
        return found

    def _parse_metrics(self, last: int | None) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """Each line as it stands, and as it is read; or what is wrong with it."""
        lines = read_lines(self.metrics, None if last is None else last + 1)
        whole = [line for line in lines if line.endswith("\n")]
        for i, line in enumerate(whole if last is None else whole[-last:]):
            try:
                yield line, parse_line(line)
            except ValueError as error:
                where = f"line {i + 1}" if last is None else f"the line {line.strip()[:40]!r}"
                wrong = f"{self.metrics} cannot be read: {where}: {error}; remove it from the file: "
                yield line, f"{wrong}the run goes on without"

    @property
    def newest_log(self) -> Path:
        """The log, or of a run that has not logged yet, what its process printed."""
        return self.log if self.log.exists() and self.log.stat().st_size else self.output

    def read_log(self, last: int | None = None) -> list[str]:
        """The log's last lines; None: all."""
        return [line.rstrip("\n") for line in read_lines(self.newest_log, last)]

    def keep_metrics_before(self, iteration: int) -> None:
        """Drops the lines from ``iteration`` on: those iterations will be run again."""
        kept = [text for text, line in self._metrics(None) if line["iteration"] < iteration]
        write_atomically(self.metrics, "".join(kept))


def cannot_write(path: Path, error: OSError) -> DiskError | UserError:
    """What to say of a run's folder that cannot be made."""
    kind = DiskError if error.errno in FULL_OR_READ_ONLY else UserError
    return kind(f"cannot write run_dir {path}: {error.strerror}")


def new_folder(stem: str) -> Path:
    """A folder of its own under outputs/, even for one of several that start in the same second.

    Raises:
        UserError: there are too many.
        DiskError: it cannot be made.
    """
    try:
        OUTPUTS.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(OUTPUTS, error) from error
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        path = OUTPUTS / f"{stem}{suffix}"
        try:
            path.mkdir()  # fails if what starts at the same moment has it
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(OUTPUTS, error) from error
        return path
    raise UserError(f"too many runs named {stem}")


def local_runs() -> list[RunFolder]:
    """The runs of this machine, by name."""
    found = [RunFolder(path) for path in sorted(OUTPUTS.glob("*"))]
    return [run for run in found if run.holds_a_run and not run.holds_a_league]


def shipped_runs() -> dict[str, RunFolder]:
    """Trained runs that come with the package, by name."""
    folders = sorted(path for path in shipped_path("trained").glob("*") if path.is_dir())
    return {path.name: RunFolder(path) for path in folders}


def find_run(name: str, *, shipped: bool = False) -> RunFolder:
    """A run by its name or folder.

    Args:
        name: of the run, or its folder.
        shipped: whether it may be one that comes with the package.

    Raises:
        UserError: there is none; names the near matches.
    """
    for path in (OUTPUTS / name, Path(name)):
        if RunFolder(path).holds_a_league:
            raise UserError(f"{name} is a league, not a run: pokerlab league status {name} shows it")
        if RunFolder(path).holds_a_run:
            return RunFolder(path)
    with_package = shipped_runs() if shipped else {}
    if name in with_package:
        return with_package[name]
    known = dict.fromkeys([*(run.path.name for run in local_runs()), *with_package])
    raise UserError(f"no run {name!r} here{near(name, list(known))}")


def _read_record(path: Path, fields: Mapping[str, tuple[Check, str]]) -> dict[str, Any]:
    try:
        with open_to_read(path) as file:
            return parse(file.read(), fields)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(
            f"{path} cannot be read: {error}; remove the file: the run goes on without"
        ) from error
