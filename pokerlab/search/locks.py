"""Strategies that are given at some public states, hand by hand, and left as they are by solving."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Bools, Floats, Ints
from pokerlab.search.forest import Forest

NOTHING = 1e-30
"""What locked hands start the sums of their strategies with: it counts where a hand never comes."""


@dataclass(frozen=True, slots=True)
class Locks:
    """What is given at ``n`` decision nodes of a tree."""

    node: Ints
    """``[n]``."""
    locked: Bools
    """``[n, H]`` the hands that are bound to it."""
    edges: Floats
    """``[e, H]`` how often they take each action, node by node; other hands' mean nothing."""

    def spread(self, forest: Forest) -> tuple[Tensor, Tensor]:
        """``[D, H]`` what is locked, and ``[A, D, H]`` the strategies, on a forest of the one tree."""
        tree = forest.trees[0]
        edges = np.zeros((tree.num_edges, forest.game.num_hands))
        edges[np.r_[tuple(tree.edges_of(node) for node in self.node)]] = self.edges
        locked = torch.zeros(forest.edge_shape[1:], dtype=torch.bool)
        at = forest.decision_index(np.zeros_like(self.node), self.node)
        locked[torch.as_tensor(at)] = torch.as_tensor(self.locked)
        given = torch.as_tensor(edges, device=forest.device).to(forest.dtype)
        return locked.to(forest.device), forest.from_edges(given)
