"""Where trajectories go, and with which beliefs, when every strategy is known."""

from typing import Any

import numpy as np
import pytest
import torch
from scripted import (
    DOUBLE,
    NoValues,
    Script,
    ScriptedSolver,
    count,
    exploring,
    joint_beliefs,
    joints,
    random_script,
    scripted_play,
    subgame_roots,
    with_features,
)

from pokerlab.games.base import CHANCE, Game
from pokerlab.games.kuhn import BET, PASS, Kuhn, KuhnState
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.games.parts import network_features
from pokerlab.search.leaves import LeafValues
from pokerlab.search.resolving import Part
from pokerlab.search.solver import Solver
from pokerlab.search.subgames import Subgames
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.sampling import TrajectorySampler
from pokerlab.selfplay.trajectories import SelfPlay

N = 20_000
LIMITED = pytest.mark.parametrize(
    "game",
    [Kuhn(depth_limit=1), Kuhn(depth_limit=2), Leduc("after_deal"), Leduc("before_deal")],
    ids=["kuhn 1", "kuhn 2", "leduc after deal", "leduc before deal"],
)


def fixed(script: Script) -> Script:
    """The first iteration's strategy in all iterations."""
    return lambda state, t: script(state, 1)


def is_sampled(found: int, probability: float) -> bool:
    """Within 4.5 standard deviations."""
    return abs(found - N * probability) <= 4.5 * np.sqrt(N * probability * (1 - probability))


@LIMITED
@pytest.mark.parametrize("iterations", [1, 3])
def test_trajectories_reach_each_state_as_often_as_its_probability(game: Game, iterations: int) -> None:
    script = fixed(random_script(game, seed=1))
    _, policies = scripted_play(game, script, N, iterations=iterations)
    expected = joints(game, lambda state: script(state, 1))
    roots = [state for state in subgame_roots(game) if game.actor(state) != CHANCE]
    assert roots
    started = [count(game, policies, state, expected[state]) for state in roots]
    for state, found in zip(roots, started, strict=True):
        assert is_sampled(found, expected[state].sum()), state
    if isinstance(game, Leduc):  # no example looks like a root and has other beliefs
        assert sum(started) == sum(int(with_features(policies, game, s).sum()) for s in alike(game, roots))


def alike(game: Game, states: list[Any]) -> list[Any]:
    """One state for each different set of features."""
    return list({tuple(network_features(game).features(state)): state for state in states}.values())


@LIMITED
@pytest.mark.parametrize("pure", [False, True])
def test_the_beliefs_of_the_next_subgame_follow_from_bayes_rule(game: Game, pure: bool) -> None:
    script = random_script(game, seed=7, pure=pure)
    values, _ = scripted_play(game, script, 2000)
    posterior = joints(game, lambda state: script(state, 1))
    found = joint_beliefs(game, values.beliefs.double())
    explained = torch.zeros(len(values), dtype=torch.int64)
    likely = 0
    for state in (game.root(), *subgame_roots(game)):
        if probability := posterior[state].sum():
            wanted = torch.as_tensor(posterior[state] / probability)
            here = with_features(values, game, state) & ((found - wanted).abs().amax((1, 2)) < 1e-5)
            likely += probability > 0.01
            assert here.any() or probability <= 0.01, state
            explained += here
    assert explained.min() >= 1
    assert likely >= 2  # the root, and what comes after it


def one_boundary(game: Game) -> list[Any]:
    """The decision states where the second subgame of a trajectory can start."""
    return [state for state in subgame_roots(game) if game.actor(state) != CHANCE]


@pytest.mark.parametrize("rate", [1.0, 0.75])
@pytest.mark.parametrize(
    "game", [Kuhn(depth_limit=2), Leduc("after_deal")], ids=["kuhn 2", "leduc after deal"]
)
def test_one_player_explores_and_the_beliefs_do_not_know(game: Game, rate: float) -> None:
    """Beliefs are those of the strategy; how often a state comes up is that of the explorer."""
    script = random_script(game, seed=10)
    _, policies = scripted_play(game, script, N, exploration=rate)

    def play(state: Any) -> Any:
        return script(state, 1)

    explored = [joints(game, exploring(game, play, player, rate)) for player in (0, 1)]
    believed = joints(game, play)
    differs = False
    for state in one_boundary(game):
        probability = (explored[0][state].sum() + explored[1][state].sum()) / 2
        found = count(game, policies, state, believed[state])
        assert is_sampled(found, probability), state
        differs |= not is_sampled(found, believed[state].sum())
    assert differs  # the numbers tell exploration from none


