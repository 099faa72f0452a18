"""Kernels for a GPU, in numba's simulator."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda
from pokerlab.cuda import Kernel, numba_cuda


def add_first(values, added, times):  # type: ignore[no-untyped-def]
    """``added[b, i] = times · values[b, i] + values[b, 0]``, by way of shared memory."""
    first = numba_cuda.shared.array(1, np.float32)
    block, thread = numba_cuda.blockIdx.x, numba_cuda.threadIdx.x
    if thread == 0:
        first[0] = values[block, 0]
    numba_cuda.syncthreads()
    for i in range(thread, values.shape[1], numba_cuda.blockDim.x):
        added[block, i] = times * values[block, i] + first[0]


ADD_FIRST = Kernel(add_first, "test: add first")


def expected(values: Tensor) -> Tensor:
    return 3 * values + values[:, :1]


def test_a_kernel_changes_the_arrays_that_it_is_given() -> None:
    values = torch.rand(5, 20)
    added = torch.zeros_like(values)
    ADD_FIRST((5,), 128, [values, added], [3])
    torch.testing.assert_close(added, expected(values))


def test_a_launch_is_one_operation_that_a_graph_replays() -> None:
    with pretended_cuda(kernels=True) as counted:
        values = torch.rand(5, 20).to(CUDA)
        added = torch.zeros_like(values)
        counted.restart()
        ADD_FIRST((5,), 128, [values, added], [3])
        assert (counted.operations, counted.bytes, counted.synchronisations) == (1, 2 * 400, 0)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            ADD_FIRST((5,), 128, [values, added], [3])
        graph.replay()
        values.add_(1)
        graph.replay()
        torch.testing.assert_close(added.cpu(), expected(values.cpu()))


def test_nothing_is_launched_without_blocks() -> None:
    ADD_FIRST((0,), 128, [torch.zeros(0, 3), torch.zeros(0, 3)], [1])


def test_names_are_taken_once() -> None:
    with pytest.raises(ValueError, match="there is a kernel 'test: add first'"):
        Kernel(add_first, "test: add first")


def fail(values):  # type: ignore[no-untyped-def]
    """A thread that fails while others wait for it."""
    if numba_cuda.threadIdx.x == 2:
        raise ValueError("this one")
    numba_cuda.syncthreads()


FAIL = Kernel(fail, "test: fail")


def test_a_simulated_thread_that_fails_ends_its_block() -> None:
    threads = threading.active_count()
    with pytest.raises(ValueError, match=r"tid=\[2, 0, 0\] ctaid=\[0, 0, 0\]: this one"):
        FAIL((2,), 4, [torch.zeros(1)])
    assert threading.active_count() == threads
