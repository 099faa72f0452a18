"""The app on Modal: what is deployed, what is told, and the app itself over a folder that is no Volume."""

import re
from pathlib import Path
from typing import Any

import modal
import pytest
from runs.fake_modal import FakeModal
from starlette.testclient import TestClient

from pokerlab.app import command, on_modal
from pokerlab.app.workers import Worker
from pokerlab.jobs.modal_app import needed
from pokerlab.store.folder import RunFolder

ADDRESS = "https://somebody--pokerlab-app-page.modal.run"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeModal:
    monkeypatch.setattr(on_modal, "check_reachable", lambda: None)
    monkeypatch.setattr(modal.Function, "get_web_url", lambda _: ADDRESS)
    return FakeModal(monkeypatch, tmp_path / "volume")


def test_one_command_deploys_it_and_says_what_it_costs(
    server: FakeModal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(["--modal"]) == 0
    assert server.apps == [on_modal.APP]
    said = capsys.readouterr().out
    assert f"pokerlab app: {ADDRESS}/?token={on_modal.token}\n" in said
    assert len(on_modal.token) > 20
    # two cores and four GiB at the prices of conf/launcher/modal.yaml
    assert f"about {2 * 0.0472 + 4 * 0.008:.2f} USD an hour" in said
    assert said.endswith("stop     modal app stop pokerlab-app\n")


def test_what_modal_says_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_modal, "check_reachable", lambda: None)
    for error in (modal.exception.AuthError("who?"), modal.exception.Error("no\nroom")):
        FakeModal(monkeypatch, tmp_path / "volume", error)
        assert command.run(["--modal"]) == 2
        assert re.fullmatch(r"error: (no Modal|Modal (rejects|did not take the app: no room)).*\n",
                            capsys.readouterr().err)  # fmt: skip


def test_the_image_has_what_the_app_needs() -> None:
    assert any(requirement.startswith("starlette") for requirement in needed("app"))
    assert not any(requirement.startswith("numba-cuda") for requirement in needed("app"))


def test_it_shows_the_volumes_runs_to_who_knows_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunFolder(tmp_path / "there").path.mkdir()
    (tmp_path / "there/training_metrics.jsonl").write_text('{"iteration": 0, "value_loss": 0.5}\n')
    start = Worker.start
    monkeypatch.setattr(Worker, "start", lambda worker: start(worker) if worker.name == "runs" else None)
    monkeypatch.chdir(tmp_path)  # and back: it goes to a folder of its own
    app: Any = on_modal.page_over(tmp_path, "secret", lambda: None)
    with TestClient(app, base_url=ADDRESS, follow_redirects=False) as client:
        assert client.get("/api/runs/overview").status_code == 401
        assert "secure" in client.get("/?token=secret").headers["set-cookie"].lower()
        found = client.get("/api/runs/overview").json()
        assert ([run["name"] for run in found["runs"]], found["may_command"]) == (["there"], False)
        refused = client.post("/api/runs/start", json={"experiment": "kuhn"})
        assert refused.status_code == 403
