"""Hold'em's public states."""

from dataclasses import dataclass

from pokerlab.games.betting import FOLD, SMALLEST_BET


@dataclass(frozen=True, slots=True)
class HoldemState:
    """A public state."""

    board: tuple[int, ...]
    pot: float
    """Chips in the pot from before this street, half from each."""
    stack: float
    """Chips that each player can put in on this street, blinds included."""
    committed: tuple[float, float]
    """Chips that each player has put in on this street."""
    actions: tuple[tuple[int, ...], ...]
    """On each street since the game's root; the last is the present one."""
    variation: int = 0
    """Seed of what is random below, until cards are dealt, see :meth:`Holdem.vary`; 0: nothing is."""

    @property
    def is_folded(self) -> bool:
        """Whether somebody folded."""
        return self.actions[-1][-1:] == (FOLD,)

    @property
    def is_all_in(self) -> bool:
        """Whether both are."""
        return min(self.committed) >= self.stack

    @property
    def raises(self) -> int:
        """Bets and raises on this street."""
        return sum(action >= SMALLEST_BET for action in self.actions[-1])

    def deal(self, cards: tuple[int, ...]) -> "HoldemState":
        """The next street, after a call."""
        called = self.committed[0]
        board, actions = (*self.board, *cards), (*self.actions, ())
        return HoldemState(board, self.pot + 2 * called, self.stack - called, (0.0, 0.0), actions)
