"""Forests for the benchmarks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.leduc import Leduc
from pokerlab.search.forest import Forest
from pokerlab.search.subgames import Subgames
from pokerlab.search.tree import build_tree

Measured = tuple[Forest[Any], Tensor]
"""A forest and the beliefs ``[2, B, H]`` at its roots."""


def whole_games(game: Game[Any], batch: int, dtype: torch.dtype) -> Measured:
    """The whole game, from the deal to the end, ``batch`` times."""
    tree = build_tree(game, game.root(), depth_limited=False)
    forest = Forest(game, [tree], np.zeros(batch, dtype=np.int64), dtype=dtype)
    belief = torch.as_tensor(game.initial_beliefs, dtype=dtype)[:, None]
    return forest, belief.expand(-1, batch, -1).contiguous()


def second_round_states() -> Sequence[Any]:
    """Leduc's public states after the board card, where subgames of the first round end."""
    game = Leduc(leaves="after_deal")
    return build_tree(game, game.root(), depth_limited=True).leaves.states


def second_rounds(batch: int, dtype: torch.dtype, seed: int) -> Measured:
    """``batch`` second-round subgames of Leduc under random beliefs, cycling through the public states."""
    game, states = Leduc(), second_round_states()
    roots = [states[i % len(states)] for i in range(batch)]
    forest = Subgames(game).forest(roots, torch.empty(0, dtype=dtype))
    drawn = torch.rand(2, batch, game.num_hands, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    belief = drawn * forest.root_possible
    return forest, belief / belief.sum(-1, keepdim=True)
