"""Local best response: a lower bound of exploitability where it cannot be exact (Lisý and Bowling 2017).

It knows the opponent's strategy, and so the opponent's range. It takes the action that would be best if,
after the opponent's answer to a bet (fold or not), both players only checked and called. That is one strategy
among all, so it never wins more than a best response would.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.agents.base import DEALT, Agent, Line, Seat
from pokerlab.evaluation.aivat import CheckDown
from pokerlab.games.base import Game, State
from pokerlab.games.parts import table_play

EXCLUDED = -1e30
"""The value of an action that is not considered."""


class LocalBestResponse(Agent[State]):
    """Plays the local best response to an agent.

    Args:
        game: the rules, with checking, calling and folding.
        opponent: the agent that is responded to; it must not draw what it plays at random.
        from_street: before this street it checks and calls. The game's first street is 0; each public
            deal begins the next.
        actions: what it may do besides checking, calling and folding; None: everything.

    Raises:
        ValueError: the game has no calling, or the opponent draws what it plays at random.
    """

    def __init__(
        self,
        game: Game[State],
        opponent: Agent[State],
        *,
        from_street: int = 0,
        actions: Sequence[int] | None = None,
    ) -> None:
        if opponent.draws:
            raise ValueError("a local best response must know a strategy, and the agent draws what it plays")
        self.game, self.opponent, self.from_street = game, opponent, from_street
        self.table, self.nodes_kept = table_play(game), opponent.nodes_kept
        self.actions = set(range(game.num_actions) if actions is None else actions)

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return _LocalBestResponseSeat(self, player, seed)


class _LocalBestResponseSeat(Seat[State]):
    def __init__(self, agent: LocalBestResponse[State], player: int, seed: int) -> None:
        self._agent, self._player, self._game = agent, player, agent.game
        self._table = agent.table
        self._opponent = agent.opponent.sit_down(1 - player, seed)
        self._check_down = CheckDown(agent.game)
        self._known: dict[State, Tensor] = {}

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        new = {line.state: line for line in lines if line.state not in self._known}
        asked = [line for line in new.values() if self._game.actor(line.state) != self._player]
        self._known |= self._ask(asked)
        self._known |= self._respond([line for state, line in new.items() if state not in self._known])
        return torch.stack([self._known[line.state] for line in lines])

    def _respond(self, lines: Sequence[Line[State]]) -> dict[State, Tensor]:
        """By public state, ``[actions of the game, H]``: one action a hand."""
        if not lines:
            return {}
        game = self._game
        choices = {line.state: self._choices(line) for line in lines}
        after = {
            (line.state, a): game.next_state(line.state, a) for line in lines for a in choices[line.state]
        }
        answered = [line.after(a, state) for line in lines for a in choices[line.state]
                    if self._may_fold(state := after[line.state, a])]  # fmt: skip
        answers = self._ask(
            [*answered, *(before for line in lines for before in self._opponent_decisions(line))]
        )

        # an action is worth the sum of some states' values, each against a part of the opponent's reach
        shape = len(lines), game.num_actions, game.num_hands
        value = torch.full(shape, EXCLUDED, dtype=torch.float64)
        rows: list[tuple[int, int, State, Tensor]] = []
        for number, line in enumerate(lines):
            reach = self._opponent_reach(line, answers)
            for action in choices[line.state]:
                value[number, action] = 0
                state, staying = after[line.state, action], reach
                if self._may_fold(state):
                    fold, call = self._table.check_or_fold(state), self._table.check_or_call(state)
                    folding = reach * answers[state][fold]
                    rows.append((number, action, game.next_state(state, fold), folding))
                    state, staying = game.next_state(state, call), reach - folding
                rows.append((number, action, state, staying))
        values = self._check_down.counterfactual_values(
            [[state] for *_, state, _ in rows], np.arange(len(rows)), self._player,
            torch.stack([reach for *_, reach in rows]),
        )[:, 0]  # fmt: skip
        index = torch.tensor([(number, action) for number, action, *_ in rows])
        value.index_put_((index[:, 0], index[:, 1]), values, accumulate=True)
        best = functional.one_hot(value.argmax(1), game.num_actions).transpose(1, 2).double()
        return {line.state: best[number] for number, line in enumerate(lines)}

    def _choices(self, line: Line[State]) -> list[int]:
        """The actions that it considers, ascending."""
        game, state = self._game, line.state
        call, fold = self._table.check_or_call(state), self._table.check_or_fold(state)
        if line.actions.count(DEALT) < self._agent.from_street:
            return [call]
        return [a for a in game.actions(state) if a in (call, fold) or a in self._agent.actions]

    def _may_fold(self, state: State) -> bool:
        """Whether the opponent is to answer a bet."""
        answers = self._game.actor(state) == 1 - self._player
        return answers and self._table.check_or_fold(state) != self._table.check_or_call(state)

    def _opponent_decisions(self, line: Line[State]) -> list[Line[State]]:
        """The beginnings of a line after which the opponent acted."""
        return [
            Line(line.states[: place + 1], line.actions[:place], line.hand)
            for place in range(len(line.actions))
            if self._game.actor(line.states[place]) == 1 - self._player
        ]

    def _opponent_reach(self, line: Line[State], answers: dict[State, Tensor]) -> Tensor:
        """``[H]`` the opponent's belief times its reach: unnormalised."""
        reach = torch.as_tensor(self._game.initial_beliefs[1 - self._player])
        for before in self._opponent_decisions(line):
            reach = reach * answers[before.state][line.actions[len(before.actions)]]
        return reach

    def _ask(self, lines: Sequence[Line[State]]) -> dict[State, Tensor]:
        """By public state, ``[actions of the game, H]``: what the opponent does there."""
        different = {line.state: line for line in lines}
        if not different:
            return {}
        found = self._opponent.strategies(list(different.values())).double().cpu()
        return dict(zip(different, found, strict=True))
