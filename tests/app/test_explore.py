"""Explore as the page asks for it: what is refused, a spot from its setup to its file and back."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from pokerlab.games.holdem import Holdem
from pokerlab.spot import open_spot
from pokerlab.spot import solve as solve_spot

RIVER: dict[str, Any] = {
    "board": "2c2d2hKsQd", "pot": 100, "stack": 100, "least_bet": 1, "ranges": ["KcKd,4s3s", "AcAd"],
    "bets": [[1]], "target": 0.5,
}  # fmt: skip
TURN = RIVER | {
    "board": "2c3d4h6c",
    "ranges": ["66,65s,54s", "55,44,A5s"],
    "bets": [[[1], [1]]] * 4,
    "target": 1,
}
HUGE = RIVER | {
    "board": "Td9d6h", "stack": 5000, "ranges": ["uniform"] * 2, "bets": [[0.5, 1], [0.5, 1]],
}  # fmt: skip


def ask(client: TestClient, what: str, setup: Any, status: int = 200) -> Any:
    answer = client.post(f"/api/explore/{what}", json=setup)
    assert answer.status_code == status, answer.text
    return answer.json()


def wait(client: TestClient, spot: str, states: tuple[str, ...] = ("done",)) -> Any:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        found = client.get(f"/api/explore/spots/{spot}").json()
        if found["state"] in states:
            return found
        assert found["state"] in ("queued", "running"), found
        time.sleep(0.05)
    raise AssertionError(found)


def solve(client: TestClient, setup: Any) -> str:
    spot: str = ask(client, "solve", setup)["id"]
    wait(client, spot)
    return spot


def node(client: TestClient, spot: str, line: str = "") -> Any:
    answer = client.get(f"/api/explore/spots/{spot}/node", params={"line": line})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_spot_is_counted(client: TestClient) -> None:
    found = ask(client, "check", RIVER)
    assert (found["states"], found["hands"], found["refused"]) == (9, [2, 1], None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"board": "2c2c2hKs"}, "2c is twice in '2c2c2hKs'"),
        ({"board": "2c2"}, "choose a board of three to five cards: 1 so far"),
        ({"board": "2c2d2h2s3c3d"}, "board must have 0, 3, 4, 5 cards, got 6"),
        ({"board": 7}, "choose a board of three to five cards: 0 so far"),
        ({"board": "1c2d2hKs"}, "'1c' in '1c2d2hKs' is no card of this deck"),
        ({"ranges": ["", "AcAd"]}, "'' is no range"),
        ({"ranges": ["<b>AA</b>", "AcAd"]}, "'<b>AA</b>' is no range"),
        ({"ranges": ["2s2c", "AcAd"]}, "the board leaves none of '2s2c'"),
        ({"ranges": ["AcAd", "AcAd"]}, "ranges must have hands that can meet"),
        ({"ranges": [["AA"], {}]}, "ranges must be such as QQ+,AKs or uniform"),
        ({"stack": 0}, "stack must be more than the big blind and than 0"),
        ({"stack": -1}, "stack must be a number of chips from 0"),
        ({"stack": "all"}, "stack must be a number of chips from 0"),
        ({"pot": 0}, "pot must be above 0"),
        ({"pot": 1e13}, "pot must be a number of chips from 0 to 1e+12"),
        ({"bets": [["half"]]}, "bets must be lists of fractions"),
        ({"bets": [[50]]}, "bets must be fractions of the pot, at most 10, got 50: 50 % is 0.5"),
        ({"target": 0}, "target must be a number above 0"),
        ({"locks": "all"}, "locks must be a list"),
        ({"locks": [{"line": "check check", "strategy": {"call": 1}}]}, "nobody acts there"),
        ({"locks": [{"line": "all-in", "strategy": {"raise": 1}}]}, "'raise' is no action there"),
        ({"rake": 5}, "unknown 'rake': expected add_all_in, bets, board"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(client: TestClient, changes: Any, message: str) -> None:
    found = ask(client, "check", RIVER | changes, 400)["error"]
    assert message in found
    assert "\n" not in found


def test_a_trillion_chips_are_no_problem(client: TestClient) -> None:
    assert ask(client, "check", RIVER | {"stack": 1e12, "most_raises": 2})["refused"] is None


def test_trees_that_do_not_fit_are_refused_with_the_count(client: TestClient) -> None:
    refused = ask(client, "check", HUGE)["refused"]
    assert "public states" in refused
    spot = ask(client, "solve", HUGE)["id"]
    assert refused.split(":")[0] in wait(client, spot, ("failed",))["error"]


def test_requests_that_are_no_json_objects_are_refused(client: TestClient) -> None:
    for content, kind in (("[1]", "json"), ("{", "json"), ("[" * 100_000, "json"), ("{}", "text")):
        headers = {"Content-Type": "application/json" if kind == "json" else "text/plain"}
        answer = client.post("/api/explore/check", content=content, headers=headers)
        assert answer.status_code in (400, 415)
        assert "error" in answer.json()


def test_ranges_in_text_and_back(client: TestClient) -> None:
    weights = ask(client, "range", {"text": "QQ+,A5s:0.5"})["weights"]
    assert sum(weights) == 6 * 3 + 4 * 0.5
    assert ask(client, "range", {"weights": weights})["text"] == "QQ+,A5s:0.5"
    assert "no range" in ask(client, "range", {"text": "QQX"}, 400)["error"]
    assert "1,326 numbers" in ask(client, "range", {"weights": [2] * 1326}, 400)["error"]


def test_a_river_from_its_setup_to_its_nodes(client: TestClient) -> None:
    spot = solve(client, RIVER)
    assert ask(client, "solve", RIVER)["state"] == "done"  # the same spot is solved once
    for line in ("", "check", "all-in", "all-in call", "all-in fold"):
        found = node(client, spot, line)
        assert sum(found["ev"]) == pytest.approx(found["pot"], rel=1e-3)
    root = node(client, spot)
    assert [option["label"] for option in root["options"]] == ["Check", "All-in 100"]
    assert sum(root["frequencies"]) == pytest.approx(1, abs=1e-3)
    assert root["players"][0]["equity"] == [0, 1]
    assert root["players"][0]["eqr"][0] is None or root["players"][0]["eqr"][0] == 1  # without equity
    csv = client.get(f"/api/explore/spots/{spot}/export", params={"format": "csv"})
    assert csv.text.splitlines()[0] == "player,hand,weight,equity,ev,eqr,check,all-in"
    assert len(csv.text.splitlines()) == 4
    told = client.get(f"/api/explore/spots/{spot}/export", params={"format": "json"}).json()
    assert sum(told["expected_values"]) == pytest.approx(100)
    for query in ({"line": "raise"}, {"line": "check check check"}):
        answer = client.get(f"/api/explore/spots/{spot}/node", params=query)
        assert answer.status_code == 400
        assert "line" in answer.json()["error"]
    assert client.get(f"/api/explore/spots/{spot}/export", params={"format": "xml"}).status_code == 400


def test_a_turn_has_run_outs(client: TestClient) -> None:
    spot = solve(client, TURN)
    deal = node(client, spot, "check check")
    assert deal["actor"] == 2
    assert len(deal["options"]) == 48
    found = client.get(f"/api/explore/spots/{spot}/runouts", params={"line": "check check"}).json()
    assert len(found["rows"]) == 48
    for row in found["rows"]:
        assert sum(row["ev"]) == pytest.approx(100, rel=1e-3)
    assert client.get(f"/api/explore/spots/{spot}/runouts").status_code == 400


def test_locked_calls_are_never_bluffed(client: TestClient) -> None:
    lock = {"line": "all-in", "hands": "AcAd", "strategy": {"call": 1, "fold": 0}}
    spot = solve(client, RIVER | {"locks": [lock], "target": 0.1})
    assert node(client, spot)["ev"][0] == pytest.approx(100, abs=0.5)  # the nuts win 200, air gives up
    assert node(client, spot, "all-in")["locked"]


def test_an_opened_file_tells_its_locks(client: TestClient, tmp_path: Path) -> None:
    locks = [
        {"line": "all-in", "hands": "", "strategy": {"fold": 0.25, "call": 0.75}},
        {"line": "", "hands": "4s3s", "strategy": {"check": 1.0, "all-in": 0.0}},
    ]
    setup = RIVER | {"locks": locks, "target": 1, "force_all_in": 0.2, "add_all_in": 3}
    spot = solve(client, setup)
    content = client.get(f"/api/explore/spots/{spot}/file").content
    opened = client.post("/api/explore/open", content=content).json()["setup"]
    assert opened["locks"] == locks
    assert (opened["force_all_in"], opened["add_all_in"]) == (0.2, 3)
    assert ask(client, "check", opened)["refused"] is None
    wide = solve_spot(
        Holdem("river", board="2c2d2hKsQd", pot=100, stack=100, blinds=(1, 1), bets=[[1]]),
        iterations=1,
        locks={"all-in": {"fold": np.linspace(0, 1, 1326), "call": 1 - np.linspace(0, 1, 1326)}},
    )
    wide.save(tmp_path / "wide.spot")
    told = client.post("/api/explore/open", content=(tmp_path / "wide.spot").read_bytes()).json()["setup"]
    assert told["locks"] == [{"line": "all-in", "file": True}]
    assert "only the file has it" in ask(client, "check", told, 400)["error"]


def test_the_smaller_of_two_stacks_is_played(client: TestClient) -> None:
    spot = solve(client, RIVER | {"stack": [150, 100]})
    assert node(client, spot)["stacks"] == [100, 100]
    for wrong in ([100], [1, 2, 3], [0, 100], [100, "all"], [100, -1], [True, 5], [1e13, 5]):
        assert (
            "stack must be one number of chips"
            in ask(client, "check", RIVER | {"stack": wrong}, 400)["error"]
        )


def test_all_in_is_offered_up_to_a_threshold(client: TestClient) -> None:
    setup = RIVER | {"stack": 400, "add_all_in": 2}
    labels = [option["label"] for option in node(client, solve(client, setup))["options"]]
    assert labels == ["Check", "Bet 100"]
    assert "add_all_in must be" in ask(client, "check", RIVER | {"add_all_in": "all"}, 400)["error"]


def test_what_is_saved_opens_as_the_same(client: TestClient, tmp_path: Path) -> None:
    spot = solve(client, RIVER)
    content = client.get(f"/api/explore/spots/{spot}/file").content
    (tmp_path / "solved.spot").write_bytes(content)
    opened = client.post("/api/explore/open", content=content)
    assert opened.status_code == 200, opened.text
    again = opened.json()
    assert again["setup"]["board"] == "2c2d2hKsQd"
    assert again["setup"]["ranges"] == RIVER["ranges"]
    assert node(client, again["id"], "check") == node(client, spot, "check")
    assert np.asarray(open_spot(tmp_path / "solved.spot").edges).shape[1] == 1326
    for wrong in (
        content[: len(content) // 2],
        b"",
        b"PK\x03\x04",
        content.replace(b"strategy", b"strategx"),
    ):
        answer = client.post("/api/explore/open", content=wrong)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("this file")


def test_spots_that_are_not_there(client: TestClient) -> None:
    for path in ("0123", "0123/node", "..%2F..%2Fetc%2Fpasswd/node", "0123/file", "0123/runouts"):
        answer = client.get(f"/api/explore/spots/{path}")
        assert answer.status_code in (400, 404), path
    assert client.post("/api/explore/spots/0123/cancel", json={}).status_code == 404


LONG = TURN | {"ranges": ["uniform", "uniform"], "stack": 300, "target": 1e-7}


def test_solving_is_cancelled_and_the_queue_goes_on(client: TestClient) -> None:
    first = ask(client, "solve", LONG)["id"]
    second = ask(client, "solve", LONG | {"pot": 101})
    assert second["position"] == 1
    wait(client, first, ("running",))
    for spot in (second["id"], first):
        client.post(f"/api/explore/spots/{spot}/cancel", json={})
        assert wait(client, spot, ("cancelled",))["error"] == ""
    solve(client, RIVER | {"pot": 102})


def test_a_killed_solver_is_told_and_started_again(client: TestClient) -> None:
    spot = ask(client, "solve", LONG | {"pot": 103})["id"]
    while (
        "iterations" not in wait(client, spot, ("running",))["progress"]
    ):  # a new process goes on before that
        time.sleep(0.05)
    _, solver, *_ = client.app.state.workers  # type: ignore[attr-defined]
    solver.kill()
    assert "ended unexpectedly" in wait(client, spot, ("failed",))["error"]
    solve(client, RIVER | {"pot": 104})


def test_answers_are_small_json(client: TestClient) -> None:
    found = client.get(f"/api/explore/spots/{solve(client, RIVER)}/node")
    assert json.loads(found.text)["line"] == ""
    assert len(found.content) < 20_000


FLOP = RIVER | {"board": "Td9d6h", "ranges": ["QQ,AKs", "JJ,KQs"], "leaf": "hunl-laptop", "iterations": 3}


def test_a_network_values_what_comes_after_the_flop(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/api/explore/networks").json() == ["hunl-20bb", "hunl-laptop"]
    assert ask(client, "check", FLOP)["states"] < 50
    spot = solve(client, FLOP)
    progress = client.get(f"/api/explore/spots/{spot}").json()["progress"]
    assert (progress["iterations"], progress["target"], "percent" in progress) == (3, None, False)
    end = node(client, spot, "check check")
    assert (end["actor"], end["valued"], end["options"]) == (2, True, [])
    assert sum(end["ev"]) == pytest.approx(100, rel=0.02)
    assert not node(client, spot)["valued"]
    for query in ("runouts?line=check+check", "node?line=check+check+2s"):
        answer = client.get(f"/api/explore/spots/{spot}/{query}")
        assert (answer.status_code, "only the first street was solved" in answer.text) == (400, True)
    content = client.get(f"/api/explore/spots/{spot}/file").content
    opened = client.post("/api/explore/open", content=content)
    assert opened.status_code == 200, opened.text
    assert node(client, opened.json()["id"], "check check") == end


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leaf": "leduc"}, "leaf=leduc: networks know other cards: deck"),
        ({"leaf": "fhp"}, "leaf=fhp: networks know other cards: board cards by street"),
        ({"leaf": "<b>"}, "leaf: no run '<b>' here: expected one of hunl-20bb, hunl-laptop"),
        ({"leaf": ["hunl-laptop"]}, "leaf: no run ['hunl-laptop'] here"),
        ({"leaf": "../trained/leduc"}, "leaf: no run"),
        ({"iterations": 0}, "iterations must be a whole number from 1"),
        ({"iterations": "many"}, "iterations must be a whole number from 1"),
        ({"board": "Td9d6h2c2s"}, "nothing comes after a river"),
        (
            {"locks": [{"line": "", "strategy": {"check": 1}}]},
            "locks are of games that are played to the end",
        ),
    ],
)
def test_networks_of_other_games_are_refused(client: TestClient, changes: Any, message: str) -> None:
    assert message in ask(client, "check", FLOP | changes, 400)["error"]
    spot = ask(client, "solve", FLOP | changes)["id"]
    assert message in wait(client, spot, ("failed",))["error"]


REPORT: dict[str, Any] = {
    "setup": {key: of for key, of in FLOP.items() if key not in ("board", "target")},
    "boards": ["Td9d6h", "As7d2c", "QdQhQs"],
    "lines": ["", "check"],
}


def rows_of(client: TestClient, report: str, first: int = 0) -> Any:
    return client.get(f"/api/explore/spots/{report}/rows", params={"first": first}).json()


def test_a_report_of_many_flops(client: TestClient) -> None:
    setup = REPORT["setup"] | {"ranges": ["QQ", "JJ,KQs"]}
    told = ask(client, "report", REPORT | {"setup": setup})
    assert told["boards"] == 3
    progress = wait(client, told["id"])["progress"]
    assert (progress["done"], progress["total"], progress["skipped"]) == (3, 3, 1)  # three queens are out
    found = rows_of(client, told["id"])
    assert [(row["board"], row["line"]) for row in found["rows"]] == [
        (board, line) for board in ("Td9d6h", "As7d2c") for line in ("", "check")
    ]
    row = found["rows"][0]
    assert row["check"] + row["all-in"] == pytest.approx(1, abs=1e-6)
    assert found["means"][0]["ev_0"] == pytest.approx(
        sum(row["ev_0"] for row in found["rows"] if not row["line"]) / 2
    )
    assert len(rows_of(client, told["id"], 3)["rows"]) == 1
    exported = client.get(f"/api/explore/spots/{told['id']}/report")
    assert exported.text.splitlines()[1].startswith("board,weight,line,player,iterations")
    assert ask(client, "report", REPORT | {"setup": setup})["state"] == "done"


def test_a_report_is_cancelled_and_goes_on_and_gives_way_to_single_spots(client: TestClient) -> None:
    wanted = REPORT | {"boards": 60, "setup": REPORT["setup"] | {"iterations": 40}}
    report = ask(client, "report", wanted)["id"]
    while not rows_of(client, report)["rows"]:
        wait(client, report, ("running",))
        time.sleep(0.05)
    client.post(f"/api/explore/spots/{report}/cancel", json={})
    wait(client, report, ("cancelled",))
    before = rows_of(client, report)["rows"]
    assert 0 < len(before) < 120
    assert client.post(f"/api/explore/spots/{report}/again", json={}).json()["id"] == report
    solve(client, RIVER | {"pot": 102})
    assert client.get(f"/api/explore/spots/{report}").json()["state"] in ("queued", "running")
    while len(rows_of(client, report)["rows"]) <= len(before):
        wait(client, report, ("running",))
        time.sleep(0.05)
    assert rows_of(client, report)["rows"][: len(before)] == before
    client.post(f"/api/explore/spots/{report}/cancel", json={})
    wait(client, report, ("cancelled",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boards": "some"}, "boards must be all, how many, or a list of flops, got 'some'"),
        ({"boards": 0}, "boards must be all"),
        ({"boards": []}, "boards must be all"),
        ({"boards": ["Td9d"]}, "expected 3 cards"),
        ({"boards": ["Td9d6h", "6hTd9d"]}, "expected different boards"),
        ({"boards": ["<b>"]}, "is no card"),
        ({"lines": ["raise"]}, "line 'raise'"),
        ({"lines": ["check check 2s"]}, "only the flop's betting is the same on all flops"),
        ({"lines": []}, "lines must be a list"),
        ({"lines": [""] * 11}, "lines must be at most 10, got 11"),
        ({"setup": []}, "setup must be what the form says"),
        ({"setup": REPORT["setup"] | {"locks": [{"line": ""}]}}, "locks are of one board"),
        ({"setup": REPORT["setup"] | {"ranges": ["AhKh", "QQ"]}, "boards": 5}, "suits are not alike"),
        ({"setup": REPORT["setup"] | {"ranges": ["", "QQ"]}, "boards": "all"}, "'' is no range"),
        ({"setup": REPORT["setup"] | {"leaf": "leduc"}}, "networks know other cards"),
        ({"setup": {**HUGE, "board": ""}}, "each of these spots has about"),
    ],
)
def test_reports_that_cannot_be_made(client: TestClient, changes: Any, message: str) -> None:
    assert message in ask(client, "report", REPORT | changes, 400)["error"]


def test_a_spot_is_no_report(client: TestClient) -> None:
    spot = solve(client, RIVER)
    assert rows_of(client, spot) == {"rows": [], "means": []}
    assert client.get(f"/api/explore/spots/{spot}/report").status_code == 404
