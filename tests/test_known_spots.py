"""Spots whose numbers are known from elsewhere: postflop-solver's own tests, and a linear program.

postflop-solver cannot be built here. Its tests (src/game/tests.rs) state equity, EV and strategies of some
spots, to tolerances of their own; those of the flop are PioSOLVER's, those with locks closed forms.
"""

from typing import Any

import numpy as np
import pytest
from phevaluator.evaluator import evaluate_cards  # type: ignore[import-untyped]
from scipy.optimize import linprog

from pokerlab.games import names
from pokerlab.games.base import TERMINAL, Floats
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.spot import Spot, solve

OOP = (
    "88+,A8s+,A5s-A2s:0.5,AJo+,ATo:0.75,K9s+,KQo,KJo:0.75,KTo:0.25,Q9s+,QJo:0.5,J8s+,JTo:0.25,T8s+,T7s:0.45,"
    "97s+,96s:0.45,87s,86s:0.75,85s:0.45,75s+:0.75,74s:0.45,65s:0.75,64s:0.5,63s:0.45,54s:0.75,53s:0.5,"
    "52s:0.45,43s:0.5,42s:0.45,32s:0.45"
)
IP = (
    "AA:0.25,99-22,AJs-A2s,AQo-A8o,K2s+,K9o+,Q2s+,Q9o+,J6s+,J9o+,T6s+,T9o,96s+,95s:0.5,98o,86s+,85s:0.5,75s+,"
    "74s:0.5,64s+,63s:0.5,54s,53s:0.5,43s"
)


def river(ranges: tuple[str, str], pot: float, stack: float, **rules: Any) -> Holdem:
    board = "2s3h4d6c7c"
    return Holdem("river", board=board, pot=pot, stack=stack, blinds=(1, 1), ranges=ranges, **rules)


def of_hands(spot: Spot[HoldemState], values: Floats, *hands: str) -> list[float]:
    deck = Holdem("deck").deck
    numbers = [int(deck.read_range(hand).argmax()) for hand in hands]
    return [float(values[number]) for number in numbers]


def test_equity_of_pios_preset_flop() -> None:
    """``solve_pio_preset_normal``: 0.55347 and 0.44653, verified by PioSOLVER, to 1e-5."""
    game = Holdem("flop", board="QsJh2h", pot=180, stack=910, ranges=(OOP, IP), most_raises=0)
    equities = solve(game, iterations=1).node().equities()
    assert equities == pytest.approx((0.55347, 0.44653), abs=1e-5)


@pytest.mark.parametrize(
    ("call", "queens", "aces", "kings", "bluff"), [(0.75, 0, 27.5, 6.25, 0), (0.5, 5, 25, 5, 1)]
)
def test_a_locked_caller(call: float, queens: float, aces: float, kings: float, bluff: float) -> None:
    """``node_locking``: 20 in the pot, 10 behind; kings call an all-in so often, queens and aces bet."""
    game = river(("AsAh,QsQh", "KsKh"), 20, 10, bets=[[0.5]])
    spot = solve(game, iterations=1000, locks={"all-in": {"fold": 1 - call, "call": call}})
    node = spot.node()
    assert of_hands(spot, node.ev[0], "QsQh", "AsAh") == pytest.approx([queens, aces], abs=0.05)
    assert of_hands(spot, node.ev[1], "KsKh") == pytest.approx([kings], abs=0.01)
    assert of_hands(spot, node.strategy[1], "QsQh", "AsAh") == pytest.approx([bluff, 1], abs=1e-3)


def test_a_partly_locked_bettor() -> None:
    """``node_locking_partial``: jacks bluff 20 %; queens add the 30 % that make kings indifferent."""
    game = river(("AsAh,QsQh,JsJh", "KsKh"), 10, 10, bets=[[1]])
    jacks = game.deck.read_range("JsJh") > 0
    locks = {"": {"check": np.where(jacks, 0.8, np.nan), "all-in": np.where(jacks, 0.2, np.nan)}}
    spot = solve(game, iterations=1000, locks=locks)
    node = spot.node()
    assert of_hands(spot, node.ev[0], "JsJh", "QsQh", "AsAh") == pytest.approx([0, 0, 15], abs=0.05)
    assert of_hands(spot, node.ev[1], "KsKh") == pytest.approx([5], abs=0.01)
    bets = of_hands(spot, node.strategy[1], "JsJh", "QsQh", "AsAh")
    assert bets == pytest.approx([0.2, 0.3, 1], abs=1e-3)


