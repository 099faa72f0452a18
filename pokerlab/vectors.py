"""``LANES`` numbers as one value in compiled loops: a vector of the processor, or several.

LLVM vectorises inner loops alone. With vectors, a loop over actions can stand within one over hands, and what
is added up stays in registers. Places in arrays are not checked.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

code_of = cast(Callable[[Callable], Any], intrinsic)
"""numba's ``intrinsic``."""

LANES = 16
"""Numbers that are worked on at once: a vector of AVX-512 in float32, several of a smaller processor."""


class Array:
    """A contiguous array of numbers that is read and written ``LANES`` at a time."""

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

    def index(self, place: Any) -> Any:
        """One unsigned whole number."""
        return self._builder.zext(self.number(place), ir.IntType(64))

    def row(self, row: Any) -> Any:
        """Where a row of an array ``[n, LANES]`` starts."""
        return self._builder.mul(row, ir.Constant(row.type, LANES))


def spread(builder: Any, number: Any, vector: Any) -> Any:
    """A vector of the same number everywhere."""
    empty, index = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(empty, number, ir.Constant(index, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


class Vector(types.Type):
    """The type of vectors of ``number``."""

    def __init__(self, number: Any) -> None:
        self.number = number
        super().__init__(f"vector({number})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        number = manager.lookup(vector.number).get_value_type()
        super().__init__(manager, vector, ir.VectorType(number, LANES))  # type: ignore[no-untyped-call]


@code_of
def splat(typing: Any, number: Any) -> Any:
    """``splat(number)``: it everywhere."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return spread(builder, arguments[0], context.get_value_type(signature.return_type))

    return Vector(number)(number), code


@code_of
def load(typing: Any, numbers: Any, at: Any, like: Any) -> Any:
    """``load(numbers, at, like)``: the numbers from ``at`` on, whole ones too, as a vector like another."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = Array(context, builder, signature.args[0], arguments[0]).load(arguments[1])
        if isinstance(numbers.dtype, types.Integer):
            return builder.sitofp(found, context.get_value_type(like))
        return found

    return like(numbers, types.intp, like), code


@code_of
def store(typing: Any, numbers: Any, at: Any, vector: Any) -> Any:
    """``store(numbers, at, vector)``: writes it from ``at`` on, as whole numbers where these are."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        to, given = Array(context, builder, signature.args[0], arguments[0]), arguments[2]
        if isinstance(numbers.dtype, types.Integer):
            name = f"llvm.lrint.v{LANES}i32.v{LANES}f{vector.number.bitwidth}"
            whole = ir.VectorType(ir.IntType(32), LANES)
            round_off = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(whole, [given.type]), name
            )
            given = builder.trunc(builder.call(round_off, [given]), to.type)
        to.store(given, arguments[1])

    return types.void(numbers, types.intp, vector), code


@code_of
def load_row(typing: Any, rows: Any, index: Any, place: Any, like: Any) -> Any:
    """``load_row(rows, index, place, like)``: row ``index[place]`` of ``[n, LANES]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, numbers = (Array(context, builder, signature.args[i], arguments[i]) for i in range(2))
        return given.load(given.row(numbers.index(arguments[2])))

    return like(rows, index, types.intp, like), code


@code_of
def store_row(typing: Any, rows: Any, index: Any, place: Any, vector: Any) -> Any:
    """``store_row(rows, index, place, vector)``: writes row ``index[place]`` of ``[n, LANES]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        to, numbers = (Array(context, builder, signature.args[i], arguments[i]) for i in range(2))
        to.store(arguments[3], to.row(numbers.index(arguments[2])))

    return types.void(rows, index, types.intp, vector), code


def _define(sign: Any, name: str) -> None:
    """An operator between vectors as an instruction of LLVM."""

    class _OnVectors(AbstractTemplate):
        def generic(self, arguments: Any, keywords: Any) -> Any:
            if len(arguments) == 2 and isinstance(arguments[0], Vector) and arguments[0] == arguments[1]:
                return signature(arguments[0], *arguments)
            return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, name)(*arguments)

    infer_global(sign)(_OnVectors)
    lower_builtin(sign, Vector, Vector)(code)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")


@code_of
def where(typing: Any, one: Any, other: Any, yes: Any, no: Any) -> Any:
    """``where(one, other, yes, no)``: ``yes`` where ``one > other``, else ``no``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments[:2]), *arguments[2:])

    return one(one, other, yes, no), code


@code_of
def larger(typing: Any, one: Any, other: Any) -> Any:
    """``larger(one, other)``: the larger number, place by place."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return one(one, other), code


@code_of
def largest(typing: Any, vector: Any) -> Any:
    """``largest(vector)``: the largest of its numbers."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        index, found = ir.IntType(32), arguments[0]
        for half in [LANES >> k for k in range(1, LANES.bit_length())]:
            upper = ir.Constant(ir.VectorType(index, LANES), [(k + half) % LANES for k in range(LANES)])
            moved = builder.shuffle_vector(found, found, upper)
            found = builder.select(builder.fcmp_ordered(">", found, moved), found, moved)
        return builder.extract_element(found, ir.Constant(index, 0))

    return vector.number(vector), code
