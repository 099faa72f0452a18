"""Submits a run and returns at once.

    python launch_modal.py experiment=phase1              # on a GPU on Modal
    python launch_modal.py experiment=leduc launcher=local  # detached, on this machine
    python launch_modal.py -m experiment=leduc seed=1,2,3   # one run each

It prints the run's name and how to follow, stop and fetch it.
"""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from pokerlab.runs.command import run_command
from pokerlab.runs.launch import check, launch


def main(config: DictConfig) -> None:
    """The command."""
    hydra_config = HydraConfig.get()
    experiment = hydra_config.runtime.choices.get("experiment")
    told = launch(config, experiment, list(hydra_config.overrides.task))
    Console().print(told, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_command("train", main, check)
