"""What a game is: two players, one private hand each, everything else public.

A game file states rules and nothing else. Trees, forests, CFR, best response, self-play, evaluation
and export are generic and know a game only through :class:`Game`.

Conventions
-----------
* Players are 0 and 1. A *hand* is a player's private state, an index ``0..H-1``; both players draw
  from the same set of hands.
* A *public state* is a hashable, immutable value that holds everything both players have seen. Equal
  values mean the same public history (perfect recall).
* An *action* is an index ``0..A-1`` into the game's own list ``action_labels``: the column of the
  policy network. A public state offers a subset of them.
* Chance acts publicly, and every outcome is equally likely for all pairs of hands that it leaves
  possible: its probability is ``chance_probability`` if it blocks neither hand, else 0.
* Payoffs are zero-sum, in chips.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeAlias, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

State = TypeVar("State", bound=Hashable)
"""A game's public states."""

CHANCE = 2
TERMINAL = 3
LEAF = 4
"""Not an actor: what a subgame's tree calls a state at the depth limit."""

PayoffOperator = Callable[[Tensor], Tensor]
"""Maps opponent reach ``[..., M, K, H]`` to the mass-weighted outcome of each own hand, same shape.

``M`` indexes payoff kernels, ``K`` the terminals that share one. Linear in its argument.
"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The end of a game.

    For player p the counterfactual value is ``chips[p] · kernel(reach of the opponent)``: a fold is
    ``(+stake, -stake)`` on a kernel that counts compatible hands, a showdown ``(stake, stake)`` on a
    kernel that counts hands beaten minus hands that beat.
    """

    kernel: int
    chips: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Symmetry(Generic[State]):
    """What a game has of the same kind under different names, such as suits, up to its first chance move.

    A group of permutations of hands leaves the root, ``deal`` and the initial beliefs as they are, and takes
    chance outcomes to one another. Hands and outcomes are isomorphic if it takes one to the other.
    """

    representative_hand: Ints
    """``[H]`` the first of the hands isomorphic to each one."""
    outcomes: Callable[[State], Sequence[tuple[State, int]]]
    """For a state where chance acts first: of isomorphic outcomes, one and their number."""
    representative: Callable[[State], tuple[State, Ints]]
    """For a state below the first chance move, the one of its kind that ``outcomes`` lead to, and ``[H]`` the
    hands there that are as each hand is here."""


class LazyStates(Sequence[State]):
    """Public states that are made when asked for: number i is ``make(index[i])``.

    Args:
        make: makes one state; the same each time.
        index: ``[n]`` integers.
    """

    def __init__(self, make: Callable[[int], State], index: Ints) -> None:
        self._make, self._index = make, index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, at: int) -> State: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[State]: ...
    def __getitem__(self, at: int | slice) -> State | Sequence[State]:
        if isinstance(at, slice):
            return LazyStates(self._make, self._index[at])
        return self._make(int(self._index[at]))


@dataclass(frozen=True, slots=True)
class Unfolded(Generic[State]):
    """Every public state of a subgame, ``N`` of them: each before those below it, those in order of action.

    This is preorder: the states below one state lie in one piece behind it. ``T`` of them are terminal.
    """

    states: Sequence[State]
    kind: Ints
    """``[N]`` who acts: 0, 1, ``CHANCE`` or ``TERMINAL``; or ``LEAF``, where the subgame ends."""
    above: Ints
    """``[N]`` the state before the last move; −1 at the root."""
    action: Ints
    """``[N]`` the last move; −1 at the root and after chance."""
    chance: Floats
    """``[N]`` probability of the chance moves on the way from the root."""
    boards: Bools
    """``[K, H]`` the different ``possible_hands``; the root's are the first."""
    board: Ints
    """``[N]`` which of ``boards`` is a state's."""
    features: Floats
    """``[N, F]``, see :meth:`Game.features`."""
    pot: Floats
    """``[N]`` chips."""
    kernel: Ints
    """``[T]`` of the terminals, in their order, see :class:`Terminal`."""
    chips: Floats
    """``[2, T]``."""


@dataclass(frozen=True, slots=True)
class Relabellings:
    """Changes of names, ``G`` of them, under which the rules stay the same: one may learn from all images.

    Number g turns features ``x`` into ``x[features[g]]``, and what belongs to hands, ``v``, into
    ``v[hands[g]]``. The first changes nothing.
    """

    features: Ints
    """``[G, F]``."""
    hands: Ints
    """``[G, H]``."""


