"""A solved spot: a game that is small enough to be solved to the end, and its average strategy.

    spot = pokerlab.solve(pokerlab.make_game("river", board="Td9d6hQc2s"), target=0.5)
    print(spot.table("check bet 0.5"))

EVs are the chips that a hand takes out of the pot in the end, less what it still puts in: a fold is worth 0,
and both players' EVs add up to the pot. ``Spot.value`` is the root's EV of player 0 less what it has put into
the pot by then: what it wins or loses.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Generic

import numpy as np
import torch

from pokerlab.agents.base import DEALT, Agent, Line, Memoryless
from pokerlab.games import names
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game, Ints, State
from pokerlab.games.parts import Symmetry, TablePlay, call_down, symmetry_of
from pokerlab.games.registry import load_class
from pokerlab.games.tree_size import too_large
from pokerlab.search.backends.base import EdgeRows
from pokerlab.search.best_response import Exploitability
from pokerlab.search.forest import Forest
from pokerlab.search.node_values import NodeValues
from pokerlab.search.solver import Solver
from pokerlab.search.tree import PublicTree, build_tree
from pokerlab.store.files import write_atomically

VERSION = 1
MANY_HANDS = 64
"""Games with more hands are solved in float32."""
MOST_ITERATIONS = 100_000
"""When a target is all that is asked for."""
CHECKS = 1.2
"""With a target, exploitability is measured whenever there are so many times the iterations."""
MOST_STATES = 5_000_000
"""Trees are built state by state: so many take minutes."""
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a spot is solved."""

    iterations: int
    seconds: float
    """Of the iterations alone."""
    exploitability: float
    """Chips: NashConv / 2."""
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


