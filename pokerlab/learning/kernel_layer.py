"""What networks that know cards are made of: bins of hands, and kernels between them.

See :mod:`pokerlab.learning.kernel_network`.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.learning.kernel_loops import LEAST_MASS
from pokerlab.search.leaves import multiply_in

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
        index, weight = find_hat(percentile, bins)
        weight = weight * (percentile >= 0)[..., None]
        if potentials > 1:
            second, share = find_hat(potential, potentials)
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


def find_hat(coordinate: Tensor, knots: int) -> tuple[Tensor, Tensor]:
    """The two knots next to each coordinate in [0, 1], and how near they are, ``[..., 2]``."""
    place = coordinate.clamp(0, 1) * (knots - 1)
    lower = place.long().clamp_max(knots - 2)
    above = place - lower
    return torch.stack([lower, lower + 1], -1), torch.stack([1 - above, above], -1)


def potential_bins(potential: np.ndarray, potentials: int) -> tuple[np.ndarray, np.ndarray]:
    """``[U, H]`` the bin at or below each hand's potential, and how far it is above that, in bins."""
    if potentials == 1:
        return np.zeros(potential.shape), np.zeros(potential.shape)
    index, weight = find_hat(torch.from_numpy(potential), potentials)
    return index[..., 0].numpy(), weight[..., 1].numpy()


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

    @property
    def num_inputs(self) -> int:
        """Of the layers that bins share."""
        return self.of_context.in_features + self.of_bin.in_features

    def prepare_inputs(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """For :meth:`of_inputs` of ``[n, numbers]`` public states: arrays with what does not change.

        Returns:
            ``[n, 4 B + numbers]``: of the summary, what bins hold to be set; ``[n, B, inputs]``: the same of
            the layers that bins share, whose first columns :meth:`of_inputs` sets.
        """
        number = self.bins * self.potentials
        of_summary = torch.cat([numbers.new_zeros(len(numbers), 4 * number), numbers], 1)
        of_bins = numbers.new_zeros(len(numbers), number, self.num_inputs)
        of_bins[:, :, CONTEXT : self.of_context.in_features] = numbers[:, None]
        of_bins[:, :, -self.place.shape[1] :] = self.place
        return of_summary, of_bins

    def of_inputs(self, of_summary: Tensor, of_bins: Tensor) -> Tensor:
        """:meth:`forward` of such arrays, in fewer operations."""
        summary, at = self.summary(of_summary), self.of_context.in_features
        of_bins[:, :, :CONTEXT] = summary[:, None, :CONTEXT]
        of_bins[:, :, at : at + OF_BIN] = summary[:, CONTEXT:].unflatten(1, (-1, OF_BIN))
        weight = torch.cat([self.of_context.weight, self.of_bin.weight], 1)
        outputs: Tensor = self.shared(functional.linear(of_bins, weight, self.of_context.bias))
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
        self.bins, self.potentials, self.rank, self.hidden = bins, potentials, rank, hidden
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
            kernel = self.kernel(factors, stack_to_pot)
            itself = kernel.diagonal(dim1=1, dim2=2)
            for theirs, gain, own in ((1, kernel, itself), (0, -kernel.transpose(1, 2), -itself)):
                won = torch.stack([(gain @ mass[:, theirs, :, None])[..., 0], own], 1)
                won = hats.spread(won)  # from all, and from the same hand, which both cards take away
                taken = hats.spread_cards(gain @ of_cards[:, theirs], by_card)
                rests.append(won[:, 0] - taken + held[:, theirs] * won[:, 1])
        return inputs[:, :2] / 2 + torch.stack(rests, 1) / met.flip(1).clamp_min(LEAST_MASS)

    def factors_of(self, sums: Tensor, stack_numbers: Tensor) -> Tensor:
        """``[n, 4, B]`` both players' mass in bins, and times check-down values → ``[n, B, 4 R]``."""
        mass, expected = sums[:, :2], sums[:, 2:]
        check_down = expected / mass.clamp_min(LEAST_MASS)
        factors: Tensor = self.factors(mass, check_down, stack_numbers)
        return factors.to(sums.dtype)

    def kernel(self, factors: Tensor, stack_to_pot: Tensor) -> Tensor:
        """``[n, B, B]`` what a bin wins from another beyond the check-down, in pots."""
        return self.kernel_of(factors, self.scale(stack_to_pot))

    def kernel_of(self, factors: Tensor, scale: Tensor) -> Tensor:
        """The same for ``[n]`` scales."""
        a, b, c, e = factors.chunk(4, 2)
        kernel = torch.addcmul(a @ b.transpose(1, 2), self.sign, c @ e.transpose(1, 2))
        return kernel * scale[:, None, None]

    def scale(self, stack_to_pot: Tensor) -> Tensor:
        """``[n]`` of kernels."""
        return stack_to_pot / (1 + stack_to_pot) / self.rank**0.5


def stack_numbers(stack_to_pot: Tensor) -> Tensor:
    """``[n]`` → ``[n, STACK_NUMBERS]`` what networks see of it."""
    half = stack_to_pot.clamp_min(1e-3).log() / 2
    share = stack_to_pot / (1 + stack_to_pot)
    return torch.stack([half, share, 1 / (1 + 2 * stack_to_pot), half.square() / 2], 1)


def _met(held: Tensor, of_card: Tensor, cards: Tensor) -> Tensor:
    """``[n, 2, H]`` the mass of the hands that share no card with each; ``of_card``: with each card."""
    return held.sum(2, keepdim=True) + held - sum(of_card[:, :, card] for card in cards.T)
