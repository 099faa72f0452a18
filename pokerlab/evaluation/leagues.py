"""Round robins: everybody against everybody, and who is best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pokerlab.evaluation.matches import Match
from pokerlab.evaluation.rankings import elo, nash_average
from pokerlab.games.base import Floats


@dataclass(frozen=True, slots=True)
class League:
    """Matches between all pairs of ``n`` agents."""

    names: Sequence[str]
    matches: dict[tuple[int, int], Match]
    """By the two agents' numbers, the smaller first."""

    def _matrix(self, of_first: dict[tuple[int, int], float], sign: int) -> Floats:
        matrix = np.zeros((len(self.names), len(self.names)))
        for (first, second), value in of_first.items():
            matrix[first, second], matrix[second, first] = value, sign * value
        return matrix

    @property
    def mean(self) -> Floats:
        """``[n, n]`` chips a hand that the row's agent won of the column's."""
        return self._matrix({pair: match.result().mean for pair, match in self.matches.items()}, -1)

    @property
    def half_width(self) -> Floats:
        """``[n, n]`` of the means' 95 % confidence intervals."""
        return self._matrix({pair: match.result().half_width for pair, match in self.matches.items()}, 1)

    @property
    def elo(self) -> Floats:
        """``[n]`` Elo, by deals won: played in both seats, more chips win a deal."""
        wins = np.zeros((len(self.names), len(self.names)))
        for (first, second), match in self.matches.items():
            wins[first, second] = match.deals_won() * len(match.won)
            wins[second, first] = len(match.won) - wins[first, second]
        return elo(wins)

    @property
    def nash(self) -> tuple[Floats, Floats]:
        """``[n]`` each agent's part in the Nash average, and ``[n]`` chips a hand against it."""
        return nash_average(self.mean)
