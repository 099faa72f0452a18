"""Runs what was submitted: the same body in a detached process here and in a container on Modal.

    python -m pokerlab.jobs.detached RUN_DIR [CHECKPOINT] [--lock DESCRIPTOR]

It needs nothing but the run's folder, so it can be killed at any moment and started again.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil

from pokerlab.console import say
from pokerlab.errors import DiskError, UserError
from pokerlab.interrupts import interruptible, listening
from pokerlab.store.folder import RunFolder
from pokerlab.store.lock import RunLock

STOPPED = 130
"""Exit code of a process that a signal stopped."""


def carry_on(
    run: RunFolder,
    checkpoint: Path | None = None,
    saved: Callable[[], None] | None = None,
    since: float | None = None,
    lock: RunLock | None = None,
) -> None:
    """Trains to the last iteration, from the newest checkpoint if the run got that far before.

    Args:
        run: a folder with a config.yaml.
        checkpoint: where to begin instead.
        saved: called after every write of ``last.ckpt``.
        since: from when on what runs it has to be paid for, seconds since 1970; None: from now on.
        lock: of the folder; None: not held yet.

    Raises:
        UserError: another process runs it, or its files cannot be gone on from.
        KeyboardInterrupt: the run was stopped.
    """
    from pokerlab.training.run import train
    from pokerlab.training.start import go_on

    try:
        train(go_on(run, checkpoint, lock or run.lock()), saved=saved, since=since)
    except KeyboardInterrupt:
        if run.read_job().get("state") != "finished":  # else it came when the last iteration was done
            raise


def is_out_of_time(run: RunFolder, done: int | None) -> bool:
    """Whether an attempt ended because its time was up, and the next one is to go on.

    Where it got no further, the next one would not either: then the run has failed.

    Args:
        run: the run.
        done: its last iteration when the attempt began; None: none was done.
    """
    from pokerlab.callbacks.cost import TIME_LIMIT

    ended = run.read_job()
    limit = str(ended.get("reason"))
    if ended["state"] != "stopped" or not limit.startswith(TIME_LIMIT):
        return False
    if run.read_summary().get("latest_iteration") != done:
        return True
    why = f"{limit} is too short for one iteration: raise it, or lower trajectories"
    run.update_job(state="failed", reason=why)
    return False


def main(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pokerlab.jobs.detached")
    parser.add_argument("run", type=Path)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--lock", type=int, help="file descriptor of the folder's lock, passed on")
    given = parser.parse_args(arguments)
    run = RunFolder(given.run)
    try:
        lock = None if given.lock is None else RunLock(run.path, given.lock)
        from pokerlab.training.run import RunFailedError  # torch takes a while, in which a signal may come

        try:
            carry_on(run, given.checkpoint, since=psutil.Process().create_time(), lock=lock)
        except RunFailedError:
            return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError, UserError):
            run.update_job(state="stopped")
        return STOPPED
    except DiskError as error:
        _say(error)
        return 1
    except UserError as error:
        with contextlib.suppress(OSError, UserError):
            run.update_job(state="failed")
        _say(error)
        return 2
    return 0


def _say(error: Exception) -> None:
    with contextlib.suppress(OSError):
        say(f"error: {error}", error=True)


def run(arguments: list[str]) -> NoReturn:
    """The whole process: asked to end before it trains, it says that it was stopped."""
    code = STOPPED
    with contextlib.suppress(KeyboardInterrupt), listening(), interruptible():
        code = main(arguments)
    sys.exit(code)


if __name__ == "__main__":
    run(sys.argv[1:])
