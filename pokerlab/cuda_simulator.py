"""numba's simulator of a GPU, one thread at a time.

Its own threads run all at once: it polls them, and two that ask for a shared array at once may get two.
Here a thread of a block runs to its next barrier, then the next one does. That is also several times faster.
"""

import threading
from typing import Any

import numpy as np
from numba.cuda.simulator import kernel


class _Thread(kernel.BlockThread):
    """A thread that waits for its turn at each barrier."""

    def run(self) -> None:
        super().run()  # type: ignore[no-untyped-call]
        self._manager.is_back.release()

    def take_turn(self) -> None:
        """Runs to the next barrier, or to the end."""
        if self.ident is None:
            self.start()
        else:
            self.syncthreads_event.set()
        self._manager.is_back.acquire()

    def syncthreads(self) -> None:
        self.syncthreads_blocked = True
        self._manager.is_back.release()
        self.syncthreads_event.wait()
        self.syncthreads_event.clear()
        self.syncthreads_blocked = False
        if self.abort:
            raise RuntimeError("another thread of the block failed")


class _Block(kernel.BlockManager):
    """The threads of a block, one after the other from barrier to barrier."""

    def run(self, grid_point: tuple[int, ...], *args: Any) -> None:
        self.is_back = threading.Semaphore(0)
        make: Any = _Thread
        points = np.ndindex(*self._block_dim)
        threads = [make(lambda: self._f(*args), self, grid_point, at, self._debug) for at in points]
        running = threads
        while running:
            for thread in running:
                thread.take_turn()
                if thread.exception is not None:
                    self._end(threads)
                    raise thread.exception[0].with_traceback(thread.exception[1])
            running = [thread for thread in running if thread.syncthreads_blocked]

    def _end(self, threads: list[_Thread]) -> None:
        for thread in threads:
            thread.abort = True
            if thread.syncthreads_blocked:
                thread.take_turn()
            if thread.ident is not None:
                thread.join()


def take_turns() -> None:
    """Has numba's simulator work so from now on."""
    kernel.BlockManager = _Block  # type: ignore[misc]
