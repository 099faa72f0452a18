"""What self-play learns from: counts, shapes, sums, and values against exact solves."""

from typing import Any

import numpy as np
import pytest
import torch
from scripted import DOUBLE, Examples, RepeatingSelfPlay, joint_beliefs, with_features
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import BET, Kuhn, KuhnState
from pokerlab.games.leduc import CALL, Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.games.parts import network_features
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.best_response import exploitability, strategy_values
from pokerlab.search.forest import Forest
from pokerlab.search.leaves import LeafEvaluator
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree
from pokerlab.selfplay.examples import ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.trajectories import SelfPlay

GAMES: dict[str, Game] = {
    "leduc after deal": Leduc("after_deal"),
    "leduc before deal": Leduc("before_deal"),
    "kuhn 1": Kuhn(depth_limit=1),
    "kuhn 2": Kuhn(depth_limit=2),
    "kuhn": Kuhn(),
}
EVERYWHERE = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES.keys())
ROUND = 3
"""Leduc's feature that is 1 in the second round."""
DEAL = 2
"""Leduc's feature that is 1 where a card is about to be dealt."""
DECISIONS_A_ROUND = 6  # "", c, r, cr, rr, crr


def network(game: Game, seed: int = 0, **options: Any) -> ValueNetwork:
    torch.manual_seed(seed)
    return ValueNetwork(game, hidden=16, layers=2, **options).double()


def play(
    game: Game,
    trajectories: int = 200,
    *,
    iterations: int = 8,
    seed: int = 0,
    solver: Solver | None = None,
    leaf_evaluator: LeafEvaluator | None = None,
    like: Tensor = DOUBLE,
) -> Examples:
    selfplay = SelfPlay(game, solver or Solver(), search_iterations=iterations)
    return selfplay.generate(leaf_evaluator or network(game), trajectories, random_stream(seed), like)


def same(first: Examples, second: Examples) -> bool:
    values = ("features", "beliefs", "possible", "values")
    policies = ("features", "beliefs", "possible", "legal", "strategy")
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for one, other, names in zip(first, second, (values, policies), strict=True)
        for name in names
    )


@EVERYWHERE
def test_the_possible_hands_are_those_that_the_board_leaves(game: Game) -> None:
    for examples in play(game):
        expected = torch.ones(len(examples), game.num_hands, dtype=torch.bool)
        if isinstance(game, Leduc):
            expected = examples.features[:, 4:10] == 0
        assert torch.equal(examples.possible, expected)


@EVERYWHERE
def test_legal_actions_are_the_games(game: Game) -> None:
    _, policies = play(game)
    if not isinstance(game, Leduc):
        assert policies.legal.all()
        return
    committed, raises = policies.features[:, 10:12], policies.features[:, 12]
    free = committed[:, 0] == committed[:, 1]  # nobody folds for free, or raises a third time
    assert torch.equal(policies.legal, torch.stack([~free, torch.ones_like(free), raises < 1], 1))


@EVERYWHERE
def test_examples_are_float32_whatever_the_search_computes_in(game: Game) -> None:
    values, policies = play(game, 3)
    for column in (values.features, values.beliefs, values.values, policies.beliefs, policies.strategy):
        assert column.dtype == torch.float32


@EVERYWHERE
def test_alternating_values_are_close_to_zero_sum_under_the_joint_belief(game: Game) -> None:
    """Each player's are of another moment; with simultaneous updates the sum is exactly zero."""
    values, _ = play(game, iterations=50, solver=Solver(alternating=True))
    mass = game.mass_operator(values.beliefs)(values.beliefs.flip(1))
    total = (values.beliefs * mass * values.values).sum((1, 2)) / mass.sum((1, 2))
    assert 1e-6 < total.abs().max() < 0.02


@EVERYWHERE
def test_every_possible_hand_has_a_finite_value_also_where_nobody_believes_in_it(game: Game) -> None:
    values, _ = play(game, 500, iterations=20)
    assert values.values.isfinite().all()
    assert not values.values[~values.possible[:, None].expand_as(values.values)].any()


