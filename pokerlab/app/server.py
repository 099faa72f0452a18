"""The server: the page's files, the areas' routes, and the processes that compute."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pokerlab.app.areas import AREAS
from pokerlab.app.context import Context, Files, MistakeError, json_object
from pokerlab.app.guard import Guard
from pokerlab.app.jobs import Jobs
from pokerlab.app.workers import DIED, ProcessDiedError, RefusedError, Worker

STATIC = Path(__file__).parent / "static"
ALWAYS_ASK = {"Cache-Control": "no-cache"}


class PageFiles(StaticFiles):
    """The page's files; browsers ask whether theirs is the newest."""

    def file_response(self, *arguments: object, **options: object) -> Response:
        answer: Response = super().file_response(*arguments, **options)  # type: ignore[arg-type]
        answer.headers.update(ALWAYS_ASK)
        return answer


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers=ALWAYS_ASK)


async def _mistake(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, MistakeError) else 400
    return json_object({"error": str(error)}, status)


async def _died(request: Request, error: Exception) -> Response:
    return json_object({"error": DIED}, 503)


def make_app(token: str | None = None, *, may_command: bool = True) -> Starlette:
    """The app.

    Args:
        token: that requests have to know; None: only this machine can reach it.
        may_command: whether the page may start, stop and resume runs.
    """
    desk = Worker("desk", {area.name: area.desk for area in AREAS if area.desk})
    solver = Worker("solver", {area.name: area.solver for area in AREAS if area.solver}, long=True)
    own = {area.name: Worker(area.name, {area.name: area.own}) for area in AREAS if area.own}
    context = Context(desk, Jobs(solver), Files(), own, may_command)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        desk.start()
        solver.start()
        working = asyncio.create_task(context.jobs.work())
        try:
            yield
        finally:
            working.cancel()
            for worker in app.state.workers:
                worker.stop()
            context.files.close()

    uploads = [path for area in AREAS for path in area.uploads]
    app = Starlette(
        routes=[
            Route("/", _page),
            *(route for area in AREAS for route in area.make_routes(context)),
            Mount("/static", PageFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, token=token, uploads=uploads)],
        exception_handlers={MistakeError: _mistake, RefusedError: _mistake, ProcessDiedError: _died},
        lifespan=lifespan,
    )
    app.state.workers = (desk, solver, *own.values())
    return app


class _Server(uvicorn.Server):
    """Tells when it is ready, and ends the processes before it waits for answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], workers: Sequence[Worker]) -> None:
        super().__init__(config)
        self._ready, self._workers = ready, workers

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for worker in self._workers:
            worker.stop()  # who waits for an answer gets one
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(listening: socket.socket, token: str | None, ready: Callable[[], None]) -> None:
    """Serves until it is interrupted.

    Args:
        listening: the socket.
        token: see :func:`make_app`.
        ready: called when requests are answered.
    """
    app = make_app(token)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
    )
    _Server(config, ready, app.state.workers).run([listening])
