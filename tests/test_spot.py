"""Solved spots: tables against sums over pairs of hands, lines in words, files."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from phevaluator.evaluator import evaluate_cards  # type: ignore[import-untyped]

from pokerlab.api import load
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games import make_game
from pokerlab.games.base import CHANCE, TERMINAL, Floats, Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.names import action_name, outcome_name, read_line
from pokerlab.games.parts import symmetry_of, table_play
from pokerlab.search.tree import build_tree
from pokerlab.spot import Progress, Spot, open_spot, solve

RANGES = ("AKs,QQ:0.5,T9s,66", "KQ,JJ+,98s:0.25,AhKh")


def river(**changes: Any) -> Holdem:
    spot: dict[str, Any] = {"board": "Td9d6hQc2s", "pot": 200, "stack": 500, "ranges": RANGES}
    return Holdem("river", **(spot | changes))


def turn(**changes: Any) -> Holdem:
    """Three suits are alike; of few cards, so that every pair of hands can be played out."""
    small: dict[str, Any] = {
        "board": "2c3c4c5c",
        "pot": 20,
        "stack": 30,
        "blinds": (1, 2),
        "bets": [[1]],
        "ranks": 5,
    }
    return Holdem("turn", **(small | changes))


GAMES: dict[str, Callable[[], Game]] = {
    "kuhn": Kuhn,
    "leduc": Leduc,
    "river": river,
    "turn": lambda: turn(ranges=("66,65s,64:0.5", "55+,42,63")),
    "short": lambda: turn(stack=15, ranges=("66,65", "55,44,62:0.3")),
}
LINES = {
    "kuhn": ["", "pass", "bet", "pass bet"],
    "leduc": ["", "bet", "check check Qs", "bet raise call | Jh | check bet", "check bet call"],
    "river": ["", "check", "bet 0.5", "check all-in"],
    "turn": ["", "check", "bet 1 call", "check check 6h", "bet 1 call 6s", "check check 5d bet 1"],
    "short": ["", "bet all-in", "check", "check check 6h"],
}
CASES = [(name, line, player) for name in GAMES for line in LINES[name] for player in (0, 1)]


@cache
def spot(name: str) -> Spot:
    """Far from equilibrium, so that nothing is worth the same by chance."""
    return solve(GAMES[name](), iterations=3, dtype=torch.float64)


@cache
def strategy(name: str, line: str) -> Mapping[str, Floats]:
    return spot(name).strategy(line)


def state_at(game: Game, line: str) -> Any:
    return [game.root(), *(move.state for move in read_line(game, line))][-1]


def strength(game: Game, state: Any, hand: int) -> int:
    """Higher is better; not the package's own."""
    if isinstance(game, Kuhn):
        return hand
    if isinstance(game, Leduc):
        return hand // 2 + 10 * (state.board is not None and hand // 2 == state.board // 2)
    assert isinstance(game, Holdem)
    cards = [game.deck.cards[card] for card in (*state.board, *game.deck.hands[hand])]
    return -int(evaluate_cards(*cards))


def shown_down(game: Game, state: Any, hands: tuple[int, int]) -> float:
    """1 if player 0 wins, −1 if it loses; the mean over cards to come, one at most."""
    boards = [state]
    if isinstance(game, Holdem) and len(state.board) < game.complete:
        seen = {*state.board, *game.deck.hands[list(hands)].flatten().tolist()}
        rest = [card for card in range(len(game.deck.cards)) if card not in seen]
        boards = [replace(state, board=(*state.board, card)) for card in rest]
    signs = [np.sign(strength(game, on, hands[0]) - strength(game, on, hands[1])) for on in boards]
    return float(np.mean(signs))


def outcomes(game: Game, state: Any, hands: tuple[int, int]) -> list[Any]:
    """All that leave both hands possible are equally likely."""
    return [o for o in game.chance_outcomes(state) if game.possible_hands(o)[list(hands)].all()]


def won(name: str, game: Game, line: str, state: Any, hands: tuple[int, int]) -> float:
    """Chips that player 0 wins in the end."""
    actor = game.actor(state)
    if actor == TERMINAL:
        first, second = game.terminal(state).chips
        return first if first != second else first * shown_down(game, state, hands)
    if actor == CHANCE:
        below = [
            won(name, game, f"{line} {outcome_name(game, state, o)}", o, hands)
            for o in outcomes(game, state, hands)
        ]
        return float(np.mean(below))
    found, chances = 0.0, strategy(name, line)
    for action in game.actions(state):
        word = action_name(game, state, action)
        if chance := chances[word][hands[actor]]:
            found += chance * won(name, game, f"{line} {word}", game.next_state(state, action), hands)
    return found


