"""What stands in for Modal's servers: a folder for the Volume, and calls that wait, run or are over.

Everything that only needs the client stays the real client's.
"""

import inspect
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import modal
import pytest
from modal.types import FileEntry, FileEntryType, LogEntry

from pokerlab.errors import UserError
from pokerlab.jobs import modal_client, places
from pokerlab.jobs.modal_app import FUNCTION, VOLUME, train_in


class FakeModal:
    """Modal's servers.

    Args:
        monkeypatch: puts it in their place.
        runs: a folder for the Volume.
        error: what every request raises.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, runs: Path, error: Exception | None = None) -> None:
        self.runs, self.error = runs, error
        self.options: dict[str, Any] = {}
        self.called: list[str] = []
        """The app of each call."""
        self.spawned: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.apps: list[str] = []
        """Deployed."""
        self.reachable = True
        self.over: dict[str, Any] = {}
        """Call → what came of it."""
        self.stops: dict[str, bool] = {}
        self.cancelled: list[tuple[str, bool]] = []
        self.printed: dict[str, str] = {}
        """Call → what its containers printed."""
        self.rates: dict[str, str] = {}
        """USD; see Modal's billing."""
        runs.mkdir(exist_ok=True)
        modal_client.deploy.cache_clear()
        monkeypatch.setattr(modal.App, "deploy", self._deploy)
        monkeypatch.setattr(modal.Function, "from_name", self._function)
        monkeypatch.setattr(modal.FunctionCall, "from_id", lambda call: _Call(self, call))
        monkeypatch.setattr(modal.Volume, "from_name", self._volume)
        monkeypatch.setattr(modal.Dict, "from_name", lambda *_, **__: _Dict(self.stops))
        monkeypatch.setattr(modal.Workspace, "from_context", lambda: SimpleNamespace(billing=self._billing()))
        monkeypatch.setattr(modal_client, "check_reachable", self._reach)
        monkeypatch.setattr(places, "is_signed_in", lambda: True)

    def _deploy(self, *, name: str) -> None:
        self._fail()
        self.apps.append(name)

    def _reach(self) -> None:
        if not self.reachable:
            raise UserError("Modal cannot be reached: api.modal.com: no route")

    def _billing(self) -> SimpleNamespace:
        def rates() -> dict[str, Decimal]:
            self._fail()
            return {key: Decimal(rate) for key, rate in self.rates.items()}

        return SimpleNamespace(rates=rates)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _function(self, app: str, name: str) -> "FakeModal":
        assert name == FUNCTION
        if app not in self.apps:
            raise modal.exception.NotFoundError(app)
        self.called.append(app)
        return self

    def _volume(self, name: str, **_: Any) -> "_Volume":
        assert name == VOLUME
        return _Volume(self)

    def with_options(self, **options: Any) -> "FakeModal":
        inspect.signature(modal.Function.with_options).bind(None, **options)
        self.options = options
        return self

    def spawn(self, config: dict[str, Any], job: dict[str, Any]) -> "_Call":
        self.spawned.append((config, job))
        return _Call(self, f"fc-{len(self.spawned)}")

    def run(self, number: int = -1) -> str:
        """Runs a spawned call here, as a container would."""
        config, job = self.spawned[number]
        call = f"fc-{number % len(self.spawned) + 1}"
        try:
            state = train_in(
                self.runs, config, job | {"call_id": call}, lambda: None, lambda: self.stops.get(call, False)
            )
        except BaseException as error:
            self.over[call] = error
            raise
        self.over[call] = state
        return state


class _Call:
    def __init__(self, server: FakeModal, object_id: str) -> None:
        self.server, self.object_id = server, object_id

    def get(self, timeout: float | None = None) -> Any:
        assert timeout == 0
        self.server._fail()
        if self.object_id not in self.server.over:
            raise TimeoutError
        result = self.server.over[self.object_id]
        if isinstance(result, BaseException):
            raise result
        return result

    @property
    def logs(self) -> SimpleNamespace:
        def tail(entries: int) -> list[LogEntry]:
            printed = self.server.printed[self.object_id].splitlines(keepends=True)
            return [
                LogEntry(line, datetime.now(UTC), "stdout", self.object_id, []) for line in printed[-entries:]
            ]

        return SimpleNamespace(tail=tail)

    def cancel(self, terminate_containers: bool = False) -> None:
        self.server.cancelled.append((self.object_id, terminate_containers))
        self.server.over.setdefault(self.object_id, modal.exception.InputCancellation())


class _Dict:
    def __init__(self, content: dict[str, bool]) -> None:
        self.content = content

    def put(self, key: str, value: bool) -> None:
        self.content[key] = value


class _Volume:
    def __init__(self, server: FakeModal) -> None:
        self.server = server

    def listdir(self, path: str, *, recursive: bool = False) -> list[FileEntry]:
        self.server._fail()
        folder = self.server.runs / path.strip("/")
        found = folder.rglob("*") if recursive else folder.iterdir()
        return [
            FileEntry(
                path=str(each.relative_to(self.server.runs)),
                type=FileEntryType.FILE if each.is_file() else FileEntryType.DIRECTORY,
                mtime=int(each.stat().st_mtime),
                size=each.stat().st_size,
            )
            for each in sorted(found)
        ]

    def read_file(self, path: str) -> Iterator[bytes]:
        self.server._fail()
        content = (self.server.runs / path).read_bytes()
        for begin in range(0, len(content), 10_000):
            yield content[begin : begin + 10_000]

    @contextmanager
    def batch_upload(self, force: bool = False) -> Iterator["_Upload"]:
        self.server._fail()
        yield _Upload(self.server.runs, force)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.server.runs / name)


class _Upload:
    def __init__(self, runs: Path, force: bool) -> None:
        self.runs, self.force = runs, force

    def put_file(self, content: io.BytesIO, path: str) -> None:
        to = self.runs / path.strip("/")
        if to.exists() and not self.force:
            raise FileExistsError(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content.read())
