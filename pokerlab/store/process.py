"""Processes of this machine, told apart even when their numbers are used again."""

import os
from typing import Any

import psutil


def process_record(pid: int) -> dict[str, Any]:
    """What job.json says of a process: number, when it began (seconds since 1970), and host."""
    return {"pid": pid, "pid_started": psutil.Process(pid).create_time(), "host": os.uname().nodename}


def find_process(job: dict[str, Any]) -> psutil.Process | None:
    """The process that ``job`` names, if it is alive on this machine."""
    if job.get("pid") is None or job.get("host") != os.uname().nodename:
        return None
    try:
        process = psutil.Process(job["pid"])
        began = job.get("pid_started")
        same = began is None or abs(process.create_time() - began) < 5  # the clock may have been set
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
