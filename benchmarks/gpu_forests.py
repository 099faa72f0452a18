"""What :mod:`benchmarks.gpu` measures on: forests of hold'em streets, and how it counts and times them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.measure import Run, median_rates
from pokerlab.config.build import build
from pokerlab.config.command import check_overrides
from pokerlab.config.schema import RunConfig
from pokerlab.games.base import Game
from pokerlab.games.betting import CALL
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.learning.kernel_network import KernelValueNetwork
from pokerlab.learning.networks import LeafNetwork, ValueNetwork
from pokerlab.search.forest import Forest
from pokerlab.search.subgames import Subgames

STREETS = ("preflop", "flop", "turn", "river")
PHASE1 = ("experiment=phase1", "launcher=local", "workers=0", "selfplay.replay=memory")
SMALL = ("trainer.precision=32-true", "profile=tiny")
SMALL_GAME = {"ranks": 5, "suits": 3, "stack": 1000, "bets": [[1]], "most_raises": 2}
"""What makes phase 1 a matter of seconds on a CPU."""
MODELS = ("kernel", "large")
"""Leaf networks: phase 1's, and an MLP of ReBeL's size."""
MOST_FLOPS = 64
"""Different flops in a forest: each takes 0.1 s of a CPU core for its run-out matrix."""


@dataclass(frozen=True)
class Setting:
    """What is measured where."""

    device: torch.device
    small: bool
    """Whether the game and the networks are."""
    seed: int

    @property
    def overrides(self) -> tuple[str, ...]:
        """Of phase 1's config."""
        trainer = "cpu" if self.device.type == "cpu" else "gpu"
        return (*PHASE1, f"trainer={trainer}", f"seed={self.seed}", *(SMALL if self.small else ()))

    @cached_property
    def config(self) -> RunConfig:
        """Phase 1's."""
        return self.config_with()

    def config_with(self, *overrides: str) -> RunConfig:
        """Phase 1's, changed."""
        (config,) = check_overrides("train", [*self.overrides, *overrides])
        return replace(config, game=config.game | SMALL_GAME) if self.small else config

    @cached_property
    def game(self) -> Holdem:
        """Phase 1's, or a smaller one."""
        game: Holdem = build(self.config.game, key="game")
        return game

    def network(self, **size: int) -> ValueNetwork:
        """An MLP with random weights on the CPU, of ReBeL's size unless another is given."""
        torch.manual_seed(self.seed)
        whole = {"hidden": 32, "layers": 2} if self.small else {"hidden": 1536, "layers": 6}
        sizes = whole | size
        return ValueNetwork(self.game, sizes["hidden"], sizes["layers"])

    def kernel_network(self, **size: int) -> KernelValueNetwork:
        """Phase 1's, with random weights."""
        torch.manual_seed(self.seed)
        sizes = dict(self.config.model.value_network)
        del sizes["_target_"]
        return KernelValueNetwork(self.game, **(sizes | ({"hidden": 16} if self.small else {}) | size))

    def network_of(self, model: str, **size: int) -> LeafNetwork:
        """One of ``MODELS`` there, with random weights."""
        make = self.kernel_network if model == "kernel" else self.network
        return make(**size).to(self.device)

    def states(self, street: int, number: int) -> list[HoldemState]:
        """Where so many subgames of a street start when nobody bet before."""
        return [state_on(self.game, street, self.seed + i % MOST_FLOPS, i + 1) for i in range(number)]

    def synchronise(self) -> None:
        """Waits for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def run_and_wait(self, run: Run) -> Run:
        """``run``, which then returns when the device is done."""

        def wait_for(iterations: int) -> None:
            run(iterations)
            self.synchronise()

        return wait_for

    def milliseconds(self, run: Run, seconds: float = 0.2) -> float:
        """Of one iteration, the median of three repeats."""
        wanted = 0.001 if self.small else seconds
        (rate,) = median_rates([self.run_and_wait(run)], seconds=wanted, repeats=3)
        return 1000 / rate


def state_on(game: Holdem, street: int, deal_seed: int, bet_seed: int) -> HoldemState:
    """A street's first state after checks and calls; one seed deals, the other moves bet sizes."""
    state = game.root()
    for dealt in range(street):
        for _ in range(2):
            state = game.next_state(state, CALL)
        outcomes = game.chance_outcomes(game.vary(state, deal_seed + 1))
        state = outcomes[int(np.random.default_rng([deal_seed, dealt]).integers(len(outcomes)))]
    return game.vary(state, bet_seed)


