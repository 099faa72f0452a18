"""What every request has to pass: the host it asks for, where it comes from, a token, and its size."""

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "pokerlab"
MOST_BYTES, MOST_FILE_BYTES = 2**20, 256 * 2**20
"""Of a request's body; of one that uploads a file."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOCAL = ("127.0.0.1", "localhost", "[::1]")


class TooLargeError(Exception):
    """A body that goes on."""


class Guard:
    """Refuses what does not come from the app's own page; adds headers to every answer.

    Args:
        app: what is asked otherwise.
        token: that requests have to know; None: only this machine can reach the app, and requests have to ask
            for it by a local name, which a page of another site that points its own name here cannot.
        uploads: paths that take files.
    """

    def __init__(self, app: ASGIApp, token: str | None, uploads: Iterable[str] = ()) -> None:
        self._app, self._token, self._uploads = app, token, frozenset(uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, read = False, 0
        most = MOST_FILE_BYTES if scope["path"] in self._uploads else MOST_BYTES

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise TooLargeError
            return message

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        answer = self._refuse(scope, most)
        if answer is not None:
            await answer(scope, receive, with_headers)
            return
        try:
            await self._app(scope, counting, with_headers)
        except TooLargeError:
            if started:
                raise
            await _too_large(most)(scope, receive, with_headers)

    def _refuse(self, scope: Scope, most: int) -> Response | None:
        """Why not, if not."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self._token is None and host.rpartition(":")[0] not in LOCAL and host not in LOCAL:
            return _no(403, f"this address is not the app's own: open it as http://{LOCAL[0]}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _no(403, "requests of other pages are refused")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not _opens_page(
            scope, headers
        ):
            return _no(403, "requests of other pages are refused")
        if (
            not headers.get("content-length", "0").isdecimal()
            or int(headers.get("content-length", "0")) > most
        ):
            return _too_large(most)
        return self._ask_token(scope, headers)

    def _ask_token(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        if self._token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if hmac.compare_digest(given.encode(), self._token.encode()):
            answer = RedirectResponse(scope["path"], status_code=303)
            secure = scope["scheme"] == "https"
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", secure=secure)
            return answer
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is None or not hmac.compare_digest(cookie.value.encode(), self._token.encode()):
            return _no(401, "the token is missing: open the address that pokerlab app has printed")
        return None


def _opens_page(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether somebody follows a link to the page itself."""
    return scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"


def _no(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status, headers={"Connection": "close"})


def _too_large(most: int) -> Response:
    return _no(413, f"too large: expected at most {most // 2**20} MB")