@pytest.mark.parametrize(
    ("ranges", "rules"),
    [
        (("AA,88,T9s,54s", "KK,77:0.5,A5s,98s"), {"bets": [[0.5, 1], [1]]}),
        (("QQ,66,A5s:0.25", "JJ,33,76s"), {"bets": [[0.75], [0.5]], "ip_bets": [[0.33]], "add_all_in": 1}),
        (("99+,A5,54s,KQ:0.5", "AA,55,76s"), {"bets": [[1]], "force_all_in": 0.4, "most_raises": 2}),
    ],
)
def test_rivers_have_the_value_of_a_linear_program(ranges: tuple[str, str], rules: dict[str, Any]) -> None:
    """The sequence form (Koller, Megiddo, von Stengel 1996), from rules and strengths alone."""
    game = river(ranges, 20, 60, **rules)
    spot = solve(game, iterations=3000)
    assert spot.value == pytest.approx(_value(game), abs=3 * spot.exploitability + 1e-6)
    assert spot.exploitability < 0.004


def _value(game: Holdem) -> float:
    """Player 0's, of the sequence-form linear program over hands and lines of play."""
    root = game.root()
    held = [np.flatnonzero((game.initial_beliefs[p] > 0) & game.possible_hands(root)) for p in (0, 1)]
    sequences: list[dict[tuple[int, str], int]] = [{}, {}]
    above: list[list[tuple[int, list[int]]]] = [
        [],
        [],
    ]  # of information sets: the sequence before, those after
    payoffs = dict[tuple[int, int], float]()
    strength = _strengths(game)
    joint = {
        (first, second): game.initial_beliefs[0, first] * game.initial_beliefs[1, second]
        for first in held[0].tolist()
        for second in held[1].tolist()
        if game.deal[first, second] > 0
    }
    total = sum(joint.values())
    for player in (0, 1):
        for hand in held[player].tolist():
            sequences[player][hand, ""] = len(sequences[player])

    def visit(state: HoldemState, line: str, last: tuple[str, str]) -> None:
        actor = game.actor(state)
        if actor == TERMINAL:
            put_in = [game.pot(root) / 2 + chips for chips in state.committed]
            for (first, second), chance in joint.items():
                order = np.sign(strength[first] - strength[second])
                won = min(put_in) * (np.sign(put_in[0] - put_in[1]) if state.is_folded else order)
                at = sequences[0][first, last[0]], sequences[1][second, last[1]]
                payoffs[at] = payoffs.get(at, 0) + chance / total * won
            return
        after = [
            (action, f"{line} {names.action_name(game, state, action)}") for action in game.actions(state)
        ]
        for hand in held[actor].tolist():
            children = [sequences[actor].setdefault((hand, name), len(sequences[actor])) for _, name in after]
            above[actor].append((sequences[actor][hand, last[actor]], children))
        for action, name in after:
            visit(game.next_state(state, action), name, (name, last[1]) if actor == 0 else (last[0], name))

    visit(root, "", ("", ""))
    return _solve_sequence_form(sequences, above, held, payoffs)


def _solve_sequence_form(sequences: Any, above: Any, held: Any, payoffs: Any) -> float:
    """max over x of min over y of x'Ay, y's part by duality: max q·f with A'x ≥ F'q, Ex = e, x ≥ 0."""
    sizes = [len(each) for each in sequences]
    matrix = np.zeros(sizes)
    for at, won in payoffs.items():
        matrix[at] = won
    constraints, totals = [], []
    for player in (0, 1):
        rows = np.zeros((len(held[player]) + len(above[player]), sizes[player]))
        right = np.zeros(len(rows))
        rows[np.arange(len(held[player])), np.arange(len(held[player]))] = right[: len(held[player])] = 1
        for row, (before, children) in enumerate(above[player], len(held[player])):
            rows[row, before], rows[row, children] = -1, 1
        constraints.append(rows)
        totals.append(right)
    found = linprog(
        -np.concatenate([np.zeros(sizes[0]), totals[1]]),
        A_ub=np.hstack([-matrix.T, constraints[1].T]),
        b_ub=np.zeros(sizes[1]),
        A_eq=np.hstack([constraints[0], np.zeros((len(constraints[0]), len(totals[1])))]),
        b_eq=totals[0],
        bounds=[(0, None)] * sizes[0] + [(None, None)] * len(totals[1]),
        method="highs",
    )
    assert found.success
    return float(-found.fun)


def _strengths(game: Holdem) -> list[int]:
    """``[H]`` phevaluator's, higher is better; 0 for hands that the board blocks."""
    board = [game.deck.cards[card] for card in game.root().board]
    possible = game.possible_hands(game.root())
    return [
        8000 - evaluate_cards(*board, *(game.deck.cards[card] for card in cards)) if possible[hand] else 0
        for hand, cards in enumerate(game.deck.hands.tolist())
    ]
