"""Operations on ``LANES`` numbers at a time, written out for LLVM.

Loops over so few numbers would not be vectorised, since arrays may overlap.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_intrinsic = cast(Callable[[Callable], Any], intrinsic)

LANES = 16
"""Numbers that are worked on at once: a vector of AVX-512 in float32, several of a smaller processor."""


CACHE_LINE = 64
"""Bytes."""


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


class _Indices:
    """An array of unsigned integers."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any) -> None:
        self._builder, self._data = builder, context.make_array(array_type)(context, builder, array).data

    def at(self, place: Any) -> Any:
        """One of them."""
        number = self._builder.load(self._builder.gep(self._data, [place]))
        return self._builder.zext(number, ir.IntType(64))


class _List:
    """Rows that are added up in the order of a list."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self.to, self.values = (_Vectors(context, builder, signature.args[i], arguments[i]) for i in range(2))
        self.members = _Indices(context, builder, signature.args[2], arguments[2])
        self.first, self.last = arguments[3], arguments[4]
        self.total = cgutils.alloca_once(builder, self.to.type)  # a register in the end

    def value(self, place: Any) -> Any:
        """The row that a place of the list names."""
        return self.values.load(self.values.row(self.members.at(place)))

    def in_fours(self, body: Callable[[Any, int], None]) -> None:
        """``body(place, number)``, for four places at a time, then for what is left one by one."""
        builder, step = self.builder, ir.Constant(self.first.type, 4)
        fours = builder.mul(builder.sdiv(builder.sub(self.last, self.first), step), step)
        middle = builder.add(self.first, fours)
        for begin, end, number in ((self.first, middle, 4), (middle, self.last, 1)):
            step = ir.Constant(self.first.type, number)
            with cgutils.for_range_slice(builder, begin, end, step, step.type) as (place, _):
                body(place, number)

    def add_up(self, place: Any, number: int) -> list[Any]:
        """The values from a place on, each with those before."""
        sums = [self.value(place)]
        for i in range(1, number):
            value = self.value(self.builder.add(place, ir.Constant(place.type, i)))
            sums.append(self.builder.fadd(sums[-1], value))
        return sums


@_intrinsic
def sum_list(typing: Any, to: Any, values: Any, members: Any, first: Any, last: Any, row: Any) -> Any:
    """``to[row] = the sum of values[members[i]]`` for i from ``first`` to ``last``; arrays ``[n, LANES]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        loop = _List(context, builder, signature, arguments)
        builder.store(ir.Constant(loop.to.type, [0.0] * LANES), loop.total)

        def body(place: Any, number: int) -> None:
            sums = loop.add_up(place, number)
            builder.store(builder.fadd(builder.load(loop.total), sums[-1]), loop.total)

        loop.in_fours(body)
        loop.to.store(builder.load(loop.total), loop.to.row(arguments[5]))

    return types.void(to, values, members, types.intp, types.intp, types.intp), code


@_intrinsic
def add_list_up(
    typing: Any, to: Any, values: Any, members: Any, first: Any, last: Any, row: Any, start: Any, at: Any
) -> Any:
    """``to[row + i] = -start[at] / 2 + the sum of values[members[first + j]]``, j to i - 1.

    i to ``last - first``, inclusive; arrays ``[n, LANES]``.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        loop = _List(context, builder, signature, arguments)
        given = _Vectors(context, builder, signature.args[6], arguments[6])
        half = ir.Constant(loop.to.type, [-0.5] * LANES)
        builder.store(builder.fmul(given.load(given.row(arguments[7])), half), loop.total)

        def row(place: Any, number: int) -> Any:
            place = builder.sub(builder.add(place, ir.Constant(place.type, number)), loop.first)
            return loop.to.row(builder.add(arguments[5], place))

        def body(place: Any, number: int) -> None:
            before = builder.load(loop.total)
            for i, more in enumerate(loop.add_up(place, number)):
                after = builder.fadd(before, more)
                loop.to.store(after, row(place, i + 1))
            builder.store(after, loop.total)

        loop.to.store(builder.load(loop.total), row(loop.first, 0))
        loop.in_fours(body)

    return types.void(to, values, members, types.intp, types.intp, types.intp, start, types.intp), code


def _combine(signs: Sequence[int], *, own: bool) -> Any:
    """Sums of rows of ``values``, for each of some places.

    ``(to, mass, values, index, members, first, last)``: for i from ``first`` to ``last``, h = ``members[i]``,
    and j = i - ``first``, ``to[h]`` is set to ``mass[h] ± values[index[0, j]] ± values[index[1, j]] …``; the
    mass is left out if not ``own``. Arrays are ``[n, LANES]``; ``index`` is contiguous.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        to, mass, values = (_Vectors(context, builder, signature.args[i], arguments[i]) for i in range(3))
        index, members = (_Indices(context, builder, signature.args[i], arguments[i]) for i in (3, 4))
        array = context.make_array(signature.args[3])(context, builder, arguments[3])
        columns, first, last = builder.extract_value(array.shape, 1), arguments[5], arguments[6]
        step = ir.Constant(first.type, 1)
        with cgutils.for_range_slice(builder, first, last, step, step.type) as (place, _):
            row, at = to.row(members.at(place)), builder.sub(place, first)
            total = mass.load(row) if own else None
            for i, sign in enumerate(signs):
                column = builder.add(at, builder.mul(columns, ir.Constant(columns.type, i)))
                value = values.load(values.row(index.at(column)))
                combine = builder.fadd if sign > 0 else builder.fsub
                total = value if total is None else combine(total, value)
            to.store(total, row)

    def declare(
        context: Any, to: Any, mass: Any, values: Any, index: Any, members: Any, first: Any, last: Any
    ) -> Any:
        return types.void(to, mass, values, index, members, types.intp, types.intp), code

    return _intrinsic(declare)


meet_lists = _combine((1, -1, -1), own=True)
compare_lists = _combine((1, 1, -1, -1, -1, -1), own=False)


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
def transpose_lanes(typing: Any, to: Any, row: Any, values: Any, at: Any, offset: Any) -> Any:
    """:func:`gather_lanes` without factors."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        taken, there = (_Vectors(context, builder, signature.args[i], arguments[i]) for i in (0, 2))
        starts = _numbers_of(context, builder, signature.args[3], arguments[3])
        rows = [there.load(builder.add(start, arguments[4])) for start in starts]
        begin = taken.row(arguments[1])
        for j, vector in enumerate(_transpose(builder, rows)):
            taken.store(vector, builder.add(begin, ir.Constant(begin.type, j * LANES)))

    return types.void(to, types.intp, values, at, types.intp), code


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


@_intrinsic
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
