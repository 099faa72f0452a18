"""Which iteration search goes on from, and what that is good for."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.kuhn import Kuhn, KuhnState
from pokerlab.games.leduc import Leduc
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.cfr import CFR
from pokerlab.search.forest import Forest
from pokerlab.search.gadget import Gadget
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.locks import Locks
from pokerlab.search.sampling import SampledStrategies
from pokerlab.search.solver import Solver

GAME = Kuhn(depth_limit=2)
LIMIT = KuhnState((0, 1))
"""Pass, bet: the one state below the depth limit."""


class CalledOrFolded:
    """Exact values of Kuhn's pass, bet: player 0 calls with the hands that gain by it."""

    beats = torch.sign(torch.arange(3.0, dtype=torch.float64)[:, None] - torch.arange(3.0))
    other = 1 - torch.eye(3, dtype=torch.float64)

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        assert features.tolist() == [GAME.features(LIMIT)]
        return self.values

    def values(self, beliefs: Tensor) -> Tensor:
        first, second = beliefs[:, 0]
        mass_of_second, mass_of_first = self.other @ second, self.other @ first
        call, fold = 2 * self.beats @ second, -mass_of_second
        calls = (call > fold).double() + (call == fold) / 2
        first_wins = torch.maximum(call, fold)
        second_wins = (self.other * (1 - calls)) @ first + 2 * (self.beats * calls) @ first
        chips = [first_wins / mass_of_second, second_wins / mass_of_first]
        return torch.stack(chips).nan_to_num(0)[:, None] / GAME.pot(LIMIT)


def search(
    whole: WholeGame,
    solver: Solver,
    leaf_evaluator: LeafEvaluator,
    iterations: int,
    play_throughs: int,
    seed: int = 0,
) -> Tensor:
    return search_policy(
        whole,
        solver,
        leaf_evaluator,
        iterations=iterations,
        play_throughs=play_throughs,
        generator=torch.Generator().manual_seed(seed),
        like=torch.empty(0, dtype=torch.float64),
    )


@pytest.mark.parametrize("rule", ["cfr_plus", "dcfr", "pcfr_plus"])
def test_with_exact_leaf_values_search_plays_the_equilibrium(rule: str) -> None:
    whole = WholeGame(GAME)
    found = whole.exploitability(search(whole, Solver(rule), CalledOrFolded(), 300, 300))
    assert found.exploitability < 0.0015
    assert abs(found.value + 1 / 18) < 0.001


@pytest.mark.parametrize("rule", ["cfr_plus", "dcfr", "pcfr_plus"])
def test_going_on_from_the_average_does_not_even_with_exact_leaf_values(rule: str) -> None:
    """At equilibrium the queen is indifferent: what answers one belief is not what held all along."""
    whole = WholeGame(GAME)
    found = whole.exploitability(search(whole, Solver(rule), CalledOrFolded(), 300, 0))
    assert 0.02 < found.exploitability < 0.15
    assert abs(found.value + 1 / 18) < 0.005  # each subgame by itself is solved


def test_more_play_throughs_come_closer_to_the_expectation() -> None:
    whole, solver = WholeGame(GAME), Solver("dcfr")
    policies = {n: search(whole, solver, CalledOrFolded(), 100, n) for n in (1, 10, 99, 100)}
    exploitability = {n: whole.exploitability(policy).exploitability for n, policy in policies.items()}
    assert exploitability[1] > exploitability[10] > exploitability[100]
    assert torch.allclose(policies[99], policies[100], rtol=0, atol=0.1)


class TellingCFR(CFR):
    """Another strategy each iteration; the average strategy says what the beliefs are."""

    def run(self, iterations: int, samples: SampledStrategies | None = None) -> CFR:
        for _ in range(iterations):
            super().run(1, samples)
            self.strategy.copy_(scripted(self.iteration + 1, self.strategy))
        return self

    def average_strategy(self) -> Tensor:
        return leaf_values_of(self.belief[:, self.forest.decisions.subgame])


class TellingSolver(Solver):
    """Starts :class:`TellingCFR`."""

    def start(
        self,
        forest: Forest,
        belief: Tensor,
        leaf_evaluator: LeafEvaluator | None = None,
        gadget: Gadget | None = None,
        locks: Locks | None = None,
    ) -> CFR:
        return TellingCFR(
            forest,
            belief,
            self.rule,
            alternating=False,
            backend="tensors",
            leaf_evaluator=leaf_evaluator,
        )


def scripted(t: int, like: Tensor) -> Tensor:
    if t == 1:
        return torch.full_like(like, 0.5)
    pass_ = torch.rand(like.shape[1:], generator=torch.Generator().manual_seed(t), dtype=like.dtype)
    return torch.stack([pass_, 1 - pass_])


