"""A run's folder: the same files here and on a cloud volume (docs/run-folder.md).

Imports no torch, so that looking at runs is quick.
"""

import contextlib
import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pokerlab.errors import DiskError, UserError
from pokerlab.store.files import TEMPORARY, append_line, write_atomically, write_json
from pokerlab.store.process import find_process, process_record

OUTPUTS = Path("outputs")
"""Where the runs of this machine are."""
LAST = "last.ckpt"
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
        return self.config.exists() or self.job.exists() or self.metrics.exists()

    def claim(self) -> None:
        """Makes the folder, for a new run.

        A start that was killed before it wrote the config left nothing to continue: its folder is free.

        Raises:
            UserError: it holds another run, or cannot be made.
            DiskError: the disk is full or read-only.
        """
        if self._abandoned:
            self.discard()
        if self.holds_a_run:
            raise UserError(
                f"{self.path} already holds a run: give another run_name or run_dir, "
                f"or continue it with resume_from={self.path}"
            )
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.job.open("x").close()  # of two that start at once, one gets it
        except FileExistsError as error:
            raise UserError(f"{self.path} was just taken by another run") from error
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            append_line(self.job, json.dumps(process_record(os.getpid())))
        except OSError as error:
            self.discard()
            raise cannot_write(self.path, error) from error

    @property
    def _abandoned(self) -> bool:
        """Whether a process of this machine claimed the folder, and died before it wrote the config."""
        if self.config.exists() or not self.job.exists():
            return False
        job = self.read_job()
        return job.get("host") == os.uname().nodename and find_process(job) is None

    def discard(self) -> None:
        """Removes what a start that did not succeed has written, as far as that can be done."""
        replays = self.checkpoints.glob("replay-*.pt")
        for path in (
            *replays,
            *self.replay.glob("*.pt"),
            self.checkpoints / LAST,
            self.metrics,
            self.config,
            self.job,
        ):
            with contextlib.suppress(OSError):
                path.unlink()
        self.remove_leftovers()
        for folder in (self.checkpoints, self.replay, self.path):
            with contextlib.suppress(OSError):
                folder.rmdir()  # not if there is something else

    def remove_leftovers(self) -> None:
        """Removes what a killed process was writing; only the process that runs the run may."""
        for folder in (self.path, self.checkpoints, self.replay, self.plots):
            for path in folder.glob(f".*{TEMPORARY}"):
                path.unlink(missing_ok=True)

    def update_job(self, **changes: Any) -> None:
        """Sets fields of job.json."""
        write_json(self.job, self.read_job() | changes)

    def read_job(self) -> dict[str, Any]:
        """job.json, empty if there is none.

        Raises:
            UserError: it is not what a run writes.
        """
        return _read_object(self.job)

    def read_summary(self) -> dict[str, Any]:
        """summary.json, empty if there is none.

        Raises:
            UserError: it is not what a run writes.
        """
        return _read_object(self.summary)

    def checkpoint(self, iteration: int) -> Path:
        """The checkpoint that is kept after ``iteration`` iterations."""
        return self.checkpoints / f"iteration={iteration:06d}.ckpt"

    def numbered(self) -> dict[int, Path]:
        """Iteration → checkpoint, ascending."""
        found = {int(path.stem.split("=")[1]): path for path in self.checkpoints.glob("iteration=*.ckpt")}
        return dict(sorted(found.items()))

    def read_metrics(self, last: int | None = None) -> list[dict[str, Any]]:
        """The whole lines of the metrics; a last line that is still being written is left out.

        Args:
            last: only so many, which is quick however long the file is; null: all.
        """
        lines = _lines(self.metrics, None if last is None else last + 1)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return whole if last is None else whole[-last:]

    @property
    def newest_log(self) -> Path:
        """The log, or of a run that has not logged yet, what its process printed."""
        return self.log if self.log.exists() and self.log.stat().st_size else self.output

    def read_log(self, last: int | None = None) -> list[str]:
        """The log's last lines; null: all."""
        return [line.rstrip("\n") for line in _lines(self.newest_log, last)]

    def keep_metrics_before(self, iteration: int) -> None:
        """Drops the lines from ``iteration`` on: those iterations will be run again."""
        kept = [line for line in self.read_metrics() if line["iteration"] < iteration]
        write_atomically(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))


def cannot_write(path: Path, error: OSError) -> DiskError | UserError:
    """What to say of a run's folder that cannot be made."""
    kind = DiskError if error.errno in FULL_OR_READ_ONLY else UserError
    return kind(f"cannot write run_dir {path}: {error.strerror}")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} cannot be read: expected an object")
    return content


def _lines(path: Path, last: int | None) -> list[str]:
    """A file's lines, or its last ones; none if there is no file."""
    try:
        with path.open("rb") as file:
            block, size = 1 << 14, file.seek(0, os.SEEK_END)
            begin = 0 if last is None else max(size - block, 0)
            while True:
                file.seek(begin)
                content = file.read(size - begin)
                if begin == 0 or last is None or content.count(b"\n") > last:
                    break
                begin = max(begin - block, 0)
                block *= 2
    except FileNotFoundError:
        return []
    *whole, rest = content.decode(errors="replace").split("\n")
    lines = [f"{line}\n" for line in whole] + ([rest] if rest else [])
    return lines if last is None else lines[max(len(lines) - last, 0) :]
