"""The strategies of chosen iterations."""

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Ints
from pokerlab.search.forest import Forest, uniform_strategy


class SampledStrategies:
    """The strategies of chosen iterations of chosen subgames, as a forest of copies of those subgames.

    With CFR-AVG, the average strategies before those iterations: their beliefs are what leaves were valued
    under in the iteration before. In the first, the strategy that is started from.

    Args:
        forest: the subgames.
        subgame: ``[n]`` which subgame each copy copies.
        iteration: ``[n]`` which iteration's strategy it plays, from 1.
    """

    def __init__(self, forest: Forest, subgame: Ints, iteration: Ints) -> None:
        self.subgame, self.iteration = subgame, iteration
        self.copies = forest.copies(subgame)
        self.strategy = uniform_strategy(self.copies)
        """``[A, D, H]`` on ``copies``; what is not yet sampled is uniform."""
        node = forest.copy_from(self.copies, subgame)
        of_node = iteration[self.copies.decisions.subgame.numpy(force=True)]
        order = np.argsort(of_node, kind="stable")
        self._to, self._from = (
            torch.as_tensor(i[order], device=forest.device) for i in (np.arange(len(node)), node)
        )
        self._until = np.searchsorted(
            of_node[order], np.arange(iteration.max(initial=0) + 1), side="right"
        ).tolist()

    def is_due(self, iteration: int) -> bool:
        """Whether the strategy of ``iteration`` is wanted for any copy."""
        return iteration < len(self._until) and self._until[iteration - 1] < self._until[iteration]

    def record(self, iteration: int, strategy: Tensor) -> None:
        """Keeps ``strategy`` ``[A, D, H]``, the subgames' at ``iteration``, in the copies that are due."""
        if self.is_due(iteration):
            due = slice(self._until[iteration - 1], self._until[iteration])
            self.strategy[:, self._to[due]] = strategy[:, self._from[due]]
