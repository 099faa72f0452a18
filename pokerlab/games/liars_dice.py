"""Liar's Dice for two, the highest face wild. OpenSpiel's ``liars_dice``.

Both roll in secret. A bid, quantity-face, says that so many of all dice show the face or the highest one.
Each bid must be higher than the last (more dice, or as many of a higher face), or the player calls the
other a liar: then the bidder wins 1 if the bid holds, and else loses 1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import comb, factorial, prod

import numpy as np
from torch import Tensor

from pokerlab.games.base import TERMINAL, Game, MatrixPayoffs, PayoffOperator, Terminal

MOST_BIDDINGS = 2**17
"""Orders of bids in a game that is enumerated."""
MOST_PAYOFFS = 10**8
"""Numbers: bids times pairs of hands."""


@dataclass(frozen=True, slots=True)
class LiarsDiceState:
    """The bids so far, at the end of the game followed by "liar"."""

    actions: tuple[int, ...] = ()


class LiarsDice(Game[LiarsDiceState]):
    """Liar's Dice; a hand is an index into ``rolls``, a payoff kernel the bid that was challenged.

    Args:
        dice: how many each player rolls.
        faces: how many a die has.
        depth_limit: a subgame ends this many actions below its root; None plays it out.
    """

    def __init__(self, dice: int, faces: int, depth_limit: int | None = 2) -> None:
        for argument, value, least in (("dice", dice, 1), ("faces", faces, 2)):
            if type(value) is not int or value < least:
                raise ValueError(f"{argument} must be an integer of at least {least}, got {value!r}")
        if depth_limit is not None and (type(depth_limit) is not int or depth_limit < 1):
            raise ValueError(f"depth_limit must be null or an integer of at least 1, got {depth_limit!r}")
        numbers = 2 * dice * faces
        if numbers > MOST_PAYOFFS or numbers * comb(dice + faces - 1, dice) ** 2 > MOST_PAYOFFS:
            raise ValueError(
                f"faces {faces} and dice {dice} make too many hands and bids: expected no more than "
                f"{MOST_PAYOFFS:.0e} payoffs"
            )
        self.name = f"liars_dice_{dice}x{faces}f"
        self.openspiel_name = f"liars_dice(numdice={dice},dice_sides={faces})"
        self.depth_limit = depth_limit

        bids = list(product(range(1, 2 * dice + 1), range(faces)))
        self.action_labels = (*(f"{quantity}-{face + 1}" for quantity, face in bids), "liar")
        self._liar = len(bids)
        self.num_features = 2 + len(bids)

        self.rolls = tuple(combinations_with_replacement(range(faces), dice))
        """Each hand's dice, ascending; faces count from 0."""
        self.num_hands = len(self.rolls)
        chance = np.array([_orders(roll) / faces**dice for roll in self.rolls])
        self.deal = np.outer(chance, chance)

        wild = faces - 1
        shown = np.array(
            [[sum(d in (face, wild) for d in roll) for face in range(faces)] for roll in self.rolls]
        )
        shown_by_both = shown[:, None] + shown[None, :]
        self._kernels = np.stack(
            [self.deal * np.where(shown_by_both[..., face] >= quantity, 1, -1) for quantity, face in bids]
        )

    @property
    def enumerable(self) -> bool:
        return 2**self._liar <= MOST_BIDDINGS

    def root(self) -> LiarsDiceState:
        return LiarsDiceState()

    def actor(self, state: LiarsDiceState) -> int:
        return TERMINAL if self._liar in state.actions else len(state.actions) % 2

    def actions(self, state: LiarsDiceState) -> tuple[int, ...]:
        if not state.actions:
            return tuple(range(self._liar))
        return tuple(range(state.actions[-1] + 1, self._liar + 1))

    def next_state(self, state: LiarsDiceState, action: int) -> LiarsDiceState:
        return LiarsDiceState((*state.actions, action))

    def terminal(self, state: LiarsDiceState) -> Terminal:
        *bids, _ = state.actions
        first_player_bid_last = len(bids) % 2 == 1
        return Terminal(bids[-1], (1, -1) if first_player_bid_last else (-1, 1))

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        return MatrixPayoffs(self._kernels, kernels, like)

    def pot(self, state: LiarsDiceState) -> float:
        """1, what is won or lost: values in pots are payoffs, from -1 to 1."""
        return 1.0

    def features(self, state: LiarsDiceState) -> list[float]:
        """Who acts and the last bid: earlier bids matter only through the beliefs."""
        bids = [action for action in state.actions if action != self._liar]
        acting = [float(self.actor(state) == player) for player in (0, 1)]
        return [*acting, *(float(bids[-1:] == [bid]) for bid in range(self._liar))]

    def is_leaf(self, root: LiarsDiceState, state: LiarsDiceState, depth: int) -> bool:
        return self.depth_limit is not None and depth >= self.depth_limit

    def hand_name(self, hand: int) -> str:
        return "".join(str(face + 1) for face in self.rolls[hand])

    def action_names(self, state: LiarsDiceState, action: int) -> tuple[str, ...]:
        return (self.action_labels[action],)

    def information_state(self, state: LiarsDiceState, hand: int) -> str:
        roll = self.hand_name(hand)
        return " ".join([roll, *(self.action_labels[bid] for bid in state.actions)])


def _orders(roll: tuple[int, ...]) -> int:
    """In how many ways dice can show a roll."""
    return factorial(len(roll)) // prod(factorial(same) for same in Counter(roll).values())
