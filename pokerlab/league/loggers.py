"""What loggers are told of a league: each round's numbers, and pictures at the end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pokerlab.callbacks.guarded_logger import GuardedLogger
from pokerlab.config.schema import LeagueConfig
from pokerlab.league.folder import LeagueFolder
from pokerlab.training.loggers import open_loggers

GROUP = "WANDB_RUN_GROUP"
"""Environment variable: W&B's group of runs that have none of their own, as members have none."""
NUMBERS = (
    "round", "members", "nash_conv", "exploitability", "lower_bound", "lower_bound_half_width",
    "correlated_gain", "response_share", "response_gain", "seconds", "cpu_seconds",
)  # fmt: skip
"""Of a round's line, as far as they are known."""


class RoundLogger:
    """Passes rounds on to loggers.

    Args:
        loggers: of the league's config.
    """

    def __init__(self, loggers: Sequence[GuardedLogger]) -> None:
        self._loggers = loggers

    def log_round(self, line: dict[str, Any]) -> None:
        """Numbers of a round, and how many members are picked."""
        numbers = {name: line[name] for name in NUMBERS if line.get(name) is not None}
        for logger in self._loggers:
            logger.log_metrics(numbers | {"picked": len(line["weights"])}, line["round"])

    def log_pictures(self, pictures: Sequence[Path]) -> None:
        """Pictures, as media of loggers that have such."""
        for logger in self._loggers:
            if hasattr(logger, "log_image"):
                for path in pictures:
                    logger.log_image(f"plots/{path.stem}", [str(path)])


@contextmanager
def logging_to(folder: LeagueFolder, config: LeagueConfig) -> Iterator[RoundLogger]:
    """Opens a league's loggers; members that are trained meanwhile log to W&B in the league's group."""
    before = os.environ.get(GROUP)
    os.environ[GROUP] = folder.path.resolve().name
    try:
        with open_loggers(folder.run, config) as loggers:
            yield RoundLogger(loggers)
    finally:
        del os.environ[GROUP]
        if before is not None:
            os.environ[GROUP] = before
