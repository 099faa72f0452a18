"""Networks over information states: a public line and a hand, without beliefs, as Deep CFR has them.

Equal public features can come of different lines. Beliefs tell these apart, and where there are none, the
line itself has to be seen: players with perfect recall may play differently after each.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic

import torch
from torch import Tensor, nn

from pokerlab.games.base import CHANCE, TERMINAL, Game, State
from pokerlab.games.parts import HandFeatures, features_of, network_features

MOST_MOVES = 24
"""Of a line, that are told apart in games that are too large to be enumerated."""


class LineInputs(Generic[State]):
    """What a network sees of public lines.

    Args:
        game: has features.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        self.length = _longest_line(game, game.root()) if game.enumerable else MOST_MOVES
        self.width = network_features(game).num_features + self.length * game.num_actions

    def encode(self, states: Sequence[State], moves: Sequence[Sequence[int]]) -> Tensor:
        """``[n, width]`` the features of public states, and the actions that led there, one-hot.

        Args:
            states: ``n``.
            moves: of each, the actions of both players since the root.
        """
        taken = torch.zeros(len(states), self.length, self.game.num_actions)
        for row, line in enumerate(moves):
            for place, move in enumerate(line):
                taken[row, min(place, self.length - 1), move] += 1
        features = torch.as_tensor(features_of(self.game, states)).float()
        return torch.cat([features, taken.flatten(1)], 1)


@lru_cache(8)
def line_inputs(game: Game[State]) -> LineInputs[State]:
    """Those of a game."""
    return LineInputs(game)


def _longest_line(game: Game[State], state: State) -> int:
    """The most actions that lead to a decision, and one more."""
    if (actor := game.actor(state)) == TERMINAL:
        return 0
    if actor == CHANCE:
        return _longest_line(game, game.chance_outcomes(state)[0])
    return 1 + max(_longest_line(game, game.next_state(state, action)) for action in game.actions(state))


class InfostateNetwork(nn.Module):
    """A few numbers for each action, of every hand at a public line.

    Hidden layers are Linear, LayerNorm, GELU. The last begins at 0: a network that knows nothing tells no
    actions apart.

    Args:
        game: the rules.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    hand_features: Tensor
    """``[P, H]``; P is 0 if hands have no features."""

    def __init__(self, game: Game, hidden: int, layers: int) -> None:
        super().__init__()
        if hidden < 1 or layers < 1:
            raise ValueError(
                f"a network needs hidden >= 1 and layers >= 1, got hidden={hidden}, layers={layers}"
            )
        features = game.hand_features() if isinstance(game, HandFeatures) else None
        common = torch.zeros(0, game.num_hands) if features is None else torch.as_tensor(features.T).float()
        self.register_buffer("hand_features", common, persistent=False)
        self._shape = (game.num_actions, game.num_hands)
        width, blocks = line_inputs(game).width, list[nn.Module]()
        for _ in range(layers):
            blocks += [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU()]
            width = hidden
        self.body = nn.Sequential(*blocks)
        self.to_hands = nn.Linear(hidden, game.num_actions * game.num_hands)
        nn.init.zeros_(self.to_hands.weight)
        nn.init.zeros_(self.to_hands.bias)
        if len(common):
            self.to_common = nn.Linear(hidden, game.num_actions * len(common), bias=False)
            nn.init.zeros_(self.to_common.weight)

    def forward(self, lines: Tensor) -> Tensor:
        """``[n, A, H]`` for ``[n, width]`` of :class:`LineInputs`."""
        hidden = self.body(lines)
        found: Tensor = self.to_hands(hidden).unflatten(1, self._shape)
        if len(self.hand_features):
            scaled = self.hand_features / self.hand_features.square().sum(0).sqrt()
            found = found + self.to_common(hidden).unflatten(1, (self._shape[0], -1)) @ scaled
        return found
