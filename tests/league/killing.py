"""Leagues in this process, killed at a moment."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pokerlab.config.schema import LeagueConfig
from pokerlab.league.start import make_parts, open_folder, open_league
from pokerlab.store import files


def run(config: LeagueConfig) -> Path:
    """A league without what the command does around it."""
    parts = make_parts(config)
    folder, lock = open_folder(config, None)
    try:
        open_league(config, parts, folder).run(config.rounds)
    finally:
        lock.release()
    return folder.path


def essence(folder: Path) -> dict[str, Any]:
    """Everything in a league's folder that must not depend on when it was killed."""
    times = ("timestamp", "seconds", "cpu_seconds")
    rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    rest = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("rounds.jsonl", "job.json", "config.yaml")
    }
    return rest | {"rounds": [{k: v for k, v in line.items() if k not in times} for line in rounds]}


class Killed(BaseException):
    """As kill -9: nothing of ours is done after it."""


def killing(after: int, half: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes what writes files die at its call number ``after``, with half of it written or nothing."""
    count = 0

    def wrap(write: Callable[..., Any]) -> Callable[..., Any]:
        def dying(path: Path, content: Any) -> Any:
            nonlocal count
            count += 1
            if count == after and half:
                if isinstance(content, str) and path.suffix == ".jsonl":
                    with path.open("a") as file:
                        file.write(content[: len(content) // 2])
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.with_name(f".{path.name}{files.TEMPORARY}").write_bytes(b"half")
            if count == after:
                raise Killed
            return write(path, content)

        return dying

    return wrap
