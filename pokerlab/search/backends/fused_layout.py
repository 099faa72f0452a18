"""What the kernel of a player's update walks over, laid out once for a forest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Floats, Ints
from pokerlab.search.forest import Forest


@dataclass(frozen=True, slots=True)
class Sources:
    """What adds to the values of a player's sequences, ``n`` of them: ``factor · worth[index]``."""

    row: Ints
    """``[n]`` sequence rows."""
    index: Ints
    """``[n]`` in worth; −1 − l: leaf l's value."""
    factor: Floats
    """``[n]``."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A player's ``K`` nodes, subgame by subgame from the root down, and their ``E`` edges in that order."""

    node_at: Tensor
    """``[B + 1]`` where each subgame's nodes begin."""
    node: Tensor
    """``[K]`` decision nodes."""
    above: Tensor
    """``[K]`` the sequence row of each."""
    uniform: Tensor
    """``[K]`` the probability of each action under the uniform strategy."""
    first_edge: Tensor
    """``[K + 1]`` where each node's edges begin."""
    source_at: Tensor
    """``[E + B + 1]`` where the sources of each edge, then of each root, begin."""
    source: Tensor
    """``[S]`` row in worth; −1 − l: leaf l's value."""
    factor: Tensor
    """``[S]``."""

    @property
    def arrays(self) -> list[Tensor]:
        """All, in the kernel's order."""
        return [getattr(self, name) for name in self.__slots__]


def lay_out_walk(forest: Forest, player: int, ends: Sequence[Sources], first_value: int) -> Walk:
    """A player's walk.

    Args:
        forest: the subgames.
        player: 0 or 1.
        ends: terminals and leaves.
        first_value: where in worth the values of the player's nodes begin.
    """
    subgames, nodes = forest.num_subgames, forest.player_nodes[player]
    subgame = forest.decisions.subgame[nodes].numpy(force=True)
    order = np.argsort(subgame, kind="stable")
    node = nodes.start + order
    fanout = forest.legal[:, :, 0].sum(0).numpy(force=True)[node]
    first_edge = np.append(0, np.cumsum(fanout))
    edges = int(first_edge[-1])
    position = np.arange(edges) - np.repeat(first_edge[:-1], fanout)
    above = forest.decisions.row[player].numpy(force=True)[node]

    edge_of = np.full(forest.num_rows, -1)
    edge_of[2 * subgames + position * forest.num_decisions + np.repeat(node, fanout)] = np.arange(edges)
    edge_of[player * subgames + np.arange(subgames)] = edges + np.arange(subgames)
    below = Sources(above, first_value + np.arange(len(node)), np.ones(len(node)))
    edge = np.concatenate([edge_of[each.row] for each in (*ends, below)])
    by_edge = np.argsort(edge, kind="stable")

    def put(values: np.ndarray, dtype: torch.dtype = torch.int32) -> Tensor:
        return torch.as_tensor(np.append(values, 0)[: max(len(values), 1)], dtype=dtype, device=forest.device)

    return Walk(
        node_at=put(np.searchsorted(subgame[order], np.arange(subgames + 1))),
        node=put(node),
        above=put(above),
        uniform=put(1 / fanout, forest.dtype),
        first_edge=put(first_edge),
        source_at=put(np.searchsorted(edge[by_edge], np.arange(edges + subgames + 1))),
        source=put(np.concatenate([each.index for each in (*ends, below)])[by_edge]),
        factor=put(np.concatenate([each.factor for each in (*ends, below)])[by_edge], forest.dtype),
    )
