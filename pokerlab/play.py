"""A person, or a script, plays an agent: hand after hand, each told and looked at when it is over::

    table = Table(game, agent, seed=1)
    hand = table.deal()
    while not hand.over:
        hand.act(hand.legal[0])
    told = table.review(hand)

The agent is on the other seat, and seats change from hand to hand. What a hand won is told with luck taken
out (:mod:`pokerlab.evaluation.aivat`, of which the agent's strategy alone is known). Each of the person's
decisions is held against what the agent's own solve says that every action was worth.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, cast

import numpy as np
import torch

from pokerlab.agents.base import DEALT, Agent, Line, Seat, write_line
from pokerlab.agents.search import SearchAgent
from pokerlab.evaluation.aivat import Aivat, ValueFunction
from pokerlab.evaluation.contest import value_function
from pokerlab.evaluation.exact import tabulate
from pokerlab.evaluation.matches import MOST_DEALS, Estimate, PlayedHand, draw_hands
from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, State, is_small
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.parts import RunOuts, draw_outcome
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.payoffs import realised_payoffs
from pokerlab.search.tree import build_tree
from pokerlab.spot import Progress, Spot, solve

ITERATIONS = 200
"""Of CFR, where a street is solved to review what was done on it."""
DIGITS = 6
"""Of the weights of a street's ranges, whose most is 1."""
STREETS = 8
"""That are kept solved, the latest ones."""


class Hand(Generic[State]):
    """A hand that is being played.

    Args:
        game: the rules.
        seat: the agent's.
        number: of the hand.
        player: which seat the person has.
        hands: both private hands.
        draws: of what the agent does, and of the cards to come.
    """

    def __init__(
        self,
        game: Game[State],
        seat: Seat[State],
        number: int,
        player: int,
        hands: tuple[int, int],
        draws: np.random.Generator,
    ) -> None:
        self.game, self.number, self.player, self.hands = game, number, player, hands
        self.line: Line[State] = Line((game.root(),), hand=number)
        self.strategies: list[Floats | None] = []
        """``[A, H]`` of each move: what the agent did with each of its hands; None: another's move."""
        self.won = 0.0
        """Chips that the person won, once the hand is over."""
        self.end: State
        """The last state, with all cards on the board."""
        self._seat, self._draws = seat, draws
        self._fractions = draws.random(MOST_DEALS).tolist()
        self._go_on()

    @property
    def state(self) -> State:
        """The public state."""
        return self.line.state

    @property
    def over(self) -> bool:
        """Whether nobody acts any more."""
        return self.game.actor(self.state) == TERMINAL

    @property
    def legal(self) -> tuple[str, ...]:
        """What the person may do now."""
        if self.over:
            return ()
        return tuple(names.action_name(self.game, self.state, a) for a in self.game.actions(self.state))

    def act(self, name: str) -> None:
        """The person acts, and the game goes on to its next decision, or to its end.

        Raises:
            ValueError: that is not legal; says what is.
        """
        if self.over:
            raise ValueError(f"{name!r}: the hand is over")
        if name not in self.legal:
            raise ValueError(f"{name!r} is not legal: expected one of {', '.join(self.legal)}")
        self._move(self.game.actions(self.state)[self.legal.index(name)], None)
        self._go_on()

    def _move(self, action: int, strategy: Floats | None) -> None:
        self.line = self.line.after(action, self.game.next_state(self.state, action))
        self.strategies.append(strategy)

    def _go_on(self) -> None:
        """Deals, and has the agent act, until the person is to."""
        deals = sum(move == DEALT for move in self.line.actions)
        while (actor := self.game.actor(self.state)) not in (TERMINAL, self.player):
            if actor == CHANCE:
                after = draw_outcome(self.game, self.state, self.hands, self._fractions[deals])
                self.line, deals = self.line.after(DEALT, after), deals + 1
                self.strategies.append(None)
                continue
            strategy = self._seat.strategies([self.line])[0].double().numpy(force=True)
            chances = strategy[list(self.game.actions(self.state)), self.hands[actor]].clip(0)
            chosen = self._draws.choice(len(chances), p=chances / chances.sum())
            self._move(self.game.actions(self.state)[chosen], strategy)
        if self.over:
            self.end = self.state
            if isinstance(self.game, RunOuts):
                self.end = self.game.run_out(self.state, self.hands, self._fractions)
            first = realised_payoffs(self.game, [self.end], np.array([self.hands])).item()
            self.won = first if self.player == 0 else -first

    def played(self, agent: str, person: str) -> PlayedHand[State]:
        """The hand, for files of histories."""
        states = self.line.states if self.end == self.state else (*self.line.states, self.end)
        who = (person, agent) if self.player == 0 else (agent, person)
        first = self.won if self.player == 0 else -self.won
        return PlayedHand(states, self.hands, (first, -first), who)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of the person, once the hand is over."""

    line: str
    """Where it was."""
    action: str
    """What the person did."""
    worth: dict[str, float]
    """What each action was worth with the person's hand, in chips: see :meth:`Spot.action_values`."""
    frequencies: dict[str, float]
    """How often the agent takes it for right, with that hand."""

    @property
    def lost(self) -> float:
        """Chips: what the best action was worth more."""
        return max(self.worth.values()) - self.worth[self.action]


