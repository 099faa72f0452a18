"""A league at a glance. Imports no torch: looking at leagues is quick."""

from collections.abc import Collection, Iterator
from typing import Any

from rich.table import Table

from pokerlab.league.budget import Budget
from pokerlab.league.folder import LeagueFolder, best_round
from pokerlab.store.folder import RunFolder


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
        "lower_bound": last.get("lower_bound"),
        "best_exploitability": best and best["exploitability"],
        "best_round": best and best["round"],
        "seconds": last.get("seconds"),
        **Budget().spent(folder),
        "training": list(runs_in_training(folder, {member.name for member in members})),
        "last_updated": last.get("timestamp"),
        "pid": job.get("pid"),
        "folder": str(folder.path),
    }


def runs_in_training(folder: LeagueFolder, members: Collection[str]) -> Iterator[str]:
    """The runs that are to become members, with how many of their iterations they have done."""
    for path in sorted(folder.path.glob("members/[!.]*")):
        if path.name not in members and (run := RunFolder(path)).holds_a_run:
            found = run.read_summary()
            done, total = found.get("latest_iteration"), found.get("total_iterations")
            yield f"{path.name} {0 if done is None else done + 1}/{total or '?'}"


def status_table(found: dict[str, Any]) -> Table:
    """The same as a table."""
    table = Table(show_header=False)
    for key, value in found.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        shown = "–" if value in (None, []) else f"{value:.6g}" if isinstance(value, float) else str(shown)
        table.add_row(key.replace("_", " "), shown)
    return table
