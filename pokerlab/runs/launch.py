"""Submitting a run and returning at once."""

import os
import subprocess
import sys
import uuid
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pokerlab.errors import UserError
from pokerlab.runs.assemble import Assembled
from pokerlab.runs.build import check_integer, check_numbers, torch_device
from pokerlab.runs.folder import now
from pokerlab.runs.start import Start, automatic_name, check_run_name, start

LAUNCHERS = ("local", "modal")
GPUS = (
    "T4", "L4", "A10", "A10G", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000", "H100", "H100!",
    "H200", "B200",
)  # fmt: skip
MOST_SECONDS, MOST_RETRIES = 24 * 3600, 10  # what Modal allows; its client does not check


def check(config: DictConfig) -> None:
    """Finds a config's mistakes, before anything is written or sent.

    Raises:
        UserError: it has one.
    """
    if config.resume_from is None:  # a run that goes on has its own config
        Assembled(config)
    if config.launcher.name == "local":
        torch_device(config.trainer.accelerator, "trainer.accelerator")
    elif config.launcher.name == "modal":
        _check_modal(config)
    else:
        raise UserError(f"launcher.name must be one of {', '.join(LAUNCHERS)}, got {config.launcher.name!r}")


def _check_modal(config: DictConfig) -> None:
    check_integer(config, "launcher.time_limit", least=1, most=MOST_SECONDS)
    check_integer(config, "launcher.retries", least=0, most=MOST_RETRIES)
    check_integer(config, "launcher.memory", least=128)
    check_numbers(config, "launcher.cpu")
    kind, _, count = str(config.launcher.gpu).partition(":")
    if kind not in GPUS or count not in ("", *"12345678"):
        raise UserError(
            f"launcher.gpu {config.launcher.gpu!r} is not on Modal: expected one of {', '.join(GPUS)}, "
            "and a count up to 8 as in H100:2"
        )
    if config.run_dir is not None:
        raise UserError(
            "run_dir does not apply on Modal, where a run's folder is /runs/<run_name>: leave it out"
        )
    for name in (config.run_name, config.resume_from):
        if name is not None:
            check_run_name(str(name))
    if config.resume_from is not None and config.run_name not in (None, config.resume_from):
        raise UserError(
            "on Modal resume_from is the name of a run on the Volume, which goes on under that name"
        )


def launch(config: DictConfig, experiment: str | None, overrides: list[str]) -> str:
    """Submits the run that ``config`` describes, which :func:`check` has passed.

    Returns:
        What to tell the user: the run's name, how to follow, stop and fetch it.

    Raises:
        UserError: it cannot be submitted.
    """
    if config.launcher.name == "local":
        return _launch_here(start(config, experiment, overrides))
    return _launch_on_modal(config, experiment, overrides)


def _launch_here(began: Start) -> str:
    """A detached process group that outlives the terminal; what it prints goes to training.log."""
    run = began.run
    run.update_job(
        launcher="local", submitted=now(), call_id=None, state="submitted", host=os.uname().nodename
    )
    command = [sys.executable, "-m", "pokerlab.runs.detached", str(run.path)]
    if began.checkpoint is not None:
        command.append(str(began.checkpoint))
    with run.output.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    run.update_job(pid=process.pid)
    return (
        f"run      {run.path.name} (process {process.pid})\n"
        f"follow   tail -f {run.log}\n"
        f"stop     kill {process.pid}   (writes last.ckpt first)\n"
        f"resume   python launch_modal.py resume_from={run.path}\n"
        f"results  {run.path}"
    )


def _launch_on_modal(config: DictConfig, experiment: str | None, overrides: list[str]) -> str:
    import modal

    launcher, submission = config.launcher, uuid.uuid4().hex
    fresh = f"{automatic_name(experiment)}-{submission[:6]}"  # jobs of a sweep are sent in the same second
    config.run_name = str(config.resume_from or config.run_name or fresh)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    job = {
        "experiment": experiment,
        "launcher": "modal",
        "submitted": now(),
        "submission": submission,
        "state": "submitted",
        "overrides": overrides,
    }

    from pokerlab.runs.modal_app import APP, FUNCTION, VOLUME, app

    try:
        app.deploy()
        function = modal.Function.from_name(APP, FUNCTION).with_options(
            gpu=launcher.gpu,
            cpu=launcher.cpu,
            memory=launcher.memory,
            timeout=launcher.time_limit,
            retries=modal.Retries(initial_delay=0.0, max_retries=launcher.retries),
        )
        call = function.spawn(plain, job)
    except modal.exception.AuthError as error:
        raise UserError(
            "no Modal credentials here: sign in with `modal token new`, "
            "or run on this machine with launcher=local"
        ) from error
    except modal.exception.Error as error:
        raise UserError(f"Modal did not take the run: {' '.join(str(error).split())}") from error
    name = config.run_name
    return (
        f"run      {name} (call {call.object_id})\n"
        f"follow   modal app logs {APP}\n"
        f"stop     modal.FunctionCall.from_id('{call.object_id}').cancel()\n"
        f"fetch    modal volume get {VOLUME} {name} outputs/"
    )
