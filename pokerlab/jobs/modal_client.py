"""Runs on Modal, as seen from here: the Volume's files, function calls, and submissions."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import modal

from pokerlab.config.schema import ModalLauncher
from pokerlab.errors import UserError
from pokerlab.jobs.modal_app import APP, FUNCTION, STOPS, VOLUME, app
from pokerlab.store.folder import RunFolder

SMALL = ("config.yaml", "job.json", "summary.json", "training_metrics.jsonl", "training.log")
"""What a run's state can be told from."""


@contextmanager
def modal_errors(doing: str) -> Iterator[None]:
    """Turns Modal's errors into a :class:`UserError` of one line."""
    try:
        yield
    except modal.exception.AuthError as error:
        raise UserError(
            "no Modal credentials here: sign in with `modal token new`, "
            "or run on this machine with launcher=local"
        ) from error
    except modal.exception.Error as error:
        raise UserError(f"Modal did not {doing}: {' '.join(str(error).split())}") from error


class ModalRuns:
    """The runs on the Volume."""

    def __init__(self) -> None:
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

    def write(self, name: str, files: dict[str, str], *, replace: bool) -> bool:
        """Puts files into a run's folder; false: one is there, and is not to be replaced."""
        try:
            with modal_errors(f"take {', '.join(files)}"), self._volume.batch_upload(force=replace) as batch:
                for file, content in files.items():
                    batch.put_file(io.BytesIO(content.encode()), f"/{name}/{file}")
        except FileExistsError:
            return False
        return True


def is_pending(call_id: str) -> bool | None:
    """Whether a call waits, runs, or will be tried again; None: Modal cannot be reached."""
    try:
        modal.FunctionCall.from_id(call_id).get(timeout=0)
    except TimeoutError:
        return True
    except modal.exception.ConnectionError:
        return None
    except Exception:  # whatever the function raised in the end
        return False
    return False


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
def deploy() -> None:
    """Makes the app's newest version the one that is spawned; once a process."""
    with modal.enable_output() if sys.stdout.isatty() else nullcontext(), modal_errors("take the app"):
        app.deploy()


def spawn(launcher: ModalLauncher, config: dict[str, Any], job: dict[str, Any]) -> str:
    """Calls the deployed function on what ``launcher`` asks for; returns the call's id."""
    secret = launcher.wandb_secret
    deploy()
    with modal_errors("take the run"):
        function = modal.Function.from_name(APP, FUNCTION).with_options(
            gpu=f"{launcher.gpu}:{launcher.gpu_count}",
            cpu=launcher.cpu,
            memory=launcher.memory,
            timeout=launcher.time_limit,
            retries=modal.Retries(initial_delay=0.0, max_retries=launcher.retries),
            secrets=[] if secret is None else [modal.Secret.from_name(secret)],
        )
        return str(function.spawn(config, job).object_id)
