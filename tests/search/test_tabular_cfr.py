"""Games of any number of players in sequence form: OpenSpiel's numbers, and the two-player solver's."""

import numpy as np
import pyspiel
import pytest
import torch

from pokerlab.evaluation.policies import WholeGame
from pokerlab.games import make_game
from pokerlab.games.base import Floats, Game
from pokerlab.games.many_kuhn import ManyKuhn
from pokerlab.games.many_leduc import ManyLeduc
from pokerlab.games.many_players import ManyPlayerGame
from pokerlab.search.cfr import CFR
from pokerlab.search.rules import update_rule
from pokerlab.search.sequence_game import SequenceGame, information_states, measure, sequence_game
from pokerlab.search.tabular_cfr import TabularCFR


def some_strategy(game: SequenceGame) -> Floats:
    sums = np.random.default_rng(3).random((game.num_edges, game.num_hands))
    return game.average(sums)


def nash_conv_of_openspiel(name: str, game: SequenceGame, strategy: Floats) -> float:
    policy = {state: list(chances.items()) for state, chances in information_states(game, strategy)}
    return pyspiel.nash_conv(pyspiel.load_game(name), pyspiel.TabularPolicy(policy))


@pytest.mark.parametrize(
    "game", [ManyKuhn(3), ManyKuhn(4), ManyLeduc(2), make_game("leduc")], ids=lambda game: game.name
)
def test_nash_conv_is_openspiels(game: Game | ManyPlayerGame) -> None:
    found = sequence_game(game)
    name = getattr(game, "openspiel_name", "")
    for strategy in (found.uniform(), some_strategy(found)):
        expected = nash_conv_of_openspiel(name, found, strategy)
        assert measure(found, strategy)[0].nash_conv == pytest.approx(expected, abs=1e-9)


def test_leduc_of_three_is_openspiels() -> None:
    game = sequence_game(ManyLeduc(3))
    assert game.possible.sum() == 25_800
    # pyspiel.nash_conv(leduc_poker(players=3), uniform), which takes 40 seconds
    assert measure(game, game.uniform())[0].nash_conv == pytest.approx(12.611221340388, abs=1e-9)


def test_leduc_of_three_has_openspiels_states_and_payoffs() -> None:
    game, other = ManyLeduc(3), pyspiel.load_game("leduc_poker(players=3)")
    random = np.random.default_rng(1)
    for _ in range(200):
        ours, theirs = game.root(), other.new_initial_state()
        cards = random.permutation(game.num_hands)
        for card in cards[:3]:
            theirs.apply_action(int(card))
        while not theirs.is_terminal():
            if theirs.is_chance_node():
                board = int(cards[3])
                theirs.apply_action(board)
                ours = game.chance_outcomes(ours)[board]
                continue
            player = game.actor(ours)
            assert player == theirs.current_player()
            assert game.information_state(ours, int(cards[player])) == theirs.information_state_string()
            assert list(game.actions(ours)) == theirs.legal_actions()
            action = int(random.choice(theirs.legal_actions()))
            theirs.apply_action(action)
            ours = game.next_state(ours, action)
        hands = tuple(cards[:3])
        pays = [
            sum(share.chips[player] * game.kernel(share.kernel)[player][hands] for share in game.shares(ours))
            / game.deal[hands]
            for player in range(3)
        ]
        assert pays == pytest.approx(theirs.returns(), abs=1e-9)


@pytest.mark.parametrize("rule", ["cfr", "dcfr", "pcfr_plus"])
def test_iterations_of_two_players_are_those_of_cfr(rule: str) -> None:
    game = make_game("leduc")
    whole, flat = WholeGame(game), sequence_game(game)
    expected = CFR(whole.forest, whole.belief, update_rule(rule), alternating=True, backend="tensors").run(7)
    found = TabularCFR(flat, update_rule(rule)).run(7)
    edges = whole.forest.to_edges(expected.average_strategy())
    possible = torch.as_tensor(flat.possible[flat.edge_node])
    difference = (edges - torch.as_tensor(found.average_strategy())) * possible
    assert difference.abs().max() < 1e-9


def test_kuhn_of_three_is_solved_as_openspiel_solves_it() -> None:
    cfr = TabularCFR(sequence_game(ManyKuhn(3)), update_rule("cfr_plus")).run(1000)
    assert cfr.measure()[0].nash_conv == pytest.approx(3.2e-5, rel=0.02)


def test_only_allowed_actions_are_played() -> None:
    game = sequence_game(make_game("leduc"))
    allowed = np.random.default_rng(2).random((game.num_edges, game.num_hands)) < 0.5
    allowed[game.nodes.first] = True  # one of each node
    cfr = TabularCFR(game, update_rule("dcfr"), allowed=allowed).run(300)
    assert (cfr.average_strategy()[~allowed] == 0).all()
    inside, _ = cfr.measure(restricted=True)
    outside, _ = cfr.measure()
    assert inside.nash_conv < 0.01 < outside.nash_conv


def test_players_are_counted() -> None:
    with pytest.raises(ValueError, match=r"^players must be an integer between 2 and 5, got 6$"):
        ManyKuhn(6)
    with pytest.raises(ValueError, match=r"^players must be an integer between 2 and 4, got 5$"):
        ManyLeduc(5)
    with pytest.raises(ValueError, match=r"^leduc3 has more than two players: expected one of "):
        make_game("leduc3")
