"""The names that other people's programs use."""

import subprocess
import sys

import pytest

import pokerlab


def test_importing_is_quick_and_imports_nothing_large() -> None:
    script = (
        "import time, sys; started = time.perf_counter(); import pokerlab; pokerlab.__version__; "
        "assert time.perf_counter() - started < 0.3; "
        "assert not {'torch', 'numpy', 'hydra', 'lightning', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", pokerlab.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(pokerlab, name) is not None
    assert name in dir(pokerlab)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        pokerlab.lod  # noqa: B018


def test_games_are_both_a_package_and_their_names() -> None:
    import pokerlab.games.kuhn

    assert {"kuhn", "leduc", "river", "hunl"} <= set(pokerlab.games())
    assert isinstance(pokerlab.make_game("kuhn"), pokerlab.games.kuhn.Kuhn)


def test_a_game_is_solved() -> None:
    spot = pokerlab.solve(pokerlab.make_game("kuhn"), iterations=1000)
    assert spot.value == pytest.approx(-1 / 18, abs=1e-3)
    assert set(spot.strategy("bet")) == {"pass", "bet"}


def test_grids_are_of_holdem_only() -> None:
    spot = pokerlab.solve(pokerlab.make_game("kuhn"), iterations=1)
    with pytest.raises(ValueError, match="kuhn has no grid of hands: expected a game of hold'em"):
        pokerlab.strategy_grid(spot)
    with pytest.raises(ValueError, match="kuhn has no grid"):
        pokerlab.range_grid(spot, player=0)
