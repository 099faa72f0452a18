"""Loops over arrays that numba compiles; without numba, they run as the plain Python that they are."""

import logging
from collections.abc import Callable
from functools import cache
from multiprocessing import parent_process
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
    """Compiles a function when it is first called, and keeps it on disk where there is room for it."""
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
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written to
        why = "numba can keep its compiled loops in no folder"
        warn_once(f"{why}: every start compiles them (NUMBA_CACHE_DIR)")
        made = numba.njit(**options)(function)
    return cast(Function, made)


def jit_inline(function: Function) -> Function:
    """For functions that compiled ones call in loops; as calls, these would take up to twice as long."""
    return cast(Function, numba.njit(inline="always", **_OPTIONS)(function)) if NUMBA else function
