"""Runs what was submitted: the same body in a detached process here and in a container on Modal.

    python -m pokerlab.jobs.detached RUN_DIR [CHECKPOINT]

It needs nothing but the run's folder, so it can be killed at any moment and started again.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from pokerlab.config.command import say_error
from pokerlab.errors import DiskError, UserError
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.run import STOPPED, RunFailedError, train
from pokerlab.training.start import Start, read_config


def carry_on(
    run: RunFolder,
    checkpoint: Path | None = None,
    saved: Callable[[], None] | None = None,
    since: float | None = None,
) -> None:
    """Trains to the last iteration, from ``last.ckpt`` if the run got that far before.

    Args:
        run: a folder with a config.yaml.
        checkpoint: where to begin instead.
        saved: called after every write of ``last.ckpt``.
        since: from when on what runs it has to be paid for, seconds since 1970; null: from now on.

    Raises:
        KeyboardInterrupt: the run was stopped.
    """
    last = run.checkpoints / LAST
    if checkpoint is None and last.exists():
        checkpoint = last
    train(Start(run, read_config(run), checkpoint), saved=saved, since=since)


def main(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    run = RunFolder(Path(arguments[0]))
    try:
        checkpoint = Path(arguments[1]) if len(arguments) > 1 else None
        carry_on(run, checkpoint, since=psutil.Process().create_time())
    except KeyboardInterrupt:
        return STOPPED
    except RunFailedError:
        return 1
    except DiskError as error:
        say_error(error)
        return 1
    except UserError as error:
        with contextlib.suppress(OSError):
            run.update_job(state="failed")
        say_error(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
