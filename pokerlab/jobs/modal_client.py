"""Runs on Modal, as seen from here: the Volume's files, function calls, and submissions."""

import io
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import modal
from modal.config import config as modal_config

from pokerlab.config.schema import ModalLauncher
from pokerlab.errors import UserError
from pokerlab.jobs.code_version import code_version
from pokerlab.jobs.modal_app import APP, FUNCTION, STOPS, VOLUME, app
from pokerlab.store.folder import RunFolder

SMALL = ("config.yaml", "job.json", "summary.json", "training_metrics.jsonl", "training.log")
"""What a run's state can be told from."""


@contextmanager
def modal_errors(doing: str, instead: str = "run on this machine with launcher=local") -> Iterator[None]:
    """Turns Modal's errors into a :class:`UserError` of one line.

    Args:
        doing: what Modal was to do.
        instead: what can be done without an account.
    """
    try:
        yield
    except modal.exception.AuthError as error:
        if modal_config.get("token_id"):
            said = " ".join(str(error).split())
            raise UserError(
                f"Modal rejects this token: make another with `modal token new` ({said})"
            ) from error
        raise UserError(f"no Modal credentials here: sign in with `modal token new`, or {instead}") from error
    except modal.exception.Error as error:
        raise UserError(f"Modal did not {doing}: {' '.join(str(error).split())}") from error


def check_reachable(seconds: float = 5.0) -> None:
    """Raises a UserError if none of Modal's servers answers; its client would try for a minute.

    Whether there are credentials, and how to reach it through a proxy, is for the client to say.
    """
    urls = [urlsplit(url.strip()) for url in modal_config.get("server_url").split(",")]
    if not modal_config.get("token_id") or getproxies() or any(not url.hostname for url in urls):
        return
    for url in urls:
        try:
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((url.hostname or "", port), timeout=seconds).close()
        except OSError as error:
            why = error.strerror or str(error)
        else:
            return
    raise UserError(f"Modal cannot be reached: {urls[-1].hostname}: {why}")


class ModalRuns:
    """The runs on the Volume.

    Raises:
        UserError: Modal cannot be reached.
    """

    def __init__(self) -> None:
        check_reachable()
        self._volume = modal.Volume.from_name(VOLUME, create_if_missing=True)

    def names(self) -> list[str]:
        """Every run's name."""
        with modal_errors("list the runs"):
            entries = self._volume.listdir("/")
        found = (entry.path.strip("/") for entry in entries)
        return sorted(name for name in found if name == Path(name).name != "..")

    def read(self, name: str, file: str) -> bytes | None:
        """A file of a run; None: there is none."""
        try:
            with modal_errors(f"read {name}/{file}"):
                return b"".join(self._volume.read_file(f"{name}/{file}"))
        except FileNotFoundError:
            return None

    def mirror(self, name: str, folder: Path, files: tuple[str, ...] = SMALL) -> RunFolder:
        """A copy of some of a run's files in ``folder / name``."""
        run = RunFolder(folder / name)
        run.path.mkdir(parents=True, exist_ok=True)
        for file in files:
            content = self.read(name, file)
            if content is not None:
                (run.path / file).write_bytes(content)
        return run

    def files(self, name: str) -> dict[str, tuple[int, float]]:
        """Every file of a run: path below its folder → size in bytes, and when it was changed.

        Raises:
            UserError: the listing leads out of the folder.
        """
        with modal_errors(f"list the files of {name}"):
            entries = self._volume.listdir(f"/{name}", recursive=True)
        found = {}
        for entry in entries:
            first, *inside = Path(entry.path.strip("/")).parts
            if first != name or ".." in inside:
                raise UserError(f"the Volume lists {entry.path!r}, which is not a file of {name}")
            if entry.type == modal.types.FileEntryType.FILE:
                found[str(Path(*inside))] = entry.size, float(entry.mtime)
        return found

    def download(self, name: str, file: str, to: io.BufferedWriter) -> None:
        """Writes a file of a run to ``to``."""
        with modal_errors(f"send {name}/{file}"):
            for chunk in self._volume.read_file(f"{name}/{file}"):
                to.write(chunk)

    def write(self, name: str, files: Mapping[str, str | bytes], *, replace: bool) -> bool:
        """Puts files into a run's folder; false: one is there, and is not to be replaced."""
        try:
            with modal_errors(f"take {', '.join(files)}"), self._volume.batch_upload(force=replace) as batch:
                for file, content in files.items():
                    raw = content.encode() if isinstance(content, str) else content
                    batch.put_file(io.BytesIO(raw), f"/{name}/{file}")
        except FileExistsError:
            return False
        return True


def is_pending(call_id: str) -> bool | None:
    """Whether a call waits, runs, or will be tried again; None: Modal cannot be reached."""
    try:
        check_reachable()
        modal.FunctionCall.from_id(call_id).get(timeout=0)
    except TimeoutError:
        return True
    except (UserError, modal.exception.AuthError, modal.exception.ConnectionError):
        return None
    except Exception:  # whatever the function raised in the end
        return False
    return False


def call_logs(call_id: str, lines: int) -> list[str]:
    """The last lines that a call's containers printed; none if Modal does not give them."""
    try:
        entries = list(modal.FunctionCall.from_id(call_id).logs.tail(lines))
    except Exception:  # it does not know the call yet, or keeps no logs of it any more
        return []
    return "".join(entry.message for entry in entries).splitlines()[-lines:]


def request_stop(call_id: str) -> None:
    """Asks a call to save a checkpoint and end; it looks every few seconds."""
    with modal_errors("take the request"):
        modal.Dict.from_name(STOPS, create_if_missing=True).put(call_id, True)


def cancel(call_id: str, *, now: bool) -> None:
    """Ends a call for good: it will not be tried again.

    Args:
        call_id: the call.
        now: its container too, whatever it is doing.
    """
    with modal_errors("cancel the call"):
        modal.FunctionCall.from_id(call_id).cancel(terminate_containers=now)


@cache
def deploy() -> str:
    """Deploys this code as an app of its own, which no other code takes the place of; once a process.

    An attempt that is started again, days later perhaps, runs the code that was submitted.

    Returns:
        The app's name.
    """
    name = f"{APP}-{code_version().partition('+')[2]}"
    with modal.enable_output() if sys.stdout.isatty() else nullcontext(), modal_errors("take the app"):
        app.deploy(name=name)
    return name


def spawn(launcher: ModalLauncher, config: dict[str, Any], job: dict[str, Any]) -> str:
    """Calls the deployed function on what ``launcher`` asks for; returns the call's id."""
    secret, deployed = launcher.wandb_secret, deploy()
    with modal_errors("take the run"):
        function = modal.Function.from_name(deployed, FUNCTION).with_options(
            gpu=f"{launcher.gpu}:{launcher.gpu_count}",
            cpu=launcher.cpu,
            memory=launcher.memory,
            timeout=launcher.time_limit,
            retries=modal.Retries(initial_delay=0.0, max_retries=launcher.retries),
            secrets=[] if secret is None else [modal.Secret.from_name(secret)],
        )
        return str(function.spawn(config, job).object_id)
