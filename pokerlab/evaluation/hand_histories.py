"""Writes the hands of a match as text that other programs read: PHH, and the ACPC's match log.

PHH is the open poker hand history format (Kim, arXiv 2312.11753), TOML that pokerkit reads and replays. The
ACPC's log is what its dealer writes; DeepStack's and Pluribus' hands were published in it. In both, player 0
comes first and is the big blind; player 1 has the button.

Bets are fractions of pots, so chips need not be whole numbers. They are written as decimals, each bet to a
billionth of a chip, and add up exactly to the pots and stacks that are written.
"""

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pokerlab.errors import UserError
from pokerlab.evaluation.matches import PlayedHand
from pokerlab.games.base import Game
from pokerlab.games.betting import CALL, FOLD
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.store.files import write_atomically

SMALLEST = Decimal("1e-9")
"""The smallest number of chips that is written."""
STREETS = (0, 3, 4, 5)
"""The number of board cards on each street of the hold'em that PHH knows."""


class _Act(NamedTuple):
    player: int
    action: int
    put_in: Decimal
    """The player's chips in the pot after the action, ante and blind included."""


class _Ledger(NamedTuple):
    """A hand told from before the flop.

    If the game starts on a later street, each player's half of the pot is an ante and the streets before were
    checked.
    """

    streets: list[list[_Act]]
    """The actions on each street that was reached."""
    ante: Decimal
    stack: Decimal
    """Before ante and blinds."""
    won: tuple[Decimal, Decimal]


def phh(game: Holdem, hand: PlayedHand[HoldemState], number: int) -> str:
    """A hand in PHH, such as ``pokerkit.HandHistory.loads`` reads.

    ``p1`` is player 0. In an endgame, each player's ante is half of the pot, there are no blinds, and the
    streets before were checked. The smallest bet is the big blind; PHH needs one, so without blinds it is a
    billionth of a chip. At a showdown both hands are shown.

    Args:
        game: what was played.
        hand: the hand.
        number: its number in the file.

    Raises:
        UserError: the game deals other cards than hold'em, or its blinds do not let the button act first
            before the flop.
    """
    root, board = hand.states[0], hand.states[-1].board
    big, small = root.committed
    if game.boards != STREETS:
        raise UserError(
            f"hands of {game.name} cannot be written as PHH: game.deals must be 0, 3, 1, 1 cards, "
            f"which makes boards of {', '.join(map(str, STREETS))}, got {', '.join(map(str, game.boards))}"
        )
    if not root.board and big <= small:
        raise UserError(
            f"hands of {game.name} cannot be written as PHH: before the flop, game.pot must be 0 and the big "
            f"blind larger than the small one, got a pot of {root.pot:g}, blinds posted {small:g} and {big:g}"
        )
    ledger, names = _ledger(game, hand), [game.deck.hand_name(held) for held in hand.hands]
    actions = [f"d dh p{player + 1} {name}" for player, name in enumerate(names)]
    shows = [f"p{player + 1} sm {name}" for player, name in enumerate(names)]
    before = ledger.ante
    for street, acts in enumerate(ledger.streets):
        if street:
            actions.append(f"d db {game.deck.board_name(board[STREETS[street - 1] : STREETS[street]])}")
        for act in acts:
            what = {FOLD: "f", CALL: "cc"}.get(act.action, f"cbr {_text(act.put_in - before)}")
            actions.append(f"p{act.player + 1} {what}")
        if acts:
            before = acts[-1].put_in
            if acts[-1].action == CALL and (before == ledger.stack or street == len(STREETS) - 1):
                actions += shows  # of all-in hands before the rest of the board
    fields = {
        "variant": '"NT"',
        "antes": _array([ledger.ante, ledger.ante]),
        "blinds_or_straddles": _array([_chips(small), _chips(big)]),
        "min_bet": _text(max(_chips(game.big_blind), SMALLEST)),
        "starting_stacks": _array([ledger.stack, ledger.stack]),
        "actions": json.dumps(actions),
        "hand": str(number),
        "players": json.dumps(hand.names, ensure_ascii=False),
        "finishing_stacks": _array([ledger.stack + won for won in ledger.won]),
    }
    return "".join(f"{key} = {value}\n" for key, value in fields.items())


