"""Makes a trained run one that the package ships: ``python -m benchmarks.ship RUN NAME``.

Writes ``trained/NAME``: the run's config and metrics, and its last checkpoint's weights without what only
training needs; in half precision, or matrices in a byte a number, if that is what it takes to be small. What
that does to it is for ``pokerlab evaluate run=NAME json=…`` to say: in half precision, search by an agent of
``fhp`` was at 6.5 instead of 4.5 mbb. Its evaluation.json and README.md, the model card, are made by hand.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils._pytree import tree_leaves

from pokerlab.errors import UserError
from pokerlab.store.checkpoints import LEARNED, pack, read_checkpoint
from pokerlab.store.files import shipped_path, write_atomically
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.restore import find_checkpoint

MOST_MB = 8
"""What a shipped checkpoint may have."""
LEAST_COLUMNS = 8
"""Of a matrix that is packed: each row also takes four bytes."""


def ship(wanted: str, name: str) -> Path:
    """Writes the folder, anew if it is there, and returns it.

    Raises:
        UserError: there is no such run, or its weights are too many.
    """
    run, checkpoint = find_checkpoint(wanted)
    content = read_checkpoint(checkpoint)
    whole = {key: each for key, each in content["state_dict"].items() if not key.startswith(LEARNED)}
    for smaller in (lambda weight: weight, _half, _bytes):
        weights = {key: smaller(each) if each.is_floating_point() else each for key, each in whole.items()}
        if (size := _megabytes(weights)) <= MOST_MB:
            break
    else:
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


def _half(weight: Tensor) -> Tensor:
    return weight.half()


def _bytes(weight: Tensor) -> Tensor | dict[str, Tensor]:
    return pack(weight) if weight.dim() == 2 and weight.shape[1] >= LEAST_COLUMNS else weight.half()


def _megabytes(weights: Mapping[str, Any]) -> float:
    return sum(each.nbytes for each in tree_leaves(weights)) / 1e6


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
