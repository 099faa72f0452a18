"""Whole games of few hands in sequence form, for any number of players.

Axes: ``n`` players, ``H`` hands, ``D`` decision nodes, ``E`` edges (actions of all nodes), ``R = n + E``
*sequence rows*: row p is player p's empty sequence, row ``n + e`` edge e. A row with a probability for each
hand, ``reach`` ``[R, H]``, is a realization plan (von Stengel 1996): what a player wins is linear in its own
plan, and mixing plans mixes whole policies.

A strategy ``[E, H]`` has the probability of each action for each hand. All is float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pokerlab.games.base import Bools, Floats, Game, Ints
from pokerlab.games.many_players import CHANCE, TERMINAL, ManyPlayerGame
from pokerlab.search import sequence_loops as loops
from pokerlab.search.payoffs import DOUBLE, outcomes
from pokerlab.search.tree import build_tree


@dataclass(frozen=True, eq=False)
class SequenceGame:
    """A game's public tree; build it with :func:`sequence_game`."""

    game: Any
    """A :class:`Game` or a :class:`ManyPlayerGame`."""
    num_players: int
    num_hands: int
    states: Sequence[Any]
    """``[D]`` the public states at which somebody acts."""
    possible: Bools
    """``[D, H]`` hands that the public cards leave possible."""
    nodes: loops.Nodes
    ends: loops.Ends
    edge_action: Ints
    """``[E]`` the game's action of each edge."""

    # Strategies

    @property
    def num_edges(self) -> int:
        """``E``."""
        return len(self.edge_action)

    @cached_property
    def fanout(self) -> Ints:
        """``[D]`` actions of each node."""
        return self.nodes.end - self.nodes.first

    @cached_property
    def actor(self) -> Ints:
        """``[D]`` who acts."""
        return np.repeat(np.arange(self.num_players), np.diff(self.nodes.of_player))

    @cached_property
    def edge_node(self) -> Ints:
        """``[E]`` the node that an edge is of."""
        node = np.empty(self.num_edges, dtype=np.int64)
        for number, (first, end) in enumerate(zip(self.nodes.first, self.nodes.end, strict=True)):
            node[first:end] = number
        return node

    @cached_property
    def edge_actor(self) -> Ints:
        """``[E]`` whose action an edge is."""
        actor: Ints = self.actor[self.edge_node]
        return actor

    def uniform(self) -> Floats:
        """``[E, H]`` every action equally likely."""
        share: Floats = np.repeat((1 / self.fanout[self.edge_node])[:, None], self.num_hands, 1)
        return share

    def average(self, sums: Floats, otherwise: Floats | None = None) -> Floats:
        """``[E, H]`` each node's sums as probabilities.

        Args:
            sums: ``[E, H]``, such as own reach, added up.
            otherwise: ``[E, H]`` a strategy for where they are 0; None: uniform.
        """
        total = np.zeros((len(self.states), self.num_hands))
        np.add.at(total, self.edge_node, sums)
        total = total[self.edge_node]
        known = self.uniform() if otherwise is None else otherwise
        return np.where(total > 0, sums / np.where(total > 0, total, 1), known)

    def reach(self, strategy: Floats) -> Floats:
        """``[R, H]`` the realization plans of all players."""
        reach = np.ones((self.num_players + self.num_edges, self.num_hands))
        for player in range(self.num_players):
            loops.set_reach(player, self.nodes, strategy, reach)
        return reach

    def strategy_of(self, reach: Floats) -> Floats:
        """``[E, H]`` the behaviour strategy of realization plans; uniform where they do not come."""
        return self.average(reach[self.num_players :])

    def exchange(self, strategy: Floats, player: int, by: Floats) -> Floats:
        """``strategy`` with one player's part from ``by``."""
        return np.where((self.edge_actor == player)[:, None], by, strategy)

    # Values

    def end_values(self, player: int, reach: Floats) -> Floats:
        """``[R, H]`` what a player's sequences win where the game ends, against the others' plans.

        Its product with the player's own plan, summed, is what the player wins.
        """
        values = np.zeros_like(reach)
        loops.add_end_values(player, self.ends, reach, values)
        return values

    def value(self, player: int, reach: Floats) -> float:
        """Chips that a player wins."""
        return float((self.end_values(player, reach) * reach).sum())

    def best_response(
        self, player: int, end_values: Floats, allowed: Bools | None = None
    ) -> tuple[float, Floats]:
        """What a player's best response wins, in chips, and what it plays, ``[E, H]``: 0 or 1.

        Args:
            player: whose.
            end_values: see :meth:`end_values`; they are used up.
            allowed: ``[E, H]`` actions to choose from; None: all.
        """
        chosen = np.zeros((self.num_edges, self.num_hands))
        open_to = np.ones(chosen.shape, dtype=bool) if allowed is None else allowed
        loops.back_up_best(player, self.nodes, open_to, end_values, chosen)
        return float(end_values[player].sum()), chosen


@dataclass(frozen=True, slots=True)
class Strength:
    """How far strategies are from equilibrium, in chips."""

    values: tuple[float, ...]
    """What each player wins."""
    best_responses: tuple[float, ...]
    """What each player's best response wins against the others."""

    @property
    def gains(self) -> tuple[float, ...]:
        """What each player would gain."""
        return tuple(best - own for best, own in zip(self.best_responses, self.values, strict=True))

    @property
    def nash_conv(self) -> float:
        """The sum of what players would gain."""
        return sum(self.gains)


