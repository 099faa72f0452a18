"""``pokerlab app``: explore solved spots in the browser.

Serves a page on this machine, and opens it. Nothing is sent anywhere else. Other machines can reach it only
with --host, and then need the token that is printed.
"""

import argparse
import contextlib
import importlib.util
import ipaddress
import secrets
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

from pokerlab.console import say
from pokerlab.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

NEEDED = ("starlette", "uvicorn")
PORT, MORE_PORTS = 8642, 20
LOOPBACK = "127.0.0.1"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="pokerlab app", description=(__doc__ or "").split("\n", 2)[2].strip()
    )
    found.add_argument("--port", type=_port, help=f"to listen on; {PORT}, or the next one that is free")
    found.add_argument(
        "--host", default=LOOPBACK, help=f"address to listen on; {LOOPBACK}, this machine only"
    )
    found.add_argument("--no-browser", action="store_true", help="only print the address")
    found.add_argument("--modal", action="store_true", help="deploy it on Modal, to look at the runs there")
    return found


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 (any that is free) to 65535, got {text!r}"
        )
    return int(text)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = range(PORT, PORT + MORE_PORTS) if port is None else [port]
    for number in ports:
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
        except (OSError, UnicodeError) as error:
            found.close()
            reason = str(getattr(error, "strerror", None) or error)
            if number == ports[-1]:
                where = f"port={number}" if "in use" in reason or "denied" in reason else f"host={host}"
                raise UserError(f"{where}: cannot listen there: {reason}") from error
        else:
            return found
    raise AssertionError


def main(arguments: "Sequence[str]") -> int:
    """The command; returns the exit code."""
    given = parser().parse_args(arguments)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} is missing: pip install 'pokerlab[app]'")
    if given.modal:
        from pokerlab.app.on_modal import deploy

        say(deploy())
        return 0
    from pokerlab.app.server import serve

    listening = listen(given.host, given.port)
    token = None if is_loopback(given.host) else secrets.token_urlsafe(16)
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}/" + (f"?token={token}" if token else "")

    def ready() -> None:
        say(f"pokerlab app: {address}\nCtrl-C ends it")
        if not given.no_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(listening, token, ready)
    return 0


def run(arguments: "Sequence[str]") -> int:
    """The whole process."""
    try:
        return main(arguments)
    except UserError as error:
        say(f"error: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        return 0
