"""Exploitability deal by deal: as that of the whole game, and OpenSpiel's; and for agents of anybody's."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pyspiel
import pytest
import torch
from runs.harness import command, refusal, trained
from torch import Tensor

import pokerlab
from pokerlab.agents.base import Agent, Line, Seat
from pokerlab.agents.baselines import Uniform
from pokerlab.agents.policy_net import PolicyNetworkAgent
from pokerlab.agents.search import SearchAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.evaluation.deal_by_deal import DealByDeal, SoFar, policy_of
from pokerlab.evaluation.exact import measure_deals, whole_game_strategy
from pokerlab.evaluation.policies import WholeGame, search_policy
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.learning.networks import PolicyNetwork
from pokerlab.search.forest import uniform_strategy
from pokerlab.search.leaves import LeafEvaluator, LeafValues
from pokerlab.search.resolving import SEARCH_AVERAGE, SEARCH_GADGET, SEARCH_ITERATION
from pokerlab.search.solver import Solver

FIXED: dict[str, Any] = {"stack": 700, "limit": [100, 100], "most_raises": 2}
GAMES: dict[str, Game] = {
    "fhp of 9 cards": Holdem("fhp of 9 cards", **FIXED, ranks=3, suits=3, deals=(0, 3)),
    "two deals": Holdem("two", stack=400, bets=[[1]], most_raises=2, ranks=3, suits=3, deals=(0, 1, 1)),
    "leduc": Leduc("before_deal"),
}
SMALLEST = Holdem("fhp of 6 cards", **FIXED, ranks=3, suits=2, deals=(0, 2))
MEDIUM = ("game=fhp", "game.ranks=5")
"""Too large to be enumerated: 1,140 flops."""


@cache
def whole(name: str) -> WholeGame:
    return WholeGame(GAMES[name])


def last(game: Game, agent: Agent, *, isomorphism: bool = True, play_throughs: int = 0) -> SoFar:
    policy = policy_of(agent, play_throughs=play_throughs, seed=1)
    *_, sofar = DealByDeal(game, isomorphism=isomorphism).measure(policy)
    assert sofar.complete
    return sofar


def assert_same(sofar: SoFar, tree: WholeGame, strategy: Tensor, chips: float = 1e-9) -> None:
    found, expected = sofar.exploitability(), tree.exploitability(strategy)
    assert found.value.item() == pytest.approx(expected.value.item(), abs=chips)
    assert found.best_response[:, 0].tolist() == pytest.approx(
        expected.best_response[:, 0].tolist(), abs=chips
    )


def random_agent(tree: WholeGame) -> tuple[TabularAgent, Tensor]:
    """One to which no two suits are alike."""
    strategy = uniform_strategy(tree.forest)
    strategy *= torch.rand(strategy.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    strategy /= strategy.sum(0)
    return TabularAgent.of(tree.forest, strategy), strategy


@pytest.mark.parametrize("name", GAMES)
def test_any_policy_at_every_deal_is_measured_as_in_the_whole_game(name: str) -> None:
    agent, strategy = random_agent(whole(name))
    assert_same(last(GAMES[name], agent, isomorphism=False), whole(name), strategy)


@pytest.mark.parametrize("name", [name for name in GAMES if name != "leduc"])
def test_a_solution_is_measured_at_one_of_the_deals_that_differ_in_suits(name: str) -> None:
    spot = pokerlab.solve(GAMES[name], iterations=30)
    sofar, tree = last(GAMES[name], spot.agent()), whole(name)
    assert len(sofar) < len(DealByDeal(GAMES[name], isomorphism=False).deals) / 2
    assert_same(sofar, tree, tree.policy(spot.agent()))
    assert sofar.exploitability().exploitability.item() == pytest.approx(spot.exploitability, abs=1e-9)


@pytest.mark.parametrize("isomorphism", [True, False])
def test_flop_holdem_has_openspiels_nash_conv(isomorphism: bool) -> None:
    tree, spot = WholeGame(SMALLEST), pokerlab.solve(SMALLEST, iterations=20)
    exported = tree.export(tree.policy(spot.agent())).items()
    policy = pyspiel.TabularPolicy({state: list(chances.items()) for state, chances in exported})
    game = pyspiel.load_game(SMALLEST.openspiel_name)
    expected = pyspiel.nash_conv(game, policy)
    assert expected > 0.1
    found = last(SMALLEST, spot.agent(), isomorphism=isomorphism).exploitability()
    assert found.nash_conv.item() == pytest.approx(expected, abs=1e-9)


def test_an_agent_that_tells_suits_apart_is_measured_at_every_deal_or_not_at_all() -> None:
    agent, _ = random_agent(whole("two deals"))
    with pytest.raises(ValueError, match="tells hands apart that differ in suits only: before the deal its"):
        last(GAMES["two deals"], agent)


class SuitsMatterAfterTheDeal(Agent, Seat):
    """Raises with the first hands, whatever their suits, if cards are dealt."""

    def __init__(self, game: Game) -> None:
        self.game = game

    def sit_down(self, player: int, seed: int) -> Seat:
        return self

    def strategies(self, lines: Sequence[Line]) -> Tensor:
        answers = Uniform(self.game).sit_down(0, 0).strategies(lines)
        for number, line in enumerate(lines):
            if len(line.actions) > 3 and line.state.board:
                answers[number, :, :10] = 0
                answers[number, 1, :10] = 1
        return answers


def test_suits_are_checked_after_the_deal_too() -> None:
    with pytest.raises(ValueError, match="differ in suits only: after a deal its probabilities differ by 0"):
        last(GAMES["fhp of 9 cards"], SuitsMatterAfterTheDeal(GAMES["fhp of 9 cards"]))


class HandByHand(LeafEvaluator):
    """Values that are made hand by hand: the same to the last bit, whatever is asked for at once."""

    floats_per_leaf = 0

    def at(self, features: Tensor, possible: Tensor) -> LeafValues:
        hands = torch.arange(possible.shape[1], dtype=torch.float64)
        phase = hands + (features * torch.arange(1, features.shape[1] + 1)).sum(1, keepdim=True)
        return lambda beliefs: torch.stack([torch.cos(phase), torch.sin(phase)]) * (0.5 + beliefs.flip(0))


@pytest.mark.parametrize("way", [SEARCH_AVERAGE, SEARCH_ITERATION, SEARCH_GADGET])
@pytest.mark.parametrize("name", GAMES)
def test_search_is_measured_as_in_the_whole_game(name: str, way: str) -> None:
    """From all iterations of the first subgame; those after a deal are played to the end, or on average.

    Where hands are worth exactly the same, the last bit of a sum decides what is played, and that depends on
    what is solved together: so it is in the whole game too, if its subgames are solved in other parts.
    """
    game, like = GAMES[name], torch.empty(0, dtype=torch.float64)
    leaves = HandByHand()
    agent = SearchAgent(game, Solver(), leaves, iterations=10, way=way, like=like)
    draws = way == SEARCH_ITERATION and name != "two deals"  # of whose second subgames one iteration is drawn
    sofar = last(game, agent, isomorphism=False, play_throughs=10 if draws else 0)
    exact = 0.2 if name == "two deals" or (way == SEARCH_GADGET and name != "leduc") else 1e-9
    if way == SEARCH_GADGET:
        assert_same(sofar, whole(name), whole(name).policy(agent), exact)
        return
    strategy = search_policy(
        whole(name), agent.resolving.solver, leaves, iterations=10, play_throughs=10 if draws else 0,
        generator=torch.Generator(), like=like,
    )  # fmt: skip
    assert_same(sofar, whole(name), strategy, exact)


@pytest.mark.parametrize("name", GAMES)
def test_a_policy_network_is_measured_as_in_the_whole_game(name: str) -> None:
    torch.manual_seed(0)
    agent = PolicyNetworkAgent(GAMES[name], PolicyNetwork(GAMES[name], hidden=16, layers=1).double())
    sofar = last(GAMES[name], agent, isomorphism=False)
    assert_same(sofar, whole(name), whole_game_strategy(whole(name), agent))
    assert_same(sofar, whole(name), whole(name).policy(agent))


def test_some_deals_are_an_estimate() -> None:
    game = Holdem("fhp", **FIXED, ranks=5, suits=4, deals=(0, 3))
    parts, policy = DealByDeal(game), policy_of(Uniform(game), play_throughs=0, seed=1)
    exact = last(game, Uniform(game)).exploitability()
    sofar = list(islice(parts.measure(policy), 12))[-1]
    estimate = sofar.exploitability()
    assert sofar.done == 12 < len(sofar)
    assert not measure_deals(sofar, 1.0)["complete"]
    assert estimate.nash_conv.item() == pytest.approx(exact.nash_conv.item(), rel=0.1)
    assert estimate.value.item() != exact.value.item()


def test_estimates_come_from_both_sides() -> None:
    """What is chosen by the deals at hand earns more at these, what is chosen by others less, on average."""
    game = Holdem("fhp", **FIXED, ranks=5, suits=4, deals=(0, 3))
    parts, spot = DealByDeal(game), pokerlab.solve(game, iterations=30)
    policy = policy_of(spot.agent(), play_throughs=0, seed=1)
    for done, chips in ((10, 20.0), (40, 10.0), (len(parts.deals), 6.0)):
        found = []
        for seed in range(1, 4):
            sofar = list(islice(parts.measure(policy, seed), done))[-1]
            found.append(
                [each.exploitability.item() for each in (sofar.lower_estimate(), sofar.exploitability())]
            )
        lower, upper = torch.tensor(found).mean(0).tolist()
        assert lower < spot.exploitability < upper + 1e-3
        assert upper < lower + chips


def test_the_whole_of_flop_holdem_has_1755_flops() -> None:
    game = pokerlab.make_game("fhp")
    parts = DealByDeal(game)
    assert (len(parts.deals), sum(deal.number for deal in parts.deals)) == (1755, 22100)
    assert parts.times_possible.tolist() == pytest.approx([50 * 49 * 48 / 6] * 1326)
    sofar = next(parts.measure(policy_of(pokerlab.make_agent("call", game), play_throughs=0, seed=1)))
    assert sofar.done == 1


@pytest.mark.parametrize(
    ("game", "reason"),
    [
        (pokerlab.make_game("kuhn"), "kuhn is not bet on up to a deal, and after it"),
        (pokerlab.make_game("river"), "river is not bet on up to a deal, and after it"),
        (pokerlab.make_game("hunl"), "hunl has more than 1,000,000 public states below each deal"),
    ],
    ids=["kuhn", "river", "hunl"],
)
def test_other_games_are_not_measured_so(game: Game, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        DealByDeal(game)


MINE = '''
import torch
from pokerlab.agents.base import Agent, Seat

class Mine(Agent, Seat):
    """Folds a tenth of the time where it can, otherwise calls."""
    def __init__(self, game):
        self.game = game
    def sit_down(self, player, seed):
        return self
    def strategies(self, lines):
        answers = torch.zeros(len(lines), self.game.num_actions, self.game.num_hands)
        for number, line in enumerate(lines):
            folds = 0 in self.game.actions(line.state)
            answers[number, 0], answers[number, 1] = 0.1 * folds, 1 - 0.1 * folds
        return answers

class Stops(Mine):
    """Like Ctrl-C after a while."""
    left = 30
    def strategies(self, lines):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().strategies(lines)

class Flat(Mine):
    def strategies(self, lines):
        return super().strategies(lines)[:, :2]

class Lists(Mine):
    def strategies(self, lines):
        return super().strategies(lines).tolist()

class NotANumber(Mine):
    def strategies(self, lines):
        return super().strategies(lines) * float("nan")

class Half(Mine):
    def strategies(self, lines):
        return super().strategies(lines) / 2

class Negative(Mine):
    def strategies(self, lines):
        answers = super().strategies(lines)
        answers[:, 0] -= 1
        answers[:, 1] += 1
        return answers

class AlwaysFolds(Mine):
    def strategies(self, lines):
        answers = 0 * super().strategies(lines)
        answers[:, 0] = 1
        return answers
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_agent_of_ones_own_is_measured_by_the_command(mine: Path) -> None:
    ended = command("evaluate", *MEDIUM, "agent=of_mine:Mine", "json=found.json", cwd=mine)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads((mine / "found.json").read_text())["of_mine:Mine"]
    assert found["complete"]
    assert found["deals"] == found["deals_done"] > 50
    assert found["exploitability"] == pytest.approx(found["nash_conv"] / 2)
    assert found["mbb"] == pytest.approx(found["exploitability"] * 10)
    assert f"{found['mbb']:.2f}" in ended.out
    game, counted = pokerlab.make_game("fhp", ranks=5), list[int]()
    agent = pokerlab.make_agent("of_mine:Mine", game)
    strength = pokerlab.exploitability(game, agent, watch=lambda sofar: counted.append(sofar.done))
    assert strength.nash_conv == found["nash_conv"]
    assert counted == list(range(1, found["deals"] + 1))


def test_a_run_is_measured_deal_by_deal(tmp_path: Path) -> None:
    small = ("experiment=fhp", "profile=tiny", "workers=0", "game.ranks=5")
    trained(*small, "run", cwd=tmp_path)
    for number, way in enumerate(("search_average", "search_iteration", "policy_net"), start=1):
        ended = command("evaluate", "run=run", f"agent={way}", cwd=tmp_path, plots=False)
        assert (ended.code, ended.err) == (0, "")
        results = json.loads((tmp_path / "outputs/run/evaluation.json").read_text())
        found = [name for name in results if isinstance(results[name], dict)]
        assert len(found) == number  # what was measured before is kept
        assert results[way]["complete"]
        assert results[way]["mbb"] > 0
    assert results["search_iteration"]["play_throughs"] == 2
    assert results["policy_net"]["iterations"] is None
    message = refusal("evaluate", "run=run", "agent=search", cwd=tmp_path)
    assert message == "agent: 'search' is now called search_iteration"


def test_ctrl_c_leaves_an_estimate(mine: Path) -> None:
    ended = command("evaluate", *MEDIUM, "agent=of_mine:Stops", "json=found.json", cwd=mine)
    assert (ended.code, ended.err) == (130, "")
    found = json.loads((mine / "found.json").read_text())["of_mine:Stops"]
    assert not found["complete"]
    assert 0 < found["deals_done"] < found["deals"]
    assert found["at_least_about"] < found["exploitability"]
    assert f"estimate from {found['deals_done']} of {found['deals']} deals" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("of_mine:Flat", "answer 4 lines with a tensor of [4, 3, 190] (lines, actions, hands), got [4, 2"),
        ("of_mine:Lists", "answer 4 lines with a tensor of [4, 3, 190] (lines, actions, hands), got list"),
        ("of_mine:NotANumber", "sum to 1 over the legal ones, got nan, nan, nan for 2d2c at "),
        ("of_mine:Half", "sum to 1 over the legal ones, got 0, 0.5, 0 for 2d2c at "),
        ("of_mine:Negative", "sum to 1 over the legal ones, got -1, 2, 0 for 2d2c at "),
        ("of_mine:AlwaysFolds", "sum to 1 over the legal ones, got 1, 0, 0 for 2d2c at call"),
        ("of_mine:Nobody", "no agent of_mine:Nobody: module 'of_mine' has no attribute 'Nobody'"),
        ("nobody", "unknown agent 'nobody'"),
    ],
)  # fmt: skip
def test_answers_that_are_no_strategies_are_refused(name: str, message: str, mine: Path) -> None:
    assert message in refusal("evaluate", *MEDIUM, f"agent={name}", cwd=mine)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["game=fhp"], "game needs agent, which is measured on it; matches need run"),
        (
            ["game=fhp", "agent=call", "match.against=fold"],
            "game needs agent, which is measured on it; match",
        ),
        (["game=fhp", "run=x"], "game is that of the run: give one of run and game"),
        (["game=hunl", "agent=call"], "hunl is too large to be enumerated, which exact exploitability needs"),
        (["agent=call"], "Missing mandatory value: run: give it on the command line"),
    ],
)
def test_the_command_says_what_it_needs(arguments: list[str], message: str, tmp_path: Path) -> None:
    assert refusal("evaluate", *arguments, cwd=tmp_path).startswith(message)