def share(game: Game, state: Any, hands: tuple[int, int]) -> float:
    """Player 0's of the pot when nobody bets any more."""
    if (actor := game.actor(state)) == CHANCE:
        return float(np.mean([share(game, o, hands) for o in outcomes(game, state, hands)]))
    if actor != TERMINAL:
        return share(game, game.next_state(state, table_play(game).check_or_call(state)), hands)
    return (1 + shown_down(game, state, hands)) / 2


def reach(name: str, game: Game, line: str, player: int) -> Floats:
    """``[H]`` of a player's own actions on the line, weighted by the range."""
    found, state, so_far = game.initial_beliefs[player].copy(), game.root(), ""
    for move in read_line(game, line):
        if move.action is None:
            word = outcome_name(game, state, move.state)
        else:
            word = action_name(game, state, move.action)
            if game.actor(state) == player:
                found *= strategy(name, so_far)[word]
        state, so_far = move.state, f"{so_far} {word}"
    return found * game.possible_hands(state)


@pytest.mark.parametrize(("name", "line", "player"), CASES)
def test_a_table_is_a_sum_over_pairs_of_hands(name: str, line: str, player: int) -> None:
    game, table = GAMES[name](), spot(name).table(line, player)
    state = state_at(game, line)
    own, other = reach(name, game, line, player), reach(name, game, line, 1 - player)
    weight = own / game.initial_beliefs[player].max()
    hands = np.flatnonzero((game.initial_beliefs[player] > 0) & game.possible_hands(state))
    assert table.hands == tuple(hand_names(game)[hand] for hand in hands)
    np.testing.assert_allclose(table.weight, weight[hands], rtol=1e-6)
    assert table.pot == game.pot(state)
    assert table.equity is not None
    met = 0
    for row in np.random.default_rng(0).choice(len(hands), min(4, len(hands)), replace=False):
        hand, chips, equity, mass = int(hands[row]), 0.0, 0.0, 0.0
        for opponent in np.flatnonzero(other * game.deal[hand]):
            pair = (hand, int(opponent)) if player == 0 else (int(opponent), hand)
            likely = other[opponent] * game.deal[hand, opponent]
            sign = 1 - 2 * player
            chips += likely * sign * won(name, game, line, state, pair)
            equity += likely * (player + sign * share(game, state, pair))
            mass += likely
        met += 1
        assert table.ev[row] == pytest.approx(chips / mass + game.committed(state)[player], abs=1e-4)
        assert table.equity[row] == pytest.approx(equity / mass, abs=1e-6)
    assert met


def hand_names(game: Game) -> list[str]:
    if isinstance(game, Holdem):
        return [game.deck.hand_name(hand) for hand in range(game.num_hands)]
    return ["J", "Q", "K"] if isinstance(game, Kuhn) else ["Jh", "Js", "Qh", "Qs", "Kh", "Ks"]


@pytest.mark.parametrize("name", GAMES)
def test_both_players_evs_together_are_the_pot(name: str) -> None:
    game, solved = GAMES[name](), spot(name)
    means = []
    for player in (0, 1):
        table, beliefs = solved.table("", player), game.initial_beliefs
        joint = beliefs[player] * (game.deal @ beliefs[1 - player])
        means.append((joint[joint > 0] * table.ev[table.weight > 0]).sum() / joint.sum())
    assert means == pytest.approx(solved.expected_values, abs=1e-4)
    assert sum(means) == pytest.approx(game.pot(game.root()), rel=1e-6)
    assert solved.value == pytest.approx(means[0] - game.committed(game.root())[0], abs=1e-4)


@cache
def whole_turn() -> Spot:
    """What was found with one river of each kind, on a tree of all rivers."""
    reduced = spot("turn")
    symmetry = symmetry_of(reduced.game)
    assert symmetry
    tree = build_tree(reduced.game, reduced.game.root(), depth_limited=False)
    assert tree.num_states > reduced.tree.num_states
    edges = []
    for state in tree.decisions.states:
        kept, hands = symmetry.representative(state) if len(state.board) == 5 else (state, ...)
        edges.append(reduced.edges[reduced._edges([kept])][:, hands])
    rows: Any = np.concatenate(edges)
    return Spot(reduced.game, tree, rows, reduced.progress)


