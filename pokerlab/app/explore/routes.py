"""What the page asks of Explore."""

import hashlib
import json
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pokerlab.app.context import Context, MistakeError, json_object, json_text, read_object
from pokerlab.app.jobs import Job

UPLOADS = ("/api/explore/open", "/api/explore/hands")
SECONDS = 60.0
"""That the desk may take for one answer."""
QUICK = 20.0
MOST_DIGITS = 9


class Explore:
    """The area's requests.

    Args:
        context: what areas share.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._desk, self._jobs, self._files = (
            context,
            context.desk,
            context.jobs,
            context.files,
        )

    # Before solving

    async def check(self, request: Request) -> Response:
        """How large a spot is, and whether it can be solved here."""
        return json_object(await self._desk.call("explore.check", await read_object(request), seconds=QUICK))

    async def read_range(self, request: Request) -> Response:
        """A range in text → its weights, or weights → the text."""
        return json_object(
            await self._desk.call("explore.convert_range", await read_object(request), seconds=QUICK)
        )

    async def networks(self, request: Request) -> Response:
        """Runs whose values can stand at the end of a street."""
        return json_object(await self._desk.call("explore.networks", seconds=SECONDS))

    async def solve(self, request: Request) -> Response:
        """Queues a spot. The same spot is solved once: its id is made of what it is."""
        setup = await read_object(request)
        spot = hashlib.sha256(json.dumps(setup, sort_keys=True).encode()).hexdigest()[:20]
        if self._files.find(spot) is None:
            self._jobs.forget(spot)
        for removed in self._files.make_room():
            self._jobs.forget(removed)
        job = self._jobs.submit(Job(spot, "explore.solve", (setup, str(self._files.path(spot)))))
        return json_object(self._describe(job))

    async def report(self, request: Request) -> Response:
        """Queues a report of many flops; the same one goes on where it ended."""
        wanted = await read_object(request)
        size = await self._desk.call("explore.check_report", wanted, seconds=SECONDS)
        if size["refused"]:
            raise MistakeError(f"each of these spots has {size['refused']}")
        name = hashlib.sha256(json.dumps(["report", wanted], sort_keys=True).encode()).hexdigest()[:20]
        if self._files.find(name) is None:
            self._jobs.forget(name)
        job = self._jobs.submit(
            Job(name, "explore.report", (wanted, str(self._files.path(name))), gives_way=True)
        )
        return json_object({**self._describe(job), "boards": size["boards"]})

    async def report_rows(self, request: Request) -> Response:
        """What there is of a report."""
        job, first = self._job(request), self._first(request)
        if job.function != "explore.report" or self._files.find(job.id) is None:
            return json_object({"rows": [], "means": []})
        wanted, path = job.arguments
        return json_text(await self._desk.call("explore.report_rows", path, wanted, first, seconds=SECONDS))

    async def report_file(self, request: Request) -> Response:
        """A report as CSV, as far as it is."""
        job = self._job(request)
        if job.function != "explore.report" or self._files.find(job.id) is None:
            raise MistakeError("there is nothing of this report yet", 404)
        return FileResponse(job.arguments[1], media_type="text/csv", headers=_saved_as("report.csv"))

    def _describe(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id, "state": job.state, "error": job.error, "position": self._jobs.position(job),
            "progress": job.progress,
        }  # fmt: skip

    def _job(self, request: Request) -> Job:
        job = self._jobs.get(request.path_params["spot"])
        if job is None:
            raise MistakeError("this spot is not known here (any more): solve it again", 404)
        return job

    async def follow(self, request: Request) -> Response:
        """How far a spot is."""
        return json_object(self._describe(self._job(request)))

    async def cancel(self, request: Request) -> Response:
        """Ends solving."""
        job = self._job(request)
        await self._jobs.cancel(job)
        return json_object(self._describe(job))

    async def again(self, request: Request) -> Response:
        """Queues once more what was cancelled or has failed; a report goes on where it ended."""
        job = self._job(request)
        anew = Job(job.id, job.function, job.arguments, gives_way=job.gives_way)
        return json_object(self._describe(self._jobs.submit(anew)))

    # After solving

    def _path(self, request: Request) -> str:
        return self._path_of(
            request.path_params["spot"], "this spot is not known here (any more): solve it again"
        )

    def _path_of(self, name: str, gone: str = "this file is not known here (any more): open it again") -> str:
        path = self._files.find(name)
        if path is None:
            raise MistakeError(gone, 404)
        return str(path)

    async def node(self, request: Request) -> Response:
        """Both players' hands where a line ends."""
        line = request.query_params.get("line", "")
        return json_text(await self._desk.call("explore.node", self._path(request), line, seconds=SECONDS))

    async def runouts(self, request: Request) -> Response:
        """What every next card does."""
        line = request.query_params.get("line", "")
        return json_text(await self._desk.call("explore.runouts", self._path(request), line, seconds=SECONDS))

    async def export(self, request: Request) -> Response:
        """A node as CSV or JSON, to be saved."""
        query = request.query_params
        form = query.get("format", "csv")
        text = await self._desk.call(
            "explore.export", self._path(request), query.get("line", ""), form, seconds=SECONDS
        )
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/json"
        return Response(text, media_type=kind, headers=_saved_as(f"node.{form}"))

    # Files

    async def save(self, request: Request) -> Response:
        """The solved spot as a file for ``pokerlab.open_spot``."""
        path = self._path(request)
        packed = await self._desk.call("explore.pack", path, seconds=SECONDS)
        return FileResponse(packed, media_type="application/octet-stream", headers=_saved_as("solved.spot"))

    async def open(self, request: Request) -> Response:
        """Takes in the file of a solved spot."""
        spot = await self._take_in(request)
        path = self._files.path(spot)
        try:
            setup = await self._desk.call("explore.describe", str(path), seconds=SECONDS)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._jobs.take_in(Job(spot, "explore.solve", (), state="done", progress=setup.pop("progress")))
        return json_object({"id": spot, "setup": setup})

    async def _take_in(self, request: Request) -> str:
        """Writes a request's body to a file, and returns its name: what is in it decides."""
        digest, upload = hashlib.sha256(), self._files.path(f"upload{secrets.token_hex(8)}")
        try:
            with upload.open("wb") as file:
                async for chunk in request.stream():
                    digest.update(chunk)
                    file.write(chunk)
        except BaseException:
            upload.unlink(missing_ok=True)
            raise
        name = digest.hexdigest()[:20]
        upload.replace(self._files.path(name))
        return name

    # Recorded hands

    async def take_hands(self, request: Request) -> Response:
        """Takes in a file of hands, and tells the first."""
        file = await self._take_in(request)
        try:
            found = await self._hands(request, file)
        except BaseException:
            self._files.path(file).unlink(missing_ok=True)
            raise
        return json_object({"id": file, **found})

    async def hands(self, request: Request) -> Response:
        """More hands of a file."""
        return json_object(await self._hands(request, request.path_params["file"]))

    async def _hands(self, request: Request, file: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._desk.call(
            "explore.hands", self._path_of(file), request.query_params.get("name", ""), self._first(request),
            seconds=SECONDS,
        )  # fmt: skip
        return found

    def _first(self, request: Request) -> int:
        """Of what there is, the first that is asked for."""
        first = request.query_params.get("first", "0")
        if not first.isdecimal() or len(first) > MOST_DIGITS:
            raise MistakeError(f"first must be a whole number from 0 on, got {first!r}")
        return int(first)

    async def walk(self, request: Request) -> Response:
        """A decision of a hand as a spot."""
        given = await read_object(request)
        name, chosen, setup = given.get("name"), given.get("chosen"), given.get("setup")
        if not isinstance(name, str) or not isinstance(chosen, dict) or not isinstance(setup, dict):
            raise MistakeError("expected name, chosen and setup")
        path = self._path_of(request.path_params["file"])
        return json_object(await self._desk.call("explore.walk", path, name, chosen, setup, seconds=SECONDS))


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def routes(context: Context) -> list[Route]:
    """The area's routes."""
    area, at = Explore(context), "/api/explore"
    spot = f"{at}/spots/{{spot:str}}"
    return [
        Route(f"{at}/check", area.check, methods=["POST"]),
        Route(f"{at}/range", area.read_range, methods=["POST"]),
        Route(f"{at}/networks", area.networks),
        Route(f"{at}/solve", area.solve, methods=["POST"]),
        Route(f"{at}/report", area.report, methods=["POST"]),
        Route(f"{spot}/rows", area.report_rows),
        Route(f"{spot}/report", area.report_file),
        Route(f"{at}/open", area.open, methods=["POST"]),
        Route(f"{at}/hands", area.take_hands, methods=["POST"]),
        Route(f"{at}/hands/{{file:str}}", area.hands),
        Route(f"{at}/hands/{{file:str}}/walk", area.walk, methods=["POST"]),
        Route(spot, area.follow),
        Route(f"{spot}/cancel", area.cancel, methods=["POST"]),
        Route(f"{spot}/again", area.again, methods=["POST"]),
        Route(f"{spot}/node", area.node),
        Route(f"{spot}/runouts", area.runouts),
        Route(f"{spot}/export", area.export),
        Route(f"{spot}/file", area.save),
    ]
