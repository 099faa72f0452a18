"""Play as the page asks for it: hands, reviews, a process that dies, what is refused."""

from typing import Any

import pytest
from pokerkit import HandHistory
from starlette.testclient import TestClient

from benchmarks import app_hands


def post(client: TestClient, path: str, body: Any = None, status: int = 200) -> Any:
    answer = client.post(f"/api/play/{path}", json=body if body is not None else {})
    assert answer.status_code == status, answer.text
    return answer.json()


def play(client: TestClient, session: str, hand: Any) -> Any:
    """To the end of a hand, with what is neither aggressive nor a fold."""
    while not hand["over"]:
        calm = next(name for name in hand["legal"] if name in ("check", "call", "pass"))
        hand = post(client, f"sessions/{session}/act", {"action": calm})
    return hand


def test_hands_are_played_reviewed_and_added_up_and_a_dead_process_loses_none(client: TestClient) -> None:
    choices = client.get("/api/play/choices").json()
    assert {"leduc", "fhp", "hunl-laptop"} <= {run["name"] for run in choices["runs"]}
    hand = post(client, "sessions", {"agent": "leduc:policy_net", "seed": 3})
    session = hand["id"]
    assert (hand["number"], hand["player"], hand["game"]) == (0, 0, "leduc")
    for number in range(3):
        hand = play(client, session, hand)
        assert hand["other"]
        review = client.get(f"/api/play/sessions/{session}/review").json()
        assert review["won"] == hand["won"]
        assert sum(share for _, share in review["range"]) == pytest.approx(1)
        assert all(decision["lost"] >= 0 for decision in review["decisions"])
        assert review["totals"]["hands"] == number + 1
        if number == 1:
            (player,) = [each for each in client.app.state.workers if each.name == "play"]  # type: ignore[attr-defined]
            player.kill()
            again = client.get(f"/api/play/sessions/{session}")
            if again.status_code == 503:
                again = client.get(f"/api/play/sessions/{session}")
            same = ("hand", "line", "won", "other", "number", "over")
            assert {name: again.json()[name] for name in same} == {name: hand[name] for name in same}
        hand = post(client, f"sessions/{session}/deal")
        assert (hand["number"], hand["player"]) == (number + 1, (number + 1) % 2)
    answer = client.get(f"/api/play/sessions/{session}/histories")
    assert (answer.status_code, "hold'em" in answer.text) == (400, True)


@pytest.mark.parametrize("game", ["leduc", "river"])
def test_a_script_plays_twenty_hands_and_loses_none(game: str, client: TestClient) -> None:
    found = app_hands.play(client, app_hands.OPPONENTS[game], hands=20, seed=2)  # kills the process after ten
    assert (found["hands"], found["replayed"]) == (20, 20 if game == "river" else 0)


def test_hold_em_tells_its_chips_and_saves_its_hands(client: TestClient) -> None:
    hand = post(client, "sessions", {"agent": "call", "game": "river", "seed": 1})
    assert (hand["pot"], len(hand["board"])) == (200, 5)
    assert hand["to"][-1] == hand["stacks"][0]  # all-in
    session = hand["id"]
    play(client, session, hand)
    assert len(client.get(f"/api/play/sessions/{session}/review").json()["cells"]) == 1326
    text = client.get(f"/api/play/sessions/{session}/histories").text
    (history,) = HandHistory.loads_all(text)
    assert history.players == ["you", "call"]


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ({"agent": "nobody"}, "no run 'nobody' here: expected one of"),
        ({"agent": "call", "game": "chess"}, "expected one of equilibrium"),
        ({"agent": "os:system", "game": "kuhn"}, "expected one of equilibrium"),
        ({"agent": "league:../x"}, "no league '../x' here"),
        ({"agent": "equilibrium", "game": "hunl"}, "too large"),
        ({"agent": "call", "game": "kuhn", "seed": "<b>"}, "seed must be a whole number"),
        (
            {"agent": "leduc:policy_net", "iterations": 10**9},
            "iterations must be a whole number from 1",
        ),
        ({"agent": ["x"]}, "no run"),
        ([], "expected a JSON object"),
    ],
)
def test_what_cannot_be_played_is_refused(setup: Any, expected: str, client: TestClient) -> None:
    assert expected in post(client, "sessions", setup, status=400)["error"]


def test_moves_that_are_not_legal_and_sessions_that_are_gone_are_refused(client: TestClient) -> None:
    session = post(client, "sessions", {"agent": "call", "game": "kuhn"})["id"]
    refused = post(client, f"sessions/{session}/act", {"action": "raise"}, status=400)
    assert refused["error"] == "'raise' is not legal: expected one of pass, bet"
    assert post(client, f"sessions/{session}/deal", status=400)["error"] == "this hand is not over"
    assert client.get(f"/api/play/sessions/{session}/review").json()["error"] == "the hand is not over"
    assert client.get("/api/play/sessions/x").status_code == 404
    assert client.get(f"/api/play/sessions/{session}").json()["legal"] == ["pass", "bet"]
