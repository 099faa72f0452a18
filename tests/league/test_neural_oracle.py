"""Responses that are learned: what they win of a mixture, and what a league makes of them."""

from pathlib import Path

import numpy as np
import pytest

from pokerlab.games import make_game
from pokerlab.games.kuhn import Kuhn
from pokerlab.league.evaluate import Exact
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.loop import League
from pokerlab.league.policy_gradient import PolicyGradient
from pokerlab.league.propose import BestResponse, LocalBestResponses, Oracle
from pokerlab.league.select import All
from pokerlab.league.tables import TabularPopulation, likeliest
from pokerlab.league.weigh import Nash
from pokerlab.search.sequence_game import sequence_game
from pokerlab.selfplay.place import Place

pytestmark = pytest.mark.quick

SMALL = PolicyGradient(iterations=30, hands=500, passes=8, batch_size=16, hidden=16)


class Featureless(Kuhn):
    """Networks are told nothing of it."""

    features = None  # type: ignore[assignment]


def league_of(path: Path, oracle: Oracle, name: str = "kuhn") -> League:
    folder, game = LeagueFolder(path), make_game(name)
    folder.make(game.name)
    population = TabularPopulation(folder, sequence_game(game))
    return League(population, oracle, Exact(), Nash(), All(), ("uniform",), 1)


def test_what_is_proposed_beats_the_mixture(tmp_path: Path) -> None:
    league = league_of(tmp_path, SMALL)
    league.run(3)
    first, second, third = league.population.rounds
    won, _ = league.population.head_to_head()
    best = first["nash_conv"] / 2
    assert second["response_share"] == pytest.approx(won[1, 0] / best)
    assert 0.9 < second["response_share"] <= 1 + 1e-12
    assert 0 < third["response_share"] <= 1 + 1e-12
    assert [member.origin for member in league.population.members] == ["start", *["policy_gradient"] * 2]


def test_the_place_says_what_is_drawn(tmp_path: Path) -> None:
    drawing = PolicyGradient(iterations=2, hands=50, hidden=16, greedy=False)
    league = league_of(tmp_path, drawing)
    league.run(1)
    population = league.population
    assert isinstance(population, TabularPopulation)
    mixture = population.mix([0], [np.ones(1), np.ones(1)])
    found = [drawing.propose(population, mixture, place)[0][1] for place in map(Place, (1, 1, 2), (1, 1, 1))]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    np.testing.assert_allclose(population.game.average(found[0]), found[0], atol=1e-12)


def test_exact_responses_win_all_that_there_is_to_win(tmp_path: Path) -> None:
    league = league_of(tmp_path, BestResponse())
    league.run(5)
    assert [line["response_share"] for line in league.population.rounds] == [None, *[pytest.approx(1)] * 4]


def test_local_best_responses_win_some_of_it(tmp_path: Path) -> None:
    league = league_of(tmp_path, LocalBestResponses(), "leduc")
    league.run(3)
    shares = [line["response_share"] for line in league.population.rounds[1:]]
    assert all(0.1 < share < 1 for share in shares)


def test_of_equally_likely_actions_the_first_is_taken() -> None:
    game = sequence_game(make_game("kuhn"))
    strategy = game.uniform()
    node, hand = 0, 2
    strategy[[game.nodes.first[node], game.nodes.end[node] - 1], hand] = 0.4, 0.6
    chosen = likeliest(game, strategy)
    assert chosen[game.nodes.end[node] - 1, hand] == 1
    assert (chosen[game.nodes.first] == 1).sum() == len(game.states) * game.num_hands - 1


def test_a_game_without_features_is_refused() -> None:
    BestResponse().check_game(Featureless())
    with pytest.raises(ValueError, match=r"^kuhn has no features for networks"):
        SMALL.check_game(Featureless())
