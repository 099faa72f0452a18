"""A run that goes on where another one is, with hyperparameters of its own."""

import shutil

import torch

from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import write_config
from pokerlab.selfplay.replay_on_disk import chunk_files
from pokerlab.store.checkpoints import load
from pokerlab.store.files import link_or_copy, write_atomically
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.assemble import RunParts
from pokerlab.training.fit import check_checkpoint


def fork(source: RunFolder, run: RunFolder, config: RunConfig) -> None:
    """Makes a run's folder from another run's last checkpoint: weights, optimiser, replay, iterations.

    What the optimiser has seen is copied, its hyperparameters are the config's. Metrics stay with the other
    run. The config comes last: without it, the folder is of no run yet.

    Args:
        source: the other run; its networks are the same.
        run: the folder; what is there goes.
        config: of the run.

    Raises:
        UserError: the checkpoint cannot be gone on from.
        OSError: the folder cannot be written.
    """
    content = check_checkpoint(source.checkpoints / LAST, source)
    shutil.rmtree(run.path, ignore_errors=True)
    replay = content["pokerlab"]["replay"]
    for name in chunk_files(load(source.checkpoints / replay, mmap=True)):
        link_or_copy(source.replay / name, run.replay / name)
    link_or_copy(source.checkpoints / replay, run.checkpoints / replay)
    groups = RunParts(config).optimizer().state_dict()["param_groups"]
    content["optimizer_states"][0]["param_groups"] = groups
    write_atomically(run.checkpoints / LAST, lambda file: torch.save(content, file))
    write_config(run, config)
