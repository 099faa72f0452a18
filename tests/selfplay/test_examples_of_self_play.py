"""What trajectories leave: beliefs, values and strategies."""

import pytest
import torch
from torch import Tensor

from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.learning.networks import ValueNetwork
from pokerlab.search.solver import Solver
from pokerlab.selfplay.examples import PolicyExamples, ValueExamples
from pokerlab.selfplay.place import random_stream
from pokerlab.selfplay.trajectories import SelfPlay

GAMES: list[Game] = [
    Kuhn(depth_limit=1), Kuhn(depth_limit=2), Kuhn(), Leduc(), Leduc("before_deal"), LiarsDice(2, 2),
]  # fmt: skip
NAMES = ["kuhn-1", "kuhn-2", "kuhn", "leduc", "leduc-before-deal", "liars-dice"]
LIKE = torch.empty(0, dtype=torch.float64)


def network(game: Game) -> ValueNetwork:
    torch.manual_seed(0)
    return ValueNetwork(game, 16, 2).double()


def play(
    game: Game, trajectories: int = 50, *, seed: int = 0, alternating: bool = True, iterations: int = 15
) -> tuple[ValueExamples, PolicyExamples]:
    selfplay = SelfPlay(game, Solver(alternating=alternating), search_iterations=iterations)
    return selfplay.generate(network(game), trajectories, random_stream(seed), LIKE)


@pytest.mark.parametrize("game", GAMES, ids=NAMES)
def test_beliefs_are_distributions_over_possible_hands(game: Game) -> None:
    for examples in play(game):
        torch.testing.assert_close(examples.beliefs.sum(-1), torch.ones(len(examples), 2))
        assert (examples.beliefs >= 0).all()
        assert (
            examples.beliefs.masked_select(~examples.possible[:, None].expand_as(examples.beliefs)) == 0
        ).all()


@pytest.mark.parametrize("game", GAMES, ids=NAMES)
def test_values_are_finite_and_zero_sum_under_the_joint(game: Game) -> None:
    examples, _ = play(game, alternating=False)
    assert examples.values.isfinite().all()
    mass = game.mass_operator(examples.beliefs)(examples.beliefs.flip(1))
    total = (examples.beliefs * mass * examples.values).sum((1, 2))
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-6)


@pytest.mark.parametrize("game", GAMES, ids=NAMES)
def test_strategies_are_distributions_over_legal_actions(game: Game) -> None:
    _, examples = play(game)
    torch.testing.assert_close(examples.strategy.sum(1), torch.ones(len(examples), game.num_hands))
    assert (
        examples.strategy.masked_select(~examples.legal[:, :, None].expand_as(examples.strategy)) == 0
    ).all()


@pytest.mark.parametrize("trajectories", [1, 7])
def test_a_decision_is_learned_from_once_however_many_trajectories_came_by(trajectories: int) -> None:
    _, policies = play(Kuhn(), trajectories=trajectories)
    assert len(policies) == 4  # all share the one subgame, the whole game, with its four decisions


@pytest.mark.parametrize("game", GAMES, ids=NAMES)
def test_a_seed_decides_everything(game: Game) -> None:
    first, again, other = play(game), play(game), play(game, seed=1)
    assert torch.equal(first[0].beliefs, again[0].beliefs)
    assert torch.equal(first[1].strategy, again[1].strategy)
    if game.name == "leduc":
        assert not torch.equal(first[0].beliefs[:3], other[0].beliefs[:3]) or len(first[0]) != len(other[0])


def test_second_round_values_are_those_of_a_long_solve() -> None:
    game = Leduc()
    examples, _ = play(game, 40, iterations=300)
    second = examples.features[:, 3] == 1
    states = {_key(torch.tensor(game.features(leaf))): leaf for leaf in _second_round_states(game)}
    selfplay = SelfPlay(game, Solver(), search_iterations=1)
    picked = second.nonzero()[:12, 0]
    chosen = [states[_key(examples.features[i])] for i in picked]
    forest = selfplay._subgames.forest(chosen, LIKE)
    beliefs = examples.beliefs[picked].transpose(0, 1).double()
    exact = Solver("cfr_plus").start(forest, beliefs).run(6000).root_infostate_values()
    pot = torch.tensor([game.pot(state) for state in chosen])
    believed = beliefs > 1e-3  # the values of hands that are never held are not unique
    error = (exact / pot[:, None] - examples.values[picked].transpose(0, 1))[believed].abs()
    assert error.max() < 0.02  # pots
    assert error.mean() < 0.003


def _key(features: Tensor) -> tuple[float, ...]:
    return tuple(features.tolist())


def _second_round_states(game: Leduc) -> list[LeducState]:
    root = SelfPlay(game, Solver(), search_iterations=1)._subgames.forest([game.root()], LIKE)
    return list(root.trees[0].leaves.states)


def test_a_deal_is_worth_the_average_over_cards() -> None:
    game = Leduc("before_deal")
    net = network(game)
    examples, _ = play(game)
    deals = (examples.features[:, 2] == 1).nonzero()[:, 0]
    assert len(deals) > 3
    for i in deals[:4].tolist():
        beliefs = examples.beliefs[i].double()
        state = next(
            leaf
            for leaf in _second_round_states(game)
            if torch.equal(torch.tensor(game.features(leaf)), examples.features[i])
        )
        expected = _average_over_cards(game, net, state, beliefs)
        torch.testing.assert_close(examples.values[i].double(), expected, rtol=1e-5, atol=1e-5)


def _average_over_cards(game: Leduc, net: ValueNetwork, state: LeducState, beliefs: Tensor) -> Tensor:
    """Card by card and hand pair by hand pair, in pots."""
    total, weight = torch.zeros(2, 6, dtype=torch.float64), torch.zeros(2, 6, dtype=torch.float64)
    for card, dealt in enumerate(game.chance_outcomes(state)):
        possible = torch.as_tensor(game.possible_hands(dealt))
        after = beliefs * possible
        after = after / after.sum(-1, keepdim=True)
        features = torch.tensor([game.features(dealt)], dtype=torch.float64)
        with torch.no_grad():
            values = net(features, after[None])[0]
        for player in (0, 1):
            for hand in range(6):
                for other in range(6):
                    if card in (hand, other) or hand == other:
                        continue
                    chance = beliefs[1 - player, other] / 30
                    weight[player, hand] += chance / 4
                    total[player, hand] += chance / 4 * values[player, hand]
    return total / weight


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"^search_iterations must be at least 1, got 0"):
        SelfPlay(Kuhn(), Solver(), search_iterations=0)
    with pytest.raises(ValueError, match=r"^exploration must lie between 0 and 1, got 2"):
        SelfPlay(Kuhn(), Solver(), search_iterations=1, exploration=2)
