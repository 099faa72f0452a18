"""Starts, stops and resumes runs and leagues: each is the command of that name, in a process of its own."""

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

from pokerlab.app.context import MistakeError
from pokerlab.errors import UserError
from pokerlab.store.folder import OUTPUTS, RunFolder

SECONDS = 300.0
"""That a command may take to answer."""
LOOK = 0.05
PROGRAM = (sys.executable, "-m", "pokerlab")
NOT_FROM_THE_PAGE = ("run_dir", "json", "export", "resume_from", "start_from")
"""Keys that name files: the page works in the folder of runs, and nowhere else."""


def read_settings(text: object) -> list[str]:
    """The overrides that somebody wrote, as a shell would take them apart.

    Raises:
        MistakeError: one is none, or would name a file, a class or a setting of Hydra's.
    """
    if not isinstance(text, str):
        raise MistakeError("settings must be a text of key=value")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise MistakeError(f"cannot read the settings: {error}") from error
    for word in words:
        key = word.partition("=")[0].lstrip("+~")
        if "=" not in word or word.startswith("-"):
            raise MistakeError(f"{word!r} is not a setting: expected key=value")
        if key in NOT_FROM_THE_PAGE or re.match(r"hydra\b", key) or "_target_" in word or "\0" in word:
            raise MistakeError(f"{key} cannot be set from the page: use the command line")
    return words


class Commands:
    """The commands, run in the folder in which the app was started."""

    def __init__(self) -> None:
        self._going_on: list[subprocess.Popen[bytes]] = []

    async def run(self, *arguments: str) -> str:
        """Runs ``pokerlab …`` to its end; what it printed.

        Raises:
            MistakeError: it refused, with its own line; or it takes too long.
        """
        with tempfile.TemporaryFile() as output:
            process = self._start(arguments, output)
            if not await _until(lambda: process.poll() is not None):
                raise MistakeError(
                    f"pokerlab {arguments[0]} goes on after {SECONDS:g} s: look at the list", 504
                )
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if process.returncode:
            raise MistakeError(_error_in(said))
        return said

    async def drive_league(self, name: str, *arguments: str) -> str:
        """Starts a league's driver, which outlives the app, and waits until it has taken its folder.

        Args:
            name: of the league.
            arguments: of ``pokerlab league``.

        Raises:
            MistakeError: it refused, with its own line; or it takes too long.
        """
        run = RunFolder(OUTPUTS / name)
        OUTPUTS.mkdir(exist_ok=True)
        printed = OUTPUTS / f".{secrets.token_hex(8)}.output"
        with printed.open("wb") as output:
            process = self._start(("league", *arguments), output)
        try:
            if not await _until(lambda: process.poll() is not None or _is_driven(run, process.pid)):
                raise MistakeError(f"{name} has not begun after {SECONDS:g} s: look at the list", 504)
            said = printed.read_text(errors="replace").strip()
            if process.poll():
                raise MistakeError(_error_in(said))
            printed.replace(run.output)
        finally:
            printed.unlink(missing_ok=True)
        return f"{name} runs as process {process.pid}"

    def _start(self, arguments: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """A process group of its own: Ctrl-C in the app's terminal does not end it."""
        self._going_on = [process for process in self._going_on if process.poll() is None]
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        )
        self._going_on.append(process)
        return process


async def _until(over: Callable[[], bool]) -> bool:
    """Waits; False: it takes too long."""
    for _ in range(int(SECONDS / LOOK)):
        if over():
            return True
        await asyncio.sleep(LOOK)
    return False


def _is_driven(run: RunFolder, pid: int) -> bool:
    with contextlib.suppress(UserError):
        return run.read_job().get("pid") == pid
    return False


def _error_in(said: str) -> str:
    """The line that a command ended with."""
    lines = [line for line in said.splitlines() if line.strip()] or ["it ended without a word"]
    told = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1])
    return told.removeprefix("error: ")
