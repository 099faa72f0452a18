"""Loops over arrays that numba compiles."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable)

# Rounding is that of the source, so that a result does not depend on how loops were vectorised; only the
# sign of zero is free. Loops release the interpreter lock: threads run side by side.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"nsz"}, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compiles a function when it is first called, and keeps it on disk where there is room for it."""
    try:
        kept = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written to
        kept = numba.njit(**_OPTIONS)(function)
    return cast(Function, kept)


def inlined(function: Function) -> Function:
    """For functions that compiled ones call in loops; as calls, these would take up to twice as long."""
    return cast(Function, numba.njit(inline="always", **_OPTIONS)(function))