@dataclass(frozen=True, slots=True)
class Review:
    """A hand that is over, looked at."""

    won: float
    """Chips."""
    without_luck: float | None
    """Chips that the person's play won, by AIVAT; None: the game has nothing to value positions by."""
    range: Floats
    """``[H]`` how likely the agent had each hand, as who saw it play would say; sums to 1."""
    decisions: tuple[Decision, ...]
    """Of the person; those that could be looked at."""
    left_out: int
    """How many could not, for want of values."""


class Table(Generic[State]):
    """A session with an agent.

    Args:
        game: the rules.
        agent: whom the person plays.
        seed: of deals, and of what the agent draws.
        leaf: values the streets to come, where hands are reviewed that are too large to be solved; None: the
            agent's own, if it searches.
    """

    def __init__(
        self, game: Game[State], agent: Agent[State], seed: int = 0, leaf: LeafEvaluator | None = None
    ) -> None:
        self.game, self.agent = game, agent
        self.hands: list[Hand[State]] = []
        """Those that are over, in order."""
        self.reviews: list[Review] = []
        """Of these."""
        self._draws = np.random.default_rng(seed)
        self._seats = [agent.sit_down(player, seed) for player in (0, 1)]
        self._leaf = (
            agent.resolving.leaf_evaluator if leaf is None and isinstance(agent, SearchAgent) else leaf
        )
        self._streets: dict[str, Spot] = {}
        self._number = 0

    def deal(self) -> Hand[State]:
        """The next hand; the person's seat is another one each time."""
        first, second = draw_hands(self.game, 1, self._draws)[0].tolist()
        player = self._number % 2
        hand = Hand(self.game, self._seats[1 - player], self._number, player, (first, second), self._draws)
        self._number += 1
        return hand

    def review(self, hand: Hand[State]) -> Review:
        """Looks at a hand that is over, and adds it to the session.

        Raises:
            ValueError: it is not over.
        """
        if not hand.over:
            raise ValueError("the hand is not over")
        decisions, left_out = list[Decision](), 0
        for number, (state, move) in enumerate(zip(hand.line.states, hand.line.actions, strict=False)):
            if move == DEALT or self.game.actor(state) != hand.player:
                continue
            decision = self._decide(hand, number)
            if decision is None:
                left_out += 1
            else:
                decisions.append(decision)
        found = Review(hand.won, self._without_luck(hand), self._range(hand), tuple(decisions), left_out)
        self.hands.append(hand)
        self.reviews.append(found)
        return found

    def won(self, *, luck: bool = False) -> Estimate | None:
        """Chips a hand with a 95 % interval; None: no hand is over, or there is no such estimate.

        Args:
            luck: as they were won; otherwise with luck taken out.
        """
        chips = [review.won if luck else review.without_luck for review in self.reviews]
        known = [each for each in chips if each is not None]
        return Estimate.of(np.array(known)) if known and len(known) == len(chips) else None

    # What was done

    def _decide(self, hand: Hand[State], number: int) -> Decision | None:
        line = Line(hand.line.states[: number + 1], hand.line.actions[:number], hand.number)
        if (found := self._spot(line)) is None:
            return None
        spot, here = found
        held, state = hand.hands[hand.player], line.state
        worth = {name: float(values[held]) for name, values in spot.action_values(here).items()}
        if any(np.isnan(value) for value in worth.values()):
            return None
        action = names.action_name(self.game, state, hand.line.actions[number])
        frequencies = {name: float(chances[held]) for name, chances in spot.strategy(here).items()}
        return Decision(write_line(self.game, line), action, worth, frequencies)

    def _spot(self, line: Line[State]) -> tuple[Spot, str] | None:
        """What the agent takes for right around a line, and where the line ends in it."""
        if is_small(self.game):
            whole = self._whole()
            return None if whole is None else (whole, write_line(self.game, line))
        game = self.game
        if not isinstance(self.game, Holdem):
            return None
        dealt = max((place for place, move in enumerate(line.actions, 1) if move == DEALT), default=0)
        above = Line(line.states[: dealt + 1], line.actions[:dealt], line.hand)
        key = write_line(game, above)
        if key not in self._streets:
            street = self._street(above)
            if street is None:
                return None
            self._streets = {**dict(list(self._streets.items())[1 - STREETS :]), key: street}
        spot = self._streets[key]
        after: Line[Any] = Line((spot.game.root(),))
        for action in line.actions[dealt:]:
            after = after.after(action, spot.game.next_state(after.state, action))
        return spot, write_line(spot.game, after)

    def _whole(self) -> Spot | None:
        """The whole game, if both play as the agent does."""
        if "" not in self._streets and (table := tabulate(self.game, self.agent)) is not None:
            tree = build_tree(self.game, self.game.root(), depth_limited=False)
            rows = [
                table.table[state][list(self.game.actions(state))].double().numpy()
                for state in tree.decisions.states
            ]
            unknown = Progress(0, 0.0, np.nan, 0.0, self.game.pot(tree.root))
            self._streets[""] = Spot(self.game, tree, cast(EdgeRows, np.concatenate(rows)), unknown)
        return self._streets.get("")

    def _street(self, line: Line[State]) -> Spot | None:
        """A street of hold'em, solved from the ranges that the agent sees."""
        weights = self.agent.weights(write_line(self.game, line))
        game, state = self.game, line.state
        assert isinstance(game, Holdem)
        assert isinstance(state, HoldemState)
        ranges = [game.deck.write_range(of / of.max(), DIGITS) for of in weights]
        if self._leaf is None and len(state.board) < game.boards[-1]:
            return None
        start = {"board": game.deck.board_name(state.board), "pot": state.pot, "stack": state.stack}
        street = Holdem(**{**game.arguments, **start, "ranges": ranges, "jitter": 0.0})
        return solve(street, leaf=self._leaf, iterations=ITERATIONS)

    # What it was worth

    def _range(self, hand: Hand[State]) -> Floats:
        """What the agent had, as one who knows its strategy would say."""
        player = 1 - hand.player
        met = self.game.deal[:, hand.hands[1]] if player == 0 else self.game.deal[hand.hands[0]]
        weights: Floats = self.game.initial_beliefs[player] * met
        for strategy, move in zip(hand.strategies, hand.line.actions, strict=True):
            if strategy is not None:
                weights = weights * strategy[move]
        weights = weights * self.game.possible_hands(hand.state)
        found: Floats = weights / max(weights.sum(), 1e-300)
        return found

    def _without_luck(self, hand: Hand[State]) -> float | None:
        if (values := self._values) is None:
            return None
        known = torch.tensor([[hand.player != player for player in (0, 1)]])
        aivat, row = Aivat(self.game, values, known, np.array([hand.hands])), torch.tensor([0])
        for number, (before, move) in enumerate(zip(hand.line.states, hand.line.actions, strict=False)):
            after = hand.line.states[number + 1]
            strategy = hand.strategies[number]
            if move == DEALT:
                aivat.observe_deal(row, [before], [after])
            elif strategy is not None:
                actor, chances = self.game.actor(before), torch.as_tensor(strategy)[None]
                aivat.observe_action(row, [before], actor, chances, torch.tensor([move]))
        first = aivat.estimate([hand.state]).item()
        return first if hand.player == 0 else -first

    @cached_property
    def _values(self) -> ValueFunction[State] | None:
        """What positions are worth to AIVAT."""
        try:
            return value_function(None, self.game, self.agent, known=False)
        except ValueError:
            return None
