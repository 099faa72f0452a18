"""A league at a glance. Imports no torch: looking at leagues is quick."""

from typing import Any

from rich.table import Table

from pokerlab.league.folder import LeagueFolder, best_round


def status(folder: LeagueFolder) -> dict[str, Any]:
    """A league at a glance, from its files alone."""
    manifest, rounds, job = folder.read_manifest(), folder.read_rounds(), folder.run.read_job()
    members = folder.read_members(len(rounds))
    last = rounds[-1] if rounds else {}
    best = best_round(rounds)
    return {
        "league": folder.path.name,
        "game": manifest["game"],
        "state": folder.state(),
        "rounds": len(rounds),
        "members": len(members),
        "picked": len(last.get("weights", {})),
        "exploitability": last.get("exploitability"),
        "best_exploitability": best and best["exploitability"],
        "best_round": best and best["round"],
        "seconds": last.get("seconds"),
        "last_updated": last.get("timestamp"),
        "pid": job.get("pid"),
        "folder": str(folder.path),
    }


def status_table(found: dict[str, Any]) -> Table:
    """The same as a table."""
    table = Table(show_header=False)
    for key, value in found.items():
        shown = "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        table.add_row(key.replace("_", " "), shown)
    return table