@dataclass(frozen=True, slots=True)
class Table:
    """What one player's hands are worth at a public state, and what they do: rows ``n``, a hand each."""

    line: str
    player: int
    pot: float
    """Chips."""
    hands: tuple[str, ...]
    """``[n]`` those of the player's range at the root that the board leaves possible."""
    weight: Floats
    """``[n]`` how much of each hand comes here; the most that any hand has in the range at the root is 1."""
    equity: Floats | None
    """``[n]`` share of the pot if nobody bets any more, against the other's range here; NaN for a hand that
    meets none of it; None in a game that has no calling."""
    ev: Floats
    """``[n]`` chips, see the module; NaN for a hand that meets none of the other's range."""
    actions: tuple[str, ...]
    """``A`` legal ones; none if the player does not act here."""
    probabilities: Floats
    """``[n, A]``."""

    @property
    def frequencies(self) -> dict[str, float]:
        """How often each action is taken, all hands together.

        Hands count by their weight; that some are blocked by the opponent's hands more often is left out.
        """
        total = self.weight.sum() or 1.0
        return dict(zip(self.actions, (self.weight @ self.probabilities / total).tolist(), strict=True))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each hand as plain values, None for NaN."""
        equities = np.full(len(self.hands), np.nan) if self.equity is None else self.equity
        for i, hand in enumerate(self.hands):
            yield {
                "hand": hand,
                "weight": float(self.weight[i]),
                "equity": _plain(equities[i]),
                "ev": _plain(self.ev[i]),
                "probabilities": dict(zip(self.actions, self.probabilities[i].tolist(), strict=True)),
            }

    def as_dict(self) -> dict[str, Any]:
        """The whole table as plain values."""
        return {"line": self.line, "player": self.player, "pot": self.pot, "hands": list(self.rows())}

    def __str__(self) -> str:
        heading = ["hand", "weight", "equity", "EV", *self.actions]
        lines = [heading]
        for row in self.rows():
            numbers = [row["weight"], row["equity"], row["ev"], *row["probabilities"].values()]
            lines.append([row["hand"], *("" if number is None else f"{number:.3f}" for number in numbers)])
        widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )


def _plain(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


class Spot(Generic[State]):
    """A game, and a strategy for every hand at every public state of it.

    Args:
        game: the rules.
        tree: its public tree.
        strategy: ``[E, H]`` probabilities, see ``edges``.
        progress: how far it is solved.
        symmetry: by which ``tree`` was made smaller.
    """

    def __init__(
        self,
        game: Game[State],
        tree: PublicTree[State],
        strategy: EdgeRows,
        progress: Progress,
        symmetry: Symmetry[State] | None = None,
    ) -> None:
        self.game, self.tree, self.progress = game, tree, progress
        self.edges, self._symmetry = strategy, symmetry
        """``[E, H]`` the strategy, in the tree's order of edges."""

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

    def _put_in(self, state: Any) -> tuple[float, float]:
        """Each player's part of the pot; half of it where the game does not say."""
        committed, half = self.game.committed(state), self.game.pot(state) / 2
        return committed if any(committed) else (half, half)

    def __repr__(self) -> str:
        progress, (first, second) = self.progress, self.expected_values
        return (
            f"{self.game.name}: {self.tree.num_states:,} public states, {progress.iterations:,} iterations, "
            f"exploitability {progress.percent_of_pot:.2g} % of the pot, "
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
        place = self._place(line)
        if place.actor >= CHANCE:
            raise ValueError(f"line {line!r}: nobody acts there")
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
        place = self._place(line)
        if place.actor == TERMINAL:
            raise ValueError(f"line {line!r}: the game is over there")
        acts = player is None or player == place.actor
        if player is None:
            player = place.actor if place.actor < CHANCE else 0
        start = self.game.initial_beliefs
        reach = self._reach(place) * start
        shown = (start[player] > 0) & self.game.possible_hands(place.state)
        hands = place.hands[shown]
        ev = self._node_values(self._number(place), reach)[player] + self._put_in(place.state)[player]
        equity = self._equity(place, reach, player)
        chances = np.zeros((len(hands), 0))
        if acts and place.actor < CHANCE:
            chances = self.edges[self._edges(place.there)][:, hands].T.astype(np.float64)
        return Table(
            line=names.write_line(self.game, place.moves),
            player=player,
            pot=self.game.pot(place.state),
            hands=tuple(names.hand_name(self.game, int(hand)) for hand in shown.nonzero()[0]),
            weight=(reach[player] / start[player].max())[hands],
            equity=None if equity is None else equity[hands],
            ev=ev[hands],
            actions=place.action_names if chances.shape[1] else (),
            probabilities=chances,
        )

    # Where a line ends

    def _place(self, line: str) -> "_Place[State]":
        moves = names.read_line(self.game, line)
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
        if not self._symmetry:
            return list(states), np.arange(self.game.num_hands)
        mapped = [self._symmetry.representative(state) for state in states[dealt:]]
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
        node = self._node[states[-1]]
        return slice(int(self.tree.first_edge[node]), int(self.tree.first_edge[node + 1]))

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
        return NodeValues(self.game, self.tree, self.edges)

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

    def _equity(self, place: "_Place[State]", reach: Floats, player: int) -> Floats | None:
        """``[H]`` share of the pot if everybody checks or calls from there."""
        state = place.there[-1]
        if not isinstance(self.game, TablePlay):
            return None
        ends = call_down(self.game, state)
        like = torch.empty(0, dtype=torch.float64)
        opponent = torch.as_tensor(reach[1 - player] * self.game.possible_hands(state))
        operator = self.game.payoff_operator([end.payoff_kernel for end, _ in ends], like)
        shares = torch.tensor([chance * np.sign(end.chips[player]) for end, chance in ends])
        won = (operator(opponent.expand(len(ends), 1, -1))[:, 0] * shares[:, None]).sum(0)
        mass = self.game.mass_operator(like)(opponent[None])[0]
        return torch.where(mass > 0, (1 + won / mass) / 2, torch.nan).numpy()

    # Files

    def save(self, path: str | Path) -> None:
        """Writes everything to one file, which :func:`open_spot` reads."""
        game_class = type(self.game)
        about = {
            "spot": VERSION,
            "game": f"{game_class.__module__}.{game_class.__qualname__}",
            "arguments": self.game.arguments,
            "isomorphism": self._symmetry is not None,
            "progress": [getattr(self.progress, name) for name in Progress.__slots__],
        }
        text = json.dumps(about, default=_as_json)

        def write(file: BinaryIO) -> None:
            np.savez_compressed(file, about=np.array(text), strategy=np.asarray(self.edges))

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


def _as_json(value: Any) -> Any:
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


def solve(
    game: Game[State],
    *,
    iterations: int | None = None,
    target: float | None = None,
    solver: Solver | str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    isomorphism: bool = True,
    lines: Sequence[str] = (),
    report: Callable[[Progress], None] | None = None,
) -> Spot[State]:
    """Solves a game by CFR.

    Args:
        game: small enough to be solved to the end.
        iterations: how many; None: 1,000, or as many as ``target`` takes.
        target: stop at this exploitability, in percent of the root's pot.
        solver: the CFR variant, or the name of its rule, such as ``cfr_plus``; None: DCFR.
        device: where.
        dtype: None: float64, or float32 if the game has many hands.
        isomorphism: whether of deals that are alike one is solved, see :class:`Symmetry`.
        lines: that will be asked for: a mistake in them is found before the work begins.
        report: told at 1, 10, 100, … iterations, and at the end.

    Raises:
        ValueError: the game is too large, or an argument has a wrong value.
    """
    if not can_be_solved(game, isomorphism=isomorphism):
        raise ValueError(f"{game.name} is too large to be solved to the end")
    if iterations is not None and iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if target is not None and not target > 0:
        raise ValueError(f"target must be above 0, in percent of the pot, got {target}")
    if iterations is None:
        iterations = 1000 if target is None else MOST_ITERATIONS
    for line in lines:
        names.read_line(game, line)
    dtype = dtype or (torch.float32 if game.num_hands > MANY_HANDS else torch.float64)
    solver = Solver(solver) if isinstance(solver, str) else solver or Solver()
    states, memory = (
        game.count_states(isomorphism=isomorphism),
        solver.bytes_a_state(game, dtype, torch.device(device)),
    )
    if states and (reason := too_large(states, game.num_hands, bytes_a_state=memory, free=True)):
        raise ValueError(f"{game.name} has {reason}")
    symmetry = symmetry_of(game) if isomorphism else None
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry, features=False)
    forest = Forest(game, [tree], device=device, dtype=dtype)
    belief = torch.as_tensor(game.initial_beliefs, device=forest.device).to(dtype)[:, None]
    solver.start(forest, belief).run(1)  # compiles the loops, where that was not done yet
    cfr, pot, seconds = solver.start(forest, belief), game.pot(tree.root), 0.0
    for at, told in _schedule(iterations, target is not None):
        started = time.perf_counter()
        cfr.run(at - cfr.iteration)
        if forest.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - started
        progress = _progress(cfr.exploitability(), at, seconds, pot)
        reached = target is not None and progress.percent_of_pot <= target
        if report and (told or reached):
            report(progress)
        if reached:
            break
    return Spot(game, tree, cfr.average_edges(), progress, symmetry)


