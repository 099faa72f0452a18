"""What is legal, what it leads to, and what it pays."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations, pairwise
from math import comb

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, TERMINAL, Bools, Floats, Game, PayoffOperator, Terminal
from pokerlab.games.bets import (
    BetsByStreet,
    Street,
    all_in_only,
    check_bets,
    is_number,
    read_bets,
    read_limit,
)
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET, Betting, Sizes, options
from pokerlab.games.cards import Deck
from pokerlab.games.dense_payoffs import CardMass, card_mass
from pokerlab.games.holdem.arguments import read_deals, read_ranges, read_root
from pokerlab.games.holdem.state import HoldemState
from pokerlab.games.parts import read_leaves
from pokerlab.games.payoff_tables import FOLDED, RUN_OUT, SHOWDOWN
from pokerlab.games.run_out_sums import sum_outcomes
from pokerlab.games.showdown import Kernels, card_payoff_bytes, card_payoffs
from pokerlab.games.tree_size import Streets, count_states, too_large
from pokerlab.loops import NUMBA

BUTTON = 1
MOST_BOARDS = 4096
"""Boards whose possible hands are remembered."""
MOST_ENUMERATED = 2**17
"""Boards times hands of a game that is enumerated: a turn is, a flop is not."""
MOST_SUMMED = 24
"""Rows of a board that is asked about once for which outcomes are summed: a matrix takes as long to make."""
UNLIMITED = 2**30
BETS = ((0.5, 1),)
"""Where nothing else is said."""


class HoldemRules(Game[HoldemState]):
    """The rules. The arguments are those of :class:`~pokerlab.games.holdem.Holdem`."""

    def __init__(
        self,
        name: str,
        *,
        board: str | Sequence[str] | None = "",
        pot: float = 0,
        stack: float = 20_000,
        blinds: Sequence[float] = (50, 100),
        small_blind: int = BUTTON,
        bets: BetsByStreet = BETS,
        ip_bets: BetsByStreet | None = None,
        donk_bets: Sequence[float] | None = None,
        force_all_in: float = 0.0,
        add_all_in: float | None = None,
        limit: Sequence[float] | None = None,
        push_fold: bool = False,
        most_raises: int | None = None,
        ranges: Sequence[str | int] = ("uniform", "uniform"),
        ranks: int = 13,
        suits: int = 4,
        deals: Sequence[int] = (0, 3, 1, 1),
        jitter: float = 0.0,
        most_deals: int | None = None,
        isomorphism: bool = True,
        leaves: str = "before_deal",
        solve_to_end: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"name must be text, got {name!r}")
        self.name, self.deck = name, Deck(ranks, suits)
        self.num_hands = self.deck.num_hands
        self.boards = read_deals(deals, len(self.deck.cards))
        """How many cards are on the board on each street."""
        cards, self.complete = len(self.deck.cards), self.boards[-1]
        if type(small_blind) is not int or small_blind not in (0, 1):
            raise ValueError(f"small_blind must be the player who posts it, 0 or 1, got {small_blind!r}")
        self._small_blind = small_blind
        self._root, self.big_blind = read_root(
            self.deck, self.boards, board, pot, stack, blinds, small_blind=small_blind
        )
        if most_raises is not None and (type(most_raises) is not int or most_raises < 0):
            raise ValueError(f"most_raises must be null or an integer of at least 0, got {most_raises!r}")
        self._most_raises = UNLIMITED if most_raises is None else most_raises
        no_bets = bets is BETS and ip_bets is None and donk_bets is None and not jitter
        no_bets = no_bets and force_all_in == 0 and add_all_in is None
        if push_fold:
            self._bets = self._read_push_fold(no_bets and limit is None and most_raises is None)
        elif limit is not None:
            self._bets = self._read_limit(limit, no_bets)
        else:
            self._bets = read_bets(
                bets, ip_bets, donk_bets, len(self.boards), self._most_raises,
                force_all_in=force_all_in, add_all_in=add_all_in,
            )  # fmt: skip
        if not is_number(jitter) or not 0 <= jitter < 1:
            raise ValueError(f"jitter must be a fraction of the pot from 0 to below 1, got {jitter!r}")
        if most_deals is not None and (type(most_deals) is not int or most_deals < 1):
            raise ValueError(f"most_deals must be null or an integer of at least 1, got {most_deals!r}")
        if solve_to_end is not None and (type(solve_to_end) is not int or solve_to_end < 1):
            raise ValueError(f"solve_to_end must be null or an integer of at least 1, got {solve_to_end!r}")
        self._jitter, self._most_deals = jitter, most_deals
        self.leaves, self.solve_to_end = read_leaves(leaves), solve_to_end
        fractions = self.sizes
        self.all_in = SMALLEST_BET + len(fractions)
        sizes = ("raise",) if self.fixed else (*(f"{size:g} pot" for size in fractions), "all-in")
        self.action_labels = ("fold", "call", *sizes)
        self._beliefs, self._isomorphism = read_ranges(self.deck, self._root.board, ranges), isomorphism
        self._weight = 1 / (self.num_hands * comb(cards - 2, 2))
        self._kernels = Kernels(cards)
        self._possible: dict[tuple[int, ...], Bools] = {}
        self._small: dict[HoldemState, bool] = {}
        self._check_bets()

    def _read_limit(self, limit: Sequence[float], no_bets: bool) -> tuple[Street, ...]:
        """What fixed limits offer, if that is all there is, and stacks cover it."""
        if not no_bets:
            raise ValueError(
                "limit fixes bets in chips: leave out bets, ip_bets, donk_bets, force_all_in, add_all_in and "
                "jitter"
            )
        streets = read_limit(limit, self.big_blind, len(self.boards), self._most_raises)
        if self._most_raises == UNLIMITED:
            raise ValueError("limit needs most_raises: how many bets and raises there may be on a street")
        to_come = limit[self._street(self._root) :]
        most = max(self._root.committed) + self._most_raises * sum(to_come)
        if self._root.stack < most:
            raise ValueError(
                f"stack must be at least {most:g}, which a player can put in with limit {list(limit)} and "
                f"{self._most_raises} raises, got {self._root.stack:g}: nobody is all-in"
            )
        return streets

    def _read_push_fold(self, nothing_else: bool) -> tuple[Street, ...]:
        """What is offered if one folds or goes all-in."""
        if not nothing_else:
            raise ValueError(
                "push_fold leaves nothing to bet but all chips: leave out bets, ip_bets, donk_bets, limit, "
                "force_all_in, add_all_in, most_raises and jitter"
            )
        if self._root.board or self._root.pot:
            raise ValueError("push_fold starts before the flop, with blinds: leave out board and pot")
        return all_in_only(len(self.boards))

    def _check_bets(self) -> None:
        """No street may be too large to be built, and every size must be large enough somewhere."""
        root, streets = self._betting(self._root), self._bets[self._street(self._root) :]
        different = {street.plain.offered.tobytes(): street for street in reversed(streets)}
        for street in different.values():
            states = count_states(root, Streets((street,), (), self.big_blind), quickly=True)
            if reason := too_large(states, self.num_hands):
                raise ValueError(f"bets make {reason}; offer fewer, or set most_raises")
        if not self.fixed:
            check_bets(root, streets)

    @property
    def sizes(self) -> Floats:
        """``[S]`` the fractions of the pot that may be bet, ascending: actions from ``SMALLEST_BET`` on.

        Of fixed limits there is one, in chips, on each street another.
        """
        return self._bets[0].plain.fractions

    @property
    def fixed(self) -> bool:
        """Whether bets are fixed, in chips."""
        return self._bets[0].plain.fixed

    @property
    def push_fold(self) -> bool:
        """Whether one folds or goes all-in."""
        return self._bets[0].plain.push_fold

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
            *([("all-ins", thresholds)] if (thresholds := self._thresholds) != (0, np.inf) else []),
            *([("checks and calls", "of all-ins alone")] if self.push_fold else []),
        )

    @property
    def _thresholds(self) -> tuple[float, float]:
        """Of all-ins: what forces them, and up to where they are added."""
        plain = self._bets[0].plain
        return plain.force_all_in, plain.add_all_in

    def root(self) -> HoldemState:
        return self._root

    def _street(self, state: HoldemState) -> int:
        return self.boards.index(len(state.board))

    @staticmethod
    def _betting_is_over(state: HoldemState) -> bool:
        """Whether the street's betting is."""
        actions = state.actions[-1]
        if actions[-1:] == (FOLD,):
            return True
        return actions[-1:] == (CALL,) and (len(actions) > 1 or state.is_all_in)

    def actor(self, state: HoldemState) -> int:
        if not self._betting_is_over(state):
            return (self._first(self._street(state)) + len(state.actions[-1])) % 2
        streets_to_come = len(self.boards) - 1 - self._street(state)
        if state.is_folded or streets_to_come == 0 or state.is_all_in:
            return TERMINAL
        return CHANCE

    def _first(self, street: int) -> int:
        """Who acts first on a street."""
        return self._small_blind if street == 0 else 1 - BUTTON

    def _betting(self, state: HoldemState) -> Betting:
        return Betting(
            pot=state.pot,
            committed=state.committed,
            limit=state.stack,
            player=self.actor(state),
            acted=len(state.actions[-1]) > 0,
            raises=state.raises,
            big_blind=self.big_blind,
        )

    def _options(self, state: HoldemState) -> dict[int, float]:
        return options(self._betting(state), self._sizes_at(state))

    def _sizes_at(self, state: HoldemState) -> Sizes:
        street = self._bets[self._street(state)]
        sizes = street.donk if self._leads(state) else street.plain
        if not state.variation or not self._jitter:
            return sizes
        shift = np.random.default_rng(state.variation).uniform(-1, 1, len(sizes.fractions)) * self._jitter
        # none may become nothing, and their order is that of actions
        return sizes._replace(fractions=np.sort(np.maximum(sizes.fractions + shift, sizes.fractions / 2)))

    def _leads(self, state: HoldemState) -> bool:
        """Whether player 1 was the last to bet or raise on the street before."""
        if len(state.actions) < 2:
            return False
        before = state.actions[-2]
        raises = [number for number, action in enumerate(before) if action >= SMALLEST_BET]
        return bool(raises) and (self._first(self._street(state) - 1) + raises[-1]) % 2 == BUTTON

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
        return tuple(state.deal(cards) for cards in self._deals_at(state))

    def _deals_at(self, state: HoldemState) -> Iterable[tuple[int, ...]]:
        """The cards of each outcome."""
        rest = [card for card in range(len(self.deck.cards)) if card not in state.board]
        if self._draws_deals(state):
            return self._draw_decks(rest, state)
        return combinations(rest, self._to_deal(state))

    def chance_probability(self, state: HoldemState) -> float:
        rest, cards = len(self.deck.cards) - len(state.board), self._to_deal(state)
        if self._draws_deals(state):
            return comb(rest, cards) / (comb(rest - 4, cards) * self._num_drawn(rest, cards))
        return 1 / comb(rest - 4, cards)

    def _draws_deals(self, state: HoldemState) -> bool:
        """Whether cards are drawn from those that could be dealt."""
        rest, most = len(self.deck.cards) - len(state.board), self._most_deals
        return bool(state.variation and most) and comb(rest, self._to_deal(state)) > (most or 0)

    def _num_drawn(self, rest: int, cards: int) -> int:
        """How many: what a whole number of decks gives, if possible no more than ``most_deals``."""
        per_deck = rest // cards
        return max((self._most_deals or 0) // per_deck, 1) * per_deck

    def _draw_decks(self, rest: Sequence[int], state: HoldemState) -> list[tuple[int, ...]]:
        """Shuffled decks, dealt out: every card comes about as often, so that all hands are met alike."""
        cards = self._to_deal(state)
        generator, per_deck = np.random.default_rng(state.variation), len(rest) // cards
        decks = self._num_drawn(len(rest), cards) // per_deck
        shuffled = [generator.permutation(rest)[: per_deck * cards].reshape(-1, cards) for _ in range(decks)]
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
        if not state.is_folded:
            return self._called(state, stake)
        first_won = state.committed[0] > state.committed[1]
        chips = (stake, -stake) if first_won else (-stake, stake)
        return Terminal(self._kernels.encode(FOLDED, state.board), chips)

    def _called(self, state: HoldemState, stake: float) -> Terminal:
        """Nobody folds any more."""
        return Terminal(self._kernels.encode(self._payoff_kind(state.board), state.board), (stake, stake))

    def _payoff_kind(self, board: Sequence[int]) -> int:
        """The kind of payoff when nobody folds any more."""
        return SHOWDOWN if len(board) == self.complete else RUN_OUT

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        decoded = [self._kernels.decode(kernel) for kernel in kernels]
        return card_payoffs(self.deck, decoded, complete=self.complete, weight=self._weight, like=like)

    def payoff_bytes(self, kernel: int, like: Tensor) -> int:
        kind, board = self._kernels.decode(kernel)
        return card_payoff_bytes(self.deck, kind, board, complete=self.complete, like=like)

    def outcomes_once(self, kernel: int, reach: Tensor) -> Tensor | None:
        """See :class:`~pokerlab.games.parts.OutcomesOnce`."""
        kind, board = self._kernels.decode(kernel)
        if not NUMBA or (kind == RUN_OUT and len(reach) > MOST_SUMMED):
            return None
        possible = torch.as_tensor(self.deck.possible(board)).to(reach)
        if kind == FOLDED:
            return self.mass_operator(reach).sums(reach * possible).mul_(possible)
        won = sum_outcomes(self.deck, board, self.complete, reach.numpy())
        return torch.from_numpy(won).mul_(self._weight).to(reach)

    def mass_operator(self, like: Tensor) -> CardMass:
        return card_mass(self.deck, self._weight, like)

    def committed(self, state: HoldemState) -> tuple[float, float]:
        return state.pot / 2 + state.committed[0], state.pot / 2 + state.committed[1]

    def is_leaf(self, root: HoldemState, state: HoldemState, depth: int) -> bool:
        if self._is_solved_to_end(root):
            return False
        if len(state.board) > len(root.board):
            return True
        return self.actor(state) == CHANCE and not self._looks_through(self._street(state) + 1)

    def _is_solved_to_end(self, root: HoldemState) -> bool:
        """Whether the subgame that starts there has few enough public states."""
        if self.solve_to_end is None or self.actor(root) == CHANCE:
            return False
        if root not in self._small:
            if len(self._small) >= MOST_BOARDS:
                self._small.clear()
            self._small[root] = self.count_below(root) <= self.solve_to_end
        return self._small[root]

    def count_below(self, state: HoldemState) -> float:
        """See :class:`~pokerlab.games.parts.StreetStarts`."""
        street = self._street(state)
        numbers = [comb(len(self.deck.cards) - a, b - a) for a, b in pairwise(self.boards[street:])]
        return count_states(self._betting(state), Streets(self._bets[street:], numbers, self.big_blind))

    def _looks_through(self, street: int) -> bool:
        """Whether subgames that come to the deal of a street end after it."""
        if self.leaves == "before_deal" or street >= len(self.boards):
            return False
        return self.boards[street] - self.boards[street - 1] == 1

    @property
    def enumerable(self) -> bool:
        if self.push_fold:
            return True
        start = self._street(self._root)
        boards = 1
        for before, after in pairwise(self.boards[start:]):
            boards *= comb(len(self.deck.cards) - before, after - before)
        return boards * self.num_hands <= MOST_ENUMERATED

    @property
    def varies(self) -> bool:
        return bool(self._jitter or self._most_deals)

    def vary(self, state: HoldemState, seed: int) -> HoldemState:
        """With sizes of bets moved by up to ``jitter``, or ``most_deals`` of the cards that can come."""
        if self.actor(state) == CHANCE:
            variant = replace(state, variation=seed)
            return variant if self._draws_deals(variant) else state
        return replace(state, variation=seed) if self._jitter else state
