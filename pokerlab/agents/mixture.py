"""A mixture of agents as one behaviour policy: each is weighed by how likely it would have come here."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.agents.snapshots import SnapshotSeat
from pokerlab.games.base import Floats, Game, State


class MixtureAgent(Agent[State]):
    """Plays as somebody does who draws an agent before the hand and plays as that does to the end.

    Args:
        game: the rules.
        agents: of which none draws what it plays.
        shares: ``[2, K]`` how often either player draws each.

    Raises:
        ValueError: an agent draws what it plays.
    """

    def __init__(self, game: Game[State], agents: Sequence[Agent[State]], shares: Floats) -> None:
        if any(agent.draws for agent in agents):
            raise ValueError("a mixture is of agents that do not draw what they play")
        self.game, self.agents, self.shares = game, agents, shares
        self.nodes_kept = sum(agent.nodes_kept + 1 for agent in agents)

    def picked(self, player: int) -> list[int]:
        """Which agents a player draws at all."""
        return [int(number) for number in self.shares[player].nonzero()[0]]

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        seats = [[self.agents[pick].sit_down(p, seed) for pick in self.picked(p)] for p in (0, 1)]
        weights = [torch.as_tensor(self.shares[p][self.picked(p)]) for p in (0, 1)]

        def strategies(p: int, lines: Sequence[Line[State]]) -> Tensor:
            return torch.stack([seat.strategies(lines).double().cpu() for seat in seats[p]], 1)

        return SnapshotSeat(self.game, strategies, weights)
