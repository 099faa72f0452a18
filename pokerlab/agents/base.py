"""What an agent is: it has seen a public line, and says what it would do there with every hand.

That it answers for all hands at once is what belief states, AIVAT and best responses need; who holds a hand
reads its column (:class:`Player`). Public states tell everything that both players have seen, so a line of
them is all that an agent is ever given.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, State

DEALT = -1
"""What stands for an action where chance acted."""


@dataclass(frozen=True, slots=True)
class Line(Generic[State]):
    """The public course of a hand up to now."""

    states: tuple[State, ...]
    """From the game's root to the present one."""
    actions: tuple[int, ...] = ()
    """What led from each state to the next; ``DEALT`` where chance acted."""
    hand: int = 0
    """Number of the hand: agents that draw at random draw anew for each."""

    @property
    def state(self) -> State:
        """The present one."""
        return self.states[-1]

    def after(self, action: int, state: State) -> "Line[State]":
        """The line that goes on to ``state``."""
        return Line((*self.states, state), (*self.actions, action), self.hand)


class Seat(ABC, Generic[State]):
    """An agent in one player's seat, with its memory of what it found out."""

    @abstractmethod
    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        """``[n, actions of the game, H]`` what the agent does with each hand, 0 for what is not legal.

        Args:
            lines: they end where somebody is to act: this player, or the other, for whom the agent then says
                what it takes the other to do.
        """


class Agent(ABC, Generic[State]):
    """Plays a game from either seat."""

    game: Game[State]
    """The rules."""
    draws: bool = False
    """Whether it plays differently from hand to hand."""
    nodes_kept: int = 1
    """At how many public states its seats keep strategies, about, for each hand of a match."""

    def strategy(self, line: str = "", seed: int = 0) -> dict[str, Floats]:
        """``{action: [H] probability for each hand}`` where a line ends; 0 for hands that the board blocks.

        Args:
            line: public moves from the game's root, see :mod:`pokerlab.games.names`.
            seed: of what the agent draws, if anything.

        Raises:
            ValueError: the line is not one of this game, or nobody acts where it ends.
        """
        game, course = self.game, read_line(self.game, line)
        state = course.state
        if game.actor(state) >= CHANCE:
            raise ValueError(f"line {line!r}: nobody acts there")
        chances, possible = self._answer(course, seed), game.possible_hands(state)
        return {names.action_name(game, state, a): chances[a] * possible for a in game.actions(state)}

    def weights(self, line: str = "", seed: int = 0) -> Floats:
        """``[2, H]`` both ranges where a line ends: what is dealt times how often each hand plays the line.

        Args:
            line: public moves from the game's root, see :mod:`pokerlab.games.names`.
            seed: of what the agent draws, if anything.

        Raises:
            ValueError: the line is not one of this game.
        """
        game, course = self.game, read_line(self.game, line)
        weights: Floats = game.initial_beliefs * game.possible_hands(course.state)
        for number, (state, action) in enumerate(zip(course.states, course.actions, strict=False)):
            if action != DEALT:
                before = Line(course.states[: number + 1], course.actions[:number])
                weights[game.actor(state)] *= self._answer(before, seed)[action]
        return weights

    def _answer(self, line: Line[State], seed: int) -> Floats:
        """``[actions of the game, H]`` where somebody acts."""
        seat = self.sit_down(self.game.actor(line.state), seed)
        answer: Floats = seat.strategies([line])[0].double().numpy(force=True)
        return answer

    @abstractmethod
    def sit_down(self, player: int, seed: int) -> Seat[State]:
        """Takes the seat of ``player``; ``seed`` decides what it draws at random, if anything."""


class Memoryless(Agent[State], Seat[State]):
    """An agent whose answers depend on lines alone: it is its own seat."""

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return self


