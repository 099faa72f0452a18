"""Several ranks, as rank 0 sees them: processes that each play and learn a share of every iteration.

Rank 0 alone has the run's folder. It starts the others, unless torchrun has, and tells them which run it is.
Lightning's DDP averages gradients; what else they have to agree on, ranks gather
(:mod:`pokerlab.selfplay.ranks`). Beside that, each has a connection to rank 0, over which replays are fetched
that are to be saved, at whatever moment, and either side notices when the other one is gone.

Lightning itself would run this process's command again for each of the others. That may be a league's, a
notebook's or a submitted job's, so they are started as :mod:`pokerlab.training.rank`.
"""

import contextlib
import io
import json
import logging
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import torch
import torch.distributed
from torch._C._distributed_c10d import TCPStore

from pokerlab.interrupts import interrupt
from pokerlab.selfplay.ranks import RankLostError
from pokerlab.store.folder import RunFolder
from pokerlab.training.world import World, prefixed, started_by_torchrun

log = logging.getLogger("pokerlab")

TO_BEGIN, TO_SAVE, TO_SAY_WHY, TO_END = 600.0, 600.0, 5.0, 30.0
"""Seconds that others may take to come, to send their replays, and to say why they end; and that rank 0 may
take to end when one of them is gone."""
AGAIN = 5.0
"""Seconds after which this process is interrupted once more: in a destructor that is lost."""
HERE = "127.0.0.1"
RUN = "run"
"""Which run it is, in the store."""


class Ranks:
    """The others.

    Args:
        run: which run it is.
        world: of this process.
        connections: to each of them, by their ranks.
        processes: those that this process has started.
    """

    def __init__(
        self,
        run: RunFolder,
        world: World,
        connections: Mapping[int, Connection],
        processes: Mapping[int, "_Process"],
    ) -> None:
        self.world = world
        self.lost: str | None = None
        """Which of them ended, and how."""
        self.is_over = threading.Event()
        """From now on they may end."""
        self._run, self._connections, self._processes = run, connections, processes
        self._replays: dict[int, queue.Queue[bytes]] = {rank: queue.Queue() for rank in connections}
        self._found, self._lock = threading.Event(), threading.Lock()
        self._fits = False
        for rank in connections:
            threading.Thread(target=self._listen, args=(rank,), daemon=True).start()

    def _listen(self, rank: int) -> None:
        why = None
        with contextlib.suppress(EOFError, OSError):
            while True:
                what, _, content = self._connections[rank].recv_bytes().partition(b" ")
                if what == b"failed":
                    why = content.decode()
                else:
                    self._replays[rank].put(content)
        if not self.is_over.is_set():
            self._lose(rank, why)

    def _lose(self, rank: int, why: str | None) -> None:
        process = self._processes.get(rank)
        who = f"rank {rank}" + (f" (pid {process.popen.pid})" if process else "")
        how = process.how_it_ended() if process else "its connection ended"
        with self._lock:
            if self.lost is not None:
                return  # then this one ended for that reason
            self.lost = f"{who} failed: {why}" if why else f"{who} died: {how}"
        self._found.set()
        end = time.monotonic() + TO_END
        while self._fits and time.monotonic() < end:
            interrupt()  # which `raise_if_lost` answers
            self.is_over.wait(AGAIN)
        if self._fits:  # it is in the midst of something that cannot be interrupted
            log.error("failed: %s", self.lost)
            self._run.update_job(state="failed", reason=self.lost)
            os._exit(1)

    def join_group(self, store: TCPStore, *, on_gpus: bool) -> None:
        """Waits until all ranks can be asked.

        Raises:
            RankLostError: one of them is gone, for which torch.distributed would wait.
        """
        waits = threading.Thread(target=self.world.join_group, args=(store, on_gpus), daemon=True)
        waits.start()
        while waits.is_alive():
            waits.join(0.05)
            if self.lost is not None:
                raise RankLostError(self.lost)

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """Where the loss of a rank interrupts this process.

        Raises:
            RankLostError: one is lost.
        """
        self._fits = True
        try:
            self.raise_if_lost()
            yield
        except Exception as error:
            said = str(error).lower()
            if isinstance(error, RankLostError) or "gloo" in said or "nccl" in said:
                self._found.wait(2 * TO_SAY_WHY)
                raise RankLostError(self.lost or error) from error
            raise
        finally:
            self._fits = False

    def raise_if_lost(self) -> None:
        """Handles a signal that may mean that.

        Raises:
            RankLostError: a rank is lost, and nothing else is being raised.
        """
        if self.lost is not None and sys.exception() is None:
            raise RankLostError(self.lost)

    def replays(self, iteration: int) -> list[tuple[dict[str, Any], list[str]]]:
        """What the others' replays were like after so many iterations, and which files they need now.

        Raises:
            RankLostError: one of them is gone.
        """
        for connection in self._connections.values():
            with contextlib.suppress(OSError):  # it is gone, as is about to be seen
                connection.send_bytes(b"save %d" % iteration)
        found = []
        for rank in self._connections:
            content = torch.load(io.BytesIO(self._answer(rank)), map_location="cpu", weights_only=True)
            found.append((content["replay"], content["needed"]))
        return found

    def _answer(self, rank: int) -> bytes:
        end = time.monotonic() + TO_SAVE
        while self.lost is None and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                return self._replays[rank].get(timeout=0.2)
        raise RankLostError(self.lost or f"rank {rank} does not send its replay")

    def close(self) -> None:
        """Lets the others end: they are done as well."""
        self.is_over.set()
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.send_bytes(b"end")
        for process in self._processes.values():
            process.end()


