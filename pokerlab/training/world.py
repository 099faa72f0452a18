"""Which rank a process is, and how Lightning and torch.distributed are told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lightning
import torch
import torch.distributed
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch._C._distributed_c10d import PrefixStore, TCPStore
from torch.nn.parallel import DistributedDataParallel

from pokerlab.config.machine import LAUNCHED_BY_TORCHRUN, WORLD_SIZE
from pokerlab.selfplay.ranks import gather

NEVER = timedelta(days=30)
"""How long a rank waits for what others compute: that one is gone is seen in another way."""
AGENTS_STORE = "TORCHELASTIC_USE_AGENT_STORE"


@dataclass(frozen=True, slots=True)
class World:
    """Which rank this process is; torchrun says so by the same environment variables."""

    rank: int
    size: int
    """How many there are."""
    local_rank: int
    """Among those of this machine."""
    local_size: int
    address: str
    """Of rank 0's machine."""
    port: int
    """Of torch.distributed's store there."""

    @staticmethod
    def of(environment: Mapping[str, str]) -> "World":
        """What environment variables say."""
        return World(
            int(environment["RANK"]),
            int(environment[WORLD_SIZE]),
            int(environment["LOCAL_RANK"]),
            int(environment["LOCAL_WORLD_SIZE"]),
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
        )

    def environment(self) -> dict[str, str]:
        """The variables."""
        return {
            "RANK": str(self.rank), WORLD_SIZE: str(self.size), "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_size), "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }  # fmt: skip

    def store(self) -> TCPStore:
        """What ranks find each other by: rank 0's, or torchrun's own."""
        is_master = self.rank == 0 and os.environ.get(AGENTS_STORE) != str(True)
        return TCPStore(self.address, self.port, is_master=is_master, wait_for_workers=False)

    def join_group(self, store: TCPStore, on_gpus: bool) -> None:
        """Waits until all ranks can be asked by :func:`pokerlab.selfplay.ranks.gather`."""
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
            store=prefixed(store),
            rank=self.rank,
            world_size=self.size,
            timeout=NEVER,
        )


def started_by_torchrun() -> World | None:
    """As what; None: it has not started this process."""
    return World.of(os.environ) if LAUNCHED_BY_TORCHRUN in os.environ else None


def prefixed(store: TCPStore) -> PrefixStore:
    """Our part of a store, of this attempt of torchrun."""
    return PrefixStore(f"pokerlab-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


class _Environment(ClusterEnvironment):
    """Tells Lightning."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._world.address

    @property
    def main_port(self) -> int:
        return self._world.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._world.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self._world.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self._world.local_rank

    def node_rank(self) -> int:
        return self._world.rank // self._world.local_size


class _Strategy(DDPStrategy):
    """DDP of ranks of which only the first has a folder, and callbacks: Lightning agrees on gradients alone.

    A batch need not use all networks. Where DDP expects that, its buckets of gradients also stay as they are
    at first: sums are the same to the last bit when a run goes on.
    """

    def __init__(self, world: World) -> None:
        super().__init__(
            cluster_environment=_Environment(world),
            find_unused_parameters=True,
            gradient_as_bucket_view=True,
            broadcast_buffers=False,
        )

    def _configure_launcher(self) -> None:
        """Everybody is there."""

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        """With a weight that no batch uses: DDP would advise, on standard error, not to expect any."""
        model.register_parameter("unused", nn.Parameter(torch.zeros(1, device=self.root_device)))
        wrapped = super()._setup_model(model)
        del model.unused
        return wrapped

    def barrier(self, *_: Any, **__: Any) -> None:
        pass

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        return obj

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        return decision


class AgreeToStop(Checkpoint):
    """All stop if one is to. Lightning calls checkpoints last: after whatever else wants to."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """An iteration is finished."""
        trainer.should_stop = any(gather(trainer.should_stop))


def trainer_arguments(world: World) -> dict[str, Any]:
    """What Lightning's Trainer is made with."""
    return {
        "devices": world.local_size,
        "num_nodes": world.size // world.local_size,
        "strategy": _Strategy(world),
        "use_distributed_sampler": False,
    }


def ask_nobody_about_signals(trainer: lightning.Trainer) -> None:
    """Rank 0 ends the others. Lightning would have all ranks meet when a signal comes, wherever they are, and
    ask at every batch whether one came, for which the host would wait for the GPU."""
    trainer._signal_connector._sigterm_notifier_fn = lambda *_: None  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
