"""Reports of many flops: what is asked for, and what there is of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pokerlab.app.explore.setup import measure, read_game
from pokerlab.games import names
from pokerlab.games.holdem import Holdem
from pokerlab.spot.reports import FLOP, ReportFile, means, read_boards

MOST_LINES = 10
FLOPS = ("2c7d9h", "3sTdQh", "4s6cKd")
"""Without a card in common."""


def check_report(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """How many flops a report is of, and how large each is.

    Raises:
        ValueError: what is wanted is wrong.
    """
    boards, game = boards_of(wanted)
    lines_of(wanted, game)
    return measure(setup_of(wanted) | {"board": boards[0][0]}) | {"boards": len(boards)}


def setup_of(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The form's setup without its board."""
    setup = wanted.get("setup")
    if not isinstance(setup, Mapping):
        raise ValueError("setup must be what the form says")
    if setup.get("locks"):
        raise ValueError("locks are of one board: take them away first")
    return {key: value for key, value in setup.items() if key != "board"}


def boards_of(wanted: Mapping[str, Any]) -> tuple[list[tuple[str, float]], Holdem]:
    """The flops and their weights, and the game on one of them."""
    boards = wanted.get("boards")
    listed = isinstance(boards, list) and boards and all(isinstance(board, str) for board in boards)
    if not listed and boards != "all" and (type(boards) is not int or boards < 1):
        raise ValueError(f"boards must be all, how many, or a list of flops, got {boards!r}")
    game = _somewhere(setup_of(wanted))
    return read_boards(boards, game), game


def _somewhere(setup: Mapping[str, Any]) -> Holdem:
    """The game on a flop on which the ranges can meet: a range may miss a single one."""
    wrong = list[ValueError]()
    for flop in FLOPS:
        try:
            return read_game({**setup, "board": flop})
        except ValueError as error:
            wrong.append(error)
    raise wrong[0]


def lines_of(wanted: Mapping[str, Any], game: Holdem) -> list[str]:
    """Where what is played is told."""
    lines = wanted.get("lines", [""])
    if not isinstance(lines, Sequence) or not lines or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"lines must be a list, got {lines!r}")
    if len(lines) > MOST_LINES:
        raise ValueError(f"lines must be at most {MOST_LINES}, got {len(lines)}")
    for line in lines:
        state = [game.root(), *(move.state for move in names.read_line(game, line))][-1]
        if len(state.board) > FLOP:
            raise ValueError(f"line {line!r}: only the flop's betting is the same on all flops")
    return list(dict.fromkeys(lines))


def open_report(path: str, wanted: Mapping[str, Any]) -> ReportFile:
    """The file of a report, which goes on where it ended."""
    return ReportFile(Path(path), {key: wanted[key] for key in ("setup", "boards", "lines") if key in wanted})


def report_rows(path: str, wanted: Mapping[str, Any], first: int) -> bytes:
    """What there is of a report from a row on, and the means of all, as JSON."""
    rows = open_report(path, wanted).rows
    return json.dumps({"rows": rows[first:], "means": means(rows)}, separators=(",", ":")).encode()
