"""Hands that somebody recorded, as the page lists them, and as spots to be solved."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pokerlab.agents.base import write_line
from pokerlab.agents.translation import Bet
from pokerlab.app.explore import setup as setups
from pokerlab.errors import UserError
from pokerlab.evaluation.recorded_hands import RecordedHand, RecordedSpot, read_hands
from pokerlab.games.bets import MOST_POTS, is_number
from pokerlab.games.betting import ROUNDING

AT_ONCE = 50
"""Hands of a file that are told together: each takes milliseconds to read."""
STREETS = ("flop", "turn", "river")
NEAR = 0.01
"""Of a size that was played: others as near to it make way."""
DIGITS = 6
FLOP = 3


@dataclass(frozen=True, slots=True)
class _Step:
    """A move of a spot."""

    actor: int
    """2 where cards came."""
    label: str
    street: int
    """0 is the flop."""
    raises: int
    """Bets and raises on the street, with this one."""
    leads: bool
    """Whether it leads into who was the last to bet or raise on the street before."""
    size: float | None
    """Of a bet or raise that is no all-in, a fraction of the pot after calling."""


def hands(path: str, name: str, first: int) -> dict[str, Any]:
    """Some hands of a file; those that were not played by two on the flop or later have no moves.

    Args:
        path: where it lies.
        name: what the file was called.
        first: of the hands.
    """
    found, error = list[dict[str, Any]](), ""
    try:
        for number, hand in enumerate(islice(_read(path, name, first), AT_ONCE + 1), first):
            found.append(_describe(hand, number))
    except UserError as wrong:
        if not found and not first:
            raise
        error = str(wrong)
    return {"hands": found[:AT_ONCE], "more": len(found) > AT_ONCE, "error": error}


def _read(path: str, name: str, first: int) -> Iterator[RecordedHand]:
    return read_hands(Path(path), name=name, first=first)


def _describe(hand: RecordedHand, number: int) -> dict[str, Any]:
    spots = _after_the_flop(hand)
    told: dict[str, Any] = {"at": number, "number": hand.number, "players": list(hand.players), "spots": []}
    if not spots:
        return told
    steps = list(_steps(spots[0]))
    return told | {
        "players": list(spots[0].players),
        "held": list(spots[0].hands),
        "spots": [
            {"street": spot.street, "board": spot.board, "pot": spot.pot, "stack": spot.stack,
             "first": len(steps) - len(spot.moves)}
            for spot in spots
        ],
        "moves": [{"actor": step.actor, "label": step.label} for step in steps],
    }  # fmt: skip


def _after_the_flop(hand: RecordedHand) -> list[RecordedSpot]:
    return [spot for spot in hand.spots if spot.street in STREETS]


def _steps(spot: RecordedSpot) -> Iterator[_Step]:
    put_in, start, most = [spot.pot / 2] * 2, spot.pot / 2, spot.pot / 2 + spot.stack
    street, actor, raises, aggressor, before = STREETS.index(spot.street), 0, 0, -1, -1
    for move in spot.moves:
        if isinstance(move, str):
            yield _Step(2, move, street := street + 1, 0, False, None)
            start, actor, raises, aggressor, before = max(put_in), 0, 0, -1, aggressor
            continue
        called = max(put_in)
        size, label = None, "fold" if move.kind == "f" else "check" if put_in[actor] == called else "call"
        if move.kind == "c":
            put_in[actor] = called
        elif move.kind == "r":
            verb, put_in[actor] = "raise to" if raises else "bet", move.chips
            label = f"{verb} {move.chips - start:,.6g}"
            if move.chips >= most * ROUNDING:
                label = f"all-in {most - start:,.6g}"
            else:
                size = round((move.chips - called) / (2 * called), DIGITS)
        leads = before == 1 and actor == 0 and not raises
        if move.kind == "r":
            raises, aggressor = raises + 1, actor
        yield _Step(actor, label, street, raises, leads, size)
        actor = 1 - actor


def walk(path: str, name: str, chosen: Mapping[str, Any], setup: Mapping[str, Any]) -> dict[str, Any]:
    """A spot of a hand as a setup whose bets have the sizes that were played.

    Args:
        path: where the file lies.
        name: what it was called.
        chosen: the hand's number ``at`` in the file, the ``street`` to solve from, and the ``move`` of the
            hand to go to.
        setup: of the form: its ranges stay, and its bets beside those that were played.

    Returns:
        The setup, the line to the move, the whole line that was played, and who it was.
    """
    at, move = chosen.get("at"), chosen.get("move")
    if type(at) is not int or type(move) is not int or not 0 <= at < 2**31:
        raise ValueError("choose a hand and a move of it")
    hand = next(_read(path, name, at), None)
    spots = [] if hand is None else _after_the_flop(hand)
    spot = next((spot for spot in spots if spot.street == chosen.get("street")), None)
    if hand is None or spot is None:
        raise ValueError(f"{name}: hand {at + 1} has no such street that two players saw")
    first = len(spots[0].moves) - len(spot.moves)
    if not first <= move < len(spots[0].moves) or not isinstance(spots[0].moves[move], Bet):
        raise ValueError(f"{name}: hand {at + 1} has no such decision after the {spot.street}")
    played = _setup(spot, setup)
    game = setups.read_game(played)
    line, told = spot.line(game)
    to_move = replace(spot, moves=spot.moves[: move - first]).line(game)[0]
    held = [f"{who} ({seat}){f' held {what}' if what else ''}" for who, seat, what in
            zip(spot.players, ("OOP", "IP"), spot.hands, strict=True)]  # fmt: skip
    return {
        "setup": played,
        "line": write_line(game, to_move),
        "played": write_line(game, line),
        "about": f"Hand {hand.number}: {', '.join(held)}"
        + ("" if told == len(spot.moves) else "; the tree ends before the hand does"),
    }


def _setup(spot: RecordedSpot, setup: Mapping[str, Any]) -> dict[str, Any]:
    """The form's setup at a spot, with the sizes that were played."""
    steps = list(_steps(spot))
    players = [setup.get("bets"), setup.get("ip_bets")]
    of_oop = _rows(players[0] or ((0.5, 1),))
    of_ip = of_oop if players[1] is None else _rows(players[1])
    bets = [[[list(row) for row in street] for street in rows] for rows in (of_oop, of_ip)]
    donk_bets = None if setup.get("donk_bets") is None else _sizes(setup["donk_bets"], "donk_bets")
    begins = STREETS.index(spot.street)
    for rows in bets:  # what is too small for the least bet here
        rows[begins + 1][0] = [size for size in rows[begins + 1][0] if size * spot.pot >= spot.blinds[1]]
    played, led = defaultdict[tuple[int, int, int], list[float]](list), list[float]()
    for step in steps:
        if step.size is None or step.size > MOST_POTS:
            continue
        if donk_bets is not None and step.leads:
            led.append(step.size)
        else:
            played[step.actor, step.street + 1, min(step.raises - 1, 1)].append(step.size)
    for (player, street, row), sizes in played.items():
        bets[player][street][row] = _with(bets[player][street][row], sizes)
    if donk_bets is not None:
        donk_bets = _with(donk_bets, led)
    raises, most = max((step.raises for step in steps), default=0), setup.get("most_raises")
    found = dict(setup) | {
        "board": spot.board, "pot": spot.pot, "stack": spot.stack, "least_bet": spot.blinds[1],
        "bets": bets[0], "donk_bets": donk_bets, "locks": [],
        "ip_bets": None if bets[0] == bets[1] else bets[1],
        "most_raises": max(most, raises) if type(most) is int else most,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _rows(bets: Any) -> list[list[list[float]]]:
    """``[4][2]`` sizes: before the flop and on the three streets, of bets and of raises."""
    try:
        by_street = [bets] if isinstance(bets[0][0], int | float) else list(bets)
        streets = [by_street[min(street, len(by_street) - 1)] for street in range(1 + len(STREETS))]
        return [[_sizes(street[min(row, len(street) - 1)], "bets") for row in (0, 1)] for street in streets]
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError("bets must be lists of fractions of the pot") from error


def _sizes(given: Any, name: str) -> list[float]:
    if not isinstance(given, list | tuple) or not all(map(is_number, given)):
        raise ValueError(f"{name} must be lists of fractions of the pot")
    return list(given)


def _with(sizes: Sequence[float], played: Sequence[float]) -> list[float]:
    """A menu that has sizes that were played; those next to them make way."""
    others = [size for size in sizes if all(abs(size - other) > NEAR * other for other in played)]
    return sorted({*others, *played})
