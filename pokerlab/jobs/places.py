"""Where runs are: in outputs/ here, and on the Modal Volume. Imports no torch."""

import json
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from pokerlab.errors import UserError, near
from pokerlab.store.files import TEMPORARY, now, write_json
from pokerlab.store.folder import OUTPUTS, RunFolder, find_run, local_runs
from pokerlab.store.process import find_process
from pokerlab.store.records import GOING_ON
from pokerlab.store.status import Status, read_status

if TYPE_CHECKING:
    from pokerlab.jobs.modal_client import ModalRuns

AT_A_GLANCE = ("job.json", "summary.json")


def signed_in() -> bool:
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
class Found:
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

    def alive(self) -> bool | None:
        """Whether its process or call exists; None: it cannot be asked."""
        return _alive(self.run.read_job())

    def status(self, lines: int = 0) -> Status:
        """The run at a glance."""
        return read_status(self.run, self.alive(), name=self.name, lines=lines)


def _alive(job: dict[str, Any]) -> bool | None:
    if job.get("state") not in GOING_ON:
        return False
    if job.get("launcher") == "modal":
        if job.get("call_id") is None or not signed_in():
            return None
        from pokerlab.jobs.modal_client import is_pending

        return is_pending(job["call_id"])
    if job.get("pid") is None or job.get("host") != os.uname().nodename:
        return None
    return find_process(job) is not None


@contextmanager
def located(name: str) -> Iterator[Found]:
    """The run called ``name``, or in the folder ``name``.

    Raises:
        UserError: there is none; names the near matches.
    """
    try:
        local = find_run(name)
    except UserError as error:
        if not signed_in():
            raise UserError(f"{error}; runs on Modal cannot be seen without `modal token new`") from error
    else:
        if local.read_job().get("launcher") != "modal" or not signed_in():
            yield Found(local.path.resolve().name, local, None)
            return
    name, cloud = Path(name).name, modal_runs()
    with tempfile.TemporaryDirectory() as folder:
        if name in cloud.names() and (mirror := cloud.mirror(name, Path(folder))).holds_a_run:
            yield Found(name, mirror, cloud)
            return
    known = sorted({*cloud.names(), *(run.path.name for run in local_runs())})
    raise UserError(f"no run {name!r} here or on the Volume{near(name, known)}")


def every_status(trouble: Callable[[str], None]) -> list[Status]:
    """Every run at a glance; a run on Modal that was also pulled stands once, as it is there.

    Args:
        trouble: is told of each run that cannot be read, and of Modal if it cannot be reached.
    """

    def look(found: Callable[[], Found]) -> Status | None:
        try:
            one = found()
            return one.status() if one.run.holds_a_run else None
        except UserError as error:
            trouble(str(error))
            return None

    def look_there(name: str) -> Status | None:
        return look(lambda: Found(name, cloud.mirror(name, Path(folder), AT_A_GLANCE), cloud))

    there: list[Status | None] = []
    if signed_in():
        cloud = modal_runs()
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(16) as pool:
            try:
                there = list(pool.map(look_there, cloud.names()))
            except UserError as error:
                trouble(str(error))
    names = {status.run for status in there if status is not None}
    here = [look(partial(Found, run.path.name, run, None)) for run in local_runs()]
    copies = [status for status in here if status and status.launcher == "modal" and status.run in names]
    return [status for status in there + here if status is not None and status not in copies]


# Stopping


def stop(found: Found, *, now_: bool, seconds: float, waiting: Callable[[str], None]) -> str:
    """Ends a run, with a checkpoint first.

    Args:
        found: the run.
        now_: at once, without a checkpoint.
        seconds: how long to wait for it.
        waiting: is told what is waited for.

    Returns:
        What came of it.

    Raises:
        UserError: it is not running, or did not end in time.
    """
    state = found.status().state
    if state not in GOING_ON:
        raise UserError(f"{found.name} is not running: it is {state}")
    if found.run.read_job().get("launcher") == "modal":
        _stop_on_modal(found, now_=now_, seconds=seconds, waiting=waiting)
    else:
        _stop_here(found, now_=now_, seconds=seconds, waiting=waiting)
    found.refresh()
    after = found.status()
    kept = f"{after.last_checkpoint} is there" if after.last_checkpoint else "there is no checkpoint yet"
    return f"{found.name} is stopped after {after.iterations} iterations; {kept}"


