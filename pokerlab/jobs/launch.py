"""Submitting a run and returning at once."""

import contextlib
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pokerlab.config.machine import check_machine
from pokerlab.config.schema import ModalLauncher, RunConfig, SlurmLauncher, check_run_name, plain
from pokerlab.config.stored import as_yaml
from pokerlab.errors import UserError, near
from pokerlab.jobs.places import is_alive
from pokerlab.store.disk import writing
from pokerlab.store.files import now
from pokerlab.store.folder import OUTPUTS, find_run
from pokerlab.store.process import process_record
from pokerlab.training.assemble import RunParts
from pokerlab.training.cost import check_limits, idle_gpu, most_usd, price_per_hour
from pokerlab.training.loggers import check_logger
from pokerlab.training.start import Start, automatic_name, resume_config, start

GPUS = {
    **dict.fromkeys(("A10", "A10G"), 4),
    **dict.fromkeys(("T4", "L4", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000"), 8),
    **dict.fromkeys(("H100", "H100!", "H200", "B200", "B200+"), 8),
}
"""What Modal has, and how many of them in one container; its client checks neither."""


def check(config: RunConfig) -> None:
    """Finds a config's mistakes, before anything is written or sent.

    Raises:
        UserError: it has one.
    """
    if isinstance(config.launcher, ModalLauncher):
        check_modal(config, config.launcher)
    elif isinstance(config.launcher, SlurmLauncher):
        from pokerlab.jobs.slurm import executor

        check_limits(config)
        executor(config.launcher, OUTPUTS / "slurm")
    else:
        check_machine(config)
        check_limits(config)
    if config.resume_from is None:  # a run that goes on has its own config
        RunParts(config)


def check_modal(config: RunConfig, launcher: ModalLauncher) -> None:
    """Checks what Modal's client does not.

    Raises:
        UserError: Modal has no such thing.
    """
    gpu = launcher.gpu
    if gpu not in GPUS:
        raise UserError(f"launcher.gpu {gpu!r} is not on Modal: expected one of {', '.join(GPUS)}")
    if launcher.gpu_count > GPUS[gpu]:
        raise UserError(f"launcher.gpu_count may be at most {GPUS[gpu]}, got {launcher.gpu_count}")
    check_limits(config)
    check_logger(config, here=False)
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


def launch(config: RunConfig, experiment: str | None, overrides: list[str], **note: Any) -> str:
    """Submits the run that ``config`` describes, which :func:`check` has passed.

    Args:
        config: as composed.
        experiment: its name.
        overrides: of the command line.
        note: what else job.json is to say, such as the sweep.

    Returns:
        What to tell the user: the run's name, how to follow, stop and fetch it.

    Raises:
        UserError: it cannot be submitted.
    """
    if config.launcher.name == "local":
        began = start(config, experiment, overrides)
        with began.lock, writing(began.run):  # the child keeps it
            return _launch_here(began, note)
    if config.launcher.name == "slurm":
        return _launch_on_slurm(config, experiment, overrides, note)
    return _launch_on_modal(config, experiment, overrides, note)


def _launch_here(began: Start, note: dict[str, Any]) -> str:
    """A detached process group that outlives the terminal."""
    run = began.run
    run.update_job(launcher="local", submitted=now(), call_id=None, pid=None, state="submitted", **note)
    lock = began.lock.descriptor
    command = [sys.executable, "-m", "pokerlab.jobs.detached", str(run.path), "--lock", str(lock)]
    with run.output.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock],
        )
    run.update_job(**process_record(process.pid))
    return _tell_of(began, f"process {process.pid}")


def _launch_on_slurm(
    config: RunConfig, experiment: str | None, overrides: list[str], note: dict[str, Any]
) -> str:
    from pokerlab.jobs.slurm import submit

    job = dict[str, Any]()
    if config.resume_from is not None:
        with contextlib.suppress(UserError):  # that there is no such run is said later
            job = find_run(str(config.resume_from)).read_job()
    if job.get("launcher") == "slurm" and is_alive(job):
        raise UserError(f"{config.resume_from} is running as job {job['call_id']}: stop that first")
    began = start(config, experiment, overrides, here=False)
    began.lock.release()
    run, launcher = began.run, began.config.launcher
    assert isinstance(launcher, SlurmLauncher)
    with writing(run):
        run.update_job(
            launcher="slurm", submitted=now(), call_id=None, pid=None, host=None, state="submitted",
            attempts=0, **note,
        )  # fmt: skip
        try:
            call = submit(run, launcher)
        except UserError:
            if config.resume_from is None:
                run.discard()
            else:
                run.update_job(state="stopped")
            raise
        run.update_job(call_id=call)
    return _tell_of(began, f"job {call}")


