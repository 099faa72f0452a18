"""A CUDA device that is not there: its tensors hold CPU data, obey CUDA's rules, and everything is counted.

What would fail or wait on a GPU is found on any machine, and what an iteration launches, reads and writes
there is known without one. Results are those of the CPU.
"""

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.gpu_forests import Traffic

CUDA = torch.device("cuda:0")
INSIDE = torch.device("meta")
"""What torch's own code is told: without a GPU it cannot handle tensors on one."""
WAITING = (
    "_local_scalar_dense",
    "scalar_tensor",
    "nonzero",
    "masked_select",
    "equal",
    "bincount",
    "_unique",
    "unique",
)
"""Operations whose result, or its shape, the host waits for."""


class Memory:
    """Bytes of the storages that tensors on the device keep."""

    def __init__(self) -> None:
        self.taken = self.most = 0
        self._storages: dict[int, list[int]] = {}

    def take(self, tensor: "CudaTensor") -> None:
        """Counts a tensor's storage while it, or another one there, lives."""
        storage = tensor.held.untyped_storage()
        kept = self._storages.setdefault(storage.data_ptr(), [0, storage.nbytes()])
        if not kept[0]:
            self.taken += kept[1]
            self.most = max(self.most, self.taken)
        kept[0] += 1
        weakref.finalize(tensor, self._release, storage.data_ptr()).atexit = False

    def _release(self, address: int) -> None:
        kept = self._storages[address]
        kept[0] -= 1
        if not kept[0]:
            self.taken -= self._storages.pop(address)[1]


MEMORY = Memory()


class CudaTensor(Tensor):
    """Says that it is on ``cuda:0``; ``held`` is its data."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "CudaTensor":
        made: CudaTensor = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=INSIDE,
            requires_grad=held.requires_grad,
        )
        made.held = held
        MEMORY.take(made)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        args, kwargs = tree_map(lambda given: INSIDE if _is_cuda(given) else given, (args, kwargs))
        return super().to(*args, **kwargs)

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it")
        return self.detach().cpu().numpy()

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.dim() == 0 else repr(self), spec)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.held} on {CUDA}"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _call(func, args, kwargs or {})


def _is_cuda(given: Any) -> bool:
    return isinstance(given, torch.device | str) and given in (CUDA, INSIDE, "cuda", "cuda:0")


def _call(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the data, whose results are on the device unless they are copied to the host."""
    _check_devices(func, args, kwargs)
    wrapped = {id(leaf.held): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, CudaTensor)}
    found = _on_data(func, *tree_map(_unwrap, (args, kwargs)))
    to_host = getattr(kwargs.get("device"), "type", None) == "cpu"
    host = [leaf for leaf in tree_leaves((args, kwargs)) if type(leaf) is Tensor]

    def wrap(result: Any) -> Any:
        if not isinstance(result, Tensor) or to_host or any(result is given for given in host):
            return result
        return wrapped[id(result)] if id(result) in wrapped else CudaTensor(result)

    return tree_map(wrap, found)


def _unwrap(given: Any) -> Any:
    if isinstance(given, CudaTensor):
        return given.held
    return torch.device("cpu") if isinstance(given, torch.device) else given


