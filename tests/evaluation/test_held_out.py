"""Held-out belief states: what they are worth, that they are kept, and how errors are weighed."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pokerlab.evaluation import held_out as module
from pokerlab.evaluation.held_out import (
    HeldOut,
    HeldOutSettings,
    held_out,
    solve_held_out,
    solver_of,
    value_errors,
)
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.search.leaves import LeafValues
from pokerlab.selfplay.examples import ValueExamples

GAME = Holdem(
    "small", ranks=4, suits=3, stack=30, blinds=(1, 2), bets=[[1]], deals=(0, 2, 1), jitter=0.2, most_deals=12
)
LIKE = torch.empty(0, dtype=torch.float64)
SETTINGS = HeldOutSettings((6, 2), 200)


@pytest.fixture(scope="module")
def solved() -> HeldOut:
    return solve_held_out(GAME, SETTINGS, LIKE)


class Answers:
    """Says what is known, plus something."""

    floats_per_leaf = 0

    def __init__(self, values: Tensor, plus: float) -> None:
        self.values, self.plus = values, plus

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        return lambda beliefs: (self.values + self.plus).transpose(0, 1)


def joint(examples: ValueExamples) -> Tensor:
    beliefs = examples.beliefs.double()
    mass = beliefs * GAME.mass_operator(beliefs)(beliefs.flip(1))
    return mass / mass.sum(2, keepdim=True)


def test_streets_are_counted_from_the_last(solved: HeldOut) -> None:
    assert solved.street.tolist() == [1] * 2 + [2] * 6
    assert SETTINGS.streets(GAME) == {2: 6, 1: 2}
    assert HeldOutSettings((6,)).streets(GAME) == {2: 6}
    assert (solved.examples.possible.sum(1) < GAME.num_hands).all()  # cards are dealt


def test_values_are_those_of_a_longer_solve_and_no_network_is_part_of_them(solved: HeldOut) -> None:
    longer = solve_held_out(GAME, HeldOutSettings((6, 2), 3000), LIKE)
    assert torch.equal(longer.examples.beliefs, solved.examples.beliefs)
    weight = joint(solved.examples)
    errors = (weight * (longer.examples.values - solved.examples.values).abs()).sum((1, 2)) / 2
    assert errors[solved.street == 2].max() < 0.005
    assert errors.max() < 0.01
    total = (weight * longer.examples.values).sum((1, 2))
    assert total.abs().max() < 0.002  # zero-sum


def test_deepest_stacks_are_solved_by_linear_cfr() -> None:
    assert [solver_of(stack).rule.alpha for stack in (0.1, 20, 20.1, 100)] == [1.5, 1.5, 1, 1]


def test_an_error_is_a_mean_over_hands_as_they_are_believed(solved: HeldOut) -> None:
    values = solved.examples.values.double()
    exact = value_errors(GAME, Answers(values, 0), solved, LIKE)
    assert set(exact.values()) == {0.0}
    shifted = value_errors(GAME, Answers(values, 0.25), solved, LIKE)
    assert shifted == pytest.approx(dict.fromkeys(exact, 0.25))
    nothing = value_errors(GAME, Answers(values, 0), solved, LIKE) | value_errors(
        GAME, Answers(torch.zeros_like(values), 0), solved, LIKE
    )
    expected = ((joint(solved.examples) * values.abs()).sum((1, 2)) / 2)[solved.street == 2].mean()
    assert nothing["value_error_turn"] == pytest.approx(float(expected))


def test_errors_are_told_by_street_and_stack_to_pot_ratio() -> None:
    solved = solve_held_out(GAME, HeldOutSettings((30,), 1), LIKE)
    found = value_errors(GAME, Answers(solved.examples.values.double(), 1), solved, LIKE)
    buckets = {
        "below_1": solved.spr < 1,
        "1_to_4": (solved.spr >= 1) & (solved.spr < 4),
        "above_4": solved.spr >= 4,
    }
    assert found.keys() == {
        "value_error_turn", *(f"value_error_turn_spr_{name}" for name, some in buckets.items() if some.any()),
    }  # fmt: skip
    assert len(found) >= 3


def test_belief_states_are_solved_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("POKERLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("pokerlab"), "propagate", True)
    caplog.set_level(logging.INFO, "pokerlab")

    def times_solved() -> int:
        return sum("solves 2 held-out belief states of small" in each.message for each in caplog.records)

    settings = HeldOutSettings((2,), 3)
    first = held_out(GAME, settings, LIKE)
    again = held_out(GAME, settings, LIKE)
    assert times_solved() == 1
    for name, column in first.examples.columns().items():
        assert torch.equal(column, getattr(again.examples, name))
    assert torch.equal(first.spr, again.spr)
    assert torch.equal(first.street, again.street)
    (path,) = (tmp_path / "held_out").iterdir()
    path.write_bytes(path.read_bytes()[:100])  # damaged: made again
    assert torch.equal(held_out(GAME, settings, LIKE).examples.values, first.examples.values)
    other = held_out(GAME, HeldOutSettings((2,), 3, seed=1), LIKE)  # another set
    assert times_solved() == 3
    assert not torch.equal(other.examples.beliefs, first.examples.beliefs)
    assert len(list((tmp_path / "held_out").iterdir())) == 2


def test_what_is_too_large_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("pokerlab"), "propagate", True)
    caplog.set_level(logging.INFO, "pokerlab")
    monkeypatch.setattr(module, "MOST_STATES", 20)
    found = solve_held_out(GAME, SETTINGS, LIKE)
    assert 1 not in found.street.tolist()
    assert any(
        "2 of 2 held-out belief states of the flop are left out" in each.message for each in caplog.records
    )


@pytest.mark.parametrize(
    ("game", "states", "expected"),
    [
        (GAME, (1, 1, 1), r"which are turn, flop in small, got \[1, 1, 1\]"),
        (GAME, (), r"which are turn, flop in small, got \[\]"),
        (Kuhn(), (1,), r"which are none in kuhn, got \[1\]"),
    ],
)
def test_streets_that_a_game_does_not_have_are_refused(
    game: Holdem, states: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(
        ValueError, match=rf"^states must be numbers for streets from the last back, {expected}$"
    ):
        HeldOutSettings(states).streets(game)


def test_states_below_are_counted_as_they_are_built(solved: HeldOut) -> None:
    import numpy as np

    from pokerlab.search.tree import build_tree

    draws = np.random.default_rng(5)
    for street in (1, 2):
        deal = GAME.decode(GAME.encode(GAME.draw_deal(street, draws)))
        state = GAME.chance_outcomes(deal)[0]
        tree = build_tree(GAME, state, depth_limited=False)
        chances = 0 if street == 2 else GAME.count_below(state) - len(tree.decisions) - len(tree.terminals)
        assert GAME.count_below(state) == len(tree.decisions) + len(tree.terminals) + chances
        assert chances >= 0
        assert GAME.stack_to_pot(state) == state.stack / state.pot