def test_full_exploration_is_uniform() -> None:
    """Both always bet: only the explorer passes, half of the time, and then nobody's belief changes."""
    game = Kuhn(depth_limit=1)
    _, policies = scripted_play(game, lambda state, t: np.array([[0.0] * 3, [1.0] * 3]), N, exploration=1.0)
    passed, bet = (int(with_features(policies, game, KuhnState((move,))).sum()) for move in (PASS, BET))
    assert passed + bet == N
    assert is_sampled(passed, 1 / 4)  # player 0 explores in half of the trajectories
    assert torch.equal(policies.beliefs, torch.full_like(policies.beliefs, 1 / 3))


def test_an_action_that_no_believed_hand_takes_leaves_the_belief_as_it_was() -> None:
    """Queen and jack pass, the king bets; nobody bets after a pass."""
    game = Kuhn(depth_limit=1)
    plays = {
        (): [[1, 1, 0], [0, 0, 1]],
        (PASS,): [[1, 1, 1], [0, 0, 0]],
        (BET,): [[1, 1, 1], [0, 0, 0]],
        (PASS, BET): [[1, 1, 1], [0, 0, 0]],
    }
    values, _ = scripted_play(
        game, lambda state, t: np.array(plays[state.actions], dtype=float), 500, exploration=1.0
    )
    for line, first in (((PASS,), [0.5, 0.5, 0]), ((BET,), [0, 0, 1]), ((PASS, BET), [0.5, 0.5, 0])):
        found = values.beliefs[with_features(values, game, KuhnState(line))]
        assert len(found)
        for belief in found:
            torch.testing.assert_close(belief, torch.tensor([first, [1 / 3] * 3]))


def test_an_action_that_no_believed_hand_takes_leaves_what_the_actions_before_it_told() -> None:
    """The first player's lower half calls, and folds to the raise: an explorer that calls has it still."""
    game = Leduc("after_deal")
    lower = (np.arange(6) < 3).astype(float)

    def script(state: Any, t: int) -> Any:
        fold, call, raise_ = np.zeros(6), np.zeros(6), np.zeros(6)
        if state.rounds == ((),):
            call, raise_ = lower, 1 - lower
        elif state.rounds == ((1,),):
            raise_ = np.ones(6)
        else:
            fold = np.ones(6)
        return np.stack([fold, call, raise_][-len(game.actions(state)) :])

    values, _ = scripted_play(game, script, 2000, exploration=1.0)
    found = set()
    for board in range(6):
        dealt = LeducState(((1, 2, 1), ()), (3, 3), board)
        left = np.arange(6) != board
        for belief in values.beliefs[with_features(values, game, dealt), 0].numpy():
            lines = {"crc": lower * left, "rc": (1 - lower) * left}  # they cost the same
            (line,) = (line for line, hands in lines.items() if np.allclose(belief, hands / hands.sum()))
            found.add((line, board))
    assert len(found) == 12


def test_the_iteration_that_is_played_is_uniform() -> None:
    """Its beliefs show which one it was."""
    game, iterations = Kuhn(depth_limit=2), 7
    script = random_script(game, seed=4)
    _, policies = scripted_play(game, script, N, iterations=iterations)
    state = KuhnState((PASS, BET))
    total = 0
    for t in range(1, iterations + 1):
        joint = joints(game, lambda state, t=t: script(state, t))[state]  # type: ignore[misc]
        found = count(game, policies, state, joint)
        assert is_sampled(found, joint.sum() / iterations), t
        total += found
    assert total == with_features(policies, game, state).sum()


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_every_iteration_from_the_first_to_the_last_is_played(iterations: int) -> None:
    game = Kuhn(depth_limit=1)
    script = random_script(game, seed=5)
    values, _ = scripted_play(game, script, 400, iterations=iterations)
    after_bet = values.beliefs[with_features(values, game, KuhnState((BET,)))][:, 0].double()
    expected = [script(KuhnState(), t)[BET] for t in range(1, iterations + 1)]
    assert len(after_bet) == iterations
    for reach in expected:
        assert (after_bet - torch.as_tensor(reach / reach.sum())).abs().amax(1).min() < 1e-6


