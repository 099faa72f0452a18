"""Populations of games too large for tables: members are agents in folders of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.mixture import MixtureAgent
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Floats, Game
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.league.opponents import MixedAgents
from pokerlab.league.population import Mixture, Population, named_weights
from pokerlab.store.folder import RunFolder
from pokerlab.training.stored_agents import (
    Responder,
    StoredAgent,
    StoredNetwork,
    StoredRun,
    find_agent,
    read_agent,
    read_mixture,
    write_mixture,
)
from pokerlab.training.trained import load_run

CPU = torch.device("cpu")


class AgentPopulation(Population):
    """The members of a league of any game of two players.

    Args:
        folder: of the league.
        game: what they play.

    Raises:
        UserError: the folder's files are damaged.
    """

    def __init__(self, folder: LeagueFolder, game: Game) -> None:
        super().__init__(folder, game)
        self.game = game

    def _keep(self, member: Member, policy: StoredAgent) -> None:
        policy.write(self.folder.member(member.name), self.game)

    def _find_agent(self, member: int) -> Any:
        return read_agent(self.folder.member(self.members[member].name), self.game)

    def check_members(self) -> None:
        for member in self.active(len(self.rounds)):
            self.agent(member)

    def agent_of(self, mixture: Mixture) -> MixtureAgent:
        assert mixture.weights is not None
        weights = np.array(mixture.weights)
        picked = np.flatnonzero(weights.any(0))
        return MixtureAgent(self.game, [self.agent(member) for member in picked.tolist()], weights[:, picked])

    def best_agent(self) -> MixtureAgent:
        return read_mixture(self.folder.path, self.game)

    def mix(self, members: Sequence[int], weights: list[Floats], joint: Floats | None = None) -> Mixture:
        spread, joint = self._spread(members, weights, joint)
        return Mixture(weights=spread, joint=joint)

    def keep_best(self, mixture: Mixture) -> None:
        write_mixture(self.folder.path, self.game, named_weights(self, mixture))

    def strength(self, mixture: Mixture) -> dict[str, Any]:
        whole = WholeGame(self.game)
        found = whole.exploitability(whole.policy(self.agent_of(mixture)))
        value = found.value.item()
        return {
            "values": [value, -value],
            "nash_conv": found.nash_conv.item(),
            "exploitability": found.exploitability.item(),
            "correlated_gain": None,
        }

    def responses(self, mixture: Mixture | None, proposed: Sequence[int]) -> dict[str, Any]:
        """``response_gain``: what the best new member wins of the mixture more than that wins of itself.

        In chips a hand, the mean of both seats, by the matrix; None: there is none.
        """
        if mixture is None or not proposed:
            return {"response_gain": None}
        assert mixture.weights is not None
        older = len(mixture.weights[0])
        met = [np.flatnonzero(own).tolist() for own in mixture.weights]
        gains = []
        for player, own in enumerate(mixture.weights):
            others, shares = met[1 - player], mixture.weights[1 - player][met[1 - player]]
            against = self.payoffs(range(older + len(proposed)))[player]
            against = against if player == 0 else against.T
            values = against[:, others] @ shares
            gains.append(values[list(proposed)].max() - own[met[player]] @ values[met[player]])
        gain = float(np.mean(gains))
        return {"response_gain": None if np.isnan(gain) else gain}  # NaN: it did not meet who is not kept

    def learned(self, agent: InfostateAgent) -> StoredNetwork:
        return StoredNetwork(agent)

    def responder(self, mixture: Mixture, from_street: int) -> Responder:
        return Responder(named_weights(self, mixture), from_street)

    def trained(self, run: RunFolder, way: str, *, greedy: bool) -> StoredAgent:
        agent = load_run(str(run.path.resolve()), CPU).agent(way)
        if isinstance(agent, InfostateAgent):
            return self.learned(InfostateAgent(self.game, agent.network, greedy=greedy))
        return StoredRun(way)

    def opponent(self, mixture: Mixture) -> MixedAgents:
        return MixedAgents(self.folder, self.game, named_weights(self, mixture))

    def first(self, name: str) -> StoredAgent:
        return find_agent(name, self.game)
