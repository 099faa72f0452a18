"""Errors that a user can cause, and can mend."""

import difflib
import re
from collections.abc import Sequence


class UserError(Exception):
    """Ends a command with this message on one line and exit code 2."""


class DiskError(Exception):
    """Ends a command with this message on one line and exit code 1: a run's files cannot be written."""


def out_of_memory(error: BaseException) -> str | None:
    """What to say of an error that means that memory, the device's or the machine's, does not suffice."""
    if not isinstance(error, MemoryError | RuntimeError):
        return None
    wanted = re.search(r"allocate ([\d.]+ ?\w+)", text := str(error))
    if not isinstance(error, MemoryError) and not re.search(
        r"out of memory(?! perhaps)|(can't|not enough).* memory", text
    ):
        return None
    return f"out of memory: {wanted.group(1)} more are needed" if wanted else "out of memory"


def near(word: str, known: Sequence[str], most: int = 16) -> str:
    """The near matches of ``word``, or all there is if that is at most ``most``."""
    by_last = {name.rpartition(".")[2]: name for name in known}
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    close += [
        by_last[n] for n in difflib.get_close_matches(word.rpartition(".")[2], by_last, n=3, cutoff=0.7)
    ]
    if close:
        return f": did you mean {' or '.join(dict.fromkeys(close))}?"
    return f": expected one of {', '.join(known)}" if 0 < len(known) <= most else ""
