"""Networks over information states: what one player knows, a public state with its line and the own hand.

Search asks about public belief states and gets answers for all hands (:mod:`pokerlab.learning.networks`). A
learner without search has no beliefs: what the others may hold must follow from how play came here, so the
network is told of the moves since the root beside the game's features. In hold'em it is told as well what
the hand is worth on the board; hands that differ in suits only are otherwise the same to it. Hidden layers
are Linear, LayerNorm, GELU, as there.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.games.base import Game, Ints
from pokerlab.games.parts import HandFeatures, network_features
from pokerlab.learning.line_networks import by_bins, hands_at, kinds_of_hands, sees_cards
from pokerlab.learning.networks import ILLEGAL_LOGIT, hidden_layers
from pokerlab.selfplay.public_states import PublicStates

BINS = 16
"""To which hands belong by what they are worth."""
BOARDS = 512
"""Public states whose hands are ranked at once."""
FIRST_OUTPUTS = 0.01
"""Scale of the last layer's first weights: play begins nearly uniform, values near 0."""


class Infostates(NamedTuple):
    """What networks see of information states, ``n`` of them."""

    features: Tensor
    """``[n, F]`` of public states."""
    moves: Tensor
    """``[n, moves]`` int16, the first moves from the root: actions, A for a deal; −1: none."""
    hand: Tensor
    """``[n]`` int32."""
    legal: Tensor
    """``[n, A]`` bool."""
    worth: Tensor
    """``[n, W]`` the hand's percentile on the board, and its potential; W is 0 where hands are few."""

    @classmethod
    def at(cls, states: PublicStates, at: Ints, hand: Ints, device: torch.device) -> "Infostates":
        """Those of public states ``[n]`` by number, with hands ``[n]``."""
        features = states.features[at]
        worth = np.zeros((len(at), width_of_worth(states.game)), np.float32)
        if worth.size:
            for few in np.array_split(np.arange(len(at)), -(-len(at) // BOARDS)):
                boards, board_of = hands_at(states.game, torch.as_tensor(features[few]).double())
                worth[few] = boards[board_of, hand[few], :2]
        found = (features, states.moves[at], hand.astype("int32"), states.legal[at], worth)
        return cls(*(torch.as_tensor(column, device=device) for column in found))


def width_of_worth(game: Game) -> int:
    """``W`` of :class:`Infostates`."""
    return 2 if sees_cards(game) else 0


class InfostateNetwork(nn.Module):
    """A multi-layer perceptron from an information state to a few numbers.

    Args:
        game: gives features of public states and of hands.
        outputs: ``O``.
        moves: how many moves from the root on it is told of; later ones it knows from the features alone.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    hand_features: Tensor
    """``[H, P]``; P is 0 if hands have no features, or what they are worth is seen instead."""
    kinds: Tensor
    """``[H]`` numbers of hands; in hold'em the same for those that differ in suits only."""

    def __init__(self, game: Game, outputs: int, moves: int, hidden: int, layers: int) -> None:
        super().__init__()
        if hidden < 1 or layers < 1 or moves < 1:
            raise ValueError(
                f"a network needs hidden, layers and moves of at least 1, got {hidden}, {layers} and {moves}"
            )
        self.moves, self._kinds = moves, game.num_actions + 1
        self.sizes = {"moves": moves, "hidden": hidden, "layers": layers}
        width, common = width_of_worth(game), torch.zeros(game.num_hands, 0)
        if not width and isinstance(game, HandFeatures):
            common = torch.as_tensor(game.hand_features()).float()
        kinds = torch.as_tensor(kinds_of_hands(game) if width else np.arange(game.num_hands))
        self.register_buffer("hand_features", common, persistent=False)
        self.register_buffer("kinds", kinds, persistent=False)
        public = network_features(game).num_features + moves * self._kinds
        self.from_public = nn.Linear(public + common.shape[1], hidden)
        self.from_worth = nn.Linear(width * BINS, hidden) if width else None
        self.from_hand = nn.Embedding(int(kinds.max()) + 1, hidden)
        nn.init.normal_(self.from_hand.weight, std=0.5)
        blocks = hidden_layers(hidden, layers)
        last = nn.Linear(hidden, outputs)
        with torch.no_grad():
            last.weight *= FIRST_OUTPUTS
            last.bias.zero_()
        self.rest = nn.Sequential(*blocks, last)

    def forward(self, infostates: Infostates) -> Tensor:
        """``[n, O]``."""
        features, moves, hand = infostates.features, infostates.moves.long(), infostates.hand.long()
        line = functional.one_hot(moves + 1, self._kinds + 1)[:, :, 1:].flatten(1)
        known = torch.cat([features, line.to(features), self.hand_features[hand]], 1)
        first = self.from_public(known) + self.from_hand(self.kinds[hand])
        if self.from_worth is not None:
            first = first + self.from_worth(by_bins(infostates.worth, BINS))
        return self.rest(first)


def log_policy(network: InfostateNetwork, infostates: Infostates) -> Tensor:
    """``[n, A]`` log-probabilities of actions, by a network that gives their logits."""
    logits = network(infostates).float().masked_fill(~infostates.legal, ILLEGAL_LOGIT)
    return functional.log_softmax(logits, 1)
