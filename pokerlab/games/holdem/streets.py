"""A street's public states all at once."""

from dataclasses import replace

import numpy as np

from pokerlab.games.base import CHANCE, LEAF, TERMINAL
from pokerlab.games.betting import CALL, FOLD, enumerate_betting
from pokerlab.games.holdem.features import HoldemFeatures
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.payoff_tables import FOLDED
from pokerlab.games.unfolding import LazyStates, UnfoldedSubgame, walk


class HoldemStreets(HoldemFeatures):
    """Enumerates a street's betting all at once."""

    def unfold(self, root: HoldemState, *, depth_limited: bool) -> UnfoldedSubgame[HoldemState]:
        street = self._street(root)
        ends_here = depth_limited and not (self._looks_through(street + 1) or self._is_solved_to_end(root))
        if self.actor(root) == CHANCE or not (ends_here or street == len(self.boards) - 1):
            return walk(self, root, depth_limited=depth_limited)
        return self._unfold_street(root)

    def _unfold_street(self, root: HoldemState) -> UnfoldedSubgame[HoldemState]:
        """The betting of one street."""
        betting = enumerate_betting(self._betting(root), self._sizes_at(root))
        over, called = betting.player < 0, betting.action == CALL
        kind = np.where(over, TERMINAL, betting.player)
        if len(root.board) < self.complete:
            kind[over & called & (betting.committed.min(0) < root.stack)] = LEAF
        ends = np.flatnonzero(kind == TERMINAL)
        folded = betting.action[ends] == FOLD
        committed = betting.committed
        stake = root.pot / 2 + committed[:, ends].min(0)
        won = np.where(committed[0, ends] > committed[1, ends], 1, -1) * np.array([[1], [-1]])
        kernels = [self._kernels.encode(kind, root.board) for kind in (self._payoff_kind(root), FOLDED)]

        def make(node: int) -> HoldemState:
            actions = list[int]()
            first, second = (float(chips) for chips in committed[:, node])
            while betting.above[node] >= 0:
                actions.append(int(betting.action[node]))
                node = int(betting.above[node])
            played = (*root.actions[-1], *reversed(actions))
            return replace(root, committed=(first, second), actions=(*root.actions[:-1], played))

        return UnfoldedSubgame(
            states=LazyStates(make, np.arange(len(kind))),
            kind=kind,
            above=betting.above,
            action=betting.action,
            chance=np.ones(len(kind)),
            boards=self.possible_hands(root)[None],
            board=np.zeros(len(kind), np.int64),
            features=self._features_of(root, kind, betting),
            pot=root.pot + (committed[0] + committed[1]),
            payoff_kernel=np.where(folded, kernels[1], kernels[0]),
            chips=np.where(folded, won, 1) * stake,
        )