def forest_of(game: Game, states: Sequence[Any], device: torch.device, dtype: torch.dtype) -> Forest:
    """The subgames, with all that is made on first use."""
    forest = Subgames(game).forest(states, torch.empty(0, device=device, dtype=dtype))
    assert forest.payoffs
    return forest


def random_beliefs(forest: Forest, seed: int) -> Tensor:
    """``[2, B, H]``, a tenth of the possible hands without any mass."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, *forest.root_possible.shape)
    drawn = torch.rand(shape, dtype=torch.float64, generator=generator)
    drawn *= torch.rand(shape, generator=generator) > 0.1
    beliefs = drawn * forest.root_possible.double().cpu()
    return (beliefs / beliefs.sum(-1, keepdim=True)).to(forest.device, forest.dtype)


_PICKING = ("index_select", "gather", "index.Tensor")
"""Operations that read as much of their source as they write."""
_ADDING = ("index_add_", "scatter_add_")
"""Operations that read and write as much of their first argument as their source has."""
_OVERWRITING = ("copy_", "zero_", "fill_", "index_copy_", "scatter_", "index_put_")
"""Operations that do not read what they change."""
_NOTHING = ("empty", "new_empty", "detach", "_unsafe_view", "_reshape_alias")


class Traffic(TorchDispatchMode):
    """Counts tensor operations that do something, and the bytes that they read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations, self.bytes = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.count(func, args, result)
        return result

    def count(self, func: Any, args: Any, result: Any) -> None:
        """Counts an operation, unless it only looks at tensors in another way."""
        name = str(func).removeprefix("aten.")
        if func.is_view or name.startswith(_NOTHING):
            return
        self.operations += 1
        given = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        made = sum(_size(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        if name.startswith(_ADDING):
            self.bytes += sum(map(_size, given[1:])) + 2 * _size(given[-1])
        elif name.startswith(("index_copy_", "scatter_.")):
            self.bytes += sum(map(_size, given[1:])) + _size(given[-1])
        elif name.startswith(_PICKING):
            self.bytes += sum(map(_size, given[1:])) + 2 * made
        else:
            read = given[1:] if name.startswith(_OVERWRITING) else given
            self.bytes += sum(map(_size, read)) + made


def _size(tensor: Tensor) -> int:
    """Bytes; a number that is repeated by stride 0 counts once."""
    numbers = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        numbers *= length if stride else min(length, 1)
    return numbers * tensor.element_size()


def launches(run: Callable[[], object]) -> tuple[int, int, float]:
    """Kernels of ``run`` on a GPU, copies and fills among them, and the milliseconds that both worked."""
    events = device_events(run)
    copies = sum(name.startswith(("Memcpy", "Memset")) for name, _ in events)
    return len(events) - copies, copies, sum(took for _, took in events) / 1000


def device_events(run: Callable[[], object]) -> list[tuple[str, float]]:
    """What a GPU does in ``run``, in this order: names, and microseconds."""
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as recorded:
        run()
        torch.cuda.synchronize()
    events = [event for event in recorded.events() or () if event.device_type.name == "CUDA"]
    return [(event.name, event.time_range.elapsed_us()) for event in events]


def capture(run: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """``run`` as a CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph


def repeat(call: Callable[[], object]) -> Run:
    """A run whose iteration is one call."""

    def run(iterations: int) -> None:
        for _ in range(iterations):
            call()

    return run


def waits(run: Callable[[], object]) -> str | None:
    """The first time that the host waits for the device, where it does."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    except RuntimeError as error:
        return first_line(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return None


def first_line(error: BaseException) -> str:
    """What went wrong, in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]
