"""What a game of more than two players is, for populations and tabular solving.

As in :mod:`pokerlab.games.base`, each player has one private hand, and everything else is public. Players are
``0..n-1``. An equilibrium of more than two players protects none of them from what the others do together,
and nothing that is known of two players carries over by itself.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pokerlab.games.base import Bools, Floats, Ints, Rules, State

CHANCE, TERMINAL = -1, -2
"""Who acts, if no player does."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of what a terminal state pays: player p wins ``chips[p]`` times what the kernel says."""

    kernel: int
    chips: tuple[float, ...]


class ManyPlayerGame(Rules[State]):
    """A game of ``n`` players, with few hands. Instances are immutable."""

    num_players: int
    """``n``."""
    deal: Floats
    """``[H] * n`` joint probability of the players' hands; sums to 1."""

    @abstractmethod
    def shares(self, state: State) -> tuple[Share, ...]:
        """What a terminal state pays, in parts."""

    @abstractmethod
    def kernel(self, number: int) -> Floats:
        """``[n] + [H] * n`` what each player wins of one chip, for all hands, weighted by ``deal``."""

    @abstractmethod
    def information_state(self, state: State, hand: int) -> str:
        """OpenSpiel's name of what the player to act sees."""


class PotKernels:
    """Kernels of games in which those who have not folded show their hands, and the best share a pot.

    Args:
        deal: ``[H] * n`` joint probability of the players' hands.
        strength: ``[B, H]`` how good each hand is on each board.
        possible: ``[B, H]`` hands that each board leaves possible.
    """

    def __init__(self, deal: Floats, strength: Ints, possible: Bools) -> None:
        self._deal, self._strength, self._possible = deal, strength, possible

    def split(self, board: int, committed: Sequence[float], folded: Sequence[bool]) -> tuple[Share, ...]:
        """What a state pays: the pot to the best of those who have not folded, less what each has put in."""
        boards, pot = len(self._strength), float(sum(committed))
        left = [player for player, gone in enumerate(folded) if not gone]
        if len(left) == 1:
            won = tuple(pot * (player == left[0]) - chips for player, chips in enumerate(committed))
            return (Share(board, won),)
        showdown = sum(1 << player for player in left) * boards + board
        return Share(board, tuple(-float(chips) for chips in committed)), Share(
            showdown, (pot,) * len(folded)
        )

    def kernel(self, number: int) -> Floats:
        """See :meth:`ManyPlayerGame.kernel`: who can have what on a board, or who wins of some players."""
        players, (shown, board) = self._deal.ndim, divmod(number, len(self._strength))
        mass = self._deal
        for player in range(players):
            shape = [1] * players
            shape[player] = -1
            mass = mass * self._possible[board].reshape(shape)
        if not shown:
            return np.stack([mass] * players)
        hands = np.indices(mass.shape)
        strength = self._strength[board][hands]
        strength[[player for player in range(players) if not shown >> player & 1]] = -1
        best = strength == strength.max(0)
        return mass * best / best.sum(0)
