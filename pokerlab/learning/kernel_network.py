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

import functools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pokerlab.games.base import Game
from pokerlab.games.parts import with_hand_inputs
from pokerlab.learning.networks import LeafNetwork, StrategyNetwork, log_strategy
from pokerlab.search.leaves import LeafValues, multiply_in

LEAST_MASS = 1e-6
"""Of the hands that a hand can meet: below that its value means nothing."""
OF_BIN = 8
"""Numbers that the summary says to each bin alone."""
STACK_NUMBERS = 4
"""That networks see of a stack."""
CONTEXT = 64
"""Numbers that it says to all."""


class Hats:
    """Which bins hands belong to: hat functions along two coordinates, ``J`` bins a hand.

    Args:
        percentile: ``[n, H]`` from 0 to 1; negative: no bin.
        potential: ``[n, H]`` from 0 to 1.
        bins: ``K`` along the percentile.
        potentials: ``P`` along the potential.
    """

    def __init__(self, percentile: Tensor, potential: Tensor, bins: int, potentials: int) -> None:
        index, weight = _hat(percentile, bins)
        weight = weight * (percentile >= 0)[..., None]
        if potentials > 1:
            second, share = _hat(potential, potentials)
            index = (index[..., :, None] * potentials + second[..., None, :]).flatten(-2)
            weight = (weight[..., :, None] * share[..., None, :]).flatten(-2)
        self.index = index
        """``[n, H, J]``."""
        self.weight = weight
        """``[n, H, J]``."""
        self.bins = bins * potentials

    def collect(self, values: Tensor) -> Tensor:
        """``[n, C, H]`` of hands → ``[n, C, B]`` sums in bins."""
        sums = values.new_zeros(*values.shape[:2], self.bins)
        return self._add(values, self.index.flatten(1), sums)

    def _add(self, values: Tensor, index: Tensor, sums: Tensor) -> Tensor:
        spread = (values[..., None] * self.weight[:, None]).flatten(2)
        return sums.scatter_add_(2, index[:, None].expand_as(spread), spread)

    def by_card(self, cards: Tensor, number: int) -> list[Tensor]:
        """Where hands' bins are among bins and ``number`` cards: ``[n, H · J]`` for each card of a hand."""
        return [(self.index * number + card[:, None]).flatten(1) for card in cards.T]

    def collect_cards(self, values: Tensor, by_card: Sequence[Tensor], number: int) -> Tensor:
        """``[n, C, H]`` of hands → ``[n, C, B, number]`` sums over the hands with each card."""
        sums = values.new_zeros(*values.shape[:2], self.bins * number)
        for index in by_card:
            self._add(values, index, sums)
        return sums.unflatten(2, (self.bins, number))

    def spread(self, values: Tensor) -> Tensor:
        """``[n, C, B]`` of bins → ``[n, C, H]``."""
        n, channels, _ = values.shape
        hands, each = self.index.shape[1:]
        index = self.index.flatten(1)[:, None].expand(n, channels, -1)
        return (values.gather(2, index).unflatten(2, (hands, each)) * self.weight[:, None]).sum(3)

    def spread_cards(self, values: Tensor, by_card: Sequence[Tensor]) -> Tensor:
        """``[n, B, number]`` of bins and cards → ``[n, H]`` the sum over a hand's cards."""
        flat = values.flatten(1)
        found = functools.reduce(torch.add, (flat.gather(1, index) for index in by_card))
        return (found.view_as(self.weight) * self.weight).sum(2)


def _hat(coordinate: Tensor, knots: int) -> tuple[Tensor, Tensor]:
    """The two knots next to each coordinate in [0, 1], and how near they are, ``[..., 2]``."""
    place = coordinate.clamp(0, 1) * (knots - 1)
    lower = place.long().clamp_max(knots - 2)
    above = place - lower
    return torch.stack([lower, lower + 1], -1), torch.stack([1 - above, above], -1)


