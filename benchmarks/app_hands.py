"""A script plays the app's agents through its API, as the page does: is every hand kept, and are chips?

    python -m benchmarks.app_hands [--hands 1000] [--games leduc hunl]

Each session's process is killed in the middle, so the rest is played by one that plays the session again.
The script takes random legal moves. It checks of every hand that its number is the next one and its seat the
other one, that no chip comes or goes (stacks and pot add up to what there was, and the player's stack changed
by what was won), and of hold'em that the saved histories are read and replayed by pokerkit to the same
result. Exit code 1 if anything is wrong.
"""

import random
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pokerkit import HandHistory
from starlette.testclient import TestClient

from benchmarks.measure import Arguments, Report, positive
from pokerlab.app.server import make_app

OPPONENTS: dict[str, dict[str, Any]] = {
    "leduc": {"agent": "leduc:policy_net"},
    "hunl": {"agent": "hunl-laptop:policy_net"},
    "river": {"agent": "call", "game": "river"},
}
"""By game, whom the script plays."""


class HandError(Exception):
    """A hand is not what it has to be."""


def play(client: TestClient, setup: Mapping[str, Any], hands: int, seed: int) -> dict[str, Any]:
    """Plays a session.

    Args:
        client: of the app.
        setup: of the session, as the page sends it.
        hands: how many.
        seed: of the cards and of the script's moves.

    Returns:
        ``hands``, ``moves``, ``won`` (chips a hand), ``seconds``, and how many were ``replayed`` by pokerkit.

    Raises:
        HandError: a hand was lost, or chips were.
    """
    script, moves, won = random.Random(seed), 0, list[float]()
    first = hand = _post(client, "sessions", {**setup, "seed": seed})
    session, begun = hand["id"], time.perf_counter()
    for number in range(hands):
        if number:
            hand = _post(client, f"sessions/{session}/deal")
        _check(hand["number"] == number, f"hand {number} is numbered {hand['number']}")
        _check(hand["player"] == number % 2, f"hand {number} is of player {hand['player']}")
        while not hand["over"]:
            _check_chips(first, hand)
            hand = _post(client, f"sessions/{session}/act", {"action": script.choice(hand["legal"])})
            moves += 1
        _check_chips(first, hand)
        won.append(hand["won"])
        if number == hands // 2:
            _kill_player(client, hand)
    seconds = time.perf_counter() - begun
    replayed = _replay(client, session, won) if "stacks" in hand else 0
    return {"hands": len(won), "moves": moves, "won": sum(won) / len(won), "seconds": seconds,
            "replayed": replayed}  # fmt: skip


def _kill_player(client: TestClient, hand: Mapping[str, Any]) -> None:
    """Ends the process of Play; the next one has to find the same hand."""
    state = client.app.state  # type: ignore[attr-defined]
    next(worker for worker in state.workers if worker.name == "play").kill()
    for _ in range(2):  # asked before the next one is there, it says that the first one died
        answer = client.get(f"/api/play/sessions/{hand['id']}")
    told = answer.json()
    for key in ("number", "line", "won", "hand", "other"):
        _check(told[key] == hand[key], f"after the kill, {key} is {told[key]}, and was {hand[key]}")


def _check_chips(first: Mapping[str, Any], hand: Mapping[str, Any]) -> None:
    """What is behind both players and in the pot is what there was at first; nobody wins more than that."""
    if "stacks" in hand:
        before, now = (sum(of["stacks"]) + of["pot"] for of in (first, hand))
        _check(min(hand["stacks"]) >= 0 and abs(now - before) < 1e-6, f"{now} chips of {before} are there")
        _check(not hand["over"] or abs(hand["won"]) <= before / 2 + 1e-6, f"{hand.get('won')} was won")


def _replay(client: TestClient, session: str, won: Sequence[float]) -> int:
    """Replays the saved hands, and compares what was won; how many."""
    text = client.get(f"/api/play/sessions/{session}/histories").text
    found = list(HandHistory.loads_all(text))
    _check(len(found) == len(won), f"{len(won)} hands were played, and {len(found)} saved")
    for number, (history, expected) in enumerate(zip(found, won, strict=True)):
        *_, end = history
        seat = history.players.index("you") if history.players else 0
        payoffs = [float(payoff) for payoff in end.payoffs]
        _check(abs(sum(payoffs)) < 1e-6, f"hand {number}: payoffs {payoffs} do not add up to 0")
        _check(abs(payoffs[seat] - expected) < 1e-6, f"hand {number}: {payoffs[seat]} won, not {expected}")
        _check(not end.status, f"hand {number} is not over when it is replayed")
    return len(found)


def _post(client: TestClient, path: str, body: Any = None) -> Any:
    answer = client.post(f"/api/play/{path}", json=body or {})
    _check(answer.status_code == 200, answer.text)
    return answer.json()


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise HandError(otherwise)


def main(argv: Sequence[str]) -> int:
    """The command; returns the exit code."""
    parser = Arguments("benchmarks.app_hands", __doc__, repeats=None)
    parser.add_argument("--hands", type=positive, default=1000, help="of each session")
    parser.add_argument("--games", nargs="+", choices=OPPONENTS, default=["leduc", "hunl"])
    given = parser.parse_args(argv)
    report, rows = Report(parser, argv, seed=given.seed), []
    for game in given.games:
        try:
            with TestClient(make_app(), base_url="http://127.0.0.1") as client:
                rows.append({"game": game, **play(client, OPPONENTS[game], given.hands, given.seed)})
        except HandError as error:
            print(f"{game}: {error}", file=sys.stderr)
            return 1
    columns = {"game": "game", "hands": "hands", "moves": "moves", "won": "chips won a hand",
               "seconds": "seconds", "replayed": "replayed by pokerkit"}  # fmt: skip
    report.table("Hands played through the app; its process was killed in the middle", columns, rows)
    report.results["sessions"] = rows
    report.finish(given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
