"""What the process of Runs and leagues runs: it reads their folders. Imports no torch.

What cannot be read is told in one line beside all that can.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pokerlab.app.runs.curves import exploitability_of_rounds, of_a_run
from pokerlab.config.compose import CONF, is_of_a_population
from pokerlab.errors import UserError
from pokerlab.jobs.places import is_alive
from pokerlab.league.folder import LeagueFolder, Member, find_league, local_leagues
from pokerlab.league.payoffs import Payoffs
from pokerlab.league.status import status as league_status
from pokerlab.store.files import open_to_read
from pokerlab.store.folder import RunFolder, local_runs, shipped_runs
from pokerlab.store.records import GOING_ON
from pokerlab.store.status import Status, read_status

MOST_LINES, MOST_ROWS, MOST_BYTES = 2000, 200, 2**20
"""Of a log; of the metrics as a table, the last ones; of a config."""
MOST_MEMBERS = 40
"""In a matrix: those that are picked most often, then the newest."""
Found = TypeVar("Found")


def overview() -> dict[str, Any]:
    """Every run and league that is here, the newest first, the runs of the package, and experiments."""
    runs = [_at_a_glance(run.path.name, run) for run in local_runs()]
    leagues = [_league_at_a_glance(name) for name in local_leagues()]
    shipped = [_at_a_glance(name, run) for name, run in shipped_runs().items()]
    newest = sorted(runs, key=lambda run: run["submitted"] or "", reverse=True)
    return {"runs": newest, "leagues": leagues, "shipped": shipped, "experiments": experiments()}


@lru_cache(1)
def experiments() -> list[dict[str, Any]]:
    """What can be started, each with what it says of itself, and whether it grows a league."""
    found = []
    for path in sorted((CONF / "experiment").glob("*.yaml")):
        says = re.findall(r"(?m)^#(?! @package) *(.*)$", path.read_text(encoding="utf-8"))
        league = is_of_a_population(path)
        found.append({"name": path.stem, "says": says[0] if says else "", "league": league})
    return found


def _at_a_glance(name: str, folder: RunFolder) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "submitted": None, "error": None}
    status, error = _try(lambda: _status(name, folder))
    if status is None:
        return told | {"state": "unreadable", "error": error}
    return told | {
        "state": status.state, "iterations": status.iterations, "total": status.total_iterations,
        "experiment": status.experiment, "submitted": status.submitted, "age": status.age_seconds,
        "exploitability": status.exploitability, "best": status.best_exploitability,
    }  # fmt: skip


def _league_at_a_glance(name: str) -> dict[str, Any]:
    found, error = _try(lambda: league_status(find_league(name)))
    if found is None:
        return {"name": name, "state": "unreadable", "error": error}
    kept = ("game", "state", "rounds", "members", "exploitability", "lower_bound", "best_exploitability")
    return {"name": name, "error": None} | {key: found[key] for key in kept}


def _try(work: Callable[[], Found]) -> tuple[Found | None, str | None]:
    """What came of it, or why nothing did: folders change and go while they are read."""
    try:
        return work(), None
    except (UserError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__


def _status(name: str, folder: RunFolder, lines: int = 0) -> Status:
    if not folder.path.is_dir():
        raise UserError(f"{folder.path} is gone")
    job = folder.read_job()
    # the page asks no other host: of a run that was fetched from Modal, its folder says what there is
    alive = None if job.get("launcher") == "modal" and job.get("state") in GOING_ON else is_alive(job)
    return read_status(folder, alive, name=name, lines=lines)


# Runs


def find_run(name: str) -> tuple[RunFolder, bool]:
    """A run of this folder, of a league, or of the package, by its name; and whether it is the package's.

    Raises:
        ValueError: there is none.
    """
    here = {run.path.name: run for run in local_runs()}
    shipped = shipped_runs()
    if name in here:
        return here[name], False
    league, _, member = name.partition("/members/")
    if member and league in local_leagues():
        folders = find_league(league).path.glob("members/[!.]*")
        run = next((RunFolder(path) for path in folders if path.name == member), None)
        if run is not None and run.holds_a_run:
            return run, False
    if name in shipped:
        return shipped[name], True
    raise ValueError(f"no run {name!r} here (any more)")


def is_shipped(name: str) -> bool:
    """Whether a run is the package's; reads none of its files."""
    return find_run(name)[1]


def run(name: str, seen: str = "") -> dict[str, Any]:
    """A run: at a glance, its curves, its metrics as a table; or nothing new since it was ``seen``."""
    folder, is_shipped = find_run(name)
    status, trouble = _try(lambda: _status(name, folder))
    version = _version((folder.metrics, folder.job, folder.summary, folder.progress), status and status.state)
    if version == seen:
        return {"version": version}
    read, unread = _try(folder.salvage_metrics)
    lines, damage = read or ([], None)
    if trouble and damage and str(folder.metrics) in trouble:
        trouble = None  # the same, less exactly
    errors = [trouble, unread, damage]
    config, _ = _try(folder.read_config)
    return {
        "version": version,
        "name": name,
        "shipped": is_shipped,
        "status": None if status is None else status.as_json(),
        "errors": list(dict.fromkeys(filter(None, errors))),
        "curves": of_a_run(lines, config or {}),
        "table": _table(lines[-MOST_ROWS:]),
        "lines": len(lines),
    }


