"""Rounds of a league with what goes with them: its state on disk, loggers and pictures."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pokerlab.config.schema import LeagueConfig
from pokerlab.errors import UserError
from pokerlab.league.budget import BudgetSpentError
from pokerlab.league.loggers import logging_to
from pokerlab.league.loop import League
from pokerlab.league.plots import plot_league
from pokerlab.store.files import now
from pokerlab.store.process import process_record


def grow_rounds(
    league: League,
    config: LeagueConfig,
    experiment: str | None,
    *,
    tell: Callable[[dict[str, Any]], None],
    stop: Callable[[], bool] = lambda: False,
) -> tuple[list[Path], str | None]:
    """Grows a league and draws it.

    Args:
        league: whose folder is locked.
        config: of the league.
        experiment: name of the experiment.
        tell: gets each round's line.
        stop: whether to end after the present round.

    Returns:
        What was drawn, and why it stopped if its budget is spent.

    Raises:
        UserError: the budget was spent before the first round.
        KeyboardInterrupt: it was stopped before the first round, or while a member was being trained.
    """
    population, state, reason = league.population, "failed", None
    run, before = population.folder.run, len(population.rounds)
    job = {"launcher": "local", "experiment": experiment, "submitted": now()}
    with contextlib.ExitStack() as stack:
        try:
            run.update_job(**job, state="running", **process_record(os.getpid()))
            stack.enter_context(_threads(config.threads))
            loggers = stack.enter_context(logging_to(population.folder, config))

            def tell_all(line: dict[str, Any]) -> None:
                tell(line)
                loggers.log_round(line)

            league.run(config.rounds, target=config.target, tell=tell_all, stop=stop)
            state = "stopped" if stop() else "finished"
            if not population.rounds:
                raise KeyboardInterrupt
        except BudgetSpentError as error:
            state, reason = "stopped", str(error)
            if len(population.rounds) == before:
                raise UserError(reason) from error
        except KeyboardInterrupt:
            state = "stopped"
            raise
        finally:
            run.update_job(state=state, reason=reason)
        plots = plot_league(population)
        loggers.log_pictures(plots)
    return plots, reason


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Torch takes so many, not all cores: layers of a few neurons would wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
