"""Recorded hands on the page: what is listed, what becomes a spot, and what is refused."""

import time
from typing import Any

import pytest
from starlette.testclient import TestClient

PHH = """variant = 'NT'
antes = [0, 0]
blinds_or_straddles = [1, 2]
min_bet = 2
starting_stacks = [400, 200]
actions = ["d dh p1 AsKs", "d dh p2 QhQd", "p2 cbr 6", "p1 cc", "d db 2c7d9h", "p1 cc", "p2 cbr 4",
  "p1 cbr 15", "p2 cc", "d db Th", "p1 cbr 179", "p2 cc", "d db 3c"]
players = ["<b>Ann</b>", "Bob"]
"""
POKERSTARS = """PokerStars Hand #12: Hold'em No Limit ($1/$2 USD) - 2020/02/02 10:11:12 ET
Table 'Aludra' 2-max Seat #1 is the button
Seat 1: Ann ($200 in chips)
Seat 2: Bob ($150 in chips)
Ann: posts small blind $1
Bob: posts big blind $2
*** HOLE CARDS ***
Dealt to Ann [Ah Kd]
Ann: calls $1
Bob: checks
*** FLOP *** [Td 9d 6h]
Bob: checks
Ann: bets $5
Bob: folds
Uncalled bet ($5) returned to Ann
Ann collected $4 from pot
"""
ACPC = "STATE:7:cr300c/r900c/cr20000f:AsKs|QhQd/2c7d9h/Th:-900|900:A|B"
SETUP = {
    "board": "", "pot": 9, "stack": 9, "least_bet": 9, "ranges": ["AKs,QQ", "QQ,JJ"],
    "bets": [[[0.5], [1]]] * 4,
    "target": 1, "locks": [{"line": "gone"}],
}  # fmt: skip


def take(client: TestClient, text: str | bytes, name: str, status: int = 200) -> Any:
    answer = client.post("/api/explore/hands", params={"name": name}, content=text)
    assert answer.status_code == status, answer.text
    return answer.json()


def walk(client: TestClient, file: str, name: str, chosen: Any, setup: Any = SETUP, status: int = 200) -> Any:
    given = {"name": name, "chosen": chosen, "setup": setup}
    answer = client.post(f"/api/explore/hands/{file}/walk", json=given)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_decision_of_a_hand_is_a_spot_with_the_sizes_that_were_played(client: TestClient) -> None:
    found = take(client, PHH, "hand.phh")
    (hand,) = found["hands"]
    assert (hand["players"], hand["held"]) == (["<b>Ann</b>", "Bob"], ["AsKs", "QhQd"])
    assert [(spot["street"], spot["first"]) for spot in hand["spots"]] == [("flop", 0), ("turn", 5)]
    labels = ["check", "bet 4", "raise to 15", "call", "Th", "all-in 179", "call", "3c"]
    assert [move["label"] for move in hand["moves"]] == labels
    spot = walk(client, found["id"], "hand.phh", {"at": 0, "street": "flop", "move": 2})
    setup = spot["setup"]
    assert (setup["board"], setup["pot"], setup["stack"], setup["least_bet"]) == ("2c7d9h", 12, 194, 2)
    assert setup["ranges"] == SETUP["ranges"]
    assert setup["bets"][1] == [[0.5], [0.55, 1]]  # 11 more into 20
    assert setup["ip_bets"][1] == [[0.333333, 0.5], [1]]
    assert (spot["line"], spot["about"]) == (
        "check bet 0.333333",
        "Hand 1: <b>Ann</b> (OOP) held AsKs, Bob (IP) held QhQd",
    )
    assert spot["played"] == "check bet 0.333333 raise 0.55 call | Th | all-in call"
    assert client.post("/api/explore/check", json=setup).json()["hands"] == [10, 12]


def test_a_hand_is_solved_and_walked(client: TestClient) -> None:
    found = take(client, PHH, "hand.phh")
    spot = walk(client, found["id"], "hand.phh", {"at": 0, "street": "turn", "move": 6})
    assert (spot["line"], spot["setup"]["pot"], spot["setup"]["stack"]) == ("all-in", 42, 179)
    job = client.post("/api/explore/solve", json=spot["setup"]).json()["id"]
    while (state := client.get(f"/api/explore/spots/{job}").json()["state"]) != "done":
        assert state in ("queued", "running")
        time.sleep(0.05)
    node = client.get(f"/api/explore/spots/{job}/node", params={"line": spot["line"]}).json()
    assert (node["actor"], [option["word"] for option in node["options"]]) == (1, ["fold", "call"])


