"""Slow and plain counterparts of the search package, to hold it against.

They walk every history of a subgame, hand pair by hand pair, and take payoffs and chance from OpenSpiel.
Nothing of forests, sequence rows, payoff operators or update rules is shared with pokerlab.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import pyspiel
import torch
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.leduc import LeducState
from pokerlab.games.parts import openspiel_names
from pokerlab.search.forest import Forest

Floats: TypeAlias = NDArray[np.float64]
Policy: TypeAlias = dict[Any, Floats]
"""Public state → ``[A, H]`` probabilities of its legal actions."""

_openspiel_game = cache(pyspiel.load_game)


@cache
def _returns(game_name: str, moves: tuple[int, ...]) -> tuple[float, float]:
    state = _openspiel_game(game_name).new_initial_state()
    for move in moves:
        state.apply_action(move)
    assert state.is_terminal()
    first, second = state.returns()
    return first, second


def returns(game: Game, state: Any, first: int, second: int) -> tuple[float, float]:
    """What OpenSpiel pays both players at a terminal public state for a pair of hands."""
    if isinstance(state, LeducState):
        board = () if state.board is None else (state.board,)
        moves = state.rounds[0] + board + (state.rounds[1] if len(state.rounds) > 1 else ())
    else:
        moves = state.actions
    return _returns(str(openspiel_names(game).openspiel_name), (first, second, *moves))


def outcomes(game: Game, state: Any, first: int, second: int) -> list[tuple[Any, float]]:
    """The boards that can follow for a pair of hands, all equally likely."""
    dealt = [
        below
        for below in game.chance_outcomes(state)
        if game.possible_hands(below)[first] and game.possible_hands(below)[second]
    ]
    return [(below, 1 / len(dealt)) for below in dealt]


def pairs(game: Game, state: Any) -> list[tuple[int, int]]:
    """Every pair of hands that can be held at a public state."""
    possible = game.possible_hands(state).nonzero()[0].tolist()
    return [(h, g) for h in possible for g in possible if game.deal[h, g] > 0]


def continuation_values(game: Game, state: Any, beliefs: Floats, policy: Policy) -> Floats:
    """``[2, H]`` infostate values in pots of ``state`` if both go on with ``policy``."""

    def value(state: Any, hands: tuple[int, int]) -> float:
        actor = game.actor(state)
        if actor == TERMINAL:
            return returns(game, state, *hands)[0]
        if actor == CHANCE:
            return sum(p * value(below, hands) for below, p in outcomes(game, state, *hands))
        plays = policy[state][:, hands[actor]]
        below = (game.next_state(state, action) for action in game.actions(state))
        return float(sum(p * value(s, hands) for p, s in zip(plays, below, strict=True)))

    total, mass = np.zeros((2, game.num_hands)), np.zeros((2, game.num_hands))
    for hands in pairs(game, state):
        won = value(state, hands)
        for player, sign in ((0, 1), (1, -1)):
            weight = game.deal[hands] * beliefs[1 - player, hands[1 - player]]
            total[player, hands[player]] += sign * weight * won
            mass[player, hands[player]] += weight
    return np.where(mass > 0, total / np.where(mass > 0, mass, 1), 0) / game.pot(state)


def decision_states(forest: Forest) -> list[tuple[int, Any]]:
    """(subgame, public state) of each decision node, in the forest's order."""
    nodes = forest.decisions
    subgames = nodes.subgame.tolist()
    found = zip(subgames, nodes.tree, nodes.node, strict=True)
    return [(b, forest.trees[tree].decisions.states[node]) for b, tree, node in found]


def strategy_tensor(forest: Forest, policies: Sequence[Policy]) -> Tensor:
    """Each subgame's policy as one ``[A, D, H]`` strategy."""
    strategy = torch.zeros(forest.edge_shape, dtype=torch.float64)
    for d, (b, state) in enumerate(decision_states(forest)):
        here = policies[b][state]
        strategy[: len(here), d] = torch.as_tensor(here)
    return strategy


def best_response_values(game: Game, root: Any, player: int, opponent: Policy, belief: Floats) -> Floats:
    """``[H]`` counterfactual values of ``player``'s best response, hand by hand.

    Args:
        game: the rules.
        root: where the subgame starts; it is played to the end.
        player: who responds.
        opponent: the other player's policy.
        belief: ``[H]`` about the opponent's hand.
    """

    def value(state: Any, own: int, weights: dict[int, float]) -> float:
        """``weights``: deal × belief × reach × chance of each opponent hand that is still possible."""
        actor = game.actor(state)
        if actor == TERMINAL:
            hands = {h: (own, h) if player == 0 else (h, own) for h in weights}
            return sum(w * returns(game, state, *hands[h])[player] for h, w in weights.items())
        if actor == CHANCE:
            total = 0.0
            for below in game.chance_outcomes(state):
                if game.possible_hands(below)[own]:
                    dealt = {h: w / len(outcomes(game, state, own, h)) for h, w in weights.items()}
                    possible = game.possible_hands(below)
                    total += value(below, own, {h: w for h, w in dealt.items() if possible[h]})
            return total
        below = [game.next_state(state, action) for action in game.actions(state)]
        if actor == player:
            return max(value(child, own, weights) for child in below)
        plays = opponent[state]
        return sum(
            value(child, own, {h: w * plays[a, h] for h, w in weights.items()})
            for a, child in enumerate(below)
        )

    values = np.zeros(game.num_hands)
    for own in range(game.num_hands):
        hands = pairs(game, root)
        weights = {h: game.deal[own, h] * belief[h] for h in range(game.num_hands) if (own, h) in hands}
        values[own] = value(root, own, weights) if weights else 0
    return values
