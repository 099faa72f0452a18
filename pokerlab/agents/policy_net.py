"""Plays a policy network, without search."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat, legal_actions
from pokerlab.agents.beliefs import after_actions, after_deals
from pokerlab.games.base import CHANCE, Game, State
from pokerlab.games.parts import features_of
from pokerlab.learning.networks import StrategyNetwork


class PolicyNetworkAgent(Agent[State]):
    """Plays a policy network, under the beliefs that follow if both players do.

    Args:
        game: the rules.
        network: the policy network, on the device to use.
    """

    def __init__(self, game: Game[State], network: StrategyNetwork) -> None:
        self.game, self.network = game, network

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return _StrategyNetworkSeat(self.game, self.network)


class _StrategyNetworkSeat(Seat[State]):
    """Remembers beliefs and strategies by public state, which determines its line."""

    def __init__(self, game: Game[State], network: StrategyNetwork) -> None:
        self._game, self._network = game, network
        self._like = next(network.parameters()).detach()
        self._known: dict[State, tuple[Tensor, Tensor]] = {}
        """Beliefs ``[2, H]`` and the strategy ``[actions of the game, H]``."""

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        for depth in range(max(len(line.states) for line in lines)):
            self._add({
                line.states[depth]: (line.states[depth - 1], line.actions[depth - 1]) if depth else None
                for line in lines
                if depth < len(line.states) and line.states[depth] not in self._known
            })  # fmt: skip
        return torch.stack([self._known[line.state][1] for line in lines])

    def _add(self, new: dict[State, tuple[State, int] | None]) -> None:
        """Finds beliefs and strategies at public states, given the move that led to each."""
        if new:
            beliefs = self._beliefs_at(list(new), list(new.values()))
            self._known |= zip(new, zip(beliefs, self._ask(list(new), beliefs), strict=True), strict=True)

    def _beliefs_at(self, states: Sequence[State], moves: Sequence[tuple[State, int] | None]) -> Tensor:
        """``[n, 2, H]``."""
        if moves[0] is None:
            return torch.as_tensor(self._game.initial_beliefs).to(self._like)[None]
        before = [self._known[move[0]] for move in moves if move is not None]
        actors = torch.tensor([self._game.actor(move[0]) for move in moves if move is not None])
        beliefs = torch.stack([belief for belief, _ in before])
        dealt = actors == CHANCE
        if dealt.any():
            possible = np.array(
                [self._game.possible_hands(states[i]) for i in dealt.nonzero()[:, 0].tolist()]
            )
            beliefs[dealt] = after_deals(beliefs[dealt], torch.as_tensor(possible).to(self._like))
        if not dealt.all():
            chances = torch.stack([
                strategy[move[1]]
                for (_, strategy), move, by_chance in zip(before, moves, dealt.tolist(), strict=True)
                if move is not None and not by_chance
            ])  # fmt: skip
            beliefs[~dealt] = after_actions(beliefs[~dealt], actors[~dealt], chances)
        return beliefs

    @torch.no_grad()
    def _ask(self, states: Sequence[State], beliefs: Tensor) -> Tensor:
        """``[n, A, H]``; 0 where nobody is to act."""
        deciding = [number for number, state in enumerate(states) if self._game.actor(state) < CHANCE]
        strategies = beliefs.new_zeros(len(states), self._game.num_actions, self._game.num_hands)
        if deciding:
            asked = [states[number] for number in deciding]
            features = torch.as_tensor(features_of(self._game, asked)).to(self._like)
            legal = legal_actions(self._game, asked).to(self._like.device)
            chances = self._network(features, beliefs[deciding], legal).exp()
            strategies[deciding] = chances / chances.sum(1, keepdim=True)
        return strategies
