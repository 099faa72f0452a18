"""What a game may have besides its rules: each part is a small protocol.

Rules are enough to solve a game and to measure agents. Networks need :class:`NetworkFeatures`, baselines
and the local best response :class:`TablePlay`, exports :class:`OpenSpielNames`; what needs a part that a game
lacks raises a ValueError. The other parts make things faster or better where a game has them. Words for
hands, actions and deals are in :mod:`pokerlab.games.names`, a faster enumeration in
:mod:`pokerlab.games.unfolding`.

A class has a part if it has its methods: no base class is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Bools, Floats, Game, Ints, PayoffOperator, State, Terminal

_State = TypeVar("_State")
_StateIn = TypeVar("_StateIn", contravariant=True)


def read_leaves(leaves: str) -> str:
    """Where subgames end that come to a deal, if that is a choice: ``before_deal`` or ``after_deal``."""
    if leaves not in ("before_deal", "after_deal"):
        raise ValueError(f"leaves must be before_deal or after_deal, got {leaves!r}")
    return leaves


# For networks


@runtime_checkable
class NetworkFeatures(Protocol[_StateIn]):
    """What networks see of public states."""

    num_features: int
    """``F``."""

    def features(self, state: _StateIn) -> Sequence[float]:
        """``[F]`` what a network sees of a public state beside the beliefs, each about -1..1."""


def network_features(game: Game[State]) -> NetworkFeatures[State]:
    """The game's features.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(game, NetworkFeatures):
        raise ValueError(f"{game.name} has no features for networks (num_features, features)")
    return game


def features_of(game: Game[State], states: Sequence[State]) -> Floats:
    """``[n, F]`` the features of public states; F is 0 if the game has none."""
    if not isinstance(game, NetworkFeatures):
        return np.empty((len(states), 0))
    return np.array([game.features(state) for state in states], dtype=float).reshape(len(states), -1)


@runtime_checkable
class HandFeatures(Protocol):
    """What hands have in common."""

    def hand_features(self) -> Floats:
        """``[H, P]`` for networks to share weights over."""


class RankedBoards(NamedTuple):
    """How hands rank on ``U`` boards, in whole numbers of any size."""

    order: NDArray[np.signedinteger]
    """``[U, H]`` the hands, those that the board blocks first, then from the lowest rank up."""
    begin: NDArray[np.signedinteger]
    """``[U, H]`` where in this order the hands begin that tie with each hand."""
    end: NDArray[np.signedinteger]
    """``[U, H]`` and where they end."""
    possible: Bools
    """``[U, H]``."""
    potential: Floats
    """``[U, H]`` percentile of the potential, −1 where the board blocks the hand."""


class HandInputsAt(Protocol):
    """Hand inputs of ``n`` fixed public states."""

    ranked: RankedBoards
    """Their different boards."""
    board_of: Ints
    """``[n]`` which of these each has."""
    rows: Tensor
    """``[U, k]`` the states of each board, with copies of one where it has fewer than others."""
    slot: Tensor
    """``[n]`` where each state is in ``rows``."""
    again: bool
    """Whether they are asked about many times."""
    mass: PayoffOperator
    """``[..., H]`` the mass that each hand meets, in units of ``weight``."""
    uniform: float
    """Share of the uniform range in the mixture that percentiles are of; beliefs share the rest."""
    weight: float
    """What :meth:`win` has for two hands that can meet, of which one always wins."""

    def __call__(self, beliefs: Tensor) -> Tensor:
        """``[n, 2, H]`` → ``[n, I, H]``."""

    def win(self, theirs: Tensor) -> Tensor:
        """``[p, n, H]`` the others' mass → what hands win less what they lose if nobody bets.

        ``p`` is any number.
        """

    def win_by_board(self, theirs: Tensor) -> Tensor:
        """The same ``[p, U, k, H]``, as in ``rows``."""

    def check_down_matrices(self) -> tuple[Tensor, Ints, float]:
        """What :meth:`win` multiplies with, on a GPU, of boards that are asked about again.

        Returns:
            ``[U, H, H]`` to multiply rows of mass with, ``[U]`` the matrix of each board, and what to
            multiply products with.
        """


