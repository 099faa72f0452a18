"""Threads that share out the loops of a solve."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Thread


class ThreadPool:
    """A number of threads.

    Not a ``ThreadPoolExecutor``: its locks are taken and released in Python code, in the midst of which
    an interrupt leaves them as they are. A ``SimpleQueue`` is C throughout.
    """

    def __init__(self, number: int) -> None:
        self._tasks: SimpleQueue = SimpleQueue()
        self._threads = [Thread(target=self._serve, name=f"cfr-{i}", daemon=True) for i in range(number)]
        for thread in self._threads:
            thread.start()

    def run(self, parts: Sequence[Callable[[], None]]) -> None:
        """Runs all of them, in any order; raises what one of them raised."""
        done: SimpleQueue = SimpleQueue()
        for part in parts:
            self._tasks.put((part, done))
        for _ in parts:
            if (error := done.get()) is not None:
                raise error

    def end(self) -> None:
        """Waits until everything begun is done; no thread is left."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            part, done = task
            try:
                part()
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)
            del task, part, done  # not until the next solve


thread_pool = cache(ThreadPool)
"""The pool of so many threads, which stays for the next solve."""


def run_in_threads(
    parts: Sequence[Callable[[], None]], threads: int, interrupt: Callable[[], None] = lambda: None
) -> None:
    """Runs all of them, in any order, in a pool; one of them, or all in one thread, without it.

    Args:
        parts: what to run.
        threads: how many.
        interrupt: called if this is interrupted, to make parts that have begun end early. They have when the
            interrupt goes on.
    """
    if len(parts) == 1 or threads == 1:
        for part in parts:
            part()
        return
    pool = thread_pool(threads)
    try:
        pool.run(parts)
    except BaseException:  # above all KeyboardInterrupt, which threads do not hear
        interrupt()
        thread_pool.cache_clear()
        pool.end()
        raise


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=thread_pool.cache_clear)  # the threads stay behind
