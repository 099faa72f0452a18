"""Where runs are: in outputs/ here, and on the Modal Volume. Imports no torch."""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pokerlab.errors import UserError, near
from pokerlab.store.folder import RunFolder, find_run, local_runs
from pokerlab.store.lock import RunLock
from pokerlab.store.process import find_process
from pokerlab.store.records import GOING_ON
from pokerlab.store.status import Status, read_status

if TYPE_CHECKING:
    from pokerlab.jobs.modal_client import ModalRuns

AT_A_GLANCE = ("job.json", "summary.json")


def is_signed_in() -> bool:
    """Whether there are Modal credentials; asked without importing modal, which takes half a second."""
    if os.environ.get("MODAL_TOKEN_ID"):
        return True
    path = Path(os.environ.get("MODAL_CONFIG_PATH", "~/.modal.toml")).expanduser()
    return path.is_file() and "token_id" in path.read_text(errors="replace")


def modal_runs() -> "ModalRuns":
    """The runs on the Volume."""
    from pokerlab.jobs.modal_client import ModalRuns

    return ModalRuns()


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run, wherever it is."""

    name: str
    run: RunFolder
    """Its folder; of a run on Modal, a mirror of the small files."""
    cloud: "ModalRuns | None"
    """Where it was mirrored from."""

    @property
    def pause(self) -> float:
        """Seconds after which it is worth looking again."""
        return 0.5 if self.cloud is None else 10.0

    def refresh(self) -> None:
        """Mirrors a run on Modal again."""
        if self.cloud is not None:
            self.cloud.mirror(self.name, self.run.path.parent)

    def output(self, lines: int) -> list[str]:
        """What the machine of a run on Modal printed last: what there is before the run itself logs."""
        call = self.run.read_job().get("call_id")
        if self.cloud is None or call is None:
            return []
        from pokerlab.jobs.modal_client import call_logs

        return call_logs(call, lines)

    def alive(self) -> bool | None:
        """Whether its process or call exists; None: it cannot be asked."""
        return is_alive(self.run.read_job())

    @property
    def is_held(self) -> bool:
        """Whether a process of this machine still has the folder, if only to draw plots in the end."""
        try:
            RunLock(self.run.path).release()
        except BlockingIOError:
            return True
        return False

    def status(self, lines: int = 0) -> Status:
        """The run at a glance."""
        return read_status(self.run, self.alive(), name=self.name, lines=lines)


def is_alive(job: dict[str, Any]) -> bool | None:
    """Whether the process, call or job that job.json names exists; None: it cannot be asked."""
    if job.get("state") not in GOING_ON:
        return False
    if job.get("launcher") == "modal":
        if job.get("call_id") is None or not is_signed_in():
            return None
        from pokerlab.jobs.modal_client import is_pending

        return is_pending(job["call_id"])
    if job.get("launcher") == "slurm":
        from pokerlab.jobs.slurm import is_pending as is_queued

        return None if job.get("call_id") is None else is_queued(job["call_id"])
    if job.get("pid") is None or job.get("host") != os.uname().nodename:
        return None
    return find_process(job) is not None


@contextmanager
def find_anywhere(name: str) -> Iterator[FoundRun]:
    """The run called ``name``, or in the folder ``name``.

    Raises:
        UserError: there is none; names the near matches.
    """
    try:
        local = find_run(name)
    except UserError as error:
        if not is_signed_in():
            raise UserError(f"{error}; runs on Modal cannot be seen without `modal token new`") from error
    else:
        if local.read_job().get("launcher") != "modal" or not is_signed_in():
            yield FoundRun(local.path.resolve().name, local, None)
            return
    name, cloud = Path(name).name, modal_runs()
    with tempfile.TemporaryDirectory() as folder:
        if name in cloud.names() and (mirror := cloud.mirror(name, Path(folder))).holds_a_run:
            yield FoundRun(name, mirror, cloud)
            return
    known = sorted({*cloud.names(), *(run.path.name for run in local_runs())})
    raise UserError(f"no run {name!r} here or on the Volume{near(name, known)}")


def all_statuses(trouble: Callable[[str], None]) -> list[Status]:
    """Every run at a glance; a run on Modal that was also pulled stands once, as it is there.

    Args:
        trouble: is told of each run that cannot be read, and of Modal if it cannot be reached.
    """

    def look(found: Callable[[], FoundRun]) -> Status | None:
        try:
            one = found()
            return one.status() if one.run.holds_a_run else None
        except UserError as error:
            trouble(str(error))
            return None

    there: list[Status | None] = []
    if is_signed_in():
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(16) as pool:
            try:
                cloud = modal_runs()

                def look_there(name: str) -> Status | None:
                    return look(lambda: FoundRun(name, cloud.mirror(name, Path(folder), AT_A_GLANCE), cloud))

                there = list(pool.map(look_there, cloud.names()))
            except UserError as error:
                trouble(str(error))
    names = {status.run for status in there if status is not None}
    here = [look(partial(FoundRun, run.path.name, run, None)) for run in local_runs()]
    copies = [status for status in here if status and status.launcher == "modal" and status.run in names]
    return [status for status in there + here if status is not None and status not in copies]