@runtime_checkable
class HandInputs(Protocol):
    """What is computed of every hand at a public belief state, as inputs of networks."""

    hand_inputs: Sequence[str]
    """What they are, ``I`` of them: the check-down values of both players (what a hand can expect if nobody
    bets, from −1, it always loses, to 1), the percentile of a hand's rank under a mixture of both beliefs,
    and that of its potential to improve or fall. The last two are −1 for hands that the board blocks."""

    @property
    def layers(self) -> Sequence[str]:
        """Kinds of belief states that networks are asked about, each unlike the others; the last: on a
        complete board, where no hand has potential."""

    @property
    def comes_before_one_card(self) -> Sequence[bool]:
        """Which :attr:`layers` are betting rounds that one card is dealt after."""

    @property
    def hand_cards(self) -> Ints:
        """``[H, C]`` a hand's cards: hands that share one exclude each other."""

    @property
    def num_betting_features(self) -> int:
        """How many features come before those of the board."""

    def layer_of(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]`` int64 which of :attr:`layers`."""

    def acting(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n, 2]`` 1 for the player to act."""

    def stacks_to_pots(self, features: Tensor) -> Tensor:
        """``[n, F]`` → ``[n]`` what a player has left on average, in pots."""

    def prepare_hand_inputs(self, features: Tensor, like: Tensor, *, again: bool = False) -> HandInputsAt:
        """For fixed public states.

        Args:
            features: ``[n, F]``.
            like: a tensor with the device and dtype to work in.
            again: whether they are asked about many times, so that it is worth memory to be quick.
        """

    def spread_after_next_card(self, features: Tensor, beliefs: Tensor, bins: int) -> Tensor:
        """How often hands will rank how high after the next card.

        Args:
            features: ``[n, F]`` of a layer that comes before one card.
            beliefs: ``[n, 2, H]``, a mixture of which percentiles are of.
            bins: ``X``, see :mod:`~pokerlab.games.later_ranks`.

        Returns:
            ``[n, X, H]``.
        """

    def spread_on_complete_boards(self, features: Tensor, like: Tensor, bins: int) -> Tensor:
        """How often hands will rank how high among all hands when the board is complete.

        Args:
            features: ``[n, F]`` of a layer that is not the last.
            like: a tensor with the device and dtype to work in.
            bins: ``X``.

        Returns:
            ``[n, X, H]``.
        """


def with_hand_inputs(game: Game[State]) -> HandInputs:
    """The game.

    Raises:
        ValueError: it computes nothing of hands.
    """
    if not isinstance(game, HandInputs):
        raise ValueError(f"{game.name} computes no inputs for networks that know cards; hold'em does")
    return game


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


@runtime_checkable
class SuitRelabelling(Protocol):
    """Names, such as suits, that can be exchanged."""

    def relabellings(self) -> Relabellings:
        """All exchanges that leave the rules as they are."""


# For search and solving


@runtime_checkable
class Variation(Protocol[_State]):
    """Game trees that self-play varies at random, such as in the sizes of bets."""

    @property
    def varies(self) -> bool:
        """Whether :meth:`vary` ever changes anything."""

    def vary(self, state: _State, seed: int) -> _State:
        """Where self-play starts a subgame that has come to ``state``: there, with another tree below.

        Args:
            state: not terminal.
            seed: of the variation, from 1 to 2**62.
        """


@runtime_checkable
class StreetStarts(Protocol[_State]):
    """Streets, each begun by a deal that self-play and evaluation can start from."""

    @property
    def streets(self) -> Sequence[str]:
        """Their names, from the root's on."""

    def street(self, state: _State) -> int:
        """Which of them a state belongs to; a deal, to the street that it begins."""

    def draw_deal(self, street: int, generator: np.random.Generator) -> _State:
        """A state where the cards of ``street``, from 1, are about to be dealt, drawn at random."""

    def begins_street(self, root: _State) -> bool:
        """Whether the first subgame of a street starts here: at its deal, or after it."""

    def draw_ranges(self, state: _State, generator: np.random.Generator) -> Floats:
        """``[2, H]`` beliefs for a state, drawn at random."""

    def stack_to_pot(self, state: _State) -> float:
        """Chips that each player can still put in, in pots."""

    def count_below(self, state: _State) -> float:
        """About how many public states there are from ``state`` to the ends of the game."""

    @property
    def code_length(self) -> int:
        """Of :meth:`encode`."""

    def encode(self, state: _State) -> Ints:
        """``[code_length]`` a state where a street begins: what play after it depends on."""

    def decode(self, code: Ints) -> _State:
        """A state from which play goes on as from the one that was encoded."""


def street_names(game: Game[State]) -> tuple[str, ...]:
    """Where play can start: at the root, and at the beginning of each street after it."""
    return ("root", *game.streets[1:]) if isinstance(game, StreetStarts) else ("root",)


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
    """For a state below the first chance move, the isomorphic one that ``outcomes`` lead to, and ``[H]`` the
    hand there that corresponds to each hand here."""


@runtime_checkable
class SuitSymmetry(Protocol):
    """Isomorphic chance outcomes."""

    def symmetry(self) -> Symmetry[Any] | None:
        """What is isomorphic at the game's root, if anything is."""


