"""A game of rules alone is solved, measured and played; what needs an optional part says so in a line."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import pokerlab
from pokerlab.agents.baselines import AlwaysCall, Uniform
from pokerlab.algorithms.rebel import ReBeL
from pokerlab.evaluation.contest import value_function
from pokerlab.evaluation.local_best_response import LocalBestResponse
from pokerlab.evaluation.policies import WholeGame
from pokerlab.evaluation.strategy_tables import public_lines
from pokerlab.games.base import Game, PayoffOperator, Terminal
from pokerlab.games.kuhn import Kuhn, KuhnState
from pokerlab.games.parts import features_of, openspiel_names, symmetry_of
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.forest import uniform_strategy
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.testing import check_game

KUHN = Kuhn()


class Rules(Game[KuhnState]):
    """Kuhn poker with nothing but the methods that a game must have."""

    name = "rules"
    num_hands, deal, action_labels = KUHN.num_hands, KUHN.deal, KUHN.action_labels

    def root(self) -> KuhnState:
        return KUHN.root()

    def actor(self, state: KuhnState) -> int:
        return KUHN.actor(state)

    def actions(self, state: KuhnState) -> tuple[int, ...]:
        return KUHN.actions(state)

    def next_state(self, state: KuhnState, action: int) -> KuhnState:
        return KUHN.next_state(state, action)

    def terminal(self, state: KuhnState) -> Terminal:
        return KUHN.terminal(state)

    def payoff_operator(self, kernels: Sequence[int], like: Tensor) -> PayoffOperator:
        return KUHN.payoff_operator(kernels, like)

    def pot(self, state: KuhnState) -> float:
        return KUHN.pot(state)


RULES = Rules()


def test_rules_are_all_that_a_game_must_have() -> None:
    check_game(RULES)
    spot = pokerlab.solve(RULES, iterations=2000, dtype=torch.float64)
    assert spot.value == pytest.approx(-1 / 18, abs=1e-4)
    assert spot.table().equity is None
    assert pokerlab.exploitability(RULES, Uniform(RULES)).exploitability == pytest.approx(
        11 / 24
    )  # OpenSpiel's
    ours, theirs = (
        pokerlab.play_match(game, Uniform(game), Uniform(game), deals=50, seed=1, aivat=False).mean
        for game in (RULES, KUHN)
    )
    assert ours == theirs


def test_parts_that_are_missing_are_left_out() -> None:
    assert features_of(RULES, [RULES.root()]).shape == (1, 0)
    assert symmetry_of(RULES) is None
    assert public_lines(RULES) == public_lines(KUHN)


def test_information_states_without_openspiels_names_are_hands_and_lines() -> None:
    whole = WholeGame(RULES)
    named = dict(whole.information_states(uniform_strategy(whole.forest)))
    assert len(named) == 12
    assert {"0", "2 pass", "1 bet", "1 pass bet"} <= set(named)
    assert named["1 pass bet"] == {0: 0.5, 1: 0.5}


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: ValueNetwork(RULES, 8, 1), "rules has no features for networks"),
        (lambda: PolicyNetwork(RULES, 8, 1), "rules has no features for networks"),
        (lambda: ValueExamples.none(RULES), "rules has no features for networks"),
        (lambda: PolicyExamples.none(RULES), "rules has no features for networks"),
        (lambda: AlwaysCall(RULES), "rules has no calling"),
        (lambda: LocalBestResponse(RULES, Uniform(RULES)), "rules has no calling"),
        (lambda: value_function("check_down", RULES), "value positions by, for rules has no calling"),
        (lambda: openspiel_names(RULES), "rules is not in OpenSpiel"),
    ],
)  # fmt: skip
def test_what_needs_a_part_says_which_is_missing(use: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use()


def test_rebel_does_not_begin_without_features() -> None:
    with pytest.raises(ValueError, match="rules has no features for networks"):
        ReBeL(
            RULES,
            solver=Solver(),
            value_network=lambda game: ValueNetwork(game, 8, 1),
            policy_network=lambda game: PolicyNetwork(game, 8, 1),
            iterations=1,
            seed=1,
            search_iterations=1,
            value_capacity=1,
            policy_capacity=1,
        )
