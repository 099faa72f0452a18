"""Local best response: a lower bound of exploitability where no exact one can be had (Lisý and Bowling 2017).

It knows the other's strategy, and so the range that the other comes with. It takes what would be best if
after its action, and the other's answer to a bet (fold or not), everybody only checked and called. That is
one strategy among all, so that what it wins is never more than what a best response would.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line, Seat
from pokerlab.evaluation.aivat import CheckDown
from pokerlab.games.base import Game, State


class LocalBestResponse(Agent[State]):
    """Plays the local best response to an agent.

    Args:
        game: the rules, with checking, calling and folding.
        opponent: the agent; its strategy is known as far as it does not draw.
        from_street: before this street (0 is the first of the game, one more with each public deal) it
            checks and calls.
        actions: what it may do besides checking, calling and folding; null: everything.

    Raises:
        ValueError: the opponent draws what it plays.
    """

    def __init__(
        self,
        game: Game[State],
        opponent: Agent[State],
        *,
        from_street: int = 0,
        actions: Sequence[int] | None = None,
    ) -> None:
        if opponent.draws:
            raise ValueError("a local best response must know a strategy, and the agent draws what it plays")
        self.game, self.opponent, self.from_street = game, opponent, from_street
        self.actions = set(range(game.num_actions) if actions is None else actions)

    def sit_down(self, player: int, seed: int) -> Seat[State]:
        return _LocalBestResponseSeat(self, player, seed)


class _LocalBestResponseSeat(Seat[State]):
    def __init__(self, agent: LocalBestResponse[State], player: int, seed: int) -> None:
        self._agent, self._player, self._game = agent, player, agent.game
        self._opponent = agent.opponent.sit_down(1 - player, seed)
        self._check_down = CheckDown(agent.game)
        self._known: dict[State, Tensor] = {}

    def strategies(self, lines: Sequence[Line[State]]) -> Tensor:
        for line in lines:
            if line.state not in self._known:
                self._known[line.state] = self._respond(line)
        return torch.stack([self._known[line.state] for line in lines])

    def _respond(self, line: Line[State]) -> Tensor:
        """``[actions of the game, H]`` one action a hand."""
        game, state = self._game, line.state
        if game.actor(state) != self._player:
            return self._ask(line)
        call, fold = game.check_or_call(state), game.check_or_fold(state)
        tried = [call]
        if line.actions.count(DEALT) >= self._agent.from_street:
            raises = self._agent.actions - {call, fold}
            tried = [a for a in game.actions(state) if a in (call, fold) or a in raises]
        weight = self._opponents_weight(line)
        worth = torch.stack([self._worth(line, action, weight) for action in tried])
        strategy = worth.new_zeros(game.num_actions, game.num_hands)
        strategy[torch.tensor(tried)[worth.argmax(0)], torch.arange(game.num_hands)] = 1
        return strategy

    def _worth(self, line: Line[State], action: int, weight: Tensor) -> Tensor:
        """``[H]`` counterfactual values of an action against the other's ``weight`` ``[H]``."""
        game, after = self._game, self._game.next_state(line.state, action)
        answers = game.actor(after) == 1 - self._player
        if not answers or game.check_or_fold(after) == game.check_or_call(after):  # nothing to fold to
            return self._called_down(after, weight)
        folds = game.check_or_fold(after)
        folding = weight * self._ask(line.after(action, after))[folds]
        called = game.next_state(after, game.check_or_call(after))
        return self._called_down(game.next_state(after, folds), folding) + self._called_down(
            called, weight - folding
        )

    def _called_down(self, state: State, weight: Tensor) -> Tensor:
        """``[H]``; of a state where the game has ended: what it pays."""
        nobody_else = torch.zeros(1, dtype=torch.int64).numpy()
        return self._check_down.counterfactual_values([[state]], nobody_else, self._player, weight[None])[
            0, 0
        ]

    def _opponents_weight(self, line: Line[State]) -> Tensor:
        """``[H]`` how likely the other comes with each hand."""
        game = self._game
        weight = torch.as_tensor(game.initial_beliefs[1 - self._player])
        for length, action in enumerate(line.actions, 1):
            if game.actor(line.states[length - 1]) == 1 - self._player:
                before = Line(line.states[:length], line.actions[: length - 1], line.hand)
                weight = weight * self._ask(before)[action]
        return weight

    def _ask(self, line: Line[State]) -> Tensor:
        """``[actions of the game, H]`` what the other does."""
        return self._opponent.strategies([line])[0].double().cpu()
