"""Matches: duplicate deals, seeds, sums of chips, and estimates near exact values."""

import numpy as np
import pytest
import torch

from pokerlab.agents.base import Agent, Seat
from pokerlab.agents.baselines import AlwaysCall, EquityPlayer, Uniform
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.evaluation.aivat import CheckDown, TreeValues
from pokerlab.evaluation.exact import exact_value
from pokerlab.evaluation.matches import Estimate, Match, PlayedHand, draw_hands, play_match
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.street_play import StreetPlay
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem, HoldemState
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.solver import Solver

SMALL_HOLDEM = Holdem("small", stack=20, blinds=(1, 2), ranks=6, suits=4, bets=((1,),))


def network(game: Game, seed: int) -> Agent:
    torch.manual_seed(seed)
    return PolicyNetworkAgent(game, PolicyNetwork(game, 16, 2))


def pure(game: Leduc) -> Agent[LeducState]:
    """Takes one action with each hand."""
    torch.manual_seed(3)
    whole = WholeGame(game)
    weights = torch.rand(whole.forest.edge_shape).double() * whole.forest.legal
    return TabularAgent.of(whole.forest, (weights == weights.amax(0)).double())


@pytest.mark.parametrize("game", [Kuhn(), Leduc()], ids=lambda game: game.name)
def test_results_are_near_the_exact_value(game: Game) -> None:
    first, second = network(game, 0), network(game, 1)
    exact = exact_value(game, first, second)
    assert exact is not None
    whole = WholeGame(game)
    table = TabularAgent.of(whole.forest, whole.policy(first)).table
    for values in (None, CheckDown(game), TreeValues(game, table)):
        for known in ((True, True), (True, False)):
            match = play_match(game, (first, second), 2000, 1, values=values, known=known)
            for estimate in (match.result(), match.raw()):
                assert abs(estimate.mean - exact) < 2 * estimate.half_width  # 3.9 standard errors
            assert match.result().half_width <= match.raw().half_width


def test_an_agent_that_never_mixes_gains_nothing_against_itself_on_any_deal() -> None:
    """Seats are swapped, and cards are the same."""
    agent = pure(Leduc())
    match = play_match(Leduc(), (agent, agent), 300, 1)
    assert np.abs(match.won.sum(1)).max() < 1e-12
    assert np.abs(match.won).max() > 1


def test_who_comes_first_does_not_matter() -> None:
    game, agents = Leduc(), (pure(Leduc()), AlwaysCall(Leduc()))
    there, back = (play_match(game, pair, 300, 1) for pair in (agents, agents[::-1]))
    np.testing.assert_allclose(there.won, -back.won[:, ::-1], atol=1e-12)


def test_a_seed_fixes_a_match() -> None:
    game = Leduc()
    matches = [play_match(game, (network(game, 0), Uniform(game)), 50, seed) for seed in (1, 1, 2)]
    assert (matches[0].won == matches[1].won).all()
    assert (matches[0].won != matches[2].won).any()


def test_an_agent_that_draws_draws_anew_for_each_hand() -> None:
    game = Kuhn(depth_limit=2)
    torch.manual_seed(0)
    options = {"iterations": 8, "like": torch.empty(0)}
    values = ValueNetwork(game, 8, 1)
    drawing, not_drawing = (
        SearchAgent(game, Solver(), values, way=way, **options)  # type: ignore[arg-type]
        for way in ("search_iteration", "search_average")
    )
    with pytest.raises(ValueError, match="it has no one policy"):
        WholeGame(game).policy(drawing)
    match = play_match(game, (drawing, not_drawing), 200, 1, values=CheckDown(game))
    assert abs(match.result().mean - match.raw().mean) < 3 * match.raw().half_width


def test_batches_are_one_match(monkeypatch: pytest.MonkeyPatch) -> None:
    game = Leduc()
    monkeypatch.setattr("pokerlab.evaluation.matches.NUMBERS", 18 * 2 * 64)
    hands: list[PlayedHand[LeducState]] = []
    match = play_match(
        game, (network(game, 0), AlwaysCall(game)), 150, 1, values=CheckDown(game), keep=hands.append
    )
    assert match.won.shape == match.street.shape == (150, 2)
    assert match.aivat is not None
    assert match.aivat.shape == (150, 2)
    assert len(hands) == 300


def test_fewer_hands_go_on_together_where_agents_keep_much_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keeps(AlwaysCall[LeducState]):
        nodes_kept = 63
        seats = 0

        def sit_down(self, player: int, seed: int) -> Seat[LeducState]:
            Keeps.seats += 1
            return self

    game = Leduc()
    monkeypatch.setattr("pokerlab.evaluation.matches.KEPT", 18 * 64 * 20)
    match = play_match(game, (Keeps(game), AlwaysCall(game)), 40, 1)
    assert len(match.won) == 40
    assert Keeps.seats == 2 * 4  # ten deals in both seats, four times


