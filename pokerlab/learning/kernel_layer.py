"""What networks that know cards are made of: bins of hands, and kernels between them.

See :mod:`pokerlab.learning.kernel_network`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pokerlab.learning.hats import Columns, Hats, find_hat
from pokerlab.learning.kernel_loops import LEAST_MASS
from pokerlab.learning.kinds import pad
from pokerlab.search.leaves import multiply_in

OF_BIN = 8
"""Numbers that the summary says to each bin alone."""
STACK_NUMBERS = 4
"""That networks see of a stack."""
CONTEXT = 64
"""Numbers that it says to all."""
Linear = Callable[[nn.Linear, Tensor], Tensor]
"""Applies a layer."""


def potential_bins(potential: np.ndarray, potentials: int) -> tuple[np.ndarray, np.ndarray]:
    """``[U, H]`` the bin at or below each hand's potential, and how far it is above that, in bins."""
    if potentials == 1 or not (potential > 0).any():  # on complete boards no hand has any
        return np.zeros(potential.shape, np.int64), np.zeros_like(potential)
    lower, above = find_hat(torch.from_numpy(potential), potentials)
    return lower.numpy(), above.numpy()


def hold(beliefs: Tensor, possible: Tensor) -> Tensor:
    """``[n, 2, H]`` beliefs in possible hands, ``[n, H]``."""
    held = beliefs * possible[:, None]
    return held / held.sum(2, keepdim=True).clamp_min(1e-30)


def inputs_of_bins(sums: Tensor, numbers: Tensor) -> Tensor:
    """What :class:`BinNetwork` is told.

    Args:
        sums: ``[n, 4, B]`` both players' mass in bins, and times check-down values.
        numbers: of the public state, ``[n, numbers]``.

    Returns:
        ``[n, 4 B + numbers]``: of the first two, a multiple; of the others, means.
    """
    mass, expected = sums[:, :2], sums[:, 2:]
    check_down = expected / mass.clamp_min(LEAST_MASS)
    return torch.cat([(mass * (mass.shape[2] / 4)).flatten(1), check_down.flatten(1), numbers], 1)


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

    def forward(self, inputs: Tensor, linear: Linear = nn.Linear.__call__) -> Tensor:
        """``[..., 4 B + numbers]``, see :func:`inputs_of_bins` → ``[..., B, outputs]``.

        ``linear`` applies a layer.
        """
        number = len(self.place)
        summary = _apply(self.summary, inputs, linear)
        context = torch.cat([summary[..., :CONTEXT], inputs[..., 4 * number :]], -1)
        in_bin = [
            summary[..., CONTEXT:].unflatten(-1, (number, OF_BIN)),
            inputs[..., : 4 * number].unflatten(-1, (4, number)).mT,
            self.place.to(inputs.dtype).expand(*inputs.shape[:-1], -1, -1),
        ]
        outputs = linear(self.of_context, context)[..., None, :] + linear(self.of_bin, torch.cat(in_bin, -1))
        return _apply(self.shared, outputs, linear)

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


def _apply(layers: nn.Sequential, inputs: Tensor, linear: Linear) -> Tensor:
    for layer in layers:
        inputs = linear(layer, inputs) if isinstance(layer, nn.Linear) else layer(inputs)
    return inputs


def ask(networks: Sequence[BinNetwork], counts: Sequence[int], inputs: Tensor) -> Tensor:
    """What networks of one shape say, each about rows of its own: on a GPU, all of them at once.

    Args:
        networks: ``k`` of them.
        counts: how many rows each has.
        inputs: ``[n, 4 B + numbers]``, the rows of the first network first.

    Returns:
        ``[n, B, outputs]``, in the precision of the inputs.
    """
    asked = [(network, count) for network, count in zip(networks, counts, strict=True) if count]
    if len(asked) == 1:
        return asked[0][0](inputs).to(inputs)
    if inputs.device.type == "cpu":  # to copy weights would take longer
        parts = inputs.split([count for _, count in asked])
        return torch.cat([network(part) for (network, _), part in zip(asked, parts, strict=True)]).to(inputs)
    networks, counts = zip(*asked, strict=True)  # the others' weights have no gradients
    rows, place = pad(counts, inputs.device)
    padded = inputs.index_select(0, rows).unflatten(0, (len(counts), -1))
    outputs = networks[0](padded, Stacked(networks))
    return outputs.flatten(0, 1).index_select(0, place).to(inputs)


