"""Networks of public lines, which answer for hands without beliefs, as Deep CFR has them.

Equal public features can come of different lines. Beliefs tell these apart, and where there are none, the
line itself has to be seen: players with perfect recall may play differently after each.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from pokerlab.games.base import CHANCE, TERMINAL, Game, Ints, State, is_small
from pokerlab.games.parts import (
    HandInputs,
    SuitRelabelling,
    features_of,
    network_features,
    with_hand_inputs,
)
from pokerlab.learning.networks import check_sizes, hidden_layers

MOST_MOVES = 24
"""Of a line, that are told apart in games that are too large to be enumerated."""


HandsAt: TypeAlias = tuple[Tensor, Ints]
"""``[U, H, 3]`` what is seen of hands on some boards, and ``[n]`` which of these each of some states has."""


class LineInputs(Generic[State]):
    """What a network sees of public lines, the game's features and the actions; and of hands.

    In games that are not listed, what is seen of hands says what the board is worth; its cards are not seen.

    Args:
        game: has features.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, game: Game[State]) -> None:
        self.game = game
        self.length = _longest_line(game, game.root()) if game.enumerable else MOST_MOVES
        self._features = network_features(game).num_features
        if sees_cards(game):
            self._features = with_hand_inputs(game).num_betting_features
        self.width = self._features + self.length * game.num_actions

    def encode(self, states: Sequence[State], moves: Sequence[Sequence[int]]) -> Tensor:
        """``[n, width]``; the actions are one-hot.

        Args:
            states: ``n``.
            moves: of each, the actions of both players since the root.
        """
        taken = torch.zeros(len(states), self.length, self.game.num_actions)
        for row, line in enumerate(moves):
            for place, move in enumerate(line):
                taken[row, min(place, self.length - 1), move] += 1
        features = torch.as_tensor(features_of(self.game, states)).float()
        return torch.cat([features[:, : self._features], taken.flatten(1)], 1)

    def hands_at(self, states: Sequence[State]) -> HandsAt:
        """What a network sees of hands at public states, see :func:`hands_at`."""
        return hands_at(self.game, torch.as_tensor(features_of(self.game, states)))


def sees_cards(game: Game[State]) -> bool:
    """Whether networks are told what hands are worth: hold'em, but of so few hands that these are learned."""
    return isinstance(game, HandInputs) and not is_small(game)


def hands_at(game: Game[State], features: Tensor) -> HandsAt:
    """What networks see of hands at public states: percentile of rank, potential, and kind up to suits.

    Args:
        game: the rules.
        features: ``[n, F]`` of the states.

    Raises:
        ValueError: the game computes no inputs of hands.
    """
    at = with_hand_inputs(game).prepare_hand_inputs(features, features)
    ranked, hands = at.ranked, game.num_hands
    blocked = hands - ranked.possible.sum(1, keepdims=True)
    percentile = ((ranked.begin + ranked.end) / 2 - blocked) / (hands - blocked)
    kinds = np.broadcast_to(kinds_of_hands(game), percentile.shape)
    return torch.as_tensor(np.stack([percentile, ranked.potential, kinds], 2)).float(), at.board_of


def by_bins(shares: Tensor, bins: int) -> Tensor:
    """``[…, k]`` numbers from 0 to 1 → ``[…, k · bins]`` how far they are in each bin, by hat functions."""
    place = shares.clamp(0, 1) * (bins - 1)
    return (1 - (place[..., None] - torch.arange(bins).to(place)).abs()).clamp_min(0).flatten(-2)


@lru_cache(8)
def line_inputs(game: Game[State]) -> LineInputs[State]:
    """Those of a game."""
    return LineInputs(game)


def _longest_line(game: Game[State], state: State) -> int:
    """The most actions from a state to the end."""
    if (actor := game.actor(state)) == TERMINAL:
        return 0
    if actor == CHANCE:
        return _longest_line(game, game.chance_outcomes(state)[0])
    return 1 + max(_longest_line(game, game.next_state(state, action)) for action in game.actions(state))


@lru_cache(8)
def kinds_of_hands(game: Game[State]) -> Ints:
    """``[H]`` numbers that are the same for hands that differ in suits only.

    Raises:
        ValueError: the game does not know its suits.
    """
    if not isinstance(game, SuitRelabelling):
        raise ValueError(f"{game.name} does not say which hands differ in suits only")
    return np.unique(game.relabellings().hands.min(0), return_inverse=True)[1]


