"""Policies of the whole game against plain recursions over public states."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.parts import network_features
from pokerlab.learning.networks import PolicyNetwork, ValueNetwork
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames

Floats: TypeAlias = NDArray[np.float64]
Policy: TypeAlias = dict[Any, Floats]
"""Public state → ``[legal actions, H]``."""

DOUBLE = torch.empty(0, dtype=torch.float64)


def below(game: Game, state: Any) -> list[Any]:
    if game.actor(state) == CHANCE:
        return list(game.chance_outcomes(state))
    return [game.next_state(state, action) for action in game.actions(state)]


def after_deal(game: Game, state: Any, beliefs: Floats) -> Floats:
    """Beliefs at ``state``; where its board blocks all that was believed, everything possible is."""
    possible = game.possible_hands(state)
    left = np.where((beliefs * possible).any(1, keepdims=True), beliefs * possible, possible)
    return left / left.sum(1, keepdims=True)


def after_action(beliefs: Floats, actor: int, chances: Floats) -> Floats:
    """Beliefs after an action with ``chances`` ``[H]``; as before where no believed hand takes it."""
    after = beliefs.copy()
    after[actor] *= chances
    return after / after.sum(1, keepdims=True) if after[actor].any() else beliefs


def own_reach(weight: Floats, actor: int, chances: Floats) -> Floats:
    after = weight.copy()
    after[actor] *= chances
    return after


def as_policy(whole: WholeGame, strategy: Tensor) -> Policy:
    return {
        state: strategy[: len(whole.game.actions(state)), d].numpy() for d, state in enumerate(whole.states)
    }


def assert_same(found: Policy, expected: Policy, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for state, chances in found.items():
        np.testing.assert_allclose(chances, expected[state], rtol=0, atol=tolerance, err_msg=str(state))


def recursive_network_policy(game: Game, network: PolicyNetwork) -> Policy:
    policy: Policy = {}

    def walk(state: Any, beliefs: Floats) -> None:
        actor = game.actor(state)
        if actor == TERMINAL:
            return
        if actor == CHANCE:
            for child in below(game, state):
                walk(child, after_deal(game, child, beliefs))
            return
        actions = list(game.actions(state))
        legal = torch.zeros(1, game.num_actions, dtype=torch.bool)
        legal[0, actions] = True
        features = torch.tensor([network_features(game).features(state)], dtype=torch.float64)
        with torch.no_grad():
            log_policy = network(features, torch.as_tensor(beliefs)[None], legal)
        policy[state] = log_policy[0, actions].exp().numpy()
        for child, chances in zip(below(game, state), policy[state], strict=True):
            walk(child, after_action(beliefs, actor, chances))

    walk(game.root(), np.full((2, game.num_hands), 1 / game.num_hands))
    return policy


@pytest.mark.parametrize("game", [Kuhn(), Leduc()], ids=["kuhn", "leduc"])
def test_the_policy_network_is_asked_with_the_beliefs_that_its_own_play_induces(game: Game) -> None:
    torch.manual_seed(0)
    whole, network = WholeGame(game), PolicyNetwork(game, hidden=16, layers=2).double()
    strategy = network.strategy(whole.forest, whole.belief)
    assert_same(as_policy(whole, strategy), recursive_network_policy(game, network), 1e-9)
    torch.testing.assert_close(strategy.sum(0), torch.ones_like(strategy[0]))
    assert not strategy[~whole.forest.legal.expand_as(strategy)].any()


@pytest.mark.parametrize(("game", "seed"), [(Kuhn(), 12), (Leduc(), 3)], ids=["kuhn", "leduc"])
def test_beliefs_stay_where_pure_play_never_goes(game: Game, seed: int) -> None:
    """Of the first round: a deal can block all that was believed."""
    torch.manual_seed(seed)
    whole, network = WholeGame(game), PolicyNetwork(game, hidden=16, layers=2).double()
    with torch.no_grad():
        network.mlp.rest[-1].weight.mul_(30_000)  # type: ignore[operator]
    expected = recursive_network_policy(game, network)
    first = {state: chances for state, chances in expected.items() if game.possible_hands(state).all()}
    assert any((chances == 0).all(1).any() for chances in first.values())  # no hand takes an action
    found = as_policy(whole, network.strategy(whole.forest, whole.belief))
    assert_same({state: found[state] for state in first}, first, 1e-9)


def test_a_policy_network_in_single_precision_plays_the_same() -> None:
    game = Leduc()
    torch.manual_seed(0)
    whole, network = WholeGame(game), PolicyNetwork(game, hidden=16, layers=2)
    single = network.strategy(whole.forest, whole.belief)
    assert single.dtype == torch.float64
    torch.testing.assert_close(
        single, network.double().strategy(whole.forest, whole.belief), rtol=0, atol=1e-5
    )


class Searched:
    """The mixture that an agent plays, subgame by subgame, each solved alone.

    Args:
        game: the rules.
        solver: the CFR variant.
        leaf_evaluator: the value network.
        iterations: CFR iterations a subgame.
        share: of iteration t (from 1) among the belief states that the first subgame goes on from; null:
            it goes on from the average strategy.
    """

    def __init__(
        self,
        game: Game,
        solver: Solver,
        leaf_evaluator: LeafEvaluator,
        iterations: int,
        share: Callable[[int], float] | None,
    ) -> None:
        self.game, self.solver, self.leaf_evaluator = game, solver, leaf_evaluator
        self.iterations, self.share = iterations, share
        self.played: Policy = {}
        self.unweighted: Policy = {}
        uniform = np.full((2, game.num_hands), 1 / game.num_hands)
        self._search(game.root(), uniform, np.ones((2, game.num_hands)))

    def _search(self, root: Any, beliefs: Floats, weight: Floats) -> None:
        forest = Subgames(self.game).forest([root], DOUBLE)
        cfr = self.solver.start(forest, torch.as_tensor(beliefs)[:, None], self.leaf_evaluator)
        states = [forest.trees[0].decisions.states[node] for node in forest.decisions.node]

        def policy_of(strategy: Tensor) -> Policy:
            return {
                state: strategy[: len(self.game.actions(state)), d].numpy().copy()
                for d, state in enumerate(states)
            }

        by_iteration = []
        for _ in range(self.iterations):
            by_iteration.append(policy_of(cfr.strategy))
            cfr.step()
        average = policy_of(cfr.average_strategy())
        self._add(root, root, 0, weight, average)
        if not states:  # a deal
            self._go_on(root, root, 0, beliefs, weight, {})
        elif self.share is None:
            self._go_on(root, root, 0, beliefs, weight, average)
        else:
            for t, policy in enumerate(by_iteration, 1):
                if share := self.share(t):
                    self._go_on(root, root, 0, beliefs, weight * share, policy)

    def _is_leaf(self, root: Any, state: Any, depth: int) -> bool:
        return depth > 0 and self.game.is_leaf(root, state, depth)

    def _add(self, root: Any, state: Any, depth: int, weight: Floats, average: Policy) -> None:
        """Adds the average strategy, weighed by own reach."""
        actor = self.game.actor(state)
        if actor in (TERMINAL, CHANCE) or self._is_leaf(root, state, depth):
            return
        chances = average[state]
        self.played[state] = self.played.get(state, 0) + weight[actor] * chances
        self.unweighted[state] = self.unweighted.get(state, 0) + chances
        for child, chance in zip(below(self.game, state), chances, strict=True):
            self._add(root, child, depth + 1, own_reach(weight, actor, chance), average)

    def _go_on(
        self, root: Any, state: Any, depth: int, beliefs: Floats, weight: Floats, policy: Policy
    ) -> None:
        actor = self.game.actor(state)
        if actor == TERMINAL:
            return
        if self._is_leaf(root, state, depth):
            self._search(state, beliefs, weight)
            return
        for number, child in enumerate(below(self.game, state)):
            if actor == CHANCE:
                after, own = after_deal(self.game, child, beliefs), weight
            else:
                chance = policy[state][number]
                after, own = after_action(beliefs, actor, chance), own_reach(weight, actor, chance)
            self._go_on(root, child, depth + 1, after, own, policy)

    def policy(self) -> Policy:
        """Normalised; where no hand comes, the mean of what was found."""
        mixed = {}
        for state, played in self.played.items():
            chances = np.where(played.sum(0) > 0, played, self.unweighted[state])
            mixed[state] = chances / chances.sum(0)
        return mixed


def value_network(game: Game) -> ValueNetwork:
    torch.manual_seed(1)
    return ValueNetwork(game, hidden=8, layers=2).double()


def found(
    game: Game, solver: Solver, network: LeafEvaluator, iterations: int, play_throughs: int, seed: int = 0
) -> Policy:
    whole = WholeGame(game)
    strategy = search_policy(
        whole,
        solver,
        network,
        iterations=iterations,
        play_throughs=play_throughs,
        generator=torch.Generator().manual_seed(seed),
        like=DOUBLE,
    )
    return as_policy(whole, strategy)


def averaging_weights(solver: Solver, iterations: int) -> Floats:
    weights = np.array([solver.rule.weight(t) for t in range(1, iterations + 1)])
    return weights / weights.sum()


@pytest.mark.parametrize("play_throughs", [0, 5, 6])
@pytest.mark.parametrize(
    ("game", "alternating"),
    [
        (Kuhn(), True),
        (Kuhn(), False),
        (Kuhn(depth_limit=2), True),
        (Kuhn(depth_limit=2), False),
        (Leduc("after_deal"), True),
        (Leduc("before_deal"), True),  # with simultaneous updates, Leduc's suits tie in all but rounding
    ],
)
def test_search_policies_are_the_expectation_over_the_iteration_they_go_on_from(
    game: Game, alternating: bool, play_throughs: int
) -> None:
    iterations, solver, network = 5, Solver("linear_cfr", alternating=alternating), value_network(game)
    share = (lambda t: t / 15) if play_throughs else None
    expected = Searched(game, solver, network, iterations, share).policy()
    assert_same(found(game, solver, network, iterations, play_throughs), expected, 1e-9)


class AverageOverCards:
    """Values a deal by asking a network for each card: what a perfect network would have learned of it."""

    def __init__(self, game: Game, network: ValueNetwork) -> None:
        self.network, self.mass = network, game.mass_operator(DOUBLE)

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        if not (features[:, 2] == 1).any():
            return self.network.at(features, possible)
        dealt = features.repeat(6, 1, 1)  # [card, L, F]
        dealt[:, :, :4] = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=features.dtype)  # player 0, round two
        dealt[:, :, 4:10] = torch.eye(6, dtype=features.dtype)[:, None]
        dealt[:, :, 12] = 0
        left = 1 - torch.eye(6, dtype=features.dtype)[:, None]  # [card, 1, H]
        evaluate = self.network.at(dealt.flatten(0, 1), possible)

        def values(beliefs: Tensor) -> Tensor:
            unnormalised = beliefs[:, None] * left  # [2, card, L, H]
            total = unnormalised.sum(-1, keepdim=True)
            after = torch.where(total > 0, unnormalised / total.clamp_min(1e-300), left / 5)
            of_card = evaluate(after.flatten(1, 2)).view_as(after)
            weight = self.mass(unnormalised.flip(0)) * left / 4
            mass = self.mass(beliefs.flip(0))
            return (of_card * weight).sum(1) / mass.clamp_min(1e-300)

        return values


def test_where_the_first_round_ends_makes_no_difference_to_a_network_that_knows_the_deal() -> None:
    after, before = Leduc("after_deal"), Leduc("before_deal")
    network, solver = value_network(after), Solver("cfr")
    known = found(before, solver, AverageOverCards(before, network), 6, 6)
    assert_same(known, found(after, solver, network, 6, 6), 1e-9)