def test_other_forms_of_files(client: TestClient) -> None:
    (hand,) = take(client, POKERSTARS, "hands.txt")["hands"]
    assert (hand["number"], len(hand["spots"])) == ("12", 1)
    found = take(client, ACPC, "match.log")
    spot = walk(client, found["id"], "match.log", {"at": 0, "street": "flop", "move": 0})
    assert (spot["setup"]["pot"], spot["played"]) == (600, "bet 1 call | Th | check all-in fold")


def test_many_hands_come_in_parts_up_to_the_first_that_cannot_be_read(client: TestClient) -> None:
    found = take(client, POKERSTARS * 51 + POKERSTARS.replace("calls $1", "sings"), "hands.txt")
    assert (len(found["hands"]), found["more"], found["error"]) == (50, True, "")
    rest = client.get(f"/api/explore/hands/{found['id']}", params={"name": "hands.txt", "first": 50}).json()
    assert [hand["at"] for hand in rest["hands"]] == [50]
    assert rest["error"].startswith("hands.txt: hand 52 cannot be read")
    assert not rest["more"]


def test_donk_bets_and_raises_that_the_form_limits_make_room(client: TestClient) -> None:
    found = take(
        client,
        PHH.replace('"p1 cbr 179", "p2 cc"', '"p1 cbr 30", "p2 f"').replace(', "d db 3c"', ""),
        "hand.phh",
    )
    setup = SETUP | {"donk_bets": [0.5], "most_raises": 1}
    spot = walk(client, found["id"], "hand.phh", {"at": 0, "street": "flop", "move": 5}, setup)
    assert spot["setup"]["most_raises"] == 2
    assert spot["setup"]["donk_bets"] == [0.5]  # player 0 was the last to raise
    assert spot["setup"]["bets"][2] == [[0.5, 0.714286], [1]]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("", "a.phh", "a.phh has no hand of the form"),
        ("variant = 3", "<b>.phh", "<b>.phh: hand 1 cannot be read"),
        (PHH, "hand.csv", "hand.csv: expected a file of hands"),
        (PHH, "", "expected a file of hands"),
        (b"\xff\xfe\x00", "a.txt", "a.txt is no text"),
        (PHH[:200], "a.phh", "a.phh: hand 1 cannot be read"),
        (b"PK\x03\x04" * 1000, "a.log", "a.log has no hand"),
    ],
)
def test_what_is_no_file_of_hands_is_one_line(
    client: TestClient, text: str | bytes, name: str, expected: str
) -> None:
    found = take(client, text, name, 400)["error"]
    assert expected in found
    assert "\n" not in found


def test_wrong_requests(client: TestClient) -> None:
    file, good = take(client, PHH, "hand.phh")["id"], {"at": 0, "street": "flop", "move": 2}
    for changes, expected in (
        ({"at": -1}, "choose a hand"), ({"at": "0"}, "choose a hand"), ({"at": 9}, "hand 10 has no such"),
        ({"street": "preflop"}, "no such street"), ({"street": ["flop"]}, "no such street"),
        ({"move": 4}, "no such decision"), ({"move": 99}, "no such decision"), ({"move": None}, "choose"),
    ):  # fmt: skip
        assert expected in walk(client, file, "hand.phh", good | changes, status=400)["error"]
    for setup, expected in (
        (SETUP | {"bets": "all"}, "bets must be"),
        (SETUP | {"bets": [[]]}, "bets must be"),
        (SETUP | {"ranges": ["", "AA"]}, "'' is no range"),
        (SETUP | {"donk_bets": 7}, "donk_bets must be"),
        (SETUP | {"rake": 1}, "unknown 'rake'"),
    ):
        assert expected in walk(client, file, "hand.phh", good, setup, 400)["error"]
    assert "expected name" in walk(client, file, "hand.phh", [], status=400)["error"]
    assert "not known here" in walk(client, "0123", "hand.phh", good, status=404)["error"]
    wrong = client.get(f"/api/explore/hands/{file}", params={"name": "hand.phh", "first": "x"})
    assert (wrong.status_code, "whole number" in wrong.text) == (400, True)
    large = client.post("/api/explore/hands", content=b"", headers={"Content-Length": str(2**30)})
    assert large.status_code == 413
