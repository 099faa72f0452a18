"""A run's folder: the same files here and on a cloud volume (docs/run-folder.md).

Imports no torch, so that looking at runs is quick.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from pokerlab.errors import UserError

LAST = "last.ckpt"
TEMPORARY = ".tmp"


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_atomically(path: Path, content: bytes | str | Callable[[BinaryIO], Any]) -> None:
    """Replaces ``path`` so that a reader, or a crash, sees the old content or the new, whole.

    Args:
        path: the file.
        content: what it is to hold, or what writes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replaces ``path`` by ``value`` as JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


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

        Raises:
            UserError: it holds another run, or cannot be written.
        """
        if self.holds_a_run:
            raise UserError(
                f"{self.path} already holds a run: give another run_name or run_dir, "
                f"or continue it with resume_from={self.path}"
            )
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            with self.job.open("x") as file:  # of two that start at once, one gets it
                file.write("{}\n")
        except FileExistsError as error:
            raise UserError(f"{self.path} was just taken by another run") from error
        except OSError as error:
            raise UserError(f"cannot write run_dir {self.path}: {error.strerror}") from error

    def remove_leftovers(self) -> None:
        """Removes what a killed process was writing; only the process that runs the run may."""
        for folder in (self.path, self.checkpoints):
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
        if not self.job.exists():
            return {}
        try:
            job = json.loads(self.job.read_text())
        except ValueError as error:
            raise UserError(f"{self.job} cannot be read: {error}") from error
        if not isinstance(job, dict):
            raise UserError(f"{self.job} cannot be read: expected an object")
        return job

    def checkpoint(self, iteration: int) -> Path:
        """The checkpoint that is kept after ``iteration`` iterations."""
        return self.checkpoints / f"iteration={iteration:06d}.ckpt"

    def numbered(self) -> dict[int, Path]:
        """Iteration → checkpoint, ascending."""
        found = {int(path.stem.split("=")[1]): path for path in self.checkpoints.glob("iteration=*.ckpt")}
        return dict(sorted(found.items()))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line of the metrics; a last line that is still being written is left out."""
        return list(_json_lines(self.metrics))

    def keep_metrics_before(self, iteration: int) -> None:
        """Drops the lines from ``iteration`` on: those iterations will be run again."""
        kept = [line for line in self.read_metrics() if line["iteration"] < iteration]
        write_atomically(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