def measure(game: SequenceGame, strategy: Floats, allowed: Bools | None = None) -> tuple[Strength, Floats]:
    """How far a strategy is from equilibrium, and all players' best responses to it ``[E, H]``.

    Args:
        game: the game.
        strategy: ``[E, H]``.
        allowed: ``[E, H]`` what best responses may play; None: everything.
    """
    reach = game.reach(strategy)
    values, best, responses = [], [], np.zeros_like(strategy)
    for player in range(game.num_players):
        ends = game.end_values(player, reach)
        values.append(float((ends * reach).sum()))
        won, chosen = game.best_response(player, ends, allowed)
        best.append(won)
        responses += chosen
    return Strength(tuple(values), tuple(best)), responses


def information_states(game: SequenceGame, strategy: Floats) -> Iterator[tuple[str, dict[int, float]]]:
    """A strategy ``[E, H]`` as OpenSpiel's information state string → {action: probability}, one by one."""
    for node, state in enumerate(game.states):
        edges = slice(game.nodes.first[node], game.nodes.end[node])
        actions = game.edge_action[edges].tolist()
        for hand in game.possible[node].nonzero()[0].tolist():
            chances = strategy[edges, hand].tolist()
            yield game.game.information_state(state, hand), dict(zip(actions, chances, strict=True))


def sequence_game(game: Game | ManyPlayerGame) -> SequenceGame:
    """Enumerates a game.

    Args:
        game: of few hands: payoffs are tables of all hands of all players.
    """
    return _of_two(game) if isinstance(game, Game) else _of_many(game)


def _of_two(game: Game) -> SequenceGame:
    tree = build_tree(game, game.root(), depth_limited=False, features=False)
    form = tree.sequence_form
    order = np.argsort(tree.actor, kind="stable")
    used, kernel = np.unique(tree.payoff_kernel, return_inverse=True)
    # own hand first; what a pair of hands weighs besides the deal's weight is in its beliefs
    hands, every = game.num_hands, torch.eye(game.num_hands, dtype=torch.float64)
    beliefs = game.initial_beliefs
    mass = beliefs[0] @ game.mass_operator(DOUBLE)(torch.as_tensor(beliefs[1])[None]).numpy()[0]
    pairs = beliefs[0][:, None] * beliefs[1] / mass
    kernels = np.empty((len(used), 2, hands, hands))
    for number, which in enumerate(used.tolist()):
        won = outcomes(game, np.full(hands, which), every).numpy()  # [opponent's hand, own hand]
        kernels[number] = won * pairs.T, won * pairs
    return SequenceGame(
        game=game,
        num_players=2,
        num_hands=hands,
        states=[tree.decisions.states[node] for node in order.tolist()],
        possible=tree.boards[tree.decisions.board[order]],
        nodes=loops.Nodes(
            np.array([0, form.of_first_player, len(form.first)]), form.first, form.end, form.above
        ),
        ends=loops.Ends(form.terminal_row.T.copy(), kernel, tree.payoff.T.copy(), kernels),
        edge_action=tree.edge_action,
    )


def _of_many(game: ManyPlayerGame) -> SequenceGame:
    players, hands = game.num_players, game.num_hands
    found: list[list[tuple[Any, int, int, int]]] = [[] for _ in range(players)]
    edge_action: list[int] = []
    ends: list[tuple[tuple[int, ...], int, list[float]]] = []
    waiting: list[tuple[Any, tuple[int, ...], float]] = [(game.root(), tuple(range(players)), 1.0)]
    while waiting:
        state, rows, chance = waiting.pop()
        actor = game.actor(state)
        if actor == TERMINAL:
            for share in game.shares(state):
                ends.append((rows, share.kernel, [chance * chips for chips in share.chips]))
        elif actor == CHANCE:
            below = chance * game.chance_probability(state)
            waiting += [(outcome, rows, below) for outcome in reversed(game.chance_outcomes(state))]
        else:
            first, actions = len(edge_action), game.actions(state)
            found[actor].append((state, first, first + len(actions), rows[actor]))
            edge_action += actions
            for place in reversed(range(len(actions))):
                after = (*rows[:actor], players + first + place, *rows[actor + 1 :])
                waiting.append((game.next_state(state, actions[place]), after, chance))
    states, *numbers = zip(*[node for own in found for node in own], strict=True)
    first_edge, end_edge, above = (np.array(each, dtype=np.int64) for each in numbers)
    used, kernel = np.unique([end[1] for end in ends], return_inverse=True)
    kernels = np.empty((len(used), players, hands ** (players - 1), hands))
    for number, which in enumerate(used.tolist()):
        for player, won in enumerate(game.kernel(which)):
            kernels[number, player] = np.moveaxis(won, player, -1).reshape(-1, hands)
    return SequenceGame(
        game=game,
        num_players=players,
        num_hands=hands,
        states=list(states),
        possible=np.array([game.possible_hands(state) for state in states]),
        nodes=loops.Nodes(np.cumsum([0, *map(len, found)]), first_edge, end_edge, above),
        ends=loops.Ends(
            np.array([end[0] for end in ends], dtype=np.int64),
            kernel,
            np.array([end[2] for end in ends]),
            kernels,
        ),
        edge_action=np.array(edge_action, dtype=np.int64),
    )
