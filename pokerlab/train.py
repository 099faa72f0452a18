"""Trains an agent by self-play and search.

    python -m pokerlab.train experiment=leduc

One iteration plays ``trajectories`` games with the newest networks, then takes ``updates`` optimiser
steps. Everything the run leaves stands in its folder (docs/run-folder.md).
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("train", sys.argv[1:]))

import math
import os

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from pokerlab.config.command import run_command, sweep_note
from pokerlab.config.machine import check_machine
from pokerlab.config.schema import RunConfig
from pokerlab.interrupts import interruptible, listening
from pokerlab.store.disk import writing
from pokerlab.store.files import now
from pokerlab.store.process import process_record
from pokerlab.training.assemble import RunParts
from pokerlab.training.rank import join
from pokerlab.training.run import STOPPED, RunFailedError, record_end, train
from pokerlab.training.start import start
from pokerlab.training.world import started_by_torchrun


def check(config: RunConfig) -> None:
    """Finds a config's mistakes, before anything is written."""
    if config.resume_from is None:  # a run that goes on has its own config
        RunParts(config)
    check_machine(config)


def main(config: RunConfig) -> float | None:
    """The command: checks the config, finds or makes the folder, trains.

    Returns:
        The last exploitability with search, for sweeps.
    """
    if (world := started_by_torchrun()) is not None and world.rank:
        sys.exit(join(world))
    with listening(), interruptible():
        return _train_here(config)


def _train_here(config: RunConfig) -> float | None:
    hydra_config = HydraConfig.get()
    began = start(config, hydra_config.runtime.choices.get("experiment"), hydra_config.overrides.task)
    with began.lock:
        try:
            with writing(began.run):
                began.run.update_job(
                    launcher="foreground",
                    submitted=now(),
                    call_id=None,
                    state="submitted",
                    **process_record(os.getpid()),
                    **sweep_note(),
                )
            return train(began)
        except KeyboardInterrupt:
            record_end(began.run, "stopped")
            sys.exit(STOPPED)
        except RunFailedError:
            if hydra_config.mode == RunMode.MULTIRUN:
                return math.inf  # the sweep's other runs may do better
            sys.exit(1)


def run() -> None:
    """The command line."""
    run_command("train", main, check)