def can_be_solved(game: Game, *, isomorphism: bool = True) -> bool:
    """Whether a game's tree has an end that can be reached, memory aside."""
    return game.enumerable or 0 < (game.count_states(isomorphism=isomorphism) or 0) <= MOST_STATES


def _schedule(iterations: int, has_target: bool) -> Iterator[tuple[int, bool]]:
    """When exploitability is measured, and whether that is reported: at 1, 10, 100, … and the last."""
    at = 0
    powers = [10**k for k in range(len(str(iterations)))]
    while at < iterations:
        step = max(at + 1, int(at * CHECKS)) if has_target else iterations
        at = min(step, next((power for power in powers if power > at), iterations), iterations)
        yield at, at in powers or at == iterations


def _progress(found: Exploitability, iterations: int, seconds: float, pot: float) -> Progress:
    return Progress(iterations, seconds, found.exploitability.item(), found.value.item(), pot)


def open_spot(path: str | Path, game: Game[State] | None = None) -> Spot[State]:
    """Reads what :meth:`Spot.save` wrote; runs nothing that the file says.

    Args:
        path: the file.
        game: the same that was solved; needed where it is not one of the package's.

    Raises:
        ValueError: the file is no spot, or of another version or game.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            about, strategy = json.loads(str(content["about"])), content["strategy"]
        version, name = about["spot"], about["game"]
        arguments, isomorphism, progress = about["arguments"], about["isomorphism"], about["progress"]
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a spot") from error
    if version != VERSION:
        raise ValueError(f"{path} is a spot of version {version}: expected {VERSION}")
    if game is None:
        if not name.startswith("pokerlab.games."):
            raise ValueError(f"{path} is a spot of {name}: give open_spot the game")
        game = load_class(name)(**arguments)
    symmetry = symmetry_of(game) if isomorphism else None
    tree = build_tree(game, game.root(), depth_limited=False, symmetry=symmetry, features=False)
    if strategy.shape != (tree.num_edges, game.num_hands):
        raise ValueError(f"{path} is a spot of another game than {game.name}")
    return Spot(game, tree, strategy, Progress(*progress), symmetry)
