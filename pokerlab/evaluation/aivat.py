"""AIVAT: what a match says once luck is taken out (Burch, Schmid, Moravčík, Morrill and Bowling 2018).

Where an agent's strategy is known, its hand and its actions are luck as much as the cards are. AIVAT looks at
the whole range that the agent could have come with, and takes away from what it won how much better each
action and each deal was for that range than what could be expected there, by a value function. Whatever
that function says, the estimate stays unbiased; the better it says what positions are worth, the less luck
is left.

A position is a public state with *weights* of both players' hands: a known player's are how likely it came
with each, an unknown one has the hand that it was dealt. With both players known, only public cards and
actions are left; with one, it is AIVAT as it was published.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Game, Ints, State
from pokerlab.games.parts import RunOuts, call_down_by_rules
from pokerlab.search.payoffs import expected_payoff, joint_mass, outcomes, payoffs, terminals

ROWS = 4096
"""Positions that are valued at once."""

Contra = TypeVar("Contra", contravariant=True)


class ValueFunction(Protocol[Contra]):
    """What positions are worth; at a deal, exactly the mean over its outcomes."""

    def counterfactual_values(
        self, states: Sequence[Sequence[Contra]], which: Ints, player: int, opponent: Tensor
    ) -> Tensor:
        """``[m, C, H]`` of ``player``'s hands.

        Args:
            states: by position, the public states to value, ``C`` at most; values of those that are not
                there are 0.
            which: ``[m]`` position of each row.
            player: whose values.
            opponent: ``[m, H]`` weights of the other's hands, float64.
        """
        ...


class TreeValues(Generic[State]):
    """What positions are worth if both play a strategy of the whole game.

    Args:
        game: the rules, of few hands; small enough to enumerate.
        table: by public state, what is done there, ``[actions of the game, H]``, float64.
    """

    def __init__(self, game: Game[State], table: Mapping[State, Tensor]) -> None:
        self._game, self._table = game, table
        self._number: dict[State, int] = {}
        self._matrices: list[Tensor] = []
        self._add(game.root())

    def _add(self, state: State) -> Tensor:
        """``[H, H]`` what pairs of hands are worth to player 0 at ``state``, weighed by ``deal``."""
        game = self._game
        if (actor := game.actor(state)) == TERMINAL:
            each = torch.eye(game.num_hands, dtype=torch.float64)
            worth = payoffs(game, [game.terminal(state)] * game.num_hands, 0, each).T
        elif actor == CHANCE:
            worth = torch.stack([self._add(outcome) for outcome in game.chance_outcomes(state)]).sum(0)
            worth = worth * game.chance_probability(state)
        else:
            chances, worth = self._table[state], torch.zeros(game.num_hands, game.num_hands)
            for action in game.actions(state):
                chance = chances[action][:, None] if actor == 0 else chances[action]
                worth = worth + chance * self._add(game.next_state(state, action))
        self._number[state] = len(self._matrices)
        self._matrices.append(worth)
        return worth

    @cached_property
    def _all(self) -> Tensor:
        """``[N + 1, H, H]``; the last is 0."""
        return torch.stack([*self._matrices, torch.zeros_like(self._matrices[0])])

    @property
    def value(self) -> float:
        """Of the game to player 0."""
        beliefs = torch.as_tensor(self._game.initial_beliefs)[:, None]
        values = (self._matrices[-1] @ beliefs[1, 0])[None]
        return expected_payoff(self._game, beliefs, values, 0).item()

    def counterfactual_values(
        self, states: Sequence[Sequence[State]], which: Ints, player: int, opponent: Tensor
    ) -> Tensor:
        """See :class:`ValueFunction`."""
        index = torch.full((len(states), max(map(len, states))), len(self._matrices))
        for position, of_position in enumerate(states):
            index[position, : len(of_position)] = torch.tensor([self._number[state] for state in of_position])
        parts = []
        for rows, against in zip(torch.as_tensor(which).split(ROWS), opponent.split(ROWS), strict=True):
            worth = self._all[index[rows]]
            parts.append(torch.einsum(f"mc{'ij' if player == 0 else 'ji'},mj->mci", worth, against))
        return torch.cat(parts) if player == 0 else -torch.cat(parts)


class CheckDown(Generic[State]):
    """What positions are worth if from there on everybody checks and calls.

    Args:
        game: the rules, with checking and calling.
    """

    def __init__(self, game: Game[State]) -> None:
        self._game = game
        self.call_down = game.call_down if isinstance(game, RunOuts) else partial(call_down_by_rules, game)

    def counterfactual_values(
        self, states: Sequence[Sequence[State]], which: Ints, player: int, opponent: Tensor
    ) -> Tensor:
        """See :class:`ValueFunction`."""
        # what ends pay is linear in what their kernels do, and the states after a move share these
        ends = [[self.call_down(state) for state in of_position] for of_position in states]
        kernels = [list({end.payoff_kernel: None for of in each for end, _ in of}) for each in ends]
        most = max(map(len, kernels))
        chips = torch.zeros(len(states), max(map(len, states)), most, dtype=torch.float64)
        for position, each in enumerate(ends):
            for child, of_child in enumerate(each):
                for end, probability in of_child:
                    place = kernels[position].index(end.payoff_kernel)
                    chips[position, child, place] += probability * end.chips[player]
        number = np.array([len(of_position) for of_position in kernels])[which]
        row = np.repeat(np.arange(len(which)), number)
        asked = np.concatenate([kernels[position] for position in which.tolist()]).astype(np.int64)
        won = opponent.new_zeros(len(which), most, opponent.shape[1])
        place = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
        won[torch.as_tensor(row), torch.as_tensor(place)] = outcomes(
            self._game, asked, opponent[torch.as_tensor(row)]
        )
        return torch.einsum("mck,mkh->mch", chips[torch.as_tensor(which)], won)


class Aivat(Generic[State]):
    """Follows ``n`` hands of play, and adds up what luck was worth to player 0.

    Args:
        game: the rules.
        values: what positions are worth.
        known: ``[n, 2]`` whether each player's strategy is known; one of them is.
        hands: ``[n, 2]`` what the players hold; used of those that are unknown.
    """

    def __init__(self, game: Game[State], values: ValueFunction[State], known: Tensor, hands: Ints) -> None:
        self._game, self._values, self._known = game, values, known
        beliefs = torch.as_tensor(game.initial_beliefs)[:, None].expand(-1, len(hands), -1)
        dealt = torch.nn.functional.one_hot(torch.as_tensor(hands.T.copy()), game.num_hands).double()
        self.weights = torch.where(known.T[:, :, None], beliefs, dealt)
        """``[2, n, H]``."""
        self.luck = torch.zeros(len(hands), dtype=torch.float64)
        """``[n]`` chips that player 0 has had."""
        if not known.all():  # what the unknown player was dealt
            root = [game.root()] * len(hands)
            self.luck += self._value(root, self.weights) - self._value(root, beliefs)

    def _value(self, states: Sequence[State], weights: Tensor) -> Tensor:
        """``[m]`` what player 0 can expect at states."""
        different, which = _number_distinct(states)
        positions = [(state,) for state in different]
        values = self._values.counterfactual_values(positions, which, 0, weights[1])[:, 0]
        return expected_payoff(self._game, weights, values, 0)

    def observe_deal(self, rows: Tensor, before: Sequence[State], after: Sequence[State]) -> None:
        """Chance acted in hands ``rows`` ``[m]``.

        Args:
            rows: of the hands.
            before: ``m`` public states, where chance acts.
            after: the states that it led to.
        """
        weights = self.weights[:, rows]
        expected_before = self._value(before, weights)
        possible = np.array([self._game.possible_hands(state) for state in after])
        weights = weights * torch.as_tensor(possible)
        self.weights[:, rows] = weights
        self.luck[rows] += self._value(after, weights) - expected_before

    def observe_action(
        self, rows: Tensor, states: Sequence[State], player: int, strategies: Tensor, actions: Tensor
    ) -> None:
        """``player`` acted in hands ``rows`` ``[m]``; where its strategy is not known, that is no luck.

        Args:
            rows: of the hands.
            states: ``m`` public states, where it was to act.
            player: who.
            strategies: ``[m, actions of the game, H]`` what it does with each hand, float64.
            actions: ``[m]`` what it did.
        """
        known = self._known[rows, player]
        states = [state for state, is_known in zip(states, known.tolist(), strict=True) if is_known]
        if not states:
            return
        rows, strategies, actions, game = rows[known], strategies[known], actions[known], self._game
        different, which = _number_distinct(states)
        legal = [game.actions(state) for state in different]
        after = [
            [game.next_state(state, action) for action in of_state]
            for state, of_state in zip(different, legal, strict=True)
        ]
        most = max(map(len, legal))
        padded = [[*of_state, *[game.num_actions] * (most - len(of_state))] for of_state in legal]
        place = torch.tensor(padded)[torch.as_tensor(which)]  # [m, C] the actions in their order
        taken = (place == actions[:, None]).long().argmax(1)
        everybody = torch.arange(len(rows))
        chances = torch.nn.functional.pad(strategies, (0, 0, 0, 1))[everybody[:, None], place]  # [m, C, H]

        weights = self.weights[:, rows]
        own = weights[player][:, None] * chances
        values = self._values.counterfactual_values(after, which, player, weights[1 - player])
        worth = (own * values).sum(2)  # [m, C], times the mass of the pairs of hands
        before = worth.sum(1) / joint_mass(game, weights)
        weights[player] = own[everybody, taken]
        luck = worth[everybody, taken] / joint_mass(game, weights) - before
        self.weights[:, rows] = weights
        self.luck[rows] += luck if player == 0 else -luck

    def estimate(self, ends: Sequence[State]) -> Tensor:
        """``[n]`` what player 0 won in each hand but for luck, given terminal states."""
        values = payoffs(self._game, terminals(self._game, ends), 0, self.weights[1])
        return expected_payoff(self._game, self.weights, values, 0) - self.luck


def _number_distinct(states: Sequence[State]) -> tuple[list[State], Ints]:
    """The distinct states, and which of them each is."""
    number = {state: i for i, state in enumerate(dict.fromkeys(states))}
    return list(number), np.array([number[state] for state in states], dtype=np.int64)
