"""The pretended GPU obeys the rules of a real one, and counts."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.pretended_cuda import CUDA, pretended_cuda

MIXED: dict[str, Callable[[Tensor], object]] = {
    "sum": lambda there: torch.ones(3) + there,
    "sum in place": lambda there: torch.ones(3).add_(there),
    "number in place": lambda there: torch.ones(()).add_(there.sum()),
    "joined": lambda there: torch.cat([there, torch.ones(1)]),
    "index there, data here": lambda there: torch.ones(3)[there.long() - 1],
    "selected here": lambda there: there.index_select(0, torch.tensor([1])),
}


@pytest.mark.parametrize("name", MIXED)
def test_devices_do_not_mix(name: str) -> None:
    with pretended_cuda():
        there = torch.tensor([1.0, 2.0, 3.0], device=CUDA)
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            MIXED[name](there)


WAITS: dict[str, tuple[int, Callable[[Tensor], object]]] = {
    "item": (1, lambda there: there[0].item()),
    "bool": (1, lambda there: bool(there[0] > 0)),
    "list": (1, lambda there: there.tolist()),
    "forced numpy": (1, lambda there: there.numpy(force=True)),
    "to the host": (1, lambda there: there.cpu()),
    "from the host": (1, lambda there: torch.as_tensor([1.0], device=CUDA)),
    "from the host, ahead": (0, lambda there: torch.ones(3).to(CUDA, non_blocking=True)),
    "to the host, ahead": (1, lambda there: there.to("cpu", non_blocking=True)),
    "mask": (1, lambda there: there[there > 1]),
    "index from the host": (1, lambda there: there[torch.tensor([0])]),
    "a number beside tensors": (1, lambda there: torch.where(there > 1, there, 0.0)),
    "index": (0, lambda there: there[(there > 5).long()]),
    "arithmetic": (0, lambda there: there.mul(2).add_(there)),
    "made there": (0, lambda there: torch.zeros(3, device=CUDA)),
    "already there": (0, lambda there: there.to(CUDA)),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_the_host_waits_for(name: str) -> None:
    expected, call = WAITS[name]
    with pretended_cuda() as cuda:
        there = torch.tensor([1.0, 2.0, 3.0], device=CUDA)
        cuda.restart()
        call(there)
    assert cuda.synchronisations == expected, cuda.waited_for


def test_numpy_needs_a_copy() -> None:
    with pretended_cuda():
        there = torch.ones(3, device=CUDA)
        assert there.is_cuda
        assert there.device == CUDA
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            there.numpy()
        assert there.numpy(force=True).tolist() == [1, 1, 1]


def test_launches_and_bytes_are_counted_but_not_views() -> None:
    with pretended_cuda() as cuda:
        there, here = torch.ones(10, device=CUDA), torch.ones(10)
        cuda.restart()
        there[2:].view(2, 4).transpose(0, 1)
        here.add_(1)
        assert (cuda.operations, cuda.bytes) == (0, 0)
        there[2:].mul_(2)
        assert (cuda.operations, cuda.bytes) == (1, 2 * 8 * 4)
        assert there.tolist() == [1, 1, *[2] * 8]
