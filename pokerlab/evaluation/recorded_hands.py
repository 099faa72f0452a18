"""Hands that somebody else recorded, as spots of our games: what pokerkit reads.

PHH (``….phh``, ``….phhs``; Kim, arXiv 2312.11753), the ACPC's match logs (``….log``), and PokerStars' text
(``….txt``). Of a hand with more players, those streets are told on which two were left who could still bet: a
spot has a board, a pot, both stacks, and what was done. The chips of who has more than the other count for
nothing there.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pokerlab.agents.base import Line
from pokerlab.agents.translation import Bet, TranslatedHand
from pokerlab.errors import UserError
from pokerlab.games.holdem import Holdem, HoldemState

if TYPE_CHECKING:  # an extra
    from pokerkit import HandHistory, State

MOST_BYTES = 64 * 2**20
"""Of a file."""
STREETS = {0: "preflop", 3: "flop", 4: "turn", 5: "river"}
"""By cards on the board."""


@dataclass(frozen=True, slots=True)
class RecordedSpot:
    """A hand from a street on, when two players were left."""

    street: str
    board: str
    """Such as ``Td9d6h``; empty before the flop."""
    pot: float
    """Chips in the middle when the street began; before the flop 0, and the blinds are posted."""
    stack: float
    """Chips that both could put in from there on, blinds included: of who had fewer."""
    blinds: tuple[float, float]
    """The small one and the big one."""
    players: tuple[str, str]
    """Who was out of position, and in position: players 0 and 1."""
    hands: tuple[str | None, str | None]
    """What they held, where that was shown."""
    moves: tuple[Bet | str, ...]
    """What they did, and the cards that came: a raise is to so many chips since the spot began, half of its
    pot included."""

    def game(self, **rules: Any) -> Holdem:
        """The endgame, or the whole game.

        Args:
            rules: of :class:`~pokerlab.games.holdem.Holdem`, such as ``bets`` and ``ranges``.
        """
        name = self.street if self.board else "hunl"
        start = {"board": self.board, "pot": self.pot, "stack": self.stack, "blinds": self.blinds}
        return Holdem(name, **{**start, **rules})

    def line(self, game: Holdem, seed: int = 1) -> tuple[Line[HoldemState], int]:
        """The line of a game that stands for what was done, and how many moves of the hand it tells.

        Args:
            game: of this spot, with any bets: bets beside its menu are translated.
            seed: of the choice between neighbours.

        Raises:
            ValueError: the game starts elsewhere.
        """
        root = game.root()
        here = game.deck.board_name(root.board) == self.board
        if not here or not np.allclose([root.pot, root.stack], [self.pot, self.stack], rtol=1e-9, atol=1e-6):
            raise ValueError(f"{game.name} is not where this spot begins: {self.board or 'before the flop'}")
        hand = TranslatedHand(game, 0, np.random.default_rng(seed), chip=0)
        for number, move in enumerate(self.moves):
            if isinstance(move, str):
                hand.deal(game.deck.read_cards(move))
            else:
                hand.act(move)
            if hand.is_left:
                return hand.line, number
        return hand.line, len(self.moves)


@dataclass(frozen=True, slots=True)
class RecordedHand:
    """A hand of a file."""

    number: str
    players: tuple[str, ...]
    spots: tuple[RecordedSpot, ...]
    """The streets that can be told; none if there were always more than two players."""


def read_hands(
    path: Path,
    *,
    name: str | None = None,
    first: int = 0,
    blinds: tuple[int, int] = (50, 100),
    stack: int = 20_000,
) -> Iterator[RecordedHand]:
    """Reads a file of hands.

    Args:
        path: ``….phh``, ``….phhs``, ``….log`` or ``….txt``.
        name: what the file is called, where its path does not say it.
        first: so many hands are passed over unread.
        blinds: of an ACPC log, which does not tell them.
        stack: the same.

    Raises:
        UserError: it cannot be read, or pokerkit is not installed; names the hand.
    """
    name = name or str(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{name} has {size / 2**20:.0f} MiB: expected at most {MOST_BYTES / 2**20:.0f}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is no text: {error.reason} at byte {error.start}") from error
    return read_text(text, Path(name).suffix, name, first=first, blinds=blinds, stack=stack)


def read_text(
    text: str,
    ending: str,
    name: str,
    *,
    first: int = 0,
    blinds: tuple[int, int] = (50, 100),
    stack: int = 20_000,
) -> Iterator[RecordedHand]:
    """Reads hands from the content of a file.

    Args:
        text: what is in it.
        ending: of its name, such as ``.phh``.
        name: what errors call it.
        first: see :func:`read_hands`.
        blinds: see there.
        stack: see there.

    Raises:
        UserError: see there.
    """
    try:
        from pokerkit import HandHistory, NoLimitTexasHoldem
    except ImportError as error:
        raise UserError("hands are read by pokerkit: pip install 'pokerlab[histories]'") from error

    def phh(one: str) -> HandHistory:
        return HandHistory.loads(one)

    def acpc(one: str) -> HandHistory:
        game = NoLimitTexasHoldem((), True, 0, blinds, blinds[1])
        return next(HandHistory.from_acpc_protocol(game, stack, one, error_status=True))

    def pokerstars(one: str) -> HandHistory:
        return next(HandHistory.from_pokerstars(one, error_status=True))

    kinds: dict[str, tuple[str, Callable[[str], HandHistory]]] = {
        ".phh": (r"(?s)(.+)", phh),
        ".phhs": (r"(?ms)^\[[^\]\n]*\]\n(.*?)(?=^\[|\Z)", phh),
        ".log": (r"(?m)^(STATE:.*)$", acpc),
        ".txt": (r"(?ms)^(PokerStars .*?)(?=^PokerStars |\Z)", pokerstars),
    }
    if ending not in kinds:
        raise UserError(f"{name}: expected a file of hands, {', '.join(f'…{kind}' for kind in kinds)}")
    pattern, parse = kinds[ending]
    found = re.findall(pattern, text)
    if not found:
        raise UserError(f"{name} has no hand of the form that …{ending} has")
    for number, one in enumerate(found[first:], first + 1):
        try:
            # pokerkit prints and warns on its way to an error
            with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
                hand = parse(one)
                *_, end = hand
                recorded = _recorded(hand, end, number)
        except Exception as error:  # whatever pokerkit stumbles over
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(f"{name}: hand {number} cannot be read: {reason}") from error
        yield recorded


def _recorded(hand: "HandHistory", end: "State", number: int) -> RecordedHand:
    players = tuple(hand.players or (f"p{place}" for place in range(1, end.player_count + 1)))
    spots = tuple(_spots(end, players, float(hand.min_bet or 1))) if hand.variant == "NT" else ()
    return RecordedHand(str(hand.hand if hand.hand is not None else number), players, spots)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a spot begins."""

    event: int
    board: str
    put_in: tuple[float, ...]
    left: tuple[int, ...]


