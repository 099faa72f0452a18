"""Exact best response and exploitability of a strategy on a forest."""

from dataclasses import dataclass

from torch import Tensor

from pokerlab.search.cfr import ILLEGAL
from pokerlab.search.forest import Forest


@dataclass(frozen=True, slots=True)
class Exploitability:
    """How far a strategy pair is from equilibrium; ``[B]`` tensors, in chips."""

    value: Tensor
    """Player 0's expected payoff."""
    best_response: Tensor
    """``[2, B]`` what each player's best response earns."""

    @property
    def nash_conv(self) -> Tensor:
        """Sum over players of (best response value − own value); the game is zero-sum."""
        return self.best_response.sum(0)

    @property
    def exploitability(self) -> Tensor:
        """NashConv / 2."""
        return self.nash_conv / 2


def exploitability(forest: Forest, strategy: Tensor, belief: Tensor) -> Exploitability:
    """Values and best responses of a strategy pair, exact in the forest's dtype.

    Args:
        forest: subgames that are played to the end.
        strategy: ``[A, D, H]``.
        belief: ``[2, B, H]`` at the subgames' roots.

    Raises:
        ValueError: the forest has depth-limit leaves.
    """
    if len(forest.leaves):
        raise ValueError(f"exploitability needs complete trees: the forest has {len(forest.leaves)} leaves")
    reach = forest.reach(strategy)
    opponent = (reach[forest.payoffs.row] * belief[:, forest.payoffs.subgame]).flip(0)
    at_terminals = forest.payoffs.operator(opponent) * forest.payoffs.chips
    joint = (belief * forest.mass(belief.flip(0))).sum(-1)  # [2, B], the same for both players

    def root_value(best: bool) -> Tensor:
        values = reach.new_zeros(reach.shape)
        edges = forest.edge_rows(values)
        edges.masked_fill_(~forest.legal, ILLEGAL)
        values.index_add_(0, forest.payoffs.row.flatten(), at_terminals.flatten(0, -2))
        for player in (0, 1):
            for step in reversed(forest.steps[player]):
                node = edges[:, step].amax(0) if best else (strategy[:, step] * edges[:, step]).sum(0)
                values.index_add_(0, forest.decisions.row[player, step], node)
        return (belief * forest.root_rows(values)).sum(-1) / joint

    return Exploitability(value=root_value(best=False)[0], best_response=root_value(best=True))
