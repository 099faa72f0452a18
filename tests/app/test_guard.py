"""Who may ask: this page on this machine, or who knows the token; and how the command answers mistakes."""

import importlib.util
import socket
from typing import Any

import pytest
from starlette.testclient import TestClient

from pokerlab.app import command
from pokerlab.app.server import make_app


@pytest.fixture(scope="module")
def local() -> TestClient:
    return TestClient(make_app(), base_url="http://127.0.0.1:8642")


def test_the_page_asks_no_other_host(local: TestClient) -> None:
    page = local.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "http" not in policy
    assert "//" not in page.text.replace("<!doctype html>", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8642"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_of_others_are_refused(local: TestClient, headers: dict[str, str]) -> None:
    for answer in (
        local.get("/api/explore/spots/0123", headers=headers),
        local.post("/api/explore/check", json={}, headers=headers),
    ):
        assert answer.status_code == 403
        assert "error" in answer.json()


def test_a_link_to_the_page_may_be_followed(local: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert local.get("/", headers=headers).status_code == 200


def test_bodies_have_a_size(local: TestClient) -> None:
    for path, size, most in (("check", 2**21, "1 MB"), ("open", 2**30, "256 MB")):
        answer = local.post(f"/api/explore/{path}", content=b"x", headers={"Content-Length": str(size)})
        assert answer.status_code == 413
        assert answer.json()["error"] == f"too large: expected at most {most}"

    def endless() -> Any:
        for _ in range(30):
            yield b" " * 2**16

    headers = {"Content-Type": "application/json"}
    assert local.post("/api/explore/check", content=endless(), headers=headers).status_code == 413


def test_from_elsewhere_one_needs_the_token() -> None:
    app = make_app("secret")
    outside = TestClient(app, base_url="http://192.168.0.7:8642", follow_redirects=False)
    assert outside.get("/").status_code == 401
    assert "token is missing" in outside.get("/").json()["error"]
    assert outside.get("/?token=guess").status_code == 401
    assert outside.get("/", headers={"Cookie": 'pokerlab="'}).status_code == 401
    opened = outside.get("/?token=secret")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert outside.get("/").status_code == 200  # the cookie


def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert command.run(["--no-browser"]) == 2
    assert capsys.readouterr().err == "error: uvicorn is missing: pip install 'pokerlab[app]'\n"


def test_ports_and_hosts_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.run(["--no-browser", "--port", str(port)]) == 2
    assert f"error: port={port}: cannot listen there" in capsys.readouterr().err
    assert command.run(["--no-browser", "--host", "8.8.8.8"]) == 2
    assert "error: host=8.8.8.8: cannot listen there" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        command.run(["--port", "80000"])
    assert "expected a number from 0 (any that is free) to 65535, got '80000'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.168.0.7", False)],
)
def test_only_this_machine_needs_no_token(host: str, loopback: bool) -> None:
    assert command.is_loopback(host) is loopback
