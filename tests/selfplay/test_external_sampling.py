"""External sampling against exact advantages, found by recursion through the rules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import pokerlab
from pokerlab.games.base import CHANCE, TERMINAL, Game
from pokerlab.games.leduc import Leduc, LeducState
from pokerlab.games.liars_dice import LiarsDice
from pokerlab.selfplay import dealt_sampling
from pokerlab.selfplay.dealt_sampling import DealtSampling
from pokerlab.selfplay.external_sampling import ExternalSampling
from pokerlab.selfplay.public_chance_sampling import PublicChanceSampling, add_street, check_deals_are_small
from pokerlab.selfplay.public_game import DealtGame, PublicGame, list_game

pytestmark = pytest.mark.quick
GAMES: dict[str, Callable[[], Game]] = {
    "kuhn": lambda: pokerlab.make_game("kuhn"),
    "leduc": lambda: pokerlab.make_game("leduc"),
    "dice that show some rolls more often": lambda: LiarsDice(2, 2),
}


class Exact:
    """Counterfactual advantages of a player, by recursion."""

    def __init__(self, listed: PublicGame, strategy: np.ndarray, player: int) -> None:
        self.game, self.player = listed.game, player
        states, _ = listed.lines
        self.number = {state: number for number, state in enumerate(states)}
        self.strategy = strategy
        self.advantages = np.zeros(strategy.shape)
        self.weights, self.met = np.zeros((2, len(strategy), self.game.num_hands))
        self.visit(self.game.root(), np.ones(self.game.num_hands), 1.0)

    def visit(self, state: Any, reach: np.ndarray, chance: float) -> np.ndarray:
        """``[H]`` counterfactual values, given the opponent's reach."""
        game, actor = self.game, self.game.actor(state)
        if actor == TERMINAL:
            end = game.terminal(state)
            like = torch.as_tensor(reach)
            won = game.payoff_operator([end.payoff_kernel], like)(like[None, None])[0, 0].numpy()
            return end.chips[self.player] * chance * won * game.possible_hands(state)
        if actor == CHANCE:
            chance *= game.chance_probability(state)
            outcomes = game.chance_outcomes(state)
            below = [self.visit(dealt, reach * game.possible_hands(dealt), chance) for dealt in outcomes]
            return np.sum(below, 0)
        number = self.number[state]
        strategy, after = self.strategy[number], {a: game.next_state(state, a) for a in game.actions(state)}
        if actor != self.player:
            possible = game.possible_hands(state)
            self.met[number] = reach * (game.deal @ possible) * chance * possible
            return np.sum([self.visit(after[a], reach * strategy[a], chance) for a in after], 0)
        values = {a: self.visit(after[a], reach, chance) for a in after}
        value = np.sum([strategy[a] * values[a] for a in after], 0)
        for a in after:
            self.advantages[number, a] = values[a] - value
        self.weights[number] = game.deal @ reach * chance * game.possible_hands(state)
        return value


def random_strategy(listed: PublicGame) -> np.ndarray:
    game = listed.game
    drawn = np.random.default_rng(1).random((listed.num_decisions, game.num_actions, game.num_hands))
    strategy = drawn * listed.nodes.legal(game.num_actions)[:, :, None]
    return strategy / strategy.sum(1, keepdims=True)


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("player", [0, 1])
def test_means_of_traversals_are_exact_advantages_and_reaches(name: str, player: int) -> None:
    game = GAMES[name]()
    listed, n = list_game(game), 200_000
    strategy = random_strategy(listed)
    exact = Exact(listed, strategy, player)
    generator = torch.Generator().manual_seed(1)
    found = ExternalSampling(listed).sample(strategy.astype(np.float32), player, n, generator)
    # a hand takes no part in deals of public cards that block it: on all lines alike, so ratios are exact
    share = 4 / 5 if name == "leduc" else 1
    hands = game.deal.sum(1) / share
    assert found.weights * hands / n == pytest.approx(exact.weights, abs=4 / n**0.5 * 0.3)
    most = (
        5 * np.sqrt(found.squares * 1.5)[:, None, None] * hands / n + 1e-9
    )  # standard errors, and 1.5 a pair
    assert (np.abs(found.advantages * hands / n - exact.advantages) <= most).all()
    assert found.met / n == pytest.approx(exact.met, abs=4 / n**0.5 * 0.5)
    spread = (found.advantages / np.maximum(found.weights, 1e-9)[:, None]) ** 2 * found.weights[:, None]
    assert (found.squares >= spread.sum((1, 2)) * (1 - 1e-9)).all()
    assert found.nodes > n