@torch.no_grad()
def collect(
    beliefs: Tensor, inputs: Tensor, bins: int, potentials: int
) -> tuple[Hats, Tensor, tuple[Tensor, Tensor]]:
    """What bins hold.

    Args:
        beliefs: ``[n, 2, H]``.
        inputs: ``[n, I, H]``.
        bins: along the percentile.
        potentials: along the potential.

    Returns:
        The bins, ``[n, 2, H]`` beliefs in possible hands, ``[n, 2, B]`` their mass in bins and the mean
        check-down values there.
    """
    check_down, percentile, potential = inputs[:, :2], inputs[:, 2], inputs[:, 3]
    held = beliefs * (percentile >= 0)[:, None]
    held = held / held.sum(2, keepdim=True).clamp_min(1e-30)
    hats = Hats(percentile, potential, bins, potentials)
    sums = hats.collect(torch.cat([held, held * check_down], 1))
    mass = sums[:, :2]
    return hats, held, (mass, sums[:, 2:] / mass.clamp_min(LEAST_MASS))


class BinNetwork(nn.Module):
    """From what is in bins to a few numbers for each bin.

    Args:
        bins: ``K`` along the percentile.
        potentials: ``P`` along the potential.
        numbers: of the public state.
        outputs: for each bin.
        hidden: width of the summary's layers; half of it, of those shared by the bins.
    """

    place: Tensor

    def __init__(self, bins: int, potentials: int, numbers: int, outputs: int, hidden: int) -> None:
        super().__init__()
        number, shared = bins * potentials, hidden // 2
        self.bins, self.potentials = bins, potentials
        self.summary = nn.Sequential(
            nn.Linear(4 * number + numbers, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, CONTEXT + OF_BIN * number),
        )  # fmt: skip
        first = torch.linspace(-1, 1, bins).repeat_interleave(potentials)
        second = torch.linspace(-1, 1, potentials).repeat(bins) if potentials > 1 else torch.zeros(bins)
        place = torch.stack([first, first**2, second, second**2, first * second], 1)
        self.register_buffer("place", place, persistent=False)
        self.of_context = nn.Linear(CONTEXT + numbers, shared)
        self.of_bin = nn.Linear(OF_BIN + 4 + place.shape[1], shared, bias=False)
        self.shared = nn.Sequential(
            nn.GELU(), nn.Linear(shared, shared), nn.GELU(), nn.Linear(shared, outputs)
        )

    def forward(self, mass: Tensor, check_down: Tensor, numbers: Tensor) -> Tensor:
        """``[n, 2, B]`` mass and mean check-down values, ``[n, numbers]`` → ``[n, B, outputs]``."""
        mass = mass * (mass.shape[2] / 4)
        summary = self.summary(torch.cat([mass.flatten(1), check_down.flatten(1), numbers], 1))
        context, of_bin = summary[:, :CONTEXT], summary[:, CONTEXT:].unflatten(1, (-1, OF_BIN))
        in_bin = torch.cat(
            [of_bin, mass.transpose(1, 2), check_down.transpose(1, 2), self.place.expand(len(mass), -1, -1)],
            2,
        )
        first = self.of_context(torch.cat([context, numbers], 1))[:, None] + self.of_bin(in_bin)
        outputs: Tensor = self.shared(first)
        return outputs


