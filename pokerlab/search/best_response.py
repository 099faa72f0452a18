"""Values of strategies, exact best responses, exploitability."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pokerlab.search.forest import ILLEGAL, Forest, divide, rows_of
from pokerlab.search.leaves import LeafEvaluator


@dataclass(frozen=True, slots=True)
class Exploitability:
    """How far a strategy pair is from equilibrium; ``[B]`` tensors, in chips.

    NaN where no hand of one player can be held beside one of the other's.
    """

    value: Tensor
    """Player 0's expected payoff."""
    best_response: Tensor
    """``[2, B]`` what each player's best response earns."""

    @classmethod
    def at_roots(cls, forest: Forest, belief: Tensor, values: Tensor, best: Tensor) -> "Exploitability":
        """From counterfactual values at the roots.

        Args:
            forest: the subgames.
            belief: ``[2, B, H]`` at their roots.
            values: ``[2, B, H]`` of the strategies.
            best: ``[2, B, H]`` of best responses to them.
        """
        belief = belief.double()
        joint = (belief * forest.game.mass_operator(belief)(belief.flip(0))).sum(-1)
        value, best_response = ((belief * found.double()).sum(-1) / joint for found in (values, best))
        return cls(value=value[0], best_response=best_response)

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
    check_complete(forest)
    return Exploitability.at_roots(forest, belief, *root_values(forest, strategy, belief))


def root_values(
    forest: Forest, strategy: Tensor, belief: Tensor, locked: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """``[2, B, H]`` counterfactual values at the roots: of a strategy pair, and of best responses to it.

    Args:
        forest: the subgames.
        strategy: ``[A, D, H]``.
        belief: ``[2, B, H]`` at the subgames' roots.
        locked: ``[D, H]`` where best responses have to play the strategy.
    """
    terminals = _terminal_values(forest, forest.reach(strategy), belief)
    value, best = (_back_up(forest, strategy, terminals, best=best, locked=locked) for best in (False, True))
    return value, best


def root_values_above(
    forest: Forest, strategy: Tensor, belief: Tensor, below: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The same, of depth-limited subgames: given the counterfactual values of their leaves.

    Args:
        forest: the subgames.
        strategy: ``[A, D, H]``.
        belief: ``[2, B, H]`` at the subgames' roots.
        below: ``[2, L, H]`` what is returned, chance included, at the leaves.
    """
    ends = _terminal_values(forest, forest.reach(strategy), belief)
    rows = forest.leaves.row.flatten()
    value, best = (
        _back_up(forest, strategy, ends.index_add(0, rows, values.flatten(0, -2)), best=best)
        for best, values in zip((False, True), below, strict=True)
    )
    return value, best


def response_values_above(
    forest: Forest, strategy: Tensor, belief: Tensor, chosen_by: Tensor, below: Tensor
) -> Tensor:
    """``[2, B, H]`` what responses earn that are best by some values of the leaves, by other values of them.

    The other arguments are those of :func:`root_values_above`; ``chosen_by`` and ``below`` are ``[2, L, H]``.
    """
    ends, rows = _terminal_values(forest, forest.reach(strategy), belief), forest.leaves.row.flatten()
    known, earned = (ends.index_add(0, rows, values.flatten(0, -2)) for values in (chosen_by, below))
    edges, known_edges = forest.edge_rows(earned), forest.edge_rows(known)
    known_edges.masked_fill_(~forest.legal, ILLEGAL)
    for player in (0, 1):
        for step in reversed(forest.steps[player]):
            best, action = known_edges[:, step].max(0)
            known.index_add_(0, forest.decisions.row[player, step], best)
            chosen = edges[:, step].gather(0, action[None])[0]
            earned.index_add_(0, forest.decisions.row[player, step], chosen)
    return forest.root_rows(earned)


def check_complete(forest: Forest) -> None:
    """Raises ValueError if the forest has depth-limit leaves."""
    if len(forest.leaves):
        raise ValueError(f"exploitability needs complete trees: the forest has {len(forest.leaves)} leaves")


def strategy_values(
    forest: Forest, strategy: Tensor, belief: Tensor, leaf_evaluator: LeafEvaluator | None = None
) -> Tensor:
    """``[2, B, H]`` infostate values of a strategy pair at the subgames' roots, in chips.

    Args:
        forest: the subgames.
        strategy: ``[A, D, H]``.
        belief: ``[2, B, H]`` at the subgames' roots.
        leaf_evaluator: values leaves under the beliefs that the strategies induce; needed if the forest
            has leaves.
    """
    reach, leaves = forest.reach(strategy), forest.leaves
    ends = _terminal_values(forest, reach, belief)
    if leaf_evaluator is None:
        check_complete(forest)
    elif len(leaves):
        beliefs = forest.beliefs_at(leaves, forest.reach(strategy, belief=belief), belief)
        worth = leaf_evaluator.at(leaves.features, leaves.possible)(beliefs)
        opponent = (rows_of(reach, leaves.row) * belief[:, leaves.subgame] * leaves.possible).flip(0)
        values = worth * forest.mass(opponent) * leaves.pot_in_chips
        ends.index_add_(0, leaves.row.flatten(), values.flatten(0, -2))
    mass = forest.mass(belief.flip(0))
    return divide(_back_up(forest, strategy, ends, best=False), mass, torch.zeros_like(mass))


def _terminal_values(forest: Forest, reach: Tensor, belief: Tensor) -> Tensor:
    """``[R, H]`` counterfactual values of terminals, summed over those that end the same sequence."""
    values = torch.zeros_like(reach)
    opponent = (reach[forest.payoffs.row] * belief[:, forest.payoffs.subgame]).flip(0)
    won = forest.payoffs.operator(opponent) * forest.payoffs.chips
    return values.index_add_(0, forest.payoffs.row.flatten(), won.flatten(0, -2))


def _back_up(
    forest: Forest, strategy: Tensor, ends: Tensor, *, best: bool, locked: Tensor | None = None
) -> Tensor:
    """``[2, B, H]`` at the roots: of the strategy, or of the best response to it."""
    values = ends.clone()
    edges = forest.edge_rows(values)
    edges.masked_fill_(~forest.legal, ILLEGAL)
    for player in (0, 1):
        for step in reversed(forest.steps[player]):
            if forest.isomorphic_hands:
                forest.isomorphic_hands.average(edges, step)
            if not best or locked is not None:
                node = (strategy[:, step] * edges[:, step]).sum(0)
            if best:
                most = edges[:, step].amax(0)
                node = most if locked is None else torch.where(locked[step], node, most)
            values.index_add_(0, forest.decisions.row[player, step], node)
        if forest.isomorphic_hands:
            forest.isomorphic_hands.average_roots(forest.root_rows(values)[player])
    return forest.root_rows(values)
