"""Networks over information states: what one player knows, a public state with its line and the own hand.

Search asks about public belief states and gets answers for all hands (:mod:`pokerlab.learning.networks`). A
learner without search has no beliefs: what the others may hold must follow from how play came here, so the
network is told of the moves since the root beside the game's features. Hidden layers are Linear, LayerNorm,
GELU, as there.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.games.base import Game, Ints
from pokerlab.games.parts import HandFeatures, network_features
from pokerlab.learning.networks import ILLEGAL_LOGIT, hidden_layers
from pokerlab.selfplay.public_states import PublicStates

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

    @classmethod
    def at(cls, states: PublicStates, at: Ints, hand: Ints, device: torch.device) -> "Infostates":
        """Those of public states ``[n]`` by number, with hands ``[n]``."""
        found = (states.features[at], states.moves[at], hand.astype("int32"), states.legal[at])
        return cls(*(torch.as_tensor(column, device=device) for column in found))


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
    """``[H, P]``; P is 0 if hands have no features."""

    def __init__(self, game: Game, outputs: int, moves: int, hidden: int, layers: int) -> None:
        super().__init__()
        if hidden < 1 or layers < 1 or moves < 1:
            raise ValueError(
                f"a network needs hidden, layers and moves of at least 1, got {hidden}, {layers} and {moves}"
            )
        self.moves, self._kinds = moves, game.num_actions + 1
        self.sizes = {"moves": moves, "hidden": hidden, "layers": layers}
        features = game.hand_features() if isinstance(game, HandFeatures) else None
        common = torch.zeros(game.num_hands, 0) if features is None else torch.as_tensor(features).float()
        self.register_buffer("hand_features", common, persistent=False)
        public = network_features(game).num_features + moves * self._kinds
        self.from_public = nn.Linear(public + common.shape[1], hidden)
        self.from_hand = nn.Embedding(game.num_hands, hidden)
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
        return self.rest(self.from_public(known) + self.from_hand(hand))


def log_policy(network: InfostateNetwork, infostates: Infostates) -> Tensor:
    """``[n, A]`` log-probabilities of actions, by a network that gives their logits."""
    logits = network(infostates).float().masked_fill(~infostates.legal, ILLEGAL_LOGIT)
    return functional.log_softmax(logits, 1)
