"""A league's folder: what a population is on disk. Imports no torch, so that looking at leagues is quick.

``league.json`` says of which game it is; ``members.jsonl``, ``results.jsonl`` and ``rounds.jsonl`` only ever
grow, a line at a time. A round counts once its line in ``rounds.jsonl`` is whole: whatever a killed driver
had written of a later one is dropped, and made again, by the next.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pokerlab.config.fields import read
from pokerlab.errors import UserError, near
from pokerlab.store.files import (
    TEMPORARY,
    append_line,
    open_to_read,
    read_lines,
    write_atomically,
    write_json,
)
from pokerlab.store.folder import LEAGUE, OUTPUTS, RunFolder
from pokerlab.store.lock import RunLock
from pokerlab.store.process import find_process
from pokerlab.store.status import true_state

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Member:
    """Who can be picked. ``round`` is that which it was proposed for."""

    name: str
    round: int
    origin: str
    """How it came: ``start``, the oracle that proposed it, or ``added``."""
    parent: str | None = None
    """The member that it came from: the heaviest of the mixture that it answers."""
    source: str | None = None
    """Of an added one, what it was made from."""
    exploitability: float | None = None
    """NashConv / players in chips, of one that is a training run."""


@dataclass(frozen=True, slots=True)
class LeagueFolder:
    """Where a league keeps its files."""

    path: Path

    @property
    def manifest(self) -> Path:
        """Of which game it is."""
        return self.path / LEAGUE

    @property
    def members(self) -> Path:
        """A line a member, in order."""
        return self.path / "members.jsonl"

    @property
    def results(self) -> Path:
        """What members win of each other, some picks a line."""
        return self.path / "results.jsonl"

    @property
    def rounds(self) -> Path:
        """A line a round."""
        return self.path / "rounds.jsonl"

    @property
    def policy(self) -> Path:
        """The best mixture so far, as one policy."""
        return self.path / "policy.npz"

    @property
    def run(self) -> RunFolder:
        """What a league has in common with a run: config.yaml, job.json, plots, the lock."""
        return RunFolder(self.path)

    def member(self, name: str) -> Path:
        """A member's own folder."""
        return self.path / "members" / name

    @property
    def holds_a_league(self) -> bool:
        """Whether one was ever started here."""
        return self.run.holds_a_league

    def lock(self) -> RunLock:
        """Makes this process the league's only driver, until the lock is released.

        Raises:
            UserError: another process is.
        """
        return self.run.lock()

    def state(self) -> str:
        """``running``, ``finished``, ``stopped`` or ``failed``; ``submitted`` before it is first run."""
        job = self.run.read_job()
        return true_state(job.get("state"), find_process(job) is not None) if job else "submitted"

    def make(self, game: str) -> None:
        """Begins a league of the game of that name."""
        write_json(self.manifest, {"league": FORMAT, "game": game})

    def read_manifest(self) -> dict[str, Any]:
        """Of which game the league is.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            with open_to_read(self.manifest) as file:
                found = json.loads(file.read())
            if found["league"] != FORMAT:
                raise UserError(f"{self.manifest} is of version {found['league']}: expected {FORMAT}")
        except FileNotFoundError as error:
            raise UserError(f"{self.path} has no league.json: it is not a league's folder") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.manifest} is damaged") from error
        manifest: dict[str, Any] = found
        return manifest

    def read_rounds(self) -> list[dict[str, Any]]:
        """The rounds that count.

        Raises:
            UserError: a line is damaged.
        """
        found = [_line(self.rounds, number, text) for number, text in self._whole(self.rounds)]
        for number, line in enumerate(found):
            if line.get("round") != number or not _is_of_a_round(line):
                raise UserError(f"{self.rounds} is damaged: line {number + 1} is not of round {number}")
        return found

    def read_members(self, rounds: int) -> list[Member]:
        """The members there are after so many rounds.

        Raises:
            UserError: a line is damaged.
        """
        found = []
        for number, text in self._whole(self.members):
            line = _line(self.members, number, text)
            try:
                member = read(Member, line)
            except UserError as error:
                raise UserError(
                    f"{self.members} is damaged: line {number} is not of a member: {error}"
                ) from error
            if Path(member.name).name != member.name:
                raise UserError(f"{self.members} is damaged: line {number} is not of a member")
            if member.round < rounds or member.origin in ("start", "added"):
                found.append(member)
        return found

    def read_results(self, members: int) -> list[dict[str, Any]]:
        """What is known of the first so many members; a round that does not count knows of later ones.

        Raises:
            UserError: a line is damaged.
        """
        found = []
        for number, text in self._whole(self.results):
            line = _line(self.results, number, text)
            try:
                alike = [len(row) for row in line["picks"]] == [len(row) for row in line["payoffs"]]
                latest = max(map(max, line["picks"]), default=0)
                sum(map(sum, line["payoffs"]))  # they are numbers
                if not alike or line.keys() - {"picks", "payoffs", "half_width", "deals", "seats"}:
                    raise ValueError(text)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{self.results} is damaged: line {number} is not of results") from error
            if latest < members:
                found.append(line)
        return found

    def _whole(self, path: Path) -> list[tuple[int, str]]:
        """A file's whole lines, numbered from 1; a last one that is still being written is left out."""
        return [
            (number, line) for number, line in enumerate(read_lines(path, None), 1) if line.endswith("\n")
        ]

    def rewrite(self, members: Iterable[Member], results: Iterable[dict[str, Any]], rounds: Any) -> None:
        """Drops what does not count; only the driver may."""
        for path, lines in (
            (self.rounds, rounds),
            (self.members, map(asdict, members)),
            (self.results, results),
        ):
            if "".join(wanted := [json.dumps(line) + "\n" for line in lines]) != "".join(
                read_lines(path, None)
            ):
                write_atomically(path, "".join(wanted))
        for folder in (self.path, self.run.plots, *self.path.glob("members/*")):
            for left in folder.glob(f".*{TEMPORARY}"):
                left.unlink(missing_ok=True)

    def append(self, path: Path, line: dict[str, Any]) -> None:
        """Adds a line, whole or not at all."""
        append_line(path, json.dumps(line, allow_nan=False))


