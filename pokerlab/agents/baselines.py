"""Agents that know nothing, or little: what any other has to beat."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Line, Memoryless, Seat, legal_actions
from pokerlab.games.base import Game, State
from pokerlab.games.parts import call_down, table_play
from pokerlab.search.payoffs import DOUBLE, outcomes


class Baseline(Memoryless[State]):
    """An agent that looks at the present state alone.

    Args:
        game: the rules.

    Raises:
        ValueError: the agent checks and calls, and the game has no such actions.
    """

    calls = True
    """Whether the agent ever means to check, call or fold."""

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        if self.calls:
            table_play(game)

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        return torch.stack([self.strategy_at(line.state) for line in lines])

    @abstractmethod
    def strategy_at(self, state: State) -> Tensor:
        """``[actions of the game, H]``."""

    def _always(self, action: int) -> Tensor:
        strategy = torch.zeros(self.game.num_actions, self.game.num_hands, dtype=torch.float64)
        strategy[action] = 1
        return strategy


class Uniform(Baseline[State]):
    """Takes every legal action equally often."""

    calls = False

    def strategy_at(self, state: State) -> Tensor:
        legal = legal_actions(self.game, [state])[0].double()
        return (legal / legal.sum())[:, None].expand(-1, self.game.num_hands)


class AlwaysCall(Baseline[State]):
    """Checks and calls."""

    def strategy_at(self, state: State) -> Tensor:
        return self._always(table_play(self.game).check_or_call(state))


class AlwaysFold(Baseline[State]):
    """Folds where it can, else checks."""

    def strategy_at(self, state: State) -> Tensor:
        return self._always(table_play(self.game).check_or_fold(state))


class EquityPlayer(Baseline[State]):
    """Plays by its hand's equity, the share of the pot it would win if all cards were dealt now, against
    any hand alike.

    Raises as much as it may but for going all-in (all-in, if nothing else is left) from an equity of
    ``raises_from`` on, calls where equity is at least the pot odds, folds else.

    Args:
        game: the rules.
        raises_from: equity, from 0 to 1.
    """

    def __init__(self, game: Game[State], raises_from: float = 0.65) -> None:
        super().__init__(game)
        self.raises_from = raises_from
        self._known: dict[State, Tensor] = {}

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return EquityPlayer(self.game, self.raises_from)  # what it knows goes when the seat does

    def strategy_at(self, state: State) -> Tensor:
        if state not in self._known:
            self._known[state] = self._strategy(state)
        return self._known[state]

    def _strategy(self, state: State) -> Tensor:
        game, table = self.game, table_play(self.game)
        call, fold = table.check_or_call(state), table.check_or_fold(state)
        equity = self._equity(state)
        called = game.pot(game.next_state(state, call))
        price = (called - game.pot(state)) / called
        strategy = torch.zeros(game.num_actions, game.num_hands, dtype=torch.float64)
        stays = equity >= price
        strategy[call] += stays
        strategy[fold] += ~stays  # the same, where one may check
        if raises := [action for action in game.actions(state) if action not in (call, fold)]:
            strong = stays & (equity >= self.raises_from)
            strategy[:, strong] = 0
            strategy[raises[-2] if len(raises) > 1 else raises[-1], strong] = 1
        return strategy

    def _equity(self, state: State) -> Tensor:
        """``[H]`` of 1, of each hand against all that leave it possible."""
        game = self.game
        everything = torch.as_tensor(game.possible_hands(state)).double()
        won = torch.zeros(game.num_hands, dtype=torch.float64)
        for end, probability in call_down(game, state):
            won += probability * outcomes(game, np.array([end.payoff_kernel]), everything[None])[0]
        met = game.mass_operator(DOUBLE)(everything[None])[0]
        return torch.where(met > 0, 0.5 + won / torch.where(met > 0, met, 1) / 2, 0.5)
