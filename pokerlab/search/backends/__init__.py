"""Arithmetic of CFR: tensor operations for any device, and compiled loops for the CPU."""

from collections.abc import Callable
from functools import partial

import torch

from pokerlab.loops import NUMBA
from pokerlab.search.backends.base import Backend
from pokerlab.search.backends.tensors import TensorBackend

BACKENDS = ("auto", "compiled", "tensors")


def choose_backend(name: str, device: torch.device, *, cuda_graph: bool = True) -> Callable[..., Backend]:
    """A backend by name; ``auto`` is ``compiled`` on the CPU where numba works, else ``tensors``.

    Args:
        name: one of ``BACKENDS``.
        device: the forest's.
        cuda_graph: whether tensors on a GPU replay a captured iteration.

    Raises:
        ValueError: the name is unknown, or loops cannot be compiled for the device.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    possible = device.type == "cpu" and NUMBA
    if name == "compiled" and not possible:
        reason = "numba is not there" if device.type == "cpu" else f"this one is {device.type}"
        raise ValueError(f"backend=compiled needs numba and the CPU as its device: {reason}")
    if name == "tensors" or not possible:
        return partial(TensorBackend, cuda_graph=cuda_graph)
    from pokerlab.search.backends.compiled import CompiledBackend

    return CompiledBackend
