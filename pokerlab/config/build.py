"""From a config's components to objects: what a ``_target_`` may name, and errors that name the key.

A config that was stored with a run may come from anybody. Its ``_target_``s are classes of this package, of
the libraries that a group is meant for, or of modules that the user named (``--plugin MODULE``, or those in
``--config-dir DIR``); nothing else is imported, let alone called. Imports no torch.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from pokerlab.config.fields import Component, convert
from pokerlab.errors import UserError, near

if TYPE_CHECKING:
    from pokerlab.games.base import Game

PLUGINS = "POKERLAB_PLUGINS"
"""Environment variable: the modules that the user named, by commas; the processes of a command inherit it."""
OURS = tuple(
    f"pokerlab.{room}"
    for room in (
        "games",
        "search",
        "learning",
        "selfplay",
        "algorithms",
        "agents",
        "callbacks",
        "store",
        "league",
    )
)
LIBRARIES = ("lightning.pytorch", "lightning.fabric", "torch.optim")
"""Of loggers, callbacks and optimisers."""
SIMPLE = (bool, int, float, str, type(None))


def allow(modules: Sequence[str]) -> None:
    """Trusts the user's own modules, here and in the processes that this one starts.

    Raises:
        UserError: one cannot be imported, or is installed twice.
    """
    for module in modules:
        if len(owners := set(packages_distributions().get(module.partition(".")[0], ()))) > 1:
            raise UserError(f"plugin {module} is installed twice, by {' and '.join(sorted(owners))}")
        _import(module, f"plugin {module}")
    _trust(modules)


def trust_folder(folder: Path) -> None:
    """Trusts the modules of a folder of the user's, here and in the processes that this one starts.

    None is imported. Where something else would be imported under its name, that is not trusted.
    """
    files = [*folder.glob("[!_]*.py"), *folder.glob("[!_]*/__init__.py")]
    names = {path.stem if path.parent == folder else path.parent.name for path in files}
    _trust([name for name in names if _lies_in(folder, name)])


def _lies_in(folder: Path, module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and Path(spec.origin or "/").resolve().is_relative_to(folder.resolve())


def _trust(modules: Sequence[str]) -> None:
    os.environ[PLUGINS] = ",".join(sorted({*plugins(), *modules}))


def plugins() -> list[str]:
    """The modules that the user named."""
    return [module for module in os.environ.get(PLUGINS, "").split(",") if module]


def targets(values: Any) -> Iterator[str]:
    """Every ``_target_`` in plain values, nested ones too."""
    if isinstance(values, Mapping):
        if "_target_" in values:
            yield str(values["_target_"])
        values = list(values.values())
    if isinstance(values, list | tuple):
        for value in values:
            yield from targets(value)


def trust_targets(values: Any) -> None:
    """Trusts the modules of every ``_target_`` in values that the user wrote.

    Raises:
        UserError: one of them cannot be imported, or is installed twice.
    """
    others = {path.rpartition(".")[0] for path in targets(values) if not is_trusted(path)}
    allow(sorted(others - {""}))


def is_trusted(path: str) -> bool:
    """Whether a stored config may name the class ``path``."""
    return any(path.startswith(f"{module}.") for module in (*OURS, *LIBRARIES, *plugins()))


def build(
    component: Component,
    *arguments: Any,
    key: str,
    kind: type | None = None,
    origins: Mapping[str, str] = {},
    **given: Any,
) -> Any:
    """Makes the object that a component describes.

    Args:
        component: a ``_target_`` and the class's arguments; those with a ``_target_`` are made first.
        arguments: what else the class takes, by position.
        key: where the component stands in the config, for errors.
        kind: what the class must be a subclass of.
        origins: other keys where values were written, by the keys where they stand, for errors.
        given: what else the class takes, by name.

    Raises:
        UserError: the class cannot be had, or does not take a value.
    """
    target = check(component, key=key, kind=kind, origins=origins, given=(len(arguments), *given))
    values = {name: value for name, value in component.items() if name != "_target_"}
    own = {name: _make(value, _origin(f"{key}.{name}", origins), origins) for name, value in values.items()}
    try:
        return target(*arguments, **own, **given)
    except (ValueError, TypeError) as error:
        text = " ".join(str(error).split())
        name, _, said = text.partition(" ")
        named = name in inspect.signature(target).parameters
        raise UserError(f"{_origin(f'{key}.{name}', origins)} {said}" if named else text) from error


def _origin(key: str, origins: Mapping[str, str]) -> str:
    return origins.get(key, key)


def _make(value: Any, key: str, origins: Mapping[str, str]) -> Any:
    """A nested component as an object; one that lacks arguments as what makes it of those."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            component = dict(value)
            optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            needs = {
                parameter.name
                for parameter in parameters_of(component, key).values()
                if parameter.default is parameter.empty and parameter.kind not in optional
            } - component.keys()
            check(component, key=key, origins=origins, given=(0, *needs))
            make = partial(build, component, key=key, origins=origins)
            return make if needs else make()
        return {name: _make(each, _origin(f"{key}.{name}", origins), origins) for name, each in value.items()}
    return [_make(each, key, origins) for each in value] if isinstance(value, list) else value


