"""Makes a trained run one that the package ships: ``python -m benchmarks.ship RUN NAME``.

Writes ``trained/NAME``: the run's config, metrics and evaluation, and its last checkpoint's weights in half
precision, without what only training needs. Its README.md, the model card, is written by hand.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
import yaml

from pokerlab.errors import UserError
from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.files import shipped_path, write_atomically
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.restore import find_checkpoint

MOST_MB = 8
"""What a shipped checkpoint may have."""


def ship(wanted: str, name: str) -> Path:
    """Writes the folder, anew if it is there, and returns it.

    Raises:
        UserError: there is no such run, or its weights are too many.
    """
    run, checkpoint = find_checkpoint(wanted)
    content = read_checkpoint(checkpoint)
    weights = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in content["state_dict"].items()
    }
    if (size := sum(each.nbytes for each in weights.values()) / 1e6) > MOST_MB:
        raise UserError(f"{wanted} has {size:.1f} MB of weights, and a shipped run {MOST_MB} at most")
    to = RunFolder(shipped_path("trained") / name)
    write_atomically(
        to.checkpoints / LAST,
        lambda file: torch.save({"state_dict": weights, "pokerlab": content["pokerlab"]}, file),
    )
    config = yaml.safe_load(run.config.read_text()) | {"run_name": name, "run_dir": f"outputs/{name}"}
    to.config.write_text(yaml.safe_dump(config, sort_keys=False))
    for path in (run.summary, run.metrics, run.evaluation):
        if path.exists():
            shutil.copy(path, to.path)
    return to.path


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ship")
    parser.add_argument("run", help="its name, its folder, or one of its checkpoints")
    parser.add_argument("name", help="what to call it: pokerlab.load(NAME)")
    arguments = parser.parse_args()
    try:
        print(ship(arguments.run, arguments.name))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