class Stacked:
    """The weights of ``k`` networks of one shape in one tensor: applies a layer of the first to ``[k, ...]``.

    Args:
        networks: of one class, whose parameters are all linear layers'.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        first, device = networks[0], next(networks[0].parameters()).device.type
        flat = torch.cat([weight.flatten() for network in networks for weight in network.parameters()])
        if torch.is_autocast_enabled(device):
            flat = flat.to(torch.get_autocast_dtype(device))
        sizes = [weight.numel() for weight in first.parameters()]
        parts = flat.view(len(networks), -1).split(sizes, 1)
        self._weights = {
            id(weight): part.unflatten(1, weight.shape)
            for weight, part in zip(first.parameters(), parts, strict=True)
        }

    def __call__(self, layer: nn.Linear, inputs: Tensor) -> Tensor:
        weight, rows = self._weights[id(layer.weight)].mT, inputs.flatten(1, -2)
        if layer.bias is None:
            outputs = rows @ weight
        else:
            outputs = torch.baddbmm(self._weights[id(layer.bias)][:, None], rows, weight)
        return outputs.unflatten(1, inputs.shape[1:-1])


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
    columns: Tensor
    """``[H, C + 1]`` of sums by card: a hand's own, and that of all hands."""
    signs: Tensor
    """``[2, C + 1]`` that a hand has part in all; that it meets all hands less those with its cards."""
    meets: Tensor
    """``[N + 1, H]`` the latter, by column and hand."""
    sign: Tensor
    turn: Tensor
    """``[2, 1]`` what one player wins, the other loses."""

    def __init__(self, hand_cards: Tensor, bins: int, potentials: int, rank: int, hidden: int) -> None:
        super().__init__()
        self.number = int(hand_cards.max()) + 1
        self.register_buffer("cards", hand_cards, persistent=False)
        self.bins, self.potentials, self.rank, self.hidden = bins, potentials, rank, hidden
        self.factors = BinNetwork(bins, potentials, STACK_NUMBERS, 4 * rank, hidden)
        place = torch.arange(bins).repeat_interleave(potentials)
        self.register_buffer("sign", (place[:, None] - place).sign().float(), persistent=False)
        columns = functional.pad(hand_cards, (0, 1), value=self.number)
        signs = torch.ones(2, columns.shape[1])
        signs[1, :-1] = -1
        meets = torch.zeros(self.number + 1, len(columns)).scatter_(
            0, columns.T, signs[1:].T.expand_as(columns.T)
        )
        for name, buffer in {"columns": columns, "signs": signs, "meets": meets}.items():
            self.register_buffer(name, buffer, persistent=False)
        self.register_buffer("turn", torch.tensor([[1.0], [-1.0]]), persistent=False)

    def forward(self, stack_to_pot: Tensor, beliefs: Tensor, inputs: Tensor) -> Tensor:
        """``[n]``, ``[n, 2, H]``, ``[n, I, H]`` → values ``[n, 2, H]`` in pots."""
        return values_of([self], [len(beliefs)], stack_numbers(stack_to_pot), beliefs, inputs)

    def factors_of(self, sums: Tensor, stack_numbers: Tensor) -> Tensor:
        """``[n, 4, B]`` both players' mass in bins, and times check-down values → ``[n, B, 4 R]``."""
        return ask([self.factors], [len(sums)], inputs_of_bins(sums, stack_numbers))

    def kernel(self, factors: Tensor) -> Tensor:
        """``[n, B, B]`` what a bin wins from another beyond the check-down, in pots, before it is scaled."""
        a, b, c, e = factors.chunk(4, 2)
        return torch.addcmul(a @ b.mT, self.sign, c @ e.mT)

    def scale(self, stack_to_pot: Tensor) -> Tensor:
        """``[n]`` of kernels."""
        return stack_to_pot / (1 + stack_to_pot) / self.rank**0.5


