"""Fetching runs from the Modal Volume."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pokerlab.errors import UserError
from pokerlab.jobs.places import FoundRun
from pokerlab.store.files import TEMPORARY
from pokerlab.store.folder import OUTPUTS, RunFolder

if TYPE_CHECKING:
    from pokerlab.jobs.modal_client import ModalRuns


def pull(
    found: FoundRun, report: Callable[[str, int], None], to: RunFolder | None = None
) -> tuple[RunFolder, int]:
    """Downloads a run's folder from the Volume; what is there already is not sent again.

    Each file is checked for its length, and checkpoints for the checksums in them, before it takes its
    place. While the run goes on, files change: it is looked again until nothing did.

    Args:
        found: the run.
        report: gets each file and its size before it comes.
        to: where to; None: into outputs/.

    Returns:
        The folder, and how many files came.

    Raises:
        UserError: it is here already, another run has its name here, or a file does not come whole.
    """
    cloud = found.cloud
    if cloud is None:
        raise UserError(f"{found.name} is here already: {found.run.path}")
    run, fetched = to or RunFolder(OUTPUTS / found.name), 0
    if run.holds_a_run and run.read_job().get("launcher") != "modal":
        raise UserError(f"{run.path} is another run, of this machine: rename it first")
    for _ in range(5):
        wanted = {file: at for file, at in cloud.files(found.name).items() if not _have(run.path / file, *at)}
        if not wanted:
            return run, fetched
        for file, (size, changed) in wanted.items():
            report(file, size)
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
