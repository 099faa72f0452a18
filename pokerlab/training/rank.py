"""A rank of a run, but not the first: plays and learns its share, and has nothing of its own to write.

    python -m pokerlab.training.rank

Started by rank 0, with the environment variables that torchrun gives the processes that it starts, and a
pipe on standard input that ends with rank 0.
"""

import contextlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import lightning
import torch

from pokerlab.callbacks.metrics import IterationNumbers
from pokerlab.config.stored import read_config
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.selfplay.replay_on_disk import chunk_files
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.ranks import RUN, TO_BEGIN, TO_SAY_WHY
from pokerlab.training.trainer import fit, make_trainer
from pokerlab.training.world import AgreeToStop, World, prefixed

A_MOMENT = 2.0
"""Seconds that a rank that fails waits before it says so: if all fail, rank 0 knows by itself; and it has to
hear who is gone before it hears who could not be reached."""


class Positions(lightning.Callback):
    """Keeps where the replays were after each of the last two iterations, for one of which they are saved.

    Args:
        data: has the replays.
    """

    def __init__(self, data: SelfPlayData) -> None:
        self._data = data
        self._kept: dict[int, dict[str, Any]] = {}

    def on_train_epoch_end(self, *_: Any) -> None:
        """Comes before the ranks agree to go on."""
        position = self._data.state_dict()
        self._kept = {**dict([*self._kept.items()][-1:]), position["iteration"]: position}

    def replay(self, iteration: int) -> bytes:
        """What rank 0 is to save, as of so many iterations."""
        kept = self._data.replay_contents(self._kept[iteration])
        needed = [*chunk_files(self._data.replay_contents(self._data.state_dict()))]
        buffer = io.BytesIO()
        torch.save({"replay": kept, "needed": needed}, buffer)
        return buffer.getvalue()


class Rank0:
    """The first rank, as the others see it. When it is gone, this process ends.

    Args:
        connection: to it.
        positions: answer for the replays.
    """

    def __init__(self, connection: Connection, positions: Positions) -> None:
        self._connection, self._positions = connection, positions
        self._sends = threading.Lock()
        self.over = threading.Event()
        """It needs this rank no more."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while (asked := self._connection.recv_bytes().partition(b" "))[0] == b"save":
                self._send(b"saved ", self._positions.replay(int(asked[2])))
            self.over.set()
            time.sleep(TO_SAY_WHY)
        os._exit(1)

    def _send(self, *parts: bytes) -> None:
        with self._sends:
            self._connection.send_bytes(b"".join(parts))

    def say_why(self, error: BaseException) -> None:
        """That this rank fails."""
        time.sleep(A_MOMENT)
        with contextlib.suppress(OSError):
            self._send(b"failed ", " ".join(f"{type(error).__name__}: {error}".split()).encode())


def join(world: World) -> int:
    """Takes part in a run until rank 0 ends; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # rank 0 decides
    store = world.store()
    store.set_timeout(timedelta(seconds=TO_BEGIN))
    told = json.loads(prefixed(store).get(RUN))
    run = RunFolder(Path(told["run"]))
    config = read_config(run)
    parts = RunParts(config).make()
    parts.rank, parts.run = world.rank, run
    positions = Positions(parts.data)
    connected = socket.create_connection((world.address, told["port"]), TO_BEGIN)
    connected.settimeout(None)
    connection = Connection(connected.detach())
    connection.send_bytes(f"{told['key']} {world.rank}".encode())
    rank0 = Rank0(connection, positions)
    try:
        world.join_group(store, config.trainer.accelerator == "cuda")
        if config.trainer.compile:
            parts.module.compile_losses()
        callbacks = [IterationNumbers(), positions, AgreeToStop()]
        trainer = make_trainer(config, run, parts, callbacks, world=world)
        fit(trainer, parts, None if told["checkpoint"] is None else Path(told["checkpoint"]))
    except BaseException as error:
        rank0.say_why(error)
        os._exit(1)
    rank0.over.wait()
    torch.distributed.destroy_process_group()
    return 0


def end_with(parent: IO[bytes]) -> None:
    """Ends this process when rank 0 does, even before they are connected.

    Args:
        parent: a pipe of which rank 0 has the other end.
    """
    parent.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(sys.stdin.buffer,), daemon=True).start()
    sys.exit(join(World.of(os.environ)))
