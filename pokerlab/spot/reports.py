"""Many boards with the same ranges, pot and bets: what is played on each, and on average."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pokerlab.games.base import CHANCE
from pokerlab.games.cards import Deck
from pokerlab.games.holdem import Holdem
from pokerlab.spot.solved import Spot
from pokerlab.spot.tables import Node
from pokerlab.store.files import write_atomically

Row: TypeAlias = dict[str, Any]
"""A board and a line: what :data:`FIRST` names, and how often each action is taken, by its name."""
FIRST = (
    "board", "weight", "line", "player", "iterations", "exploitability_percent",
    "equity_0", "equity_1", "ev_0", "ev_1", "eqr_0", "eqr_1",
)  # fmt: skip
"""The columns that every report has."""
FLOP = 3
"""Cards."""


def boards_like(deck: Deck, cards: int, number: int | None = None) -> list[tuple[str, float]]:
    """Boards, one of those that differ in suits only, and how often such a board comes.

    Args:
        deck: of which they are.
        cards: on each.
        number: so many that stand for all: those at equal distances in the order of all, each of which weighs
            the same; None: every one.

    Returns:
        Names and weights; of all three-card boards of 52 cards 1,755, whose weights sum to 1.
    """
    boards, alike, _ = deck.boards((), cards)
    boards = np.sort(boards)[:, ::-1]
    order = np.lexsort([*boards.T[::-1], *(boards // deck.suits).T[::-1]])[::-1]  # by ranks, from aces down
    names = [deck.board_name(boards[board]) for board in order]
    weights = alike[order] / alike.sum()
    if number is None or number >= len(names):
        return list(zip(names, weights.tolist(), strict=True))
    at = np.searchsorted(np.cumsum(weights), (np.arange(number) + 0.5) / number)
    chosen, times = np.unique(at, return_counts=True)
    return [(names[board], share / number) for board, share in zip(chosen, times.tolist(), strict=True)]


def read_boards(wanted: str | int | Sequence[str] | None, game: Holdem) -> list[tuple[str, float]]:
    """The boards that a user asks for, and their weights.

    Args:
        wanted: ``all`` flops, so many of them, or a list.
        game: on one of them.

    Raises:
        ValueError: there are no such boards, or one does not stand for others with these ranges.
    """
    cards = len(game.root().board)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        names = [game.deck.board_name(game.deck.read_cards(board)) for board in wanted]
        if wrong := [name for name in names if len(name) != 2 * cards]:
            raise ValueError(f"expected {cards} cards, as game={game.name} has, got {wrong[0]}")
        if not names or len({frozenset(game.deck.read_cards(name)) for name in names}) < len(names):
            raise ValueError("expected different boards")
        return [(name, 1 / len(names)) for name in names]
    if not suits_are_alike(game):
        raise ValueError("suits are not alike in these ranges: list the boards, or give ranges such as AKs")
    if cards != FLOP:
        raise ValueError(f"all of {cards} cards are too many: list them")
    return boards_like(game.deck, cards, None if wanted == "all" else int(wanted or 0))


def report(
    boards: Iterable[tuple[str, float]],
    solve: Callable[[str], Spot | None],
    lines: Sequence[str] = ("",),
) -> Iterator[list[Row]]:
    """Solves board after board.

    Args:
        boards: names and weights.
        solve: a board's spot; None: none of the hands can meet there.
        lines: where what is played is told.

    Yields:
        A row for each line, board by board.
    """
    for board, weight in boards:
        if (spot := solve(board)) is not None:
            yield [_row(spot, spot.node(line), board, weight) for line in lines]


def _row(spot: Spot, node: Node, board: str, weight: float) -> Row:
    acts = node.actor < CHANCE
    ev, equity = node.expected_values(), node.equities() or (math.nan, math.nan)
    return {
        "board": board,
        "weight": weight,
        "line": node.line,
        "player": node.actor if acts else None,
        "iterations": spot.progress.iterations,
        "exploitability_percent": _plain(spot.progress.percent_of_pot),
        **{f"equity_{player}": _plain(equity[player]) for player in (0, 1)},
        **{f"ev_{player}": _plain(ev[player]) for player in (0, 1)},
        **{f"eqr_{player}": _plain(_ratio(ev[player], equity[player] * node.pot)) for player in (0, 1)},
        **({name: _plain(often) for name, often in node.frequencies().items()} if acts else {}),
    }


def means(rows: Sequence[Row]) -> list[Row]:
    """Of each line, what boards come to on average, by their weights."""
    found = []
    for line in dict.fromkeys(row["line"] for row in rows):
        here = [row for row in rows if row["line"] == line]
        weight = sum(row["weight"] for row in here)
        mean: Row = {"board": f"{len(here):,} boards", "weight": weight, "line": line}
        for name in dict.fromkeys(name for row in here for name in row):
            if name in mean or name.startswith("eqr") or name in ("player", "iterations"):
                continue
            known = [(row["weight"], row.get(name) or 0.0) for row in here if row.get(name) is not None]
            absent = name not in FIRST  # an action that some boards do not offer is not taken there
            total = mean["weight"] if absent else sum(weight for weight, _ in known)
            mean[name] = sum(weight * value for weight, value in known) / total if total else None
        found.append(mean)
    return found


def suits_are_alike(game: Holdem) -> bool:
    """Whether both ranges are the same under other names of the suits: one board then stands for several."""
    hands = game.deck.permute_hands(game.deck.suit_permutations)
    ranges = [game.deck.read_range(str(text)) for text in game.arguments.get("ranges", ())]
    return all((weights[hands] == weights).all() for weights in ranges)


def _ratio(ev: float, due: float) -> float:
    return ev / due if due else math.nan


def _plain(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


class ReportFile:
    """A report as CSV: goes on where it ended.

    Args:
        path: the file. Its first line says of what it is.
        about: the settings that its rows are of.

    Raises:
        ValueError: there is a file of other settings, or none that this class wrote.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path, self._about = path, f"# {json.dumps(about, sort_keys=True)}"
        self.rows: list[Row] = []
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            first, _, text = self.path.read_text(encoding="utf-8").partition("\n")
            if first != self._about:
                raise ValueError(f"{self.path} is of other settings: give another name, or remove it")
            for row in csv.DictReader(io.StringIO(text)):
                self.rows.append({name: _read_cell(name, cell) for name, cell in row.items()})
            if any(not row["board"] or row["weight"] is None for row in self.rows):
                raise KeyError("weight")
        except (KeyError, TypeError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{self.path} is no report, or is damaged") from error

    @property
    def boards(self) -> set[str]:
        """Those that are there."""
        return {row["board"] for row in self.rows}

    def add(self, rows: Sequence[Row]) -> None:
        """Writes a board's rows."""
        self.rows += rows
        names = dict.fromkeys([*FIRST, *(name for row in self.rows for name in row)])
        text = io.StringIO()
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, f"{self._about}\n{text.getvalue()}")


def _read_cell(name: str | None, cell: Any) -> Any:
    if name is None or cell is None:
        raise KeyError("a row of another length")
    if name in ("board", "line"):
        return cell
    try:
        return None if cell == "" else int(cell) if name in ("player", "iterations") else float(cell)
    except ValueError as error:
        raise KeyError(name) from error
