"""Strategies that are given at some states and left as they are: against closed forms and each other."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from pokerlab.games.base import Floats
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.search.solver import Solver
from pokerlab.spot import Spot, open_spot, solve

POT, BET = 100.0, 100.0


def polarised(**changes: Any) -> Holdem:
    """Player 0 has the nuts or air, one combination each; player 1 a hand between them. All-in is one bet."""
    spot: dict[str, Any] = {
        "board": "2c2d2hKsQd", "pot": POT, "stack": BET, "blinds": (1, 1), "bets": [[1]],
        "ranges": ["KcKd,4s3s", "AcAd"],
    }  # fmt: skip
    return Holdem("river", **(spot | changes))


def hand(game: Holdem, cards: str) -> int:
    first, second = game.deck.read_cards(cards)
    return int(game.deck.hand_of[first, second])


def test_the_closed_form_without_locks() -> None:
    """Betting all nuts and bet/(pot + bet) as many bluffs; half of the calls; worth pot · 3/4 here."""
    game = polarised()
    spot = solve(game, iterations=2000, dtype=torch.float64)
    bets = spot.strategy()["all-in"]
    assert bets[hand(game, "4s3s")] == pytest.approx(BET / (POT + BET), abs=0.01)
    assert spot.strategy("all-in")["call"][hand(game, "AcAd")] == pytest.approx(POT / (POT + BET), abs=0.02)
    assert spot.expected_values[0] == pytest.approx(POT * 3 / 4, abs=0.1)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (1.0, (POT + BET) / 2),  # bets the nuts, gives air up
        (0.0, POT),  # bets everything; nobody calls
        (0.75, (POT + 0.75 * BET) / 2),  # too many calls for a bluff to pay
        (0.25, (POT + 0.25 * BET + 0.75 * POT - 0.25 * BET) / 2),  # too few: air bets as well
    ],
)
@pytest.mark.parametrize("backend", ["auto", "tensors"])
def test_a_best_response_to_a_locked_call_has_its_closed_form(
    call: float, value: float, backend: str
) -> None:
    spot = solve(
        polarised(),
        iterations=1000,
        dtype=torch.float64,
        solver=Solver(backend=backend),
        locks={"all-in": {"call": call, "fold": 1 - call}},
    )
    assert spot.expected_values[0] == pytest.approx(value, abs=0.1)
    assert spot.exploitability < 0.05  # best responses keep to what is locked
    assert spot.strategy("all-in")["call"][hand(polarised(), "AcAd")] == pytest.approx(call, abs=1e-12)


def free_but(game: Holdem, cards: str, chance: float) -> Floats:
    chances = np.full(game.num_hands, np.nan)
    chances[hand(game, cards)] = chance
    return chances


@cache
def turn(backend: str) -> Spot:
    game = Holdem(
        "turn",
        board="2c3c4c5c",
        pot=20,
        stack=30,
        blinds=(1, 2),
        bets=[[1]],
        ranks=5,
        ranges=["66,65,63", "55+,62"],
    )
    locks: Any = {
        "check": {"check": free_but(game, "6s5d", 0.0), "bet 1": free_but(game, "6s5d", 1.0)},
        "check check 6d": {"check": 0.25, "bet 1": 0.75},
    }
    return solve(game, iterations=300, dtype=torch.float64, solver=Solver(backend=backend), locks=locks)


def test_loops_and_tensors_solve_locked_trees_alike() -> None:
    """Not to the last bit: where regrets tie, rounding chooses."""
    loops, tensors = turn("auto"), turn("tensors")
    assert max(loops.exploitability, tensors.exploitability) < 0.02
    assert loops.value == pytest.approx(tensors.value, abs=0.02)
    assert loops.strategy("check check 6d")["bet 1"].max() == pytest.approx(0.75)


def test_some_hands_are_locked_and_the_others_free() -> None:
    spot = turn("auto")
    node = spot.node("check")
    bets = node.strategy[node.actions.index("bet 1")]
    assert isinstance(spot.game, Holdem)
    assert bets[hand(spot.game, "6s5d")] == pytest.approx(1)
    assert node.strategy[:, node.held[1]].sum(0) == pytest.approx(1)
    assert spot.symmetry is None


def test_locks_are_saved(tmp_path: Any) -> None:
    turn("auto").save(tmp_path / "spot")
    again: Spot = open_spot(tmp_path / "spot")
    assert again.locks.keys() == turn("auto").locks.keys()
    np.testing.assert_array_equal(again.locks["check"]["bet 1"], turn("auto").locks["check"]["bet 1"])
    assert np.asarray(again.edges).tobytes() == np.asarray(turn("auto").edges).tobytes()


def test_small_games_are_locked_too() -> None:
    """A player 1 who never calls is bluffed by every hand that could lose."""
    spot = solve(Kuhn(), iterations=2000, locks={"bet": {"pass": 1.0}})
    assert spot.strategy()["bet"][:2] == pytest.approx(1, abs=0.01)
    assert spot.exploitability < 0.01


@pytest.mark.parametrize(
    ("locks", "message"),
    [
        ({"check": {"call": 1.0}}, "lock at 'check': 'call' is no action there: expected check, all-in"),
        ({"check check": {"call": 1.0}}, "lock at 'check check': nobody acts there"),
        ({"all-in": {"call": 0.5}}, "probabilities must be from 0 to 1 and add up to 1, got 0.5"),
        ({"all-in": {"call": 1.5, "fold": -0.5}}, "from 0 to 1 and add up to 1, got -0.5"),
        ({"all-in": {"call": float("nan")}}, "lock at 'all-in': it has no hand"),
        ({"raise": {"call": 1.0}}, "at 'raise' player 0 acts"),
    ],
)
def test_impossible_locks_are_refused(locks: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve(polarised(), locks=locks)