class Game(ABC, Generic[State]):
    """A two-player zero-sum game with public actions and public chance. Instances are immutable."""

    name: str
    """Short name, as in ``game=leduc``."""
    arguments: Mapping[str, Any]
    """What the class was called with: the same again makes the same game."""
    openspiel_name: str | None = None
    """The same game in OpenSpiel, where it has one; parameters included."""
    num_hands: int
    """``H``."""
    action_labels: tuple[str, ...]
    """One label an action index; its length is ``A``."""
    num_features: int
    """``F``, the length of :meth:`features`."""
    deal: Floats
    """``[H, H]`` joint probability of (player 0's hand, player 1's hand); symmetric, sums to 1."""
    big_blind: float = 1.0
    """Chips; the ante where there are no blinds. Results of matches are also told in thousandths of it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        game = super().__new__(cls)
        game.arguments = inspect.signature(cls).bind_partial(*args, **kwargs).arguments
        return game

    @property
    def rules(self) -> tuple[tuple[str, Hashable], ...]:
        """What makes two games the same to those who play them, in named parts: equal rules have equal hands,
        public states, actions and payoffs."""
        return (("game", self.name),)

    @abstractmethod
    def root(self) -> State:
        """The public state after the hands are dealt."""

    @abstractmethod
    def actor(self, state: State) -> int:
        """Who acts: 0, 1, ``CHANCE`` or ``TERMINAL``."""

    @abstractmethod
    def actions(self, state: State) -> tuple[int, ...]:
        """Legal actions of the player to act, ascending."""

    @abstractmethod
    def next_state(self, state: State, action: int) -> State:
        """The public state after a legal action."""

    def chance_outcomes(self, state: State) -> tuple[State, ...]:
        """The public states that chance can lead to."""
        raise NotImplementedError(f"{self.name} has no public chance")

    def chance_probability(self, state: State) -> float:
        """Probability of one outcome of ``state``, given two hands that it leaves possible."""
        raise NotImplementedError(f"{self.name} has no public chance")

    def possible_hands(self, state: State) -> Bools:
        """``[H]`` true for hands that the public cards do not block."""
        return np.ones(self.num_hands, dtype=bool)

    @abstractmethod
    def terminal(self, state: State) -> Terminal:
        """The payoff of a terminal state."""

    @abstractmethod
    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        """The payoff kernels ``kernels`` (length ``M``) as one batched operator.

        Weighs each pair of hands by ``deal``; zero for hands that the public cards block.

        Args:
            kernels: kernel indices as in :class:`Terminal`.
            like: a tensor with the device and dtype to work in.
        """

    def mass_operator(self, like: Tensor) -> PayoffOperator:
        """The operator ``Σ_h' deal(h, h')·reach(h')`` for each own hand ``h``, ``[..., H] → [..., H]``."""
        transposed = torch.as_tensor(self.deal.T.copy(), device=like.device, dtype=like.dtype)
        return lambda reach: torch.matmul(reach, transposed)

    @abstractmethod
    def pot(self, state: State) -> float:
        """Chips in the pot: the unit of the value network."""

    def committed(self, state: State) -> tuple[float, float]:
        """Chips that each player has put into the pot; none in a game that has no pot."""
        return 0.0, 0.0

    @abstractmethod
    def features(self, state: State) -> list[float]:
        """``[F]`` what a network sees of a public state beside the beliefs, each about -1..1."""

    def hand_features(self) -> Floats | None:
        """``[H, P]`` what hands have in common, for networks to share weights over; None: nothing."""
        return None

    def relabellings(self) -> Relabellings | None:
        """Changes of names, None: there are none but the identity."""
        return None

    @property
    def enumerable(self) -> bool:
        """Whether the whole tree fits in memory: to be solved, or to measure exploitability exactly."""
        return True

    def count_states(self, *, isomorphism: bool = False) -> float | None:
        """About how many public states the whole game has, without building them; None: too few to matter.

        Args:
            isomorphism: of chance's outcomes that are alike, count one, see :meth:`symmetry`.
        """
        return None

    @property
    def varies(self) -> bool:
        """Whether :meth:`varied` ever changes anything."""
        return False

    def varied(self, state: State, seed: int) -> State:
        """Where self-play starts a subgame that has come to ``state``: there, with a game tree that is
        varied at random, such as in the sizes of bets.

        Args:
            state: not terminal.
            seed: of the variation, from 1 to 2**62.
        """
        return state

    @abstractmethod
    def is_leaf(self, root: State, state: State, depth: int) -> bool:
        """Whether a subgame that starts at ``root`` ends at ``state``, ``depth`` moves below it.

        Asked for states that are not terminal and not the root. The game's depth limit, from its
        config.
        """

    def symmetry(self) -> Symmetry[State] | None:
        """What is isomorphic at the game's root, if anything is."""
        return None

    def unfold(self, root: State, *, depth_limited: bool) -> Unfolded[State]:
        """Every public state of the subgame that starts at ``root``.

        A game may override this with something faster that gives exactly the same.

        Args:
            root: not terminal.
            depth_limited: whether to stop where :meth:`is_leaf` says so, or to play to the end.
        """
        return self.walk(root, depth_limited=depth_limited)

    def walk(
        self, root: State, *, depth_limited: bool, symmetry: Symmetry[State] | None = None
    ) -> Unfolded[State]:
        """What :meth:`unfold` gives, found state by state.

        Args:
            root: not terminal.
            depth_limited: whether to stop where :meth:`is_leaf` says so, or to play to the end.
            symmetry: of isomorphic outcomes of the first chance move, one is taken, with the probability
                of all; None: all are.
        """
        states: list[State] = []
        nodes: list[tuple[int, int, int, int]] = []
        chances: list[float] = []
        boards: dict[bytes, int] = {}
        stack = [(root, -1, -1, 1.0, 0, False)]
        while stack:
            state, above, action, chance, depth, dealt = stack.pop()
            here, kind = len(states), self.actor(state)
            if depth_limited and depth > 0 and kind != TERMINAL and self.is_leaf(root, state, depth):
                kind = LEAF
            board = boards.setdefault(self.possible_hands(state).tobytes(), len(boards))
            states.append(state)
            nodes.append((kind, above, action, board))
            chances.append(chance)
            if kind == CHANCE:
                chance *= self.chance_probability(state)
                if symmetry and not dealt:
                    outcomes = symmetry.outcomes(state)
                else:
                    outcomes = [(outcome, 1) for outcome in self.chance_outcomes(state)]
                stack += [
                    (outcome, here, -1, chance * number, depth + 1, True)
                    for outcome, number in reversed(outcomes)
                ]
            elif kind < CHANCE:
                moves = reversed(self.actions(state))
                stack += [
                    (self.next_state(state, move), here, move, chance, depth + 1, dealt) for move in moves
                ]
        kinds, aboves, actions, board_of = np.array(nodes, dtype=np.int64).T.copy()
        ends = [self.terminal(states[i]) for i in (kinds == TERMINAL).nonzero()[0]]
        return Unfolded(
            states=states,
            kind=kinds,
            above=aboves,
            action=actions,
            chance=np.array(chances),
            boards=np.frombuffer(b"".join(boards), dtype=bool).reshape(-1, self.num_hands),
            board=board_of,
            features=np.array([self.features(state) for state in states], dtype=float),
            pot=np.array([self.pot(state) for state in states], dtype=float),
            kernel=np.array([end.kernel for end in ends], dtype=np.int64),
            chips=np.array([end.chips for end in ends], dtype=float).reshape(-1, 2).T,
        )

    # At a table

    def check_or_call(self, state: State) -> int:
        """The action that stays in for the least, at a decision."""
        raise NotImplementedError(f"{self.name} has no calling")

    def check_or_fold(self, state: State) -> int:
        """The action that puts nothing more in, at a decision."""
        raise NotImplementedError(f"{self.name} has no folding")

    def called_down(self, state: State) -> Sequence[tuple[Terminal, float]]:
        """How the game ends if nobody does anything but check or call any more, and how likely each end is.

        The probability is that for hands that the end's board leaves possible.
        """
        if (actor := self.actor(state)) == TERMINAL:
            return [(self.terminal(state), 1.0)]
        if actor != CHANCE:
            return self.called_down(self.next_state(state, self.check_or_call(state)))
        chance = self.chance_probability(state)
        outcomes = [self.called_down(outcome) for outcome in self.chance_outcomes(state)]
        return [(end, chance * probability) for ends in outcomes for end, probability in ends]

    def draw_outcome(self, state: State, hands: tuple[int, int], fraction: float) -> State:
        """One of the outcomes of ``state``, where chance acts, that leave both ``hands`` possible.

        Args:
            state: where chance acts.
            hands: the players'.
            fraction: which, from 0 to below 1: those outcomes in their order have equal shares of that.
        """
        outcomes = [
            outcome for outcome in self.chance_outcomes(state)
            if self.possible_hands(outcome)[list(hands)].all()
        ]  # fmt: skip
        return outcomes[int(fraction * len(outcomes))]

    def run_out(self, state: State, hands: tuple[int, int], fractions: Sequence[float]) -> State:
        """A terminal state with the cards dealt that its payoff is an average over, if it is.

        Args:
            state: terminal.
            hands: the players'.
            fractions: as in :meth:`draw_outcome`, one for each deal since the root.
        """
        return state

    def information_state(self, state: State, hand: int) -> str:
        """OpenSpiel's information state string of the player to act holding ``hand``."""
        raise NotImplementedError(f"{self.name} is not in OpenSpiel")

    @property
    def num_actions(self) -> int:
        """``A``."""
        return len(self.action_labels)

    @property
    def initial_beliefs(self) -> Floats:
        """``[2, H]`` uniform: nobody has acted, and what makes hands unequal is in ``deal``."""
        return np.full((2, self.num_hands), 1 / self.num_hands)


class MatrixPayoffs:
    """Payoff kernels as dense matrices, for games with few hands.

    Args:
        matrices: ``[kernels in the game, H, H]``, own hand first, weighted by ``deal``.
        kernels: which of them, length ``M``.
        like: a tensor with the device and dtype to work in.
    """

    def __init__(self, matrices: Floats, kernels: Sequence[int], like: Tensor) -> None:
        chosen = torch.as_tensor(matrices[list(kernels)], device=like.device, dtype=like.dtype)
        self.matrices = chosen.transpose(1, 2).contiguous()
        """``[M, H, H]`` opponent's hand first: reach is a row vector."""

    def __call__(self, reach: Tensor) -> Tensor:
        """``[..., M, K, H]`` → the same shape."""
        return torch.matmul(reach, self.matrices)
