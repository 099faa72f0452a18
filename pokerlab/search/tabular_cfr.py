"""CFR on a whole game of few hands, of any number of players, with all actions or with some of them.

Of two players the average strategy comes close to an equilibrium. Of more there is no such guarantee: it is
what is played together on average that comes close to a coarse correlated equilibrium, and a low NashConv is
a thing to be measured (Gibson 2013; Kuhn poker of three players does well).
"""

import numpy as np

from pokerlab.games.base import Bools, Floats
from pokerlab.search import sequence_loops as loops
from pokerlab.search.rules import UpdateRule
from pokerlab.search.sequence_game import SequenceGame, Strength, measure


class TabularCFR:
    """CFR in which players update in turn.

    Args:
        game: in sequence form.
        rule: the update rule.
        allowed: ``[E, H]`` the actions that may be played, at least one of each node and hand; None: all.
    """

    def __init__(self, game: SequenceGame, rule: UpdateRule, *, allowed: Bools | None = None) -> None:
        self.game, self.rule, self.iteration = game, rule, 0
        shape = game.num_edges, game.num_hands
        self.allowed = np.ones(shape, dtype=bool) if allowed is None else allowed
        self._allowed_evenly = game.average(self.allowed.astype(float))
        strategy = self._allowed_evenly.copy()
        self._numbers = loops.Numbers(
            regret=np.zeros(shape),
            strategy=strategy,
            strategy_sum=np.zeros(shape),
            reach=game.reach(strategy),
            allowed=self.allowed,
        )

    def run(self, iterations: int) -> "TabularCFR":
        """Takes ``iterations`` more; returns itself."""
        numbers = range(self.iteration + 1, self.iteration + iterations + 1)
        discounts = np.array([self.rule.discounts(t) for t in numbers]).reshape(-1, 2)
        rule = loops.Rule(
            positive=discounts[:, 0].copy(),
            negative=discounts[:, 1].copy(),
            weight=np.array([self.rule.weight(t) for t in numbers]),
            floor=self.rule.floor,
            predictive=self.rule.predictive,
        )
        for step in range(iterations):  # one by one: signals are heard in between
            loops.iterate(step, self.game.nodes, self.game.ends, rule, self._numbers)
        self.iteration += iterations
        return self

    def average_strategy(self) -> Floats:
        """``[E, H]`` weighted by own reach; of hands that never come to a node, the allowed actions."""
        return self.game.average(self._numbers.strategy_sum, self._allowed_evenly)

    def measure(self, *, restricted: bool = False) -> tuple[Strength, Floats]:
        """How far the average strategy is from equilibrium, and the best responses to it ``[E, H]``.

        Args:
            restricted: whether best responses, too, play allowed actions only.
        """
        return measure(self.game, self.average_strategy(), self.allowed if restricted else None)
