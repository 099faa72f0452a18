"""The names that other people's programs use."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import pokerlab
from pokerlab.errors import UserError


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


@pytest.mark.parametrize("iterations", [0, -5, 1.5, True])
def test_iterations_of_search_are_a_number_of_them(iterations: Any) -> None:
    with pytest.raises(ValueError, match="iterations must be an integer of at least 1, got "):
        pokerlab.load("leduc").agent("search_average", iterations=iterations)


def test_a_network_values_leaves_in_its_own_precision() -> None:
    game, leaf = pokerlab.make_game("leduc"), pokerlab.load("leduc").value_network
    spot = pokerlab.solve(game, leaf=leaf, iterations=300)
    assert spot.strategy()["bet"] == pytest.approx(pokerlab.solve(game).strategy()["bet"], abs=0.1)
    with pytest.raises(ValueError, match=r"dtype must be torch\.float32, which leaf has, got torch\.float64"):
        pokerlab.solve(game, leaf=leaf, dtype=torch.float64)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"deals": 0}, "deals must be at least 1, got 0"),
        ({"names": ("a", "a")}, "two agents with different names are needed, got a"),
    ],
)
def test_a_match_is_of_two_agents_and_some_deals(wrong: dict[str, Any], said: str) -> None:
    game = pokerlab.make_game("kuhn")
    with pytest.raises(ValueError, match=said):
        pokerlab.play_match(game, *(pokerlab.make_agent("uniform", game) for _ in range(2)), **wrong)


def test_agents_of_other_games_are_refused() -> None:
    game, other = pokerlab.make_game("kuhn"), pokerlab.make_game("leduc")
    agents = [pokerlab.make_agent("uniform", each) for each in (game, other)]
    with pytest.raises(ValueError, match="second plays another game: leduc, not kuhn"):
        pokerlab.play_match(game, *agents, deals=1)
    with pytest.raises(ValueError, match="agent plays another game: leduc, not kuhn"):
        pokerlab.exploitability(game, agents[1])


def test_grids_are_of_holdem_only() -> None:
    spot = pokerlab.solve(pokerlab.make_game("kuhn"), iterations=1)
    with pytest.raises(ValueError, match="kuhn has no grid of hands: expected a game of hold'em"):
        pokerlab.strategy_grid(spot)
    with pytest.raises(ValueError, match="kuhn has no grid"):
        pokerlab.range_grid(spot, player=0)


def test_grids_of_an_agent_are_those_of_the_spot_that_it_plays() -> None:
    game = pokerlab.make_game("turn", board="Td9d6hQc", pot=200, stack=400, bets=[[1]])
    spot = pokerlab.solve(game, iterations=3)
    agent = spot.agent()
    for line in ("", "bet 1", "bet 1 call | 2s | check"):
        np.testing.assert_allclose(agent.weights(line), spot.weights(line), rtol=0, atol=1e-7)
        shown, expected = pokerlab.strategy_grid(agent, line), pokerlab.strategy_grid(spot, line)
        assert len(shown.axes) == len(expected.axes)
        for panel, same in zip(shown.axes[:-1], expected.axes[:-1], strict=True):  # the last is a colour bar
            assert panel.get_title() == same.get_title()
            drawn, wanted = (np.asarray(of.images[0].get_array()) for of in (panel, same))
            np.testing.assert_allclose(drawn, wanted, rtol=0, atol=1e-3)
    both = pokerlab.strategy_grid(spot, beside=agent, names=("solved", "played"))
    assert [panel.get_title()[:6] for panel in both.axes[:2]] == ["solved", "played"]
    deeper = pokerlab.make_game("turn", board="Td9d6hQc", pot=200, stack=800, bets=[[1]])
    with pytest.raises(ValueError, match=re.escape("played plays another game: stack: 800.0, not 400.0")):
        pokerlab.strategy_grid(spot, beside=pokerlab.make_agent("call", deeper), names=("solved", "played"))
    for of, line in ((spot, "check check"), (agent, "bet 1 fold")):
        with pytest.raises(ValueError, match=f"line {line!r}: nobody acts there"):
            pokerlab.strategy_grid(of, line)
    for names in (("same", "same"), ("one",)):
        with pytest.raises(ValueError, match=re.escape(f"names must be two different ones, got {names!r}")):
            pokerlab.strategy_grid(spot, beside=agent, names=names)  # type: ignore[arg-type]
    assert pokerlab.range_grid(agent, 0, "bet 1 call | 2s").axes[0].get_title().startswith("Td9d6hQc2s")
    with pytest.raises(ValueError, match="at 'raise'"):
        agent.weights("raise")
    with pytest.raises(ValueError, match="player must be 0 or 1, got -1"):
        pokerlab.range_grid(spot, -1)


EXAMPLE = "leduc"
"""A trained run that the package ships."""


def test_a_run_is_loaded_and_plays() -> None:
    run = pokerlab.load(EXAMPLE)
    assert (run.game.name, run.iteration) == ("leduc", 60)
    assert len(run.metrics) == 60
    assert set(run.figures()) == {"losses", "exploitability", "exploitability_seconds"}
    chances = run.agent("policy_net").strategy("raise")
    assert list(chances) == ["fold", "call", "raise"]
    assert np.sum(list(chances.values()), 0) == pytest.approx(1)
    on_queen = run.agent("policy_net").strategy("call call | Qs")
    assert np.sum(list(on_queen.values()), 0).min() == 0  # of the hand that is the board
    stored = run.evaluation["policy_net"]["exploitability"]
    found = pokerlab.exploitability(run.game, run.agent("policy_net"))
    assert found.exploitability == pytest.approx(stored, rel=1e-3)
    assert found.nash_conv == pytest.approx(2 * found.exploitability)
    assert len(run.calibration(trajectories=20).axes) == 4  # two streets and their colour bars


def test_a_run_plays_by_other_rules() -> None:
    run = pokerlab.load("hunl-20bb", rules={"small_blind": 0, "stack": 1500})
    assert (run.game.arguments["small_blind"], run.game.root().stack) == (0, 1500)
    with pytest.raises(UserError, match=re.escape("'match.rules.stak': did you mean match.rules.stack")):
        pokerlab.load("hunl-20bb", rules={"stak": 1500})
    with pytest.raises(UserError, match=re.escape("unknown key 'match.rules.game.stack': did")):
        pokerlab.load("hunl-20bb", rules={"game.stack": 1500})


def test_a_run_is_no_agent() -> None:
    run = pokerlab.load("hunl-20bb")
    with pytest.raises(
        ValueError, match=re.escape("hunl-20bb is a run: expected an agent, such as run.agent()")
    ):
        pokerlab.strategy_grid(run)  # type: ignore[arg-type]


def test_a_way_to_play_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="way must be one of policy_net, snapshots, search_iteration"):
        pokerlab.load(EXAMPLE).agent("best")


def test_agents_meet() -> None:
    game = pokerlab.make_game("kuhn")
    assert {"call", "equilibrium", "lbr"} <= set(pokerlab.agents())
    call, best = (pokerlab.make_agent(name, game) for name in ("call", "equilibrium"))
    match = pokerlab.play_match(game, best, call, deals=2000, names=("equilibrium", "call"))
    low, high = match.interval
    assert low < match.results[0]["exact"] < high
    field = {"call": call, "fold": pokerlab.make_agent("fold", game), "equilibrium": best}
    ranking = pokerlab.round_robin(game, field, deals=200).ranking
    assert ranking is not None
    assert ranking[0]["agent"] == "equilibrium"


def test_who_is_not_an_agent() -> None:
    game = pokerlab.make_game("kuhn")
    with pytest.raises(ValueError, match="unknown agent 'cal': did you mean call"):
        pokerlab.make_agent("cal", game)
    with pytest.raises(ValueError, match="needs the agent that it responds to"):
        pokerlab.make_agent("lbr", game)
    with pytest.raises(ValueError, match="nobody acts there"):
        pokerlab.make_agent("call", game).strategy("pass pass")
