"""No-limit Texas hold'em, heads up: the whole game, or an endgame that starts on any street.

Player 1 has the button and the small blind: acts first before the flop and last after it, as in the ACPC's
and OpenSpiel's games. Bets are fractions of the pot, see :mod:`pokerlab.games.betting`. Both players have
the same stack: what one has beyond the other's cannot be lost.

Subgames are streets: they end where cards are about to be dealt. The deal is a subgame of its own, from
the public state before it to those after it. Where both are all-in, the
game ends: its payoff is the average over all ways to deal the rest of the board.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, combinations, pairwise, permutations
from math import comb

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
    Relabellings,
    Symmetry,
    Terminal,
    Unfolded,
)  # fmt: skip
from pokerlab.games.bets import BetsByStreet, check_offered, is_number, read_bets
from pokerlab.games.betting import (
    CALL,
    FOLD,
    SMALLEST_BET,
    Betting,
    BettingTree,
    Sizes,
    enumerate_betting,
    options,
)
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import CardMass
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.games.showdown import Kernels, card_payoffs
from pokerlab.games.tree_size import Streets, count_states, too_large

BUTTON = 1
MOST_BOARDS = 4096
"""Boards whose possible hands are remembered."""
MOST_ENUMERATED = 2**17
"""Boards times hands of a game that is enumerated: a turn is, a flop is not."""
UNLIMITED = 2**30
MOST_CHIPS = 1e12
RAISES = 4
"""On a street, of which features count fractions."""


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
    variation: int = 0
    """Seed of what is random below, until cards are dealt, see :meth:`Holdem.varied`; 0: nothing is."""


class Holdem(Game[HoldemState]):
    """No-limit hold'em.

    Args:
        name: what to call it.
        board: cards at the root, such as ``Td9d6hQc``, or a list of them: on which street the game starts.
        pot: chips in the root's pot, half from each; 0, before the flop, with the blinds to be posted.
        stack: chips that each player has at the root, before blinds.
        blinds: small and big; the big blind is the least bet.
        bets: sizes as fractions of the pot after calling: a list for the first bet of a street, one for the
            first raise, …; the last for all that follow. Or such lists street by street, the last for all
            that follow. Going all-in is always one more.
        ip_bets: the same for player 1, who is in position after the flop; None: as player 0's.
        donk_bets: sizes of player 0's first bet on a street where it leads into player 1, the last to bet or
            raise on the street before, besides all-in; none: it checks there; None: as otherwise.
        most_raises: bets and raises on a street, all-ins among them; None: as many as the stack allows.
        ranges: each player's hands at the root, player 0's first, see :meth:`Deck.read_range`.
        ranks: of the deck, the lowest ones.
        suits: of the deck, the first ones.
        deals: how many cards are dealt before each street.
        jitter: in self-play, by how much of the pot at most each size of bets is moved at random, subgame by
            subgame.
        most_deals: in self-play, of so many ways to deal cards a value is made where there are more, drawn
            anew for each subgame; None: of all.
        isomorphism: whether :meth:`symmetry` tells of isomorphic suits.

    Raises:
        ValueError: an argument has a wrong value; the message begins with its name.
    """

    def __init__(
        self,
        name: str,
        *,
        board: str | Sequence[str] | None = "",
        pot: float = 0,
        stack: float = 20_000,
        blinds: Sequence[float] = (50, 100),
        bets: BetsByStreet = ((0.5, 1),),
        ip_bets: BetsByStreet | None = None,
        donk_bets: Sequence[float] | None = None,
        most_raises: int | None = None,
        ranges: Sequence[str | int] = ("uniform", "uniform"),
        ranks: int = 13,
        suits: int = 4,
        deals: Sequence[int] = (0, 3, 1, 1),
        jitter: float = 0.0,
        most_deals: int | None = None,
        isomorphism: bool = True,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be text, got {name!r}")
        self.name, self.deck = name, Deck(ranks, suits)
        self.num_hands = self.deck.num_hands
        self.boards = self._read_deals(deals)
        """How many cards are on the board on each street."""
        cards, self.complete = len(self.deck.cards), self.boards[-1]
        self._root, self.big_blind = self._start(board, pot, stack, blinds)
        if most_raises is not None and (type(most_raises) is not int or most_raises < 0):
            raise ValueError(f"most_raises must be null or an integer of at least 0, got {most_raises!r}")
        self._most_raises = UNLIMITED if most_raises is None else most_raises
        self._bets = read_bets(bets, ip_bets, donk_bets, len(self.boards), self._most_raises)
        if not is_number(jitter) or not 0 <= jitter < 1:
            raise ValueError(f"jitter must be a fraction of the pot from 0 to below 1, got {jitter!r}")
        if most_deals is not None and (type(most_deals) is not int or most_deals < 1):
            raise ValueError(f"most_deals must be null or an integer of at least 1, got {most_deals!r}")
        self._jitter, self._most_deals = jitter, most_deals
        fractions = self.sizes
        self.all_in = SMALLEST_BET + len(fractions)
        self.action_labels = ("fold", "call", *(f"{size:g} pot" for size in fractions), "all-in")
        self.num_features = 3 + 4 + len(self.boards) + 1 + cards + ranks + suits
        self._beliefs, self._isomorphism = self._read_ranges(ranges), isomorphism
        self._weight = 1 / (self.num_hands * comb(cards - 2, 2))
        self._kernels = Kernels(cards)
        self._possible: dict[tuple[int, ...], Bools] = {}
        self._check_bets()

    @staticmethod
    def _read_deals(deals: Sequence[int]) -> tuple[int, ...]:
        whole = isinstance(deals, Sequence) and all(type(cards) is int for cards in deals)
        if not whole or not deals or deals[0] != 0 or any(cards < 1 for cards in deals[1:]):
            raise ValueError(f"deals must be no card before the first street, then some, got {deals!r}")
        return tuple(accumulate(deals))

    def _start(
        self, board: str | Sequence[str] | None, pot: float, stack: float, blinds: Sequence[float]
    ) -> tuple[HoldemState, float]:
        """The root and the big blind."""
        if not isinstance(board or "", str):
            if not isinstance(board, Sequence) or not all(isinstance(card, str) for card in board):
                raise ValueError(f"board must be cards such as Td9d6h, got {board!r}")
            board = "".join(board)
        cards = self.deck.read_cards(str(board or ""))
        if len(cards) not in self.boards:
            raise ValueError(f"board must have {', '.join(map(str, self.boards))} cards, got {len(cards)}")
        for name, chips in (("pot", pot), ("stack", stack)):
            if not is_number(chips) or not 0 <= chips <= MOST_CHIPS:
                raise ValueError(f"{name} must be a number of chips from 0 to {MOST_CHIPS:g}, got {chips!r}")
        if not isinstance(blinds, Sequence) or len(blinds) != 2 or not all(map(is_number, blinds)):
            raise ValueError(f"blinds must be a small and a big one, got {blinds!r}")
        small, big = blinds
        if not 0 <= small <= big <= MOST_CHIPS:
            raise ValueError(f"blinds must be a small and a big one, got {list(blinds)}")
        before = 0.0 if pot else 1.0
        if cards and not pot:
            raise ValueError(f"pot must be above 0 where the game starts with a board, got {pot}")
        if not stack > big * before:
            raise ValueError(f"stack must be more than the big blind and than 0, got {stack}")
        committed = (big * before, small * before)
        return HoldemState(cards, float(pot), float(stack), committed, ((),)), float(big)

    def _read_ranges(self, ranges: Sequence[str | int]) -> Floats:
        if isinstance(ranges, str) or not isinstance(ranges, Sequence) or len(ranges) != 2:
            given = len(ranges) if isinstance(ranges, Sequence) and not isinstance(ranges, str) else ranges
            raise ValueError(f"ranges must be two, one for each player, got {given}")
        if not all(type(text) in (str, int) for text in ranges):
            raise ValueError(f"ranges must be such as QQ+,AKs or uniform, got {list(ranges)}")
        weights = np.array([self.deck.read_range(str(text)) for text in ranges])
        weights *= self.deck.possible(self._root.board)
        for text, of_player in zip(ranges, weights, strict=True):
            if not of_player.any():
                raise ValueError(f"ranges must have hands: the board leaves none of {str(text)!r}")
        held = weights > 0
        of_card = self.deck.holds.astype(np.int64) @ held[1]
        others = (
            held[1].sum() + held[1] - of_card[self.deck.hands].sum(1)
        )  # that share no card with each hand
        if not (held[0] & (others > 0)).any():
            raise ValueError(
                f"ranges must have hands that can meet: none of {' and '.join(map(repr, ranges))} do"
            )
        return weights / weights.sum(1, keepdims=True)

    def _check_bets(self) -> None:
        """No street may be too large to be built, and every size must be large enough somewhere."""
        root, streets = self._betting(self._root), self._bets[self._street(self._root) :]
        different = {street.plain.offered.tobytes(): street for street in reversed(streets)}
        for street in different.values():
            states = count_states(root, Streets((street,), (), self.big_blind), quickly=True)
            if reason := too_large(states, self.num_hands):
                raise ValueError(f"bets make {reason}; offer fewer, or set most_raises")
        check_offered(root, streets)

    @property
    def sizes(self) -> Floats:
        """``[S]`` the fractions of the pot that may be bet, ascending: actions from ``SMALLEST_BET`` on."""
        return self._bets[0].plain.fractions

    @property
    def initial_beliefs(self) -> Floats:
        return self._beliefs

    @cached_property
    def deal(self) -> Floats:  # type: ignore[override]
        return np.where(self.deck.disjoint, self._weight, 0.0)

    @property
    def rules(self) -> tuple[tuple[str, Hashable], ...]:
        """Deck, streets, the root (board, pot, stack, blinds posted), the big blind, and bets by street.

        Not the ranges: who holds what is a matter of the deal.
        """
        root, most_raises = self._root, self._most_raises
        bets = [
            (f"{what} on street {number}", sizes.by_player())
            for number, street in enumerate(self._bets, start=1)
            for what, sizes in (("bets", street.plain), ("bets into the aggressor", street.donk))
        ]
        return (
            ("game", "hold'em"),
            ("deck", f"{len(self.deck.cards)} cards"),
            ("suits", self.deck.suits),
            ("board cards by street", self.boards),
            ("board", "".join(self.deck.cards[card] for card in root.board)),
            ("pot", root.pot),
            ("stack", root.stack),
            ("blinds posted", root.committed),
            ("big blind", self.big_blind),
            ("bets and raises a street", "any number" if most_raises == UNLIMITED else most_raises),
            *bets,
        )

    def root(self) -> HoldemState:
        return self._root

    # Rules

    def _street(self, state: HoldemState) -> int:
        return self.boards.index(len(state.board))

    @staticmethod
    def _betting_is_over(state: HoldemState) -> bool:
        """Whether the street's betting is."""
        actions = state.actions[-1]
        if actions[-1:] == (FOLD,):
            return True
        return actions[-1:] == (CALL,) and (len(actions) > 1 or _is_all_in(state))

    def actor(self, state: HoldemState) -> int:
        if not self._betting_is_over(state):
            first = BUTTON if self._street(state) == 0 else 1 - BUTTON
            return (first + len(state.actions[-1])) % 2
        streets_to_come = len(self.boards) - 1 - self._street(state)
        if _is_folded(state) or streets_to_come == 0 or _is_all_in(state):
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
            big_blind=self.big_blind,
        )

    def _options(self, state: HoldemState) -> dict[int, float]:
        return options(self._betting(state), self._sizes_at(state))

    def _sizes_at(self, state: HoldemState) -> Sizes:
        street = self._bets[self._street(state)]
        sizes = street.donk if self._leads(state) else street.plain
        if not state.variation or not self._jitter:
            return sizes
        moved = np.random.default_rng(state.variation).uniform(-1, 1, len(sizes.fractions)) * self._jitter
        # none may become nothing, and their order is that of actions
        return sizes._replace(fractions=np.sort(np.maximum(sizes.fractions + moved, sizes.fractions / 2)))

    def _leads(self, state: HoldemState) -> bool:
        """Whether player 1 was the last to bet or raise on the street before."""
        if len(state.actions) < 2:
            return False
        before = state.actions[-2]
        raises = [number for number, action in enumerate(before) if action >= SMALLEST_BET]
        first = BUTTON if self._street(state) == 1 else 1 - BUTTON
        return bool(raises) and (first + raises[-1]) % 2 == 1

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
        if self._draws_deals(state):
            return tuple(_dealt(state, cards) for cards in self._drawn(rest, state))
        return tuple(_dealt(state, cards) for cards in combinations(rest, self._to_deal(state)))

    def chance_probability(self, state: HoldemState) -> float:
        rest, cards = len(self.deck.cards) - len(state.board), self._to_deal(state)
        if self._draws_deals(state):
            return comb(rest, cards) / (comb(rest - 4, cards) * self._drawn_number(rest, cards))
        return 1 / comb(rest - 4, cards)

    def _draws_deals(self, state: HoldemState) -> bool:
        """Whether cards are drawn from those that could be dealt."""
        rest, most = len(self.deck.cards) - len(state.board), self._most_deals
        return bool(state.variation and most) and comb(rest, self._to_deal(state)) > (most or 0)

    def _drawn_number(self, rest: int, cards: int) -> int:
        """How many: what a whole number of decks gives, if possible no more than ``most_deals``."""
        a_deck = rest // cards
        return max((self._most_deals or 0) // a_deck, 1) * a_deck

    def _drawn(self, rest: Sequence[int], state: HoldemState) -> list[tuple[int, ...]]:
        """Shuffled decks, dealt out: every card comes about as often, so that all hands are met alike."""
        cards = self._to_deal(state)
        generator, a_deck = np.random.default_rng(state.variation), len(rest) // cards
        decks = self._drawn_number(len(rest), cards) // a_deck
        shuffled = [generator.permutation(rest)[: a_deck * cards].reshape(-1, cards) for _ in range(decks)]
        return [tuple(sorted(dealt)) for deck in shuffled for dealt in deck.tolist()]

    def possible_hands(self, state: HoldemState) -> Bools:
        if state.board not in self._possible:
            if len(self._possible) >= MOST_BOARDS:
                self._possible.clear()
            self._possible[state.board] = self.deck.possible(state.board)
        return self._possible[state.board]

    def pot(self, state: HoldemState) -> float:
        return state.pot + sum(state.committed)

    def terminal(self, state: HoldemState) -> Terminal:
        stake = state.pot / 2 + min(state.committed)
        if not _is_folded(state):
            return Terminal(self._kernels.encode(self._shown(state), state.board), (stake, stake))
        first_won = state.committed[0] > state.committed[1]
        chips = (stake, -stake) if first_won else (-stake, stake)
        return Terminal(self._kernels.encode(FOLDED, state.board), chips)

    def _shown(self, state: HoldemState) -> int:
        """The kind of payoff when nobody folds any more."""
        return SHOWDOWN if len(state.board) == self.complete else RUN_OUT

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        decoded = [self._kernels.decode(kernel) for kernel in kernels]
        return card_payoffs(self.deck, decoded, complete=self.complete, weight=self._weight, like=like)

    def mass_operator(self, like: Tensor) -> PayoffOperator:
        return CardMass(self.deck, self._weight, like)

    def committed(self, state: HoldemState) -> tuple[float, float]:
        return state.pot / 2 + state.committed[0], state.pot / 2 + state.committed[1]

    # Names

    def hand_name(self, hand: int) -> str:
        return self.deck.hand_name(hand)

    def action_names(self, state: HoldemState, action: int) -> tuple[str, ...]:
        first, second = state.committed
        if action == FOLD:
            return ("fold",)
        if action == CALL:
            return ("call",) if first != second else ("check",)
        verb = "raise" if first or second else "bet"
        if action == self.all_in:
            return "all-in", "allin", f"{verb} all-in"
        size = self.sizes[action - SMALLEST_BET]
        return f"{verb} {size:g}", f"{verb} {size:g} pot", f"{verb} {100 * size:g}%", f"{size:g}"

    def outcome_names(self, outcome: HoldemState) -> tuple[str, ...]:
        """The cards in any order, in one word or several."""
        before = self.boards[self._street(outcome) - 1]
        orders = list(permutations(self.deck.cards[card] for card in reversed(outcome.board[before:])))
        return (*("".join(cards) for cards in orders), *(" ".join(cards) for cards in orders))

    # At a table

    def check_or_call(self, state: HoldemState) -> int:
        return CALL

    def check_or_fold(self, state: HoldemState) -> int:
        return self.actions(state)[0]

    def called_down(self, state: HoldemState) -> Sequence[tuple[Terminal, float]]:
        if self.actor(state) == TERMINAL:
            return [(self.terminal(state), 1.0)]
        stake = state.pot / 2 + max(state.committed)
        return [(Terminal(self._kernels.encode(self._shown(state), state.board), (stake, stake)), 1.0)]

    def draw_outcome(self, state: HoldemState, hands: tuple[int, int], fraction: float) -> HoldemState:
        return _dealt(state, self._drawn_cards(state.board, hands, fraction, self._to_deal(state)))

    def run_out(self, state: HoldemState, hands: tuple[int, int], fractions: Sequence[float]) -> HoldemState:
        if _is_folded(state):
            return state
        board = state.board
        for street in range(self._street(state), len(self.boards) - 1):
            fraction = fractions[street - self._street(self._root)]
            cards = self.boards[street + 1] - self.boards[street]
            board = (*board, *self._drawn_cards(board, hands, fraction, cards))
        return replace(state, board=board)

    def _drawn_cards(
        self, board: tuple[int, ...], hands: tuple[int, int], fraction: float, cards: int
    ) -> tuple[int, ...]:
        """The combination of cards that has its place at ``fraction`` of all, in their order."""
        held = {*board, *self.deck.hands[list(hands)].flatten().tolist()}
        rest = [card for card in range(len(self.deck.cards)) if card not in held]
        number, drawn = int(fraction * comb(len(rest), cards)), list[int]()
        while len(drawn) < cards:
            card = rest.pop(0)
            with_this = comb(len(rest), cards - len(drawn) - 1)
            if number < with_this:
                drawn.append(card)
            else:
                number -= with_this
        return tuple(drawn)

    # Learning

    def features(self, state: HoldemState) -> list[float]:
        actor, street = self.actor(state), self._street(state)
        chips = state.pot + 2 * state.stack
        return [
            *(float(actor == who) for who in (0, 1, CHANCE)),
            state.pot / chips, *(committed / chips for committed in state.committed), self.big_blind / chips,
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
        return self.actor(state) == CHANCE

    def hand_features(self) -> Floats:
        """Cards, ranks, suits, and pairs of ranks suited or not: with ``AKs`` goes every suited ace-king."""
        deck = self.deck
        ranks, suits = deck.hands // deck.suits, deck.hands % deck.suits
        of_rank = (ranks[:, :, None] == np.arange(deck.ranks)).sum(1)
        of_suit = (suits[:, :, None] == np.arange(deck.suits)).sum(1)
        kinds = np.concatenate([ranks, suits[:, :1] == suits[:, 1:]], 1)
        kind = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1, 1)
        of_kind = kind == np.arange(kind.max() + 1)
        return np.concatenate([deck.holds.T, of_rank, of_suit, of_kind], 1).astype(np.float64)

    def relabellings(self) -> Relabellings:
        """Suits by other names."""
        deck = self.deck
        cards = deck.suit_permutations
        of_cards = self.num_features - len(deck.cards) - deck.ranks - deck.suits
        of_suits = self.num_features - deck.suits
        features = np.tile(np.arange(self.num_features), (len(cards), 1))
        features[:, of_cards : of_cards + len(deck.cards)] = of_cards + cards
        features[:, of_suits:] = of_suits + cards[:, : deck.suits]
        return Relabellings(features=features, hands=deck.permuted_hands(cards))

    @property
    def enumerable(self) -> bool:
        start = self._street(self._root)
        boards = 1
        for before, after in pairwise(self.boards[start:]):
            boards *= comb(len(self.deck.cards) - before, after - before)
        return boards * self.num_hands <= MOST_ENUMERATED

    def count_states(self, *, isomorphism: bool = False) -> float:
        street, root = self._street(self._root), self._root
        numbers = [comb(len(self.deck.cards) - a, b - a) for a, b in pairwise(self.boards[street:])]
        if isomorphism and (symmetry := self.symmetry()):
            numbers[0] = len(symmetry.outcomes(root))
        return count_states(self._betting(root), Streets(self._bets[street:], numbers, self.big_blind))

    @property
    def varies(self) -> bool:
        return bool(self._jitter or self._most_deals)

    def varied(self, state: HoldemState, seed: int) -> HoldemState:
        """With sizes of bets moved by up to ``jitter``, or ``most_deals`` of the cards that can come."""
        if self.actor(state) == CHANCE:
            varied = replace(state, variation=seed)
            return varied if self._draws_deals(varied) else state
        return replace(state, variation=seed) if self._jitter else state

    # Trees

    def symmetry(self) -> Symmetry[HoldemState] | None:
        """Exchanges of suits that leave the root's board and both ranges as they are, if cards will come."""
        board, exchanges = self._root.board, self.deck.suit_permutations
        hands = self.deck.permuted_hands(exchanges)
        same = (np.sort(exchanges[:, list(board)]) == np.sort(np.array(board, dtype=np.int64))).all(1)
        same &= (self._beliefs[:, hands] == self._beliefs[:, None]).all((0, 2))
        if not self._isomorphism or len(board) == self.complete or same.sum() == 1:
            return None
        dealt = [outcome.board[len(board) :] for outcome in self.chance_outcomes(self._root)]
        exchanges, hands = exchanges[same], hands[same]
        names = (1 << exchanges[:, np.array(dealt)]).sum(2).min(0)
        _, first, number = np.unique(names, return_index=True, return_counts=True)
        kept = sorted((dealt[at], times) for at, times in zip(first, number.tolist(), strict=True))
        kept_as = dict(
            zip(dealt, (dealt[at] for at in first[np.unique(names, return_inverse=True)[1]]), strict=True)
        )

        def representative(state: HoldemState) -> tuple[HoldemState, Ints]:
            start = self._street(self._root)
            streets = [state.board[a:b] for a, b in pairwise(self.boards[start:])]
            there = np.array(kept_as[streets[0]])
            which = int((np.sort(exchanges[:, list(streets[0])]) == there).all(1).argmax())
            moved = [sorted(exchanges[which, list(cards)].tolist()) for cards in streets]
            return replace(state, board=(*board, *chain.from_iterable(moved))), hands[which]

        return Symmetry(
            representative_hand=hands.min(0),
            outcomes=lambda state: [(_dealt(state, cards), times) for cards, times in kept],
            representative=representative,
        )

    def unfold(self, root: HoldemState, *, depth_limited: bool) -> Unfolded[HoldemState]:
        last_street = self._street(root) == len(self.boards) - 1
        if self.actor(root) == CHANCE or not (last_street or depth_limited):
            return super().unfold(root, depth_limited=depth_limited)
        return self._unfold_street(root)

    def _unfold_street(self, root: HoldemState) -> Unfolded[HoldemState]:
        """The betting of one street."""
        betting = enumerate_betting(self._betting(root), self._sizes_at(root))
        over, called = betting.player < 0, betting.action == CALL
        kind = np.where(over, TERMINAL, betting.player)
        if len(root.board) < self.complete:
            kind[over & called & (betting.committed.min(0) < root.stack)] = LEAF
        ends = np.flatnonzero(kind == TERMINAL)
        folded = betting.action[ends] == FOLD
        committed = betting.committed
        stake = root.pot / 2 + committed[:, ends].min(0)
        won = np.where(committed[0, ends] > committed[1, ends], 1, -1) * np.array([[1], [-1]])
        kernels = [self._kernels.encode(kind, root.board) for kind in (self._shown(root), FOLDED)]

        def make(node: int) -> HoldemState:
            actions = list[int]()
            first, second = (float(chips) for chips in committed[:, node])
            while betting.above[node] >= 0:
                actions.append(int(betting.action[node]))
                node = int(betting.above[node])
            played = (*root.actions[-1], *reversed(actions))
            return replace(root, committed=(first, second), actions=(*root.actions[:-1], played))

        return Unfolded(
            states=LazyStates(make, np.arange(len(kind))),
            kind=kind,
            above=betting.above,
            action=betting.action,
            chance=np.ones(len(kind)),
            boards=self.possible_hands(root)[None],
            board=np.zeros(len(kind), np.int64),
            features=self._features_of(root, kind, betting),
            pot=root.pot + (committed[0] + committed[1]),
            kernel=np.where(folded, kernels[1], kernels[0]),
            chips=np.where(folded, won, 1) * stake,
        )

    def _features_of(self, root: HoldemState, kind: Ints, betting: BettingTree) -> Floats:
        """:meth:`features` of a street's states, ``[N, F]``."""
        found = np.tile(self.features(root), (len(kind), 1))
        found[:, :3] = np.stack([kind == 0, kind == 1, kind == LEAF], 1)
        found[:, 4:6] = betting.committed.T / (root.pot + 2 * root.stack)
        found[:, 7 + len(self.boards)] = betting.raises / RAISES
        return found

    # OpenSpiel

    @property
    def openspiel_name(self) -> str | None:  # type: ignore[override]
        """Its ``universal_poker``, if the sizes are those of its betting abstraction fcpa: pot and all-in."""
        plain = self.sizes.tolist() == [1] and self._most_raises == UNLIMITED
        plain = plain and all(of.offered.all() for street in self._bets for of in street)
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
