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

from pokerlab.cuda import send
from pokerlab.games.base import Game
from pokerlab.games.parts import with_hand_inputs
from pokerlab.learning.kernel_layer import (
    STACK_NUMBERS,
    BinNetwork,
    HistogramLayer,
    KernelLayer,
    logits_of,
    stack_numbers,
    values_by_vectors,
    values_of,
)
from pokerlab.learning.kernel_products import Query
from pokerlab.learning.kernel_query import (
    HistogramQuery,
    Later,
    asks_kernels,
    join_kinds,
    prepare_histogram_query,
    prepare_query,
)
from pokerlab.learning.kinds import Kinds
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
        later_bins: before the last street, along the percentile that hands will have, and along their
            check-down values; 0: none. Of betting rounds before one card, it is the percentile of what is
            believed, after that card, computed at every query; else that among all hands on complete boards.
    """

    features_on_host = True

    def __init__(
        self,
        game: Game,
        hidden: int = 256,
        *,
        bins: int = 32,
        early_bins: int = 16,
        potentials: int = 4,
        rank: int = 8,
        later_bins: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, bins=bins, early_bins=early_bins, potentials=potentials, rank=rank)
        if later_bins:
            check_sizes(later_bins=later_bins)
        self._game, self._num_hands = with_hand_inputs(game), game.num_hands
        cards = torch.as_tensor(self._game.hand_cards)
        sizes, early = (early_bins, potentials, rank, hidden), len(self._game.layers) - 1
        made = (
            HistogramLayer(cards, *sizes, later_bins) if later_bins else KernelLayer(cards, *sizes)
            for _ in range(early)
        )
        self.layers = nn.ModuleList([*made, KernelLayer(cards, bins, 1, rank, hidden)])

    @property
    def floats_per_leaf(self) -> int:
        layer = cast(KernelLayer, self.layers[0])
        number, hands, hidden = layer.bins * layer.potentials, self._num_hands, layer.hidden
        later = layer.later if isinstance(layer, HistogramLayer) else 0
        if asks_kernels(layer, layer.cards.device):
            # layers shared by bins, their inputs and, of one network at once, activations; what hands have,
            # and products
            inputs = (number + 2 * later) * layer.factors.num_inputs
            activations = max(number, 2 * later) * (3 * hidden // 2)
            return inputs + activations + (17 if later else 15) * hands
        # in bins along the percentile, and what is made of that; layers shared by bins before and after
        # their activations; sums by bin and card, and kernels; what else hands have
        by_bins = 2 * layer.bins * hands + 2 * number * hidden + 3 * number * (layer.number + number)
        return by_bins + (later + 8) * hands

    def forward(self, features: Tensor, beliefs: Tensor, hand_inputs: Tensor | None = None) -> Tensor:
        """See :class:`LeafNetwork`."""
        if hand_inputs is None:
            hand_inputs = self._game.prepare_hand_inputs(features, beliefs)(beliefs)
        layers = [cast(KernelLayer, layer) for layer in self.layers]
        layer_of = self._game.layer_of(features)
        kinds = Kinds(layer_of, len(layers), beliefs.device)
        stacks = send(stack_numbers(self._game.stacks_to_pots(features)).to(beliefs.dtype), beliefs.device)
        given = [kinds.sort(each) for each in (stacks, beliefs, hand_inputs)]
        found = []
        with torch.autocast(beliefs.device.type, enabled=False):  # sums over hands need all digits
            for some, rows in kinds.parts(len(layers) - 1):  # layers of one shape
                counts = kinds.counts[some]
                stack, held, inputs = (each[rows] for each in given)
                if isinstance(layers[some.start], HistogramLayer):
                    later = [
                        self._later(number, features[layer_of == number], believed)(believed, slice(None))
                        for number, believed in enumerate(held.split(counts), some.start)
                        if len(believed)
                    ]
                    told = [cast(HistogramLayer, layer) for layer in layers[some]]
                    found.append(values_by_vectors(told, counts, stack, held, inputs, torch.cat(later)))
                else:
                    found.append(values_of(layers[some], counts, stack, held, inputs))
            return kinds.unsort(torch.cat(found))

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        """See :class:`LeafNetwork`."""
        stack_to_pot = self._game.stacks_to_pots(features).to(possible.dtype)

        def query(number: int, here: Tensor | slice) -> Query:
            layer = cast(KernelLayer, self.layers[number])
            # search asks in every iteration what a deal is worth, and of what comes after one, once
            inputs = self._game.prepare_hand_inputs(features[here], possible[here], again=number % 2 == 1)
            stack = stack_to_pot[here]
            if not isinstance(layer, HistogramLayer):
                return prepare_query(layer, inputs, stack)
            if self._game.comes_before_one_card[number]:
                return HistogramQuery(layer, inputs, stack, self._later(number, features[here], stack))
            of_boards = torch.as_tensor(np.unique(inputs.board_of, return_index=True)[1])
            later = self._game.spread_on_complete_boards(features[here][of_boards], stack, layer.later)
            return prepare_histogram_query(layer, inputs, stack, later)

        kinds = by_kind(self._game.layer_of(features))
        if len(kinds) == 1:
            return query(kinds[0][0], slice(None))
        return join_kinds([(here, query(layer, here)) for layer, here in kinds])

    def _later(self, number: int, features: Tensor, like: Tensor) -> Later:
        """What a layer is told of ``[n, F]`` public states."""
        bins = cast(HistogramLayer, self.layers[number]).later
        if self._game.comes_before_one_card[number]:
            return lambda beliefs, here: self._game.spread_after_next_card(features[here], beliefs, bins)
        later = self._game.spread_on_complete_boards(features, like, bins)
        return lambda beliefs, here: later[here]


class KernelPolicyNetwork(StrategyNetwork):
    """The strategy of the player to act at a public belief state: of bins, spread over hands.

    Args:
        game: hold'em.
        hidden: width of the layers that summarise bins.
        bins: along the percentile of rank, on the last street.
        early_bins: the same before.
        potentials: bins along the potential, before the last street.
    """

    features_on_host = True

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
        streets = [cast(BinNetwork, street) for street in self.streets]
        kinds = Kinds(self._game.layer_of(features) // 2, len(streets), beliefs.device)
        betting = features[:, : self._game.num_betting_features]
        numbers = torch.cat([betting, stack_numbers(self._game.stacks_to_pots(features))], 1)
        numbers = send(numbers.to(beliefs.dtype), beliefs.device)
        given = [kinds.sort(each) for each in (numbers, beliefs, hand_inputs)]
        found = [
            logits_of(streets[some], kinds.counts[some], *(each[rows] for each in given))
            for some, rows in kinds.parts(len(streets) - 1)
        ]
        return log_strategy(kinds.unsort(torch.cat(found)), beliefs, legal)


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
