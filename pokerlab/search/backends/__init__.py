"""Arithmetic of CFR: tensor operations for any device, compiled loops for the CPU, kernels for a GPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pokerlab import cuda
from pokerlab.loops import NUMBA
from pokerlab.search.backends.base import Backend
from pokerlab.search.backends.tensors import TensorBackend
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.locks import Locks
from pokerlab.search.rules import UpdateRule

BACKENDS = ("auto", "compiled", "tensors")


STORAGES = ("auto", "int16", "full")


def choose_backend(
    name: str,
    device: torch.device,
    *,
    cuda_graph: bool = True,
    storage: str = "auto",
    locks: Locks | None = None,
) -> Callable[..., Backend]:
    """A backend by name; ``auto`` is ``compiled`` where numba works, on the CPU or a GPU, else ``tensors``.

    Args:
        name: one of ``BACKENDS``.
        device: the forest's.
        cuda_graph: whether iterations on a GPU replay a captured one.
        storage: one of ``STORAGES``, see :class:`~pokerlab.search.backends.blockwise.BlockwiseBackend`.
        locks: strategies that are given: of card games on the CPU, loops board by board know them; else
            tensor operations do.

    Raises:
        ValueError: the name is unknown, or loops cannot be compiled for the device.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    possible = (device.type == "cpu" and NUMBA) or cuda.runs_on(device)
    if name == "compiled" and not possible:
        reason = f"this one is {device.type}" if device.type not in ("cpu", "cuda") else "numba is not there"
        raise ValueError(f"backend=compiled needs numba and the CPU or a GPU as its device: {reason}")
    if locks:
        loops = name != "tensors" and possible and device.type == "cpu"
        return partial(_locked_backend, locks, loops, cuda_graph)
    if name == "tensors" or not possible:
        return partial(TensorBackend, cuda_graph=cuda_graph)
    if device.type == "cuda":
        return partial(_fused_backend, cuda_graph)
    return partial(_compiled_backend, storage)


def _fused_backend(cuda_graph: bool, forest: Forest, *args: Any, **options: Any) -> Backend:
    """The backend that suits a forest on a GPU."""
    from pokerlab.search.backends.fused import FusedBackend, can_fuse

    backend = FusedBackend if can_fuse(forest) else TensorBackend
    return backend(forest, *args, cuda_graph=cuda_graph, **options)


def _locked_backend(
    locks: Locks,
    loops: bool,
    cuda_graph: bool,
    forest: Forest,
    belief: Tensor,
    rule: UpdateRule,
    *,
    alternating: bool,
    gadget: Gadget | None = None,
) -> Backend:
    """The backend for a forest with strategies that are given."""
    from pokerlab.search.backends.blockwise import BlockwiseBackend, board_payoffs

    payoffs = board_payoffs(forest, rule, alternating=alternating, one_board=True) if loops else None
    if payoffs:
        return BlockwiseBackend(forest, belief, rule, payoffs, "full", locks)
    options: dict[str, Any] = {"alternating": alternating, "gadget": gadget, "cuda_graph": cuda_graph}
    return TensorBackend(forest, belief, rule, **options, locks=locks)


def _compiled_backend(
    storage: str,
    forest: Forest,
    belief: Tensor,
    rule: UpdateRule,
    *,
    alternating: bool,
    gadget: Gadget | None = None,
) -> Backend:
    """The backend in compiled loops that suits a forest."""
    from pokerlab.search.backends.blockwise import BlockwiseBackend, board_payoffs
    from pokerlab.search.backends.compiled import CompiledBackend

    payoffs = None if gadget else board_payoffs(forest, rule, alternating=alternating)
    if payoffs:
        return BlockwiseBackend(forest, belief, rule, payoffs, storage)
    return CompiledBackend(forest, belief, rule, alternating=alternating, gadget=gadget)
