"""Leduc hold'em for any number of players: two cards of each of ``n + 1`` ranks.

OpenSpiel's ``leduc_poker(players=n)``. Ante 1; two betting rounds with bets of 2 and 4 and at most two raises
each; a board card between them; a pair with it wins, else the higher rank; equal ranks split.
"""

from dataclasses import dataclass, replace

import numpy as np

from pokerlab.games.base import Bools, Floats
from pokerlab.games.leduc import (
    ANTE,
    CALL,
    FOLD,
    MAX_RAISES,
    RAISE,
    RAISE_SIZES,
    SUITS,
    openspiel_infostate,
)
from pokerlab.games.many_kuhn import check_players, deal_cards
from pokerlab.games.many_players import CHANCE, TERMINAL, ManyPlayerGame, PotKernels, Share


@dataclass(frozen=True, slots=True)
class ManyLeducState:
    """A public state."""

    committed: tuple[int, ...]
    """Chips of each player."""
    folded: tuple[bool, ...]
    rounds: tuple[tuple[int, ...], ...] = ((),)
    """Each round's actions."""
    player: int = 0
    """Whose turn it is, while the round goes on."""
    board: int | None = None

    @property
    def raises(self) -> int:
        """Raises made in the present round."""
        return self.rounds[-1].count(RAISE)

    @property
    def round_is_over(self) -> bool:
        """Whether nobody is left to act: all have checked, or all others have called the last raise."""
        left, actions = self.folded.count(False), self.rounds[-1]
        last = max((place for place, action in enumerate(actions) if action == RAISE), default=-1)
        return left == 1 or actions[last + 1 :].count(CALL) == left - (last >= 0)


class ManyLeduc(ManyPlayerGame[ManyLeducState]):
    """Leduc hold'em of ``players``.

    Args:
        players: from 2 to 4.
    """

    action_labels = ("fold", "call", "raise")

    def __init__(self, players: int = 3) -> None:
        self.num_players = check_players(players, most=4)
        self.num_hands = cards = SUITS * (players + 1)
        self.name = f"leduc{players}"
        self.openspiel_name = f"leduc_poker(players={players})"
        self.deal = deal_cards(cards, players)
        ranks, boards = np.arange(cards) // SUITS, np.arange(cards + 1)[:, None]  # the last: no board yet
        self._possible = np.arange(cards) != boards
        self._kernels = PotKernels(self.deal, ranks + cards * (ranks == boards // SUITS), self._possible)

    def root(self) -> ManyLeducState:
        return ManyLeducState((ANTE,) * self.num_players, (False,) * self.num_players)

    def actor(self, state: ManyLeducState) -> int:
        if not state.round_is_over:
            return state.player
        return TERMINAL if len(state.rounds) == 2 or state.folded.count(False) == 1 else CHANCE

    def actions(self, state: ManyLeducState) -> tuple[int, ...]:
        facing_a_bet = state.committed[state.player] < max(state.committed)
        return (*((FOLD,) if facing_a_bet else ()), CALL, *((RAISE,) if state.raises < MAX_RAISES else ()))

    def next_state(self, state: ManyLeducState, action: int) -> ManyLeducState:
        committed, folded = list(state.committed), list(state.folded)
        if action == FOLD:
            folded[state.player] = True
        else:
            raised = RAISE_SIZES[len(state.rounds) - 1] if action == RAISE else 0
            committed[state.player] = max(committed) + raised
        following = (state.player + 1 + step for step in range(self.num_players))
        player = next(p % self.num_players for p in following if not folded[p % self.num_players])
        rounds = (*state.rounds[:-1], (*state.rounds[-1], action))
        return ManyLeducState(tuple(committed), tuple(folded), rounds, player, state.board)

    def chance_outcomes(self, state: ManyLeducState) -> tuple[ManyLeducState, ...]:
        dealt = replace(state, rounds=(*state.rounds, ()), player=state.folded.index(False))
        return tuple(replace(dealt, board=board) for board in range(self.num_hands))

    def chance_probability(self, state: ManyLeducState) -> float:
        return 1 / (self.num_hands - self.num_players)

    def possible_hands(self, state: ManyLeducState) -> Bools:
        possible: Bools = self._possible[self._board(state)]
        return possible

    def shares(self, state: ManyLeducState) -> tuple[Share, ...]:
        return self._kernels.split(self._board(state), state.committed, state.folded)

    def _board(self, state: ManyLeducState) -> int:
        return self.num_hands if state.board is None else state.board

    def kernel(self, number: int) -> Floats:
        return self._kernels.kernel(number)

    def information_state(self, state: ManyLeducState, hand: int) -> str:
        return openspiel_infostate(state.player, hand, state.rounds, state.committed, state.board)