@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("line", LINES["turn"])
def test_suits_that_are_alike_change_no_table(line: str, player: int) -> None:
    ours, theirs = spot("turn").table(line, player), whole_turn().table(line, player)
    assert (ours.hands, ours.actions) == (theirs.hands, theirs.actions)
    assert ours.equity is not None
    assert theirs.equity is not None
    for one, other in (
        (ours.weight, theirs.weight), (ours.probabilities, theirs.probabilities),
        (ours.equity, theirs.equity), (ours.ev, theirs.ev),
    ):  # fmt: skip
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_suits_that_are_alike_change_no_exploitability() -> None:
    whole, solved = WholeGame(spot("turn").game), whole_turn()
    strategy = whole.forest.from_edges(torch.as_tensor(np.asarray(solved.edges)))
    found = whole.exploitability(strategy)
    assert found.exploitability.item() == pytest.approx(solved.exploitability, abs=1e-9)
    assert found.value.item() == pytest.approx(solved.value, abs=1e-9)


def test_a_hand_that_is_beaten_folds_for_nothing_and_the_nuts_win_the_pot() -> None:
    game = river(board="2c3c4c5c6d", stack=100, blinds=(1, 1), bets=[[1]], ranges=("AcKd,Kc7d", "Ac8d,9c9d"))
    table = solve(game, iterations=300).table("all-in")
    assert table.hands == ("Ac8d", "9d9c")
    assert table.actions == ("fold", "call")
    assert table.ev == pytest.approx([300, 0], abs=0.5)  # Ac8d has a straight flush, 9c9d a lesser flush
    assert table.probabilities[:, 1] == pytest.approx([1, 0], abs=0.01)


def test_a_hand_that_meets_nobody_has_no_ev() -> None:
    game = river(ranges=("AhKh,AsKs", "AhKh"))
    table = solve(game, iterations=2).table()
    assert table.hands == ("AhKh", "AsKs")
    assert np.isnan(table.ev).tolist() == [True, False]
    rows = list(table.rows())
    assert (rows[0]["ev"], rows[0]["equity"]) == (None, None)
    assert rows[1]["equity"] == 0.5
    json.dumps(table.as_dict(), allow_nan=False)


def test_a_game_without_calling_has_no_equity() -> None:
    table = solve(LiarsDice(1, 3), iterations=5).table("1-2")
    assert table.equity is None
    assert table.hands == ("1", "2", "3")
    assert table.actions[0] == "1-3"


# Solving


def test_a_target_is_reached_and_no_further() -> None:
    heard: list[Progress] = []
    solved = solve(river(), target=0.5, report=heard.append)
    assert solved.progress.percent_of_pot <= 0.5
    assert heard[-1] is solved.progress
    before = solve(river(), iterations=int(solved.progress.iterations / 1.5))
    assert before.progress.percent_of_pot > 0.5
    assert [progress.iterations for progress in heard[:3]] == [1, 2, 3]


def test_iterations_end_a_search_for_a_target() -> None:
    assert solve(Kuhn(), target=1e-9, iterations=25).progress.iterations == 25


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"target": 0}, "target must be above 0, in percent of the pot, got 0"),
        ({"target": float("nan")}, "target must be above 0, in percent of the pot, got nan"),
    ],
)
def test_what_cannot_be_asked_for(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        solve(Kuhn(), **arguments)


def test_a_game_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="hunl is too large to be solved to the end"):
        solve(make_game("hunl"))


def test_a_flop_is_solved(tmp_path: Path) -> None:
    """Of 52 cards, with all turns and rivers."""
    ranges = ["QQ+,AKs,JTs", "TT,99,AQs,87s"]
    game = make_game("flop", pot=200, stack=60, bets=[[1]], blinds=(1, 1), ranges=ranges)
    assert not game.enumerable
    spot = solve(game, target=0.5)
    assert spot.progress.percent_of_pot <= 0.5
    table = spot.table("check check Qc check check 2s")
    assert "TsTc" not in table.hands  # player 1's
    assert {"AdAc", "QhQd"} <= set(table.hands)
    spot.save(tmp_path / "flop.npz")
    again = open_spot(tmp_path / "flop.npz").table("check check Qc check check 2s")
    assert str(again) == str(table)


def test_a_game_that_fills_the_memory_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make_game("turn", stack=5000, blinds=(1, 1), bets=[[0.3, 0.5, 1], [0.5, 1]])
    monkeypatch.setattr("pokerlab.spot.solving.build_tree", None)
    few = SimpleNamespace(available=10**9, total=10**12)
    monkeypatch.setattr("pokerlab.games.tree_size.virtual_memory", lambda: few)
    message = (
        r"^turn has about [\d.,e+]+ public states of 1,326 hands: solving .* [\d.]+ GB, and free are 1 GB$"
    )
    with pytest.raises(ValueError, match=message):
        solve(game)
    with pytest.raises(ValueError, match=message):
        WholeGame(game)


