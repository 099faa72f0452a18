"""What members win of each other, as far as it is known. Imports no torch: looking at leagues is quick."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class Payoffs:
    """What each player wins, in chips, by whom each picks; NaN where nothing is known.

    Args:
        players: ``n``, who pick members.
        members: ``M``, who can be picked.
    """

    def __init__(self, players: int, members: int) -> None:
        number = [members] * players
        self.payoffs: Floats = np.full((players, *number), np.nan)
        """``[n, M, …, M]``."""
        self.half_width: Floats = np.full(number, np.nan)
        """``[M, …, M]`` of the 95 % intervals; 0 where it is known exactly."""
        self.deals: Floats = np.zeros(number)
        """``[M, …, M]`` that were played; infinity where it is known exactly."""
        self._together = False

    def add_member(self) -> None:
        """Makes room for one more, of whom nothing is known."""
        wider = [(0, 1)] * self.half_width.ndim
        self.payoffs = np.pad(self.payoffs, [(0, 0), *wider], constant_values=np.nan)
        self.half_width = np.pad(self.half_width, wider, constant_values=np.nan)
        self.deals = np.pad(self.deals, wider)

    def note(
        self,
        picks: Any,
        payoffs: Any,
        half_width: Sequence[float] = (),
        deals: float = np.inf,
        seats: str = "apart",
    ) -> None:
        """Takes in results: exact ones replace what was played, matches add up.

        Args:
            picks: ``[k, n]`` whom each player picks.
            payoffs: ``[k, n]`` what each player wins.
            half_width: ``[k]``, of matches.
            deals: of each match.
            seats: ``together`` if all seats were played with the same cards.
        """
        self._together |= seats == "together"
        at, new = tuple(np.array(picks).T), np.array(payoffs).T
        everyone = (slice(None), *at)
        if deals < np.inf:
            before = self.deals[at]
            share = deals / (before + deals)  # 0 where it is known exactly
            widths = np.where(before > 0, self.half_width[at] * (1 - share), 0)
            new = np.where(before > 0, self.payoffs[everyone] * (1 - share), 0) + share * new
            self.half_width[at] = np.hypot(widths, share * np.array(half_width))
            self.deals[at] = before + deals
        else:
            self.half_width[at], self.deals[at] = 0.0, np.inf
        self.payoffs[everyone] = new

    def head_to_head(self) -> tuple[Floats, Floats]:
        """``[M, M]`` what the row's member wins against the column's in all other seats: the mean of seats.

        And half the width of the 95 % intervals, seats taken as independent unless they were played together;
        0 where it is known exactly. NaN where nothing is known.
        """
        players, number = self.payoffs.shape[:2]
        own, other = np.indices((number, number))
        seats = [tuple(own if p == player else other for p in range(players)) for player in range(players)]
        won = sum((self.payoffs[(player, *seat)] for player, seat in enumerate(seats)), np.zeros(own.shape))
        squares = sum((self.half_width[seat] ** 2 for seat in seats), np.zeros(own.shape))
        return won / players, np.sqrt(squares / players if self._together else squares / players**2)
