"""Plays several strategies, each as likely as it would have come here: SD-CFR's average (arXiv 1901.07621).

A player who draws one of some strategies before the hand, and plays it to the end, plays at an information
state the mean of theirs, weighted by how likely the player's own actions are by each.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.games.base import CHANCE, Game, State

Strategies = Callable[[int, Sequence[Line[State]]], Tensor]
"""``[n, K, A, H]`` what each of a player's strategies does where lines end."""


class SnapshotAgent(Agent[State]):
    """Plays the average of ``K`` strategies, weighted by own reach.

    Args:
        game: the rules.
        strategies: tells them.
    """

    def __init__(self, game: Game[State], strategies: Strategies[State]) -> None:
        self.game, self._strategies = game, strategies

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return SnapshotSeat(self.game, self._strategies)


class SnapshotSeat(Seat[State]):
    """Remembers strategies by public state.

    Args:
        game: the rules.
        strategies: tells them.
        weights: how often each player draws each of its strategies; None: all as often.
    """

    def __init__(
        self, game: Game[State], strategies: Strategies[State], weights: Sequence[Tensor] | None = None
    ) -> None:
        self._game, self._strategies, self._weights = game, strategies, weights
        self._known: dict[State, Tensor] = {}

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        own = [self._own_decisions(line) for line in lines]
        for player in (0, 1):
            new = {
                each.state: each for decisions in own for each in decisions if each.state not in self._known
            }
            asked = [each for each in new.values() if self._game.actor(each.state) == player]
            if asked:
                self._known |= zip(
                    (each.state for each in asked), self._strategies(player, asked), strict=True
                )
        return torch.stack(
            [self._average(line, decisions) for line, decisions in zip(lines, own, strict=True)]
        )

    def _own_decisions(self, line: Line[State]) -> list[Line[State]]:
        """The lines to each decision, up to the present one, of who acts there."""
        actor = self._game.actor(line.state)
        assert actor < CHANCE
        return [
            Line(line.states[: place + 1], line.actions[:place], line.hand)
            for place, state in enumerate(line.states)
            if self._game.actor(state) == actor
        ]

    def _average(self, line: Line[State], decisions: Sequence[Line[State]]) -> Tensor:
        here = self._known[line.state]
        actor = self._game.actor(line.state)
        drawn = (
            here.new_ones(len(here), 1) if self._weights is None else self._weights[actor].to(here)[:, None]
        )
        reach = drawn.expand(len(here), here.shape[2])
        for decision in decisions[:-1]:
            reach = reach * self._known[decision.state][:, line.actions[len(decision.actions)]]
        total = reach.sum(0)
        weights = torch.where(total > 0, reach / total, drawn / drawn.sum())  # never here: as drawn
        return (here * weights[:, None]).sum(0)
