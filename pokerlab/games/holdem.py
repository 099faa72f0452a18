"""No-limit Texas hold'em, heads up: the whole game, or an endgame that starts on any street.

Player 1 has the button and the small blind: acts first before the flop and last after it, as in the ACPC's
and OpenSpiel's games. Bets are fractions of the pot, see :mod:`pokerlab.games.betting`. Both players have
the same stack: what one has beyond the other's cannot be lost.

Subgames are streets: they end where cards are about to be dealt. The deal is a subgame of its own, from
the public state before it to those after it. Where both are all-in, the last street's cards are dealt in the
tree; if more streets are to come, the end is the average over all run-outs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate, combinations, pairwise
from math import comb
from typing import TypeAlias, cast

import numpy as np
from torch import Tensor

from pokerlab.games.base import (
    CHANCE,
    LEAF,
    TERMINAL,
    Bools,
    Floats,
    Game,
    Ints,
    LazyStates,
    PayoffOperator,
    Terminal,
    Unfolded,
)  # fmt: skip
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET, Betting, Sizes, enumerate_betting, options
from pokerlab.games.cards import Deck
from pokerlab.games.showdown import FOLDED, RUN_OUT, SHOWDOWN, CardMass, CardPayoffs, Kernels

BUTTON = 1
MOST_BOARDS = 4096
"""Boards whose possible hands are remembered."""
UNLIMITED = 2**30
RAISES = 4
"""On a street, of which features count fractions."""

Bets: TypeAlias = Sequence[Sequence[float]]
"""Sizes for the first bet of a street, for the first raise, …; the last for all that follow."""


@dataclass(frozen=True, slots=True)
class HoldemState:
    """A public state."""

    board: tuple[int, ...]
    pot: float
    """Chips in the pot from before this street, half from each."""
    stack: float
    """Chips that each player can put in on this street, blinds included."""
    committed: tuple[float, float]
    """Chips that each player has put in on this street."""
    actions: tuple[tuple[int, ...], ...]
    """On each street since the game's root; the last is the present one."""


