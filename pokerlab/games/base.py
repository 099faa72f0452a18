"""What a game is: two players, one private hand each, everything else public.

Trees, forests, CFR, best response, self-play and evaluation know a game only through its rules,
:class:`Game`, and the optional parts in :mod:`pokerlab.games.parts`.

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
from typing import Any, Generic, Self, TypeAlias, TypeVar

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

MOST_HANDS = 64
"""Of a game that is small: matrices of pairs of hands, and strategies of the whole game, are kept."""

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

    payoff_kernel: int
    chips: tuple[float, float]


class Rules(ABC, Generic[State]):
    """Public actions and public chance, for any number of players who each hold a private hand."""

    name: str
    """Short name, as in ``game=leduc``."""
    num_hands: int
    """``H``."""
    action_labels: tuple[str, ...]
    """One label an action index; its length is ``A``."""
    big_blind: float = 1.0
    """Chips; the ante where there are no blinds. Results of matches are also told in thousandths of it."""

    @property
    def rules(self) -> tuple[tuple[str, Hashable], ...]:
        """What makes two games the same to those who play them, in named parts: equal rules have equal hands,
        public states, actions and payoffs."""
        return (("game", self.name),)

    @property
    def num_actions(self) -> int:
        """``A``."""
        return len(self.action_labels)

    @abstractmethod
    def root(self) -> State:
        """The public state after the hands are dealt."""

    @abstractmethod
    def actor(self, state: State) -> int:
        """Who acts: a player, ``CHANCE`` or ``TERMINAL``."""

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
        """Probability of one outcome of ``state``, given hands that it leaves possible."""
        raise NotImplementedError(f"{self.name} has no public chance")

    def possible_hands(self, state: State) -> Bools:
        """``[H]`` true for hands that the public cards do not block."""
        return np.ones(self.num_hands, dtype=bool)


class Game(Rules[State]):
    """A two-player zero-sum game with public actions and public chance. Instances are immutable."""

    arguments: Mapping[str, Any]
    """What the class was called with: the same again makes the same game."""
    deal: Floats
    """``[H, H]`` joint probability of (player 0's hand, player 1's hand); symmetric, sums to 1."""
    solve_to_end: int | None = None
    """Subgames of no more public states than this are solved to the end of the game, if the game has that."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        game = super().__new__(cls)
        game.arguments = inspect.signature(cls).bind_partial(*args, **kwargs).arguments
        return game

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

    def payoff_bytes(self, kernel: int, like: Tensor) -> int:
        """The most memory that :meth:`payoff_operator` takes for one of its kernels.

        Here for two matrices: a forest's frequent kernels have several rows, all together two a kernel.
        """
        return 2 * self.num_hands**2 * like.element_size()

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

    @property
    def enumerable(self) -> bool:
        """Whether the whole tree fits in memory: to be solved, or to measure exploitability exactly."""
        return True

    def count_states(self, *, isomorphism: bool = False) -> float | None:
        """About how many public states the whole game has, without building them; None: too few to matter.

        Args:
            isomorphism: of isomorphic outcomes of chance, count one.
        """
        return None

    def is_leaf(self, root: State, state: State, depth: int) -> bool:
        """Whether a subgame that starts at ``root`` ends at ``state``, ``depth`` moves below it: the
        depth limit. Never, unless a game says so.

        Asked for states that are not terminal and not the root.
        """
        return False

    @property
    def initial_beliefs(self) -> Floats:
        """``[2, H]`` uniform: nobody has acted, and what makes hands unequal is in ``deal``."""
        return np.full((2, self.num_hands), 1 / self.num_hands)


def is_small(game: Game) -> bool:
    """Whether a game's public states and pairs of hands can be tabulated."""
    return game.enumerable and game.num_hands <= MOST_HANDS


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
