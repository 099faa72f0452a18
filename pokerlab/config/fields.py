"""Plain values, as YAML gives them, into typed dataclasses; every mistake names its key."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pokerlab.errors import UserError, near

Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class Range:
    """Which numbers a field may hold: from ``least``, or above it if it is ``open``, to ``most``."""

    least: float
    most: float = math.inf
    open: bool = False


Count = Annotated[int, Range(1, 2**62)]
CountOrZero = Annotated[int, Range(0, 2**62)]
AtLeast0 = Annotated[float, Range(0)]
Above0 = Annotated[float, Range(0, open=True)]
Text = Annotated[str, "numbers too"]
"""A name or a path: one of digits alone is a number to YAML."""
Component = dict[str, Any]
"""A group with a ``_target_``, of which :func:`pokerlab.config.build.build` makes an object."""


class _MismatchError(Exception):
    """A value is not of a kind."""


def read(section: Callable[..., Section], values: Any, key: str = "") -> Section:
    """An instance of the dataclass ``section``.

    Args:
        section: its annotations say what is expected; a field with a default may be missing.
        values: plain mappings, lists, numbers and text.
        key: where ``values`` stands in the config.

    Raises:
        UserError: a key is unknown or missing, or a value is of the wrong type or out of its range.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{key} must be a group of keys, got {values!r}")
    prefix, kinds = f"{key}." if key else "", _kinds(section)
    for name in values:
        if name not in kinds:
            known = [f"{prefix}{known}" for known in kinds]
            raise UserError(f"unknown key '{prefix}{name}'{near(f'{prefix}{name}', known)}")
    found = {}
    for field in fields(section):  # type: ignore[arg-type]
        if field.name in values:
            found[field.name] = convert(kinds[field.name], values[field.name], f"{prefix}{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{prefix}{field.name} is missing")
    return section(**found)


@cache
def _kinds(section: Any) -> dict[str, Any]:
    return get_type_hints(section, include_extras=True)


def convert(kind: Any, value: Any, key: str) -> Any:
    """``value`` as the annotation ``kind`` wants it; a number may stand for text.

    Raises:
        UserError: it cannot be; says what can.
    """
    options = get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)
    if len(options) > 1 and all(map(is_dataclass, options)):
        return read(_choose_section(options, value, key), value, key)
    for option in options:
        try:
            return _convert(option, value, key)
        except _MismatchError:
            continue
    expected = " or ".join(sorted(map(_name, options), key=lambda name: name != "null"))
    expected = expected if expected.startswith("lie ") else f"be {expected}"
    raise UserError(f"{key} must {expected}, got {value!r}")


def _choose_section(sections: Sequence[Any], values: Any, key: str) -> Any:
    """The one of several dataclasses whose ``name`` the values have."""
    by_name = {get_args(_kinds(section)["name"])[0]: section for section in sections}
    name = values.get("name") if isinstance(values, Mapping) else values
    if not isinstance(name, str) or name not in by_name:
        raise UserError(f"{key}.name must be one of {', '.join(by_name)}, got {name!r}")
    return by_name[name]


def _convert(kind: Any, value: Any, key: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return read(kind, value, key)  # type: ignore[arg-type]
    if origin is Annotated and kind != Text:
        number, allowed = arguments
        return _number(number, allowed, value, key)
    if kind == Text and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind in (str, Text) and isinstance(value, str):
        if not value and kind == Text:
            raise UserError(f"{key} must not be empty")
        return value
    if kind in (int, float):
        return _number(kind, Range(-math.inf), value, key)
    if kind in (bool, NoneType) and isinstance(value, kind):
        return value
    if origin is Literal and type(value) is str and value in arguments:
        return value
    if kind == Component and isinstance(value, Mapping) and "_target_" in value:
        return dict(value)
    if origin is dict and kind != Component and isinstance(value, Mapping):
        return {str(name): convert(arguments[1], each, f"{key}.{name}") for name, each in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(arguments[0], each, key) for each in value)
    raise _MismatchError


def _number(number: type, allowed: Range, value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int if number is int else int | float):
        raise _MismatchError
    if not math.isfinite(value) or value < allowed.least or (allowed.open and value == allowed.least):
        raise _MismatchError
    if value > allowed.most:
        if number is float:
            raise _MismatchError
        raise UserError(f"{key} may be at most {allowed.most}, got {value}")
    return value


def _name(kind: Any) -> str:
    """What an error says is expected."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated and kind != Text:
        number, allowed = arguments
        if number is int:
            return f"an integer of at least {allowed.least}"
        if allowed.most < math.inf:
            between = "above {} and up to {}" if allowed.open else "between {} and {}"
            return "lie " + between.format(allowed.least, allowed.most)
        return f"a number above {allowed.least}" if allowed.open else f"a number of at least {allowed.least}"
    if origin is Literal:
        return f"one of {', '.join(arguments)}"
    if kind == Component:
        return "a group with a _target_"
    names = {
        NoneType: "null",
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "text",
        dict: "a group of keys",
        tuple: "a list",
    }
    return names[str if kind == Text else origin or kind]
