"""What the page asks of Play. What was done in a session is kept here: its process may die and go on."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pokerlab.app.context import Context, MistakeError, json_object, read_object

CONFIDENCE = 1.96
"""Standard errors on either side of a mean: 95 %."""
KEPT = 50
"""Sessions; the ones played last."""
SECONDS = 600.0
"""For the agent to act, and for a review."""


@dataclass
class Session:
    """What was done, and what came of it."""

    setup: dict[str, Any]
    done: list[list[str]] = field(default_factory=list)
    """The person's moves, hand by hand."""
    reviews: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By the number of the hand."""
    busy: bool = False

    def totals(self) -> dict[str, Any]:
        """Chips a hand of the hands that were reviewed."""
        told: dict[str, Any] = {"hands": len(self.reviews)}
        lost = [sum(each["lost"] for each in review["decisions"]) for review in self.reviews.values()]
        told["lost"] = fmean(lost) if lost else None
        for name in ("won", "without_luck"):
            chips = [review[name] for review in self.reviews.values()]
            told[name] = None if not chips or None in chips else _interval(chips)
        return told


def _interval(chips: list[float]) -> tuple[float, float | None]:
    """The mean, and half of its 95 % interval if there is one."""
    return fmean(chips), CONFIDENCE * stdev(chips) / len(chips) ** 0.5 if len(chips) > 1 else None


class Play:
    """The area's requests.

    Args:
        context: what areas share.
    """

    def __init__(self, context: Context) -> None:
        self._worker = context.own["play"]
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    async def choices(self, request: Request) -> Response:
        """Whom one can play."""
        return json_object(await self._worker.call("play.choices", seconds=SECONDS))

    async def start(self, request: Request) -> Response:
        """A new session, and its first hand."""
        setup = await read_object(request)
        name, session = secrets.token_hex(8), Session(setup)
        told = await self._ask(name, session, "deal")
        session.done.append([])
        self._sessions[name] = session
        while len(self._sessions) > KEPT:
            self._sessions.popitem(last=False)
        return json_object({"id": name, **told})

    async def view(self, request: Request) -> Response:
        """The hand as it stands."""
        name, session = self._session(request)
        return json_object(await self._tell(name, session, await self._ask(name, session, "view")))

    async def act(self, request: Request) -> Response:
        """The person acts."""
        name, session = self._session(request)
        move = str((await read_object(request)).get("action", ""))
        told = await self._ask(name, session, "act", move)
        session.done[-1].append(move)
        return json_object(await self._tell(name, session, told))

    async def deal(self, request: Request) -> Response:
        """The next hand."""
        name, session = self._session(request)
        told = await self._ask(name, session, "deal")
        session.done.append([])
        return json_object(await self._tell(name, session, told))

    async def review(self, request: Request) -> Response:
        """What the hand was worth, and the session so far."""
        name, session = self._session(request)
        number = len(session.done) - 1
        if number not in session.reviews:
            session.reviews[number] = await self._ask(name, session, "review")
        return json_object({**session.reviews[number], "totals": session.totals()})

    async def histories(self, request: Request) -> Response:
        """The hands in PHH, to be saved."""
        name, session = self._session(request)
        text = await self._ask(name, session, "histories")
        headers = {"Content-Disposition": 'attachment; filename="hands.phhs"', "Cache-Control": "no-store"}
        return Response(text, media_type="text/plain; charset=utf-8", headers=headers)

    async def _tell(self, name: str, session: Session, told: dict[str, Any]) -> dict[str, Any]:
        return {"id": name, **told, "setup": session.setup, "totals": session.totals()}

    async def _ask(self, name: str, session: Session, what: str, *more: str) -> Any:
        """One thing at a time: a second click on the same hand is refused."""
        if session.busy:
            raise MistakeError("the agent is still thinking", 409)
        session.busy = True
        try:
            return await self._worker.call(
                f"play.{what}", name, session.setup, session.done, *more, seconds=SECONDS
            )
        finally:
            session.busy = False

    def _session(self, request: Request) -> tuple[str, Session]:
        name = request.path_params["session"]
        if name not in self._sessions:
            raise MistakeError("this session is not known here (any more): begin another", 404)
        self._sessions.move_to_end(name)
        return name, self._sessions[name]


def routes(context: Context) -> list[Route]:
    """The area's routes."""
    area, at = Play(context), "/api/play"
    session = f"{at}/sessions/{{session:str}}"
    return [
        Route(f"{at}/choices", area.choices),
        Route(f"{at}/sessions", area.start, methods=["POST"]),
        Route(session, area.view),
        Route(f"{session}/act", area.act, methods=["POST"]),
        Route(f"{session}/deal", area.deal, methods=["POST"]),
        Route(f"{session}/review", area.review),
        Route(f"{session}/histories", area.histories),
    ]
