"""CFR the slow way: a plain counterpart of pokerlab's, to hold it against."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from oracles import Floats, Policy, outcomes, pairs, returns

from pokerlab.games.base import CHANCE, TERMINAL, Game

LeafValue: TypeAlias = Callable[[Any, Floats], Floats]
"""(public state, beliefs ``[2, H]``) → infostate values ``[2, H]`` in pots."""


class NaiveCFR:
    """CFR by the papers: regrets and averages in dictionaries, histories one by one.

    Args:
        game: the rules.
        root: where the subgame starts.
        belief: ``[2, H]``.
        rule: name of the update rule, with its published averaging.
        alternating: players update in turn.
        leaf_value: values depth-limit leaves; without it the subgame is played to the end.
        fixed: states whose strategy is given and never updated.
    """

    def __init__(
        self,
        game: Game,
        root: Any,
        belief: Floats,
        rule: str,
        *,
        alternating: bool,
        leaf_value: LeafValue | None = None,
        fixed: Policy | None = None,
    ) -> None:
        self.game, self.root, self.belief, self.rule, self.alternating = game, root, belief, rule, alternating
        self.leaf_value = leaf_value
        self.strategy: Policy = {}
        self.regret: Policy = {}
        self.strategy_sum: Policy = {}
        self.value_sum = np.zeros((2, game.num_hands))
        self.weight_sum, self.t = 0.0, 0
        self._fixed = fixed or {}
        self._last_belief: dict[Any, Floats] = {}
        self._add_nodes(root, 0)

    def _is_leaf(self, state: Any, depth: int) -> bool:
        return self.leaf_value is not None and depth > 0 and self.game.is_leaf(self.root, state, depth)

    def _below(self, state: Any) -> list[Any]:
        if self.game.actor(state) == CHANCE:
            return list(self.game.chance_outcomes(state))
        return [self.game.next_state(state, action) for action in self.game.actions(state)]

    def _add_nodes(self, state: Any, depth: int) -> None:
        if self.game.actor(state) == TERMINAL:
            return
        possible = self.game.possible_hands(state)
        if self._is_leaf(state, depth):
            here = self.belief * possible
            total = here.sum(1, keepdims=True)
            here = np.where(total > 0, here, possible)
            self._last_belief[state] = here / here.sum(1, keepdims=True)
            return
        if self.game.actor(state) != CHANCE:
            width = len(self.game.actions(state))
            self.strategy[state] = np.full((width, self.game.num_hands), 1 / width)
            if state in self._fixed:
                self.strategy[state] = self._fixed[state]
            self.regret[state] = np.zeros((width, self.game.num_hands))
            self.strategy_sum[state] = np.zeros((width, self.game.num_hands))
        for below in self._below(state):
            self._add_nodes(below, depth + 1)

    def run(self, iterations: int) -> "NaiveCFR":
        for _ in range(iterations):
            self.t += 1
            weight = {"cfr": 1, "cfr_plus": self.t, "linear_cfr": self.t}.get(self.rule, self.t**2)
            self.weight_sum += weight
            for players in ((0,), (1,)) if self.alternating else ((0, 1),):
                self._leaf_values: dict[Any, Floats] = {}
                self._visit(self.root, 0, np.ones((2, self.game.num_hands)), players, weight)
                instantaneous = {state: np.zeros_like(r) for state, r in self.regret.items()}
                for hands in pairs(self.game, self.root):
                    value = self._walk(self.root, 0, hands, (1.0, 1.0), 1.0, players, instantaneous)
                    for player in players:
                        self.value_sum[player, hands[player]] += (
                            weight * value[player] * self._weight(player, hands)
                        )
                for state, added in instantaneous.items():
                    if self.game.actor(state) in players and state not in self._fixed:
                        self._update(state, added)
        return self

    def _weight(self, player: int, hands: tuple[int, int]) -> float:
        return float(self.game.deal[hands] * self.belief[1 - player, hands[1 - player]])

    def _visit(self, state: Any, depth: int, reach: Floats, players: Sequence[int], weight: float) -> None:
        """Adds to the averages and values the leaves, public state by public state."""
        actor = self.game.actor(state)
        if actor == TERMINAL:
            return
        if self._is_leaf(state, depth):
            assert self.leaf_value is not None
            here = self.belief * reach * self.game.possible_hands(state)
            for player in (0, 1):
                if (total := here[player].sum()) > 0:
                    self._last_belief[state][player] = here[player] / total
            self._leaf_values[state] = self.leaf_value(state, self._last_belief[state].copy())
            return
        for number, below in enumerate(self._below(state)):
            below_reach = reach.copy()
            if actor != CHANCE:
                below_reach[actor] *= self.strategy[state][number]
                if actor in players:
                    self.strategy_sum[state][number] += weight * below_reach[actor]
            self._visit(below, depth + 1, below_reach, players, weight)

    def _walk(
        self,
        state: Any,
        depth: int,
        hands: tuple[int, int],
        reach: tuple[float, float],
        chance: float,
        players: Sequence[int],
        instantaneous: Policy,
    ) -> tuple[float, float]:
        """Both players' expected chips in one history; adds counterfactual regrets of ``players``."""
        actor = self.game.actor(state)
        if actor == TERMINAL:
            return returns(self.game, state, *hands)
        if self._is_leaf(state, depth):
            values = self._leaf_values[state] * self.game.pot(state)
            return float(values[0, hands[0]]), float(values[1, hands[1]])
        if actor == CHANCE:
            dealt = outcomes(self.game, state, *hands)
            values = np.array(
                [self._walk(s, depth + 1, hands, reach, chance * p, players, instantaneous) for s, p in dealt]
            )
            mean = np.array([p for _, p in dealt]) @ values
            return float(mean[0]), float(mean[1])
        plays = self.strategy[state][:, hands[actor]]
        below = []
        for number, child in enumerate(self._below(state)):
            taken = [reach[0], reach[1]]
            taken[actor] *= float(plays[number])
            below.append(
                self._walk(child, depth + 1, hands, (taken[0], taken[1]), chance, players, instantaneous)
            )
        values = np.array(below)
        mean = plays @ values
        if actor in players:
            scale = chance * self._weight(actor, hands) * reach[1 - actor]
            instantaneous[state][:, hands[actor]] += scale * (values[:, actor] - mean[actor])
        return float(mean[0]), float(mean[1])

    def _update(self, state: Any, added: Floats) -> None:
        regret, t = self.regret[state], self.t
        if self.rule == "linear_cfr":
            regret += t * added  # the definition: iteration t's regret weighs t
        else:
            regret += added
        if self.rule in ("cfr_plus", "pcfr_plus"):
            regret[:] = np.maximum(regret, 0)
        choice = np.maximum(regret + added if self.rule == "pcfr_plus" else regret, 0)
        if self.rule == "dcfr":  # after iteration t, Brown and Sandholm 2019
            regret *= np.where(regret > 0, t**1.5 / (t**1.5 + 1), 0.5)
        total = choice.sum(0)
        self.strategy[state] = np.where(total > 0, choice / np.where(total > 0, total, 1), 1 / len(choice))

    def average(self) -> Policy:
        return {
            state: np.where(s.sum(0) > 0, s / np.where(s.sum(0) > 0, s.sum(0), 1), 1 / len(s))
            for state, s in self.strategy_sum.items()
        }

    def root_values(self) -> Floats:
        return self.value_sum / self.weight_sum
