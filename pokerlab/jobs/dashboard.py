"""The W&B dashboard of a project, as code.

    python -m pokerlab.jobs.dashboard --project pokerlab --entity TEAM

Makes a workspace view with the panels below, over all runs of the project. Needs
``pip install 'pokerlab[dashboard]'`` and ``wandb login``; ``--dry-run`` only prints the panels.
"""

import argparse
import signal
import sys
from typing import Any

from pokerlab.errors import UserError

SECTIONS: dict[str, dict[str, list[str]]] = {
    "Strength": {
        "exploitability with search (NashConv/2, chips)": ["exploitability"],
        "exploitability of the policy network (NashConv/2, chips)": ["exploitability_policy_net"],
    },
    "Learning": {
        "value loss (pot²; of PPO, big blinds²)": ["value_loss"],
        "policy loss (nats; of PPO, big blinds or nats²)": ["policy_loss"],
        "learning rate": ["learning_rate"],
    },
    "Speed and cost": {
        "examples per second": ["examples_per_second"],
        "seconds an iteration": ["seconds_selfplay", "seconds_training"],
        "cost (USD)": ["cost_usd"],
    },
}
"""Section → panel → metrics, as :class:`~pokerlab.callbacks.wandb_run.WandbRun` logs them."""
LOGARITHMIC = {"exploitability", "exploitability_policy_net", "value_loss", "policy_loss", "learning_rate"}


def workspace(entity: str, project: str) -> Any:
    """The view, which ``save`` sends.

    Raises:
        UserError: the package for it is not installed.
    """
    try:
        import wandb_workspaces.reports.v2.interface as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise UserError("a dashboard needs one more package: pip install 'pokerlab[dashboard]'") from error
    sections = [
        workspaces.Section(
            name=section,
            is_open=True,
            panels=[
                panels.LinePlot(title=title, x="iteration", y=list(y), log_y=bool(LOGARITHMIC & set(y)))
                for title, y in plots.items()
            ],
        )
        for section, plots in SECTIONS.items()
    ]
    return workspaces.Workspace(entity=entity, project=project, name="pokerlab", sections=sections)


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pokerlab.jobs.dashboard", description="Makes the W&B dashboard of a project."
    )
    parser.add_argument("--project", default="pokerlab")
    parser.add_argument("--entity", help="W&B user or team; left out: the default one")
    parser.add_argument("--dry-run", action="store_true", help="print the panels, send nothing")
    arguments = parser.parse_args(argv)
    if arguments.dry_run:
        for section, plots in SECTIONS.items():
            for title, metrics in plots.items():
                print(f"{section}: {title}: {', '.join(metrics)}")
        return 0
    try:
        print(_save(arguments.entity, arguments.project))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _save(entity: str | None, project: str) -> str:
    import wandb

    if not wandb.login(prompt=False):
        raise UserError("no W&B credentials here: sign in with `wandb login`")
    try:
        view = workspace(entity or str(wandb.Api().default_entity), project)
        return str(view.save().url)
    except (wandb.Error, ValueError, OSError) as error:
        raise UserError(f"W&B did not take the dashboard: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet under `| head`
    sys.exit(main(sys.argv[1:]))