# Files


@pytest.mark.parametrize("name", ["leduc", "turn"])
def test_a_saved_spot_is_the_same(name: str, tmp_path: Path) -> None:
    solved, path = spot(name), tmp_path / "spot"
    solved.save(path)
    opened: Spot = open_spot(path)
    assert opened.progress == solved.progress
    assert [file.name for file in tmp_path.iterdir()] == ["spot"]
    for line in LINES[name]:
        assert str(opened.table(line)) == str(solved.table(line))


class OwnGame(Kuhn):
    """Of a user."""

    name = "own"


def test_another_authors_game_is_given_when_its_spot_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "spot"
    solve(OwnGame(), iterations=2).save(path)
    with pytest.raises(ValueError, match=r"is a spot of .*OwnGame: give open_spot the game"):
        open_spot(path)
    assert open_spot(path, OwnGame()).strategy("bet").keys() == {"pass", "bet"}
    with pytest.raises(ValueError, match="is a spot of another game than leduc"):
        open_spot(path, Leduc())


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 nothing"])
def test_other_files_are_no_spots(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spot"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a spot"):
        open_spot(path)


def test_spots_run_nothing_and_know_their_version(tmp_path: Path) -> None:
    path = tmp_path / "spot.npz"
    np.savez(path, about=np.array([print], dtype=object), strategy=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="is not a spot"):
        open_spot(path)
    about = {"spot": 99, "game": "os.system", "arguments": {}, "isomorphism": False, "progress": []}
    np.savez(path, about=np.array(json.dumps(about)), strategy=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="is a spot of version 99: expected 1"):
        open_spot(path)


def test_where_a_game_does_not_say_who_put_in_what_it_is_half_each() -> None:
    solved = solve(LiarsDice(1, 4), iterations=2)
    first, second = solved.expected_values
    pot = solved.game.pot(solved.game.root())
    assert (first + second, first - second) == pytest.approx((pot, 2 * solved.value))


# Values of a network after the first street


@cache
def learned() -> Any:
    return load("hunl-laptop")


def flop(**changes: Any) -> Holdem:
    spot: dict[str, Any] = {"board": "Td9d6h", "pot": 200, "stack": 300, "bets": [[1]], "ranges": RANGES}
    return Holdem("flop", **(spot | changes))


def test_a_flop_is_solved_with_a_networks_values_of_what_comes_after_it(tmp_path: Path) -> None:
    spot = solve(flop(), leaf=learned().value_network, iterations=50)
    assert "as a network values it" in repr(spot)
    assert np.isnan(spot.exploitability)
    for line in ("", "check", "bet 1", "check bet 1 call", "check check", "check all-in fold"):
        node = spot.node(line)
        assert sum(node.expected_values()) == pytest.approx(node.pot, abs=1e-3)
    assert spot.node().expected_values() == pytest.approx(spot.expected_values, abs=1e-4)
    spot.save(tmp_path / "spot")
    again: Spot = open_spot(tmp_path / "spot")
    assert (np.asarray(again.edges) == np.asarray(spot.edges)).all()
    assert again.node("check check").expected_values() == pytest.approx(
        spot.node("check check").expected_values()
    )
    with pytest.raises(ValueError, match="only the first street was solved"):
        again.node("check check | 2c")


def test_with_a_networks_values_a_turn_is_worth_about_what_it_is() -> None:
    """The shipped network is off by about 0.04 pots on turns; it is asked about rivers here."""
    game = flop(board="Td9d6hQc", stack=100)
    exact = solve(game, target=0.5)
    valued = solve(game, leaf=learned().value_network, iterations=50)
    assert valued.expected_values == pytest.approx(exact.expected_values, abs=0.03 * 200)


def test_the_last_street_is_solved_as_ever() -> None:
    """No network is asked where nothing comes after."""
    game = flop(board="Td9d6hQc2s")
    spot = solve(game, leaf=learned().value_network, iterations=100)
    assert spot.expected_values == pytest.approx(solve(game, iterations=100).expected_values, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"target": 0.5}, "target is of exploitability, which is not known with leaf"),
        ({"locks": {"": {"check": 1.0}}}, "locks are of games that are played to the end"),
    ],
)
def test_what_a_network_cannot_value_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        solve(flop(), leaf=learned().value_network, **changes)
