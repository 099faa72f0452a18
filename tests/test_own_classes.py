"""The examples of docs/examples: a game and an agent of one's own."""

import sys
from collections.abc import Iterator

import pytest
import torch
from runs.harness import ROOT

import pokerlab
from pokerlab.agents.baselines import AlwaysFold
from pokerlab.evaluation.exact import exact_value
from pokerlab.testing import check_game

EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("von_neumann", "maniac"):
        sys.modules.pop(name, None)


def test_von_neumanns_poker_keeps_a_games_promises() -> None:
    from von_neumann import VonNeumann

    check_game(VonNeumann(cards=10))


@pytest.mark.parametrize(("bet", "value"), [(2.0, 1 / 9), (1.0, 1 / 10)])
def test_von_neumanns_poker_is_worth_b_over_b_plus_1_times_b_plus_4(bet: float, value: float) -> None:
    """von Neumann and Morgenstern 1944, section 19, with antes of 1: the value of a continuum of hands."""
    from von_neumann import VonNeumann

    spot = pokerlab.solve(VonNeumann(cards=200, bet=bet), iterations=1000, dtype=torch.float64)
    assert spot.exploitability < 1e-5
    assert spot.value == pytest.approx(value, abs=1e-3)


def test_a_maniac_wins_the_ante_of_who_always_folds() -> None:
    """Betting first it always wins it; after a check there is a showdown, worth 0."""
    from maniac import Maniac
    from von_neumann import VonNeumann

    game = VonNeumann(cards=10)
    assert exact_value(game, Maniac(game), AlwaysFold(game)) == pytest.approx(0.5)
