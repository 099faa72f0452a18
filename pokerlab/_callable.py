"""Packages of ours that are public functions too: ``pokerlab.games`` and ``pokerlab.games()``."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Makes calling the module ``name`` call ``function``.

    A submodule and a function cannot both be the attribute of their package, so the module is both
    (Python reference, "Customizing module attribute access").
    """

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

    sys.modules[name].__class__ = CallableModule
