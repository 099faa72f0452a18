"""What a run says when its disk is full or read-only, and where: every place to say it may be gone too."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from pokerlab.errors import DiskError, UserError
from pokerlab.store.files import append_line
from pokerlab.store.folder import LAST, RunFolder


@contextlib.contextmanager
def writing(run: RunFolder) -> Iterator[None]:
    """Where a run's files are written.

    Raises:
        DiskError: one of them cannot be; says which, why, and where the run can be resumed from.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{error.filename or run.path}: {error.strerror or error}; {_last_checkpoint(run)}"
        ) from error


def _last_checkpoint(run: RunFolder) -> str:
    last = run.checkpoints / LAST
    try:
        if not last.exists():
            return "there is no checkpoint yet"
        from pokerlab.store.checkpoints import load  # torch takes a while

        iteration = load(last, mmap=True)["pokerlab"]["iteration"]
    except (UserError, KeyError, TypeError):
        return f"the last checkpoint, {last.relative_to(run.path)}, cannot be read"
    return f"the last checkpoint is {last.relative_to(run.path)} (iteration {iteration})"


class LogFile(logging.Handler):
    """Appends each record to a file, as one whole line.

    Args:
        path: the file.

    Raises:
        OSError: from the call that logs: it cannot be written. A record of an error does not raise, so
            that it hides nothing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one."""
        try:
            append_line(self.path, self.format(record))
        except OSError:
            if record.levelno < logging.ERROR:
                raise


class StandardOutput(logging.StreamHandler):
    """What the log says, on standard output; nothing if that cannot be written."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A detached run's output is on the same disk as the run."""
