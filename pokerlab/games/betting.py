"""Betting on one street, heads up, enumerated by a compiled loop: for trees.

The rules of no-limit hold'em: a bet is at least the big blind, a raise at least the last bet or raise of
the street, or either is all-in. What a player has beyond the opponent's chips cannot be won or lost, so
that both are all-in at the same number, the *limit*; facing an all-in, one can only call or fold.

Actions are indices: ``FOLD``, ``CALL`` (or check), one for each bet size, then all-in. A size that the
limit or the least raise does not allow is left out, one that reaches the limit too: all-in stands for it.
All-in can be left out where it is many times the pot, and can stand for sizes that leave little behind.

With fixed limits a bet or raise is by so many chips, and nobody is ever all-in: stacks cover all bets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Bools, Floats, Ints
from pokerlab.loops import jit

FOLD, CALL, SMALLEST_BET = 0, 1, 2

ROUNDING = 1 - 1e-9
"""Chips are fractions of pots: a raise that falls short of the least by no more than this is large enough,
and one that falls short of the limit by no more than this is all-in."""


class Betting(NamedTuple):
    """Where a street's betting stands, in chips."""

    pot: float
    """In the pot from before the street."""
    committed: tuple[float, float]
    """What each player has put in on this street, blinds included; at most ``limit``."""
    limit: float
    """The most that either can put in on this street: committed and behind, of who has less."""
    player: int
    """Who acts."""
    acted: bool
    """Whether anybody has acted on this street (posting a blind is no act): then a call ends it."""
    raises: int
    """Bets and raises on this street."""
    big_blind: float
    """The least bet. The least raise is the last one: that by which the players' commitments differ."""


class BettingTree(NamedTuple):
    """Every public state of a street's betting, ``N`` of them in preorder, options ascending."""

    above: Ints
    """``[N]`` the state before the last action; −1 at the root."""
    action: Ints
    """``[N]`` the last action; −1 at the root."""
    player: Ints
    """``[N]`` who acts; −1 where the betting is over, by a fold or by a call."""
    raises: Ints
    """``[N]`` bets and raises on the street."""
    committed: Floats
    """``[2, N]`` what each player has put in on the street."""


class Sizes(NamedTuple):
    """What one may bet on a street."""

    fractions: Floats
    """``[S]`` sizes of bets and raises as fractions of the pot after calling, ascending; if they are fixed,
    in chips."""
    offered: Bools
    """``[2, n, S + 1]`` which of them, and at last all-in, each player has for the first bet of the street,
    for the first raise, …; the last row is for all that follow."""
    most_raises: int
    """Bets and raises on the street, all-ins among them."""
    fixed: bool = False
    """Whether sizes are chips."""
    push_fold: bool = False
    """Whether one can check or call nothing but an all-in."""
    force_all_in: float = 0.0
    """A size that leaves no more than this behind, as a fraction of the pot after a call, is all-in."""
    add_all_in: float = np.inf
    """All-in is offered where it is no more than so many times the pot after calling, and where a size comes
    to it."""

    @classmethod
    def all_the_time(cls, fractions: Sequence[float], most_raises: int) -> "Sizes":
        """The same for bets and raises of both players."""
        offered = np.ones((2, 1, len(fractions) + 1), dtype=bool)
        return cls(np.array(fractions, dtype=float), offered, most_raises)

    def by_player(self) -> tuple[tuple[tuple[float, ...], ...], ...]:
        """Each player's fractions for the first bet, for the first raise, …; all-in is infinite."""
        fractions = np.append(self.fractions, np.inf)
        return tuple(tuple(tuple(fractions[row].tolist()) for row in player) for player in self.offered)


def options(betting: Betting, sizes: Sizes) -> dict[int, float]:
    """The actions of who is to act, ascending, and what that player has then put in on the street."""
    own, other = betting.committed[betting.player], betting.committed[1 - betting.player]
    chips = {
        action: _put_in(
            action,
            betting.player,
            betting.pot,
            own,
            other,
            betting.limit,
            betting.raises,
            betting.big_blind,
            *sizes,
        )
        for action in range(SMALLEST_BET + len(sizes.fractions) + 1)
    }
    return {action: put_in for action, put_in in chips.items() if put_in >= 0}


