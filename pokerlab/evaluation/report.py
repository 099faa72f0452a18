"""What evaluation.json holds, and how it is shown."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from pokerlab.agents.registry import FORMER_NAMES
from pokerlab.games.base import Game
from pokerlab.search.resolving import SEARCH_ITERATION


def read_evaluation(path: Path) -> dict[str, Any]:
    """What evaluation.json holds, ways to play under their present names; nothing, if it cannot be read."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {FORMER_NAMES.get(key, str(key)): value for key, value in found.items()}


def exploitability_table(results: dict[str, Any], big_blind: float) -> Table:
    """One row for each way to play that was measured."""
    about = results["game"]
    if "run" in results:
        about = f"{results['run']} ({results['checkpoint']}, iteration {results['iteration']}): {about}"
    title = f"{about}, chips; exploitability is NashConv/2"
    if (searched := results.get(SEARCH_ITERATION)) is not None:
        title += f"\nsearch: {searched['iterations']:,} iterations a subgame, "
        title += f"{searched['play_throughs']:,} play-throughs"
    columns = ("way to play", "exploitability", "mbb", "NashConv", "game value", "s")
    table = Table(*columns, title=title)
    for way, found in results.items():
        if isinstance(found, dict) and "nash_conv" in found:
            exploitability, *others = (
                f"{found[key]:.5f}" for key in ("exploitability", "nash_conv", "game_value")
            )
            mbb = f"{1000 * found['exploitability'] / big_blind:.2f}"
            table.add_row(way, exploitability, mbb, *others, f"{found['seconds']:.1f}")
            if not found.get("complete", True):
                done = f"{found['deals_done']:,} of {found['deals']:,} deals"
                lower = found.get("at_least_about", 0.0) * 1000 / big_blind
                table.caption = f"{way}: an estimate from {done}; at least about {lower:.1f} mbb"
    return table


def contest_tables(
    game: Game, matches: Sequence[dict[str, Any]], ranking: Sequence[dict[str, Any]] | None
) -> Iterator[Table | str]:
    """Of one match everything, of several their results and the ranking."""
    if len(matches) == 1:
        yield _match_table(game, matches[0])
        yield _notes(matches[0])
        return
    deals = f"{matches[0]['deals']:,} deals a match, each in both seats; ± is 95 %"
    table = Table("first", "second", "mbb a hand", "exact", title=f"{game.name}: {deals}")
    for match in matches:
        exact = "" if match["exact"] is None else f"{match['exact'] * 1000 / game.big_blind:.1f}"
        half = "" if match["mbb_half_width"] is None else f" ± {match['mbb_half_width']:.1f}"
        table.add_row(*match["agents"], f"{match['mbb']:.1f}{half}", exact)
    yield table
    if ranking is None:
        return
    table = Table("agent", "Elo", "Nash average", "chips a hand against it", title=f"{game.name}: ranking")
    for row in ranking:
        numbers = f"{row['elo']:.0f}", f"{row['nash']:.3f}", f"{row['chips_against_nash']:.4f}"
        table.add_row(row["agent"], *numbers)
    yield table


def _match_table(game: Game, match: dict[str, Any]) -> Table:
    first, second = match["agents"]
    rules = "".join(f", {name}={value}" for name, value in (match.get("rules") or {}).items())
    title = f"{first} against {second}: {game.name}{rules}, {match['deals']:,} deals, each in both seats"
    table = Table("", "hands", "chips a hand", "mbb a hand", title=title, title_justify="left")

    def add(label: str, hands: int, estimate: dict[str, Any]) -> None:
        chips, mbb = f"{estimate['chips']:.4f}", f"{estimate['mbb']:.1f}"
        if estimate["half_width"] is not None:
            chips += f" ± {estimate['half_width']:.4f}"
            mbb += f" ± {estimate['mbb_half_width']:.1f}"
        table.add_row(label, f"{hands:,}", chips, mbb)

    used = {"both": "AIVAT, both strategies known", "own": f"AIVAT, {first} known", "none": "won"}
    add(used[match["aivat"]], match["hands"], match)
    if match["aivat"] != "none":
        add("won", match["hands"], match["raw"])
    if match["exact"] is not None:
        mbb = match["exact"] * 1000 / game.big_blind
        table.add_row("exact", "", f"{match['exact']:.4f}", f"{mbb:.1f}")
    for player, estimate in enumerate(match["positions"]):
        add(f"as player {player}", match["deals"], estimate)
    for street in match["streets"]:
        add(f"ended on street {street['street'] + 1}", street["hands"], street)
    return table


def _notes(match: dict[str, Any]) -> str:
    notes = f"± is 95 %; {match['seconds']:.1f} s"
    if cut := match["luck_cut"]:
        notes += f"; AIVAT cut the standard deviation of a hand {cut['hand']:.1f} times, of a deal played"
        notes += f" twice {cut['deal']:.1f} times"
    return notes
