"""AIVAT with both strategies known, where each street is valued as it would be played.

To check down is a poor guess of what a position is worth in the midst of a street: whoever faces a bet may
fold. Both strategies are known, so the rest of the street can be played out in full, for every hand and every
action, and only what comes after it is guessed by checking down. What single actions gain then adds up to
nothing: what is left of a street is what it is worth to play it, less what it is worth to check it down.
Where a hand ends before the first deal, no luck is left at all.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Line, Seat
from pokerlab.evaluation.aivat import Aivat, CheckDown
from pokerlab.games.base import CHANCE, TERMINAL, Game, Ints, State
from pokerlab.search.payoffs import joint_mass, outcomes

Seats = tuple[Seat[State], Seat[State]]
"""Of players 0 and 1."""


class StreetPlay(CheckDown[State]):
    """What positions are worth if both play the street to its end as they do, and then check and call.

    Where a strategy is not known, it is :class:`CheckDown`.
    """


class StreetAivat(Aivat[State]):
    """Follows hands as :class:`Aivat` does, with both strategies known.

    Args:
        game: the rules.
        values: what positions are worth at the end of a street.
        hands: ``[n, 2]`` what the players hold.
    """

    def __init__(self, game: Game[State], values: StreetPlay[State], hands: Ints) -> None:
        super().__init__(game, values, torch.ones(len(hands), 2, dtype=torch.bool), hands)
        self._call_down = values.call_down

    def begin_street(self, rows: Tensor, lines: Sequence[Line[State]], seats: Sequence[Seats]) -> None:
        """A street begins in hands ``rows`` ``[m]``.

        Args:
            rows: of the hands.
            lines: ``m``, to where it begins.
            seats: ``m`` who plays.
        """
        alike: dict[Hashable, list[int]] = {}
        for number, (line, pair) in enumerate(zip(lines, seats, strict=True)):
            alike.setdefault((line.state, line.hand, *map(id, pair)), []).append(number)
        streets = [
            (_Street.beginning(self._game, lines[numbers[0]]), seats[numbers[0]], numbers)
            for numbers in alike.values()
        ]
        self._ask_together(streets)
        for street, pair, numbers in streets:
            weights = self.weights[:, rows[numbers[:1]]]  # they follow from the line and who plays
            worth = self._play_out(street, pair, weights[:, 0]) / joint_mass(self._game, weights)
            self.luck[rows[numbers]] -= worth
        if len(lines[0].states) > 1:
            self.luck[rows] += self._value([line.state for line in lines], self.weights[:, rows])

    @staticmethod
    def _ask_together(streets: "Sequence[tuple[_Street[State], Seats, list[int]]]") -> None:
        """Has agents search on all streets at once: they remember what they find."""
        asked: dict[int, tuple[Seat[State], list[Line[State]]]] = {}
        for street, pair, _ in streets:
            for seat, decisions in zip(pair, street.decisions, strict=True):
                asked.setdefault(id(seat), (seat, []))[1].extend(decisions[:1])
        for seat, lines in asked.values():
            if lines:
                seat.strategies(lines)

    def observe_deal(self, rows: Tensor, before: Sequence[State], after: Sequence[State]) -> None:
        possible = np.array([self._game.possible_hands(state) for state in after])
        self.weights[:, rows] *= torch.as_tensor(possible)

    def observe_action(
        self, rows: Tensor, states: Sequence[State], player: int, strategies: Tensor, actions: Tensor
    ) -> None:
        self.weights[player, rows] *= strategies[torch.arange(len(rows)), actions]

    def estimate(self, ends: Sequence[State]) -> Tensor:
        return -self.luck  # it ends in no street's midst: what it pays is part of what that is worth

    def _play_out(self, street: "_Street[State]", seats: Seats, weights: Tensor) -> Tensor:
        """What player 0 wins on a street, times the mass of the pairs of hands.

        Args:
            street: is played.
            seats: by whom.
            weights: ``[2, H]`` of both players' hands.
        """
        chances: dict[State, Tensor] = {}
        for seat, lines in zip(seats, street.decisions, strict=True):
            if lines:
                found = seat.strategies(lines).double().cpu()
                chances |= zip([line.state for line in lines], found, strict=True)
        # where it ends: by payoff kernel and reach of player 1, the reach of player 0 times chips
        chips: dict[tuple[int, int], Tensor] = {}
        reaches, course = [weights[1]], [(street.root, weights[0], 0)]
        while course:
            state, own, other = course.pop()
            if state not in street.after:
                for end, probability in self._call_down(state):
                    won = probability * end.chips[0] * own
                    key = end.payoff_kernel, other
                    chips[key] = chips[key] + won if key in chips else won
                continue
            for action, following in street.after[state]:
                chance = chances[state][action]
                if self._game.actor(state) == 0:
                    if (reach := own * chance).any():
                        course.append((following, reach, other))
                elif (reach := reaches[other] * chance).any():
                    reaches.append(reach)
                    course.append((following, own, len(reaches) - 1))
        kernels = np.array([kernel for kernel, _ in chips], dtype=np.int64)
        against = torch.stack([reaches[other] for _, other in chips])
        return (torch.stack(list(chips.values())) * outcomes(self._game, kernels, against)).sum()


@dataclass(frozen=True, slots=True)
class _Street(Generic[State]):
    """How a street can go on."""

    root: State
    decisions: tuple[list[Line[State]], list[Line[State]]]
    """Of player 0 and player 1."""
    after: dict[State, list[tuple[int, State]]]
    """By the state of a decision, its actions and what they lead to."""

    @classmethod
    def beginning(cls, game: Game[State], line: Line[State]) -> "_Street[State]":
        """The street that begins where ``line`` ends."""
        street, stack = cls(line.state, ([], []), {}), [line]
        while stack:
            here = stack.pop()
            if (actor := game.actor(here.state)) in (CHANCE, TERMINAL):
                continue
            street.decisions[actor].append(here)
            following = [(action, game.next_state(here.state, action)) for action in game.actions(here.state)]
            street.after[here.state] = following
            stack += [here.after(action, state) for action, state in following]
        return street
