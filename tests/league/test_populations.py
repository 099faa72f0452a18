"""Populations of small games: exact results, mixtures, and where the loops end."""

from pathlib import Path

import numpy as np
import pyspiel
import pytest
from open_spiel.python.algorithms import expected_game_score
from open_spiel.python.policy import tabular_policy_from_callable

from pokerlab.agents.stored_policy import agent_of, read_policy
from pokerlab.evaluation.exact import exact_value
from pokerlab.games import make_game
from pokerlab.games.base import Floats, Game
from pokerlab.games.many_kuhn import ManyKuhn
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.league import weigh
from pokerlab.league.evaluate import Exact, Matches
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.league.loop import League
from pokerlab.league.propose import BestResponse
from pokerlab.league.select import All, Best, Selection
from pokerlab.league.tables import TabularMixture, TabularPopulation
from pokerlab.search.sequence_game import SequenceGame, information_states, measure, sequence_game
from pokerlab.selfplay.place import Place

pytestmark = pytest.mark.quick

PLACE = Place(1, 0)


def league_of(
    path: Path,
    game: Game | ManyPlayerGame,
    by: weigh.Weigh,
    start: str = "uniform",
    select: Selection | None = None,
) -> League:
    folder = LeagueFolder(path)
    folder.make(game.name)
    population = TabularPopulation(folder, sequence_game(game))
    return League(population, BestResponse(), Exact(), by, select or All(), (start,), 1)


def with_members(path: Path, game: Game | ManyPlayerGame, number: int) -> TabularPopulation:
    population = league_of(path, game, weigh.Uniform()).population
    assert isinstance(population, TabularPopulation)
    random = np.random.default_rng(4)
    for name in range(number):
        sums = random.random((population.game.num_edges, population.game.num_hands)) ** 4
        population.add(Member(str(name), 0, "added"), population.game.average(sums))
    return population


def test_payoffs_of_two_are_those_of_the_tree(tmp_path: Path) -> None:
    game = make_game("leduc")
    population = with_members(tmp_path, game, 4)
    Exact().evaluate(population, [0, 1], PLACE)
    Exact().evaluate(population, range(4), PLACE)
    found, _ = population.head_to_head()
    agents = [agent_of(population.game, population.strategy(member)) for member in range(4)]
    for one, other in ((0, 1), (2, 1), (3, 3)):
        expected = exact_value(game, agents[one], agents[other])
        assert found[one, other] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found, -found.T, atol=1e-12)


def test_matches_come_near_what_is_exact(tmp_path: Path) -> None:
    population = with_members(tmp_path, make_game("kuhn"), 3)
    matches = Matches(deals=200, half_width=0.1, most=2000)
    matches.evaluate(population, [0, 1], PLACE)
    played = population.payoffs([0, 1])
    matches.evaluate(population, range(3), PLACE)
    np.testing.assert_array_equal(population.payoffs([0, 1]), played)  # narrow enough: none is played again
    found, half_width = population.head_to_head()
    again = TabularPopulation(population.folder, population.game)  # adds the same up
    np.testing.assert_array_equal(again.payoffs(range(3)), population.payoffs(range(3)))
    assert 200 <= again.deals((0, 1)) < 2000
    assert again.half_width((0, 1)) == population.half_width((0, 1)) <= 0.1
    agents = [population.agent(member) for member in range(3)]
    for one, other in ((0, 1), (0, 2), (2, 1)):
        expected = exact_value(population.game.game, agents[one], agents[other])
        assert expected is not None
        assert abs(found[one, other] - expected) < 2 * half_width[one, other]
    assert (half_width[0, 1] > 0).all()


def test_what_is_exact_replaces_matches(tmp_path: Path) -> None:
    population = with_members(tmp_path, make_game("kuhn"), 2)
    Matches(deals=20, most=20).evaluate(population, range(2), PLACE)
    both = np.array([[0, 1], [1, 0]])
    population.record(both, np.array([[0.25, -0.25], [0.5, -0.5]]))
    Matches(deals=20, most=40).evaluate(population, range(2), PLACE)
    found, half_width = population.head_to_head()
    assert (found[0, 1], half_width[0, 1]) == ((0.25 - 0.5) / 2, 0)


def test_payoffs_of_three_are_openspiels(tmp_path: Path) -> None:
    game, other = ManyKuhn(3), pyspiel.load_game("kuhn_poker(players=3)")
    population = with_members(tmp_path, game, 3)
    Exact().evaluate(population, range(3), PLACE)
    policies = []
    for member in range(3):
        known = dict(information_states(population.game, population.strategy(member)))
        policies.append(
            tabular_policy_from_callable(
                other, lambda state, known=known: known[state.information_state_string()]
            )
        )
    payoffs = population.payoffs(range(3))
    for picks in ((0, 1, 2), (2, 2, 1), (1, 0, 1)):
        expected = expected_game_score.policy_value(
            other.new_initial_state(), [policies[pick] for pick in picks]
        )
        np.testing.assert_allclose(payoffs[(slice(None), *picks)], expected, atol=1e-12)