def test_a_hand_that_nobody_believes_in_has_the_value_of_holding_it() -> None:
    """After a bet player 1 calls half of the time in the first iteration, whatever player 0 holds."""
    game = Kuhn(depth_limit=1)
    root = torch.tensor([[[0.0, 0.0, 1.0]], [[0.25, 0.5, 0.25]]], dtype=torch.float64)
    state = KuhnState((BET,))
    tree = build_tree(game, state, depth_limited=True)
    cfr = Solver("cfr", alternating=False).start(Forest(game, [tree], dtype=torch.float64), root).run(1)
    selfplay = SelfPlay(game, Solver(), search_iterations=1)
    examples = selfplay.value_examples(cfr.forest, cfr.belief, cfr.root_infostate_values())
    values = examples.values[0] * 3  # chips
    jack = (-2 + 1) / 2  # it loses to both others, or they fold
    queen = (0.25 * (2 + 1) + 0.25 * (-2 + 1)) / 2 / 0.5
    king = (2 + 1) / 2
    torch.testing.assert_close(values[0], torch.tensor([jack, queen, king]))
    torch.testing.assert_close(values[1], torch.tensor([-1.5, -1.5, 0.0]))  # two kings: no value


@pytest.mark.parametrize("game", [Kuhn(depth_limit=1), Kuhn(depth_limit=2)])
def test_kuhn_has_a_policy_example_for_each_trajectory_and_decision_node_where_they_are_repeated(
    game: Kuhn,
) -> None:
    selfplay = RepeatingSelfPlay(game, Solver(), search_iterations=8)
    _, policies = selfplay.generate(network(game), 300, random_stream(0), DOUBLE)
    number = {
        line: int(with_features(policies, game, KuhnState(line)).sum()) for line in ((), (0,), (1,), (0, 1))
    }
    assert sum(number.values()) == len(policies)
    assert number[()] == 300
    assert number[0, 1] > 0
    if game.depth_limit == 1:  # each move is a subgame: one example for who is there
        assert number[0,] + number[1,] == 300
        assert number[0, 1] <= number[0,]
    else:  # both answers are nodes of the first subgame
        assert number[0,] == number[1,] == 300


@EVERYWHERE
def test_each_decision_of_each_solve_is_one_policy_example(game: Game) -> None:
    values, policies = play(game, 300)
    if isinstance(game, Leduc):
        deals = int((values.features[:, DEAL] == 1).sum())
        assert len(policies) == DECISIONS_A_ROUND * (len(values) - deals)
    else:
        root = {1: 1, 2: 3, None: 4}[game.depth_limit]  # type: ignore[attr-defined]
        assert len(policies) == root + len(values) - 1  # later subgames of Kuhn have one


def test_leduc_counts_examples_by_subgame() -> None:
    n, game = 400, GAMES["leduc after deal"]
    values, policies = play(game, n)
    second = policies.features[:, ROUND] == 1
    assert (~second).sum() == DECISIONS_A_ROUND
    starts = second & (policies.features[:, 12] == 0) & (policies.features[:, 0] == 1)
    starts &= policies.features[:, 10] == policies.features[:, 11]  # nobody has raised or called a raise
    reached = int(starts.sum())
    assert 0 < reached < n
    assert second.sum() == DECISIONS_A_ROUND * reached
    # whoever starts a subgame learns from its solve
    rows = torch.cat([policies.features[starts], policies.beliefs[starts].flatten(1)], 1)
    solved = torch.cat([values.features, values.beliefs.flatten(1)], 1)[values.features[:, ROUND] == 1]
    assert len(solved) == len(values) - 1 == reached
    assert torch.equal(solved.unique(dim=0), rows.unique(dim=0))


def test_a_deal_is_a_value_example_without_policy_examples() -> None:
    n, game = 400, GAMES["leduc before deal"]
    values, policies = play(game, n)
    deals = values.features[:, DEAL] == 1
    second = values.features[:, ROUND] == 1
    assert deals.sum() + second.sum() == len(values) - 1
    assert 0 < deals.sum() < second.sum() <= 6 * deals.sum()
    assert not (policies.features[:, DEAL] == 1).any()
    assert values.possible[deals].all()


