"""The Modal app: an image with pokerlab, a Volume with the runs, one function that trains.

Deployed once and kept; a submission spawns the function with the GPU, time limit and retries that the
launcher's config asks for. The function gets a plain, resolved config and composes nothing.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modal

REPOSITORY = Path(__file__).parents[2]
APP, FUNCTION, VOLUME, RUNS = "pokerlab", "train", "pokerlab-runs", Path("/runs")


def image() -> modal.Image:
    """Python, the pinned dependencies, the package and conf/."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return (
        modal.Image.debian_slim(python_version="3.11")
        .add_local_file(REPOSITORY / "constraints.txt", "/constraints.txt", copy=True)
        .pip_install(*project["dependencies"], extra_options="-c /constraints.txt")
        .add_local_python_source("pokerlab")
        .add_local_dir(REPOSITORY / "conf", "/root/conf")
    )


app = modal.App(APP)
volume = modal.Volume.from_name(VOLUME, create_if_missing=True)


# in the container only the package is there, and nothing is built
@app.function(
    name=FUNCTION,
    image=image() if modal.is_local() else None,
    volumes={str(RUNS): volume},
    single_use_containers=True,
    retries=modal.Retries(initial_delay=0.0, max_retries=10),
    timeout=24 * 3600,
)
def train_on_modal(config: dict[str, Any], job: dict[str, Any]) -> None:
    """Trains the run that ``config`` describes, in the Volume's folder of its name.

    Args:
        config: resolved, plain values.
        job: what job.json is to hold; ``submission`` tells a retry from another run of that name, and a
            run that goes on may be given the command line's ``overrides``.
    """
    train_in(RUNS, config, job, volume.commit)


def train_in(
    runs: Path,
    config: dict[str, Any],
    job: dict[str, Any],
    commit: Callable[[], Any],
) -> None:
    """The function's body over any folder.

    Raises:
        UserError: the folder holds another run of that name, or none to resume.
        KeyboardInterrupt: the container is taken away; Modal counts it as a preemption and retries.
    """
    from omegaconf import OmegaConf

    from pokerlab.runs.detached import carry_on
    from pokerlab.runs.folder import RunFolder
    from pokerlab.runs.start import resumed_config, write_config

    run, wanted = RunFolder(runs / config["run_name"]), OmegaConf.create(config)
    if run.read_job().get("submission") != job["submission"]:  # not a retry
        if config["resume_from"] is None:
            run.claim()
        else:
            wanted = resumed_config(wanted, run, job["experiment"], job["overrides"])
        write_config(run, wanted)
        run.update_job(**job)
        commit()
    try:
        carry_on(run, saved=commit)
    finally:
        commit()
