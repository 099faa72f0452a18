"""What hands are worth at one public state of a solved spot, and what they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from pokerlab.games import names
from pokerlab.games.base import Bools, Floats, Game, State
from pokerlab.games.names import Move


@dataclass(frozen=True, slots=True)
class Node(Generic[State]):
    """Both players' hands where a line ends; ``[2, H]`` of each player's hands."""

    game: Game[State]
    moves: tuple[Move[State], ...]
    """Of the line."""
    state: State
    actor: int
    """0, 1, ``CHANCE`` or ``TERMINAL``."""
    held: Bools
    """``[2, H]`` hands of the range at the root that the board leaves possible."""
    weight: Floats
    """``[2, H]`` how much of each hand comes here; 1 is the most that any hand has in the range at the
    root."""
    met: Floats
    """``[2, H]`` how much of the other's range each hand meets here."""
    equity: Floats | None
    """``[2, H]`` share of the pot if nobody bets any more, against the other's range here; NaN for a hand
    that meets none of it; None in a game that has no calling."""
    ev: Floats
    """``[2, H]`` chips, see the package; NaN for a hand that meets none of the other's range."""
    actions: tuple[str, ...]
    """``A`` legal ones; none where nobody acts."""
    strategy: Floats
    """``[A, H]``; 0 for hands that the board blocks."""

    @property
    def line(self) -> str:
        """In words."""
        return names.write_line(self.game, self.moves)

    @property
    def pot(self) -> float:
        """Chips."""
        return self.game.pot(self.state)

    @property
    def eqr(self) -> Floats | None:
        """``[2, H]`` equity realisation: EV ÷ (equity · pot).

        Where equity is 0, a hand that takes nothing realises all that it has: 1; one that takes something,
        infinitely much.
        """
        if self.equity is None:
            return None
        due = self.equity * self.pot
        without = np.where(np.abs(self.ev) <= NOTHING * self.pot, 1.0, np.copysign(np.inf, self.ev))
        return np.where(
            due > 0, self.ev / np.where(due > 0, due, 1), np.where(np.isnan(due), np.nan, without)
        )

    def mean(self, values: Floats, player: int) -> float:
        """The mean of ``[H]`` values over all pairs of hands that can meet here; NaN if none can."""
        joint = self.weight[player] * self.met[player]
        total = joint.sum()
        return float((joint * np.where(joint > 0, values, 0)).sum() / total) if total > 0 else float("nan")

    def expected_values(self) -> tuple[float, float]:
        """Chips that each player takes: together the pot."""
        return self.mean(self.ev[0], 0), self.mean(self.ev[1], 1)

    def equities(self) -> tuple[float, float] | None:
        """Share of the pot if nobody bets any more; None in a game that has no calling."""
        return None if self.equity is None else (self.mean(self.equity[0], 0), self.mean(self.equity[1], 1))

    def frequencies(self) -> dict[str, float]:
        """How often each action is taken, over all pairs of hands that can meet here."""
        return {name: self.mean(of, self.actor) for name, of in zip(self.actions, self.strategy, strict=True)}

    def table(self, player: int) -> "Table":
        """One player's hands."""
        hands = self.held[player].nonzero()[0]
        acts = player == self.actor
        return Table(
            line=self.line,
            player=player,
            pot=self.pot,
            hands=tuple(names.hand_name(self.game, int(hand)) for hand in hands),
            weight=self.weight[player, hands],
            equity=None if self.equity is None else self.equity[player, hands],
            ev=self.ev[player, hands],
            actions=self.actions if acts else (),
            probabilities=self.strategy[:, hands].T if acts else np.zeros((len(hands), 0)),
        )


NOTHING = 1e-9
"""Of the pot: rounding."""


@dataclass(frozen=True, slots=True)
class Table:
    """What one player's hands are worth at a public state, and what they do: rows ``n``, a hand each."""

    line: str
    player: int
    pot: float
    """Chips."""
    hands: tuple[str, ...]
    """``[n]`` those of the player's range at the root that the board leaves possible."""
    weight: Floats
    """``[n]`` how much of each hand comes here; the most that any hand has in the range at the root is 1."""
    equity: Floats | None
    """``[n]`` share of the pot if nobody bets any more, against the other's range here; NaN for a hand that
    meets none of it; None in a game that has no calling."""
    ev: Floats
    """``[n]`` chips, see the module; NaN for a hand that meets none of the other's range."""
    actions: tuple[str, ...]
    """``A`` legal ones; none if the player does not act here."""
    probabilities: Floats
    """``[n, A]``."""

    @property
    def frequencies(self) -> dict[str, float]:
        """How often each action is taken, all hands together.

        Hands count by their weight; that some are blocked by the opponent's hands more often is left out.
        """
        total = self.weight.sum() or 1.0
        return dict(zip(self.actions, (self.weight @ self.probabilities / total).tolist(), strict=True))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each hand as plain values, None for NaN."""
        equities = np.full(len(self.hands), np.nan) if self.equity is None else self.equity
        for i, hand in enumerate(self.hands):
            yield {
                "hand": hand,
                "weight": float(self.weight[i]),
                "equity": _plain(equities[i]),
                "ev": _plain(self.ev[i]),
                "probabilities": dict(zip(self.actions, self.probabilities[i].tolist(), strict=True)),
            }

    def as_dict(self) -> dict[str, Any]:
        """The whole table as plain values."""
        return {"line": self.line, "player": self.player, "pot": self.pot, "hands": list(self.rows())}

    def __str__(self) -> str:
        heading = ["hand", "weight", "equity", "EV", *self.actions]
        lines = [heading]
        for row in self.rows():
            numbers = [row["weight"], row["equity"], row["ev"], *row["probabilities"].values()]
            lines.append([row["hand"], *("" if number is None else f"{number:.3f}" for number in numbers)])
        widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )


def _plain(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
