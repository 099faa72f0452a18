"""Hands that suit isomorphism takes to one another, where a tree keeps one of several isomorphic deals."""

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints


class IsomorphicHands:
    """Gives isomorphic hands the mean of their values, in the sequences that begin above the first deal.

    Args:
        representative: ``[B, H]`` the first of the hands isomorphic to each one.
        subgame: ``[D]`` of the decision nodes.
        above_deal: ``[n]`` those above the first deal, ascending.
    """

    def __init__(self, representative: Tensor, subgame: Tensor, above_deal: Ints) -> None:
        self._representative, self._subgame, self._above_deal = representative, subgame, above_deal
        self._nodes: dict[tuple[int, int], Tensor] = {}  # of steps, on the device
        ones = torch.ones_like(representative)
        number = torch.zeros_like(representative).scatter_add_(1, representative, ones)
        self._number = number.gather(1, representative)

    def average(self, edges: Tensor, step: slice) -> None:
        """Averages ``edges`` ``[A, D, H]`` of those of the nodes ``step`` that lie above the first deal."""
        nodes = self._nodes.get((step.start, step.stop))
        if nodes is None:
            bounds = np.searchsorted(self._above_deal, [step.start, step.stop])
            nodes = torch.as_tensor(self._above_deal[slice(*bounds)], device=edges.device)
            self._nodes[step.start, step.stop] = nodes
        edges[:, nodes] = self._mean(edges[:, nodes], self._subgame[nodes])

    def average_roots(self, roots: Tensor) -> None:
        """Averages a player's empty sequences ``[B, H]``."""
        roots.copy_(self._mean(roots, torch.arange(len(roots), device=roots.device)))

    def _mean(self, values: Tensor, subgame: Tensor) -> Tensor:
        """``[..., n, H]`` values in subgames ``[n]``."""
        representative = self._representative[subgame].expand(values.shape)
        total = torch.zeros_like(values).scatter_add_(-1, representative, values)
        return total.gather(-1, representative) / self._number[subgame]