def check(
    component: Component,
    *,
    key: str,
    kind: type | None = None,
    origins: Mapping[str, str] = {},
    given: Sequence[Any] = (0,),
) -> Any:
    """The class that a component names, if it takes the component's values; makes nothing.

    Args:
        component: see :func:`build`; so are ``key``, ``kind`` and ``origins``.
        key: as above.
        kind: as above.
        origins: as above.
        given: how many arguments it will get by position, and the names of the others.

    Raises:
        UserError: the class cannot be had, or does not take a value.
    """
    target, parameters = _find(str(component["_target_"]), key), parameters_of(component, key)
    if kind is not None and not issubclass(target, kind):
        raise UserError(f"{key}._target_ {component['_target_']} is not a {kind.__name__}")
    if missing := sorted(getattr(target, "__abstractmethods__", ())):
        raise UserError(f"{key}: {component['_target_']} lacks the method {', '.join(missing)}")
    values = {name: value for name, value in component.items() if name != "_target_"}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for name in values:
            if name not in parameters:
                known = [f"{key}.{known}" for known in parameters if known not in given]
                raise UserError(f"unknown key '{key}.{name}'{near(f'{key}.{name}', known)}")
    try:
        inspect.signature(target).bind(*[None] * given[0], **dict.fromkeys([*given[1:], *values]))
    except TypeError as error:
        raise UserError(f"{key} ({component['_target_']}): {error}") from error
    for name, hint in _hints(target).items():
        if name not in values or (isinstance(values[name], Mapping) and "_target_" in values[name]):
            continue
        written = _origin(f"{key}.{name}", origins)
        if get_origin(hint) is Mapping and not isinstance(values[name], Mapping):
            raise UserError(f"{written} must be a group of keys, got {values[name]!r}")
        if _is_simple(hint):
            convert(hint, values[name], written)
        elif _is_maker(hint) and not (values[name] is None and type(None) in get_args(hint)):
            raise UserError(f"{written} must be a group with a _target_, got {values[name]!r}")
    return target


def parameters_of(component: Component, key: str) -> Mapping[str, inspect.Parameter]:
    """What the class that a component names takes, by name.

    Raises:
        UserError: the class cannot be had, or is written in C.
    """
    try:
        return inspect.signature(_find(str(component["_target_"]), key)).parameters
    except ValueError as error:
        raise UserError(f"{key}._target_ {component['_target_']!r} cannot be made from a config") from error


def _hints(target: Any) -> dict[str, Any]:
    """Annotations by name, if they can be had."""
    try:
        return get_type_hints(target.__init__, include_extras=True)
    except (NameError, TypeError):  # of types that are imported for type checkers only
        return {}


def _is_simple(hint: Any) -> bool:
    union = get_origin(hint) in (UnionType, Union)
    return hint in SIMPLE or (union and all(part in SIMPLE for part in get_args(hint)))


def _is_maker(hint: Any) -> bool:
    """Whether what makes an object is meant, or None."""
    kinds = {get_origin(kind) for kind in (hint, *get_args(hint))} - {None, UnionType, Union}
    return kinds == {Callable}


def _find(path: str, key: str) -> Any:
    """A class by its dotted path.

    Raises:
        UserError: nobody trusts it, or it is none.
    """
    said = f"{key}._target_ {path!r}"
    if not is_trusted(path):
        module = path.partition(".")[0]
        raise UserError(f"{said} is not of pokerlab: if you trust that module, say so with --plugin {module}")
    module, _, name = path.rpartition(".")
    found = getattr(_import(module, said), name, None)
    if not inspect.isclass(found):
        raise UserError(f"{said} is not a class")
    if not is_trusted(f"{found.__module__}.{name}"):  # something that the module itself imported
        raise UserError(f"{said} is of {found.__module__}: name it by that")
    return found


def _import(module: str, said: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever the module does
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{said}: cannot import {module}: {text}") from error


def check_enumerable(game: "Game", wanted: str) -> None:
    """Raises a UserError if the game's tree is too large for what is wanted."""
    if not game.enumerable:
        raise UserError(
            f"{game.name} is too large to be enumerated, which {wanted} needs: expected a river, a turn, "
            "or a game of few cards"
        )


def check_cards(learned: "Game", game: "Game") -> None:
    """Checks that networks of one game can be asked about another."""
    own, others = dict(learned.rules), dict(game.rules)
    for part in ("deck", "suits", "board cards by street"):
        if own.get(part) != others.get(part):
            raise UserError(f"networks know other cards: {part}: {others.get(part)}, not {own.get(part)}")
