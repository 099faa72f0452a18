"""Plays a network over information states, without search and without beliefs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pokerlab.agents.base import DEALT, Line, Memoryless, legal_actions
from pokerlab.games.base import Game, State
from pokerlab.games.parts import features_of
from pokerlab.learning.infostates import InfostateNetwork, Infostates, log_policy
from pokerlab.learning.line_networks import hands_at, sees_cards

ROWS = 2**16
"""Information states that a network is asked about at once."""


class InfostateAgent(Memoryless[State]):
    """Plays what a network says of the player's hand and the line.

    Args:
        game: the rules.
        network: gives logits of the game's actions, on the device to use.
        greedy: whether it always takes the likeliest action, of equal ones the first.
    """

    def __init__(self, game: Game[State], network: InfostateNetwork, *, greedy: bool = False) -> None:
        self.game, self.network, self.greedy = game, network, greedy

    @torch.no_grad()
    def ask(self, infostates: Infostates) -> Tensor:
        """``[n, A]`` probabilities."""
        found = log_policy(self.network, infostates)
        return functional.one_hot(found.argmax(1), found.shape[1]).to(found) if self.greedy else found.exp()

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        hands, like = self.game.num_hands, next(self.network.parameters())
        states = [line.state for line in lines]
        seen = torch.as_tensor(features_of(self.game, states))
        features, boards, board_of = seen.to(like), torch.zeros(1, hands, 0), np.zeros(len(lines), np.int64)
        if sees_cards(self.game):
            boards, board_of = hands_at(self.game, seen)
        moves, legal = self._moves(lines).to(like.device), legal_actions(self.game, states).to(like.device)
        every = torch.arange(hands, device=like.device)
        parts = []
        for part in torch.arange(len(lines), device=like.device).split(max(ROWS // hands, 1)):
            row = part.repeat_interleave(hands)
            worth = boards[torch.as_tensor(board_of)[part.cpu()], :, :2].flatten(0, 1).to(like)
            asked = Infostates(features[row], moves[row], every.repeat(len(part)), legal[row], worth)
            parts.append(self.ask(asked).unflatten(0, (-1, hands)).transpose(1, 2))
        return torch.cat(parts)

    def _moves(self, lines: Sequence[Line[State]]) -> Tensor:
        found = np.full((len(lines), self.network.moves), -1)
        for row, line in zip(found, lines, strict=True):
            told = [self.game.num_actions if a == DEALT else a for a in line.actions[: len(row)]]
            row[: len(told)] = told
        return torch.as_tensor(found)
