"""A run's agent, from one of its checkpoints."""

from pathlib import Path

from pokerlab.config.schema import RunConfig
from pokerlab.errors import UserError
from pokerlab.store.checkpoints import load_weights, read_checkpoint
from pokerlab.store.folder import LAST, RunFolder, find_run
from pokerlab.training.assemble import RunParts


def find_checkpoint(wanted: str, key: str = "run") -> tuple[RunFolder, Path]:
    """The checkpoint that ``run=`` means, and the run it belongs to.

    Args:
        wanted: a run's name or folder, or a checkpoint.
        key: what errors call it.

    Raises:
        UserError: there is none.
    """
    if wanted.endswith(".ckpt"):
        path = Path(wanted)
        if not path.is_file():
            raise UserError(f"{key}={wanted}: no such file")
        run = RunFolder(path.absolute().parent.parent)
        if not run.config.exists():
            raise UserError(f"{key}={wanted}: expected it in a run's folder, but {run.config} does not exist")
        return run, path
    run = find_run(wanted, shipped=True)
    path = run.checkpoints / LAST
    if not path.is_file():
        raise UserError(f"{key}={wanted}: {run.path} has no checkpoint yet")
    return run, path


def restore(config: RunConfig, path: Path) -> tuple[RunParts, int]:
    """A run's objects with the weights of one of its checkpoints, and the iterations that those took.

    Raises:
        UserError: the checkpoint cannot be read, or is of another game or other networks.
    """
    checkpoint = read_checkpoint(path)
    parts = RunParts(config)
    if checkpoint["pokerlab"]["game"] != parts.game.name:
        raise UserError(
            f"{path} is a checkpoint of {checkpoint['pokerlab']['game']}, not of {parts.game.name}"
        )
    load_weights(parts.module, checkpoint["state_dict"], path)
    return parts, checkpoint["pokerlab"]["iteration"]
