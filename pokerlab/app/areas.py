"""The areas of the app. A new one is a folder here, one of modules under ``static``, and a line below.

An area's ``routes`` module has ``routes(context)`` and, if it takes files, ``UPLOADS``. ``desk`` and
``solver`` name the modules whose functions the processes run for it, if there are any.
``context.desk.call("area.name", …)`` answers at once; a :class:`~pokerlab.app.jobs.Job` of ``area.name`` goes
into the queue. ``own`` is the module of a process of the area's own, ``context.own["area"]``.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pokerlab.app.context import Context


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the app, with a page of its own."""

    name: str
    routes: str
    desk: str | None = None
    solver: str | None = None
    own: str | None = None
    """Of a process of its own, which is started when it is first asked."""

    def make_routes(self, context: Context) -> list[Any]:
        """The area's routes."""
        found: list[Any] = import_module(self.routes).routes(context)
        return found

    @property
    def uploads(self) -> tuple[str, ...]:
        """Paths that take files."""
        return tuple(getattr(import_module(self.routes), "UPLOADS", ()))


AREAS = (
    Area(
        "explore",
        routes="pokerlab.app.explore.routes",
        desk="pokerlab.app.explore.desk",
        solver="pokerlab.app.explore.solver",
    ),
    Area("play", routes="pokerlab.app.play.routes", own="pokerlab.app.play.player"),
    Area("runs", routes="pokerlab.app.runs.routes", own="pokerlab.app.runs.watcher"),
)
