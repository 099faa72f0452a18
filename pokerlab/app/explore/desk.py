"""What the desk answers for Explore: within milliseconds, but for large files and trees."""

import csv
import io
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pokerlab.app.explore import setup as setups
from pokerlab.app.explore.hands import hands, walk
from pokerlab.app.explore.networks import networks
from pokerlab.app.explore.reports import check_report, report_rows
from pokerlab.games import names
from pokerlab.games.base import CHANCE
from pokerlab.games.cards import Deck
from pokerlab.games.hand_kinds import DRAWS, MADE, draws, made_hands
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.spot import Node, Spot, open_spot

__all__ = [
    "check", "check_report", "convert_range", "describe", "export", "hands", "networks", "node", "pack",
    "report_rows", "runouts", "walk",
    "warm_up",
]  # fmt: skip
"""What the page asks for, by these names."""
OPEN = 4
"""Spots that are kept open, the latest ones."""
DIGITS = 5
DECK = Deck()


def warm_up() -> None:
    """Compiles what counting takes, or fetches it from the disk."""
    check({"board": "2c2d2h3c4s", "pot": 2, "stack": 2})


def check(setup: Mapping[str, Any]) -> dict[str, Any]:
    """How large a spot is."""
    return setups.measure(setup)


def convert_range(given: Mapping[str, Any]) -> dict[str, Any]:
    """``text`` → ``weights`` ``[H]``, or the other way."""
    if "text" in given:
        text = str(given["text"]).strip()
        weights = DECK.read_range(text) if text else np.zeros(DECK.num_hands)
        return {"weights": weights.tolist()}
    weights = np.array(given.get("weights", []), dtype=float)
    if weights.shape != (DECK.num_hands,) or not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError(f"weights must be {DECK.num_hands:,} numbers from 0 to 1")
    return {"text": DECK.write_range(weights)}


@lru_cache(OPEN)
def _open(path: str, written: int) -> Spot[HoldemState]:
    try:
        spot: Spot[HoldemState] = open_spot(path)
        setups.describe(spot)
    except ValueError as error:
        raise ValueError(str(error).replace(path, "this file")) from None
    return spot


def spot_at(path: str) -> Spot[HoldemState]:
    """The spot in a file."""
    return _open(path, Path(path).stat().st_ino)


def describe(path: str) -> dict[str, Any]:
    """What a file's spot was."""
    spot = spot_at(path)
    progress = spot.progress
    return setups.describe(spot) | {
        "progress": {
            "phase": "solved", "iterations": progress.iterations, "seconds": progress.seconds,
            **({} if spot.leaves is not None else {
                "percent": progress.percent_of_pot, "exploitability": progress.exploitability,
                "curve": [(progress.iterations, progress.percent_of_pot)],
            }),
        }
    }  # fmt: skip


def pack(path: str) -> str:
    """Writes a spot in a smaller file; returns its path."""
    packed = Path(f"{path}packed")
    if not packed.exists():
        spot_at(path).save(packed)
    return str(packed)


# Nodes


def node(path: str, line: str) -> bytes:
    """A node as JSON."""
    spot = spot_at(path)
    found = spot.node(line)
    assert isinstance(found.game, Holdem)
    valued = spot.leaves is not None and found.actor == CHANCE
    equities = found.equities()
    told = {
        "line": found.line,
        "actor": found.actor,
        "board": [found.game.deck.cards[card] for card in found.state.board],
        "pot": found.pot,
        "stacks": _stacks(found.state),
        "path": _path(found),
        "options": [] if valued else _options(found.game, found.state, found.line),
        "valued": valued,
        "players": [_player(found, player) for player in (0, 1)],
        "ev": _plain(found.expected_values()),
        "equity": None if equities is None else _plain(equities),
        "frequencies": _plain(list(found.frequencies().values())),
        "strategy": [_plain(of[found.held[found.actor]]) for of in found.strategy],
        "locked": found.line in spot.locks,
        **_kinds(tuple(found.state.board)),
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _player(found: Node[HoldemState], player: int) -> dict[str, Any]:
    held, eqr = found.held[player], found.eqr
    assert found.equity is not None
    assert eqr is not None
    return {
        "hands": held.nonzero()[0].tolist(),
        "weight": _plain(found.weight[player, held]),
        "met": _plain(found.met[player, held] / max(float(found.met[player].max()), 1e-300)),
        "equity": _plain(found.equity[player, held]),
        "ev": _plain(found.ev[player, held]),
        "eqr": _plain(eqr[player, held]),
    }


def _plain(values: Any) -> list[float | None]:
    """Numbers for JSON, None for what is none, to some digits."""
    found = np.asarray(values, dtype=float)
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.clip(np.nan_to_num(np.abs(found)), 1e-4, 1e15))))
    rounded = np.round(found * scale) / scale
    return [float(number) if ok else None for number, ok in zip(rounded, np.isfinite(found), strict=True)]


