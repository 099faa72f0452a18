"""A fixed opponent of a learner: asked about many hands at once, and what responses win of it."""

from typing import Any, Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line, Seat, check_answers
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.mixture import MixtureAgent
from pokerlab.games.base import CHANCE, Bools, Floats, Game, Ints, State, is_small
from pokerlab.learning.infostates import Infostates
from pokerlab.search.best_response import exploitability, strategy_values
from pokerlab.search.forest import Forest
from pokerlab.search.payoffs import hand_probabilities
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.hands import Answers, Ask
from pokerlab.selfplay.public_states import NO_ACTION, ListedStates, PublicStates

AT_ONCE = 256
"""Public states that an agent is asked about at once."""


class Opponent(Generic[State]):
    """An agent in both seats, as hands that are played together ask it.

    Args:
        agent: of the game.
        listed: all public states, if the game is small: what it plays there is then found at once.

    Raises:
        ValueError: the agent draws what it plays, or what it answers are no strategies.
    """

    def __init__(self, agent: Agent[State], listed: ListedStates[State] | None) -> None:
        if agent.draws:
            raise ValueError("opponent draws what it plays: it has no one policy to respond to")
        self._agent: Agent[State] | None = agent
        self._seats: list[Seat[State]] = []
        self.table: Floats | None = None
        """``[D, A, H]`` what it plays at all decisions of a listed game, in their order."""
        if listed is not None:
            self.sit_down(0)
            decisions = listed.decisions
            self._number = np.cumsum(listed.kind < CHANCE) - 1
            self.table = self._strategies(listed, decisions)
            self._agent, self._seats = None, []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_seats": []}  # what they remember is not for other processes

    def sit_down(self, seed: int) -> None:
        """Takes both seats anew."""
        if self._agent is not None:
            self._seats = [self._agent.sit_down(player, seed) for player in (0, 1)]

    def seats(self, where: Bools, generator: torch.Generator) -> list[tuple[Ask, Bools]]:
        """Who plays in the hands and seats ``[n, 2]`` that it has, as hands take it."""
        return [(self.ask, where)]

    def ask(self, states: PublicStates[State], at: Ints, hand: Ints) -> Answers:
        """What it plays at ``[m]`` public states with ``[m]`` hands; it expects nothing."""
        if self.table is not None:
            return self.table[self._number[at], :, hand], np.zeros(len(at))
        if isinstance(agent := self._agent, InfostateAgent) and agent.network.moves == states.most_moves:
            device = next(agent.network.parameters()).device
            chances = agent.ask(Infostates.at(states, at, hand, device)).double().numpy(force=True)
            return chances, np.zeros(len(at))
        chances = np.zeros((len(at), states.game.num_actions))
        different, which = np.unique(at, return_inverse=True)
        for first in range(0, len(different), AT_ONCE):
            strategies = self._strategies(states, different[first : first + AT_ONCE])
            here = ((which >= first) & (which < first + AT_ONCE)).nonzero()[0]
            chances[here] = strategies[which[here] - first, :, hand[here]]
        return chances, np.zeros(len(at))

    def _strategies(self, states: PublicStates[State], at: Ints) -> Floats:
        """``[n, A, H]`` at different public states, in the seat of who acts there."""
        game = states.game
        found: Floats = np.zeros((len(at), game.num_actions, game.num_hands))
        for player in (0, 1):
            own = (states.kind[at] == player).nonzero()[0]
            if own.size:
                lines = [line_to(states, state) for state in at[own].tolist()]
                answers = self._seats[player].strategies(lines)
                check_answers(game, lines, answers)
                found[own] = answers.numpy(force=True)
        return found


class MixedOpponent(Generic[State]):
    """A mixture whose agents are drawn for each hand, which asks only one of them.

    On average that is what the mixture's behaviour policy does.

    Args:
        mixture: of agents of the game.
    """

    table = None

    def __init__(self, mixture: MixtureAgent[State]) -> None:
        self._weights = torch.as_tensor(mixture.shares)
        self._members = [Opponent(agent, None) for agent in mixture.agents]

    def sit_down(self, seed: int) -> None:
        """Takes all seats anew."""
        for member in self._members:
            member.sit_down(seed)

    def seats(self, where: Bools, generator: torch.Generator) -> list[tuple[Ask, Bools]]:
        """Who plays in the hands and seats ``[n, 2]`` that it has, as hands take it."""
        drawn = torch.multinomial(self._weights, len(where), replacement=True, generator=generator).T.numpy()
        return [(member.ask, where & (drawn == number)) for number, member in enumerate(self._members)]


def opponent_of(
    agent: Agent[State], listed: ListedStates[State] | None
) -> Opponent[State] | MixedOpponent[State]:
    """An agent as hands that are played together ask it; arguments as of :class:`Opponent`."""
    if isinstance(agent, MixtureAgent) and not is_small(agent.game):
        return MixedOpponent(agent)
    return Opponent(agent, listed)


def line_to(states: PublicStates[State], at: int) -> Line[State]:
    """How play comes to a public state."""
    way = states.way(at)
    actions = tuple(DEALT if action == NO_ACTION else action for action in states.action[way[1:]].tolist())
    return Line(tuple(states.states[state] for state in way), actions)


class Responses:
    """What responses to a fixed opponent win on a listed game, exactly.

    Args:
        game: the rules.
        opponent: ``[D, A, H]`` what it plays, at the decisions in the order of
            :class:`~pokerlab.selfplay.public_states.ListedStates`.
    """

    def __init__(self, game: Game, opponent: Floats) -> None:
        tree = build_tree(game, game.root(), depth_limited=False)
        self._forest = Forest(game, [tree], dtype=torch.float64)
        self._belief = torch.as_tensor(game.initial_beliefs)[:, None]
        self._held = hand_probabilities(game, self._belief.transpose(0, 1))[0, 0]
        self._of_first = (self._forest.actor == 0)[None, :, None]
        self._opponent = self._strategy(opponent)
        found = exploitability(self._forest, self._opponent, self._belief)
        self.best = found.exploitability.item()
        """Chips a hand that the best response wins, the mean of both seats. That is the opponent's
        exploitability: what it wins of itself in one seat it loses in the other."""

    def gain(self, response: Floats) -> float:
        """Chips a hand that a response ``[D, A, H]`` wins, the mean of both seats."""
        own = self._strategy(response)
        first, second = (
            strategy_values(self._forest, torch.where(self._of_first, *pair), self._belief)[0, 0]
            for pair in ((own, self._opponent), (self._opponent, own))
        )
        return (self._held * (first - second)).sum().item() / 2

    def _strategy(self, table: Floats) -> Tensor:
        """``[A, D, H]`` on the forest."""
        by_action = torch.as_tensor(table, dtype=torch.float64)[torch.as_tensor(self._forest.decisions.node)]
        padded = torch.nn.functional.pad(by_action, (0, 0, 0, 1))  # 0 where there is no action
        chances = padded[torch.arange(len(padded)), self._forest.action_of]
        return chances / chances.sum(0)
