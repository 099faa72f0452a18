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
    """``M`` payoff kernels."""

    kind: Ints
    """``[M]``."""
    first: Ints
    """``[M]`` where in ``order`` the hands begin that the board leaves possible."""
    last: Ints
    """``[M]`` exclusive."""
    order: np.ndarray
    """``[M, H]`` hands; at a showdown by strength."""
    end: np.ndarray
    """``[M, H]`` where the tie group of the hand at a place ends."""
    cards: np.ndarray
    """``[2, H]``."""
    num_cards: int
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