def _table(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The newest iteration first; columns of which something is known."""
    columns = dict.fromkeys(name for line in lines for name, value in line.items() if _shown(value))
    for hidden in ("version", "timestamp"):
        columns.pop(hidden, None)
    names = sorted(columns, key=lambda name: name != "iteration")
    return {"columns": names, "rows": [[_plain(line.get(name)) for name in names] for line in lines[::-1]]}


def _shown(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _plain(value: Any) -> Any:
    """What JSON can say: a metric of somebody's own may be anything."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if _shown(value) else None


def _version(paths: Iterable[Path], *more: Any) -> str:
    """Changes when one of the files does."""
    told = [str(each) for each in more]
    for path in paths:
        try:
            found = path.stat()
            told.append(f"{found.st_size}.{found.st_mtime_ns}")
        except OSError:
            told.append("none")
    return "-".join(told)


def log(name: str, lines: int, is_league: bool, seen: str = "") -> dict[str, Any]:
    """The log's last lines, or nothing new since it was ``seen``."""
    folder = _league(name).run if is_league else find_run(name)[0]
    version = _version((folder.log, folder.output))
    if version == seen:
        return {"version": version}
    found, error = _try(lambda: folder.read_log(min(max(lines, 1), MOST_LINES)))
    return {"version": version, "lines": found or [], "error": error}


def config(name: str, is_league: bool) -> dict[str, Any]:
    """config.yaml as it stands."""
    folder = _league(name).run if is_league else find_run(name)[0]

    def read() -> str:
        with open_to_read(folder.config) as file:
            return file.read(MOST_BYTES).decode(errors="replace")

    text, error = _try(read)
    return {"text": text or "", "error": error and f"{folder.config} cannot be read: {error}"}


# Leagues


def _league(name: str) -> LeagueFolder:
    if name not in local_leagues():
        raise ValueError(f"no league {name!r} here (any more)")
    return find_league(name)


def check_league(name: str) -> None:
    """Whether there is such a league; reads none of its files."""
    _league(name)


def league(name: str, seen: str = "") -> dict[str, Any]:
    """A league: at a glance, its curve, who came from whom, and who wins what of whom."""
    folder = _league(name)
    status, trouble = _try(lambda: league_status(folder))
    files = (folder.rounds, folder.members, folder.results, folder.run.job)
    version = _version(files, status and (status["state"], status["training"]))
    if version == seen:
        return {"version": version}
    rounds, no_rounds = _try(folder.read_rounds)
    members, no_members = _try(lambda: folder.read_members(len(rounds or [])))
    matrix, no_matrix = _try(lambda: _matrix(folder, members or [], rounds or []))
    errors = [trouble, no_rounds, no_members, no_matrix]
    game = (status or {}).get("game") or ""
    return {
        "version": version,
        "name": name,
        "status": status,
        "errors": list(dict.fromkeys(filter(None, errors))),
        "curves": exploitability_of_rounds(rounds or [], game),
        "members": _lineage(folder, members or [], rounds or []),
        "matrix": matrix,
    }


def _weights(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By member, in the last mixture: the mean of the players."""
    last = rounds[-1]["weights"] if rounds else {}
    return {name: sum(of_players) / len(of_players) for name, of_players in last.items() if of_players}


def _lineage(
    folder: LeagueFolder, members: Sequence[Member], rounds: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    weights = _weights(rounds)
    return [
        {
            "name": member.name, "round": member.round, "origin": member.origin, "parent": member.parent,
            "source": member.source, "weight": weights.get(member.name, 0.0),
            "exploitability": member.exploitability, "run": RunFolder(folder.member(member.name)).holds_a_run,
        }
        for member in members
    ]  # fmt: skip


def _matrix(
    folder: LeagueFolder, members: Sequence[Member], rounds: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Chips a hand that the row's member wins of the column's, of the members that are picked most often."""
    results = folder.read_results(len(members))
    if not results:
        return None
    known = Payoffs(len(results[0]["payoffs"][0]), len(members))
    for line in results:
        known.note(**line)
    won, half_width = known.head_to_head()
    weights = _weights(rounds)
    order = sorted(range(len(members)), key=lambda at: (-weights.get(members[at].name, 0.0), -at))
    chosen = sorted(order[:MOST_MEMBERS])
    return {
        "members": [members[at].name for at in chosen],
        "of": len(members),
        "payoffs": [[_plain(float(won[i, j])) for j in chosen] for i in chosen],
        "half_width": [[_plain(float(half_width[i, j])) for j in chosen] for i in chosen],
    }
