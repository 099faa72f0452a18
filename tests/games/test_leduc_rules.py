"""Leduc: exact lines, the size of its public tree, depth limits, suits, features."""

from typing import Any

import pytest
import torch

from pokerlab.games.base import CHANCE, TERMINAL, Terminal
from pokerlab.games.leduc import CALL, CARDS, FOLD, NO_BOARD, RAISE, Leduc, LeducState

GAME = Leduc()
ROUND_ONE = {"cc": 1, "rc": 3, "crc": 3, "rrc": 5, "crrc": 5}
"""Ways to end the first round without a fold, and what each player has then put in."""
MOVES = {"f": FOLD, "c": CALL, "r": RAISE}
SHOWDOWN = CARDS + 1


def play(line: str, board: int = 0) -> LeducState:
    """``line`` such as ``crc/rf``: the slash deals ``board``."""
    state = GAME.root()
    for move in line:
        if move == "/":
            state = GAME.chance_outcomes(state)[board]
        else:
            assert MOVES[move] in GAME.actions(state), (line, move)
            state = GAME.next_state(state, MOVES[move])
    return state


@pytest.mark.parametrize(
    ("line", "chips"),
    [
        ("rf", (1, -1)),
        ("crf", (-1, 1)),
        ("rrf", (-3, 3)),
        ("crrf", (3, -3)),
        ("cc/rf", (1, -1)),
        ("cc/rrf", (-5, 5)),
        ("rc/crf", (-3, 3)),
        ("rrc/rrf", (-9, 9)),
        ("crrc/crrf", (9, -9)),
    ],
)
def test_a_fold_costs_what_the_folder_has_put_in(line: str, chips: tuple[int, int]) -> None:
    board = 3 if "/" in line else NO_BOARD
    assert GAME.terminal(play(line, board=3)) == Terminal(board, chips)


@pytest.mark.parametrize("first", ROUND_ONE)
@pytest.mark.parametrize("second", ["cc", "rc", "crc", "rrc", "crrc"])
def test_a_showdown_pays_what_the_loser_has_put_in(first: str, second: str) -> None:
    stake = ROUND_ONE[first] + 4 * second.count("r")
    state = play(f"{first}/{second}", board=5)
    assert GAME.terminal(state) == Terminal(SHOWDOWN + 5, (stake, stake))
    assert GAME.pot(state) == 2 * stake


@pytest.mark.parametrize(
    ("line", "own", "other", "board", "wins"),
    [
        ("cc/cc", 0, 4, 1, True),  # a pair of jacks beats a king
        ("cc/cc", 4, 2, 1, True),  # a king beats a queen
        ("cc/cc", 2, 4, 5, False),
        ("cc/cc", 2, 3, 4, None),  # equal ranks split
    ],
)
def test_a_pair_wins_then_the_higher_rank(
    line: str, own: int, other: int, board: int, wins: bool | None
) -> None:
    kernel = GAME.terminal(play(line, board=board)).payoff_kernel
    reach = torch.zeros(1, 1, CARDS, dtype=torch.float64)
    reach[..., other] = 1
    sign = {True: 1, False: -1, None: 0}[wins]
    assert GAME.payoff_operator([kernel], reach)(reach)[0, 0, own].item() == sign / 30


def census(state: LeducState) -> dict[str, int]:
    """Numbers of public states at and below ``state`` by kind."""
    actor = GAME.actor(state)
    kind = {TERMINAL: "terminal", CHANCE: "chance"}.get(actor, "decision")
    counts = {"decision": 0, "chance": 0, "terminal": 0, kind: 1}
    below: Any = ()
    if actor == CHANCE:
        below = GAME.chance_outcomes(state)
    elif actor != TERMINAL:
        below = [GAME.next_state(state, action) for action in GAME.actions(state)]
    for child in below:
        more = census(child)
        counts = {kind: count + more[kind] for kind, count in counts.items()}
    return counts


def test_the_public_tree_has_465_nodes() -> None:
    """The published count: decisions, chance nodes and terminals, every board apart."""
    counts = census(GAME.root())
    assert counts == {"decision": 186, "chance": 5, "terminal": 274}
    assert sum(counts.values()) == 465


@pytest.mark.parametrize("line", ROUND_ONE)
def test_a_deal_blocks_one_hand_and_leaves_four_boards_to_each_pair(line: str) -> None:
    state = play(line)
    assert GAME.actor(state) == CHANCE
    boards = GAME.chance_outcomes(state)
    assert [board.board for board in boards] == list(range(CARDS))
    assert all(
        list(GAME.possible_hands(b).nonzero()[0]) == sorted({*range(CARDS)} - {b.board}) for b in boards
    )
    possible = [b for b in boards if GAME.possible_hands(b)[[1, 4]].all()]
    assert GAME.chance_probability(state) * len(possible) == 1


def test_subgames_end_before_or_after_the_deal() -> None:
    root, before, after = GAME.root(), play("rc"), play("rc/")
    for leaves, at_deal in (("before_deal", True), ("after_deal", False)):
        game = Leduc(leaves=leaves)
        assert not game.is_leaf(root, play("r"), 1)
        assert game.is_leaf(root, before, 2) == at_deal
        assert game.is_leaf(root, after, 3)
        assert game.is_leaf(before, after, 1)
        assert not game.is_leaf(after, play("rc/c"), 1)


def test_states_that_differ_only_in_history_are_different_states() -> None:
    """Perfect recall: the same chips by another line is another public state."""
    assert play("rc") != play("crc")
    assert play("rc/") != play("crc/")
    assert play("cc/", board=0) != play("cc/", board=1)
    assert hash(play("rc/c")) == hash(play("rc/c"))


def test_features_show_actor_round_board_chips_and_raises() -> None:
    no_board = [0.0] * CARDS
    assert GAME.features(GAME.root()) == [1, 0, 0, 0, *no_board, 1 / 13, 1 / 13, 0]
    assert GAME.features(play("rr")) == [1, 0, 0, 0, *no_board, 3 / 13, 5 / 13, 1]
    assert GAME.features(play("rc")) == [0, 0, 1, 0, *no_board, 3 / 13, 3 / 13, 0.5]
    board = [0.0, 0, 1, 0, 0, 0]
    assert GAME.features(play("rc/cr", board=2)) == [1, 0, 0, 1, *board, 3 / 13, 7 / 13, 0.5]


def test_every_feature_is_within_one_and_as_many_as_stated() -> None:
    states = [GAME.root()]
    for state in states:
        actor = GAME.actor(state)
        if actor == CHANCE:
            states += GAME.chance_outcomes(state)
        elif actor != TERMINAL:
            states += [GAME.next_state(state, action) for action in GAME.actions(state)]
    assert len(states) == 465
    for state in states:
        features = GAME.features(state)
        assert len(features) == GAME.num_features
        assert max(map(abs, features)) <= 1
