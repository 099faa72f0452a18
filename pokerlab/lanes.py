"""Operations on ``LANES`` numbers at a time, written out for LLVM.

Loops over so few numbers would not be vectorised, since arrays may overlap.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from pokerlab.vectors import LANES, Array, code_of, spread

CACHE_LINE = 64
"""Bytes."""


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """``LANES`` vectors as those of their first, second, … numbers."""
    index = ir.VectorType(ir.IntType(32), LANES)
    for bit in [1 << k for k in range(LANES.bit_length() - 1)]:
        first = ir.Constant(index, [j if not j & bit else LANES + (j ^ bit) for j in range(LANES)])
        second = ir.Constant(index, [LANES + j if j & bit else j | bit for j in range(LANES)])
        for i in range(LANES):
            if not i & bit:
                pair = rows[i], rows[i | bit]
                rows[i], rows[i | bit] = (builder.shuffle_vector(*pair, mask) for mask in (first, second))
    return rows


def _store_transposed(builder: Any, to: Array, row: Any, rows: list[Any]) -> None:
    """Writes the first, second, … numbers of ``LANES`` vectors as rows from ``row`` on."""
    begin = to.row(row)
    for j, vector in enumerate(_transpose(builder, rows)):
        to.store(vector, builder.add(begin, ir.Constant(begin.type, j * LANES)))


def _numbers_of(context: Any, builder: Any, array_type: Any, array: Any) -> list[Any]:
    """The first ``LANES`` of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    index = ir.IntType(64)
    return [builder.load(builder.gep(data, [ir.Constant(index, k)])) for k in range(LANES)]


ROWS = 8
"""Rows that :func:`multiply_lanes` sets: what stays in a processor's registers."""


@code_of
def multiply_lanes(typing: Any, to: Any, row: Any, matrix: Any, columns: Any, values: Any, count: Any) -> Any:
    """``to[row + i, k] = Σ_j matrix[j, row + i] * values[j, k]``, i to ``ROWS``, j to ``count``.

    Sums are in the order of j: the same to the last bit whatever else is worked on. ``to`` and
    ``values`` are ``[n, LANES]``, ``matrix`` is flat and has ``columns``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        there, factors, given = (Array(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4))
        sums = [cgutils.alloca_once(builder, there.type) for _ in range(ROWS)]
        for total in sums:
            builder.store(ir.Constant(there.type, [0.0] * LANES), total)
        with cgutils.for_range(builder, arguments[5]) as loop:
            vector = given.load(given.row(loop.index))
            start = builder.add(builder.mul(loop.index, arguments[3]), arguments[1])
            for i, total in enumerate(sums):
                factor = spread(
                    builder, factors.number(builder.add(start, ir.Constant(start.type, i))), there.type
                )
                builder.store(builder.fadd(builder.load(total), builder.fmul(factor, vector)), total)
        begin = there.row(arguments[1])
        for i, total in enumerate(sums):
            there.store(builder.load(total), builder.add(begin, ir.Constant(begin.type, i * LANES)))

    return types.void(to, types.intp, matrix, types.intp, values, types.intp), code


@code_of
def gather_lanes(
    typing: Any, to: Any, row: Any, values: Any, at: Any, factors: Any, factors_at: Any, offset: Any
) -> Any:
    """``to[row + j, k] = values[at[k] + offset + j] * factors[factors_at[k] + offset + j]``.

    j and k go to ``LANES``; ``to`` is ``[n, LANES]``, ``values`` and ``factors`` are flat, ``at`` and
    ``factors_at`` are ``[LANES]``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        taken, there, weighed = (Array(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 4))
        starts, others = (_numbers_of(context, builder, signature.args[i], arguments[i]) for i in (3, 5))
        rows = [
            builder.fmul(
                there.load(builder.add(start, arguments[6])), weighed.load(builder.add(other, arguments[6]))
            )
            for start, other in zip(starts, others, strict=True)
        ]
        _store_transposed(builder, taken, arguments[1], rows)

    return types.void(to, types.intp, values, at, factors, factors_at, types.intp), code


@code_of
def transpose_lanes(typing: Any, to: Any, row: Any, values: Any, at: Any, offset: Any, factors: Any) -> Any:
    """``to[row + j, k] = values[at[k] + offset + j] * factors[offset + j]``: see :func:`gather_lanes`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        taken, there, weighed = (Array(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 5))
        starts = _numbers_of(context, builder, signature.args[3], arguments[3])
        factor = weighed.load(arguments[4])
        rows = [builder.fmul(there.load(builder.add(start, arguments[4])), factor) for start in starts]
        _store_transposed(builder, taken, arguments[1], rows)

    return types.void(to, types.intp, values, at, types.intp, factors), code


@code_of
def scatter_lanes(
    typing: Any, to: Any, at: Any, offset: Any, factors: Any, lanes: Any, values: Any, row: Any, weight: Any
) -> Any:
    """``to[at[k] + offset + j] += values[row + j, k] * weight * factors[k]``, j to ``LANES``, k to ``lanes``.

    ``to`` is flat, ``at`` and ``factors`` are ``[LANES]``, ``values`` is ``[n, LANES]``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        there, given = (Array(context, builder, signature.args[i], arguments[i]) for i in (0, 5))
        starts, scales = (_numbers_of(context, builder, signature.args[i], arguments[i]) for i in (1, 3))
        begin, common = given.row(arguments[6]), spread(builder, arguments[7], given.type)
        rows = [given.load(builder.add(begin, ir.Constant(begin.type, j * LANES))) for j in range(LANES)]
        columns = _transpose(builder, rows)

        def add(k: int) -> None:
            worth = builder.fmul(builder.fmul(columns[k], common), spread(builder, scales[k], given.type))
            start = builder.add(starts[k], arguments[2])
            there.store(builder.fadd(there.load(start), worth), start)

        def there_are_more_than(k: int) -> Any:
            return builder.icmp_signed("<", ir.Constant(arguments[4].type, k), arguments[4])

        with builder.if_else(there_are_more_than(LANES - 1)) as (all_of_them, some):
            with all_of_them:
                for k in range(LANES):
                    add(k)
            with some:
                for k in range(LANES - 1):
                    with builder.if_then(there_are_more_than(k)):
                        add(k)

    return types.void(to, at, types.intp, factors, types.intp, values, types.intp, to.dtype), code


@code_of
def fetch(typing: Any, values: Any, first: Any, last: Any) -> Any:
    """Asks for ``values[first:last]`` ahead of their use: into the cache of the core, not into its first."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        bits = ir.IntType(32)
        pointer = ir.IntType(8).as_pointer()
        ask = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer, bits, bits, bits]), "llvm.prefetch.p0i8"
        )
        step = CACHE_LINE // context.get_abi_sizeof(context.get_value_type(signature.args[0].dtype))
        step = ir.Constant(arguments[1].type, step)
        with cgutils.for_range_slice(builder, arguments[1], arguments[2], step, step.type) as (at, _):
            there = builder.bitcast(builder.gep(data, [at]), pointer)
            builder.call(ask, [there, bits(0), bits(2), bits(1)])

    return types.void(values, types.intp, types.intp), code