class HistogramLayer(KernelLayer):
    """The same before the last street, told how often hands will rank how high when more cards are dealt.

    Hands have part in further bins: by their percentile later, and by their check-down value, which differs
    between players. These add to A and B. That is done hand by hand: a hand has part in many bins.

    Args:
        hand_cards: see :class:`KernelLayer`.
        bins: the same.
        potentials: the same.
        rank: the same.
        hidden: the same.
        later: ``X`` bins along the percentile later, and as many along the check-down value.
    """

    holds: Tensor
    """``[H, N + 1]`` 1 in the columns that a hand has part in."""

    def __init__(
        self, hand_cards: Tensor, bins: int, potentials: int, rank: int, hidden: int, later: int
    ) -> None:
        super().__init__(hand_cards, bins, potentials, rank, hidden)
        self.later = later
        self.further = BinNetwork(2 * later, 1, STACK_NUMBERS, 2 * rank, hidden)
        self.register_buffer("holds", self.meets.abs().mT.contiguous(), persistent=False)

    def further_of(self, sums: Tensor, stack_numbers: Tensor) -> Tensor:
        """``[n, 4, 2 X]`` as in :meth:`factors_of`, of further bins → ``[n, 2 X, 2 R]`` parts of A and B."""
        return ask([self.further], [len(sums)], inputs_of_bins(sums, stack_numbers))


def values_by_vectors(
    layers: Sequence[HistogramLayer],
    counts: Sequence[int],
    stacks: Tensor,
    beliefs: Tensor,
    inputs: Tensor,
    later: Tensor,
) -> Tensor:
    """:func:`values_of` of histogram layers.

    Args:
        layers: of the kinds.
        counts: the same.
        stacks: the same.
        beliefs: the same.
        inputs: the same.
        later: ``[n, X, H]`` how often hands will rank how high.

    Returns:
        ``[n, 2, H]`` in pots.
    """
    layer, check_down = layers[0], inputs[:, :2]
    with torch.no_grad(), multiply_in("float32", beliefs.device):
        hats, held, meets, by_card, sums, won = _put_in_bins(layer, stacks, beliefs, inputs)
        theirs = held.flip(1)
        worth = _spread_along((check_down + 1) / 2, layer.later) * hats.possible[:, None, None]
        shares = torch.cat([later[:, None].expand_as(worth), worth], 2)  # [n, 2, 2 X, H]
        of_hands = torch.stack([held, held * check_down], 1)  # [n, 2, players, H]
        further = torch.einsum("npxh,ncph->ncpx", shares, of_hands).flatten(1, 2)
    factors = ask([each.factors for each in layers], counts, inputs_of_bins(sums, stacks))
    ab, ce = factors.split(2 * layer.rank, 2)
    further_ab = ask([each.further for each in layers], counts, inputs_of_bins(further, stacks))
    with multiply_in("float32", beliefs.device):
        c, e = ce.chunk(2, 2)
        kernel = layer.sign * (c @ e.mT)
        rest = hats.spread(torch.stack([kernel, kernel.mT], 1) @ by_card, meets)
        of_shares = further_ab.unflatten(2, (2, -1)).permute(0, 2, 3, 1) @ shares
        a, b = (hats.spread(ab.mT.contiguous()).unflatten(1, (2, -1)) + of_shares).unbind(1)
        moved = torch.cat([b * theirs[:, :1], a * theirs[:, 1:]], 1)
        met = (moved + (moved @ layer.holds) @ layer.meets).unflatten(1, (2, -1))
        rest = rest + (torch.stack([a, b], 1) * met).sum(2)
        return torch.addcmul(check_down / 2, rest, won)


def _spread_along(places: Tensor, bins: int) -> Tensor:
    """``[n, C, H]`` from 0 to 1 → ``[n, C, X, H]`` hat functions."""
    lower, above = find_hat(places, bins)
    lower, above = lower[:, :, None], above[:, :, None]
    shares = places.new_zeros(*places.shape[:2], bins, places.shape[2])
    return shares.scatter_(2, lower, 1 - above).scatter_(2, lower + 1, above)


