"""Leduc hold'em: six cards, two betting rounds, bets of 2 and 4 (Southey et al. 2005).

OpenSpiel's ``leduc_poker``. Ante 1; at most two raises a round; one board card after round one; a pair
with the board wins, else the higher rank; equal ranks split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Game, MatrixPayoffs, PayoffOperator, Terminal
from pokerlab.games.parts import read_leaves

FOLD, CALL, RAISE = 0, 1, 2
CARDS, SUITS = 6, 2
NAMES = ("Jh", "Js", "Qh", "Qs", "Kh", "Ks")
ANTE, RAISE_SIZES, MAX_RAISES = 1, (2, 4), 2
STACK = 100  # OpenSpiel's; never reached, it only shows in the information state string
MOST_COMMITTED = ANTE + MAX_RAISES * sum(RAISE_SIZES)
NO_BOARD = CARDS  # the kernels' index of "no board card yet"


@dataclass(frozen=True, slots=True)
class LeducState:
    """A public state; ``rounds`` holds each round's actions, ``committed`` each player's chips."""

    rounds: tuple[tuple[int, ...], ...] = ((),)
    committed: tuple[int, int] = (ANTE, ANTE)
    board: int | None = None
    folded: bool = False

    @property
    def raises(self) -> int:
        """Raises made in the present round."""
        return self.rounds[-1].count(RAISE)

    @property
    def round_is_over(self) -> bool:
        """Whether both have acted and nobody owes chips, or one has folded."""
        actions = self.rounds[-1]
        return self.folded or (len(actions) >= 2 and actions[-1] == CALL)


class Leduc(Game[LeducState]):
    """Leduc hold'em.

    Args:
        leaves: where a first-round subgame ends: ``before_deal`` (one leaf, the network knows what a
            deal is worth) or ``after_deal`` (six leaves, one a board card).
    """

    name = "leduc"
    openspiel_name = "leduc_poker"
    num_hands = CARDS
    action_labels = ("fold", "call", "raise")
    num_features = 13

    def __init__(self, leaves: str = "after_deal") -> None:
        self.leaves = read_leaves(leaves)
        different = 1 - np.eye(CARDS)
        self.deal = different / different.sum()
        self._kernels = np.stack([*(self._fold_kernel(b) for b in range(CARDS + 1)),
                                  *(self._showdown_kernel(b) for b in range(CARDS))])  # fmt: skip

    def _possible(self, board: int) -> NDArray[np.bool_]:
        return np.arange(CARDS) != board

    def _fold_kernel(self, board: int) -> NDArray[np.float64]:
        possible = self._possible(board)
        return self.deal * possible[:, None] * possible[None, :]

    def _showdown_kernel(self, board: int) -> NDArray[np.float64]:
        ranks = np.arange(CARDS) // SUITS
        strength = ranks + CARDS * (ranks == board // SUITS)
        return self._fold_kernel(board) * np.sign(strength[:, None] - strength[None, :])

    def root(self) -> LeducState:
        return LeducState()

    def actor(self, state: LeducState) -> int:
        if not state.round_is_over:
            return len(state.rounds[-1]) % 2
        return TERMINAL if state.folded or len(state.rounds) == 2 else CHANCE

    def actions(self, state: LeducState) -> tuple[int, ...]:
        facing_a_bet = state.committed[0] != state.committed[1]
        return (*((FOLD,) if facing_a_bet else ()), CALL, *((RAISE,) if state.raises < MAX_RAISES else ()))

    def next_state(self, state: LeducState, action: int) -> LeducState:
        committed = list(state.committed)
        player = len(state.rounds[-1]) % 2
        if action != FOLD:
            committed[player] = committed[1 - player]
        if action == RAISE:
            committed[player] += RAISE_SIZES[len(state.rounds) - 1]
        rounds = (*state.rounds[:-1], (*state.rounds[-1], action))
        return LeducState(rounds, (committed[0], committed[1]), state.board, action == FOLD)

    def chance_outcomes(self, state: LeducState) -> tuple[LeducState, ...]:
        return tuple(LeducState((*state.rounds, ()), state.committed, board) for board in range(CARDS))

    def chance_probability(self, state: LeducState) -> float:
        return 1 / (CARDS - 2)

    def possible_hands(self, state: LeducState) -> NDArray[np.bool_]:
        return self._possible(NO_BOARD if state.board is None else state.board)

    def terminal(self, state: LeducState) -> Terminal:
        board = NO_BOARD if state.board is None else state.board
        stake = min(state.committed)
        if not state.folded:
            return Terminal(CARDS + 1 + board, (stake, stake))
        first_won = state.committed[0] > state.committed[1]
        return Terminal(board, (stake, -stake) if first_won else (-stake, stake))

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        return MatrixPayoffs(self._kernels, kernels, like)

    def committed(self, state: LeducState) -> tuple[int, int]:
        return state.committed

    def pot(self, state: LeducState) -> float:
        return sum(state.committed)

    def features(self, state: LeducState) -> list[float]:
        actor = self.actor(state)
        board = [float(card == state.board) for card in range(CARDS)]
        chips = [committed / MOST_COMMITTED for committed in state.committed]
        return [
            float(actor == 0), float(actor == 1), float(actor == CHANCE), len(state.rounds) - 1.0,
            *board, *chips, state.raises / MAX_RAISES,
        ]  # fmt: skip

    def is_leaf(self, root: LeducState, state: LeducState, depth: int) -> bool:
        if self.leaves == "before_deal":
            return len(state.rounds) > len(root.rounds) or self.actor(state) == CHANCE
        return len(state.rounds) > len(root.rounds)

    def check_or_call(self, state: LeducState) -> int:
        return CALL

    def check_or_fold(self, state: LeducState) -> int:
        return self.actions(state)[0]

    def hand_name(self, hand: int) -> str:
        return NAMES[hand]

    def action_names(self, state: LeducState, action: int) -> tuple[str, ...]:
        facing_a_bet = state.committed[0] != state.committed[1]
        names = ("fold",), ("call",) if facing_a_bet else ("check",), ("raise",) if facing_a_bet else ("bet",)
        return names[action]

    def outcome_names(self, outcome: LeducState) -> tuple[str, ...]:
        return () if outcome.board is None else (NAMES[outcome.board],)

    def hand_rank(self, hand: int) -> str:
        return NAMES[hand][0]

    def outcome_rank(self, outcome: LeducState) -> str:
        return "" if outcome.board is None else f"{NAMES[outcome.board][0]} on board"

    def information_state(self, state: LeducState, hand: int) -> str:
        return openspiel_infostate(self.actor(state), hand, state.rounds, state.committed, state.board)


def openspiel_infostate(
    player: int, hand: int, rounds: Sequence[Sequence[int]], committed: Sequence[int], board: int | None
) -> str:
    """OpenSpiel's name of what a player sees to whom a hand was dealt; of any number of players."""
    money = " ".join(str(STACK - chips) for chips in committed)
    public = "" if board is None else f"[Public: {board}]"
    lines = [" ".join(map(str, actions)) for actions in (*rounds, ())[:2]]
    return (
        f"[Observer: {player}][Private: {hand}][Round {len(rounds)}][Player: {player}]"
        f"[Pot: {sum(committed)}][Money: {money}]{public}[Round1: {lines[0]}][Round2: {lines[1]}]"
    )