def test_a_deal_of_hold_em_makes_no_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    game = SMALL_HOLDEM
    expected = play_match(game, (EquityPlayer(game), Uniform(game)), 3, 1, values=CheckDown(game))
    monkeypatch.setattr("pokerlab.games.holdem.rules.card_payoffs", None)
    match = play_match(game, (EquityPlayer(game), Uniform(game)), 3, 1, values=CheckDown(game))
    np.testing.assert_array_equal(match.best, expected.best)


def test_hands_are_kept_as_they_were_played() -> None:
    game, hands = SMALL_HOLDEM, list[PlayedHand[HoldemState]]()
    names = ("equity", "uniform")
    agents = (EquityPlayer(game), Uniform(game))
    match = play_match(game, agents, 100, 1, names=names, keep=hands.append)
    won = [hand.payoffs[hand.names.index("equity")] for hand in hands]
    np.testing.assert_allclose(won, match.won.flatten())
    for first, second in zip(hands[::2], hands[1::2], strict=True):
        assert first.names == ("equity", "uniform")
        assert second.names == ("uniform", "equity")
        assert first.hands == second.hands
        boards = sorted((hand.states[-1].board for hand in (first, second)), key=len)
        assert boards[1][: len(boards[0])] == boards[0]
    all_in = [hand for hand in hands if len(hand.states[-1].board) > len(hand.states[-2].board) + 1]
    assert all_in
    for hand in hands:
        assert hand.payoffs[0] + hand.payoffs[1] == 0
        assert set(game.deck.hands[list(hand.hands)].flatten()).isdisjoint(hand.states[-1].board)
        stake = min(hand.states[-1].committed) + hand.states[-1].pot / 2
        assert abs(hand.payoffs[0]) == pytest.approx(stake) or hand.payoffs[0] == 0


def test_hold_em_estimates_agree_with_what_was_won() -> None:
    game = SMALL_HOLDEM
    match = play_match(game, (EquityPlayer(game), Uniform(game)), 70, 1, values=CheckDown(game))
    result, raw = match.result(), match.raw()
    assert abs(result.mean - raw.mean) < 2 * (result.half_width + raw.half_width)
    assert result.half_width < raw.half_width


@pytest.mark.parametrize("first", ["call", "network", "search_iteration"])
def test_playing_streets_out_says_the_same_with_less_luck(first: str) -> None:
    game = Leduc()
    torch.manual_seed(1)
    agents: dict[str, Agent] = {
        "call": AlwaysCall(game),
        "network": network(game, 1),
        "search_iteration": SearchAgent(
            game, Solver("linear_cfr"), ValueNetwork(game, 8, 2), iterations=3, way="search_iteration",
            like=torch.empty(0),
        ),
    }  # fmt: skip
    pair = agents[first], network(game, 2)
    played, checked = (play_match(game, pair, 150, 1, values=of(game)) for of in (StreetPlay, CheckDown))
    np.testing.assert_array_equal(played.won, checked.won)
    assert abs(played.result().mean - checked.result().mean) < 2 * checked.result().half_width
    assert played.aivat is not None
    assert checked.aivat is not None
    assert played.aivat.std() < checked.aivat.std()


def test_one_player_known_streets_are_checked_down() -> None:
    game = Leduc()
    pair = network(game, 1), network(game, 2)
    one, other = (
        play_match(game, pair, 20, 1, values=of(game), known=(True, False)) for of in (StreetPlay, CheckDown)
    )
    np.testing.assert_array_equal(one.best, other.best)


def test_hands_are_dealt_as_the_game_says() -> None:
    ranges = ("99,98s", "uniform")
    game = Holdem("turn", board="2c3d4h5s", pot=10, stack=20, blinds=(1, 2), ranks=8, ranges=ranges)
    hands = draw_hands(game, 4000, np.random.default_rng(0))
    joint = game.deal * np.outer(*game.initial_beliefs)
    assert (joint[hands[:, 0], hands[:, 1]] > 0).all()
    expected = 4000 * joint.sum(1) / joint.sum()
    found = np.bincount(hands[:, 0], minlength=game.num_hands)
    assert (np.abs(found - expected) < 4.5 * np.sqrt(expected) + 1e-9).all()


def test_streets_and_positions_add_up() -> None:
    game = Leduc()
    match = play_match(game, (network(game, 0), network(game, 1)), 200, 1, values=CheckDown(game))
    assert sum(hands for hands, _ in match.streets()) == 400
    assert sum(part.mean for _, part in match.streets()) == pytest.approx(match.result().mean)
    assert (match.position(0).mean + match.position(1).mean) / 2 == pytest.approx(match.result().mean)


def test_one_deal_has_no_interval() -> None:
    assert np.isnan(Estimate.of(np.array([1.0])).half_width)
    match = Match(np.array([[1.0, -1.0], [2.0, 0.0]]), None, np.zeros((2, 2), np.int64))
    assert match.deals_won() == 0.75
    assert match.result().mean == 0.5