@pytest.mark.parametrize("kind", [DealtSampling, PublicChanceSampling])
@pytest.mark.parametrize("player", [0, 1])
def test_deals_one_by_one_have_the_same_means(
    player: int,
    kind: type[DealtSampling[LeducState] | PublicChanceSampling[LeducState]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dealt_sampling, "DRAWS", 1)  # at a time, and more where lines are longer
    game = Leduc("before_deal")  # a street is a subgame
    listed = list_game(game)
    strategy = random_strategy(listed).astype(np.float32)
    exact = Exact(listed, strategy, player)
    found = {name: np.zeros_like(getattr(exact, name)) for name in ("advantages", "weights", "met")}
    squares, of_deal, deals = np.zeros(len(strategy)), 8, 400
    sampling, generator = kind(game), torch.Generator().manual_seed(1)
    for _ in range(deals):
        numbers: list[int] = []

        def ask(dealt: DealtGame, first: int, numbers: list[int] = numbers) -> np.ndarray:
            new = [exact.number[state] for state in dealt.states[first:]]
            numbers += new
            return strategy[new]

        asked, sampled = sampling.sample(ask, player, of_deal, generator)
        assert (asked == strategy[numbers]).all()
        for name, total in found.items():
            total[numbers] += getattr(sampled, name)
        squares[numbers] += sampled.squares
    n, hands = of_deal * deals, game.deal.sum(1) / (4 / 5)
    # hands of a deal are drawn given its cards: standard errors are up to those of so many deals
    most = 5 * np.sqrt(squares * of_deal * 1.5)[:, None, None] * hands / n + 1e-9
    assert (np.abs(found["advantages"] * hands / n - exact.advantages) <= most).all()
    assert found["weights"] * hands / n == pytest.approx(exact.weights, abs=0.04)
    assert found["met"] / n == pytest.approx(exact.met, abs=0.04)


@pytest.mark.parametrize("player", [0, 1])
def test_on_all_public_cards_expected_traversals_are_exact(player: int) -> None:
    game = Leduc("before_deal")
    strategy = random_strategy(list_game(game))
    exact = Exact(list_game(game), strategy, player)
    found = {name: np.zeros_like(getattr(exact, name)) for name in ("advantages", "weights", "met")}
    sampling, boards = PublicChanceSampling(game), set[int]()
    for hand, fraction in [(0, 0.1), (0, 0.3), (0, 0.5), (0, 0.7), (0, 0.9), (1, 0.1)]:
        dealt = DealtGame(game, hand, [fraction])
        assert add_street(dealt)
        assert not add_street(dealt)
        boards.add(int(game.possible_hands(dealt.complete).argmin()))
        numbers = [exact.number[state] for state in dealt.states]
        expected = sampling.expect(dealt, strategy[numbers], player, 1)
        for name, total in found.items():
            total[numbers] += getattr(expected, name) / 6
    assert len(boards) == 6
    hands = game.deal.sum(1) / (4 / 5)
    assert found["advantages"] * hands == pytest.approx(exact.advantages, abs=1e-14)
    assert found["weights"] * hands == pytest.approx(exact.weights, abs=1e-14)
    assert found["met"] == pytest.approx(exact.met, abs=1e-14)


def test_deals_of_too_many_public_states_are_refused() -> None:
    with pytest.raises(
        ValueError, match="sampling=public_chance visits all public states of a deal, at most 10,000"
    ):
        check_deals_are_small(pokerlab.make_game("hunl"))