def test_both_subgames_of_one_trajectory_explore_independently() -> None:
    """All always pass, facing a bet too: bets are the explorer's, who is drawn anew in each subgame."""
    game = Kuhn(depth_limit=1)
    _, policies = scripted_play(game, lambda state, t: np.array([[1.0] * 3, [0.0] * 3]), N, exploration=1.0)
    found = int(with_features(policies, game, KuhnState((PASS, BET))).sum())
    assert is_sampled(found, 3 / 4 * 1 / 4)  # player 0 passed, player 1 explored and bet


class Alone:
    """Leaves where only the king wants to have moved: strategies that soon are pure."""

    floats_per_leaf = 0

    def at(self, features: torch.Tensor, possible: torch.Tensor) -> LeafValues:
        moved = (features[:, 0] > 0).long()  # who acted last is who does not act
        moved = torch.where(features[:, 4] == 0.5, 0, moved)
        worth = torch.zeros(2, len(features), 3, dtype=features.dtype)
        worth[moved, torch.arange(len(features))] = torch.tensor([-10.0, -10.0, 10.0], dtype=features.dtype)
        worth[:, features[:, 2] > 0] = 0  # player 0's bet
        return lambda beliefs: worth


def test_beliefs_that_no_deal_allows_give_finite_examples() -> None:
    """An explorer passes without the king, then the other bets without it: both are believed to hold it."""
    game = Kuhn(depth_limit=1)
    selfplay = SelfPlay(game, Solver(), search_iterations=4, exploration=1.0)
    values, policies = selfplay.generate(Alone(), 500, random_stream(0), DOUBLE)
    kings = (values.beliefs == torch.tensor([0.0, 0, 1])).all(2).all(1)
    assert kings.any()
    for column in (values.beliefs, values.values, policies.beliefs, policies.strategy):
        assert column.isfinite().all()


@pytest.mark.parametrize("exploration", [-0.01, 1.01, float("nan")])
def test_an_exploration_that_is_no_probability_is_refused(exploration: float) -> None:
    with pytest.raises(ValueError, match=r"^exploration must lie between 0 and 1, got"):
        SelfPlay(
            Kuhn(), ScriptedSolver(random_script(Kuhn(), 0)), search_iterations=1, exploration=exploration
        )


@pytest.mark.parametrize("iterations", [0, -1])
def test_a_search_without_iterations_is_refused(iterations: int) -> None:
    with pytest.raises(ValueError, match=f"^search_iterations must be at least 1, got {iterations}"):
        SelfPlay(Kuhn(), ScriptedSolver(random_script(Kuhn(), 0)), search_iterations=iterations)


def test_no_trajectories_leave_the_root_alone() -> None:
    game = Kuhn(depth_limit=1)
    selfplay = SelfPlay(game, ScriptedSolver(random_script(game, 0)), search_iterations=2)
    values, policies = selfplay.generate(NoValues(), 0, random_stream(0), DOUBLE)
    assert (len(values), len(policies)) == (1, 0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_no_deal_allows_goes_on_in_its_own_subgame(place: int) -> None:
    """Where a player explored, both can be believed to hold the same card; nothing then has any weight."""
    game = Kuhn(depth_limit=1)
    root = game.root()
    complete = game.next_state(root, BET)  # what follows ends the game
    roots = [root, complete, root]
    forest = Subgames(game).forest(roots, DOUBLE)
    beliefs = torch.full((2, 3, 3), 1 / 3, dtype=torch.float64)
    beliefs[:, place] = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    draws = torch.rand(3, 60, dtype=torch.float64, generator=random_stream(1))
    subgame_of = torch.arange(60) % 3
    part: Part = Part(slice(0, 3), Solver().start(forest, beliefs, NoValues()), 1, expects=False)
    sampler = TrajectorySampler(subgame_of, 1, draws, torch.empty(3, 0, dtype=torch.float64))
    reached, goes_to, _ = sampler.leave(part.play_iterations(sampler.subgame, sampler.iteration), 0.25)
    there = goes_to[subgame_of == place]
    if roots[place] == complete:
        assert (there == -1).all()
    else:
        (only,) = there.unique().tolist()
        torch.testing.assert_close(reached.beliefs[:, only], beliefs[:, place])
