"""Random hands, written, against pokerkit that replays them and a parser of the ACPC's lines; read again."""

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from pokerkit import HandHistory
from pokerkit import State as Replay

from pokerlab.agents.base import DEALT
from pokerlab.agents.baselines import Uniform
from pokerlab.errors import UserError
from pokerlab.evaluation.hand_histories import acpc, phh, write_histories
from pokerlab.evaluation.matches import PlayedHand, play_match
from pokerlab.evaluation.recorded_hands import read_text
from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.games.betting import CALL, FOLD, SMALLEST_BET
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import Kuhn

Hand: TypeAlias = PlayedHand[HoldemState]

HANDS = 25
"""Of each game."""
NAMES = ("search", "policy net")
CLOSE = 1e-7
"""Chips: each bet is written to a billionth."""
TURN, RIVER = "Td9d6hQc", "Td9d6hQc2s"
GAMES = [
    Holdem("acpc", bets=[[0.5, 1, 2]], most_raises=4),
    Holdem("deep", blinds=(1, 2), stack=400, bets=[[0.25, 0.75], [1.0]]),
    Holdem("short", blinds=(5, 10), stack=37, bets=[[0.5, 1]]),
    Holdem("thirds", blinds=(1, 3), stack=250, bets=[[1 / 3, 2 / 3], [0.7, 1.1]]),
    Holdem("one blind", blinds=(0, 2), stack=100.5, bets=[[[0.5]], [[0.33, 1.0], [0.33, 0.5]]]),
    Holdem("cents", blinds=(0.05, 0.1), stack=12.34, bets=[[0.37, 1.01]]),
    Holdem("half a deck", ranks=7, stack=3000),
    Holdem("flop", board="Td9d6h", pot=200, stack=900, bets=[[0.5, 1.0], [1.0]]),
    Holdem("turn", board=TURN, pot=31, stack=190, blinds=(1, 1), bets=[[1 / 3, 1]]),
    Holdem("river", board=RIVER, pot=200, stack=900, bets=[[0.5, 1.0], [1.0]], most_raises=3),
    Holdem("river without a least bet", board=RIVER, pot=0.5, stack=8.1, blinds=(0, 0)),
]
FRACTION = re.compile(r"\d+\.\d+")
LINE = re.compile(
    r"STATE:(?P<number>\d+):(?P<betting>[fcr\d./]+):(?P<hands>[^:/]+)(?P<board>(/\w+)*)"
    r":(?P<payoffs>-?[\d.]+\|-?[\d.]+):(?P<names>[^:|\s]+\|[^:|\s]+)"
)


def close(chips: Any) -> Any:
    return pytest.approx(float(chips), rel=0, abs=CLOSE)


def shortest(number: re.Match[str]) -> str:
    return f"{Decimal(number[0]).normalize():f}"


def play(game: Holdem, rng: Random) -> Hand:
    """Random acts; of all-in hands, the rest of the board at the end."""
    root = game.root()
    cards = rng.sample([card for card in range(len(game.deck.cards)) if card not in root.board], 9)
    board = (*root.board, *cards[4:])[:5]
    states = [root]
    # of fold, call, bet, all-in: some hands are calm, so that every street is reached
    likely = rng.choice([(1, 4, 2, 0.2), (0.2, 6, 2, 0.01), (1, 1, 1, 1)])
    while (player := game.actor(states[-1])) != TERMINAL:
        state = states[-1]
        if player == CHANCE:
            street = game.boards.index(len(state.board)) + 1
            states.append(state.deal(board[len(state.board) : game.boards[street]]))
            continue
        actions = game.actions(state)
        kinds = [3 if action == game.all_in else min(action, SMALLEST_BET) for action in actions]
        states.append(game.next_state(state, *rng.choices(actions, [likely[kind] for kind in kinds])))
    end, hands = states[-1], (game.deck.hand_of[cards[0], cards[1]], game.deck.hand_of[cards[2], cards[3]])
    chips = game.terminal(end).chips[0]
    if end.actions[-1][-1:] != (FOLD,):
        if len(end.board) < len(board):
            states.append(replace(end, board=board))
        first, second = (int(game.deck.strengths([board])[0, hand]) for hand in hands)  # type: ignore[arg-type]
        chips *= (first > second) - (first < second)
    return PlayedHand(tuple(states), (int(hands[0]), int(hands[1])), (chips, -chips), NAMES)