def stack_numbers(stack_to_pot: Tensor) -> Tensor:
    """``[n]`` → ``[n, STACK_NUMBERS]`` what networks see of it."""
    half = stack_to_pot.clamp_min(1e-3).log() / 2
    share = stack_to_pot / (1 + stack_to_pot)
    return torch.stack([half, share, 1 / (1 + 2 * stack_to_pot), half.square() / 2], 1)


def values_of(
    layers: Sequence[KernelLayer], counts: Sequence[int], stacks: Tensor, beliefs: Tensor, inputs: Tensor
) -> Tensor:
    """Values of belief states of several kinds, whose layers are of one shape.

    Args:
        layers: of the kinds.
        counts: how many belief states each has, the first kind's first.
        stacks: ``[n, STACK_NUMBERS]``.
        beliefs: ``[n, 2, H]``.
        inputs: ``[n, I, H]``.

    Returns:
        ``[n, 2, H]`` in pots.
    """
    layer = layers[0]
    with torch.no_grad(), multiply_in("float32", beliefs.device):
        hats, held, meets, by_card, sums, won = _put_in_bins(layer, stacks, beliefs, inputs)
    factors = ask([each.factors for each in layers], counts, inputs_of_bins(sums, stacks))
    with multiply_in("float32", beliefs.device):
        kernel = layer.kernel(factors)
        rest = hats.spread(torch.stack([kernel, kernel.mT], 1) @ by_card, meets)
        itself = hats.spread(kernel.diagonal(dim1=1, dim2=2)[:, None])  # what both cards take away
        return torch.addcmul(inputs[:, :2] / 2, torch.addcmul(rest, held.flip(1), itself), won)


class _InBins(NamedTuple):
    """Hands of ``n`` belief states in bins of a layer."""

    hats: Hats
    held: Tensor
    """``[n, 2, H]`` beliefs in possible hands."""
    meets: Columns
    """Of the hands that share no card with a hand."""
    by_card: Tensor
    """``[n, 2, B, N + 1]`` the other's beliefs by bin and card; last, in all hands."""
    sums: Tensor
    """``[n, 4, B]`` both players' mass in bins, and times check-down values."""
    won: Tensor
    """``[n, 2, H]`` what a sum over the other's hands is to be multiplied with."""


def _put_in_bins(layer: KernelLayer, stacks: Tensor, beliefs: Tensor, inputs: Tensor) -> _InBins:
    """See :func:`values_of`; sums over hands need all digits."""
    hats = Hats(inputs[:, 2:], layer.bins, layer.potentials)
    held = hold(beliefs, hats.possible)
    theirs = held.flip(1)
    part, meets = (Columns(layer.columns, signs, layer.number + 1) for signs in layer.signs)
    by_card = hats.collect(theirs, part)
    sums = torch.cat([by_card[..., -1].flip(1), hats.collect(held * inputs[:, :2])], 1)
    met = theirs + by_card.sum(2) @ layer.meets
    won = layer.turn * stacks[:, None, 1:2] / layer.rank**0.5 / met.clamp_min(LEAST_MASS)
    return _InBins(hats, held, meets, by_card, sums, won)


def logits_of(
    networks: Sequence[BinNetwork], counts: Sequence[int], numbers: Tensor, beliefs: Tensor, inputs: Tensor
) -> Tensor:
    """What networks of one shape say of hands.

    Args:
        networks: of several kinds of belief states.
        counts: how many belief states each has, the first kind's first.
        numbers: ``[n, numbers]`` of the public states.
        beliefs: ``[n, 2, H]``.
        inputs: ``[n, I, H]``.

    Returns:
        ``[n, outputs, H]``.
    """
    with torch.no_grad():
        hats = Hats(inputs[:, 2:], networks[0].bins, networks[0].potentials)
        held = hold(beliefs, hats.possible)
        sums = hats.collect(torch.cat([held, held * inputs[:, :2]], 1))
        of_bins = inputs_of_bins(sums, numbers)
    return hats.spread(ask(networks, counts, of_bins).mT)
