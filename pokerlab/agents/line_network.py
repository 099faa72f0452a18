"""Plays a network of public lines."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Line, Memoryless, legal_actions
from pokerlab.games.base import Game, State, is_small
from pokerlab.learning.line_networks import HandsAt, LineNetwork, line_inputs
from pokerlab.learning.networks import ILLEGAL_LOGIT


def look(
    game: Game[State], lines: Sequence[Line[State]], like: Tensor
) -> tuple[Tensor, Tensor, HandsAt | None]:
    """What networks see where lines end: ``[n, width]``, ``[n, A]`` which actions are legal, and hands.

    Args:
        game: the rules.
        lines: they end where somebody is to act.
        like: a tensor with the device and dtype to use.
    """
    states = [line.state for line in lines]
    moves = [[action for action in line.actions if action != DEALT] for line in lines]
    inputs = line_inputs(game)
    hands = None if is_small(game) else inputs.hands_at(states)
    return inputs.encode(states, moves).to(like), legal_actions(game, states).to(like.device), hands


class LineNetworkAgent(Memoryless[State]):
    """Plays as a network says that was given logits of its strategy to learn.

    Args:
        game: the rules.
        network: on the device to use.
    """

    def __init__(self, game: Game[State], network: LineNetwork) -> None:
        self.game, self.network = game, network

    @torch.no_grad()
    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        seen, legal, hands = look(self.game, lines, next(self.network.parameters()))
        logits = self.network.of_all_hands(seen, hands)
        return logits.masked_fill(~legal[:, :, None], ILLEGAL_LOGIT).softmax(1)
