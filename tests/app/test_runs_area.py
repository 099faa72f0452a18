"""Runs and leagues as the page asks for them: what is shown, damage, commands, and what is refused."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pokerlab.app.runs import commands
from pokerlab.app.runs.curves import MOST_POINTS, of_a_run
from pokerlab.app.server import make_app
from pokerlab.app.workers import Worker
from pokerlab.evaluation.published import PUBLISHED
from pokerlab.store.files import shipped_path
from pokerlab.store.folder import RunFolder

ROUND = {"members": 2, "kept": [0, 1], "weights": {"uniform": [0.25, 0.25], "r0001": [0.75, 0.75]},
         "seconds": 1.0, "cpu_seconds": 1.0, "lower_bound": None, "lower_bound_half_width": None}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a trained run, and a league of two members."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here := tmp_path_factory.mktemp("app"))
        shutil.copytree(
            shipped_path("trained") / "leduc", here / "outputs/mine", ignore=shutil.ignore_patterns("*.ckpt")
        )
        league = here / "outputs/league"
        (league / "members/r0001").mkdir(parents=True)
        shutil.copy(here / "outputs/mine/config.yaml", league / "members/r0001")
        rounds = [
            ROUND | {"round": n, "nash_conv": 2 / (n + 1), "exploitability": 1 / (n + 1)} for n in (0, 1)
        ]
        results = {"picks": [[0, 0], [0, 1], [1, 0], [1, 1]], "payoffs": [[0, 0], [-2, 2], [4, -4], [1, -1]]}
        members = [{"name": "uniform", "round": 0, "origin": "start"},
                   {"name": "r0001", "round": 1, "origin": "best_response", "parent": "uniform"}]  # fmt: skip
        files: dict[str, list[Any]] = {
            "league.json": [{"league": 1, "game": "leduc"}],
            "rounds.jsonl": rounds,
            "results.jsonl": [results],
            "members.jsonl": members,
        }
        for name, lines in files.items():
            (league / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        yield here


@pytest.fixture(scope="module")
def client(place: Path, _forked_app: None) -> Iterator[TestClient]:
    start = Worker.start
    with pytest.MonkeyPatch.context() as patch:  # those who solve are not asked
        patch.setattr(Worker, "start", lambda worker: start(worker) if worker.name == "runs" else None)
        with TestClient(make_app(), base_url="http://127.0.0.1") as found:
            yield found


def get(client: TestClient, what: str, status: int = 200, **query: Any) -> Any:
    answer = client.get(f"/api/runs/{what}", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def post(client: TestClient, what: str, body: Any = None, status: int = 200) -> Any:
    answer = client.post(f"/api/runs/{what}", json=body or {})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_run_is_shown_beside_what_others_published(client: TestClient) -> None:
    found = get(client, "overview")
    assert [(run["name"], run["state"], run["iterations"]) for run in found["runs"]] == [
        ("mine", "finished", 60)
    ]
    assert {"leduc", "hunl-laptop"} <= {run["name"] for run in found["shipped"]}
    by_name = {each["name"]: each for each in found["experiments"]}
    assert (by_name["kuhn"]["league"], by_name["phase2"]["league"]) == (False, True)
    assert by_name["kuhn"]["says"].startswith("Kuhn poker")
    run = get(client, "run", name="mine")
    assert (run["errors"], run["shipped"], run["lines"]) == ([], False, 60)
    panels = {panel["title"]: panel for panel in run["curves"]}
    assert panels["Exploitability"]["levels"] == PUBLISHED["leduc"]
    search, network = panels["Exploitability"]["series"]
    assert search["points"][-1] == [60, pytest.approx(0.0150075, abs=1e-6)]
    assert network["points"][-1] == [60, pytest.approx(0.0772412, abs=1e-6)]
    assert len(panels["Value loss"]["series"][0]["points"]) == 60
    assert run["table"]["columns"][0] == "iteration"
    assert run["table"]["rows"][0][0] == 59
    assert get(client, "run", name="mine", seen=run["version"]) == {"version": run["version"]}
    assert get(client, "config", name="mine")["text"].startswith("iterations: 60")
    titles = {panel["title"]: panel for panel in get(client, "run", name="hunl-laptop")["curves"]}
    assert {series["name"] for series in titles["Value error by street"]["series"]} >= {"turn", "river"}


def test_damage_is_told_in_a_line_and_the_rest_is_shown(client: TestClient, place: Path) -> None:
    run = place / "outputs/damaged"
    shutil.copytree(place / "outputs/mine", run)
    lines = (run / "training_metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "training_metrics.jsonl").write_text(
        "".join([*lines[:5], "{broken\n", *lines[6:20], lines[20][:50]])
    )
    (run / "training.log").write_bytes(b"one\n\xff<b>two</b>\n")
    found = get(client, "run", name="damaged")
    assert found["lines"] == 19  # the half-written last line is of an iteration that is not over
    assert any("line 6" in error for error in found["errors"])
    assert all("\n" not in error for error in found["errors"])
    assert get(client, "log", name="damaged", lines=1)["lines"] == ["\ufffd<b>two</b>"]
    (run / "job.json").write_text("[]")
    listed = next(each for each in get(client, "overview")["runs"] if each["name"] == "damaged")
    assert (listed["state"], "job.json cannot be read" in listed["error"]) == ("unreadable", True)
    assert get(client, "run", name="damaged")["lines"] == 19
    for name, content in (("training_metrics.jsonl", b"\xff\n\x00"), ("config.yaml", b"\xff: [")):
        (run / name).write_bytes(content)
    found = get(client, "run", name="damaged")
    assert (found["curves"], found["lines"]) == ([], 0)
    shutil.rmtree(run)
    assert "no run 'damaged' here" in get(client, "run", 400, name="damaged")["error"]
    assert [each["name"] for each in get(client, "overview")["runs"]] == ["mine"]


@pytest.mark.parametrize(
    "name", ["", "../mine", "/etc", "league", "league/members/..", "league/members/.", "a\0b"]
)
def test_only_runs_of_the_folder_are_read(name: str, client: TestClient) -> None:
    assert "no run" in get(client, "run", 400, name=name)["error"]
    assert "no run" in get(client, "log", 400, name=name)["error"]
    assert "no league" in get(client, "league", 400, name=f"{name}x")["error"]


def test_a_league_is_shown(client: TestClient, place: Path) -> None:
    found = get(client, "league", name="league")
    assert found["errors"] == []
    assert found["curves"][0]["series"][0] == {"name": "mixture", "points": [[0, 1.0], [1, 0.5]]}
    assert {series["name"] for series in found["curves"][0]["series"]} > {"psro_v2 (OpenSpiel)"}
    # the mean of both seats: 1 wins 2 as the second player and 4 as the first
    assert found["matrix"]["payoffs"] == [[0, -3], [3, 0]]
    assert found["matrix"]["half_width"] == [[0, 0], [0, 0]]
    assert [(m["name"], m["parent"], m["weight"], m["run"]) for m in found["members"]] == [
        ("uniform", None, 0.25, False),
        ("r0001", "uniform", 0.75, True),
    ]
    assert get(client, "run", name="league/members/r0001")["name"] == "league/members/r0001"
    results = place / "outputs/league/results.jsonl"
    whole = results.read_text()
    results.write_text("{}\n")
    found = get(client, "league", name="league")
    assert (found["matrix"], len(found["members"]), len(found["errors"])) == (None, 2, 1)
    assert "results.jsonl is damaged: line 1" in found["errors"][0]
    results.write_text(whole)


def test_a_killed_process_is_told_and_started_again(client: TestClient) -> None:
    app: Any = client.app
    next(worker for worker in app.state.workers if worker.name == "runs").kill()
    answers = [client.get("/api/runs/overview") for _ in range(2)]
    assert answers[-1].status_code == 200
    assert all("ended unexpectedly" in answer.text for answer in answers if answer.status_code != 200)


def test_many_iterations_are_thinned_to_what_can_be_drawn() -> None:
    lines = [{"iteration": n, "value_loss": 1.0 / (n + 1), "seconds_selfplay": True} for n in range(5000)]
    (panel,) = of_a_run(lines[::-1], {"algorithm": {"_target_": "pokerlab.algorithms.rebel.ReBeL"}})
    points = panel["series"][0]["points"]
    assert (panel["title"], panel["unit"], len(points)) == ("Value loss", "pots²", MOST_POINTS)
    assert (points[0], points[-1]) == ([1, 1.0], [5000, 1 / 5000])


def test_a_run_is_started_stopped_and_resumed_by_the_commands(client: TestClient, place: Path) -> None:
    settings = "run_name=begun iterations=400 trajectories=20 updates=1 evaluation.every=null commit_every=1"
    started = post(client, "start", {"experiment": "kuhn", "settings": settings})
    assert (started["name"], started["league"]) == ("begun", False)
    waited(lambda: get(client, "run", name="begun")["status"]["iterations"] > 0)
    refused = post(client, "resume?name=begun", {"settings": "iterations=500"}, 400)
    assert "is running as process" in refused["error"]
    stopped = post(client, "stop?name=begun")["said"]
    assert "begun is stopped after" in stopped
    assert "last.ckpt is there" in stopped
    assert get(client, "run", name="begun")["status"]["state"] == "stopped"
    assert "begun is not running: it is stopped" in post(client, "stop?name=begun", None, 400)["error"]
    assert get(client, "log", name="begun")["lines"]


def waited(over: Callable[[], bool]) -> None:
    for _ in range(600):
        if over():
            return
        time.sleep(0.1)
    raise AssertionError


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of pokerlab, what writes down how it was called, and refuses."""
    told = tmp_path / "told"
    program = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w')); sys.exit('error: a line')"
    monkeypatch.setattr(commands, "PROGRAM", (sys.executable, "-c", program, str(told)))
    return told


