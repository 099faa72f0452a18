"""Makes a trained run one that the package ships: ``python -m benchmarks.ship RUN NAME``.

Writes ``trained/NAME``: the run's config and metrics, and its last checkpoint's weights without what only
training needs; in half precision, if that is what it takes to be small. What that does to it is for
``pokerlab evaluate run=NAME json=…`` to say: search would be at 6.5 instead of 4.5 mbb on ``fhp``. Its
evaluation.json and README.md, the model card, are made by hand.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml

from pokerlab.errors import UserError
from pokerlab.store.checkpoints import LEARNED, read_checkpoint
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
    weights = {key: each for key, each in content["state_dict"].items() if not key.startswith(LEARNED)}
    if _megabytes(weights) > MOST_MB:
        weights = {key: each.half() if each.is_floating_point() else each for key, each in weights.items()}
    if (size := _megabytes(weights)) > MOST_MB:
        raise UserError(f"{wanted} has {size:.1f} MB of weights, and a shipped run {MOST_MB} at most")
    to = RunFolder(shipped_path("trained") / name)
    write_atomically(
        to.checkpoints / LAST,
        lambda file: torch.save({"state_dict": weights, "pokerlab": content["pokerlab"]}, file),
    )
    named = {"run_name": name, "run_dir": f"outputs/{name}", "resume_from": None}
    config = yaml.safe_load(run.config.read_text()) | named
    to.config.write_text(yaml.safe_dump(config, sort_keys=False))
    for path in (run.summary, run.metrics):
        if path.exists():
            shutil.copy(path, to.path)
    return to.path


def _megabytes(weights: Mapping[str, torch.Tensor]) -> float:
    return sum(each.nbytes for each in weights.values()) / 1e6


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