def test_one_self_play_object_can_be_used_again() -> None:
    game = GAMES["leduc after deal"]
    selfplay, evaluator = SelfPlay(game, Solver(), search_iterations=4), network(game)
    selfplay.generate(evaluator, 20, random_stream(1), DOUBLE)
    second = selfplay.generate(evaluator, 20, random_stream(2), DOUBLE)
    assert same(second, play(game, 20, iterations=4, seed=2))


def test_single_precision_finds_the_same_values() -> None:
    game = Kuhn(depth_limit=2)
    double, _ = play(game, 50, iterations=20)
    single, _ = play(game, 50, iterations=20, leaf_evaluator=network(game).float(), like=torch.empty(0))
    torch.testing.assert_close(single.values[0], double.values[0], atol=1e-5, rtol=0)


def second_rounds(values: ValueExamples, number: int) -> tuple[Forest, Tensor, Tensor]:
    """The first subgames after a deal: (forest, beliefs ``[2, B, H]``, values ``[2, B, H]`` in pots)."""
    game = GAMES["leduc after deal"]
    chosen = (values.features[:, ROUND] == 1).nonzero()[:number, 0]
    states = []
    for features in values.features[chosen]:
        first, second = (round(chips * 13) for chips in features[10:12].tolist())
        board = int(features[4:10].argmax())
        states.append(LeducState(((CALL, CALL), ()), (first, second), board))  # any line with these chips
    trees = [build_tree(game, state, depth_limited=False) for state in states]
    forest = Forest(game, trees, dtype=torch.float64)
    assert forest.num_subgames == number
    return (
        forest,
        values.beliefs[chosen].transpose(0, 1).double(),
        values.values[chosen].transpose(0, 1).double(),
    )


def pots(forest: Forest) -> Tensor:
    return torch.tensor([forest.game.pot(tree.root) for tree in forest.trees])


