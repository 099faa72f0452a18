"""Plays a network over information states."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Line, Memoryless, legal_actions
from pokerlab.games.base import Game, State
from pokerlab.learning.infostate_network import InfostateNetwork, line_inputs
from pokerlab.learning.networks import ILLEGAL_LOGIT
from pokerlab.selfplay.public_game import is_listed


class InfostateAgent(Memoryless[State]):
    """Plays as a network says that was given logits of its strategy to learn.

    Args:
        game: the rules.
        network: on the device to use.
    """

    def __init__(self, game: Game[State], network: InfostateNetwork) -> None:
        self.game, self.network = game, network

    @torch.no_grad()
    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        states = [line.state for line in lines]
        moves = [[action for action in line.actions if action != DEALT] for line in lines]
        inputs = line_inputs(self.game)
        seen = inputs.encode(states, moves).to(next(self.network.parameters()))
        legal = legal_actions(self.game, states).to(seen.device)
        hands = None if is_listed(self.game) else inputs.hands_at(states)
        logits = self.network.of_all_hands(seen, hands)
        return logits.masked_fill(~legal[:, :, None], ILLEGAL_LOGIT).softmax(1)