def symmetry_of(game: Game[State]) -> Symmetry[State] | None:
    """What is isomorphic at the game's root, if the game knows of anything."""
    return game.symmetry() if isinstance(game, SuitSymmetry) else None


def different_outcomes(
    game: Game[State], symmetry: Symmetry[State] | None, state: State
) -> Sequence[tuple[State, int]]:
    """For a state where chance acts first: of isomorphic outcomes, one and their number; without symmetry,
    each."""
    if symmetry:
        return symmetry.outcomes(state)
    return [(outcome, 1) for outcome in game.chance_outcomes(state)]


@runtime_checkable
class OutcomesOnce(Protocol):
    """Payoffs that are asked about once: an operator would take longer to make than to use."""

    def outcomes_once(self, kernel: int, reach: Tensor) -> Tensor | None:
        """``[k, H]`` the opponent's reach, float64 → mass won less mass lost.

        None: for so many rows, an operator takes less time.
        """


# At a table


@runtime_checkable
class TablePlay(Protocol[_StateIn]):
    """Checking, calling and folding."""

    def check_or_call(self, state: _StateIn) -> int:
        """The action that stays in for the least, at a decision."""

    def check_or_fold(self, state: _StateIn) -> int:
        """The action that puts nothing more in, at a decision."""


def table_play(game: Game[State]) -> TablePlay[State]:
    """The game's checking, calling and folding.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(game, TablePlay):
        raise ValueError(f"{game.name} has no calling")
    return game


@runtime_checkable
class RunOuts(Protocol[_State]):
    """Deals that need not be enumerated, and payoffs that are averages over deals to come."""

    def call_down(self, state: _State) -> Sequence[tuple[Terminal, float]]:
        """See the function :func:`call_down`."""

    def draw_outcome(self, state: _State, hands: tuple[int, int], fraction: float) -> _State:
        """See the function :func:`draw_outcome`."""

    def run_out(self, state: _State, hands: tuple[int, int], fractions: Sequence[float]) -> _State:
        """A terminal state with the cards dealt that its payoff is an average over, if it is.

        Args:
            state: terminal.
            hands: the players'.
            fractions: as in :func:`draw_outcome`, one for each deal since the root.
        """


def call_down(game: Game[State], state: State) -> Sequence[tuple[Terminal, float]]:
    """How a game ends if nobody does anything but check or call any more, and how likely each end is.

    The probability is that for hands that the end's board leaves possible.

    Raises:
        ValueError: the game has no calling.
    """
    return game.call_down(state) if isinstance(game, RunOuts) else call_down_by_rules(game, state)


def call_down_by_rules(game: Game[State], state: State) -> Sequence[tuple[Terminal, float]]:
    """What :func:`call_down` gives, found state by state."""
    if (actor := game.actor(state)) == TERMINAL:
        return [(game.terminal(state), 1.0)]
    if actor != CHANCE:
        return call_down_by_rules(game, game.next_state(state, table_play(game).check_or_call(state)))
    chance = game.chance_probability(state)
    outcomes = [call_down_by_rules(game, outcome) for outcome in game.chance_outcomes(state)]
    return [(end, chance * probability) for ends in outcomes for end, probability in ends]


def draw_outcome(game: Game[State], state: State, hands: tuple[int, int], fraction: float) -> State:
    """One of the outcomes of ``state``, where chance acts, that leave both ``hands`` possible.

    Args:
        game: the rules.
        state: where chance acts.
        hands: the players'.
        fraction: which, from 0 to below 1: those outcomes in their order have equal shares of that.
    """
    if isinstance(game, RunOuts):
        return game.draw_outcome(state, hands, fraction)
    return draw_outcome_by_rules(game, state, hands, fraction)


def draw_outcome_by_rules(game: Game[State], state: State, hands: tuple[int, int], fraction: float) -> State:
    """What :func:`draw_outcome` gives, chosen from all outcomes."""
    outcomes = [
        outcome for outcome in game.chance_outcomes(state) if game.possible_hands(outcome)[list(hands)].all()
    ]
    return outcomes[int(fraction * len(outcomes))]


# In OpenSpiel


@runtime_checkable
class OpenSpielNames(Protocol[_StateIn]):
    """The same game in OpenSpiel."""

    @property
    def openspiel_name(self) -> str | None:
        """What OpenSpiel loads it by, parameters included; None: with these arguments it is not there."""

    def information_state(self, state: _StateIn, hand: int) -> str:
        """OpenSpiel's information state string of the player to act holding ``hand``."""


def openspiel_names(game: Game[State]) -> OpenSpielNames[State]:
    """The game's names in OpenSpiel.

    Raises:
        ValueError: it is not there.
    """
    if not isinstance(game, OpenSpielNames) or game.openspiel_name is None:
        raise ValueError(f"{game.name} is not in OpenSpiel")
    return game
