"""The Modal app: an image with pokerlab, a Volume with the runs, one function that trains.

Deployed once for each version of the code, and kept; a submission spawns the function with the GPU, time
limit and retries that the launcher's config asks for. The function gets a plain, resolved config and
composes nothing.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from importlib.metadata import requires
from pathlib import Path
from signal import SIGINT
from typing import Any

import modal
from modal.file_pattern_matcher import FilePatternMatcher

from pokerlab.store.files import shipped_path

APP, FUNCTION, VOLUME, RUNS = "pokerlab", "train", "pokerlab-runs", Path("/runs")
STOPS = "pokerlab-stops"
"""A Modal Dict: call id → true, if the call is to stop."""

NOT_SHIPPED = ~FilePatternMatcher("**/*.yaml")
"""What lies in conf/ and is none of ours."""


def needed(extra: str = "gpu") -> list[str]:
    """What pokerlab requires with an extra: on a GPU, or for the app."""
    every = [requirement.partition(";") for requirement in requires("pokerlab") or ()]
    wanted = f'extra == "{extra}"'
    return [name.strip() for name, _, when in every if "extra ==" not in when or wanted in when]


def image(extra: str = "gpu") -> modal.Image:
    """Python, the pinned dependencies, those of an extra among them, the package and conf/."""
    return (
        modal.Image.debian_slim(python_version="3.11")
        .add_local_file(shipped_path("constraints.txt"), "/constraints.txt", copy=True)
        .pip_install(*needed(extra), extra_options="-c /constraints.txt")
        .add_local_python_source("pokerlab")
        .add_local_dir(shipped_path("conf"), "/root/conf", ignore=NOT_SHIPPED)
    )


class AttemptEndedError(Exception):
    """The run is not over, and saved: it goes on in the next attempt."""


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
def train_on_modal(config: dict[str, Any], job: dict[str, Any]) -> str:
    """Trains the run that ``config`` describes, in the Volume's folder of its name.

    Args:
        config: resolved, plain values.
        job: what job.json is to hold; ``submission`` tells a retry from another run of that name.

    Returns:
        The state that the run ended in.
    """
    began, call = time.time(), modal.current_function_call_id()
    stops = modal.Dict.from_name(STOPS, create_if_missing=True)
    return train_in(
        RUNS, config, job | {"call_id": call}, volume.commit, lambda: bool(stops.get(call)), since=began
    )


def train_in(
    runs: Path,
    config: dict[str, Any],
    job: dict[str, Any],
    commit: Callable[[], Any],
    stop_requested: Callable[[], bool],
    since: float | None = None,
) -> str:
    """The function's body over any folder.

    What would fail again ends the function normally, so that it is not tried ten times on a GPU; what
    may be the machine's fault is raised.

    Returns:
        The state that the run ended in; ``refused``: the folder holds another run of that name,
        or none to resume.

    Raises:
        AttemptEndedError: the attempt's time is over.
        KeyboardInterrupt: the container is taken away; Modal counts it as a preemption and retries.
        RunFailedError: a worker failed.
        DiskError: the run's files cannot be written.
    """
    from pokerlab.config.stored import from_plain, read_config, write_config
    from pokerlab.errors import UserError
    from pokerlab.jobs.detached import carry_on, is_out_of_time
    from pokerlab.learning.module import NonFiniteLossError
    from pokerlab.store.folder import RunFolder
    from pokerlab.training.run import RunFailedError

    run = RunFolder(runs / config["run_name"])
    stop, record = _Stop(stop_requested), run.read_job()
    ours = record.get("submission") == job["submission"]  # the client's note, or an earlier attempt's
    try:
        if config["resume_from"] is not None:
            read_config(run)  # it is there
        elif not ours:
            run.claim()
    except UserError as error:
        print(f"error: {error}", flush=True)
        return "refused"
    attempts = record.get("attempts", 0) if ours else 0
    if attempts == 0:
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        write_config(run, from_plain(config))
        run.update_job(**job)
    run.update_job(attempts=attempts + 1)
    done = run.read_summary().get("latest_iteration")
    commit()
    try:
        try:
            with stop.watching():
                carry_on(run, saved=commit, since=since)
        except KeyboardInterrupt:
            if not stop.heard:
                run.update_job(state="preempted")
                raise
            run.update_job(state="stopped")
        except UserError as error:
            run.update_job(state="failed", reason=str(error))
        except Exception as error:
            cause = error.__cause__ if isinstance(error, RunFailedError) and error.__cause__ else error
            if not isinstance(cause, NonFiniteLossError):
                with suppress(OSError):
                    run.update_job(state="retrying", reason=f"{type(cause).__name__}: {cause}")
                raise
        if is_out_of_time(run, done):
            run.update_job(state="retrying")
            raise AttemptEndedError
        return str(run.read_job()["state"])
    finally:
        commit()


class _Stop:
    """Asks every few seconds whether to stop; then interrupts the main thread, as Ctrl-C would."""

    def __init__(self, requested: Callable[[], bool], seconds: float = 10.0) -> None:
        self._requested, self._seconds = requested, seconds
        self.heard = False

    @contextmanager
    def watching(self) -> Any:
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(self._seconds):
            try:
                self.heard = self.heard or self._requested()
            except Exception:  # no connection: ask again
                continue
            if self.heard and not over.is_set():
                os.kill(os.getpid(), SIGINT)  # the main thread hears it, unless it is in a destructor
