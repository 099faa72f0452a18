"""The queue: long work, one job after the other, that pages follow, find again and cancel."""

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from pokerlab.app.workers import DIED, CancelledError, GaveWayError, ProcessDiedError, RefusedError, Worker

PATIENCE = 2.0
"""Seconds until a job that was cancelled and goes on is ended with its process."""
KEPT = 200
"""Jobs that are over and remembered, the latest ones."""
GOING_ON = ("queued", "running")


@dataclass
class Job:
    """One piece of work."""

    id: str
    function: str
    arguments: tuple[Any, ...]
    state: str = "queued"
    """``queued``, ``running``, ``done``, ``failed`` or ``cancelled``."""
    progress: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    result: Any = None
    gives_way: bool = False
    """Whether those that do not go first, even if it runs: it goes on where it ended."""
    number: int = 0
    """In the order in which jobs came."""

    @property
    def turn(self) -> tuple[bool, int]:
        """Jobs of lower ones go first."""
        return self.gives_way, self.number

    def hear(self, **told: Any) -> None:
        """What the work tells of itself."""
        self.progress.update(told)


class Jobs:
    """Jobs by their ids; the solver works on one at a time.

    Args:
        worker: who works.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._jobs: dict[str, Job] = {}
        self._waiting: asyncio.PriorityQueue[tuple[tuple[bool, int], Job]] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._running: Job | None = None

    def get(self, job: str) -> Job | None:
        """A job that is known."""
        return self._jobs.get(job)

    def position(self, job: Job) -> int:
        """How many are to be done before it."""
        if job.state != "queued":
            return 0
        ahead = [other for other in self._jobs.values() if other.state == "queued" and other.turn < job.turn]
        return len(ahead) + (self._running is not None)

    def submit(self, job: Job) -> Job:
        """Takes a job in; if one of that id is waiting, running or done, that one."""
        known = self._jobs.get(job.id)
        if known and known.state in (*GOING_ON, "done"):
            return known
        self._jobs.pop(job.id, None)
        self._jobs[job.id] = job
        over = [old for old in self._jobs.values() if old.state not in GOING_ON]
        for old in over[: max(len(over) - KEPT, 0)]:
            del self._jobs[old.id]
        job.number = next(self._numbers)
        self._wait(job)
        return job

    def _wait(self, job: Job) -> None:
        self._waiting.put_nowait((job.turn, job))
        self._tell_whether_others_wait()

    def _tell_whether_others_wait(self) -> None:
        """Tells the job that is running."""
        waiting = any(job.state == "queued" and not job.gives_way for job in self._jobs.values())
        self._worker.tell_whether_others_wait(waiting)

    def take_in(self, job: Job) -> None:
        """Remembers a job that was done elsewhere."""
        self._jobs[job.id] = job

    def forget(self, job: str) -> None:
        """Forgets a job that is over: its result is gone."""
        if (known := self._jobs.get(job)) and known.state not in GOING_ON:
            del self._jobs[job]

    async def cancel(self, job: Job) -> None:
        """Ends a job; if it does not listen, its process too."""
        if job.state == "queued":
            job.state = "cancelled"
        elif job is self._running:
            self._worker.cancel()
            for _ in range(int(PATIENCE / 0.05)):
                await asyncio.sleep(0.05)
                if job.state == "queued":  # it gave way before it heard
                    job.state = "cancelled"
                if job.state != "running":
                    return
            job.state = "cancelled"
            self._worker.kill()

    async def work(self) -> None:
        """Works for ever."""
        while True:
            _, job = await self._waiting.get()
            if job.state != "queued":
                continue
            self._running, job.state = job, "running"
            self._tell_whether_others_wait()
            try:
                job.result = await self._worker.call(job.function, *job.arguments, progress=job.hear)
                job.state = "done"
            except CancelledError:
                job.state = "cancelled"
            except GaveWayError:
                if job.state == "running":
                    job.state = "queued"
                    self._wait(job)
            except RefusedError as error:
                job.state, job.error = "failed", str(error)
            except ProcessDiedError:
                if job.state != "cancelled":
                    job.state, job.error = "failed", DIED
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.1)  # the next process is being started
            self._running = None
