"""Loops over arrays that numba compiles; without numba, they run as the plain Python that they are."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable)


@cache
def warn_once(message: str) -> None:
    """Warns once, and in the main process alone."""
    if parent_process() is None:
        logging.getLogger(__name__).warning(message)


try:
    import numba
except ImportError as error:
    warn_once(f"numba cannot be imported: solving is many times slower without compiled loops ({error})")
    NUMBA = False
else:
    NUMBA = True

# Rounding is that of the source, so that a result does not depend on how loops were vectorised; only the
# sign of zero is free. Loops release the interpreter lock: threads run side by side.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"nsz"}, "error_model": "numpy"}


def jit(function: Function) -> Function:
    """Compiles a function when it is first called, and keeps it on disk where there is room for it.

    It is compiled anew when the file of a compiled function that it calls was changed.
    """
    return _jit(function)


def jit_in_place(function: Function) -> Function:
    """The same for a function that makes no array: it writes to those that it is given.

    Its caller keeps them, so that references need not be counted: where rows are short, that takes longer
    than the arithmetic.
    """
    return _jit(function, _nrt=False)


def jit_for_numbers(function: Function) -> Function:
    """The same for arrays without NaN, of which the largest number is wanted."""
    return _jit(function, _nrt=False, fastmath={"nsz", "nnan"})


def _jit(function: Function, **given: Any) -> Function:
    if not NUMBA:
        return function
    options = _OPTIONS | given
    try:
        made: Any = numba.njit(cache=True, **options)(function)
        index = made._cache._cache_file
        index._source_stamp = index._source_stamp, _stamps(function)
    except RuntimeError:  # no folder can be written to
        why = "numba can keep its compiled loops in no folder"
        warn_once(f"{why}: every start compiles them (NUMBA_CACHE_DIR)")
        made = numba.njit(**options)(function)
    return cast(Function, made)


def _stamps(function: Callable) -> tuple[tuple[str, float, int], ...]:
    """Of the files that go into a function's machine code; numba itself looks at the function's own alone."""
    files, found = set[str](), [function]
    while found:
        one = found.pop()
        path = one.__code__.co_filename
        if path not in files:
            files.add(path)
            found += _compiled_in(one.__globals__)
    return tuple((path, *_stamp(path)) for path in sorted(files))


def _compiled_in(names: dict[str, Any]) -> Iterator[Callable]:
    """The functions behind what a module has of compiled ones and of intrinsics."""
    for each in names.values():
        for attribute in ("py_func", "_defn"):
            function: Any = getattr(each, attribute, None)
            if hasattr(function, "__code__"):
                yield function


@cache
def _stamp(path: str) -> tuple[float, int]:
    file = Path(path)
    if not file.exists():  # a notebook's cell
        return 0.0, 0
    found = file.stat()
    return found.st_mtime, found.st_size


def jit_inline(function: Function) -> Function:
    """For functions that compiled ones call in loops; as calls, these would take up to twice as long."""
    return cast(Function, numba.njit(inline="always", **_OPTIONS)(function)) if NUMBA else function