class LineNetwork(nn.Module, ABC):
    """A few numbers for each action, of hands at public lines.

    Hidden layers are Linear, LayerNorm, GELU. The last begins at 0: a network that knows nothing tells no
    actions apart.

    Args:
        game: the rules.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    def __init__(self, game: Game, hidden: int, layers: int) -> None:
        super().__init__()
        check_sizes(hidden, layers)
        self.num_actions = game.num_actions
        self.body = nn.Sequential(nn.Linear(line_inputs(game).width, hidden), *hidden_layers(hidden, layers))

    @abstractmethod
    def forward(self, lines: Tensor, hands: Tensor | None = None) -> Tensor:
        """``[n, A, k]``.

        Args:
            lines: ``[n, width]`` of :class:`LineInputs`.
            hands: ``[n, k, 3]`` or ``[1, k, 3]`` of :meth:`LineInputs.hands_at`; None: of a game with few.
        """

    def of_all_hands(self, lines: Tensor, hands: HandsAt | None = None) -> Tensor:
        """``[n, A, H]``.

        Args:
            lines: ``[n, width]``.
            hands: of :meth:`LineInputs.hands_at`; None: of a game with few.
        """
        if hands is None:
            found: Tensor = self(lines)
            return found
        boards, board_of = hands
        found = lines.new_empty(len(lines), self.num_actions, boards.shape[1])
        for number, there in enumerate(boards.to(lines)):
            here = torch.as_tensor(np.flatnonzero(board_of == number)).to(lines.device)
            found[here] = self(lines[here], there[None])
        return found


class HandsNetwork(LineNetwork):
    """An output for every hand, in games with few.

    Args:
        game: the rules.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    def __init__(self, game: Game, hidden: int, layers: int) -> None:
        if not is_small(game):
            raise ValueError(f"HandsNetwork is of games with few hands: {game.name} needs CardsNetwork")
        super().__init__(game, hidden, layers)
        self.to_hands = nn.Linear(hidden, game.num_actions * game.num_hands)
        nn.init.zeros_(self.to_hands.weight)
        nn.init.zeros_(self.to_hands.bias)

    def forward(self, lines: Tensor, hands: Tensor | None = None) -> Tensor:
        found: Tensor = self.to_hands(self.body(lines))
        return found.unflatten(1, (self.num_actions, -1))


class CardsNetwork(LineNetwork):
    """The product of what a line and a hand are, for hold'em: all hands at a line cost little more than one.

    Args:
        game: computes inputs of hands.
        hidden: width of the hidden layers.
        layers: number of hidden layers, of lines; hands have one.
        rank: how many numbers describe a line, for each action, and a hand.
        bins: along the percentile, and the potential, to which hands belong by hat functions.
    """

    def __init__(self, game: Game, hidden: int, layers: int, rank: int = 32, bins: int = 16) -> None:
        if is_small(game):
            raise ValueError(f"CardsNetwork is of games with many hands: {game.name} needs HandsNetwork")
        super().__init__(game, hidden, layers)
        if rank < 1 or bins < 2:
            raise ValueError(f"a network needs rank >= 1 and bins >= 2, got rank={rank}, bins={bins}")
        with_hand_inputs(game)
        self.bins = bins
        self.of_kind = nn.Embedding(int(kinds_of_hands(game).max()) + 1, hidden)
        self.of_bins = nn.Linear(2 * bins, hidden)
        self.of_hand = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, rank))
        self.of_line = nn.Linear(hidden, game.num_actions * rank)
        self.alone = nn.Linear(hidden, game.num_actions)
        for last in (self.of_line, self.alone):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, lines: Tensor, hands: Tensor | None = None) -> Tensor:
        assert hands is not None
        worth = self.of_bins(by_bins(hands[:, :, :2], self.bins))
        hand = self.of_hand(self.of_kind(hands[:, :, 2].long()) + worth)
        body = self.body(lines)
        line = self.of_line(body).unflatten(1, (self.num_actions, -1))
        return line @ hand.transpose(1, 2) + self.alone(body)[:, :, None]
