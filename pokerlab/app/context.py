"""What the routes of every area share."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pokerlab.app.jobs import Jobs
from pokerlab.app.workers import Worker

MOST_FILES, MOST_BYTES = 100, 4 * 2**30
"""Of what the app keeps while it runs; the files asked for last."""


class MistakeError(Exception):
    """A request that is wrong; answered with its message and the status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Files:
    """A folder of files by their ids, gone when the app ends; the ones not asked for longest make room."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pokerlab-app-"))

    def path(self, name: str) -> Path:
        """Where a file of that name is, or is to be."""
        if not name.isalnum():
            raise MistakeError(f"{name!r} is no name of a file here")
        return self._folder / name

    def find(self, name: str) -> Path | None:
        """A file that is there."""
        path = self.path(name)
        if not path.is_file():
            return None
        path.touch()
        return path

    def make_room(self) -> list[str]:
        """Removes files that are too many, and returns their names."""
        files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        removed, size = [], 0
        for number, path in enumerate(files):
            size += path.stat().st_size
            if number and (number >= MOST_FILES or size > MOST_BYTES):
                path.unlink()
                removed.append(path.name)
        return removed

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass(frozen=True)
class Context:
    """The processes, the queue and the files."""

    desk: Worker
    jobs: Jobs
    files: Files
    own: dict[str, Worker]
    """By area, of those that have a process of their own."""
    may_command: bool = True
    """Whether the page may start and stop runs."""


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise MistakeError("expected application/json", 415)
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise MistakeError("the request is no JSON") from error
    if not isinstance(found, dict):
        raise MistakeError("expected a JSON object")
    return found


def json_text(text: bytes) -> Response:
    """JSON that is written already."""
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def json_object(found: Any, status: int = 200) -> Response:
    """An answer as JSON."""
    return JSONResponse(found, status, headers={"Cache-Control": "no-store"})
