"""A CUDA graph on the CPU: what it captured is done again on the same tensors, with the same numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pokerlab.search.cfr import CFR


class PretendedGraph(TorchDispatchMode):
    """Records operations. They are done while it does, so that the first replay has nothing to do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.replays = -1
        self._calls: list[tuple[Any, Any, dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, found))
        return found

    @property
    def launches(self) -> int:
        """Operations that are not views."""
        return sum(not func.is_view for func, *_ in self._calls)

    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, first in self._calls if self.replays else ():
            again = func(*args, **kwargs)
            for to, of in zip(tree_leaves(first), tree_leaves(again), strict=True):
                if isinstance(to, Tensor) and to.data_ptr() != of.data_ptr():
                    to.copy_(of)


@contextmanager
def capture(graph: PretendedGraph, **_: Any) -> Iterator[None]:
    with graph:
        yield


def pretend_graphs(monkeypatch: pytest.MonkeyPatch, cfr: CFR) -> CFR:
    """Has a solver on the CPU capture and replay its iterations; returns it."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", PretendedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda _: None)
    monkeypatch.setattr(cfr._backend, "_captures", True)
    return cfr
