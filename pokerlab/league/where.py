"""Where members are trained: here one after the other, or as jobs of a launcher."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

from pokerlab.config.machine import check_machine
from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import write_config
from pokerlab.errors import UserError
from pokerlab.league.budget import Budget, BudgetSpentError, run_of
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.member_runs import is_finished
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import price_per_hour
from pokerlab.training.run import RunFailedError, train
from pokerlab.training.start import Start, go_on, refuse_if_running, start


class Where(ABC):
    """Trains members.

    Args:
        budget: of the league.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    @abstractmethod
    def train(self, league: LeagueFolder, configs: Sequence[RunConfig]) -> None:
        """Trains runs to their last iterations; those that are done, or under way, are not begun again.

        Args:
            league: whose members they are.
            configs: each with its ``run_dir``, as :func:`~pokerlab.league.member_runs.place_run` gives them.

        Raises:
            BudgetSpentError: nothing is left before they are done.
            KeyboardInterrupt: somebody stopped it.
            UserError: one has failed, or cannot go on.
        """

    @abstractmethod
    def check(self, config: RunConfig) -> None:
        """Finds a run's mistakes before anything is written.

        Raises:
            UserError: it cannot be trained so, or nobody knows whether the budget suffices.
        """
        if self.budget.usd is not None and price_per_hour(config.launcher) is None:
            raise UserError("budget.usd needs the price of members: set launcher.price_per_hour of theirs")


class Here(Where):
    """In this process, one after the other."""

    def check(self, config: RunConfig) -> None:
        super().check(config)
        if config.launcher.name != "local":
            raise UserError(
                f"members=here trains in this process: launcher={config.launcher.name} needs members=jobs"
            )
        check_machine(config)

    def train(self, league: LeagueFolder, configs: Sequence[RunConfig]) -> None:
        for config in configs:
            run = run_of(config)
            if is_finished(run, config):
                continue
            try:
                train(_begin(run, self.budget.allot(league, config)), quiet=True)
            except RunFailedError as error:
                raise UserError(f"member {run.path.name} failed: {run.log} says why") from error
            if not is_finished(run, config):
                raise BudgetSpentError(f"member {run.path.name} stopped: {run.read_log(1)[0]}")


def _begin(run: RunFolder, config: RunConfig) -> Start:
    if not run.config.exists():
        return start(config, None, [])
    with contextlib.ExitStack() as held:
        lock = held.enter_context(run.lock())
        refuse_if_running(run)
        write_config(run, config)
        began = go_on(run, None, lock)
        held.pop_all()
    return began
