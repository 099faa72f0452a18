"""What a league may take in all: hours and USD, of its driver and of the runs that its members are."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pokerlab.config.schema import RunConfig
from pokerlab.league.folder import LeagueFolder
from pokerlab.store.folder import RunFolder


class BudgetSpentError(Exception):
    """Nothing is left; with more the league goes on."""


@dataclass(frozen=True)
class Budget:
    """Limits, and what is left of them.

    Hours are those of all members together, or of the driver if these are more: where it trains members
    itself, one clock counts both.
    """

    hours: float | None = None
    """None: no limit."""
    usd: float | None = None
    """None: no limit."""
    began: float = field(default_factory=lambda: time.monotonic())
    """When this driver did."""

    def spent(self, league: LeagueFolder) -> dict[str, float]:
        """Hours and USD so far, by these names."""
        runs = [RunFolder(path.parent) for path in league.path.glob("members/*/summary.json")]
        rounds = league.read_rounds()
        driver = time.monotonic() - self.began + (rounds[-1]["seconds"] if rounds else 0.0)
        members = [_of_run(run) for run in runs]
        return {
            "hours": max(driver / 3600, sum(each["hours"] for each in members)),
            "usd": sum(each["usd"] for each in members),
        }

    @property
    def limits(self) -> dict[str, float]:
        """Those that there are."""
        return {name: most for name in ("hours", "usd") if (most := getattr(self, name)) is not None}

    def check(self, league: LeagueFolder) -> None:
        """Raises a BudgetSpentError if nothing is left."""
        spent = self.spent(league) if self.limits else {}
        for name, most in self.limits.items():
            if spent[name] >= most:
                raise BudgetSpentError(f"budget.{name}={most:g} is spent: a larger one goes on")

    def allot(
        self, league: LeagueFolder, config: RunConfig, running: Sequence[RunConfig] = (), free: int = 1
    ) -> RunConfig:
        """A member's config with a share of what is left as its launcher's limits.

        Args:
            league: whose budget it is.
            config: of the member.
            running: those of members that are being trained: what they may still take is theirs.
            free: how many can begin beside those; each is to get as much.

        Raises:
            BudgetSpentError: nothing is left.
        """
        if not self.limits:
            return config
        spent, own, limits = self.spent(league), _of_run(run_of(config)), dict[str, Any]()
        for name, most in self.limits.items():
            key = LAUNCHERS[name]
            promised = [(getattr(each.launcher, key), _of_run(run_of(each))[name]) for each in running]
            theirs = sum(max(limit - taken, 0.0) for limit, taken in promised if limit is not None)
            share = (most - spent[name] - theirs) / free
            if share <= 0:
                raise BudgetSpentError(f"budget.{name}={most:g} is spent: a larger one goes on")
            before = getattr(config.launcher, key)
            limits[key] = min(share + own[name], float("inf") if before is None else before)
        return replace(config, launcher=replace(config.launcher, **limits))


NO_LIMITS = Budget()
LAUNCHERS = {"hours": "max_hours", "usd": "max_cost_usd"}
"""What a run's launcher calls its own limits."""


def run_of(config: RunConfig) -> RunFolder:
    """The folder of a run that has its place, as :func:`pokerlab.league.member_runs.place_run` gives it."""
    return RunFolder(Path(str(config.run_dir)))


def _of_run(run: RunFolder) -> dict[str, float]:
    summary = run.read_summary()
    return {"hours": (summary.get("seconds") or 0.0) / 3600, "usd": summary.get("cost_usd") or 0.0}
