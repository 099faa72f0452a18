"""Loops for a GPU: functions of a grid of thread blocks, which numba-cuda compiles at their first launch.

A launch is an operation of torch: it goes to its current stream, and a CUDA graph captures it. Without a GPU
blocks run one after the other in numba's simulator, if ``NUMBA_ENABLE_CUDASIM=1`` was set before numba was
imported: slowly, with the same results.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.loops import warn_once

NUMBERS = {torch.float32: np.float32, torch.float64: np.float64}
"""What kernels calculate in: literals would make it float64."""
SIMULATED_THREADS = 4
"""In a block of the simulator, where each is a thread of Python."""
_KERNELS: dict[str, "Kernel"] = {}


def simulates() -> bool:
    """Whether kernels run in numba's simulator."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


numba_cuda: Any = None
"""What kernels are written in; None where it cannot be imported."""
with contextlib.suppress(Exception):  # a driver or library that is missing has many names
    numba_cuda = importlib.import_module("numba.cuda")
    if simulates():
        importlib.import_module("pokerlab.cuda_simulator").take_turns()


@cache
def is_available() -> bool:
    """Whether kernels can run on a GPU, or be simulated; else warns."""
    if numba_cuda is None:
        why = "it is not there"
    elif simulates():
        return True
    else:
        if not hasattr(np, "row_stack"):  # numba-cuda 0.30 needs it, and numpy 2.5 no longer has it
            np.row_stack = np.vstack
        try:
            numba_cuda.jit("void()")(lambda: None)
            return True
        except Exception as error:  # a driver or library that is missing has many names
            why = str(error).partition("\n")[0]
    warn_once(f"a GPU takes several times longer without numba-cuda (pip install pokerlab[gpu]): {why}")
    return False


def runs_on(device: torch.device) -> bool:
    """Whether kernels can run on a device; warns of a GPU where they cannot."""
    return device.type == "cuda" and is_available()


class Kernel:
    """A function whose threads write to arrays that they are given.

    Args:
        function: of arrays, then of numbers; in terms of :mod:`numba.cuda`.
        name: that no other has.
    """

    def __init__(self, function: Callable[..., None], name: str) -> None:
        self._function, self._name = function, name
        self._compiled: Any = None
        if name in _KERNELS:
            raise ValueError(f"there is a kernel {name!r}")
        _KERNELS[name] = self

    def __call__(
        self, blocks: Sequence[int], threads: int, arrays: Sequence[Tensor], numbers: Sequence[float] = ()
    ) -> None:
        """Launches it.

        Args:
            blocks: up to three numbers of blocks.
            threads: in each.
            arrays: contiguous; those that are changed, too.
            numbers: the rest of the arguments.
        """
        if all(blocks):
            torch.ops.pokerlab.launch(list(arrays), self._name, list(blocks), threads, list(numbers))

    def launch(
        self, blocks: Sequence[int], threads: int, arrays: Sequence[Tensor], numbers: Sequence[float]
    ) -> None:
        """The same on tensors that are there."""
        self._compiled = self._compiled or numba_cuda.jit(self._function)
        if simulates():
            given = [array.detach().numpy() for array in arrays]
            self._compiled[tuple(blocks), min(threads, SIMULATED_THREADS)](*given, *numbers)
        else:
            stream = numba_cuda.external_stream(torch.cuda.current_stream().cuda_stream)
            self._compiled[tuple(blocks), threads, stream](*(array.detach() for array in arrays), *numbers)


def _launch(arrays: list[Tensor], name: str, blocks: list[int], threads: int, numbers: list[float]) -> None:
    _KERNELS[name].launch(blocks, threads, arrays, numbers)


def send(values: Tensor, device: torch.device) -> Tensor:
    """Values there; the host does not wait if they are its own.

    Raises:
        RuntimeError: a CUDA graph is being captured: it would read the host's memory at every replay.
    """
    if values.device.type == "cpu" and device.type == "cuda":
        if torch.cuda.is_current_stream_capturing():
            raise RuntimeError("values are sent to the GPU at every query, as of leaves after a deal")
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


_LIBRARY = torch.library.Library("pokerlab", "DEF")
_LIBRARY.define("launch(Tensor(a!)[] arrays, str name, int[] blocks, int threads, Scalar[] numbers) -> ()")
_LIBRARY.impl("launch", _launch, "CompositeExplicitAutograd")