def test_commands_are_given_what_was_asked_and_their_line_is_shown(
    client: TestClient, said: Path, place: Path
) -> None:
    asked = {
        "start": ({"experiment": "leduc", "settings": "seed=2 'game.leaves=before_deal'"},
                  ["launch", "experiment=leduc", "launcher=local", "seed=2", "game.leaves=before_deal"]),
        "resume?name=mine": ({"settings": "iterations=80"},
                             ["jobs", "resume", "outputs/mine", "iterations=80"]),
        "stop?name=mine": ({"now": True}, ["jobs", "stop", "outputs/mine", "--now"]),
        "stop?kind=league&name=league": ({}, ["league", "stop", "outputs/league"]),
        "resume?kind=league&name=league": ({"settings": "rounds=9"},
                                           ["league", "resume", "outputs/league", "rounds=9"]),
    }  # fmt: skip
    before = sorted(place.rglob("*"))
    for path, (body, words) in asked.items():
        assert post(client, path, body, 400) == {"error": "a line"}
        assert json.loads(said.read_text()) == words
    body = {"experiment": "phase2", "settings": "run_name=new"}
    assert post(client, "start", body, 400) == {"error": "a line"}
    assert json.loads(said.read_text()) == ["league", "run", "experiment=phase2", "run_name=new"]
    assert sorted(place.rglob("*")) == before  # nothing is left of what was refused


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("start", {"experiment": "chess"}, "no experiment 'chess': expected one of fhp"),
        ("start", {"experiment": "kuhn", "settings": "iterations"}, "'iterations' is not a setting"),
        (
            "start",
            {"experiment": "kuhn", "settings": "--config-dir=/tmp"},
            "'--config-dir=/tmp' is not a setting",
        ),
        (
            "start",
            {"experiment": "kuhn", "settings": "run_dir=/tmp/x"},
            "run_dir cannot be set from the page",
        ),
        ("start", {"experiment": "kuhn", "settings": "+hydra.run.dir=/"}, "hydra.run.dir cannot be set"),
        ("start", {"experiment": "kuhn", "settings": "+a._target_=os.system"}, "cannot be set from the page"),
        (
            "start",
            {"experiment": "kuhn", "settings": "+a={_target_:os.system}"},
            "cannot be set from the page",
        ),
        ("start", {"experiment": "kuhn", "settings": "'"}, "cannot read the settings"),
        ("start", {"experiment": "kuhn", "settings": ["x=1"]}, "settings must be a text"),
        ("start", {"experiment": "kuhn", "settings": "experiment=leduc"}, "chosen above"),
        ("start", {"experiment": "phase2", "settings": "run_name=../x"}, "run_name '../x' must consist of"),
        ("start", {"experiment": "phase2", "settings": "run_name=league"}, "league is there already"),
        ("stop?name=leduc", {}, "leduc comes with the package"),
        ("stop?name=--now", {}, "no run '--now' here"),
        ("resume?name=nothing&kind=league", {}, "no league 'nothing' here"),
        ("start", [], "expected a JSON object"),
    ],
)
def test_what_cannot_be_commanded_is_refused(
    path: str, body: Any, expected: str, client: TestClient, said: Path
) -> None:
    answer = client.post(f"/api/runs/{path}", json=body)
    assert (answer.status_code, expected in answer.json()["error"]) == (400, True), answer.text
    assert not said.exists()


