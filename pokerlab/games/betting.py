"""No-limit betting on one street, heads up, enumerated by a compiled loop: for ``Game.unfold``.

The rules of no-limit hold'em: a bet is at least the big blind, a raise at least the last bet or raise of
the street, or either is all-in. What a player has beyond the opponent's chips cannot be won or lost, so
that both are all-in at the same number, the *limit*; facing an all-in, one can only call or fold.

Actions are indices: ``FOLD``, ``CALL`` (or check), one for each bet size, then all-in. A size that the
limit or the least raise does not allow is left out, one that reaches the limit too: all-in is always
there, where one may raise at all.
"""

from typing import NamedTuple

import numpy as np

from pokerlab.games.base import Floats, Ints
from pokerlab.loops import compiled

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


def enumerate_betting(start: Betting, bets: Floats, most_raises: int) -> BettingTree:
    """Every way in which the betting can go on.

    Args:
        start: where it stands; somebody is to act, and not both are all-in.
        bets: sizes of bets and raises as fractions of the pot after calling, ascending, float64.
        most_raises: bets and raises on the street, all-ins among them.
    """
    shape, committed = _enumerate(
        float(start.pot), float(start.committed[0]), float(start.committed[1]), float(start.limit),
        start.player, start.acted, start.raises, float(start.big_blind), bets, most_raises,
    )  # fmt: skip
    above, action, player, raises = shape
    return BettingTree(above, action, player, raises, committed)


@compiled
def _enumerate(
    pot: float,
    first: float,
    second: float,
    limit: float,
    player: int,
    acted: bool,
    raises: int,
    big_blind: float,
    bets: Floats,
    most_raises: int,
) -> tuple[Ints, Floats]:
    """``[4, N]`` above, action, player, raises; ``[2, N]`` committed."""
    all_in = SMALLEST_BET + len(bets)
    states: list[tuple[int, int, int, int, float, float]] = []
    waiting = [(-1, -1, player, raises, first, second)]
    while waiting:
        above, action, player, raises, first, second = waiting.pop()
        here = len(states)
        states.append((above, action, player, raises, first, second))
        if player < 0:
            continue
        own, called = first if player == 0 else second, max(first, second)
        least_raise = max(big_blind, abs(first - second))
        may_raise = raises < most_raises and called < limit
        for action in range(all_in, -1, -1):  # the last to be put there is the first to be taken
            put_in = called
            if action == FOLD:
                if own == called:
                    continue
                put_in = own
            elif action == all_in:
                if not may_raise:
                    continue
                put_in = limit
            elif action >= SMALLEST_BET:
                by = bets[action - SMALLEST_BET] * (pot + 2 * called)
                put_in = called + by
                if not may_raise or by < least_raise * ROUNDING or put_in >= limit * ROUNDING or by <= 0:
                    continue
            over = action == FOLD or (action == CALL and (acted or here > 0 or called >= limit))
            waiting.append((
                here, action, -1 if over else 1 - player, raises + (1 if action >= SMALLEST_BET else 0),
                put_in if player == 0 else first, second if player == 0 else put_in,
            ))  # fmt: skip
    shape, committed = np.empty((4, len(states)), np.int64), np.empty((2, len(states)))
    for here, state in enumerate(states):
        shape[0, here], shape[1, here], shape[2, here], shape[3, here] = state[:4]
        committed[0, here], committed[1, here] = state[4:]
    return shape, committed
