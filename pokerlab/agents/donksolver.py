"""An independent opponent: a policy of donksolver, Monte Carlo CFR on a card abstraction (PyPI).

Its heads-up games have the small blind act first on every street: it plays where ``game.small_blind=0``, and
only whole games of hold'em. It is asked about all hands at a public line at once. What it would bet is
taken for the nearest bet that our game offers; what we bet, it translates itself.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Line, Memoryless
from pokerlab.games.base import Game
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET
from pokerlab.games.holdem import Holdem, HoldemState

UNITS = 1024
"""Of a chip, in which it is told of bets: they are whole numbers there."""
WHOLE_DECK = 52
FOLDS, RAISES = 0, 2
"""Its kinds of actions: fold, check or call, raise, all-in."""
OFF_TREE = 1
"""Its status where a bet was translated; above: it has no answer, and checks or calls."""


class DonkSolver(Memoryless[HoldemState]):
    """Plays a bundle.

    Args:
        game: hold'em before the flop, of 52 cards.
        bundle: its manifest, a JSON file.

    Raises:
        ValueError: donksolver is not installed, has no such bundle, or the bundle is for other games.
    """

    def __init__(self, game: Game, bundle: str | Path) -> None:
        try:
            from donksolver import Bundle
            from donksolver.cards import card_id
        except ImportError as error:
            raise ValueError("donksolver is not installed: pip install 'pokerlab[donksolver]'") from error
        root = game.root()
        if (
            not isinstance(game, Holdem)
            or game.boards != (0, 3, 4, 5)
            or len(game.deck.cards) != WHOLE_DECK
            or root.board
            or game.actor(root) != 0
        ):
            raise ValueError(
                f"donksolver plays hold'em of 52 cards from before the flop, the small blind first on every "
                f"street, and {game.name} is not that: expected hunl with small_blind=0"
            )
        try:
            self._bundle = Bundle(str(bundle))
        except (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError) as error:
            raise ValueError(f"donksolver cannot read {bundle}: {error}") from error
        if self._bundle.players != 2:
            raise ValueError(f"{bundle} is for {self._bundle.players} players")
        stacks = [each["stack"] / each["bb"] for each in self._bundle.classes]
        if (wanted := root.stack / game.big_blind) not in stacks:
            known = ", ".join(f"{stack:g}" for stack in stacks)
            raise ValueError(f"{bundle} is for stacks of {known} big blinds, not of {wanted:g}")
        self.game: Holdem = game
        self._cards = np.array([card_id(card) for card in game.deck.cards])

    def strategies(self, lines: Sequence[Line[HoldemState]]) -> Tensor:
        return torch.stack([self._strategy(line) for line in lines])

    def _strategy(self, line: Line[HoldemState]) -> Tensor:
        game, state = self.game, line.state
        hands = np.flatnonzero(game.possible_hands(state))
        history = [
            (
                actor := game.actor(before),
                action == FOLD,
                round(UNITS * (after.committed[actor] - before.committed[actor])),
            )
            for before, action, after in zip(line.states, line.actions, line.states[1:], strict=False)
            if action != DEALT
        ]
        number, root = len(hands), game.root()
        stacks = np.full((number, 2), round(UNITS * root.stack))
        blinds = np.tile([round(UNITS * chips) for chips in root.committed], (number, 1))
        board = self._cards[list(state.board)].tolist()
        found = self._bundle.act(
            stacks, blinds, self._cards[game.deck.hands[hands]], [board] * number, [history] * number,
            np.zeros(number),
        )  # fmt: skip
        strategy = torch.zeros(game.num_actions, game.num_hands, dtype=torch.float64)
        asked, which = np.unique(
            np.stack([found[name] for name in ("status", "cls", "node", "bucket")]),
            axis=1,
            return_inverse=True,
        )
        action = cache(partial(self._action, state))
        for number, (status, *where) in enumerate(asked.T.tolist()):
            here = hands[which.ravel() == number]
            if status > OFF_TREE:
                strategy[CALL, here] = 1
                continue
            chances, kinds, fractions = self._bundle.strategy(*where)
            for chance, *kind in zip(chances, kinds, fractions, strict=True):
                strategy[action(*kind), here] += chance / sum(chances)
        return strategy

    def _action(self, state: HoldemState, kind: int, fraction: float) -> int:
        """Ours that is nearest."""
        game, actor, called = self.game, self.game.actor(state), max(state.committed)
        legal = game.actions(state)
        bets = {bet: game.next_state(state, bet).committed[actor] for bet in legal if bet >= SMALLEST_BET}
        if kind < RAISES or not bets:
            return FOLD if kind == FOLDS and FOLD in legal else CALL
        wanted = called + fraction * (state.pot + 2 * called)
        return min(bets, key=lambda bet: abs(bets[bet] - wanted))