def _on_data(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is torch.ops.aten.bmm.dtype:  # of float16 into float32, which a CPU has not
        left, right, dtype = args
        return torch.bmm(left.to(dtype), right.to(dtype))
    if func is torch.ops.aten.bmm.dtype_out:
        left, right, dtype = args
        return torch.bmm(left.to(dtype), right.to(dtype), out=kwargs["out"])
    return func(*args, **kwargs)


def _name(func: Any) -> str:
    return str(func).removeprefix("aten.").partition(".")[0]


def _check_devices(func: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Tensors on the host go with tensors on the device only as numbers, as indices, and in copies.

    Raises:
        RuntimeError: others do.
    """
    if _name(func) in ("copy_", "_to_copy"):
        return
    given = (args[0], args[2:]) if _name(func) in ("index", "index_put_", "index_put") else (args, kwargs)
    on_host = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor) and not _is_held(leaf)]
    changed = func._schema.is_mutable and not _is_held(args[0])
    joined = bool(args) and isinstance(args[0], list | tuple)
    if any(leaf.dim() or changed or joined for leaf in on_host):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
            f"cpu! ({_name(func)})"
        )


def _is_held(given: Any) -> bool:
    return isinstance(given, CudaTensor)


class PretendedCuda(Traffic):
    """Counts what tensors on the device do: launches, bytes, and how often the host waits."""

    def __init__(self) -> None:
        super().__init__()
        self.synchronisations = 0
        self.seconds = 0.0
        """Of the CPU, for what the device would do and for counting it."""
        self.waited_for: list[str] = []
        """The operations."""

    def restart(self) -> None:
        """Counts from 0."""
        self.operations = self.bytes = self.synchronisations = 0
        self.seconds = 0.0
        self.waited_for.clear()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, started = kwargs or {}, time.process_time()
        leaves = tree_leaves((args, kwargs))
        if not any(_is_held(leaf) or _is_cuda(leaf) for leaf in leaves):
            return func(*args, **kwargs)
        result = _call(func, args, kwargs)
        self.count(func, args, result)
        if self._waits(_name(func), args, kwargs):
            self.synchronisations += 1
            self.waited_for.append(_name(func))
        self.seconds += time.process_time() - started
        return result

    @staticmethod
    def _waits(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if name.startswith(WAITING):
            return True
        if name in ("index", "index_put_", "index_put"):
            indices = [leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor)]
            return any(type(each) is Tensor or each.dtype == torch.bool for each in indices)
        if name == "_to_copy":
            device = kwargs.get("device")
            if device is None or (kwargs.get("non_blocking") and device.type != "cpu"):
                return False
            return (device.type == "cpu") == _is_held(args[0])
        return name in ("copy_", "where") and any(not _is_held(each) for each in tensors)


@contextmanager
def pretended_cuda(*, kernels: bool = False, simulate: bool = True) -> Iterator[PretendedCuda]:
    """Meanwhile tensors can be on ``cuda:0``, and operations there be captured; gives the counts.

    Args:
        kernels: whether our own ones are used, which numba's simulator runs slowly.
        simulate: whether they are run: otherwise they are counted, and what they would change is left.
    """
    real_init = torch.cuda._lazy_init
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.cuda, "_lazy_init", _initialise(real_init)))
        for name in ("tensor", "as_tensor"):
            stack.enter_context(patch.object(torch, name, _copied(getattr(torch, name))))
        stack.enter_context(patch.object(torch, "empty", _not_pinned(torch.empty)))
        stack.enter_context(patch.object(Tensor, "pin_memory", lambda tensor: tensor))
        stack.enter_context(patch("pokerlab.cuda.is_available", lambda: kernels))
        if not simulate:
            stack.enter_context(patch("pokerlab.cuda.Kernel.launch"))
        stack.enter_context(pretended_graphs())
        yield stack.enter_context(PretendedCuda())


def _initialise(real: Callable[[], None]) -> Callable[[], None]:
    return real if torch.cuda.is_available() else lambda: None


def _copied(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.tensor`` and the like: made on the host, then copied."""

    def made(data: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
        if isinstance(data, CudaTensor):
            return data.to(device=device or CUDA, dtype=dtype or data.dtype)
        result = make(data, dtype=dtype)
        return result if device is None else result.to(device)

    return made


def _not_pinned(empty: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.empty`` in ordinary memory: no driver is there to pin it."""

    def made(*size: Any, pin_memory: bool = False, **options: Any) -> Tensor:
        return empty(*size, **options)

    return made


class PretendedGraph(TorchDispatchMode):
    """A CUDA graph on the CPU: what it captured is done again on the same tensors, with the same numbers.

    Operations are done while it records, so that the first replay has nothing to do.
    """

    captures = False
    """Whether one records."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.replays = -1
        self._calls: list[tuple[Any, Any, dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self._calls.append((func, args, kwargs or {}, _tensors(found)))
        return found

    def replay(self) -> None:
        """Does it once more."""
        self.replays += 1
        for func, args, kwargs, first in self._calls if self.replays else ():
            for to, of in zip(first, _tensors(func(*args, **kwargs)), strict=True):
                if _address(to) != _address(of):
                    to.copy_(of)


def _tensors(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):  # as most are: looking into it takes longer than the operation
        return [found]
    return [each for each in tree_leaves(found) if isinstance(each, Tensor)]


def _address(tensor: Tensor) -> int:
    return (tensor.held if isinstance(tensor, CudaTensor) else tensor).data_ptr()


@contextmanager
def pretended_graphs() -> Iterator[None]:
    """Meanwhile a CUDA graph is a pretended one."""
    with ExitStack() as stack:
        for name, stand_in in (
            ("CUDAGraph", PretendedGraph),
            ("graph", _capture),
            ("current_stream", lambda: None),
            ("is_current_stream_capturing", lambda: PretendedGraph.captures),
            ("set_stream", lambda _: None),
        ):
            stack.enter_context(patch.object(torch.cuda, name, stand_in))
        yield


@contextmanager
def _capture(graph: PretendedGraph, **_: Any) -> Iterator[None]:
    """Stands for ``torch.cuda.graph``."""
    PretendedGraph.captures = True
    try:
        with graph:
            yield
    finally:
        PretendedGraph.captures = False