class Player(Generic[State]):
    """An agent that plays one hand: what a bot needs.

    Args:
        game: the rules.
        agent: plays.
        player: whose seat it has, 0 or 1.
        hand: its private hand.
        seed: of what it draws at random.
    """

    def __init__(self, game: Game[State], agent: Agent[State], player: int, hand: int, seed: int = 0) -> None:
        self._game, self.player, self.hand = game, player, hand
        self._seat, self._line = agent.sit_down(player, seed), Line((game.root(),))

    @property
    def state(self) -> State:
        """The present public state."""
        return self._line.state

    def observe(self, move: int | State) -> None:
        """Sees an action, anybody's, or the public state after a deal.

        Raises:
            ValueError: that cannot happen now.
        """
        if (actor := self._game.actor(self.state)) == TERMINAL:
            raise ValueError(f"{move!r} cannot come: the hand is over at {self.state}")
        if actor == CHANCE:
            possible = isinstance(move, int) or self._game.possible_hands(move)[self.hand]
            if not possible or move not in self._game.chance_outcomes(self.state):
                raise ValueError(f"{move} is not a deal that can come after {self.state}")
            self._line = self._line.after(DEALT, move)
            return
        legal = self._game.actions(self.state)
        if move not in legal:
            raise ValueError(f"action {move!r} is not legal: expected one of {', '.join(map(str, legal))}")
        self._line = self._line.after(move, self._game.next_state(self.state, move))

    def distribution(self) -> dict[int, float]:
        """The legal actions and how likely it takes each; it is to act.

        Raises:
            ValueError: it is not.
        """
        if self._game.actor(self.state) != self.player:
            raise ValueError(f"player {self.player} is not to act at {self.state}")
        chances = self._seat.strategies([self._line])[0, :, self.hand]
        return {action: chances[action].item() for action in self._game.actions(self.state)}


MOST_ERROR = 1e-3
"""By which probabilities may differ from 1 in sum."""


def check_answers(game: Game[State], lines: Sequence[Line[State]], answers: Tensor) -> None:
    """Checks what :meth:`Seat.strategies` answers.

    Args:
        game: the rules.
        lines: that were asked for.
        answers: to them.

    Raises:
        ValueError: the shape is wrong, or some hand has no distribution over the legal actions.
    """
    expected = (len(lines), game.num_actions, game.num_hands)
    if not isinstance(answers, Tensor) or answers.shape != expected:
        got = list(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
        raise ValueError(
            f"an agent must answer {len(lines)} lines with a tensor of {list(expected)} (lines, actions, "
            f"hands), got {got}"
        )
    states = [line.state for line in lines]
    possible = torch.as_tensor(np.array([game.possible_hands(state) for state in states]))
    chances = answers.detach().double().cpu() * possible[:, None]
    of_legal = (chances * legal_actions(game, states)[:, :, None]).sum(1)
    wrong = ~((of_legal - 1).abs() <= MOST_ERROR) | ~(chances >= 0).all(1)  # NaN too
    if (wrong & possible).any():
        line, hand = (wrong & possible).nonzero()[0].tolist()
        given = [f"{chance:.6g}" for chance in answers[line, :, hand].tolist()]
        where = write_line(game, lines[line]) or "the root"
        raise ValueError(
            f"an agent must answer with probabilities of {', '.join(game.action_labels)} that sum to 1 over "
            f"the legal ones, got {', '.join(given)} for {names.hand_name(game, hand)} at {where}"
        )


def read_line(game: Game[State], text: str) -> Line[State]:
    """A line from the game's root, in words, see :mod:`pokerlab.games.names`; raises as is said there."""
    line = Line((game.root(),))
    for move in names.read_line(game, text):
        line = line.after(DEALT if move.action is None else move.action, move.state)
    return line


def write_line(game: Game[State], line: Line[State]) -> str:
    """A line in words."""
    taken = zip(line.actions, line.states[1:], strict=True)
    moves = [names.Move(None if action == DEALT else action, state) for action, state in taken]
    return names.write_line(game, moves)


def legal_actions(game: Game[State], states: Sequence[State]) -> Tensor:
    """``[n, actions of the game]`` bool."""
    legal = torch.zeros(len(states), game.num_actions, dtype=torch.bool)
    for number, state in enumerate(states):
        legal[number, list(game.actions(state))] = True
    return legal
