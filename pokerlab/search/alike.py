"""Hands that are alike in forests of trees that have one only of the first deals that are alike."""

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints


class AlikeHands:
    """Gives them the mean of their values, in the sequences that begin above the first deal.

    Args:
        first: ``[B, H]`` the first of the hands that are like each one.
        subgame: ``[D]`` of the decision nodes.
        above_deal: ``[n]`` those above the first deal, ascending.
    """

    def __init__(self, first: Tensor, subgame: Tensor, above_deal: Ints) -> None:
        self._first, self._subgame, self._above_deal = first, subgame, above_deal
        self._nodes: dict[tuple[int, int], Tensor] = {}  # of steps, on the device
        number = torch.zeros_like(first).scatter_add_(1, first, torch.ones_like(first))
        self._number = number.gather(1, first)

    def even_out(self, edges: Tensor, step: slice) -> None:
        """The edges ``[A, D, H]`` of those of the nodes ``step`` that lie above the first deal."""
        nodes = self._nodes.get((step.start, step.stop))
        if nodes is None:
            bounds = np.searchsorted(self._above_deal, [step.start, step.stop])
            nodes = torch.as_tensor(self._above_deal[slice(*bounds)], device=edges.device)
            self._nodes[step.start, step.stop] = nodes
        edges[:, nodes] = self._mean(edges[:, nodes], self._subgame[nodes])

    def even_out_roots(self, roots: Tensor) -> None:
        """``[B, H]`` a player's empty sequences."""
        roots.copy_(self._mean(roots, torch.arange(len(roots), device=roots.device)))

    def _mean(self, values: Tensor, subgame: Tensor) -> Tensor:
        """``[..., n, H]`` values in subgames ``[n]``."""
        first = self._first[subgame].expand(values.shape)
        total = torch.zeros_like(values).scatter_add_(-1, first, values)
        return total.gather(-1, first) / self._number[subgame]
