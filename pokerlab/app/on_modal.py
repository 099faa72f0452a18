"""The browser app on Modal: one container, whose address needs a token, that shows the runs on the Volume.

``pokerlab app --modal`` deploys it, and says where it is.
"""

import contextlib
import os
import secrets as random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modal

from pokerlab.app.server import STATIC, make_app
from pokerlab.jobs.modal_app import RUNS, image, volume
from pokerlab.jobs.modal_client import check_reachable, modal_errors
from pokerlab.store.files import read_yaml, shipped_path
from pokerlab.store.folder import OUTPUTS

APP, FUNCTION = "pokerlab-app", "page"
TOKEN = "POKERLAB_APP_TOKEN"
"""Environment variable: what requests have to know."""
CORES, MEMORY = 2.0, 4096
"""Cores, and MiB."""
IDLE = 300
"""Seconds without a request after which the container ends."""
RELOAD = 30.0
"""Seconds from one look at the Volume to the next."""


def image_of_app() -> modal.Image:
    """That of training, with the server, the page's files and the agents of the package."""
    return (
        image("app")
        .add_local_dir(STATIC, "/root/pokerlab/app/static")
        .add_local_dir(shipped_path("trained"), "/root/trained")
    )


app = modal.App(APP)
token = random.token_urlsafe(16) if modal.is_local() else ""
"""A new one with each deployment."""


# in the container only the package is there, and nothing is built
@app.function(
    name=FUNCTION,
    image=image_of_app() if modal.is_local() else None,
    volumes={str(RUNS): volume.read_only()},
    secrets=[modal.Secret.from_dict({TOKEN: token})],
    cpu=CORES,
    memory=MEMORY,
    max_containers=1,  # sessions, queue and solved spots are in its memory and on its disk
    scaledown_window=IDLE,
    timeout=900,
)
@modal.concurrent(max_inputs=100)
@modal.asgi_app()
def page() -> Any:
    """The app; see :func:`page_over`."""
    return page_over(RUNS, os.environ[TOKEN], volume.reload)


def deploy() -> str:
    """Deploys the app in place of the one before, and says where it is, what it costs and how it is stopped.

    Raises:
        UserError: Modal does not take it.
    """
    check_reachable()
    with modal_errors("take the app", instead="leave out --modal"):
        app.deploy(name=APP)
        address = page.get_web_url()
    prices = read_yaml(shipped_path("conf") / "launcher/modal.yaml")["prices"]
    hour = CORES * prices["cpu"] + MEMORY / 1024 * prices["memory"]
    return (
        f"pokerlab app: {address}/?token={token}\n"
        f"cost     about {hour:.2f} USD an hour while it is asked, and {IDLE // 60} minutes longer\n"
        f"stop     modal app stop {APP}"
    )


def page_over(runs: Path, token: str, reload: Callable[[], None]) -> Any:
    """The app over a folder of runs, which it only shows.

    Args:
        runs: the folder.
        token: that requests have to know.
        reload: sees what others have written there since.
    """
    os.chdir(tempfile.mkdtemp())
    OUTPUTS.symlink_to(runs)

    def look() -> None:
        while True:
            time.sleep(RELOAD)
            with contextlib.suppress(Exception):  # a file is open, or there is no connection: next time
                reload()

    threading.Thread(target=look, daemon=True).start()
    return make_app(token, may_command=False)
