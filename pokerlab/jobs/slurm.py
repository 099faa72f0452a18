"""Runs as jobs of a Slurm cluster, which submitit submits.

A run's folder is on a file system that the nodes share, so it is followed like a run on this machine. An
attempt that Slurm ends, since its time is up or it is preempted, saves a checkpoint; the next one goes on.
"""

import contextlib
import io
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from pokerlab.config.schema import SlurmLauncher
from pokerlab.errors import UserError
from pokerlab.jobs import detached
from pokerlab.store.folder import RunFolder

WARNING = signal.SIGUSR2
"""What Slurm sends before an attempt's time is up; submitit's handler puts the job back into the queue."""
LOG_LEVEL = "SUBMITIT_LOG_LEVEL"
NOTICE = 90
"""Seconds before the end that it is sent; the run itself ends sooner."""


def submitit() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    level = os.environ.get(LOG_LEVEL)
    os.environ[LOG_LEVEL] = "NOCONFIG"  # or importing it closes all handlers of logging
    try:
        import submitit
    except ImportError as error:
        raise UserError("launcher=slurm needs submitit: pip install 'pokerlab[slurm]'") from error
    finally:
        del os.environ[LOG_LEVEL]
        if level is not None:
            os.environ[LOG_LEVEL] = level
    return submitit


def executor(launcher: SlurmLauncher, folder: Path) -> Any:
    """What submits jobs.

    Args:
        launcher: what a job asks for.
        folder: for the files of submitit; made when something is submitted.

    Raises:
        UserError: nothing can be submitted from here, or submitit does not know an option.
    """
    try:
        found = submitit().SlurmExecutor(folder, max_num_timeout=launcher.retries)
    except RuntimeError as error:
        raise UserError(
            "there is no srun here: launch on a machine of the cluster, or with launcher=local"
        ) from error
    if shutil.which("sbatch") is None:
        raise UserError(
            "there is no sbatch here: launch on a machine that may submit jobs, or with launcher=local"
        )
    named = {name: getattr(launcher, name) for name in ("partition", "account", "qos", "constraint")}
    try:
        found.update_parameters(
            time=-(-launcher.time_limit // 60),
            cpus_per_task=launcher.cpus,
            mem=f"{launcher.memory}M",
            gpus_per_node=launcher.gpus or None,
            setup=list(launcher.setup),
            signal_delay_s=NOTICE,
            job_name=folder.resolve().parent.name,
            **{name: value for name, value in named.items() if value is not None} | launcher.options,
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"launcher.options: {str(error).splitlines()[0]}") from error
    return found


def submit(run: RunFolder, launcher: SlurmLauncher) -> str:
    """Submits a run whose folder and config are there; returns the job's number.

    Raises:
        UserError: Slurm refuses it.
    """
    submits = executor(launcher, slurm_folder(run).resolve())
    stop_file(run).unlink(missing_ok=True)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # what sbatch says there, its error says too
            return str(submits.submit(Attempt(run.path.resolve())).job_id)
    except (submitit().core.utils.FailedJobError, RuntimeError) as error:
        shutil.rmtree(slurm_folder(run), ignore_errors=True)
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UserError(f"Slurm refuses the job: {lines[-1].strip() if lines else error}") from error


def slurm_folder(run: RunFolder) -> Path:
    """Where submitit keeps what it submits, and what the job prints."""
    return run.path / "slurm"


def stop_file(run: RunFolder) -> Path:
    """It is there if the run is to stop: a signal does not say who wants it to end."""
    return slurm_folder(run) / "stop"


def state_of(call: str) -> str | None:
    """``PENDING``, ``RUNNING``, ``COMPLETED`` and so on, as sacct says; None: it cannot say."""
    try:
        watcher = submitit().SlurmJob.watcher
    except UserError:
        return None
    logging.getLogger("submitit").setLevel(logging.ERROR)  # it warns where there is no sacct
    state = str(watcher.get_state(call, mode="force")).partition(" ")[0].upper()
    return None if state in ("", "UNKNOWN") else state


def is_pending(call: str) -> bool | None:
    """Whether a job waits or runs; None: Slurm cannot be asked from here."""
    if state_of(call) is None:
        return None
    return not submitit().SlurmJob.watcher.is_done(call, mode="cache")


def cancel(call: str, *signals: str) -> None:
    """Ends a job, or sends it a signal.

    Raises:
        UserError: Slurm refuses it.
    """
    command = ["scancel", *(f"--signal={name}" for name in signals), call]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise UserError(f"{' '.join(command)}: {said}") from error


class Attempt:
    """What a job does: the run goes on until it ends, or Slurm ends the attempt.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> str:
        """Runs; returns the state that the run ended in."""
        run, requeue, warned = RunFolder(self.folder), signal.getsignal(WARNING), False
        done = run.read_summary().get("latest_iteration")
        attempts = run.read_job().get("attempts") or 0
        run.update_job(attempts=attempts + 1, call_id=os.environ["SLURM_JOB_ID"])

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        def warn(*_: Any) -> None:
            nonlocal warned
            warned = True
            os.kill(os.getpid(), signal.SIGINT)  # which the run itself listens to while it trains

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt)
        signal.signal(WARNING, warn)
        code = detached.main([str(run.path)])
        out_of_time = detached.is_out_of_time(run, done)
        if out_of_time or (code == detached.STOPPED and not stop_file(run).exists()):
            run.update_job(state="preempted", reason=None)
            if out_of_time or warned:  # whoever else preempts a job also starts it again
                signal.signal(WARNING, requeue)
                signal.raise_signal(WARNING)  # submitit puts the job back into the queue, and exits
        return str(run.read_job()["state"])

    def checkpoint(self) -> Any:
        """What submitit is to run next."""
        return submitit().helpers.DelayedSubmission(self)
