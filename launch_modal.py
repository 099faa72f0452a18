"""Submits a run and returns at once.

    python launch_modal.py experiment=phase1              # on a GPU on Modal
    python launch_modal.py experiment=leduc launcher=local  # detached, on this machine
    python launch_modal.py -m experiment=leduc seed=1,2,3   # one run each

It prints the run's name and how to follow, stop and fetch it.
"""

from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from pokerlab.config.command import run_command, sweep_note
from pokerlab.config.compose import BASIC
from pokerlab.config.schema import RunConfig
from pokerlab.errors import UserError
from pokerlab.jobs.launch import check, launch


def main(config: RunConfig) -> None:
    """The command."""
    hydra_config = HydraConfig.get()
    if hydra_config.sweeper["_target_"] != BASIC:
        raise UserError("a search needs each run's result before the next: use python -m pokerlab.train")
    experiment = hydra_config.runtime.choices.get("experiment")
    told = launch(config, experiment, list(hydra_config.overrides.task), **sweep_note())
    Console().print(told, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_command("train", main, check)
