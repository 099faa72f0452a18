"""Hands of files: PokerStars' text, and what cannot be read."""

from pathlib import Path

import pytest

from pokerlab.agents.base import DEALT
from pokerlab.agents.translation import Bet
from pokerlab.errors import UserError
from pokerlab.evaluation.recorded_hands import read_hands, read_text
from pokerlab.games.holdem import Holdem

POKERSTARS = """PokerStars Hand #208958099944: Hold'em No Limit ($0.50/$1.00 USD) - 2020/02/02 10:11:12 ET
Table 'Aludra' 6-max Seat #1 is the button
Seat 1: Ann ($100 in chips)
Seat 2: Bob Lee ($83.50 in chips)
Seat 3: Cy ($120.25 in chips)
Bob Lee: posts small blind $0.50
Cy: posts big blind $1
*** HOLE CARDS ***
Dealt to Ann [Ah Kd]
Ann: raises $1.50 to $2.50
Bob Lee: folds
Cy: calls $1.50
*** FLOP *** [Td 9d 6h]
Cy: checks
Ann: bets $2.75
Cy: calls $2.75
*** TURN *** [Td 9d 6h] [2c]
Cy: checks
Ann: checks
*** RIVER *** [Td 9d 6h 2c] [As]
Cy: bets $5.50
Ann: calls $5.50
*** SHOW DOWN ***
Cy: shows [Tc Th] (three of a kind, Tens)
Ann: mucks hand
Cy collected $21 from pot
"""


HEADS_UP = """variant = "NT"
antes = [0, 0]
blinds_or_straddles = [1, 2]
min_bet = 2
starting_stacks = [400, 200]
actions = ["d dh p1 AsKs", "d dh p2 QhQd", "p2 cbr 6", "p1 cc", "d db 2c7d9h", "p1 cc", "p2 cbr 4", "p1 f"]
"""


def test_streets_of_two_players_are_told_of_a_table_of_three(tmp_path: Path) -> None:
    path = tmp_path / "hands.txt"
    path.write_text(f"{POKERSTARS}\n\n{POKERSTARS}")
    hand, _ = read_hands(path)
    assert (hand.number, hand.players) == ("208958099944", ("Bob Lee", "Cy", "Ann"))
    flop, turn, river = hand.spots
    assert (flop.street, flop.board, flop.pot, flop.stack) == ("flop", "Td9d6h", 5.5, 97.5)
    assert (flop.players, flop.hands, flop.blinds) == (("Cy", "Ann"), ("TcTh", "AhKd"), (0.5, 1))
    assert flop.moves[:4] == (Bet("c"), Bet("r", 5.5), Bet("c"), "2c")
    assert (turn.board, turn.pot, river.board, river.pot) == ("Td9d6h2c", 11, "Td9d6h2cAs", 11)
    assert river.moves == (Bet("r", 11), Bet("c"))
    game = flop.game(bets=[[0.5, 1], [1]])
    assert flop.line(game)[0].actions == (1, 2, 1, DEALT, 1, 1, DEALT, 2, 1)


def test_a_line_ends_where_the_game_has_none() -> None:
    """Of a game that allows no raises, what comes before one is told."""
    (hand,) = read_text(POKERSTARS, ".txt", "hand")
    flop = hand.spots[0]
    line, told = flop.line(flop.game(bets=[[1]], most_raises=0))
    assert (line.actions, told) == ((1,), 1)
    with pytest.raises(ValueError, match="turn is not where this spot begins: Td9d6h"):
        flop.line(Holdem("turn", board="Td9d6h2c", pot=5.5, stack=97.5, blinds=(0.5, 1)))


@pytest.mark.parametrize(
    ("ending", "text", "expected"),
    [
        (".txt", "Full Tilt Game #1", "x has no hand of the form that ….txt has"),
        (".txt", POKERSTARS.replace("calls $1.50", "sings"), "x: hand 1 cannot be read: Unable to parse"),
        (".phh", "", "x has no hand of the form"),
        (".phh", "variant = 3", "x: hand 1 cannot be read"),
        (".phhs", "[1]\nvariant = ", "x: hand 1 cannot be read"),
        (".log", "STATE:0:zz:AsKs|QhQd:1|2:A|B", "x: hand 1 cannot be read"),
        (".phh", HEADS_UP.replace("200]", f"{10**400}]"), "x: hand 1 cannot be read: int too large"),
        (".phh", HEADS_UP.replace("200]", "inf]"), "x: hand 1 cannot be read: "),
        (".csv", "", "x: expected a file of hands, ….phh, ….phhs, ….log, ….txt"),
    ],
)
def test_what_is_no_hand_is_one_line(ending: str, text: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        list(read_text(text, ending, "x"))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "hands.phh"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"hands\.phh is no text"):
        read_hands(path)
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(UserError, match="1024 MiB: expected at most 64"):
        read_hands(path)
