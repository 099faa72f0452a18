"""Stopping runs, here and on Modal."""

import json
import time
from collections.abc import Callable

import psutil

from pokerlab.errors import UserError
from pokerlab.jobs.places import FoundRun
from pokerlab.store.files import now, write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import find_process
from pokerlab.store.records import GOING_ON


def stop(found: FoundRun, *, at_once: bool, seconds: float, report: Callable[[str], None]) -> str:
    """Ends a run, with a checkpoint first.

    Args:
        found: the run.
        at_once: without a checkpoint; a run of a machine that is gone is recorded as stopped.
        seconds: how long to wait for it.
        report: gets what is waited for.

    Returns:
        What came of it.

    Raises:
        UserError: it is not running, or did not end in time.
    """
    state = found.status().state
    if state not in GOING_ON:
        raise UserError(f"{found.name} is not running: it is {state}")
    if found.run.read_job().get("launcher") == "modal":
        _stop_on_modal(found, at_once=at_once, seconds=seconds, report=report)
    elif found.run.read_job().get("launcher") == "slurm":
        _stop_on_slurm(found, at_once=at_once, seconds=seconds, report=report)
    else:
        _stop_here(found, at_once=at_once, seconds=seconds, report=report)
    found.refresh()
    after = found.status()
    kept = f"{after.last_checkpoint} is there" if after.last_checkpoint else "there is no checkpoint yet"
    return f"{found.name} is stopped after {after.iterations} iterations; {kept}"


def _stop_here(found: FoundRun, *, at_once: bool, seconds: float, report: Callable[[str], None]) -> None:
    process = find_process(found.run.read_job())
    if process is None:
        if not at_once:
            host = found.run.read_job().get("host") or "another machine"
            raise UserError(f"{found.name} runs on {host}: stop it there")
        _record_stop(found.run)
        return
    if at_once:
        for each in (process, *process.children(recursive=True)):
            each.kill()
    else:
        process.terminate()
        report(f"process {process.pid} saves a checkpoint")
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired as error:
        raise UserError(
            f"{found.name} still runs as process {process.pid} after {seconds:g} s: "
            "wait, or stop it with --now"
        ) from error
    if found.run.read_job().get("state") in GOING_ON:  # it had not begun to train, or was killed
        _record_stop(found.run)


def _stop_on_slurm(found: FoundRun, *, at_once: bool, seconds: float, report: Callable[[str], None]) -> None:
    from pokerlab.jobs.slurm import cancel, is_pending, state_of, stop_file

    run, call = found.run, str(found.run.read_job().get("call_id"))
    state = state_of(call)
    if state is None:
        raise UserError(f"{found.name} runs on a Slurm cluster: stop it on a machine of that cluster")
    if at_once or state != "RUNNING":
        cancel(call)
        _record_stop(run)
        return
    stop_file(run).touch()
    cancel(call, "INT")
    report(f"job {call} saves a checkpoint")
    _wait(f"{found.name} still runs as job {call}", lambda: is_pending(call) is not False, seconds)
    if run.read_job().get("state") in GOING_ON:
        _record_stop(run)


def _wait(what: str, goes_on: Callable[[], bool], seconds: float) -> None:
    """Until it is over; raises a UserError if it takes longer."""
    until = time.monotonic() + seconds
    while goes_on():
        if time.monotonic() > until:
            raise UserError(f"{what} after {seconds:g} s: wait, or stop it with --now")
        time.sleep(2)


def _record_stop(run: RunFolder) -> None:
    run.update_job(state="stopped")
    if summary := run.read_summary():
        write_json(run.summary, summary | {"state": "stopped", "last_updated": now()})


def _stop_on_modal(found: FoundRun, *, at_once: bool, seconds: float, report: Callable[[str], None]) -> None:
    from pokerlab.jobs.modal_client import cancel, is_pending, request_stop

    cloud, job = found.cloud, found.run.read_job()
    if cloud is None or job.get("call_id") is None:
        raise UserError(f"{found.name} runs on Modal: sign in with `modal token new` to stop it")
    call = job["call_id"]
    if not at_once and job.get("attempts"):  # it has begun
        request_stop(call)
        report(f"call {call} saves a checkpoint")
        _wait(f"{found.name} still runs as call {call}", lambda: is_pending(call) is not False, seconds)
    cancel(call, now=at_once)
    record = json.loads(cloud.read(found.name, "job.json") or b"{}")
    if record.get("state") in GOING_ON:
        stopped = json.dumps(record | {"state": "stopped"}, indent=2)
        cloud.write(found.name, {"job.json": stopped}, replace=True)
