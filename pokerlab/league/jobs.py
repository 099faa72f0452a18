"""Members as jobs of a launcher: processes of this machine, jobs of Slurm, calls on Modal; several at once.

A job outlives the league's driver. One that is started again, here or where the folder was moved, finds in
each member's folder, or on the Volume, how far it is.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import read_config, write_config
from pokerlab.errors import UserError
from pokerlab.jobs.launch import check, launch
from pokerlab.jobs.places import is_alive
from pokerlab.league.budget import Budget, BudgetSpentError, run_of
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.member_runs import is_finished
from pokerlab.league.volume import fetch, look, send
from pokerlab.league.where import Where
from pokerlab.training.start import refuse_if_running


class Jobs(Where):
    """By the launcher that a member's config names.

    Args:
        budget: of the league.
        parallel: how many at once.
        seconds: between looks at them.
    """

    def __init__(self, budget: Budget, *, parallel: int = 2, seconds: float = 2.0) -> None:
        super().__init__(budget)
        if parallel < 1:
            raise ValueError(f"parallel must be at least 1, got {parallel}")
        if not seconds > 0:
            raise ValueError(f"seconds must be above 0, got {seconds}")
        self._parallel, self._seconds = parallel, seconds

    def check(self, config: RunConfig) -> None:
        super().check(config)
        check(config)

    def train(self, league: LeagueFolder, configs: Sequence[RunConfig]) -> None:
        _refresh(league, configs)
        waiting = [config for config in configs if not is_finished(run_of(config), config)]
        running = {
            config.run_dir: replace(config, launcher=read_config(run_of(config)).launcher)
            for config in waiting
            if is_alive(run_of(config).read_job())
        }
        before = {config.run_dir: _done(config) for config in waiting}
        waiting = [config for config in waiting if config.run_dir not in running]
        while waiting or running:
            while waiting and len(running) < self._parallel:
                free = min(self._parallel - len(running), len(waiting))
                config = waiting.pop(0)
                allotted = self.budget.allot(league, config, list(running.values()), free)
                before[config.run_dir] = _done(config)
                _begin(league, allotted)
                running[config.run_dir] = allotted
            time.sleep(self._seconds)
            _refresh(league, list(running.values()))
            for config in configs:
                if config.run_dir in running and is_alive(run_of(config).read_job()) is False:
                    del running[config.run_dir]
                    if not is_finished(run_of(config), config):
                        self._check_end(config, before[config.run_dir])
                        waiting.append(config)
        for config in configs:
            if config.launcher.name == "modal":
                fetch(league, run_of(config))

    def _check_end(self, config: RunConfig, before: int) -> None:
        """Whether one that ended early can go on."""
        run = run_of(config)
        job = run.read_job()
        if job.get("state") != "stopped":
            raise UserError(f"member {run.path.name} failed: {job.get('reason') or run.newest_log}")
        if not self.budget.limits:
            raise UserError(f"member {run.path.name} was stopped: the same command goes on with it")
        if _done(config) <= before:
            raise BudgetSpentError(f"the budget is too small for an iteration of {run.path.name}")


def _begin(league: LeagueFolder, config: RunConfig) -> None:
    """Submits a run, new or begun."""
    run = run_of(config)
    if config.launcher.name == "modal":
        send(league, run, config)
        return
    if not run.config.exists():
        launch(config, None, [])
        return
    refuse_if_running(run)
    write_config(run, config)
    launch(replace(config, resume_from=str(run.path), run_dir=None, run_name=None), None, [])


def _refresh(league: LeagueFolder, configs: Sequence[RunConfig]) -> None:
    for config in configs:
        if config.launcher.name == "modal":
            look(league, run_of(config))


def _done(config: RunConfig) -> int:
    latest = run_of(config).read_summary().get("latest_iteration")
    return -1 if latest is None else int(latest)