def acpc(game: Holdem, hand: PlayedHand[HoldemState], number: int) -> str:
    """A hand as one line of the ACPC's match log, without its end of line.

    Such as ``STATE:0:r300c/cr900f:AsKs|QhQd/Td9d6h:-300|300:Alice|Bob``. A raise names the player's chips in
    the whole hand; in an endgame half of the pot is included, and the streets before were checked. Unlike the
    ACPC's, chips may be fractions. Colons, bars and spaces in names become ``_``.

    Args:
        game: what was played.
        hand: the hand.
        number: the ACPC counts from 0.
    """
    board, ledger = hand.states[-1].board, _ledger(game, hand)
    streets = [
        "".join({FOLD: "f", CALL: "c"}.get(act.action, f"r{_text(act.put_in)}") for act in acts)
        for acts in ledger.streets
    ]
    cards = ["|".join(game.deck.hand_name(held) for held in hand.hands)]
    cards += [game.deck.board_name(board[fewer:more]) for fewer, more in pairwise(game.boards)]
    won = "|".join(map(_text, ledger.won))
    players = "|".join(map(_name, hand.names))
    return f"STATE:{number}:{'/'.join(streets)}:{'/'.join(cards[: len(streets)])}:{won}:{players}"


def check_histories(path: Path, game: Game) -> None:
    """Raises a UserError unless hands of ``game`` can be written to a file of that name."""
    if path.suffix not in (".phhs", ".log"):
        raise UserError(f"hand histories must be a file ….phhs (PHH) or ….log (ACPC), got {path}")
    if not isinstance(game, Holdem):
        raise UserError(f"hand histories are of hold'em only, got {game.name}")


def write_histories(path: Path, game: Game, hands: Iterable[PlayedHand]) -> None:
    """Writes hands to a file, in the order given, replacing what was there.

    Args:
        path: ``….phhs`` for PHH, sections ``[1]``, ``[2]``, …, as ``pokerkit.HandHistory.load_all`` reads
            it; ``….log`` for the ACPC's log, with hands from 0 on.
        game: what was played.
        hands: the hands.

    Raises:
        UserError: another ending, a game that is not hold'em, or one that PHH cannot express.
        OSError: the file cannot be written; names ``path``.
    """
    check_histories(path, game)
    assert isinstance(game, Holdem)
    played = list(hands)
    if path.suffix == ".phhs":
        content = "\n".join(f"[{number}]\n{phh(game, hand, number)}" for number, hand in enumerate(played, 1))
    else:
        match = ".".join(sorted({_name(name) for hand in played for name in hand.names}))
        lines = [f"# name/game/hands {match} {_name(game.name)} {len(played)}"]
        lines += [acpc(game, hand, number) for number, hand in enumerate(played)]
        content = "".join(f"{line}\n" for line in lines)
    write_atomically(path, content)


def _ledger(game: Holdem, hand: PlayedHand[HoldemState]) -> _Ledger:
    root, end = hand.states[0], hand.states[-1]
    ante, stack = _chips(root.pot / 2), _chips(root.pot / 2 + root.stack)
    first, last = game.boards.index(len(root.board)), game.boards.index(len(end.board))
    streets = [[_Act(player, CALL, ante) for player in (0, 1)] for _ in range(first)]
    streets += [[] for _ in range(first, last + 1)]
    put_in = [ante + _chips(chips) for chips in root.committed]
    for before, after in pairwise(hand.states):
        if len(after.board) > len(before.board):
            continue
        player, action = game.actor(before), after.actions[-1][-1]
        if action == game.all_in:
            put_in[player] = stack
        elif action != FOLD:  # rounds the raise, not the total, so that a minimum raise stays one
            put_in[player] = max(put_in) + _chips(after.committed[player] - max(before.committed))
        streets[first + len(after.actions) - 1].append(_Act(player, action, put_in[player]))
    won = min(put_in) * ((hand.payoffs[0] > 0) - (hand.payoffs[0] < 0))
    return _Ledger(streets, ante, stack, (won, -won))


def _chips(chips: float) -> Decimal:
    return Decimal(chips).quantize(SMALLEST)


def _text(chips: Decimal) -> str:
    """Such as ``150`` or ``37.5``, without an exponent."""
    return f"{chips:f}".rstrip("0").rstrip(".")


def _array(chips: Iterable[Decimal]) -> str:
    return f"[{', '.join(map(_text, chips))}]"


def _name(name: str) -> str:
    return re.sub(r"[:|\s]", "_", name)