def _is_of_a_round(line: dict[str, Any]) -> bool:
    """Whether a line has what later rounds, and who looks at them, read of it."""
    kinds = {"members": int, "kept": list, "weights": dict, "seconds": float, "cpu_seconds": float}
    is_known = line.keys() >= {"nash_conv", "exploitability"}
    return is_known and all(isinstance(line.get(key), kind) for key, kind in kinds.items())


def _line(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise UserError(f"{path} is damaged: line {number} is not of a member: {error}") from error
    return found


def member_name(agent: str) -> str:
    """What a member is called that plays as an agent of some name does."""
    return agent.replace(":", "-").replace("/", "-")


def rank(line: dict[str, Any]) -> float:
    """Of a round's mixture, the less the better: its NashConv, or a lower bound, or else how new it is."""
    if line["nash_conv"] is not None:
        return float(line["nash_conv"])
    return float(-line["round"] if line["lower_bound"] is None else line["lower_bound"])


def best_round(rounds: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The round of the best mixture."""
    return min(rounds, key=rank, default=None)


def local_leagues() -> list[str]:
    """The names of those that are here."""
    return [path.parent.name for path in sorted(OUTPUTS.glob(f"*/{LEAGUE}"))]


def find_league(name: str) -> LeagueFolder:
    """A league by its name or folder.

    Raises:
        UserError: there is none; names the near matches.
    """
    for path in (OUTPUTS / name, Path(name)):
        if LeagueFolder(path).holds_a_league:
            return LeagueFolder(path)
    known = local_leagues()
    raise UserError(f"no league {name!r} here{near(name, known)}")
