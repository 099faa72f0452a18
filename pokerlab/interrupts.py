"""Signals that end what a process does, obeyed where it may be left as it is.

Python handles a signal between any two of its instructions. An exception that is raised there can leave a
thread half started or a file half written, and in a destructor it is lost.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 10.0
"""Seconds after which a signal that comes again is obeyed anywhere."""
WEAKREF_FILES = {"weakref.py", "_weakrefset.py", "weak.py"}
"""Have callbacks that run as destructors do."""


class _Signals:
    """What has come."""

    def __init__(self) -> None:
        self.since: float | None = None
        """When the first signal came that is not obeyed yet, seconds; None: there is none."""
        self.sections = 0
        """How many are open in which it is obeyed at once."""
        self.heard: list[int] = []
        """The signals that are not ignored."""

    def hear(self, frame: FrameType | None) -> None:
        """Notes a signal; raises a KeyboardInterrupt if it can be obeyed here."""
        if isinstance(sys.exception(), (KeyboardInterrupt, SystemExit)):
            return  # this is the end that an earlier one brought on
        now = time.monotonic()
        self.since = now if self.since is None else self.since
        if (self.sections or now - self.since >= PATIENCE) and not _in_destructor(frame):
            self.obey()

    def obey(self) -> None:
        self.since = None
        raise KeyboardInterrupt


_heard: _Signals | None = None


@contextlib.contextmanager
def listening(is_to_end: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Where SIGINT, SIGTERM and SIGHUP wait for :func:`check` or an :func:`interruptible` section.

    Args:
        is_to_end: whether a signal that has come means that; what it raises is raised where the signal came.

    Raises:
        KeyboardInterrupt: one came; where nothing obeyed it, when all that was to be done is done.
    """
    global _heard
    outer, signals = _heard, _Signals()
    _heard = signals

    def hear(_: int, frame: FrameType | None) -> None:
        if is_to_end():
            signals.hear(frame)

    with handling(hear) as signals.heard:
        try:
            yield
        finally:
            _heard = outer
    if signals.since is not None:
        raise KeyboardInterrupt


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], Any], numbers: Sequence[int] = SIGNALS
) -> Iterator[list[int]]:
    """Where signals go to ``handler``, but for those that are ignored since the process was started.

    nohup has it ignore SIGHUP, and a script SIGINT of what it runs in the background.

    Returns:
        Those that are not ignored.
    """
    before: dict[int, Any] = {
        number: signal.signal(number, handler)
        for number in numbers
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield list(before)
    finally:
        for number, other in before.items():
            signal.signal(number, other)


def interrupt() -> None:
    """Interrupts what listens, as a signal would; from any thread."""
    if _heard is not None and _heard.heard:
        os.kill(os.getpid(), _heard.heard[0])


def check() -> None:
    """Raises a KeyboardInterrupt if a signal has come."""
    if _heard is not None and _heard.since is not None:
        _heard.obey()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Where a signal raises a KeyboardInterrupt at once; what is done here is given up then."""
    if (heard := _heard) is None:
        yield
        return
    check()
    heard.sections += 1
    try:
        yield
    finally:
        heard.sections -= 1
    check()


def _in_destructor(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or Path(code.co_filename).name in WEAKREF_FILES:
            return True
        frame = frame.f_back
    return False