@pytest.mark.parametrize("game", [*GAMES.values(), LiarsDice(1, 3, depth_limit=1)], ids=[*GAMES, "dice"])
@pytest.mark.parametrize("memory_gb", [1e-9, 1e-5, 1e-4])
def test_subgames_solved_in_parts_give_the_same_examples(game: Game, memory_gb: float) -> None:
    """As when memory is short: to rounding, and policies in another order; of dice over many subgames."""
    together, in_parts = (play(game, 150, solver=Solver(memory_gb=memory)) for memory in (4, memory_gb))
    for name in ("features", "beliefs", "possible", "values"):
        torch.testing.assert_close(getattr(in_parts[0], name), getattr(together[0], name), atol=1e-6, rtol=0)
    assert len(together[1]) == len(in_parts[1])
    for name in ("features", "beliefs", "strategy"):
        ours, theirs = (
            getattr(policies, name).double().flatten(1) for policies in (together[1], in_parts[1])
        )
        torch.testing.assert_close(ours.sort(0).values, theirs.sort(0).values, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alternating", [False, True])
def test_expected_values_of_second_rounds_agree_with_a_long_solve(alternating: bool) -> None:
    """Within 0.01 of the pot. Single hands' values come far later where updates are simultaneous."""
    solver = Solver("dcfr", alternating=alternating)
    values, _ = play(GAMES["leduc after deal"], 150, iterations=300, solver=solver)
    forest, beliefs, found = second_rounds(values, 40)
    long = Solver("cfr_plus", "quadratic").start(forest, beliefs).run(2000).average_strategy()
    exact = exploitability(forest, long, beliefs)
    assert (exact.exploitability < 0.001 * pots(forest)).all()
    joint = joint_beliefs(forest.game, beliefs.transpose(0, 1))
    expected = torch.stack([(joint.sum(2) * found[0]).sum(1), (joint.sum(1) * found[1]).sum(1)])
    exactly = torch.stack([exact.value, -exact.value]) / pots(forest)
    torch.testing.assert_close(expected, exactly, rtol=0, atol=0.01)


@pytest.mark.parametrize("alternating", [False, True])
def test_a_hands_value_is_that_of_its_best_response(alternating: bool) -> None:
    """Of every hand, believed in or not, against the other's average strategy; within 0.02 of the pot."""
    solver = Solver("dcfr", alternating=alternating)
    values, _ = play(GAMES["leduc after deal"], 150, iterations=10, solver=solver)
    forest, beliefs, _ = second_rounds(values, 40)
    # simultaneous updates find what hands are worth that nobody believes in far later than the others
    cfr = solver.start(forest, beliefs).run(3000)
    found, average = cfr.root_infostate_values() / pots(forest)[:, None], cfr.average_strategy()
    compared = 0
    for player in (0, 1):
        for hand in range(6):
            holding = beliefs.clone()
            holding[player] = torch.eye(6)[hand]
            best = exploitability(forest, average, holding).best_response[player] / pots(forest)
            others = torch.arange(6) != hand
            defined = (beliefs[1 - player][:, others].sum(1) > 1e-6) & (forest.root_possible[:, hand] > 0)
            assert (best - found[player, :, hand])[defined].abs().max() < 0.02
            compared += int(defined.sum())
    assert compared > 40 * 2 * 4


# Several targets a solve


def second_level(game: Game, evaluator: LeafEvaluator, iterations: int) -> Tensor:
    """Features, beliefs and values of all that can be an example one subgame below the game's root."""
    root = Forest(game, [build_tree(game, game.root(), depth_limited=True)], dtype=torch.float64)
    initial = torch.as_tensor(game.initial_beliefs)[:, None]
    cfr, believed = Solver().start(root, initial, evaluator), []
    for _ in range(iterations):
        believed.append(root.beliefs_at(root.leaves, root.reach(cfr.strategy, belief=initial), initial))
        cfr.step()
    rows = []
    for leaf, node in enumerate(root.leaves.node):
        tree = build_tree(game, root.trees[0].leaves.states[node], depth_limited=True)
        beliefs = torch.stack([at_leaves[:, leaf] for at_leaves in believed], 1)
        forest = Forest(game, [tree], np.zeros(iterations, np.int64), dtype=torch.float64)
        solved = Solver().start(forest, beliefs, evaluator).run(iterations)
        found = [solved.root_infostate_values()]
        for t in range(iterations):  # what was found at iteration t's beliefs, at those of all iterations
            from_t = forest.on_copies(solved.average_strategy(), forest, np.full(iterations, t))
            found.append(strategy_values(forest, from_t, beliefs, evaluator))
        features = torch.tensor([network_features(game).features(tree.root)] * iterations)
        for values in found:
            of_both = torch.cat([beliefs, values / game.pot(tree.root)]).transpose(0, 1).flatten(1)
            rows.append(torch.cat([features, of_both], 1))
    return torch.cat(rows)


@pytest.mark.parametrize("game", [LiarsDice(1, 3), Leduc()], ids=["dice", "leduc"])
def test_more_targets_are_what_iterations_believed_valued_under_the_average_strategy(game: Game) -> None:
    evaluator, with_beliefs = network(game), network_features(game).num_features + 2 * game.num_hands
    plays = [
        SelfPlay(game, Solver(), search_iterations=5, targets=targets).generate(
            evaluator, 40, random_stream(3), DOUBLE
        )
        for targets in (1, 4)
    ]
    (alone, _), (values, _) = plays
    assert len(values) > 3 * len(alone)
    expected = second_level(game, evaluator, iterations=5)
    shown = 0
    for example in torch.cat([values.features, values.beliefs.flatten(1), values.values.flatten(1)], 1):
        errors = (expected - example).abs()
        if errors[:, :with_beliefs].amax(1).min() < 1e-6:  # of that level
            assert errors.amax(1).min() < 1e-5
            shown += 1
    assert shown > 60


def test_one_target_a_solve_at_least() -> None:
    with pytest.raises(ValueError, match=r"^targets must be at least 1, got 0"):
        SelfPlay(Kuhn(), Solver(), search_iterations=1, targets=0)
