"""Loops over arrays that numba compiles."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

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


LANES = 16
"""Numbers that are added at once: one of AVX-512's vectors in float32, several of a smaller processor's."""


def _on_lanes(operation: str) -> Any:
    """``operation(to, row, values, at)``: ``to[row] += values[at]``, or ``-=``, for arrays ``[n, LANES]``.

    Written out for LLVM: a loop over so few numbers is not vectorised, because arrays may overlap.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        def vector(array_type: Any, array: Any, row: Any) -> tuple[Any, int]:
            number = context.get_value_type(array_type.dtype)
            data = context.make_array(array_type)(context, builder, array).data
            start = builder.gep(data, [builder.mul(row, ir.Constant(row.type, LANES))])
            pointer = builder.bitcast(start, ir.VectorType(number, LANES).as_pointer())
            return pointer, context.get_abi_sizeof(number)

        to, align = vector(signature.args[0], *arguments[:2])
        values, _ = vector(signature.args[2], *arguments[2:])
        loaded = builder.load(to, align=align), builder.load(values, align=align)
        builder.store(getattr(builder, operation)(*loaded), to, align=align)

    def typed(context: Any, to: Any, row: Any, values: Any, at: Any) -> Any:
        return types.void(to, types.intp, values, types.intp), code

    return intrinsic(typed)


add_lanes = _on_lanes("fadd")
subtract_lanes = _on_lanes("fsub")
