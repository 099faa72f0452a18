"""Cards, two-card hands, boards and ranges.

A card is an index ``rank · suits + suit``, deuces first, suits in the order clubs, diamonds, hearts,
spades: OpenSpiel's, eval7's and phevaluator's order. Smaller decks have the lowest ranks and the first
suits. A hand is an index into the deck's pairs of cards.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, combinations, combinations_with_replacement, permutations

import numpy as np
from numpy.typing import NDArray

from pokerlab.games.base import Bools, Floats, Ints

with warnings.catch_warnings():  # its parser of ranges, not used here, calls pyparsing by old names
    warnings.simplefilter("ignore", DeprecationWarning)
    import eval7

RANKS, SUITS = "23456789TJQKA", "cdhs"
FLUSH = 5
"""Cards of one suit."""
BLOCKED = -1
"""Strength of a hand that the board blocks."""

_TWO_CARDS = re.compile(f"[{RANKS}][{SUITS}][{RANKS}][{SUITS}]", re.IGNORECASE)
_HANDS = re.compile(f"([{RANKS}])([{RANKS}])([so]?)", re.IGNORECASE)
_WEIGHT = re.compile(r"[01]\.?|[01]?\.\d+")
_WEIGHTED = re.compile(r"\[([\d.]+)\]([^\[\]]*)\[/\1\]")
EXPECTED = "expected such as QQ+, AKs, ATo+, A5s-A2s, KQo-JTo, AhKd, uniform"


def _weighted(name: str, weight: float) -> str:
    return name if weight == 1 else f"{name}:{np.format_float_positional(weight, trim='-')}"


def _runs(row: Sequence[tuple[int, int, str]], kinds: Mapping[tuple[int, int, str], float]) -> Iterator[str]:
    """Items for a row of kinds, from the best down: those side by side with the same weight in one."""
    at = 0
    while at < len(row):
        weight, last = kinds.get(row[at], 0.0), at
        while last + 1 < len(row) and kinds.get(row[last + 1], 0.0) == weight:
            last += 1
        if weight > 0:
            best, worst = (RANKS[high] + RANKS[low] + suited for high, low, suited in (row[at], row[last]))
            item = best if at == last else f"{worst}+" if at == 0 else f"{best}-{worst}"
            yield _weighted(item, weight)
        at = last + 1


class Deck:
    """A deck of ``ranks`` × ``suits`` cards, ``N`` of them, and its ``H`` hands of two.

    Args:
        ranks: the lowest ones, up to 13.
        suits: the first ones, up to 4.
    """

    def __init__(self, ranks: int = 13, suits: int = 4) -> None:
        for name, value, most in (("ranks", ranks, len(RANKS)), ("suits", suits, len(SUITS))):
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} must be an integer from 1 to {most}, got {value!r}")
        self.ranks, self.suits = ranks, suits
        self.cards = tuple(rank + suit for rank in RANKS[:ranks] for suit in SUITS[:suits])
        """Their names."""
        self.hands: Ints = np.array(list(combinations(range(len(self.cards)), 2)), dtype=np.int64)
        """``[H, 2]`` their cards, the lower first."""
        self.hand_of = np.full((len(self.cards), len(self.cards)), -1)
        """``[N, N]`` the hand of two cards, in any order; −1 for a card with itself."""
        for hand, (low, high) in enumerate(self.hands):
            self.hand_of[low, high] = self.hand_of[high, low] = hand

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deck) and other.cards == self.cards

    def __hash__(self) -> int:
        return hash(self.cards)

    @property
    def num_hands(self) -> int:
        """``H``."""
        return len(self.hands)

    def possible(self, board: Sequence[int]) -> Bools:
        """``[H]`` true for hands that hold none of the board's cards."""
        return np.logical_not(self.holds[np.asarray(board, dtype=np.int64)].any(0))

    # Suits

    @cached_property
    def suit_permutations(self) -> Ints:
        """``[G, N]`` what cards become when suits are exchanged, in every way; the first: in none."""
        order = np.array(list(permutations(range(self.suits))))
        ranks = np.arange(self.ranks)[:, None] * self.suits
        return (ranks + order[:, None]).reshape(len(order), -1)

    def permute_hands(self, cards: Ints) -> Ints:
        """``[..., H]`` what hands become when cards become ``[..., N]`` others."""
        first, second = cards[..., self.hands[:, 0]], cards[..., self.hands[:, 1]]
        hands: Ints = self.hand_of[first, second]
        return hands

    @cached_property
    def hand_permutations(self) -> Ints:
        """``[G, H]`` what hands become when suits are exchanged as in :attr:`suit_permutations`."""
        return self.permute_hands(self.suit_permutations)

    @cached_property
    def hands_before(self) -> Ints:
        """``[G, H]`` which hands they were: the inverse of :attr:`hand_permutations`."""
        hands: Ints = self.hand_permutations.argsort(1)
        return hands

    def first_of_suits(self, boards: Ints) -> tuple[Ints, Ints]:
        """Of the boards that differ from each in suits only, the first; and which exchange makes it of it.

        Args:
            boards: ``[n, k]``.

        Returns:
            ``[n, k]``, ascending, and ``[n]`` in :attr:`suit_permutations`.
        """
        same = np.sort(self.suit_permutations[:, boards])  # [G, n, k]
        codes = same @ len(self.cards) ** np.arange(boards.shape[1])[::-1]
        exchange: Ints = codes.argmin(0)
        return same[exchange, np.arange(len(boards))], exchange

    def boards(self, board: Sequence[int], cards: int) -> tuple[Ints, Ints, Ints]:
        """Ways to complete a board, but for exchanging suits that it leaves as they are.

        Args:
            board: what is there.
            cards: how many a complete board has, at most 7.

        Returns:
            ``[B, cards]`` boards, ``[B]`` how many there are like each, ``[G, N]`` what cards become when
            the suits are exchanged.
        """
        exchanges = self.suit_permutations
        same = (np.sort(exchanges[:, list(board)]) == np.sort(np.array(board, dtype=np.int64))).all(1)
        exchanges = exchanges[same]
        rest = [card for card in range(len(self.cards)) if card not in board]
        missing = cards - len(board)
        found = np.fromiter(chain.from_iterable(combinations(rest, missing)), np.int64).reshape(-1, missing)
        mask = (1 << exchanges[0][found]).sum(1)
        least, unchanged = mask.copy(), np.ones_like(mask)
        for exchange in exchanges[1:]:
            exchanged = (1 << exchange[found]).sum(1)
            np.minimum(least, exchanged, out=least)
            unchanged += exchanged == mask
        alike, kept = len(exchanges) // unchanged, mask == least
        found = found[kept]
        first = np.broadcast_to(np.array(board, dtype=np.int64), (len(found), len(board)))
        return np.concatenate([first, found], 1), alike[kept], exchanges

    # Names

    def hand_name(self, hand: int) -> str:
        """Such as ``AhKd``: the higher card first."""
        low, high = self.hands[hand]
        return self.cards[high] + self.cards[low]

    def board_name(self, board: Sequence[int]) -> str:
        """Such as ``Td9d6h``."""
        return "".join(self.cards[card] for card in board)

    def read_cards(self, text: str) -> tuple[int, ...]:
        """Cards from their names, such as ``Td9d6h``, ``Td 9d 6h`` or ``10d,9d,6h``.

        Raises:
            ValueError: a name is wrong, not in this deck, or there twice.
        """
        squeezed = text.replace(" ", "").replace(",", "").replace("10", "T")
        names = [squeezed[i : i + 2].capitalize() for i in range(0, len(squeezed), 2)]
        for name in names:
            if name not in self.cards:
                raise ValueError(
                    f"{name!r} in {text!r} is no card of this deck: {self.cards[0]} to {self.cards[-1]}"
                )
            if names.count(name) > 1:
                raise ValueError(f"{name} is twice in {text!r}")
        return tuple(self.cards.index(name) for name in names)

    def read_range(self, text: str) -> Floats:
        """``[H]`` how much of each hand a range such as ``QQ+,AKs,A5s:0.5`` has, from 0 to 1.

        Items are separated by commas: ``QQ``, ``AK``, ``AKs`` (suited), ``AKo`` (offsuit), ``QQ+`` and
        ``ATs+`` (up to the best of the kind), ``88-55``, ``A5s-A2s`` and ``KQo-JTo``, ``AhKd``, and
        ``uniform`` or ``random``; each may end in ``:weight``. ``[50]AK,QQ[/50]`` gives its items a weight of
        50 %. ``10`` is a ten, and the case of letters means nothing. Of items that overlap, the last holds.

        Raises:
            ValueError: an item is not one of these, or a weight not from 0 to 1.
        """
        weights = np.zeros(self.num_hands)
        squeezed = _WEIGHTED.sub(_with_weights, text.replace(" ", ""))
        for item in squeezed.removesuffix(",").split(","):
            hands, colon, weight = item.partition(":")
            if colon and (not _WEIGHT.fullmatch(weight) or float(weight) > 1):
                raise ValueError(f"the weight in {item!r} must be a number from 0 to 1")
            weights[self._hands_in(hands)] = float(weight or 1)
        return weights

    def write_range(self, weights: Floats, digits: int = 3) -> str:
        """The text that :meth:`read_range` reads as these weights, ``[H]`` from 0 to 1, to so many digits.

        Kinds of hands that lie side by side with the same weight stand together, such as ``88-55``; where
        combinations of a kind differ, each is named.
        """
        rounded = np.round(np.asarray(weights, dtype=float), digits)
        if (rounded == 1).all():
            return "uniform"
        kinds: dict[tuple[int, int, str], float] = {}
        single: list[str] = []
        for (high, low, suited), hands in self._kinds.items():
            found = rounded[hands]
            if (found == found[0]).all():
                kinds[high, low, suited] = float(found[0])
            else:
                single += [_weighted(self.hand_name(h), float(rounded[h])) for h in hands if rounded[h] > 0]
        rows = [[(rank, rank, "") for rank in range(self.ranks - 1, -1, -1)]]
        for suited in "so":
            rows += [
                [(high, low, suited) for low in range(high - 1, -1, -1)]
                for high in range(self.ranks - 1, 0, -1)
            ]
        items = [item for row in rows for item in _runs(row, kinds)]
        return ",".join([*items, *single])

    @cached_property
    def _kinds(self) -> dict[tuple[int, int, str], list[int]]:
        """The hands of each kind: (higher rank, lower rank, ``s``, ``o`` or nothing for pairs)."""
        kinds: dict[tuple[int, int, str], list[int]] = {}
        for hand, (low, high) in enumerate(self.hands.tolist()):
            ranks = high // self.suits, low // self.suits
            suited = "" if ranks[0] == ranks[1] else "so"[high % self.suits != low % self.suits]
            kinds.setdefault((*ranks, suited), []).append(hand)
        return kinds

    def _hands_in(self, item: str) -> Ints:
        text = item.replace("10", "T")
        if text.lower() in ("uniform", "random"):
            return np.arange(self.num_hands)
        if _TWO_CARDS.fullmatch(text):
            return self.hand_of[self.read_cards(text)]
        first, dash, last = text.removesuffix("+").partition("-")
        best = _HANDS.fullmatch(first)
        worst = _HANDS.fullmatch(last) if dash else best
        if best is None or worst is None or (dash and text.endswith("+")):
            raise ValueError(f"{item!r} is no range: {EXPECTED}")
        suited, ends_suited = best[3].lower(), worst[3].lower()
        high, low = self._ranks(best[1] + best[2], item)
        other, end = self._ranks(worst[1] + worst[2], item)
        pairs = high == low
        if suited != ends_suited or (pairs and suited) or not self._is_a_row((high, low), (other, end)):
            raise ValueError(f"{item!r} is no range: {EXPECTED}")
        if text.endswith("+"):
            rows = [(rank, rank if pairs else high) for rank in range(low, self.ranks if pairs else high)]
        else:
            count = max(abs(low - end), abs(high - other)) + 1
            rows = list(zip(_steps(low, end, count), _steps(high, other, count), strict=True))
        ranks, suits = self.hands // self.suits, self.hands % self.suits
        chosen = np.zeros(self.num_hands, dtype=bool)
        for row in rows:
            chosen |= (ranks == row).all(1)
        if suited:
            chosen &= (suits[:, 0] == suits[:, 1]) == (suited == "s")
        return chosen.nonzero()[0]

    @staticmethod
    def _is_a_row(first: tuple[int, int], last: tuple[int, int]) -> bool:
        """Whether hands lead from one to the other: with the same high card, or with as many ranks between
        their cards, as pairs have none."""
        return first[0] - first[1] == last[0] - last[1] or (
            first[0] == last[0] and first[0] != first[1] and last[0] != last[1]
        )

    def _ranks(self, names: str, item: str) -> tuple[int, int]:
        """Of a hand's cards, the higher first."""
        first, second = (RANKS.index(name.upper()) for name in names)
        if max(first, second) >= self.ranks:
            raise ValueError(f"{item!r}: this deck's highest rank is {RANKS[self.ranks - 1]}")
        return max(first, second), min(first, second)

    # Strength

    def strengths(self, boards: Ints) -> NDArray[np.int16]:
        """How strong every hand is with each board: higher is better, equal splits; for showdowns.

        By eval7's value of the best five cards, or of all if they are fewer: 0 for the least there is, then
        1, …

        Args:
            boards: ``[B, n]`` cards, n at most 5.

        Returns:
            ``[B, H]`` int16; ``BLOCKED`` where the board has a card of the hand.
        """
        boards = np.asarray(boards, dtype=np.int64)
        size = boards.shape[1]
        keys, values, flushes = self.strengths_by_ranks(size + 2)
        sums = self.rank_keys[boards // self.suits].sum(1)[:, None] + self._pair_keys  # [B, pairs of ranks]
        at = np.searchsorted(keys, sums).clip(max=len(keys) - 1)  # blocked hands make five of a kind
        found: NDArray[np.int16] = values[at].take(self.pair_of, 1)
        if size + 2 >= FLUSH:
            bits = 1 << (boards // self.suits)
            for suit in range(self.suits):
                of_suit = boards % self.suits == suit
                some = (of_suit.sum(1) >= FLUSH - 2).nonzero()[0]
                if len(some):
                    mask = np.where(of_suit[some], bits[some], 0).sum(1)[:, None] | self.suit_bits[suit]
                    found[some] = np.maximum(found[some], flushes[mask])
        for column in range(size):
            np.put_along_axis(found, self._hands_with[boards[:, column]], BLOCKED, 1)
        return found

    @cached_property
    def holds(self) -> Bools:
        """``[N, H]`` which hands have each card."""
        cards = np.arange(len(self.cards))[:, None]
        holds: Bools = (self.hands[:, 0] == cards) | (self.hands[:, 1] == cards)
        return holds

    @cached_property
    def _hands_with(self) -> Ints:
        """``[N, N − 1]`` the hands that have each card."""
        return self.holds.nonzero()[1].reshape(len(self.cards), -1)

    @cached_property
    def disjoint(self) -> Bools:
        """``[H, H]`` which hands share no card."""
        return np.logical_not((self.holds.T[:, :, None] & self.holds[None]).any(1))

    @cached_property
    def rank_keys(self) -> Ints:
        """``[ranks]`` whose sums over cards tell how many cards of each rank there are."""
        return (len(SUITS) + 1) ** np.arange(self.ranks)

    @cached_property
    def pairs_of_ranks(self) -> Ints:
        """``[P, 2]`` the lower first."""
        return np.array(list(combinations_with_replacement(range(self.ranks), 2)))

    @cached_property
    def _pair_keys(self) -> Ints:
        keys: Ints = self.rank_keys[self.pairs_of_ranks].sum(1)
        return keys

    @cached_property
    def pair_of(self) -> Ints:
        """``[H]`` which pair of ranks a hand has."""
        number = {tuple(pair): i for i, pair in enumerate(self.pairs_of_ranks.tolist())}
        return np.array([number[low, high] for low, high in (self.hands // self.suits).tolist()])

    @cached_property
    def suit_bits(self) -> Ints:
        """``[suits, H]`` a bit for the rank of each of a hand's cards of the suit."""
        bits = np.where(self.hands % self.suits == np.arange(self.suits)[:, None, None], 1, 0)
        summed: Ints = (bits << (self.hands // self.suits)).sum(2)
        return summed

    def strengths_by_ranks(self, size: int) -> tuple[Ints, NDArray[np.int16], NDArray[np.int16]]:
        """Keys, ascending, and strengths of ``size`` cards without a flush; strengths of flushes."""
        if size not in self._strengths_by_size:
            sets = [
                ranks for ranks in combinations_with_replacement(range(self.ranks), size)
                if all(ranks[i] != ranks[i + len(SUITS)] for i in range(size - len(SUITS)))
            ]  # fmt: skip
            keys = self.rank_keys[np.array(sets)].sum(1)
            # cards of one rank are adjacent: their suits differ, and no suit comes five times
            values = np.array([_value([r * 4 + i % 4 for i, r in enumerate(ranks)]) for ranks in sets])
            order = keys.argsort()
            different = np.unique(np.concatenate([values, self._flushes]))
            strengths = [np.searchsorted(different, of).astype(np.int16) for of in (values, self._flushes)]
            self._strengths_by_size[size] = keys[order], strengths[0][order], strengths[1]
        return self._strengths_by_size[size]

    @cached_property
    def _strengths_by_size(self) -> dict[int, tuple[Ints, NDArray[np.int16], NDArray[np.int16]]]:
        return {}

    @cached_property
    def _flushes(self) -> Ints:
        """``[2 ** ranks]`` value of the cards of one suit; 0 if they are too few, or more than seven."""
        values = np.zeros(2**self.ranks, dtype=np.int64)
        for mask in range(2**self.ranks):
            ranks = [rank for rank in range(self.ranks) if mask >> rank & 1]
            if FLUSH <= len(ranks) <= FLUSH + 2:
                values[mask] = _value([rank * 4 for rank in ranks])
        return values


def _with_weights(group: re.Match[str]) -> str:
    """``[50]AK,QQ[/50]`` as ``AK:0.5,QQ:0.5``."""
    weight = float(group[1]) / 100
    return ",".join(f"{item}:{weight:g}" for item in group[2].removesuffix(",").split(","))


def _steps(first: int, last: int, count: int) -> Ints:
    """So many ranks from one to the other."""
    return np.linspace(first, last, count).round().astype(np.int64)


_EVAL7 = [eval7.Card(rank + suit) for rank in RANKS for suit in SUITS]


def _value(cards: list[int]) -> int:
    """eval7's value of cards of a whole deck."""
    return eval7.evaluate([_EVAL7[card] for card in cards])
