"""Payoffs of terminal states, for many games at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Floats, Game, Ints, State, Terminal
from pokerlab.games.parts import OutcomesOnce
from pokerlab.search.terminals import JoinedOperator, put_in_slots

DOUBLE = torch.empty(0, dtype=torch.float64)


def outcomes(game: Game, kernels: Ints, reach: Tensor) -> Tensor:
    """``[m, H]`` mass won less mass lost; row i by kernel ``kernels[i]``.

    Args:
        game: defines the kernels.
        kernels: ``[m]``.
        reach: ``[m, H]`` the opponent's, float64.
    """
    won, left = torch.empty_like(reach), np.ones(len(kernels), dtype=bool)
    if isinstance(game, OutcomesOnce):
        different, which, counts = np.unique(kernels, return_inverse=True, return_counts=True)
        by_kernel = np.split(which.argsort(kind="stable"), counts.cumsum())
        for kernel, rows in zip(different.tolist(), by_kernel, strict=False):
            if (found := game.outcomes_once(kernel, reach[rows])) is not None:
                won[rows], left[rows] = found, False
    if left.any():
        slot, slots, parts = put_in_slots(game, kernels[left], DOUBLE)
        padded, there = reach.new_zeros(slots, reach.shape[1]), torch.as_tensor(slot)
        padded[there] = reach[left]
        won[left] = JoinedOperator(parts)(padded)[there]
    return won


def payoffs_of_pairs(game: Game[State], kernels: Ints, hands: Ints) -> Floats:
    """``[M, K, H]`` opponent's hand, own hand: what is won of one chip; 0 for pairs that cannot be dealt.

    Args:
        game: the rules.
        kernels: ``[M]``.
        hands: ``[K]`` the opponent's.
    """
    held = torch.nn.functional.one_hot(torch.as_tensor(hands), game.num_hands).double()
    operator = game.payoff_operator(kernels.tolist(), held)
    weighted: Floats = operator(held.expand(len(kernels), -1, -1).contiguous()).numpy()
    pairs = game.deal[:, hands].T
    return np.divide(weighted, pairs, out=np.zeros_like(weighted), where=pairs > 0)


def payoffs_by_kernel(game: Game[State], kernel: Ints) -> tuple[Floats, Ints]:
    """``[M, H, H]`` of :func:`payoffs_of_pairs`, of each kernel among ``[T]``, and ``[T]`` which each is."""
    kernels, which = np.unique(kernel, return_inverse=True)
    return payoffs_of_pairs(game, kernels, np.arange(game.num_hands)), which


def payoffs(game: Game, ends: Sequence[Terminal], player: int, reach: Tensor) -> Tensor:
    """``[m, H]`` counterfactual values of ``player`` at terminals.

    Args:
        game: the rules.
        ends: ``m`` terminals.
        player: whose values.
        reach: ``[m, H]`` the opponent's, float64.
    """
    chips = torch.tensor([end.chips[player] for end in ends], dtype=torch.float64)
    return outcomes(game, np.array([end.payoff_kernel for end in ends]), reach) * chips[:, None]


def terminals(game: Game[State], ends: Sequence[State]) -> list[Terminal]:
    """The payoffs of ``m`` terminal states; equal ones are found once."""
    different = {end: game.terminal(end) for end in dict.fromkeys(ends)}
    return [different[end] for end in ends]


def expected_payoff(game: Game, weights: Tensor, values: Tensor, player: int) -> Tensor:
    """``[m]`` a player's expected payoff.

    Args:
        game: gives the probability of pairs of hands.
        weights: ``[2, m, H]`` the weights of both players' hands.
        values: ``[m, H]`` the player's counterfactual values against the opponent's weights.
        player: 0 or 1.
    """
    return (weights[player] * values).sum(-1) / joint_mass(game, weights)


def joint_mass(game: Game, weights: Tensor) -> Tensor:
    """``[m]`` the total probability of all pairs of hands with weights ``[2, m, H]``."""
    return (weights[0] * game.mass_operator(DOUBLE)(weights[1])).sum(-1)


def hand_probabilities(game: Game, beliefs: Tensor) -> Tensor:
    """``[n, 2, H]`` of each player's hands, given that the players' cards can be dealt together.

    Args:
        game: gives the probability of pairs of hands.
        beliefs: ``[n, 2, H]``.
    """
    joint = beliefs * game.mass_operator(beliefs)(beliefs.flip(1))
    return joint / joint.sum(2, keepdim=True).clamp_min(1e-30)


def realised_payoffs(game: Game[State], ends: Sequence[State], hands: Ints) -> Tensor:
    """``[m]`` chips that player 0 won with ``hands`` ``[m, 2]`` at terminal states."""
    weights = torch.nn.functional.one_hot(torch.as_tensor(hands.T.copy()), game.num_hands).double()
    return expected_payoff(game, weights, payoffs(game, terminals(game, ends), 0, weights[1]), 0)
