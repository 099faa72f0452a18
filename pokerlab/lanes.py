"""Operations on ``LANES`` numbers at a time, written out for LLVM.

Loops over so few numbers would not be vectorised, since arrays may overlap.
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_intrinsic = cast(Callable[[Callable], Any], intrinsic)

LANES = 16
"""Numbers that are worked on at once: a vector of AVX-512 in float32, several of a smaller processor."""


class _Vectors:
    """Loads from and stores to a contiguous array, ``LANES`` numbers at a time."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any) -> None:
        number = context.get_value_type(array_type.dtype)
        self.type, self._align = ir.VectorType(number, LANES), context.get_abi_sizeof(number)
        self._builder, self._data = builder, context.make_array(array_type)(context, builder, array).data

    def _pointer(self, start: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(self._data, [start]), self.type.as_pointer())

    def number(self, at: Any) -> Any:
        """One number."""
        return self._builder.load(self._builder.gep(self._data, [at]))

    def load(self, start: Any) -> Any:
        """The numbers from ``start`` on."""
        return self._builder.load(self._pointer(start), align=self._align)

    def store(self, vector: Any, start: Any) -> None:
        """Writes them."""
        self._builder.store(vector, self._pointer(start), align=self._align)

    def row(self, row: Any) -> Any:
        """Where a row of an array ``[n, LANES]`` starts."""
        return self._builder.mul(row, ir.Constant(row.type, LANES))


def _on_rows(operation: str) -> Any:
    """``operation(to, row, values, at)``: ``to[row] += values[at]``, or ``-=``, for arrays ``[n, LANES]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        to = _Vectors(context, builder, signature.args[0], arguments[0])
        values = _Vectors(context, builder, signature.args[2], arguments[2])
        start = to.row(arguments[1])
        result = getattr(builder, operation)(to.load(start), values.load(values.row(arguments[3])))
        to.store(result, start)

    def declare(context: Any, to: Any, row: Any, values: Any, at: Any) -> Any:
        return types.void(to, types.intp, values, types.intp), code

    return _intrinsic(declare)


add_lanes = _on_rows("fadd")
subtract_lanes = _on_rows("fsub")


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """``LANES`` vectors as those of their first, second, … numbers."""
    index = ir.VectorType(ir.IntType(32), LANES)
    for bit in (1, 2, 4, 8):
        first = ir.Constant(index, [j if not j & bit else LANES + (j ^ bit) for j in range(LANES)])
        second = ir.Constant(index, [LANES + j if j & bit else j | bit for j in range(LANES)])
        for i in range(LANES):
            if not i & bit:
                pair = rows[i], rows[i | bit]
                rows[i], rows[i | bit] = (builder.shuffle_vector(*pair, mask) for mask in (first, second))
    return rows


def _numbers_of(context: Any, builder: Any, array_type: Any, array: Any) -> list[Any]:
    """The first ``LANES`` of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    index = ir.IntType(64)
    return [builder.load(builder.gep(data, [ir.Constant(index, k)])) for k in range(LANES)]


def _splat(builder: Any, number: Any, vector: Any) -> Any:
    """A vector of the same number everywhere."""
    empty, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(empty, number, ir.Constant(index, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


ROWS = 8
"""Rows that :func:`multiply_lanes` sets: what stays in a processor's registers."""


@_intrinsic
def multiply_lanes(typing: Any, to: Any, row: Any, matrix: Any, columns: Any, values: Any, count: Any) -> Any:
    """``to[row + i, k] = Σ_j matrix[j, row + i] * values[j, k]``, i to ``ROWS``, j to ``count``.

    Sums are in the order of j: the same to the last bit whatever else is worked on. ``to`` and
    ``values`` are ``[n, LANES]``, ``matrix`` is flat and has ``columns``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        there, factors, given = (
            _Vectors(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4)
        )
        sums = [cgutils.alloca_once(builder, there.type) for _ in range(ROWS)]
        for total in sums:
            builder.store(ir.Constant(there.type, [0.0] * LANES), total)
        with cgutils.for_range(builder, arguments[5]) as loop:
            vector = given.load(given.row(loop.index))
            start = builder.add(builder.mul(loop.index, arguments[3]), arguments[1])
            for i, total in enumerate(sums):
                factor = _splat(
                    builder, factors.number(builder.add(start, ir.Constant(start.type, i))), there.type
                )
                builder.store(builder.fadd(builder.load(total), builder.fmul(factor, vector)), total)
        begin = there.row(arguments[1])
        for i, total in enumerate(sums):
            there.store(builder.load(total), builder.add(begin, ir.Constant(begin.type, i * LANES)))

    return types.void(to, types.intp, matrix, types.intp, values, types.intp), code


@_intrinsic
def gather_lanes(
    typing: Any, to: Any, row: Any, values: Any, at: Any, factors: Any, factors_at: Any, offset: Any
) -> Any:
    """``to[row + j, k] = values[at[k] + offset + j] * factors[factors_at[k] + offset + j]``.

    j and k go to ``LANES``; ``to`` is ``[n, LANES]``, ``values`` and ``factors`` are flat, ``at`` and
    ``factors_at`` are ``[LANES]``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        taken, there, weighed = (
            _Vectors(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4)
        )
        starts, others = (_numbers_of(context, builder, signature.args[i], arguments[i]) for i in (3, 5))
        rows = [
            builder.fmul(
                there.load(builder.add(start, arguments[6])), weighed.load(builder.add(other, arguments[6]))
            )
            for start, other in zip(starts, others, strict=True)
        ]
        begin = taken.row(arguments[1])
        for j, vector in enumerate(_transpose(builder, rows)):
            taken.store(vector, builder.add(begin, ir.Constant(begin.type, j * LANES)))

    return types.void(to, types.intp, values, at, factors, factors_at, types.intp), code


@_intrinsic
def scatter_lanes(
    typing: Any, to: Any, at: Any, offset: Any, factors: Any, lanes: Any, values: Any, row: Any
) -> Any:
    """``to[at[k] + offset + j] += values[row + j, k] * factors[k]``, j to ``LANES`` and k to ``lanes``.

    ``to`` is flat, ``at`` and ``factors`` are ``[LANES]``, ``values`` is ``[n, LANES]``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        there, given = (_Vectors(context, builder, signature.args[i], arguments[i]) for i in (0, 5))
        starts, scales = (_numbers_of(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        begin = given.row(arguments[6])
        rows = [given.load(builder.add(begin, ir.Constant(begin.type, j * LANES))) for j in range(LANES)]
        for k, vector in enumerate(_transpose(builder, rows)):
            with builder.if_then(builder.icmp_signed("<", ir.Constant(arguments[4].type, k), arguments[4])):
                scale = _splat(builder, scales[k], given.type)
                start = builder.add(starts[k], arguments[2])
                there.store(builder.fadd(there.load(start), builder.fmul(vector, scale)), start)

    return types.void(to, at, types.intp, factors, types.intp, values, types.intp), code