def leaf_values_of(beliefs: Tensor) -> Tensor:
    """A strategy ``[2, n, H]`` that only beliefs ``[2, n, H]`` lead to."""
    pass_ = (beliefs[0] + beliefs[1].flip(-1) / 2) / 2
    return torch.stack([pass_, 1 - pass_])


class Nothing:
    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        return torch.zeros_like


def shares(solver: Solver, iterations: int, play_throughs: int, seed: int = 0) -> Tensor:
    """``[iterations]`` the share of play-throughs that go on from each, as the policy at the limit tells.

    A hand's policy there is the mean of what was told, weighed by share and own reach: three equations.
    """
    whole = WholeGame(GAME)
    first_subgame = [state for state in whole.states if state != LIMIT]
    first, second = (first_subgame.index(KuhnState(line)) for line in ((), (0,)))
    policy = search(whole, solver, Nothing(), iterations, play_throughs, seed)[0, whole.index[LIMIT]]
    equations = []
    for t in range(1, iterations + 1):
        strategy = scripted(t, torch.empty(2, len(first_subgame), 3, dtype=torch.float64))
        reach = torch.stack([strategy[0, first], strategy[1, second]])  # player 0 passed, player 1 bet
        values_here = leaf_values_of((reach / reach.sum(1, keepdim=True))[:, None])[0, 0]
        equations.append(reach[0] * (values_here - policy))
    system = torch.cat([torch.stack(equations, 1), torch.ones(1, iterations, dtype=torch.float64)])
    right = torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
    found = torch.linalg.lstsq(system, right[:, None]).solution[:, 0]
    torch.testing.assert_close(system @ found, right, rtol=0, atol=1e-9)
    return found


AVERAGING = pytest.mark.parametrize(
    ("averaging", "weights"),
    [("uniform", [1, 1, 1, 1]), ("linear", [1, 2, 3, 4]), ("quadratic", [1, 4, 9, 16])],
)


@AVERAGING
@pytest.mark.parametrize("play_throughs", [4, 5, 1000])
def test_as_many_play_throughs_as_iterations_go_on_from_each_with_its_averaging_weight(
    averaging: str, weights: list[float], play_throughs: int
) -> None:
    expected = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    for seed in (0, 1):
        found = shares(TellingSolver("cfr", averaging), 4, play_throughs, seed)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)


@AVERAGING
def test_one_play_through_goes_on_from_one_iteration_drawn_by_its_weight(
    averaging: str, weights: list[float]
) -> None:
    draws = 150
    found = torch.stack([shares(TellingSolver("cfr", averaging), 4, 1, seed) for seed in range(draws)])
    assert ((found.abs() < 1e-7) | ((found - 1).abs() < 1e-7)).all()
    expected = draws * np.array(weights) / sum(weights)
    spread = np.sqrt(expected * (1 - expected / draws))
    assert (np.abs(found.sum(0).numpy() - expected) < 4 * spread).all()


@AVERAGING
def test_fewer_play_throughs_are_spread_evenly(averaging: str, weights: list[float]) -> None:
    """One of the three from each third of the iterations' weights, wherever it falls there."""
    exactly = 3 * torch.tensor(weights, dtype=torch.float64) / sum(weights)
    found = [3 * shares(TellingSolver("cfr", averaging), 4, 3, seed) for seed in range(150)]
    for number in found:
        torch.testing.assert_close(number, number.round(), rtol=0, atol=1e-7)
        assert ((number.cumsum(0) - exactly.cumsum(0)).abs() < 1).all()
    distinct = {tuple(number.round().tolist()) for number in found}
    assert averaging != "uniform" or len(distinct) > 4, "each falls independently of the others"
    assert (torch.stack(found).mean(0) - exactly).abs().max() < 4 * 0.5 / np.sqrt(150)


@pytest.mark.parametrize("play_throughs", [0, 1, 3, 10])
def test_a_seed_fixes_the_policy_and_matters_only_where_iterations_are_drawn(play_throughs: int) -> None:
    torch.manual_seed(0)
    game = Leduc("after_deal")
    whole, network = WholeGame(game), ValueNetwork(game, 8, 1).double()
    policies = [search(whole, Solver(), network, 10, play_throughs, seed) for seed in (1, 1, 2)]
    assert torch.equal(policies[0], policies[1])
    assert torch.equal(policies[0], policies[2]) == (play_throughs in (0, 10))


def test_a_search_in_parts_finds_the_same() -> None:
    """As when memory is short."""
    whole = WholeGame(Leduc())
    torch.manual_seed(0)
    network = ValueNetwork(whole.game, hidden=8, layers=1).double()
    together, one_by_one = (
        search(whole, Solver("cfr_plus", memory_gb=memory), network, iterations=12, play_throughs=12)
        for memory in (4, 1e-9)
    )
    torch.testing.assert_close(one_by_one, together, rtol=0, atol=1e-9)
