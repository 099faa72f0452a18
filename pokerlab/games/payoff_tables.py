"""What compiled loops need to know of payoffs, whatever the game: a payoff operator has *tables*.

A kernel is one of three kinds: the mass of the hands that a hand can meet, that of weaker hands less that of
stronger ones, or a matrix. Hands hold two cards each, and hands that share one cannot meet.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Ints

Floats = NDArray[np.floating]

FOLDED, SHOWDOWN, RUN_OUT = 0, 1, 2
"""Kinds of kernel: every hand that is met; on a complete board; all-in on one that is not."""


class PayoffTables(NamedTuple):
    """``M`` payoff kernels.

    Hands are in lists: for each card, those that hold it, and at last all, ``N + 1`` lists. Only those hands
    that the board leaves possible are in any; at a showdown, weaker ones come first.
    """

    cards: np.ndarray
    """``[2, H]``."""
    kind: Ints
    """``[M]``."""
    members: np.ndarray
    """``[M, 3H]`` the lists one behind the other."""
    list_at: Ints
    """``[M, N + 2]`` where each list begins, and the last ends."""
    group_end: np.ndarray
    """``[M, 3H]`` at showdowns, where each tie group of each list ends in ``members``."""
    group_at: Ints
    """``[M, N + 2]`` where each list's groups begin, and the last's end."""
    row: np.ndarray
    """``[M, 2, H]`` for each place of the last list, the groups of the hand in its two cards' lists; but for
    showdowns, those lists."""
    run_out: Ints
    """``[M]`` which of ``run_outs``."""
    run_outs: Floats
    """``[R, H, H + padding]`` all-ins on incomplete boards: the opponent's hand first."""


@runtime_checkable
class TabledPayoffs(Protocol):
    """A :meth:`payoff operator <pokerlab.games.base.Game.payoff_operator>` that has tables on the CPU."""

    board: Ints
    """``[M]`` numbers the kernels' different boards."""
    weight: float
    """Of each pair of hands that can meet."""
    tables: PayoffTables
    lists: PayoffTables
    """The same without ``run_outs``."""
