"""What a command needs of the machine: files that may be written, devices, processors."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pokerlab.errors import UserError

if TYPE_CHECKING:
    import torch

    from pokerlab.config.schema import RunConfig

FEW_WORKERS, WORKERS_A_CORE = 32, 8
"""How many self-play processes any machine may have, and others for each of its cores; one takes 200 MB."""
DEVICES = "expected cpu, or cuda where there is a GPU"


def output_path(path: str | None, key: str) -> Path | None:
    """``path`` as a file that can be written; None: nothing is asked for.

    Raises:
        UserError: its folder does not exist, or there is something else than a file.
    """
    if path is None:
        return None
    wanted = Path(path)
    if not wanted.parent.is_dir():
        raise UserError(f"{key}={path}: the folder {wanted.parent} does not exist")
    if wanted.exists() and not wanted.is_file():  # a device or a pipe must not be replaced
        what = "a folder" if wanted.is_dir() else "not a regular file"
        raise UserError(f"{key}={path} is {what}: expected a file")
    try:
        with tempfile.TemporaryFile(dir=wanted.parent):
            pass
    except OSError as error:
        raise UserError(f"{key}={path}: cannot write there: {error.strerror}") from error
    return wanted


def torch_device(name: str, key: str = "device") -> "torch.device":
    """A device that is there.

    Raises:
        UserError: it is not.
    """
    import torch  # checking the rest of a command line needs none

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{key}={name!r} is not available here: {DEVICES}") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"{key}={name!r} will not do: {DEVICES}")
    return device


def check_machine(config: "RunConfig") -> None:
    """Whether a run can be on this machine.

    Raises:
        UserError: it cannot.
    """
    try:
        torch_device(config.trainer.accelerator, "trainer.accelerator")
    except UserError as error:
        hint = "; trainer=cpu trains on the CPU" if config.trainer.accelerator == "cuda" else ""
        raise UserError(f"{error}{hint}") from error
    cores = os.cpu_count() or 1
    elsewhere = config.actors.get("address") is not None  # of a cluster
    if not elsewhere and config.workers > (most := max(FEW_WORKERS, WORKERS_A_CORE * cores)):
        raise UserError(f"workers may be at most {most} here, with {cores} cores, got {config.workers}")