class KernelLayer(nn.Module):
    """Values of one kind of belief states.

    Args:
        hand_cards: ``[H, C]``.
        bins: along the percentile.
        potentials: along the potential.
        rank: ``R`` of the kernels.
        hidden: see :class:`BinNetwork`.
    """

    cards: Tensor
    sign: Tensor

    def __init__(self, hand_cards: Tensor, bins: int, potentials: int, rank: int, hidden: int) -> None:
        super().__init__()
        self.number = int(hand_cards.max()) + 1
        self.register_buffer("cards", hand_cards, persistent=False)
        self.bins, self.potentials, self.rank = bins, potentials, rank
        self.factors = BinNetwork(bins, potentials, STACK_NUMBERS, 4 * rank, hidden)
        place = torch.arange(bins).repeat_interleave(potentials)
        self.register_buffer("sign", (place[:, None] - place).sign().float(), persistent=False)

    def forward(self, stack_to_pot: Tensor, beliefs: Tensor, inputs: Tensor) -> Tensor:
        """``[n]``, ``[n, 2, H]``, ``[n, I, H]`` → values ``[n, 2, H]`` in pots."""
        with torch.no_grad():
            hats, held, (mass, check_down) = collect(beliefs, inputs, self.bins, self.potentials)
            by_card = hats.by_card(self.cards, self.number)
            of_cards = hats.collect_cards(held, by_card, self.number)  # [n, 2, B, N]
            met = _met(held, of_cards.sum(2), self.cards)
        factors = self.factors(mass, check_down, stack_numbers(stack_to_pot)).to(mass.dtype)
        rests = []
        with multiply_in("float32", beliefs.device):  # sums over hands need all digits
            kernel = self._kernel(factors, stack_to_pot)
            itself = kernel.diagonal(dim1=1, dim2=2)
            for theirs, gain, own in ((1, kernel, itself), (0, -kernel.transpose(1, 2), -itself)):
                won = torch.stack([(gain @ mass[:, theirs, :, None])[..., 0], own], 1)
                won = hats.spread(won)  # from all, and from the same hand, which both cards take away
                taken = hats.spread_cards(gain @ of_cards[:, theirs], by_card)
                rests.append(won[:, 0] - taken + held[:, theirs] * won[:, 1])
        return inputs[:, :2] / 2 + torch.stack(rests, 1) / met.flip(1).clamp_min(LEAST_MASS)

    def _kernel(self, factors: Tensor, stack_to_pot: Tensor) -> Tensor:
        """``[n, B, B]`` what a bin wins from another beyond the check-down, in pots."""
        a, b, c, e = factors.chunk(4, 2)
        kernel = a @ b.transpose(1, 2) + self.sign * (c @ e.transpose(1, 2))
        scale = stack_to_pot / (1 + stack_to_pot) / self.rank**0.5
        scaled: Tensor = scale[:, None, None] * kernel
        return scaled


def stack_numbers(stack_to_pot: Tensor) -> Tensor:
    """``[n]`` → ``[n, STACK_NUMBERS]`` what networks see of it."""
    half = stack_to_pot.clamp_min(1e-3).log() / 2
    share = stack_to_pot / (1 + stack_to_pot)
    return torch.stack([half, share, 1 / (1 + 2 * stack_to_pot), half.square() / 2], 1)


def _met(held: Tensor, of_card: Tensor, cards: Tensor) -> Tensor:
    """``[n, 2, H]`` the mass of the hands that share no card with each; ``of_card``: with each card."""
    return held.sum(2, keepdim=True) + held - sum(of_card[:, :, card] for card in cards.T)


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
        number, hands = layer.bins * layer.potentials, self._num_hands
        # hats of hands in 4 bins and what is gathered from these; sums by bin and card; kernels; a part of
        # the matrix of all-ins that leaves on the same board share
        return 60 * hands + 5 * number * (layer.number + 20) + 4 * number**2 + hands**2 // 8

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
        parts = by_kind(self._game.layer_of(features))
        # search asks in every iteration what a deal is worth, and of what comes after one, once
        again = any(layer % 2 for layer, _ in parts)
        inputs_of = self._game.prepare_hand_inputs(features, possible, again=again)

        def values(beliefs: Tensor) -> Tensor:
            with torch.no_grad():
                by_leaf = beliefs.transpose(0, 1)
                with multiply_in("float32", beliefs.device):
                    inputs = inputs_of(by_leaf)
                if len(parts) == 1:
                    found: Tensor = self.layers[parts[0][0]](stack_to_pot, by_leaf, inputs)
                    return found.transpose(0, 1)
                found = torch.empty_like(by_leaf)
                for layer, here in parts:
                    found[here] = self.layers[layer](stack_to_pot[here], by_leaf[here], inputs[here])
                return found.transpose(0, 1)

        return values


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
    return [(kind, (kind_of == kind).nonzero()[:, 0]) for kind in kind_of.unique().tolist()]


def check_sizes(**sizes: int) -> None:
    """Raises a ValueError where a size of a network is too small."""
    for name, size in sizes.items():
        least = 1 if name in ("potentials", "rank") else 2
        if size < least:
            raise ValueError(f"{name} must be at least {least}, got {size}")