@pytest.mark.parametrize("game", [make_game("leduc"), ManyKuhn(3)], ids=lambda game: game.name)
def test_a_mixture_plays_as_its_members_do(game: Game | ManyPlayerGame, tmp_path: Path) -> None:
    population = with_members(tmp_path, game, 3)
    Exact().evaluate(population, range(3), PLACE)
    weights = [np.array([0.5, 0.2, 0.3]), np.array([0.1, 0.9, 0]), np.array([0, 0.4, 0.6])][
        : population.game.num_players
    ]
    mixture = population.mix(range(3), weights)
    found, _ = measure(population.game, mixture.strategy)
    for player, own in enumerate(population.payoffs(range(3))):
        expected = own
        for other in reversed(weights):
            expected = expected @ other
        assert found.values[player] == pytest.approx(expected, abs=1e-12)


def test_kuhn_is_solved_in_seven_rounds(tmp_path: Path) -> None:
    league = league_of(tmp_path, make_game("kuhn"), weigh.Nash())
    league.run(30)
    rounds = league.population.rounds
    assert len(rounds) == 7  # then nobody gains by any response
    assert rounds[-1]["nash_conv"] < 1e-9
    assert rounds[-1]["values"][0] == pytest.approx(-1 / 18, abs=1e-9)


def test_psro_on_leduc_comes_down(tmp_path: Path) -> None:
    league = league_of(tmp_path, make_game("leduc"), weigh.Nash())
    league.run(61, target=0.3)
    assert len(league.population.rounds) < 61  # OpenSpiel's psro_v2 has 0.317 after 60
    best = league.population.best
    assert best is not None
    assert best["exploitability"] <= 0.3


def test_the_policy_in_the_folder_is_the_best_mixture(tmp_path: Path) -> None:
    league = league_of(tmp_path, make_game("leduc"), weigh.Nash())
    league.run(6)
    population, best = league.population, league.population.best
    assert isinstance(population, TabularPopulation)
    assert best is not None
    assert best["round"] < 5  # exploitability rises from round to round, too
    game = population.game
    strategy = read_policy(tmp_path, game)
    policy = {state: list(chances.items()) for state, chances in information_states(game, strategy)}
    found = pyspiel.nash_conv(pyspiel.load_game("leduc_poker"), pyspiel.TabularPolicy(policy))
    assert best["nash_conv"] == pytest.approx(found, abs=1e-9)


def test_xdo_on_leduc_takes_few_rounds(tmp_path: Path) -> None:
    league = league_of(tmp_path, make_game("leduc"), weigh.RestrictedGame(), start="first")
    league.run(16, target=0.001)  # XDO's authors have 0.00096 after 16
    assert league.population.rounds[-1]["exploitability"] <= 0.001


@pytest.mark.parametrize(
    ("by", "nash_conv", "gain"),
    [
        (weigh.RegretMatching(), 0.09, None),  # OpenSpiel's psro_v2 has 0.0897 after 9
        (weigh.Correlated(), 0.3, 0.1),
        (weigh.AlphaRank(), 0.6, 0.6),
    ],
    ids=lambda value: type(value).__name__,
)
def test_three_players_come_near(
    by: weigh.Weigh, nash_conv: float, gain: float | None, tmp_path: Path
) -> None:
    league = league_of(tmp_path, ManyKuhn(3), by)
    league.run(9)
    best, last = league.population.best, league.population.rounds[-1]
    assert best is not None
    assert best["nash_conv"] <= nash_conv
    assert (last["correlated_gain"] is None) == (gain is None)
    if gain is not None:
        assert 0 <= last["correlated_gain"] <= gain


def test_the_draw_of_a_coarse_correlated_equilibrium_is_met_together(tmp_path: Path) -> None:
    """Nobody in the population gains by picking one member always; only new ones can."""
    population = with_members(tmp_path, ManyKuhn(3), 4)
    Exact().evaluate(population, range(4), PLACE)
    mixture = weigh.Correlated().mix(population, range(4))
    assert isinstance(mixture, TabularMixture)
    assert mixture.joint is not None
    own = (mixture.joint * population.payoffs(range(4))).sum((1, 2, 3))
    for player in range(3):
        values = population.end_values(player, mixture)
        won = [(plan * values).sum() for plan in population.plans]
        assert max(won) <= own[player] + 1e-6


def test_those_who_are_not_kept_are_picked_no_more(tmp_path: Path) -> None:
    league = league_of(tmp_path, make_game("leduc"), weigh.Nash(), select=Best(number=3))
    league.run(8)
    population = league.population
    assert len(population.members) == 8
    assert len(population.active(len(population.rounds))) == 3
    for line in population.rounds:
        assert len(line["kept"]) <= 3
        assert len(line["weights"]) <= 4
    assert np.isnan(population.head_to_head()[0]).any()
    with pytest.raises(
        ValueError, match=r"^the matrix has gaps: there is no result of uniform against r0004$"
    ):
        weigh.Nash().mix(population, range(8))


def test_games_of_two_players_have_the_same_exploitability_in_both_forms() -> None:
    game: SequenceGame = sequence_game(make_game("liars_dice_1x4f"))
    strategy: Floats = game.uniform()
    policy = {state: list(chances.items()) for state, chances in information_states(game, strategy)}
    other = pyspiel.load_game("liars_dice(numdice=1,dice_sides=4)")
    assert measure(game, strategy)[0].nash_conv == pytest.approx(
        pyspiel.nash_conv(other, pyspiel.TabularPolicy(policy)), abs=1e-9
    )
