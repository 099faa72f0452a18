"""A game, and a strategy for every hand at every public state of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Generic

import numpy as np
import torch

from pokerlab.agents.base import DEALT, Agent, Line, Memoryless
from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, Ints, PayoffOperator, State
from pokerlab.games.parts import Symmetry, TablePlay, call_down
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.node_values import NodeValues
from pokerlab.search.tree import PublicTree
from pokerlab.spot.locking import Given
from pokerlab.spot.tables import Node, Table
from pokerlab.store.files import write_atomically

VERSION = 1
"""Of files."""
SHOWDOWNS = 64
"""Boards whose payoffs are kept, the latest ones."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a spot is solved."""

    iterations: int
    seconds: float
    """Of the iterations alone."""
    exploitability: float
    """Chips: NashConv / 2; NaN where a network values what comes after the first street."""
    value: float
    """Player 0's, in chips; what both put in before the root is won or lost too."""
    pot: float
    """At the root, in chips."""

    @property
    def nash_conv(self) -> float:
        """What both players' best responses win together, in chips."""
        return 2 * self.exploitability

    @property
    def percent_of_pot(self) -> float:
        """The exploitability in percent of the root's pot."""
        return 100 * self.exploitability / self.pot


class Spot(Generic[State]):
    """A game, and a strategy for every hand at every public state of it.

    Args:
        game: the rules.
        tree: its public tree.
        strategy: ``[E, H]`` probabilities, see ``edges``.
        progress: how far it is solved.
        symmetry: by which ``tree`` was made smaller.
        locks: what was given of the strategy, see :func:`pokerlab.solve`.
        leaves: ``[2, L, H]`` where only the first street was solved, a network's counterfactual values of
            what comes after it, in chips; None: the tree is played to the end.
    """

    def __init__(
        self,
        game: Game[State],
        tree: PublicTree[State],
        strategy: EdgeRows,
        progress: Progress,
        symmetry: Symmetry[State] | None = None,
        locks: Given | None = None,
        leaves: Floats | None = None,
    ) -> None:
        self.game, self.tree, self.progress, self.leaves = game, tree, progress, leaves
        self.edges, self.symmetry = strategy, symmetry
        """``[E, H]`` the strategy, in the tree's order of edges."""
        self.locks = locks or {}

    @property
    def exploitability(self) -> float:
        """Chips: NashConv / 2."""
        return self.progress.exploitability

    @property
    def value(self) -> float:
        """Chips that player 0 wins, net of its own part of the pot at the root."""
        return self.progress.value

    @property
    def expected_values(self) -> tuple[float, float]:
        """Chips of the root's pot that each player takes: together all of it."""
        first, second = self._put_in(self.tree.root)
        return first + self.value, second - self.value

    def _put_in(self, state: State) -> tuple[float, float]:
        """Each player's part of the pot; half of it where the game does not say."""
        committed, half = self.game.committed(state), self.game.pot(state) / 2
        return committed if any(committed) else (half, half)

    def __repr__(self) -> str:
        progress, (first, second) = self.progress, self.expected_values
        found = f"exploitability {progress.percent_of_pot:.2g} % of the pot"
        return (
            f"{self.game.name}: {self.tree.num_states:,} public states, {progress.iterations:,} iterations, "
            f"{found if self.leaves is None else 'what comes after the street as a network values it'}, "
            f"EV {first:,.5g} and {second:,.5g} of {progress.pot:,g} chips"
        )

    def state(self, line: str = "") -> State:
        """The public state where a line ends; raises as :meth:`weights` does."""
        return self._place(line).state

    def weights(self, line: str = "") -> Floats:
        """``[2, H]`` both ranges where a line ends: the range at the root times how often each hand comes.

        Hands that the board blocks have 0.

        Args:
            line: public moves from the root, see :mod:`pokerlab.games.names`.

        Raises:
            ValueError: the line is not one of this game.
        """
        place = self._place(line)
        reach = self._reach(place) * self.game.initial_beliefs
        return reach[:, place.hands] * self.game.possible_hands(place.state)

    def strategy(self, line: str = "") -> dict[str, Floats]:
        """``{action: [H] probability for each hand}`` where the line ends; 0 for hands that the board blocks.

        Args:
            line: public moves from the root, see :mod:`pokerlab.games.names`.

        Raises:
            ValueError: the line is not one of this game, or nobody acts where it ends.
        """
        place = self._decision(line)
        possible = self.game.possible_hands(place.state)
        chances = self.edges[self._edges(place.there)][:, place.hands] * possible
        return dict(zip(place.action_names, chances.astype(np.float64), strict=True))

    def table(self, line: str = "", player: int | None = None) -> Table:
        """Weight, equity, EV and probabilities hand by hand.

        Args:
            line: public moves from the root, see :mod:`pokerlab.games.names`.
            player: whose hands; None: who acts there, or player 0 where nobody does.

        Raises:
            ValueError: the line is not one of this game, or it ends the game.
        """
        node = self.node(line)
        if node.actor == TERMINAL:
            raise ValueError(f"line {line!r}: the game is over there")
        if player is None:
            player = node.actor if node.actor < CHANCE else 0
        return node.table(player)

    def node(self, line: str = "") -> Node[State]:
        """Both players' hands where a line ends, and what they do.

        Args:
            line: public moves from the root, see :mod:`pokerlab.games.names`.

        Raises:
            ValueError: the line is not one of this game.
        """
        place = self._place(line)
        start, possible = self.game.initial_beliefs, self.game.possible_hands(place.state)
        reach = self._reach(place) * start
        put_in = np.array(self._put_in(place.state))[:, None]
        here = reach[:, place.hands] * possible
        equity = self._equity(place, reach)
        strategy = np.zeros((0, self.game.num_hands))
        if place.actor < CHANCE:
            strategy = self.edges[self._edges(place.there)][:, place.hands].astype(np.float64) * possible
        met = self._mass(torch.as_tensor(here[::-1].copy())).numpy()
        return Node(
            game=self.game,
            moves=tuple(place.moves),
            state=place.state,
            actor=place.actor,
            held=(start > 0) & possible,
            weight=here / start.max(1, keepdims=True),
            met=met,
            equity=None if equity is None else equity[:, place.hands],
            ev=(self._node_values(self._number(place), reach) + put_in)[:, place.hands],
            actions=place.action_names,
            strategy=strategy,
        )

    def action_values(self, line: str = "") -> dict[str, Floats]:
        """``{action: [H]}`` what each is worth to the hands of who acts where a line ends, in chips.

        As EVs there: what a hand takes out of the pot in the end, less what it still puts in, if both play
        the strategy afterwards; a fold is worth 0. NaN for a hand that meets none of the other's range.

        Args:
            line: public moves from the root, see :mod:`pokerlab.games.names`.

        Raises:
            ValueError: the line is not one of this game, or nobody acts where it ends.
        """
        place = self._decision(line)
        number = self._number(place)
        reach = self._reach(place) * self.game.initial_beliefs
        below = self._node_values.reach_below(number, reach)
        put_in = self._put_in(place.state)[place.actor]
        return {
            name: (self._node_values(child, of) + put_in)[place.actor, place.hands]
            for name, child, of in zip(
                place.action_names, self._node_values.children(number), below, strict=True
            )
        }

    # Where a line ends

    def _decision(self, line: str) -> "_Place[State]":
        place = self._place(line)
        if place.actor >= CHANCE:
            raise ValueError(f"line {line!r}: nobody acts there")
        return place

    def _place(self, line: str) -> "_Place[State]":
        moves = names.read_line(self.game, line)
        if self.leaves is not None and any(move.action is None for move in moves):
            raise ValueError(
                f"line {line!r}: only the first street was solved, what comes after it is valued"
            )
        states = [self.game.root(), *(move.state for move in moves)]
        dealt = next((i for i, move in enumerate(moves, start=1) if move.action is None), len(states))
        there, hands = self._in_tree(states, dealt)
        actor = self.game.actor(here := states[-1])
        actions = self.game.actions(here) if actor < CHANCE else ()
        labels = tuple(names.action_name(self.game, here, action) for action in actions)
        return _Place(moves, there, here, actor, hands, labels)

    def _in_tree(self, states: Sequence[State], dealt: int) -> tuple[list[State], Ints]:
        """A line's states as the tree has them, and ``[H]`` what each hand is there.

        Args:
            states: of the line.
            dealt: how many come before the first deal.
        """
        if not self.symmetry:
            return list(states), np.arange(self.game.num_hands)
        mapped = [self.symmetry.representative(state) for state in states[dealt:]]
        hands = mapped[-1][1] if mapped else np.arange(self.game.num_hands)
        return [*states[:dealt], *(state for state, _ in mapped)], hands

    def agent(self) -> Agent[State]:
        """Plays the strategy, from either seat."""
        return SpotAgent(self)

    def play(self, lines: Sequence[Line[State]]) -> torch.Tensor:
        """``[n, actions of the game, H]`` the strategy where lines end; there somebody is to act."""
        chances = torch.zeros(len(lines), self.game.num_actions, self.game.num_hands, dtype=torch.float64)
        for number, line in enumerate(lines):
            dealt = line.actions.index(DEALT) + 1 if DEALT in line.actions else len(line.states)
            there, hands = self._in_tree(line.states, dealt)
            actions = list(self.game.actions(line.state))
            chances[number, actions] = torch.as_tensor(self.edges[self._edges(there)][:, hands]).double()
        return chances

    @cached_property
    def _node(self) -> dict[State, int]:
        """The tree's decision nodes by their states."""
        return {state: node for node, state in enumerate(self.tree.decisions.states)}

    def _edges(self, states: Sequence[State]) -> slice:
        """The edges of the decision node that ``states`` end at."""
        return self.tree.edges_of(self._node[states[-1]])

    def _reach(self, place: "_Place[State]") -> Floats:
        """``[2, H]`` how likely each player's hands are to come there by their own actions."""
        reach = np.ones((2, self.game.num_hands))
        for number, move in enumerate(place.moves):
            if move.action is not None:
                state = place.there[number]
                position = self.game.actions(state).index(move.action)
                reach[self.game.actor(state)] *= self.edges[self._edges(place.there[: number + 1])][position]
        return reach

    @cached_property
    def _node_values(self) -> NodeValues[State]:
        return NodeValues(self.game, self.tree, self.edges, self.leaves)

    def _number(self, place: "_Place[State]") -> int:
        """Which of the tree's states a line ends at."""
        number, states = 0, self.tree.every.states
        for move, before, after in zip(place.moves, place.there, place.there[1:], strict=False):
            children = self._node_values.children(number)
            if move.action is None:
                number = next(child for child in children if states[child] == after)
            else:
                number = children[self.game.actions(before).index(move.action)]
        return number

    @cached_property
    def _mass(self) -> PayoffOperator:
        return self.game.mass_operator(torch.empty(0, dtype=torch.float64))

    def _equity(self, place: "_Place[State]", reach: Floats) -> Floats | None:
        """``[2, H]`` share of the pot if everybody checks or calls from there."""
        state = place.there[-1]
        if not isinstance(self.game, TablePlay):
            return None
        ends = call_down(self.game, state)
        opponent = torch.as_tensor(reach[::-1] * self.game.possible_hands(state))
        shares = torch.as_tensor(np.array([chance * np.sign(end.chips) for end, chance in ends])).T[..., None]
        won = self._showdowns(tuple(end.payoff_kernel for end, _ in ends))(
            opponent[:, None, None].expand(2, len(ends), 1, -1)
        )[:, :, 0]
        mass = self._mass(opponent)
        return torch.where(mass > 0, (1 + (won * shares).sum(1) / mass) / 2, torch.nan).numpy()

    @cached_property
    def _showdowns(self) -> Callable[[tuple[int, ...]], PayoffOperator]:
        """Operators of payoff kernels; the latest are kept."""
        like = torch.empty(0, dtype=torch.float64)
        return lru_cache(SHOWDOWNS)(lambda kernels: self.game.payoff_operator(kernels, like))

    def save(self, path: str | Path, *, compress: bool = True) -> None:
        """Writes everything to one file, which :func:`open_spot` reads.

        Args:
            path: the file.
            compress: a third of the size or less, in many times the time.
        """
        game_class = type(self.game)
        about = {
            "spot": VERSION,
            "game": f"{game_class.__module__}.{game_class.__qualname__}",
            "arguments": self.game.arguments,
            "isomorphism": self.symmetry is not None,
            "locks": self.locks,
            "progress": [_plain(getattr(self.progress, name)) for name in Progress.__slots__],
            "depth_limited": self.leaves is not None,
        }
        text = np.array(json.dumps(about, default=_as_json))
        save: Callable[..., None] = np.savez_compressed if compress else np.savez

        leaves = {} if self.leaves is None else {"leaves": self.leaves.astype(np.float32)}

        def write(file: BinaryIO) -> None:
            save(file, about=text, strategy=np.asarray(self.edges), **leaves)

        write_atomically(Path(path), write)


class SpotAgent(Memoryless[State]):
    """Plays what a spot's strategy says.

    Args:
        spot: the spot.
    """

    def __init__(self, spot: Spot[State]) -> None:
        self.game, self._spot = spot.game, spot

    def strategies(self, lines: Sequence[Line[State]]) -> torch.Tensor:
        return self._spot.play(lines)


def _plain(number: float) -> float | None:
    return None if np.isnan(number) else number


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [None if np.isnan(number) else number for number in value.tolist()]
    return dict(value) if isinstance(value, Mapping) else list(value)


@dataclass(frozen=True, slots=True)
class _Place(Generic[State]):
    """Where a line ends."""

    moves: Sequence[names.Move[State]]
    there: Sequence[State]
    """The states of the line, as the tree has them: where suits are alike, with other suits."""
    state: State
    actor: int
    hands: Ints
    """``[H]`` each hand, as the tree has it."""
    action_names: tuple[str, ...]
