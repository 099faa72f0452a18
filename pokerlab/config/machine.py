"""What a command needs of the machine: files that may be written, devices, processors."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pokerlab.errors import UserError

if TYPE_CHECKING:
    import torch

    from pokerlab.config.schema import RunConfig

WORLD_SIZE, LAUNCHED_BY_TORCHRUN = "WORLD_SIZE", "TORCHELASTIC_RUN_ID"
"""Environment variables: how many ranks there are, and whether torchrun has started them."""
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
    cores, ranks = os.cpu_count() or 1, count_ranks(config)
    if LAUNCHED_BY_TORCHRUN not in os.environ:
        _check_devices(config, ranks, cores)
    elsewhere = (address := config.actors.get("address")) is not None  # of a cluster
    if isinstance(address, str):
        from pokerlab.selfplay.actors.on_ray import check_cluster
        from pokerlab.selfplay.actors.processes import WorkerDiedError

        try:
            check_cluster(address)
        except WorkerDiedError as error:
            raise UserError(str(error)) from error
    if not elsewhere and config.workers * ranks > (most := max(FEW_WORKERS, WORKERS_A_CORE * cores)):
        each = f" on each of {ranks} ranks" if ranks > 1 else ""
        raise UserError(f"workers may be at most {most} here, with {cores} cores, got {config.workers}{each}")


def _check_devices(config: "RunConfig", ranks: int, cores: int) -> None:
    if config.trainer.accelerator == "cuda":
        import torch

        if ranks > (there := torch.cuda.device_count()):
            raise UserError(f"trainer.devices={ranks}, but this machine has {there} GPUs")
    elif ranks > (most := max(FEW_WORKERS, WORKERS_A_CORE * cores)):
        raise UserError(f"trainer.devices may be at most {most} here, with {cores} cores, got {ranks}")


def count_ranks(config: "RunConfig") -> int:
    """How many processes play and learn together: one a device, or as many as torchrun has started."""
    if LAUNCHED_BY_TORCHRUN in os.environ:
        return int(os.environ[WORLD_SIZE])
    if config.trainer.devices is not None or config.trainer.accelerator != "cuda":
        return config.trainer.devices or 1
    return max(getattr(config.launcher, "gpu_count", 0), getattr(config.launcher, "gpus", 0), 1)


def check_ranks(config: "RunConfig") -> None:
    """Whether an iteration can be divided among the ranks.

    Raises:
        UserError: it cannot, or what was asked for is something else than what there is.
    """
    ranks, trainer, launcher = count_ranks(config), config.trainer, config.launcher
    if trainer.devices not in (None, ranks):
        raise UserError(f"trainer.devices={trainer.devices}, but torchrun has started {ranks}: leave it out")
    if ranks > config.trajectories:
        raise UserError(f"trainer.devices={ranks} is more than trajectories={config.trajectories}")
    if config.batch_size % ranks:
        raise UserError(f"batch_size={config.batch_size} must be a multiple of trainer.devices={ranks}")
    for name in ("gpu_count", "gpus"):
        paid = getattr(launcher, name, None)
        if trainer.accelerator == "cuda" and paid and ranks > paid:
            raise UserError(f"trainer.devices={ranks}, but launcher.{name}={paid}")
