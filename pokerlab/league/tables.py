"""Populations of games of few hands: what members and mixtures play are tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.stored_policy import FILE, agent_of, read_policy, write_policy
from pokerlab.evaluation.exact import whole_game_strategy
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Floats, Game, Ints
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.league.opponents import TableOpponent
from pokerlab.league.population import Mixture, Population
from pokerlab.search.sequence_game import SequenceGame, measure
from pokerlab.store.folder import RunFolder
from pokerlab.training.trained import load_run

CPU = torch.device("cpu")
PLAY_THROUGHS = 1000
"""Over which the strategy of search that goes on from drawn iterations is averaged."""


@dataclass(frozen=True, kw_only=True)
class TabularMixture(Mixture):
    """A mixture as one behaviour policy in a table."""

    strategy: Floats
    """``[E, H]``."""


class TabularPopulation(Population):
    """The members of a league of a small game: policies are tables.

    Args:
        folder: of the league.
        game: what they play.

    Raises:
        UserError: a member is gone, damaged or of another game, or the folder's files are damaged.
    """

    def __init__(self, folder: LeagueFolder, game: SequenceGame) -> None:
        super().__init__(folder, game.game)
        self.game = game
        self._row_actor = np.concatenate([np.arange(game.num_players), game.edge_actor])
        self._room = np.empty((16, len(self._row_actor), game.num_hands))
        self.plans = self._room[:0]
        """``[M, R, H]`` each member's realization plans, for all players."""
        for member in self.members:
            self._take_in(read_policy(folder.member(member.name) / FILE, game))

    def _keep(self, member: Member, policy: Floats) -> None:
        """Of a strategy ``[E, H]``."""
        write_policy(self.folder.member(member.name) / FILE, self.game, policy)
        self._take_in(policy)

    def _take_in(self, strategy: Floats) -> None:
        number, plan = len(self.plans), self.game.reach(strategy)
        if number == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[number] = plan
        self.plans = self._room[: number + 1]

    def _find_agent(self, member: int) -> Agent:
        return agent_of(self.game, self.strategy(member))

    def agent_of(self, mixture: TabularMixture) -> Agent:
        return agent_of(self.game, mixture.strategy)

    def best_agent(self) -> Agent:
        return agent_of(self.game, self.policy())

    def keep_best(self, mixture: TabularMixture) -> None:
        write_policy(self.folder.policy, self.game, mixture.strategy)

    def strength(self, mixture: TabularMixture) -> dict[str, Any]:
        found, _ = measure(self.game, mixture.strategy)
        return {
            "values": found.values,
            "gains": found.gains,
            "nash_conv": found.nash_conv,
            "exploitability": found.nash_conv / self.num_players,
            "correlated_gain": self.correlated_gain(mixture),
        }

    def responses(self, mixture: TabularMixture | None, proposed: Sequence[int]) -> dict[str, Any]:
        """``response_share``: what they win, of what exact best responses win; None: one is not known.

        Players' values add up to 0, so that what responses win in sum is what they gain in sum.
        """
        if mixture is None or not proposed or (gain := gained(self.rounds[-1])) is None:
            return {"response_share": None}
        won = 0.0
        for player in range(self.num_players):
            values = self.end_values(player, mixture)
            won += max(float((self.plans[member] * values).sum()) for member in proposed)
        return {"response_share": won / gain}

    def learned(self, agent: InfostateAgent) -> Floats:
        return self.tabulate(agent)

    def responder(self, mixture: TabularMixture, from_street: int) -> Floats:
        game = self.game.game
        return self.tabulate(LocalBestResponse(game, self.agent_of(mixture), from_street=from_street))

    def tabulate(self, agent: Agent) -> Floats:
        """``[E, H]`` what an agent of two players plays; of one that draws, the mean over what it draws."""
        assert isinstance(self.rules, Game)
        whole = WholeGame(self.rules)
        found = whole_game_strategy(whole, agent, play_throughs=PLAY_THROUGHS, seed=1)
        return self.game.average(whole.forest.to_edges(found).double().numpy())

    def trained(self, run: RunFolder, way: str, *, greedy: bool) -> Floats:
        strategy = self.tabulate(load_run(str(run.path.resolve()), CPU).agent(way))
        return likeliest(self.game, strategy) if greedy else strategy

    def opponent(self, mixture: TabularMixture) -> TableOpponent:
        return TableOpponent(self.game, mixture.strategy)

    def exploitability(self, policy: Floats) -> float:
        return measure(self.game, policy)[0].nash_conv / self.num_players

    def first(self, name: str) -> Floats:
        """``[E, H]`` of ``uniform``; ``response``, the best response to that; or ``first``.

        The last always takes the first legal action.
        """
        if name == "uniform":
            return self.game.uniform()
        if name == "response":
            return measure(self.game, self.game.uniform())[1]
        strategy = np.zeros((self.game.num_edges, self.game.num_hands))
        strategy[self.game.nodes.first] = 1
        return strategy

    def strategy(self, member: int) -> Floats:
        """``[E, H]`` what a member plays."""
        return read_policy(self.folder.member(self.members[member].name) / FILE, self.game)

    def policy(self) -> Floats:
        """``[E, H]`` the best mixture so far; there must be a round."""
        return read_policy(self.folder.policy, self.game)

    def mix(
        self, members: Sequence[int], weights: list[Floats], joint: Floats | None = None
    ) -> TabularMixture:
        spread, joint = self._spread(members, weights, joint)
        reach = np.empty(self.plans.shape[1:])
        for player, own in enumerate(spread):
            picked = np.flatnonzero(own)
            rows = self._row_actor == player
            reach[rows] = np.tensordot(own[picked], self.plans[picked][:, rows], 1)
        return TabularMixture(strategy=self.game.strategy_of(reach), weights=spread, joint=joint)

    def end_values(self, player: int, mixture: TabularMixture) -> Floats:
        """``[R, H]`` what a player's sequences win against a mixture.

        Where the others pick by one draw, they are met together.
        """
        if mixture.joint is None or self.game.num_players == 2:
            return self.game.end_values(player, self.game.reach(mixture.strategy))
        others = mixture.joint.sum(player)
        values = np.zeros(self.plans.shape[1:])
        for picks in np.argwhere(others > 0):
            together = self.together(player, picks)
            values += others[tuple(picks)] * self.game.end_values(player, together)
        return values

    def together(self, player: int, picks: Ints) -> Floats:
        """The plans of all players but one, each picking a member; the one's are not to be read."""
        plans = self.plans[0].copy()
        for other, pick in zip([p for p in range(self.game.num_players) if p != player], picks, strict=True):
            rows = self._row_actor == other
            plans[rows] = self.plans[pick][rows]
        return plans

    def correlated_gain(self, mixture: TabularMixture) -> float | None:
        """What players would gain by not following the draw, in sum: 0 in a coarse correlated equilibrium."""
        if mixture.joint is None:
            return None
        met = mixture.joint > 0
        own = (mixture.joint[met] * self._known.payoffs[:, met]).sum(1)
        best = [
            self.game.best_response(player, self.end_values(player, mixture))[0]
            for player in range(self.game.num_players)
        ]
        return float(sum(best) - own.sum())


def likeliest(game: SequenceGame, strategy: Floats) -> Floats:
    """``[E, H]`` always the likeliest action of a strategy; of equal ones the first."""
    chosen, hands = np.zeros_like(strategy), np.arange(game.num_hands)
    for first, end in zip(game.nodes.first, game.nodes.end, strict=True):
        chosen[first + strategy[first:end].argmax(0), hands] = 1
    return chosen


def gained(line: dict[str, Any]) -> float | None:
    """What best responses to a round's mixture gain in sum; None: it was not measured exactly."""
    found: float | None = (
        line["nash_conv"] if line.get("correlated_gain") is None else line["correlated_gain"]
    )
    return found