def _spots(end: "State", names: tuple[str, ...], min_bet: float) -> Iterator[RecordedSpot]:
    """The streets on which two players were left."""
    import pokerkit as kit

    stacks = [float(chips) for chips in end.starting_stacks]
    if not all(map(isfinite, stacks)):
        raise ValueError(f"stacks must be numbers of chips, got {stacks}")
    put_in, bets, posted = [0.0] * len(stacks), [0.0] * len(stacks), list[float]()
    left, board, events, starts = set(range(len(stacks))), "", list[_Event](), list[_Start]()
    held: dict[int, str] = {}

    def start() -> None:
        if len(left) == 2 and all(stacks[player] > put_in[player] for player in left):
            starts.append(_Start(len(events), board, tuple(put_in), tuple(sorted(left))))

    for operation in end.operations:
        match operation:
            case kit.AntePosting() | kit.BlindOrStraddlePosting():
                put_in[operation.player_index] += float(operation.amount)
                if isinstance(operation, kit.BlindOrStraddlePosting):
                    bets[operation.player_index] = float(operation.amount)
                    posted.append(float(operation.amount))
            case kit.HoleDealing():
                _see(held, operation.player_index, operation.cards)
            case kit.HoleCardsShowingOrMucking():
                _see(held, operation.player_index, operation.hole_cards)
            case kit.BoardDealing():
                board += (cards := "".join(map(repr, operation.cards)))
                events.append(_Event(cards=cards))
                bets = [0.0] * len(stacks)
                start()
            case kit.Folding() | kit.CheckingOrCalling() | kit.CompletionBettingOrRaisingTo():
                if not events and 0 < len(posted) <= 2 and sum(put_in) == sum(posted):
                    start()  # before the flop, with blinds and nothing else
                player = operation.player_index
                if isinstance(operation, kit.Folding):
                    left.discard(player)
                    events.append(_Event(player, "f", put_in[player]))
                    continue
                raised = isinstance(operation, kit.CompletionBettingOrRaisingTo)
                more = float(operation.amount) - (bets[player] if raised else 0)
                put_in[player] += more
                bets[player] += more
                events.append(_Event(player, "r" if raised else "c", put_in[player]))
            case _:
                pass
    small, big = sorted([0.0, 0.0, *posted[:2]])[-2:]
    blinds = (small, big or min_bet)
    for at in starts:
        yield _spot(at, events, stacks, blinds, names, held)


@dataclass(frozen=True, slots=True)
class _Event:
    player: int = -1
    kind: str = ""
    put_in: float = 0
    """By the player, in the whole hand."""
    cards: str = ""


def _see(held: dict[int, str], player: int, cards: Any) -> None:
    name = "".join(map(repr, cards))
    if name and "?" not in name:
        held[player] = name


def _spot(
    at: _Start, events: list[_Event], stacks: list[float], blinds: tuple[float, float],
    names: tuple[str, ...], held: Mapping[int, str],
) -> RecordedSpot:  # fmt: skip
    pot = sum(at.put_in) if at.board else 0.0
    before = [at.put_in[player] if at.board else 0.0 for player in at.left]
    stack = min(stacks[player] - chips for player, chips in zip(at.left, before, strict=True))
    base = dict(zip(at.left, before, strict=True))

    def move(event: _Event) -> Bet | str:
        if event.cards:
            return event.cards
        if event.kind != "r":
            return Bet(event.kind)
        return Bet("r", pot / 2 + min(event.put_in - base[event.player], stack))

    one, two = at.left
    return RecordedSpot(
        street=STREETS[len(at.board) // 2],
        board=at.board,
        pot=pot,
        stack=stack,
        blinds=blinds,
        players=(names[one], names[two]),
        hands=(held.get(one), held.get(two)),
        moves=tuple(map(move, events[at.event :])),
    )
