"""Networks that know cards: what can be computed of hands exactly is computed, and only the rest is learned.

A value is half of what the hand can expect if nobody bets, which is exact, and a learned rest. On a river a
value is a sum over the ends of the game of p₀(h)·p₁(h')·(chips, or chips · sign(h − h')), where the p are
the players' own probabilities to come there: a kernel of low rank in the two hands' ranks. So the rest is a
kernel

    G[k, l] = s/(1 + s)/√R · (A Bᵀ + sign(k − l) ∘ C Eᵀ),        s: stack to pot

between bins of hands. It is spread over hands with exact card removal, and is zero-sum by construction: one
player's kernel is the negative transpose of the other's. Hands belong to bins by hat functions of the
percentile of their rank under a mixture of both beliefs and, before the last street, of their potential
(:class:`~pokerlab.games.parts.HandInputs`). One small network, shared by all bins, makes a bin's A, B, C, E
from its place, both players' mass and check-down value there, and a summary of all bins.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from pokerlab.games.base import Game
from pokerlab.games.parts import with_hand_inputs
from pokerlab.learning.kernel_layer import STACK_NUMBERS, BinNetwork, KernelLayer, collect, stack_numbers
from pokerlab.learning.kernel_products import Query
from pokerlab.learning.kernel_query import asks_kernels, join_kinds, prepare_query
from pokerlab.learning.networks import LeafNetwork, StrategyNetwork, log_strategy
from pokerlab.search.leaves import LeafValues


class KernelValueNetwork(LeafNetwork):
    """Infostate values of both players at a public belief state, in pots.

    Args:
        game: hold'em.
        hidden: width of the layers that summarise bins.
        bins: along the percentile of rank, on the last street.
        early_bins: the same before.
        potentials: bins along the potential, before the last street.
        rank: of kernels.
    """

    def __init__(
        self,
        game: Game,
        hidden: int = 256,
        *,
        bins: int = 32,
        early_bins: int = 16,
        potentials: int = 4,
        rank: int = 8,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, bins=bins, early_bins=early_bins, potentials=potentials, rank=rank)
        self._game, self._num_hands = with_hand_inputs(game), game.num_hands
        cards, names = torch.as_tensor(self._game.hand_cards), self._game.layers
        shapes = [(early_bins, potentials)] * (len(names) - 1) + [(bins, 1)]
        self.layers = nn.ModuleList(KernelLayer(cards, *shape, rank, hidden) for shape in shapes)

    @property
    def floats_per_leaf(self) -> int:
        layer = cast(KernelLayer, self.layers[0])
        number, hands, hidden = layer.bins * layer.potentials, self._num_hands, layer.hidden
        if asks_kernels(layer, layer.cards.device):
            # layers shared by bins, their inputs and activations; what hands have, and products
            return number * (layer.factors.num_inputs + 3 * hidden // 2) + 15 * hands
        # in bins along the percentile, and what is made of that; layers shared by bins before and after
        # their activations; sums by bin and card, and kernels; what else hands have
        by_bins = 2 * layer.bins * hands + 2 * number * hidden + 3 * number * (layer.number + number)
        return by_bins + 8 * hands

    def forward(self, features: Tensor, beliefs: Tensor, hand_inputs: Tensor | None = None) -> Tensor:
        """See :class:`LeafNetwork`."""
        if hand_inputs is None:
            hand_inputs = self._game.prepare_hand_inputs(features, beliefs)(beliefs)
        stack_to_pot = self._game.stacks_to_pots(features).to(beliefs.dtype)
        values = torch.zeros_like(beliefs)
        with torch.autocast(beliefs.device.type, enabled=False):  # sums over hands need all digits
            for layer, here in by_kind(self._game.layer_of(features)):
                found = self.layers[layer](stack_to_pot[here], beliefs[here], hand_inputs[here])
                values = values.index_copy(0, here, found)
        return values

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafNetwork`."""
        stack_to_pot = self._game.stacks_to_pots(features).to(possible.dtype)

        def query(layer: int, here: Tensor | slice) -> Query:
            # search asks in every iteration what a deal is worth, and of what comes after one, once
            inputs = self._game.prepare_hand_inputs(features[here], possible[here], again=layer % 2 == 1)
            return prepare_query(cast(KernelLayer, self.layers[layer]), inputs, stack_to_pot[here])

        kinds = by_kind(self._game.layer_of(features))
        if len(kinds) == 1:
            return query(kinds[0][0], slice(None))
        return join_kinds([(here, query(layer, here)) for layer, here in kinds])


class KernelPolicyNetwork(StrategyNetwork):
    """The strategy of the player to act at a public belief state: of bins, spread over hands.

    Args:
        game: hold'em.
        hidden: width of the layers that summarise bins.
        bins: along the percentile of rank, on the last street.
        early_bins: the same before.
        potentials: bins along the potential, before the last street.
    """

    def __init__(
        self, game: Game, hidden: int = 256, *, bins: int = 32, early_bins: int = 16, potentials: int = 4
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, bins=bins, early_bins=early_bins, potentials=potentials)
        self._game = with_hand_inputs(game)
        streets = len(self._game.layers) // 2
        shapes = [(early_bins, potentials)] * streets + [(bins, 1)]
        numbers = self._game.num_betting_features + STACK_NUMBERS
        self.streets = nn.ModuleList(
            BinNetwork(*shape, numbers, game.num_actions, hidden) for shape in shapes
        )

    def forward(
        self, features: Tensor, beliefs: Tensor, legal: Tensor, hand_inputs: Tensor | None = None
    ) -> Tensor:
        """See :class:`StrategyNetwork`."""
        if hand_inputs is None:
            hand_inputs = self._game.prepare_hand_inputs(features, beliefs)(beliefs)
        betting = features[:, : self._game.num_betting_features]
        numbers = torch.cat([betting, stack_numbers(self._game.stacks_to_pots(features))], 1)
        logits = beliefs.new_zeros(len(beliefs), legal.shape[1], beliefs.shape[2])
        for street, here in by_kind(self._game.layer_of(features) // 2):
            network = cast(BinNetwork, self.streets[street])
            hats, _, sums = collect(beliefs[here], hand_inputs[here], network.bins, network.potentials)
            of_bins = network(*sums, numbers[here]).to(beliefs.dtype)
            logits = logits.index_copy(0, here, hats.spread(of_bins.transpose(1, 2)))
        return log_strategy(logits, beliefs, legal)


def by_kind(kind_of: Tensor) -> list[tuple[int, Tensor]]:
    """The kinds that there are among ``[n]`` ones, ascending, and where each one is."""
    kinds = kind_of.cpu().numpy()  # the host waits once, not for every kind
    places = {kind: torch.as_tensor(np.flatnonzero(kinds == kind)) for kind in np.unique(kinds).tolist()}
    on_gpu = kind_of.device.type == "cuda"
    return [(kind, place.to(kind_of.device, non_blocking=on_gpu)) for kind, place in places.items()]


def check_sizes(**sizes: int) -> None:
    """Raises a ValueError where a size of a network is too small."""
    for name, size in sizes.items():
        least = 1 if name in ("potentials", "rank") else 2
        if size < least:
            raise ValueError(f"{name} must be at least {least}, got {size}")
