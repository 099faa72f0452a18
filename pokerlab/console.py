"""Where commands print. What cannot be printed costs no result.

A terminal that was closed, a reader that went away (``| head``) and an encoding without ``±`` are no
reasons to end: commands save first, then print through here.
"""

import codecs
import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console

from pokerlab.interrupts import handling

_PLAIN = {"±": "+-", "–": "-", "−": "-", "×": "x", "²": "^2", "…": "...", "→": "->", "≤": "<=", "≥": ">="}
_BLOCKS = dict(zip("▁▂▃▄▅▆▇█", "_..--==#", strict=True))


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join((_PLAIN | _BLOCKS).get(letter, "?") for letter in lacking), error.end


codecs.register_error("pokerlab", _plain)


class _Lenient:
    """A text stream that drops what nobody reads any more, and spells out what its encoding lacks.

    Raises:
        OSError: from ``write`` and ``flush``: the disk behind it is full.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="pokerlab")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._silence_if_gone():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._silence_if_gone():
            self._stream.flush()

    @contextlib.contextmanager
    def _silence_if_gone(self) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: the terminal was closed
                raise
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Sends what is still written to ``stream`` nowhere: it would change the exit code."""
    with contextlib.suppress(OSError, ValueError):  # not a file, or closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def console(**options: Any) -> Console:
    """Standard output for tables and text, see :class:`rich.console.Console` for the options."""
    return Console(file=_Lenient(sys.stdout), **options)  # type: ignore[arg-type]


def wide_console() -> Console:
    """Standard output, wide enough for large tables where nobody looks."""
    plain = console()
    return plain if plain.is_terminal else console(width=160)


def say(*values: object, error: bool = False) -> None:
    """Prints a line on standard output, or on standard error."""
    print(*values, file=_Lenient(sys.stderr if error else sys.stdout), flush=True)


def rate(value: float) -> str:
    """How many a second: whole, or if there are few, to two digits."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


def run_command_of(name: str, arguments: Sequence[str]) -> int:
    """Runs the command that the module ``pokerlab.NAME`` is; returns its exit code.

    Ctrl-C while the module is being imported, and torch with it, ends the process as quietly as later.
    """
    sys.argv = [f"pokerlab {name}", *arguments]
    with handling(lambda *_: os._exit(INTERRUPTED), [signal.SIGINT]):
        module = importlib.import_module(f"pokerlab.{name}")
    try:
        return int(module.run() or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