def enumerate_betting(start: Betting, sizes: Sizes) -> BettingTree:
    """Every way in which the betting can go on.

    Args:
        start: where it stands; somebody is to act, and not both are all-in.
        sizes: of bets.
    """
    shape, committed = _enumerate(
        float(start.pot), float(start.committed[0]), float(start.committed[1]), float(start.limit),
        start.player, start.acted, start.raises, float(start.big_blind), *sizes,
    )  # fmt: skip
    above, action, player, raises = shape
    return BettingTree(above, action, player, raises, committed)


@jit
def _put_in(
    action: int,
    player: int,
    pot: float,
    own: float,
    other: float,
    limit: float,
    raises: int,
    big_blind: float,
    fractions: Floats,
    offered: Bools,
    most_raises: int,
    fixed: bool,
    push_fold: bool,
    force_all_in: float,
    add_all_in: float,
) -> float:
    """What the player has put in on the street after the action; −1 if it is not an option."""
    called, least_raise = max(own, other), max(big_blind, abs(own - other))
    if action == CALL:
        return called if called >= limit or not push_fold else -1.0
    if action == FOLD:
        return own if own < called else -1.0
    if raises >= most_raises or called >= limit:
        return -1.0
    size, row = action - SMALLEST_BET, min(raises, offered.shape[1] - 1)
    if not offered[player, row, size]:
        return -1.0
    if fixed:
        return called + fractions[size]
    after_call = pot + 2 * called
    if size < len(fractions):
        by = fractions[size] * after_call
        allowed = by > 0 and by >= least_raise * ROUNDING
        return called + by if allowed and not _is_all_in(by, called, pot, limit, force_all_in) else -1.0
    if add_all_in == np.inf or (limit - called) * ROUNDING <= add_all_in * after_call:
        return limit
    for other in range(len(fractions)):
        by = max(fractions[other] * after_call, least_raise)
        if offered[player, row, other] and _is_all_in(by, called, pot, limit, force_all_in):
            return limit
    return -1.0


@jit
def _is_all_in(by: float, called: float, pot: float, limit: float, force_all_in: float) -> bool:
    """Whether a raise by so many chips is all-in: it reaches the limit, or leaves too little behind."""
    behind = limit - called - by
    return called + by >= limit * ROUNDING or behind * ROUNDING <= force_all_in * (pot + 2 * (called + by))


@jit
def _enumerate(
    pot: float,
    first: float,
    second: float,
    limit: float,
    player: int,
    acted: bool,
    raises: int,
    big_blind: float,
    fractions: Floats,
    offered: Bools,
    most_raises: int,
    fixed: bool,
    push_fold: bool,
    force_all_in: float,
    add_all_in: float,
) -> tuple[Ints, Floats]:
    """``[4, N]`` above, action, player, raises; ``[2, N]`` committed."""
    all_in = SMALLEST_BET + len(fractions)
    states: list[tuple[int, int, int, int, float, float]] = []
    waiting = [(-1, -1, player, raises, first, second)]
    while waiting:
        above, action, player, raises, first, second = waiting.pop()
        here = len(states)
        states.append((above, action, player, raises, first, second))
        if player < 0:
            continue
        own, other = (first, second) if player == 0 else (second, first)
        for action in range(all_in, -1, -1):  # the last to be put there is the first to be taken
            put_in = _put_in(
                action, player, pot, own, other, limit, raises, big_blind, fractions, offered, most_raises,
                fixed, push_fold, force_all_in, add_all_in,
            )  # fmt: skip
            if put_in < 0:
                continue
            over = action == FOLD or (action == CALL and (acted or here > 0 or other >= limit))
            waiting.append((
                here, action, -1 if over else 1 - player, raises + (1 if action >= SMALLEST_BET else 0),
                put_in if player == 0 else first, second if player == 0 else put_in,
            ))  # fmt: skip
    shape, committed = np.empty((4, len(states)), np.int64), np.empty((2, len(states)))
    for here, state in enumerate(states):
        shape[0, here], shape[1, here], shape[2, here], shape[3, here] = state[:4]
        committed[0, here], committed[1, here] = state[4:]
    return shape, committed
