"""Processes that compute for the server, one call after the other."""

import asyncio
import importlib
import itertools
import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from pokerlab.errors import UserError, out_of_memory

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the locks of the server's threads

DIED = "the process that computes has ended unexpectedly, and is started again: try again"
TOO_LONG = "that takes too long, and was ended"


class RefusedError(Exception):
    """What was asked for is a user's mistake, or does not exist; the message says which in one line."""


class ProcessDiedError(Exception):
    """The process ended during a call."""


class CancelledError(Exception):
    """Ends a call that nobody wants any more."""


class GaveWayError(Exception):
    """Ends a call that goes on later, where it ended: others wait that take less."""


class Teller:
    """What a function that takes long is given: whom to tell, and whether to go on.

    Args:
        connection: to the server.
        call: the number of the call.
        cancelled: set when it is to end.
        others_wait: set while others wait that take less.
    """

    def __init__(self, connection: Connection, call: int, cancelled: Event, others_wait: Event) -> None:
        self._connection, self._call = connection, call
        self._cancelled, self._others_wait = cancelled, others_wait

    def __call__(self, **progress: Any) -> None:
        """Tells how far the work is.

        Raises:
            CancelledError: nobody wants it any more.
        """
        if self._cancelled.is_set():
            raise CancelledError
        self._connection.send((self._call, "progress", progress))

    def give_way(self) -> None:
        """Is called where the work can be gone on with by another call.

        Raises:
            GaveWayError: others wait that take less.
        """
        if self._others_wait.is_set():
            raise GaveWayError


class Worker:
    """A process that runs functions of some modules, by name, in the order in which they are called.

    Args:
        name: of the process.
        modules: that have the functions: ``area.function`` is one of ``modules[area]``.
        long: whether the functions take a :class:`Teller` first.
    """

    def __init__(self, name: str, modules: dict[str, str], *, long: bool = False) -> None:
        self.name, self._modules, self._long = name, modules, long
        self._numbers = itertools.count()
        self._calls: dict[int, tuple[asyncio.Future[Any], Callable[..., None] | None]] = {}
        self._process: multiprocessing.process.BaseProcess | None = None
        self._stopped = False

    def start(self) -> None:
        """Starts the process; it imports what it needs while the server goes on."""
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._connection, theirs = _SPAWN.Pipe()
        self._cancelled, self._others_wait = _SPAWN.Event(), _SPAWN.Event()
        self._process = _SPAWN.Process(
            target=_work,
            args=(theirs, self._cancelled, self._others_wait, self._modules, self._long),
            name=self.name,
            daemon=True,
        )
        self._process.start()
        theirs.close()
        threading.Thread(target=self._read, args=(self._connection, self._process), daemon=True).start()

    def stop(self) -> None:
        """Ends the process, and what it is doing."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.join(5)
            self._give_up()

    def kill(self) -> None:
        """Ends the process; the next one is started at once."""
        if self._process is not None:
            self._process.kill()

    def cancel(self) -> None:
        """Asks the call that is running to end."""
        self._cancelled.set()

    def tell_whether_others_wait(self, others_wait: bool) -> None:
        """Those that take less than the call that is running, if that may give way."""
        (self._others_wait.set if others_wait else self._others_wait.clear)()

    async def call(
        self,
        function: str,
        *arguments: Any,
        progress: Callable[..., None] | None = None,
        seconds: float | None = None,
    ) -> Any:
        """Runs a function there.

        Args:
            function: ``area.function``.
            arguments: what it is given.
            progress: told what it tells.
            seconds: after which it is ended, with the process; its start is not counted.

        Raises:
            RefusedError: it raised a ValueError or a UserError, memory did not suffice, or it took too long.
            CancelledError: it was cancelled.
            GaveWayError: it is to be called again.
            ProcessDiedError: the process ended.
        """
        if self._process is None:
            self.start()
        await self._ready.wait()
        number, future = next(self._numbers), asyncio.get_running_loop().create_future()
        self._calls[number] = future, progress
        self._cancelled.clear()
        try:
            self._connection.send((number, function, arguments))
        except OSError as error:
            self._calls.pop(number, None)
            raise ProcessDiedError from error
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError as error:
            self._calls.pop(number, None)
            self.kill()
            raise RefusedError(TOO_LONG) from error

    # In a thread of its own

    def _read(self, connection: Connection, process: multiprocessing.process.BaseProcess) -> None:
        try:
            while True:
                message = connection.recv()
                self._loop.call_soon_threadsafe(self._hear, *message)
        except (EOFError, OSError):
            process.join()
            if not self._stopped and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._restart)

    def _give_up(self) -> None:
        self._ready.set()
        calls, self._calls = self._calls, {}
        for future, _ in calls.values():
            if not future.done():
                future.set_exception(ProcessDiedError())

    def _restart(self) -> None:
        self._give_up()
        if not self._stopped:
            self.start()

    def _hear(self, number: int, what: str, told: Any) -> None:
        if what == "ready":
            self._ready.set()
        if number not in self._calls:
            return
        future, progress = self._calls[number]
        if what == "progress":
            if progress:
                progress(**told)
            return
        del self._calls[number]
        if future.done():
            return
        if what == "done":
            future.set_result(told)
        elif what == "cancelled":
            future.set_exception(CancelledError())
        elif what == "gave way":
            future.set_exception(GaveWayError())
        else:
            future.set_exception(RefusedError(told))


def _work(
    connection: Connection, cancelled: Event, others_wait: Event, modules: dict[str, str], long: bool
) -> None:
    """The process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    found = {area: importlib.import_module(module) for area, module in modules.items()}
    for module in found.values():
        getattr(module, "warm_up", lambda: None)()
    connection.send((-1, "ready", None))
    while True:
        try:
            number, function, arguments = connection.recv()
        except (EOFError, OSError):
            return
        area, _, name = function.partition(".")
        teller = (Teller(connection, number, cancelled, others_wait),) if long else ()
        try:
            answer = "done", getattr(found[area], name)(*teller, *arguments)
        except CancelledError:
            answer = "cancelled", None
        except GaveWayError:
            answer = "gave way", None
        except (ValueError, UserError) as error:
            answer = "refused", " ".join(str(error).split())
        except BrokenPipeError:
            return
        except Exception as error:
            answer = "failed", out_of_memory(error) or f"{type(error).__name__}: {error}"
            traceback.print_exc(file=sys.stderr)
        try:
            connection.send((number, *answer))
        except OSError:
            return
