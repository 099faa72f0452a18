"""Submits a run and returns at once.

    pokerlab launch experiment=phase1              # on a GPU on Modal
    pokerlab launch experiment=leduc launcher=local  # detached, on this machine
    pokerlab launch -m experiment=leduc seed=1,2,3   # one run each

It prints the run's name and how to follow, stop and fetch it. In a checkout, ``python launch_modal.py`` is
the same.
"""

import sys

if __name__ == "__main__":  # before anything that takes a while: Ctrl-C is quiet from here on
    from pokerlab.console import run_command_of

    sys.exit(run_command_of("launch", sys.argv[1:]))

from hydra.core.hydra_config import HydraConfig

from pokerlab.config.command import run_command, sweep_note
from pokerlab.config.compose import BASIC
from pokerlab.config.schema import RunConfig
from pokerlab.console import console
from pokerlab.errors import UserError
from pokerlab.jobs.launch import check, launch


def main(config: RunConfig) -> None:
    """The command."""
    hydra_config = HydraConfig.get()
    if hydra_config.sweeper["_target_"] != BASIC:
        raise UserError("a search needs each run's result before the next: use pokerlab train")
    experiment = hydra_config.runtime.choices.get("experiment")
    message = launch(config, experiment, list(hydra_config.overrides.task), **sweep_note())
    console().print(message, highlight=False, soft_wrap=True)


def run() -> None:
    """The command line."""
    run_command("train", main, check)