class Holdem(Game[HoldemState]):
    """No-limit hold'em.

    Args:
        name: what to call it.
        board: cards at the root, such as ``Td9d6hQc``: on which street the game starts.
        pot: chips in the root's pot, half from each; 0, before the flop, with the blinds to be posted.
        stack: chips that each player has at the root, before blinds.
        blinds: small and big; the big blind is the least bet.
        bets: sizes as fractions of the pot after calling: a list for the first bet of a street, one for the
            first raise, …; the last for all that follow. Or such lists street by street, the last for all
            that follow. Going all-in is always one more.
        most_raises: bets and raises on a street, all-ins among them; null: as many as the stack allows.
        ranges: each player's hands at the root, see :meth:`Deck.read_range`.
        ranks: of the deck, the lowest ones.
        suits: of the deck, the first ones.
        deals: how many cards are dealt before each street.
    """

    def __init__(
        self,
        name: str,
        *,
        board: str = "",
        pot: float = 0,
        stack: float = 20_000,
        blinds: Sequence[float] = (50, 100),
        bets: Bets | Sequence[Bets] = ((0.5, 1),),
        most_raises: int | None = None,
        ranges: Sequence[str] = ("uniform", "uniform"),
        ranks: int = 13,
        suits: int = 4,
        deals: Sequence[int] = (0, 3, 1, 1),
    ) -> None:
        self.name, self.deck = name, Deck(ranks, suits)
        self.num_hands = self.deck.num_hands
        self.boards = tuple(accumulate(deals))
        """How many cards are on the board on each street."""
        cards, self.complete = len(self.deck.cards), self.boards[-1]
        self._root = self._start(self.deck.read_cards(board), pot, stack, blinds)
        self._big_blind = float(blinds[1])
        self._most_raises = UNLIMITED if most_raises is None else most_raises
        self._sizes = self._read_bets(bets)
        fractions = self._sizes[0].fractions
        self.all_in = SMALLEST_BET + len(fractions)
        self.action_labels = ("fold", "call", *(f"{size:g} pot" for size in fractions), "all-in")
        self.num_features = 3 + 4 + len(self.boards) + 1 + cards + ranks + suits
        self._beliefs = self._read_ranges(ranges)
        self._weight = 1 / (self.num_hands * comb(cards - 2, 2))
        self._kernels = Kernels(cards)
        self._possible = lru_cache(MOST_BOARDS)(self.deck.possible)

    def _start(
        self, board: tuple[int, ...], pot: float, stack: float, blinds: Sequence[float]
    ) -> HoldemState:
        if self.boards[0] != 0 or any(more <= fewer for fewer, more in pairwise(self.boards)):
            raise ValueError(
                f"game.deals must be no card before the first street, then some, got {self.boards}"
            )
        if len(board) not in self.boards:
            raise ValueError(
                f"game.board must have {', '.join(map(str, self.boards))} cards, got {len(board)}"
            )
        if not 0 <= blinds[0] <= blinds[1]:
            raise ValueError(f"game.blinds must be a small and a big one, got {list(blinds)}")
        before = 0.0 if pot else 1.0
        if board and not pot > 0:
            raise ValueError(f"game.pot must be above 0 where the game starts with a board, got {pot}")
        if not stack > blinds[1] * before:
            raise ValueError(f"game.stack must be more than the big blind and than 0, got {stack}")
        committed = (blinds[1] * before, blinds[0] * before)
        return HoldemState(board, float(pot), float(stack), committed, ((),))

    def _read_bets(self, bets: Bets | Sequence[Bets]) -> tuple[Sizes, ...]:
        """What is offered on each street; the fractions are those of all streets."""
        try:
            same = any(isinstance(size, int | float) for street in bets for size in street)
            streets = cast(Sequence[Bets], [bets] if same else bets)
            fractions = sorted({float(size) for street in streets for sizes in street for size in sizes})
        except TypeError as error:
            raise ValueError(f"game.bets must be lists of fractions of the pot, got {bets}") from error
        if not all(streets) or not all(size > 0 for size in fractions):
            raise ValueError(f"game.bets must be lists of fractions of the pot above 0, got {bets}")
        found = []
        for street in range(len(self.boards)):
            here = streets[min(street, len(streets) - 1)]
            offered = [[size in sizes for size in fractions] for sizes in here]
            found.append(Sizes(np.array(fractions), np.array(offered, dtype=bool), self._most_raises))
        return tuple(found)

    def _read_ranges(self, ranges: Sequence[str]) -> Floats:
        if len(ranges) != 2:
            raise ValueError(f"game.ranges must be two, one for each player, got {len(ranges)}")
        weights = np.array([self.deck.read_range(text) for text in ranges])
        weights *= self.deck.possible(self._root.board)
        for text, of_player in zip(ranges, weights, strict=True):
            if not of_player.any():
                raise ValueError(f"game.ranges: the board leaves no hand of {text!r}")
        return weights / weights.sum(1, keepdims=True)

    @property
    def initial_beliefs(self) -> Floats:
        return self._beliefs

    @cached_property
    def deal(self) -> Floats:  # type: ignore[override]
        disjoint = (self.deck.holds.T[:, :, None] & self.deck.holds[None]).any(1) == 0
        return disjoint * self._weight

    def root(self) -> HoldemState:
        return self._root

    # Rules

    def _street(self, state: HoldemState) -> int:
        return self.boards.index(len(state.board))

    @staticmethod
    def _betting_is_over(state: HoldemState) -> bool:
        """Whether the street's betting is."""
        actions = state.actions[-1]
        if state.stack <= 0 or actions[-1:] == (FOLD,):
            return True
        return actions[-1:] == (CALL,) and (len(actions) > 1 or _is_all_in(state))

    def actor(self, state: HoldemState) -> int:
        if not self._betting_is_over(state):
            first = BUTTON if self._street(state) == 0 else 1 - BUTTON
            return (first + len(state.actions[-1])) % 2
        streets_to_come = len(self.boards) - 1 - self._street(state)
        if _is_folded(state) or streets_to_come == 0 or (_is_all_in(state) and streets_to_come > 1):
            return TERMINAL
        return CHANCE

    def _betting(self, state: HoldemState) -> Betting:
        return Betting(
            pot=state.pot,
            committed=state.committed,
            limit=state.stack,
            player=self.actor(state),
            acted=len(state.actions[-1]) > 0,
            raises=_raises(state),
            big_blind=self._big_blind,
        )

    def _options(self, state: HoldemState) -> dict[int, float]:
        return options(self._betting(state), self._sizes[self._street(state)])

    def actions(self, state: HoldemState) -> tuple[int, ...]:
        return tuple(self._options(state))

    def next_state(self, state: HoldemState, action: int) -> HoldemState:
        committed = list(state.committed)
        committed[self.actor(state)] = self._options(state)[action]
        actions = (*state.actions[:-1], (*state.actions[-1], action))
        return replace(state, committed=(committed[0], committed[1]), actions=actions)

    def _to_deal(self, state: HoldemState) -> int:
        """How many cards come next."""
        street = self._street(state)
        return self.boards[street + 1] - self.boards[street]

    def chance_outcomes(self, state: HoldemState) -> tuple[HoldemState, ...]:
        rest = [card for card in range(len(self.deck.cards)) if card not in state.board]
        return tuple(_dealt(state, cards) for cards in combinations(rest, self._to_deal(state)))

    def chance_probability(self, state: HoldemState) -> float:
        return 1 / comb(len(self.deck.cards) - len(state.board) - 4, self._to_deal(state))

    def possible_hands(self, state: HoldemState) -> Bools:
        return self._possible(state.board)

    def pot(self, state: HoldemState) -> float:
        return state.pot + sum(state.committed)

    def terminal(self, state: HoldemState) -> Terminal:
        stake = state.pot / 2 + min(state.committed)
        if not _is_folded(state):
            kind = SHOWDOWN if len(state.board) == self.complete else RUN_OUT
            return Terminal(self._kernels.encode(kind, state.board), (stake, stake))
        first_won = state.committed[0] > state.committed[1]
        chips = (stake, -stake) if first_won else (-stake, stake)
        return Terminal(self._kernels.encode(FOLDED, state.board), chips)

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        decoded = [self._kernels.decode(kernel) for kernel in kernels]
        return CardPayoffs(self.deck, decoded, complete=self.complete, weight=self._weight, like=like)

    def mass_operator(self, like: Tensor) -> PayoffOperator:
        return CardMass(self.deck, self._weight, like)

    # Learning

    def features(self, state: HoldemState) -> list[float]:
        actor, street = self.actor(state), self._street(state)
        chips = state.pot + 2 * state.stack
        return [
            *(float(actor == who) for who in (0, 1, CHANCE)),
            state.pot / chips, *(committed / chips for committed in state.committed), self._big_blind / chips,
            *(float(street == number) for number in range(len(self.boards))),
            _raises(state) / RAISES,
            *self._board_features(state.board),
        ]  # fmt: skip

    def _board_features(self, board: tuple[int, ...]) -> list[float]:
        """Which cards, and how many of each rank and suit: a layer's weights of these are an embedding of
        cards that is shared over ranks and suits."""
        counts = [0.0] * (len(self.deck.cards) + self.deck.ranks + self.deck.suits)
        for card in board:
            rank, suit = divmod(card, self.deck.suits)
            counts[card] += 1
            counts[len(self.deck.cards) + rank] += 1
            counts[len(self.deck.cards) + self.deck.ranks + suit] += 1
        return counts

    def is_leaf(self, root: HoldemState, state: HoldemState, depth: int) -> bool:
        if len(state.board) > len(root.board):
            return True
        return self.actor(state) == CHANCE and not _is_all_in(state)

    # Trees

    def unfold(self, root: HoldemState, *, depth_limited: bool) -> Unfolded[HoldemState]:
        last_street = self._street(root) == len(self.boards) - 1
        if self.actor(root) == CHANCE or not (last_street or depth_limited):
            return super().unfold(root, depth_limited=depth_limited)
        return self._unfold_street(root)

    def _unfold_street(self, root: HoldemState) -> Unfolded[HoldemState]:
        """The betting of one street; where both are all-in with one street to come, that street's cards."""
        to_come = len(self.boards) - 1 - self._street(root)
        betting = enumerate_betting(self._betting(root), self._sizes[self._street(root)])
        over, called = betting.player < 0, betting.action == CALL
        all_in = over & called & (betting.committed.min(0) >= root.stack)
        kind = np.where(over, TERMINAL, betting.player)
        if to_come:
            kind[over & called & ~all_in] = LEAF
        outcomes: tuple[HoldemState, ...] = ()
        if to_come == 1 and all_in.any():
            kind[all_in] = CHANCE
            outcomes = self.chance_outcomes(replace(root, committed=(root.stack, root.stack)))
        # each state, those with cards to come followed by what may be dealt
        times = np.where(kind == CHANCE, 1 + len(outcomes), 1)
        at = np.cumsum(times) - times
        state = np.repeat(np.arange(len(kind)), times)
        dealt = np.arange(len(state)) - at[state]
        kind = np.where(dealt > 0, TERMINAL, kind[state])

        committed = betting.committed[:, state]
        ends = np.flatnonzero(kind == TERMINAL)
        folded = betting.action[state[ends]] == FOLD
        stake = root.pot / 2 + committed[:, ends].min(0)
        won = np.where(committed[0, ends] > committed[1, ends], 1, -1) * np.array([[1], [-1]])
        shown = SHOWDOWN if to_come == 0 else RUN_OUT
        kernels = [self._kernels.encode(shown, root.board)]
        kernels += [self._kernels.encode(SHOWDOWN, outcome.board) for outcome in outcomes]
        kernel = np.array(kernels)[dealt[ends]]

        def make(node: int) -> HoldemState:
            here, actions = int(state[node]), list[int]()
            while betting.above[here] >= 0:
                actions.append(int(betting.action[here]))
                here = int(betting.above[here])
            played = (*root.actions[-1], *reversed(actions))
            first, second = (float(chips) for chips in committed[:, node])
            made = replace(root, committed=(first, second), actions=(*root.actions[:-1], played))
            return _dealt(made, outcomes[dealt[node] - 1].board[len(root.board) :]) if dealt[node] else made

        return Unfolded(
            states=LazyStates(make, np.arange(len(state))),
            kind=kind,
            above=np.where(dealt > 0, at[state], np.where(state > 0, at[betting.above[state]], -1)),
            action=np.where(dealt > 0, -1, betting.action[state]),
            chance=np.where(dealt > 0, self.chance_probability(root) if outcomes else 1.0, 1.0),
            boards=np.array([self._possible(board) for board in (root.board, *(o.board for o in outcomes))]),
            board=dealt,
            features=self._features_of(root, kind, committed, betting.raises[state], dealt, outcomes),
            pot=root.pot + (committed[0] + committed[1]),
            kernel=np.where(folded, self._kernels.encode(FOLDED, root.board), kernel),
            chips=np.where(folded, won, 1) * stake,
        )

    def _features_of(
        self,
        root: HoldemState,
        kind: Ints,
        committed: Floats,
        raises: Ints,
        dealt: Ints,
        outcomes: Sequence[HoldemState],
    ) -> Floats:
        """:meth:`features` of a street's states, ``[N, F]``."""
        found = np.tile(self.features(root), (len(kind), 1))
        chips = root.pot + 2 * root.stack
        found[:, 0], found[:, 1] = kind == 0, kind == 1
        found[:, 2] = ((kind == CHANCE) | (kind == LEAF)) & (dealt == 0)
        found[:, 4:6] = committed.T / chips
        found[:, 7 + len(self.boards)] = raises / RAISES
        for number, outcome in enumerate(outcomes, start=1):
            found[dealt == number] = self.features(outcome)
        return found

    # OpenSpiel

    @property
    def openspiel_name(self) -> str | None:  # type: ignore[override]
        """Its ``universal_poker``, if the sizes are those of its betting abstraction fcpa: pot and all-in."""
        plain = self._sizes[0].fractions.tolist() == [1] and self._most_raises == UNLIMITED
        if self._root.board or self._root.pot or not plain or (self._beliefs != self._beliefs[0, 0]).any():
            return None
        (big, small), stack = self._root.committed, self._root.stack
        deals = np.diff(self.boards, prepend=0)
        first = [2, *[1] * (len(deals) - 1)]
        parameters = {
            "betting": "nolimit", "numPlayers": 2, "numRounds": len(deals), "blind": f"{big:g} {small:g}",
            "firstPlayer": " ".join(map(str, first)), "numSuits": self.deck.suits,
            "numRanks": self.deck.ranks, "numHoleCards": 2, "numBoardCards": " ".join(map(str, deals)),
            "stack": f"{stack:g} {stack:g}", "bettingAbstraction": "fcpa",
        }  # fmt: skip
        return f"universal_poker({','.join(f'{key}={value}' for key, value in parameters.items())})"

    def information_state(self, state: HoldemState, hand: int) -> str:
        actor, street = self.actor(state), self._street(state)
        most = state.pot / 2 + max(state.committed)
        money = " ".join(f"{state.stack - committed:g}" for committed in state.committed)
        public = self.deck.board_name(sorted(state.board, reverse=True))
        return (
            f"[Round {street}][Player: {actor}][Pot: {2 * most:g}][Money: {money}]"
            f"[Private: {self.deck.hand_name(hand)}][Public: {public}][Sequences: {self._sequence(state)}]"
        )

    def _sequence(self, state: HoldemState) -> str:
        """The actions in the ACPC's notation: a raise is to so many chips of the whole hand."""
        played, text = self._root, ""
        for street, actions in enumerate(state.actions):
            if street:
                played = _dealt(played, state.board[len(played.board) : self.boards[street]])
                text += "|"
            for action in actions:
                played = self.next_state(played, action)
                chips = f"{played.pot / 2 + max(played.committed):g}"
                text += "f" if action == FOLD else "c" if action == CALL else f"r{chips}"
        return text


def _dealt(state: HoldemState, cards: tuple[int, ...]) -> HoldemState:
    """The next street, after a call."""
    called = state.committed[0]
    board, actions = (*state.board, *cards), (*state.actions, ())
    return HoldemState(board, state.pot + 2 * called, state.stack - called, (0.0, 0.0), actions)


def _is_folded(state: HoldemState) -> bool:
    return state.actions[-1][-1:] == (FOLD,)


def _is_all_in(state: HoldemState) -> bool:
    """Whether both are."""
    return min(state.committed) >= state.stack


def _raises(state: HoldemState) -> int:
    return sum(action >= SMALLEST_BET for action in state.actions[-1])
