"""Whom members that are training runs are trained against, kept in the folder of each run.

So a run needs nothing but its folder wherever it is trained, and whoever finds that knows against whom.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pokerlab.agents.stored_policy import read_policy, write_policy
from pokerlab.errors import UserError
from pokerlab.games.base import Floats, Game
from pokerlab.league.folder import LeagueFolder
from pokerlab.search.sequence_game import SequenceGame
from pokerlab.store.files import link_or_copy
from pokerlab.store.folder import LAST, RunFolder
from pokerlab.training.stored_agents import AGENT, MEMBERS, MIXTURE, WEIGHTS, Weights, about, write_mixture

TABLE, FOLDER = "opponent.npz", "opponent"
"""What a run's folder calls it: a policy, or a mixture of agents."""


class StoredOpponent(ABC):
    """Somebody to be trained against."""

    path: str
    """In the run's folder; ``algorithm.opponent`` is that with ``policy:`` before it."""

    @abstractmethod
    def write(self, run: Path) -> None:
        """Puts it into a run's folder."""

    @abstractmethod
    def is_in(self, run: Path) -> bool:
        """Whether it is there, whole."""


@dataclass(frozen=True)
class TableOpponent(StoredOpponent):
    """A policy of a game of few hands."""

    game: SequenceGame
    strategy: Floats
    """``[E, H]``."""
    path = TABLE

    def write(self, run: Path) -> None:
        write_policy(run / TABLE, self.game, self.strategy)

    def is_in(self, run: Path) -> bool:
        try:
            return np.array_equal(read_policy(run / TABLE, self.game), self.strategy)
        except (UserError, FileNotFoundError):
            return False


@dataclass(frozen=True)
class MixedAgents(StoredOpponent):
    """A mixture of members that are agents."""

    league: LeagueFolder
    game: Game
    weights: Weights
    path = FOLDER

    def write(self, run: Path) -> None:
        """Members' files never change: they get second names."""
        folder = run / FOLDER
        waiting, done = list(self.weights), set[str]()
        while waiting:
            member = self.league.member(name := waiting.pop())
            done.add(name)
            checkpoint = RunFolder(member).checkpoints / LAST
            for path in (member / AGENT, member / WEIGHTS, RunFolder(member).config, checkpoint):
                to = folder / MEMBERS / name / path.relative_to(member)
                if path.exists() and not to.exists():
                    link_or_copy(path, to)
            responds_to = json.loads((member / AGENT).read_text()).get("responds_to", {})
            waiting += [other for other in responds_to if other not in done]
        write_mixture(folder, self.game, self.weights)

    def is_in(self, run: Path) -> bool:
        wanted = about(self.game) | {"weights": {name: list(of) for name, of in self.weights.items()}}
        try:
            found = json.loads((run / FOLDER / MIXTURE).read_text())
        except (OSError, ValueError):
            return False
        return bool(found == wanted)