def _tell_of(began: Start, where: str) -> str:
    run = began.run
    name = run.path.name if run.path == OUTPUTS / run.path.name else str(run.path)
    notes = _as_lines([*began.notes, *idle_gpu(began.config)])
    return notes + _tell(name, where, f"results  {run.path}")


def _launch_on_modal(
    config: RunConfig, experiment: str | None, overrides: list[str], note: dict[str, Any]
) -> str:
    from pokerlab.jobs.code_version import code_version
    from pokerlab.jobs.modal_client import ModalRuns, cancel, spawn
    from pokerlab.jobs.prices import current_prices

    runs, submission, notes = ModalRuns(), uuid.uuid4().hex, list[str]()
    if config.resume_from is not None:
        name = str(config.resume_from)
        config, job = _resume_on_modal(runs, config, experiment, overrides)
        if (before := job.get("code")) not in (None, code_version()):
            notes.append(f"{name} goes on with other code, {code_version()}: it was trained by {before}")
    else:
        # jobs of a sweep are sent in the same second
        name = str(config.run_name or f"{automatic_name(experiment)}-{submission[:6]}")
        job = {"experiment": experiment, "overrides": overrides}
        if runs.read(name, "job.json") is not None:
            raise UserError(
                f"a run {name!r} is on the Volume already: give another run_name, "
                f"or continue it with resume_from={name}"
            )
    launcher = config.launcher
    assert isinstance(launcher, ModalLauncher)
    if not any(override.lstrip("+").startswith("launcher.prices") for override in overrides):
        launcher = replace(launcher, prices=current_prices(launcher.prices))
    config = replace(config, run_name=name, launcher=launcher)
    job |= {"launcher": "modal", "submitted": now(), "submission": submission, "state": "submitted", **note}
    job["code"] = code_version()
    call = spawn(launcher, plain(config), job)
    # so that it can be found before it starts
    record = {"config.yaml": as_yaml(config)}
    record["job.json"] = json.dumps(job | {"call_id": call}, indent=2)
    try:
        noted = runs.write(name, record, replace=config.resume_from is not None)
    except BaseException as error:  # nobody would find it
        cancel(call, now=True)
        raise UserError(f"the run could not be noted, and call {call} is cancelled: {error}") from error
    if not noted and f'"{submission}"' not in (runs.read(name, "job.json") or b"").decode():
        cancel(call, now=True)
        raise UserError(f"a run {name!r} was just submitted by somebody else: give another run_name")
    most = most_usd(launcher)
    limit = "no limit" if most is None else f"{most:.2f} at most"
    where = f"call {call}, about {price_per_hour(launcher):.2f} USD an hour, {limit}"
    message = _tell(name, where, f"fetch    python -m pokerlab.jobs pull {name}")
    return _as_lines([*notes, *idle_gpu(config)]) + message


def _resume_on_modal(
    runs: Any, config: RunConfig, experiment: str | None, overrides: list[str]
) -> tuple[RunConfig, dict[str, Any]]:
    """The config that a run on the Volume goes on with, and its job.json."""
    from pokerlab.jobs.modal_client import is_pending

    name, launcher = str(config.resume_from), config.launcher
    assert isinstance(launcher, ModalLauncher)
    with tempfile.TemporaryDirectory() as folder:
        source = runs.mirror(name, Path(folder), ("config.yaml", "job.json", "summary.json"))
        job = source.read_job()
        if not source.config.exists():
            raise UserError(f"no run {name!r} on the Volume{near(name, runs.names())}")
        if job.get("call_id") is not None and is_pending(job["call_id"]):
            raise UserError(f"{name} is running as call {job['call_id']}: stop that first")
        stored = resume_config(config, source, experiment, overrides)
        latest = source.read_summary().get("latest_iteration")
    done = 0 if latest is None else latest + 1
    if stored.iterations <= done:
        raise UserError(f"{name} has done {done} iterations: give more, as in iterations={2 * done}")
    here = stored.launcher if isinstance(stored.launcher, ModalLauncher) else launcher
    stored = replace(stored, resume_from=name, run_dir=None, launcher=here)
    check_modal(stored, here)
    for attempt in ("attempts", "reason"):
        job.pop(attempt, None)
    return stored, job


def _as_lines(notes: Iterable[str]) -> str:
    return "".join(f"note     {note}\n" for note in notes)


def _tell(name: str, where: str, results: str) -> str:
    jobs = "python -m pokerlab.jobs"
    return (
        f"run      {name} ({where})\n"
        f"follow   {jobs} logs {name} --follow\n"
        f"status   {jobs} status {name}\n"
        f"stop     {jobs} stop {name}\n"
        f"resume   {jobs} resume {name}\n"
        f"{results}"
    )