def _stop_here(found: Found, *, now_: bool, seconds: float, waiting: Callable[[str], None]) -> None:
    process = find_process(found.run.read_job())
    if process is None:
        if not now_:
            raise UserError(f"{found.name} runs on {found.run.read_job().get('host')}: stop it there")
        _record_stop(found.run)
        return
    if now_:
        for each in (process, *process.children(recursive=True)):
            each.kill()
    else:
        process.terminate()
        waiting(f"process {process.pid} saves a checkpoint")
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired as error:
        raise UserError(
            f"{found.name} still runs as process {process.pid} after {seconds:g} s: "
            "wait, or stop it with --now"
        ) from error
    if found.run.read_job().get("state") in GOING_ON:  # it had not begun to train, or was killed
        _record_stop(found.run)


def _record_stop(run: RunFolder) -> None:
    run.update_job(state="stopped")
    if summary := run.read_summary():
        write_json(run.summary, summary | {"state": "stopped", "last_updated": now()})


def _stop_on_modal(found: Found, *, now_: bool, seconds: float, waiting: Callable[[str], None]) -> None:
    from pokerlab.jobs.modal_client import cancel, is_pending, request_stop

    cloud, job = found.cloud, found.run.read_job()
    if cloud is None or job.get("call_id") is None:
        raise UserError(f"{found.name} runs on Modal: sign in with `modal token new` to stop it")
    call = job["call_id"]
    if not now_ and job.get("attempts"):  # it has begun
        request_stop(call)
        waiting(f"call {call} saves a checkpoint")
        until = time.monotonic() + seconds
        while is_pending(call) is not False:
            if time.monotonic() > until:
                raise UserError(
                    f"{found.name} still runs as call {call} after {seconds:g} s: wait, or stop it with --now"
                )
            time.sleep(2)
    cancel(call, now=now_)
    record = json.loads(cloud.read(found.name, "job.json") or b"{}")
    if record.get("state") in GOING_ON:
        stopped = json.dumps(record | {"state": "stopped"}, indent=2)
        cloud.write(found.name, {"job.json": stopped}, replace=True)


# Fetching


def pull(found: Found, fetching: Callable[[str, int], None]) -> tuple[RunFolder, int]:
    """Downloads a run's folder from the Volume into outputs/; what is there already is not sent again.

    Each file is checked for its length, and checkpoints for the checksums in them, before it takes its
    place. While the run goes on, files change: it is looked again until nothing did.

    Args:
        found: the run.
        fetching: is told each file and its size before it comes.

    Returns:
        The folder, and how many files came.

    Raises:
        UserError: it is here already, another run has its name here, or a file does not come whole.
    """
    cloud = found.cloud
    if cloud is None:
        raise UserError(f"{found.name} is here already: {found.run.path}")
    run, fetched = RunFolder(OUTPUTS / found.name), 0
    if run.holds_a_run and run.read_job().get("launcher") != "modal":
        raise UserError(f"{run.path} is another run, of this machine: rename it first")
    for _ in range(5):
        wanted = {file: at for file, at in cloud.files(found.name).items() if not _have(run.path / file, *at)}
        if not wanted:
            return run, fetched
        for file, (size, changed) in wanted.items():
            fetching(file, size)
            fetched += _fetch(cloud, found.name, file, run.path / file, size, changed)
    raise UserError(f"{found.name} changes faster than it comes: pull again later")


def _have(path: Path, size: int, changed: float) -> bool:
    return path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (size, changed)


def _fetch(cloud: "ModalRuns", name: str, file: str, path: Path, size: int, changed: float) -> bool:
    """Whether the file came whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with temporary.open("wb") as to:
            cloud.download(name, file, to)
        if temporary.stat().st_size != size:
            return False
        if path.suffix in (".ckpt", ".pt"):
            with zipfile.ZipFile(temporary) as content:
                if content.testzip() is not None:
                    return False
        os.utime(temporary, (changed, changed))
        temporary.replace(path)
    except (FileNotFoundError, zipfile.BadZipFile):  # it was just replaced there
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True