def played(game: Holdem) -> list[Hand]:
    """Random ones, and those of a match."""
    rng, hands = Random(game.name), list[Hand]()
    play_match(game, (Uniform(game), Uniform(game)), HANDS // 4, 1, names=NAMES, keep=hands.append)
    return [*(play(game, rng) for _ in range(HANDS)), *hands]


def acts(hand: Hand) -> list[tuple[HoldemState, HoldemState]]:
    """The states before and after each act."""
    return [(before, after) for before, after in pairwise(hand.states) if before.board == after.board]


def checked_streets(game: Holdem) -> int:
    """How many streets are before the game's root."""
    return game.boards.index(len(game.root().board))


def check_state(game: Holdem, ours: HoldemState, theirs: Replay) -> None:
    """Whose turn it is, cards, chips, and what may be done."""
    player, offered = game.actor(ours), game.actions(ours)
    assert player == theirs.actor_index
    assert "".join(map(repr, theirs.get_board_cards(0))) == game.deck.board_name(ours.board)
    assert close(theirs.total_pot_amount) == game.pot(ours)
    assert [close(chips) for chips in theirs.bets] == list(ours.committed)
    assert [close(chips) for chips in theirs.stacks] == [ours.stack - chips for chips in ours.committed]
    assert theirs.can_fold() == (FOLD in offered)
    assert theirs.can_check_or_call() == (CALL in offered)
    raised = [game.next_state(ours, action).committed[player] for action in offered if action >= SMALLEST_BET]
    if raised:
        assert theirs.min_completion_betting_or_raising_to_amount <= min(raised) + CLOSE  # type: ignore[operator]
        assert close(theirs.max_completion_betting_or_raising_to_amount) == raised[-1]


def check_replay(game: Holdem, hand: Hand, history: HandHistory) -> None:
    """That pokerkit agrees act by act, and has nothing to repair."""
    skipped, played = 2 * checked_streets(game), acts(hand)
    texts, done = list[str | None](), 0
    for replay, text in history.state_actions:
        texts.append(text)
        match (text or "").split():
            case _, "f" | "cc" | "cbr" as act, *chips:
                done += 1
                if done > skipped:
                    after = played[done - skipped - 1][1]
                    assert act == ("f", "cc", "cbr")[min(after.actions[-1][-1], SMALLEST_BET)]
                    assert [close(amount) for amount in chips] == [max(after.committed)] * len(chips)
        if replay.actor_index is not None and done >= skipped:
            check_state(game, played[done - skipped][0], replay)
    assert texts == [None, *history.actions]
    assert done == skipped + len(played)
    assert not replay.status
    assert [close(chips) for chips in replay.payoffs] == list(hand.payoffs)
    assert sum(replay.payoffs) == 0
    assert replay.stacks == history.finishing_stacks
    assert history.players == list(hand.names)


def check_line(game: Holdem, hand: Hand, number: int, line: str) -> None:
    found = LINE.fullmatch(line)
    assert found
    assert int(found["number"]) == number
    streets: list[list[str]] = [["c", "c"]] * checked_streets(game) + [[] for _ in hand.states[-1].actions]
    for _, after in acts(hand):
        chips = after.pot / 2 + max(after.committed)
        kind = min(after.actions[-1][-1], SMALLEST_BET)
        streets[checked_streets(game) + len(after.actions) - 1].append(("f", "c", f"r{chips:.4f}")[kind])
    betting = [re.findall(r"[fc]|r[\d.]+", street) for street in found["betting"].split("/")]
    assert ["".join(street) for street in betting] == found["betting"].split("/")
    written = [
        [act[0] + (f"{float(act[1:]):.4f}" if act[1:] else "") for act in street] for street in betting
    ]
    assert [street for street in written if street] == [street for street in streets if street]
    board = found["board"].split("/")
    assert len(betting) == len(board)
    assert [len(cards) for cards in board] == [0, 6, 2, 2][: len(board)]
    assert "".join(board) == game.deck.board_name(hand.states[-1].board)
    assert found["hands"] == "|".join(map(game.deck.hand_name, hand.hands))
    first, second = map(Decimal, found["payoffs"].split("|"))
    assert (close(first), close(second)) == hand.payoffs
    assert first + second == 0
    assert found["names"] == "|".join(hand.names).replace(" ", "_")


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_pokerkit_replays_what_is_written(game: Holdem, tmp_path: Path) -> None:
    hands = played(game)
    write_histories(tmp_path / "hands.phhs", game, hands)
    write_histories(tmp_path / "hands.log", game, hands)
    with (tmp_path / "hands.phhs").open("rb") as file:
        histories = list(HandHistory.load_all(file))
    header, *lines = (tmp_path / "hands.log").read_text().splitlines()
    assert header == f"# name/game/hands policy_net.search {game.name.replace(' ', '_')} {len(hands)}"
    assert [history.hand for history in histories] == list(range(1, len(hands) + 1))
    for number, (hand, history, line) in enumerate(zip(hands, histories, lines, strict=True)):
        check_replay(game, hand, history)
        check_line(game, hand, number, line)
        theirs = FRACTION.sub(shortest, history.to_pluribus_protocol())
        assert line.split(":")[2:4] == theirs.split(":")[2:4]


def test_hands_end_in_every_way() -> None:
    ways = Counter[str]()
    for hand in (hand for game in GAMES[:7] for hand in played(game)):
        last = acts(hand)[-1][1]
        called = "all-in" if max(last.committed) == last.stack else "call"
        how = "fold" if last.actions[-1][-1] == FOLD else called
        ways[f"{how} on {len(last.actions)}"] += 1
        assert how == "fold" or len(hand.states[-1].board) == 5
    expected = {f"{how} on {street}" for how in ("fold", "all-in") for street in (1, 2, 3, 4)}
    assert ways.keys() == expected | {"call on 4"}


def test_a_published_hand() -> None:
    """The example in the description of DeepStack's logs, hand 19; here the higher card is first."""
    game = Holdem("deepstack", bets=[[0.5, 0.5625]])
    board = game.deck.read_cards("4h4c6c4s")
    moves = ["0.5 pot", "call", board[:3], "call", "0.5 pot", "call", board[3:], "call", "0.5625 pot", "fold"]
    states = [game.root()]
    for move in moves:
        state = states[-1]
        if isinstance(move, tuple):
            states.append(state.deal(move))
        else:
            states.append(game.next_state(state, game.action_labels.index(move)))
    first, second = (int(game.deck.hand_of[game.deck.read_cards(cards)]) for cards in ("9hQc", "5dQd"))
    hand = PlayedHand(tuple(states), (first, second), (-400.0, 400.0), ("DeepStack", "player.account"))
    assert acpc(game, hand, 19) == (
        "STATE:19:r200c/cr400c/cr850f:Qc9h|Qd5d/4h4c6c/4s:-400|400:DeepStack|player.account"
    )
    assert (
        phh(game, hand, 19)
        == """variant = "NT"
antes = [0, 0]
blinds_or_straddles = [50, 100]
min_bet = 100
starting_stacks = [20000, 20000]
actions = ["d dh p1 Qc9h", "d dh p2 Qd5d", "p2 cbr 200", "p1 cc", "d db 4h4c6c", "p1 cc", "p2 cbr 200", \
"p1 cc", "d db 4s", "p1 cc", "p2 cbr 450", "p1 f"]
hand = 19
players = ["DeepStack", "player.account"]
finishing_stacks = [19600, 20400]
"""
    )


def test_names_are_written_so_that_they_are_read() -> None:
    game, names = GAMES[-2], ('a "b"\n', "ε:c|d")
    hand = replace(played(game)[0], names=names)
    assert HandHistory.loads(phh(game, hand, 1)).players == list(names)
    assert acpc(game, hand, 0).endswith(':a_"b"_|ε_c_d')


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    hands = played(GAMES[-2])
    with pytest.raises(UserError, match=r"\.phhs \(PHH\) or \S+\.log \(ACPC\), got \S+hands\.txt$"):
        write_histories(tmp_path / "hands.txt", GAMES[-2], hands)
    with pytest.raises(UserError, match=r"hold'em only, got kuhn"):
        write_histories(tmp_path / "hands.log", Kuhn(), [])
    for game, expected in (
        (Holdem("equal", blinds=(1, 1)), "blinds posted 1 and 1"),
        (Holdem("posted", pot=2), "got a pot of 2"),
        (Holdem("flop only", deals=(0, 3)), "0, 3, 4, 5, got 0, 3$"),
    ):
        with pytest.raises(UserError, match=expected):
            phh(game, replace(hands[0], states=(game.root(),)), 1)
    assert not list(tmp_path.iterdir())


def actions_of(state: HoldemState) -> list[int]:
    """With ``DEALT`` between streets."""
    found: list[int] = []
    for street, actions in enumerate(state.actions):
        found += [DEALT] * (street > 0) + list(actions)
    return found


@pytest.mark.parametrize(
    "game", [game for game in GAMES if len(game.deck.cards) == 52], ids=lambda game: game.name
)
def test_what_this_package_writes_is_read_as_it_was_played(game: Holdem) -> None:
    rng, root = Random(3), game.root()
    for number in range(10):
        played = play(game, rng)
        (hand,) = read_text(phh(game, played, number), ".phh", "hand")
        assert hand.number == str(number)
        assert hand.players == played.names
        spot = next(spot for spot in hand.spots if len(spot.board) == 2 * len(root.board))
        assert spot.players == played.names
        assert spot.blinds[1] == pytest.approx(game.big_blind, abs=1e-6)
        assert spot.hands == tuple(game.deck.hand_name(held) for held in played.hands)
        line, told = spot.line(game)
        assert list(line.actions) == actions_of(played.states[-1])
        assert told == len(spot.moves)


def test_logs_of_the_acpc_are_read_with_its_blinds() -> None:
    game, rng = Holdem("acpc", bets=[[0.5, 1, 2]], most_raises=4), Random(5)
    hands = [play(game, rng) for _ in range(10)]
    log = "# a comment\n" + "".join(f"{acpc(game, hand, number)}\n" for number, hand in enumerate(hands))
    found = list(read_text(log, ".log", "match.log"))
    assert len(found) == len(hands)
    for read, played in zip(found, hands, strict=True):
        assert actions_of(played.states[-1]) == list(read.spots[0].line(game)[0].actions)
