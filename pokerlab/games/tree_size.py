"""How many public states a game of hold'em has, counted without building them.

Lines of play that come to the same pot and the same last raise have the same states below them. So states are
counted once for each of these; where even those are many, pots that differ by a percent or two count as one.
"""

import sys
from collections.abc import Sequence
from math import log
from typing import NamedTuple

from psutil import virtual_memory

from pokerlab.games.bets import Street
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET, Betting, options

MOST_POTS, FEW_POTS = 20_000, 1_000
"""Different pots that are told apart exactly; the fewer where an order of magnitude will do."""
ARRAYS = 5
"""Numbers that solving keeps for each public state and hand, at least."""
DEEPEST = 20_000
"""Moves in one line of play, twice."""
EXACT, ROUGH, ROUGHEST = 1e9, 60.0, 15.0
"""Steps of a logarithm."""


class Streets(NamedTuple):
    """The streets of a game from its root on."""

    bets: Sequence[Street]
    outcomes: Sequence[int]
    """How many ways there are to deal the cards after each street but the last."""
    big_blind: float


def count_states(start: Betting, streets: Streets, *, quickly: bool = False) -> float:
    """Public states of all kinds, the root among them; exact, or about so many if they are very many.

    Args:
        start: where the betting of the first of the streets stands.
        streets: from there on.
        quickly: whether an order of magnitude will do.
    """
    most, rough = (FEW_POTS, ROUGHEST) if quickly else (MOST_POTS, ROUGH)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST))
    try:
        return _Count(streets, EXACT, most).below(0, start, None)
    except OverflowError:
        return _Count(streets, rough, None).below(0, start, None)
    finally:
        sys.setrecursionlimit(limit)


def too_large(
    states: float,
    hands: int,
    bytes_a_number: int = 4,
    *,
    bytes_a_state: float | None = None,
    free: bool = False,
) -> str | None:
    """Why so many public states cannot be solved on this machine, if they cannot.

    Args:
        states: how many.
        hands: how many each player can have.
        bytes_a_number: 4 or 8.
        bytes_a_state: what solving takes; None: ``ARRAYS`` numbers for each hand.
        free: whether to count the memory that is free now, or all.
    """
    memory = virtual_memory()
    there = memory.available if free else memory.total
    needed = states * (bytes_a_state or hands * ARRAYS * bytes_a_number)
    if needed <= there:
        return None
    has = "free are" if free else "the machine has"
    return (
        f"about {states:,.4g} public states of {hands:,} hands: solving them takes some "
        f"{needed / 1e9:,.4g} GB, and {has} {there / 1e9:,.3g} GB"
    )


class _Count:
    def __init__(self, streets: Streets, precision: float, most: int | None) -> None:
        self._streets, self._precision, self._most = streets, precision, most
        self._known: dict[tuple[int, ...], float] = {}
        self._depends_on_aggressor = any(street.donk is not street.plain for street in streets.bets)

    def below(self, street: int, betting: Betting, aggressor: int | None, leads: bool = False) -> float:
        """From a decision on.

        Args:
            street: which.
            betting: where it stands.
            aggressor: who was the last to bet or raise on this street.
            leads: whether player 1 was on the one before.
        """
        sizes = self._streets.bets[street].donk if leads else self._streets.bets[street].plain
        raises = betting.raises
        if raises < sizes.most_raises - 100:  # there is no end to raises
            raises = min(raises, sizes.offered.shape[1])
        pot, last = betting.pot + 2 * min(betting.committed), abs(betting.committed[0] - betting.committed[1])
        key = (
            street, betting.player, betting.acted, raises, leads,
            -1 if aggressor is None or not self._depends_on_aggressor else aggressor,
            round(log(pot + 1e-9) * self._precision), round(log(last + 1e-9) * self._precision),
        )  # fmt: skip
        if key not in self._known:
            if self._most is not None and len(self._known) > self._most:
                raise OverflowError
            found = 1.0
            for action, put_in in options(betting, sizes).items():
                found += self._after(street, betting, action, put_in, aggressor, leads)
            self._known[key] = found
        return self._known[key]

    def _after(
        self, street: int, betting: Betting, action: int, put_in: float, aggressor: int | None, leads: bool
    ) -> float:
        if action == FOLD:
            return 1
        other = betting.committed[1 - betting.player]
        if action == CALL and (betting.acted or other >= betting.limit):
            return self._after_call(street, betting.pot + 2 * put_in, betting.limit - put_in, aggressor)
        committed = (put_in, other) if betting.player == 0 else (other, put_in)
        raised = action >= SMALLEST_BET
        after = betting._replace(
            committed=committed, player=1 - betting.player, acted=True, raises=betting.raises + raised
        )
        return self.below(street, after, betting.player if raised else aggressor, leads)

    def _after_call(self, street: int, pot: float, stack: float, aggressor: int | None) -> float:
        """Where the betting of a street is over."""
        outcomes = self._streets.outcomes
        if street == len(outcomes) or stack <= 0:
            return 1
        begins = Betting(pot, (0.0, 0.0), stack, 0, False, 0, self._streets.big_blind)
        return 1 + outcomes[street] * self.below(street + 1, begins, None, aggressor == 1)
