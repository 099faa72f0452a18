"""Matches between two agents: duplicate deals, played together, with honest error bars.

Every deal is played twice, seats swapped, with the same hands and the same cards to come; both times together
are one observation. All hands of a batch go on together, a move at a time, and agents are asked once for what
several hands share.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
import torch
from torch import Tensor

from pokerlab.agents.base import DEALT, Agent, Line, Seat
from pokerlab.evaluation.aivat import Aivat, ValueFunction
from pokerlab.evaluation.street_play import StreetAivat, StreetPlay
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, Ints, State
from pokerlab.games.parts import RunOuts, draw_outcome
from pokerlab.search.payoffs import realised_payoffs

MOST_DEALS = 8
"""Public deals in a hand."""
NUMBERS = 2**24
"""Of strategies that are in memory at once, about: so many hands are played together."""
OF_AIVAT = 16
"""Times as many are in memory where it is used, and what is remembered of boards besides."""
KEPT = 2**27
"""Of strategies that agents keep, about."""
NO_LUCK = 1e-9
"""Of a hand's standard deviation: rounding."""
CONFIDENCE = 1.96
"""Standard errors on either side of a mean: 95 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % confidence interval."""

    mean: float
    """Chips a hand."""
    half_width: float
    """Of the interval; nan: of one deal there is none."""
    deviation: float
    """Standard deviation of one deal, played twice."""

    @classmethod
    def of(cls, won: Floats) -> "Estimate":
        """From ``[n]`` chips a hand, one number a deal."""
        if len(won) < 2:
            return cls(float(won.mean()), float("nan"), float("nan"))
        deviation = float(won.std(ddof=1))
        return cls(float(won.mean()), CONFIDENCE * deviation / len(won) ** 0.5, deviation)


@dataclass(frozen=True, slots=True)
class Match:
    """What the first of two agents won against the second: ``n`` deals, each played in both seats."""

    won: Floats
    """``[n, 2]`` chips; column p: in the seat of player p."""
    aivat: Floats | None
    """The same but for luck; None: not estimated."""
    street: Ints
    """``[n, 2]`` on which street the hand ended, from 0: how many public deals there were."""

    @property
    def best(self) -> Floats:
        """``[n, 2]`` what estimates are made from: AIVAT's chips if there are any."""
        return self.won if self.aivat is None else self.aivat

    def result(self) -> Estimate:
        """Chips a hand."""
        return Estimate.of(self.best.mean(1))

    def raw(self) -> Estimate:
        """Chips a hand as they were won."""
        return Estimate.of(self.won.mean(1))

    def position(self, player: int) -> Estimate:
        """Chips a hand in the seat of ``player``."""
        return Estimate.of(self.best[:, player])

    def streets(self) -> list[tuple[int, Estimate]]:
        """By street: how many hands ended there, and what they add to the result."""
        return [
            (
                int((self.street == street).sum()),
                Estimate.of(np.where(self.street == street, self.best, 0).mean(1)),
            )
            for street in range(self.street.max() + 1)
        ]

    def luck_cut(self) -> tuple[float, float] | None:
        """How many times smaller AIVAT made the standard deviation of a hand, and that of a deal played
        twice; None: there is none to speak of left, or AIVAT was not used."""
        if self.aivat is None or len(self.won) < 2:
            return None
        of_hand, of_deal = self.aivat.std(), self.aivat.mean(1).std()
        if of_deal <= NO_LUCK * self.won.std():
            return None
        return float(self.won.std() / of_hand), float(self.won.mean(1).std() / of_deal)

    def deals_won(self) -> float:
        """Share of deals in which the first agent won more chips than the second; half for equally many.

        Of chips as they were won: without luck, who wins a little would win nearly every deal.
        """
        total = self.won.sum(1)
        return float(((total > 0) + (total == 0) / 2).mean())


@dataclass(frozen=True, slots=True)
class PlayedHand(Generic[State]):
    """A hand from its deal to its end."""

    states: tuple[State, ...]
    """Every public state from the game's root on. Where both were all-in before the last street, one more
    with the complete board."""
    hands: tuple[int, int]
    """The private hands of players 0 and 1."""
    payoffs: tuple[float, float]
    """Chips won."""
    names: tuple[str, str]
    """Who played as players 0 and 1."""


