"""The weights of another run, which a new one begins with; nothing else of that run goes on."""

from typing import Any

import torch

from pokerlab.config.schema import RunConfig
from pokerlab.errors import UserError
from pokerlab.store.checkpoints import load, load_weights, read_checkpoint
from pokerlab.store.files import write_atomically
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.restore import find_checkpoint


def take_weights(config: RunConfig, parts: RunParts, run: RunFolder | None = None) -> dict[str, Any] | None:
    """Puts the weights that ``start_from`` names into a run's networks.

    Args:
        config: of the run.
        parts: of the run.
        run: its folder, which may hold them already; None: it is not made yet.

    Returns:
        Them; None: the run begins with new ones.

    Raises:
        UserError: they cannot be read, or are of other networks.
    """
    if config.start_from is None:
        return None
    if run is not None and run.first_weights.exists():
        path = run.first_weights
        weights: Any = load(path)
    else:
        _, path = find_checkpoint(str(config.start_from), "start_from")
        content = read_checkpoint(path)
        weights, game = content["state_dict"], content["pokerlab"]["game"]
        if game != parts.game.name:
            raise UserError(f"start_from={path} is a checkpoint of {game}, not of {parts.game.name}")
    try:
        load_weights(parts.module, weights, path)
    except UserError as error:
        raise UserError(f"start_from: {error}") from error
    found: dict[str, Any] = weights
    return found


def keep_weights(run: RunFolder, weights: dict[str, Any] | None) -> None:
    """Keeps them with the run: killed before its first checkpoint, it begins with the same again."""
    if weights is not None:
        write_atomically(run.first_weights, lambda file: torch.save(weights, file))