def _stacks(state: HoldemState) -> list[float]:
    return [state.stack - put_in for put_in in state.committed]


def _options(game: Holdem, state: HoldemState, line: str) -> list[dict[str, Any]]:
    """What can follow: actions, or the cards to come."""
    actor = game.actor(state)
    if actor < CHANCE:
        return [_action(game, state, action, line) for action in game.actions(state)]
    if actor > CHANCE:
        return []
    cards = [(outcome, names.outcome_name(game, state, outcome)) for outcome in game.chance_outcomes(state)]
    return [{"word": word, "label": word, "kind": "card", "line": f"{line} | {word}"} for _, word in cards]


def _action(game: Holdem, state: HoldemState, action: int, line: str) -> dict[str, Any]:
    word = names.action_name(game, state, action)
    after, actor = game.next_state(state, action), game.actor(state)
    kind, chips = word.split()[0], after.committed[actor]
    if kind == "call":
        label = f"Call {chips - state.committed[actor]:,.6g}"
    elif kind in ("bet", "raise", "all-in"):
        verb = "All-in" if kind == "all-in" else "Bet" if kind == "bet" else "Raise to"
        label = f"{verb} {chips:,.6g}"
    else:
        label = kind.capitalize()
    size = None if kind not in ("bet", "raise") else float(word.split()[1])
    return {"word": word, "label": label, "kind": kind, "size": size, "line": f"{line} {word}".strip()}


def _path(found: Node[HoldemState]) -> list[dict[str, Any]]:
    """Every step of the line: who acted, what could be done, what was."""
    game, steps = found.game, []
    assert isinstance(game, Holdem)
    state, moves = game.root(), list[names.Move[HoldemState]]()
    for move in found.moves:
        line, actor = names.write_line(game, moves), game.actor(state)
        moves.append(move)
        step: dict[str, Any] = {"line": line, "actor": actor, "pot": game.pot(state)}
        if actor == CHANCE:
            step |= {"taken": names.outcome_name(game, state, move.state), "options": []}
        else:
            assert move.action is not None
            step |= {
                "taken": names.action_name(game, state, move.action), "options": _options(game, state, line),
            }  # fmt: skip
        steps.append(step)
        state = move.state
    return steps


@lru_cache(256)
def _kinds(board: tuple[int, ...]) -> dict[str, Any]:
    """What every hand is on a board: the made hand's number, and draws as bits."""
    bits = (draws(DECK, board) * (1 << np.arange(len(DRAWS)))[:, None]).sum(0)
    return {"made": made_hands(DECK, board).tolist(), "draws": bits.tolist(), "kinds": [MADE, DRAWS]}


def runouts(path: str, line: str) -> bytes:
    """Every card that can come next: what players take, and what the first of them does.

    Raises:
        ValueError: no card comes there.
    """
    spot = spot_at(path)
    before = spot.node(line)
    assert isinstance(before.game, Holdem)
    if before.actor != CHANCE:
        raise ValueError(f"line {line!r}: no card comes there")
    rows, options = [], list[dict[str, Any]]()
    for option in _options(before.game, before.state, before.line):
        after = spot.node(option["line"])
        options = options or _options(before.game, after.state, after.line)
        rows.append({
            "card": option["word"], "line": option["line"], "ev": _plain(after.expected_values()),
            "equity": _plain(after.equities() or (np.nan, np.nan)),
            "frequencies": _plain(list(after.frequencies().values())),
        })  # fmt: skip
    told = {
        "pot": before.pot,
        "rows": rows,
        "actions": [{k: o[k] for k in ("label", "kind", "size")} for o in options],
    }
    return json.dumps(told, separators=(",", ":")).encode()


def export(path: str, line: str, form: str) -> str:
    """A node's tables of both players as CSV or JSON."""
    found = spot_at(path).node(line)
    eqr = found.eqr
    assert eqr is not None
    rows = []
    for player in (0, 1):
        table = found.table(player)
        for row, of_pot in zip(table.rows(), eqr[player, found.held[player]], strict=True):
            chances = row.pop("probabilities")
            rows.append(
                {"player": player, **row, "eqr": float(of_pot) if np.isfinite(of_pot) else None, **chances}
            )
    if form == "json":
        told = {
            "line": found.line, "pot": found.pot, "actor": found.actor,
            "expected_values": found.expected_values(), "equities": found.equities(),
            "frequencies": found.frequencies(), "hands": rows,
        }  # fmt: skip
        return json.dumps(_without_nan(told), indent=1)
    if form != "csv":
        raise ValueError(f"format must be csv or json, got {form!r}")
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["player", "hand", "weight", "equity", "ev", "eqr", *found.actions], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(of) for of in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