class _Process:
    """A rank that this process has started."""

    def __init__(self, world: World) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.popen = start_process(os.environ | world.environment(), self._output)

    def how_it_ended(self) -> str:
        """Its exit code and its last words, or the signal."""
        try:
            code = self.popen.wait(TO_SAY_WHY)
        except subprocess.TimeoutExpired:
            return "its connection ended"
        if code < 0:
            hint = ", out of memory perhaps" if code == -signal.SIGKILL else ""
            return f"killed by {signal.Signals(-code).name}{hint}"
        self._output.seek(0)
        said = [line for line in self._output.read().decode(errors="replace").splitlines() if line.strip()]
        return f"exit code {code}" + (f": {said[-1].strip()}" if said else "")

    def end(self) -> None:
        """Waits a moment for its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(TO_SAY_WHY)

    def kill(self) -> None:
        """It has nothing to lose."""
        self.popen.kill()
        self.popen.wait()
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self._output.close()


def start_process(environment: Mapping[str, str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A process of this one's group: who kills the group kills it. It ends when its standard input does."""
    command = [sys.executable, "-m", "pokerlab.training.rank"]
    return subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.PIPE, stdout=output, stderr=output
    )


@contextlib.contextmanager
def together(run: RunFolder, checkpoint: Path | None, ranks: int, *, on_gpus: bool) -> Iterator[Ranks]:
    """Starts the other ranks, or waits for those of torchrun; ends them afterwards.

    Args:
        run: which run it is; all have to see its folder.
        checkpoint: that it begins at.
        ranks: how many there are, this one included.
        on_gpus: whether they learn on GPUs.

    Raises:
        RankLostError: one does not come.
    """
    world, processes = started_by_torchrun(), dict[int, _Process]()
    if world is not None:
        store = world.store()
    else:
        store = TCPStore(HERE, 0, is_master=True, wait_for_workers=False)
        world = World(0, ranks, 0, ranks, HERE, store.port)
        for rank in range(1, ranks):
            processes[rank] = _Process(World(rank, ranks, rank, ranks, HERE, store.port))
    made = None
    try:
        connections = _accept(run, checkpoint, world, store, processes)
        made = Ranks(run, world, connections, processes)
        made.join_group(store, on_gpus=on_gpus)
        yield made
        made.close()
    finally:
        if made is not None:
            made.is_over.set()
        for process in processes.values():
            process.kill()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _accept(
    run: RunFolder, checkpoint: Path | None, world: World, store: TCPStore, processes: Mapping[int, _Process]
) -> dict[int, Connection]:
    """Tells the others which run it is, and where to connect; the connections, by their ranks."""
    found, key, end = dict[int, Connection](), secrets.token_hex(16), time.monotonic() + TO_BEGIN
    with socket.create_server((world.address, 0)) as listener:
        listener.settimeout(0.2)
        told = {"run": str(run.path.resolve()), "port": listener.getsockname()[1], "key": key}
        told["checkpoint"] = None if checkpoint is None else str(checkpoint.resolve())
        prefixed(store).set(RUN, json.dumps(told))
        while len(found) < world.size - 1:
            for rank, process in processes.items():
                if rank not in found and process.popen.poll() is not None:
                    raise RankLostError(f"rank {rank} died while it started: {process.how_it_ended()}")
            if time.monotonic() > end:
                raise RankLostError(f"{world.size - 1 - len(found)} of {world.size} ranks do not come")
            try:
                connection = Connection(listener.accept()[0].detach())
            except TimeoutError:
                continue
            with contextlib.suppress(EOFError, OSError, ValueError):
                said, rank_said = connection.recv_bytes(1000).decode().split()
                if secrets.compare_digest(said, key):
                    found[int(rank_said)] = connection
    return dict(sorted(found.items()))