@pytest.mark.parametrize("path", ["start", "stop?name=mine", "resume?name=mine"])
def test_others_cannot_command(path: str, client: TestClient, said: Path) -> None:
    url, body = f"/api/runs/{path}", {"experiment": "kuhn"}
    foreign = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"})
    for headers in foreign:
        assert client.post(url, json=body, headers=headers).status_code == 403
    # what a form of another page can send without being asked
    assert (
        client.post(url, content=json.dumps(body), headers={"Content-Type": "text/plain"}).status_code == 415
    )
    assert client.get(url).status_code == 405
    outside = TestClient(make_app("secret"), base_url="http://192.168.0.7:8642")
    assert outside.post(url, json=body).status_code == 401
    only_shown = TestClient(make_app(may_command=False), base_url="http://127.0.0.1")
    refused = only_shown.post(url, json=body)
    assert (refused.status_code, "only shows runs" in refused.json()["error"]) == (403, True)
    assert not said.exists()


def test_a_run_without_job_json_is_what_its_summary_says(place: Path, client: TestClient) -> None:
    run = RunFolder(place / "outputs/mine")
    summary = run.summary.read_text()
    try:
        run.summary.write_text(summary.replace('"finished"', '"running"'))
        found = get(client, "run", name="mine")["status"]
        assert (found["state"], found["reason"]) == ("failed", "its process is gone")
    finally:
        run.summary.write_text(summary)
    assert get(client, "run", name="mine")["status"]["state"] == "finished"