def play_match(
    game: Game[State],
    agents: tuple[Agent[State], Agent[State]],
    deals: int,
    seed: int,
    *,
    values: ValueFunction[State] | None = None,
    known: tuple[bool, bool] = (True, True),
    names: tuple[str, str] = ("first", "second"),
    keep: Callable[[PlayedHand[State]], None] | None = None,
) -> Match:
    """Plays ``deals`` deals, each twice.

    Args:
        game: the rules.
        agents: results are what the first one wins.
        deals: how many; twice as many hands.
        seed: of deals and of what agents draw.
        values: of positions, for AIVAT; None: without.
        known: which agents' strategies AIVAT makes use of, at least one.
        names: of the agents, for what is kept.
        keep: called with every hand, deal by deal, the first agent in the seat of player 0 first.
    """
    generator = np.random.default_rng(seed)
    a_node = game.num_actions * game.num_hands
    at_once = NUMBERS // (a_node * (1 if values is None else OF_AIVAT))
    kept = KEPT // (a_node * sum(agent.nodes_kept for agent in agents))
    most = max(min(at_once, kept) // 2, 1)
    batches = [min(most, deals - begin) for begin in range(0, deals, most)]
    parts = []
    for number, size in enumerate(batches):
        tables = _Tables(game, agents, size, generator, (seed, number))
        parts.append(tables.play(values, known))
        if keep is not None:
            for hand in tables.hands(names):
                keep(hand)
        del tables  # and with it, what agents remember of these deals
    aivat = [part.aivat for part in parts if part.aivat is not None]
    return Match(
        won=np.concatenate([part.won for part in parts]),
        aivat=np.concatenate(aivat) if aivat else None,
        street=np.concatenate([part.street for part in parts]),
    )


class _Tables(Generic[State]):
    """A batch of deals, ``n``: at table ``i`` the first agent is player 0, at ``n + i`` player 1."""

    def __init__(
        self,
        game: Game[State],
        agents: tuple[Agent[State], Agent[State]],
        deals: int,
        generator: np.random.Generator,
        seed: tuple[int, int],
    ) -> None:
        self._game, self._agents, self._generator = game, agents, generator
        hands, fractions = draw_hands(game, deals, generator), generator.random((deals, MOST_DEALS))
        self._hands, self._fractions = np.tile(hands, (2, 1)), np.tile(fractions, (2, 1))
        self._agent_of = np.repeat([[0, 1], [1, 0]], deals, 0)
        """``[2n, 2]`` which agent is in each player's seat."""
        of_seat = np.random.SeedSequence(seed).generate_state(4).reshape(2, 2).tolist()
        self._seats: list[list[Seat[State]]] = [
            [agent.sit_down(player, of_seat[number][player]) for player in (0, 1)]
            for number, agent in enumerate(agents)
        ]
        self._lines = [Line((game.root(),))]
        """Those that occur."""
        self._after: dict[tuple[int, int | State], int] = {}
        """Of a line, by its last move."""
        self._at = np.zeros(2 * deals, np.int64)
        """``[2n]`` the line of each table."""
        self._street = np.zeros(2 * deals, np.int64)
        self._won = torch.zeros(2 * deals, dtype=torch.float64)

    def play(self, values: ValueFunction[State] | None, known: tuple[bool, bool]) -> Match:
        """Plays all to the end."""
        aivat = None
        if values is not None:
            aivat = self._follow(values, known)
            self._begin_street(np.arange(len(self._at)), aivat)
        while True:
            actor = np.array([self._game.actor(line.state) for line in self._lines])[self._at]
            if (actor == TERMINAL).all():
                break
            self._deal((actor == CHANCE).nonzero()[0], aivat)
            for player in (0, 1):
                for agent in (0, 1):
                    acts = (actor == player) & (self._agent_of[:, player] == agent)
                    self._act(acts.nonzero()[0], player, agent, aivat)
        ends = [self._lines[at].state for at in self._at]
        estimate = None if aivat is None else self._by_deal(aivat.estimate(ends))
        self._run_out(ends)
        return Match(self._by_deal(self._won), estimate, self._street.reshape(2, -1).T.copy())

    def _follow(self, values: ValueFunction[State], known: tuple[bool, bool]) -> Aivat[State]:
        if isinstance(values, StreetPlay) and all(known):
            return StreetAivat(self._game, values, self._hands)
        return Aivat(self._game, values, torch.tensor(known)[self._agent_of], self._hands)

    def _by_deal(self, of_player_0: Tensor) -> Floats:
        """``[2n]`` chips of player 0 → ``[n, 2]`` chips of the first agent."""
        first, second = of_player_0.view(2, -1).numpy()
        return np.stack([first, -second], 1)

    def _deal(self, tables: Ints, aivat: Aivat[State] | None) -> None:
        if not len(tables):
            return
        before = [self._lines[at].state for at in self._at[tables]]
        after = [
            draw_outcome(self._game, state, (first, second), fraction)
            for state, (first, second), fraction in zip(
                before,
                self._hands[tables].tolist(),
                self._fractions[tables, self._street[tables]].tolist(),
                strict=True,
            )
        ]
        self._street[tables] += 1
        for table, state in zip(tables.tolist(), after, strict=True):
            self._at[table] = self._line_after(int(self._at[table]), state, DEALT, state)
        if aivat:
            aivat.observe_deal(torch.as_tensor(tables), before, after)
            self._begin_street(tables, aivat)

    def _begin_street(self, tables: Ints, aivat: Aivat[State]) -> None:
        if isinstance(aivat, StreetAivat):
            draw = any(agent.draws for agent in self._agents)
            lines = [
                replace(self._lines[at], hand=number if draw else 0)
                for at, number in zip(self._at[tables], self._number(tables).tolist(), strict=True)
            ]
            seats = [
                (self._seats[first][0], self._seats[second][1]) for first, second in self._agent_of[tables]
            ]
            aivat.begin_street(torch.as_tensor(tables), lines, seats)

    def _number(self, tables: Ints) -> Ints:
        """A hand's number is its deal's, in each seat."""
        return tables % (len(self._at) // 2)

    def _line_after(self, line: int, move: int | State, action: int, state: State) -> int:
        if (line, move) not in self._after:
            self._after[line, move] = len(self._lines)
            self._lines.append(self._lines[line].after(action, state))
        return self._after[line, move]

    def _act(self, tables: Ints, player: int, agent: int, aivat: Aivat[State] | None) -> None:
        if not len(tables):
            return
        at, game = self._at[tables], self._game
        if self._agents[agent].draws:
            lines = [
                replace(self._lines[i], hand=number)
                for i, number in zip(at, self._number(tables).tolist(), strict=True)
            ]
            which = np.arange(len(lines))
        else:
            different, which = np.unique(at, return_inverse=True)
            lines = [self._lines[i] for i in different]
        strategies = self._seats[agent][player].strategies(lines).double().cpu()
        here = torch.as_tensor(which)
        chances = strategies[here, :, torch.as_tensor(self._hands[tables, player])]
        threshold = torch.as_tensor(self._generator.random(len(tables)))
        cumulative = chances.cumsum(1)
        actions = (cumulative <= threshold[:, None] * cumulative[:, -1:]).sum(1)
        if aivat:
            states = [self._lines[i].state for i in at]
            aivat.observe_action(torch.as_tensor(tables), states, player, strategies[here], actions)
        for table, action in zip(tables.tolist(), actions.tolist(), strict=True):
            line = int(self._at[table])
            if (line, action) not in self._after:
                self._line_after(line, action, action, game.next_state(self._lines[line].state, action))
            self._at[table] = self._after[line, action]

    def _run_out(self, ends: Sequence[State]) -> None:
        """Deals what is to come where both are all-in, and pays."""
        self._ends = list(ends)
        if isinstance(self._game, RunOuts):
            self._ends = [
                self._game.run_out(state, (first, second), fractions)
                for state, (first, second), fractions in zip(
                    ends, self._hands.tolist(), self._fractions.tolist(), strict=True
                )
            ]
        self._won = realised_payoffs(self._game, self._ends, self._hands)

    def hands(self, names: tuple[str, str]) -> Iterator[PlayedHand[State]]:
        """The hands, in the order of deals."""
        deals = len(self._at) // 2
        for deal in range(deals):
            for table in (deal, deals + deal):
                first, second = self._agent_of[table]
                won, hands = self._won[table].item(), self._hands[table].tolist()
                states = self._lines[self._at[table]].states
                if self._ends[table] != states[-1]:  # the rest of the board
                    states = (*states, self._ends[table])
                yield PlayedHand(states, (hands[0], hands[1]), (won, -won), (names[first], names[second]))


def draw_hands(game: Game, deals: int, generator: np.random.Generator) -> Ints:
    """``[n, 2]`` hands as the game deals them."""
    first, second = game.initial_beliefs
    of_first = first * (game.deal @ second)
    chosen = generator.choice(game.num_hands, deals, p=of_first / of_first.sum())
    given_first = np.cumsum(game.deal[chosen] * second, 1)
    threshold = generator.random(deals)[:, None] * given_first[:, -1:]
    return np.stack([chosen, (given_first <= threshold).sum(1)], 1)
