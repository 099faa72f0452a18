"""PPO: its losses, what it wins of fixed opponents, and its runs at the commands."""

import json
import math
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from runs.harness import assert_same_run, command, metrics, refusal, trained
from torch import nn

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.opponents import line_to
from pokerlab.agents.registry import make_agent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.algorithms import policy_gradient
from pokerlab.algorithms.best_responses import respond
from pokerlab.algorithms.policy_gradient import DECISIONS, PPO, RESULTS, PPOModule
from pokerlab.evaluation.exact import exact_value, whole_game_strategy
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.holdem import Holdem
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.games.registry import make_game
from pokerlab.learning.decisions import DecisionExamples
from pokerlab.learning.infostates import InfostateNetwork
from pokerlab.selfplay.hands import play_hands
from pokerlab.selfplay.place import Place
from pokerlab.selfplay.public_states import FoundStates

pytestmark = pytest.mark.quick

TINY = (
    "experiment=kuhn_exploiter", "iterations=4", "trajectories=200", "evaluation.every=2", "commit_every=1",
    "algorithm.network.hidden=8",
)  # fmt: skip
SELF_PLAY = (
    "algorithm.opponent=null", "algorithm.update=mirror", "algorithm.magnet=1", "algorithm.exploration=0.25",
)  # fmt: skip


def ppo(
    game: Game, opponent: Callable[[Game], Agent] | None = None, hidden: int = 16, **options: float | str
) -> PPO:
    network = partial(InfostateNetwork, hidden=hidden, layers=1)
    return PPO(game, network=network, iterations=10, seed=1, opponent=opponent, moves=4, **options)  # type: ignore[arg-type]


def one_decision(module: PPOModule, advantages: list[float], counts: list[float]) -> DecisionExamples:
    """A king at the root, with what the policy plays there now."""
    none = DecisionExamples.none(Kuhn(), 4)
    found = DecisionExamples(
        features=torch.tensor([Kuhn().features(Kuhn().root())]),
        moves=torch.full((1, 4), -1, dtype=torch.int16),
        hand=torch.tensor([2]),
        legal=torch.ones(1, 2, dtype=torch.bool),
        worth=torch.zeros(1, 0),
        counts=torch.tensor([counts]),
        advantages=torch.tensor([advantages]),
        returns=torch.tensor([0.5]),
        log_policy=torch.tensor([[math.log(0.5), math.log(0.5)]]),
        log_magnet=torch.tensor([[math.log(0.25), math.log(0.75)]]),
    )
    assert found.columns().keys() == none.columns().keys()
    with torch.no_grad():
        for network in (module.networks.policy, module.networks.critic):
            last(network).weight.zero_()
    return found


def last(network: InfostateNetwork) -> nn.Linear:
    layer = network.rest[-1]
    assert isinstance(layer, nn.Linear)
    return layer


def test_the_losses_of_one_decision_are_those_of_the_papers() -> None:
    module = ppo(Kuhn(), entropy=0.5, magnet=2.0).module()
    found = one_decision(module, advantages=[-1.0, 2.0], counts=[1.0, 3.0])
    losses = {name: loss.item() for name, loss in module.losses({DECISIONS: found}, 0).items()}
    divergence = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert losses == pytest.approx({
        "policy_loss": -(0.25 * -1 + 0.75 * 2) + 2 * divergence - 0.5 * math.log(2),
        "value_loss": 0.25,
        "magnet_divergence": divergence,
        "entropy": math.log(2),
    })  # fmt: skip
    with torch.no_grad():
        last(module.networks.policy).bias.copy_(torch.tensor([0.0, math.log(3)]))  # 0.25, 0.75: the magnet
    losses = {name: loss.item() for name, loss in module.losses({DECISIONS: found}, 0).items()}
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    # ratios of 0.5 and 1.5 that would gain are clipped to 0.8 and 1.2
    assert losses["policy_loss"] == pytest.approx(-(0.25 * -0.8 + 0.75 * 2.4) - 0.5 * entropy)
    assert losses["magnet_divergence"] == pytest.approx(0, abs=1e-6)


def test_mirror_descent_goes_the_step_of_the_paper() -> None:
    module = ppo(Kuhn(), update="mirror", entropy=0.5, magnet=2.0, step=0.1).module()
    found = one_decision(module, advantages=[-1.0, 2.0], counts=[5.0, 45.0])
    # π ∝ π_old exp(η (A − entropy · log π_old − magnet · log(π_old / magnet))), A believed by n / (n + 5)
    slope = [0.5 * -1 - 2 * math.log(0.5 / 0.25), 0.9 * 2 - 2 * math.log(0.5 / 0.75)]
    with torch.no_grad():
        last(module.networks.policy).bias.copy_(7 + 0.1 * torch.tensor(slope))
    loss = module.losses({DECISIONS: found}, 0)["policy_loss"]
    assert loss.item() == pytest.approx(0, abs=1e-9)
    with torch.no_grad():
        last(module.networks.policy).bias[1] += 0.2
    assert module.losses({DECISIONS: found}, 0)["policy_loss"].item() == pytest.approx(
        0.1**2 + 0.1**2, rel=1e-4
    )


def test_steps_on_one_decision_lead_to_the_best_response_as_far_as_the_clip_allows() -> None:
    module = ppo(Kuhn(), entropy=1e-9, final_entropy=1e-9).module()
    found = one_decision(module, advantages=[-1.0, 1.0], counts=[1.0, 1.0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        module.losses({DECISIONS: found}, 0)["policy_loss"].backward()
        optimizer.step()
    chance = module.networks.policy(found.infostates).softmax(1)[0, 1].item()
    assert 0.6 < chance < 0.63  # the ratio is 1.2 at 0.6; the last step went past it


def test_the_temperature_falls_and_magnet_and_average_follow() -> None:
    module = ppo(Kuhn(), entropy=1.0, final_entropy=0.01, magnet_rate=0.25).module()
    for iteration, temperature in ((0, 1.0), (9, 0.01), (4.5, 0.1)):
        module.begin_iteration(iteration)  # type: ignore[arg-type]
        assert module.temperature == pytest.approx(temperature)
    networks = module.networks
    with torch.no_grad():
        last(networks.policy).bias.fill_(1)
    module.end_iteration(9)
    assert torch.allclose(last(networks.magnet).bias, torch.tensor(0.25))
    assert torch.allclose(last(networks.average).bias, torch.tensor(3 / 12))
    with torch.no_grad():
        last(networks.policy).bias.fill_(2)
    module.end_iteration(0)
    assert torch.allclose(last(networks.average).bias, torch.tensor(2.0))


@pytest.mark.parametrize("game", [Kuhn(), Leduc()])
def test_an_opponent_is_one_that_the_game_knows_the_value_of(game: Game) -> None:
    algorithm = ppo(game, partial(make_agent, "call"))
    networks = algorithm.module().networks
    agent, other = algorithm.agents["policy_net"](networks), make_agent("call", game)
    found = algorithm.measure(networks)
    assert found["gain"] == pytest.approx(exact_value(game, agent, other))
    whole = WholeGame(game)
    best = whole.exploitability(whole_game_strategy(whole, other)).exploitability.item()
    assert found["gain_share"] == pytest.approx(found["gain"] / best)
    assert math.isnan(ppo(game, partial(make_agent, "equilibrium")).measure(networks)["gain_share"])


def test_the_actor_gives_the_same_examples_in_another_process() -> None:
    algorithm = ppo(Leduc(), partial(make_agent, "equity"))
    networks, actor = algorithm.module().networks, algorithm.actor()
    other = pickle.loads(pickle.dumps(actor))
    one, two = (each.generate(networks, 50, Place(1, 0)) for each in (actor, other))
    for stream in (DECISIONS, RESULTS):
        first, second = one[stream].columns(), two[stream].columns()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert algorithm.streams()[DECISIONS].none.columns().keys() == one[DECISIONS].columns().keys()


@pytest.mark.parametrize("opponent", [None, "equity"])
def test_games_that_are_not_listed_are_learned_from_alike(
    opponent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for listed in (True, False):
        if not listed:
            monkeypatch.setattr(policy_gradient, "list_states", lambda game, moves: None)
        algorithm = ppo(Leduc(), opponent and partial(make_agent, opponent), exploration=0.1)  # type: ignore[arg-type]
        torch.manual_seed(1)
        found.append(algorithm.actor().generate(algorithm.module().networks, 60, Place(1, 0)))
    results, others = (each[RESULTS].columns() for each in found)
    assert results["won"].item() == pytest.approx(others["won"].item())
    first, second = (
        {
            (tuple(moves), hand, tuple(features)): numbers
            for moves, hand, features, numbers in zip(
                columns["moves"].tolist(), columns["hand"].tolist(), columns["features"].tolist(),
                torch.cat([columns["counts"], columns["advantages"], columns["log_policy"]], 1), strict=True,
            )
        }
        for columns in (each[DECISIONS].columns() for each in found)
    )  # fmt: skip
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[key], second[key], atol=1e-5) for key in first)


def test_it_plays_a_game_too_large_to_be_listed_against_an_agent() -> None:
    algorithm = ppo(make_game("fhp"), partial(make_agent, "call"))
    networks = algorithm.module().networks
    found = algorithm.actor().generate(networks, 10, Place(1, 0))
    assert found[RESULTS].columns()["hands"].tolist() == [10]
    assert found[DECISIONS].columns()["counts"].sum() >= 5
    assert algorithm.module().measure(networks) == {}


def test_it_plays_itself_in_a_share_of_the_hands() -> None:
    def play(share: float, exploration: float = 0.0, against: Agent | None = None) -> DecisionExamples:
        opponent = None if against is None else lambda _: against
        torch.manual_seed(1)
        algorithm = ppo(Kuhn(), opponent, self_play=share, exploration=exploration)
        found = algorithm.actor().generate(algorithm.module().networks, 400, Place(1, 0))
        return cast(DecisionExamples, found[DECISIONS])

    call = make_agent("call", Kuhn())
    for exploration in (0.0, 0.5):
        alone, all_of_them = play(0.0, exploration), play(1.0, exploration, call)
        for name, column in alone.columns().items():
            assert torch.equal(column, all_of_them.columns()[name])
    decisions = [play(share, 0.0, call).counts.sum().item() for share in (0.0, 0.25, 1.0)]
    assert decisions[0] < decisions[1] < decisions[2]  # both seats learn where it plays itself


def test_in_holdem_it_is_told_what_hands_are_worth_and_plays_what_it_learned() -> None:
    game = make_game("fhp")
    assert isinstance(game, Holdem)
    algorithm = ppo(game, partial(make_agent, "call"))
    networks = algorithm.module().networks
    torch.nn.init.normal_(last(networks.policy).weight)
    states = FoundStates(game, 4)
    everywhere = np.ones((8, 2), bool)
    played = play_hands(states, [(networks.ask, everywhere)], 8, torch.Generator().manual_seed(1))
    flops = played.at[np.array([len(states.states[at].board) == 3 for at in played.at])][:3]
    at, hand = np.append(flops, 0).repeat(game.num_hands), np.tile(np.arange(game.num_hands), 4)
    chances, _ = networks.ask(states, at, hand)
    lines = [line_to(states, state) for state in (*flops, 0)]
    agent = algorithm.agents["policy_net"](networks)
    answers = [agent.sit_down(game.actor(line.state), 1).strategies([line])[0].T for line in lines]
    np.testing.assert_allclose(torch.cat(answers).numpy(), chances, atol=1e-6)
    # hands that differ in suits only are the same before the flop, and others are not
    cards, of = game.deck.cards.index, game.deck.hand_of
    spades, hearts, offsuit = (of[cards("A" + one), cards("K" + other)] for one, other in ("ss", "hh", "sh"))
    first = answers[-1]
    assert torch.equal(first[spades], first[hearts])
    assert not torch.allclose(first[spades], first[offsuit])


def test_in_self_play_the_average_plays_and_in_a_response_the_policy() -> None:
    for opponent, plays in ((None, "average"), (partial(make_agent, "call"), "policy")):
        algorithm = ppo(Kuhn(), opponent)
        networks = algorithm.module().networks
        agent = algorithm.agents["policy_net"](networks)
        assert isinstance(agent, InfostateAgent)
        assert agent.network is getattr(networks, plays)


def test_a_response_to_a_mixture_is_found_in_python() -> None:
    game = Kuhn()
    whole = WholeGame(game)
    call, fold = (whole_game_strategy(whole, make_agent(name, game)) for name in ("call", "fold"))
    mixture = whole.forest.by_action((call + fold) / 2)  # in Kuhn nobody acts twice but after passing
    table = {state: mixture[whole.index[state]] for state in whole.states}
    quickly = {"trajectories": 2000, "batch_size": 12, "hidden": 32}
    one, two = (respond(game, each, iterations=2, **quickly) for each in (table, TabularAgent(game, table)))
    assert one.gain == two.gain
    response = respond(game, table, iterations=50, **quickly)
    assert response.share is not None
    assert 0.95 < response.share <= 1
    assert response.gain == pytest.approx(
        exact_value(game, response.agent, TabularAgent(game, table)), abs=1e-6
    )


def test_what_who_learns_won_is_that_of_player_0_in_self_play() -> None:
    algorithm = ppo(Kuhn())  # whose networks play nearly uniformly at first: player 0 wins an eighth
    found = algorithm.actor().generate(algorithm.module().networks, 20_000, Place(1, 0))
    assert found[RESULTS].mean == pytest.approx(1 / 8, abs=0.04)  # type: ignore[attr-defined]


def test_more_actions_than_a_byte_counts_are_told_apart() -> None:
    algorithm = ppo(make_game("liars_dice_1x4f", faces=70))
    networks = algorithm.module().networks
    moves = algorithm.actor().generate(networks, 10, Place(1, 0))[DECISIONS].columns()["moves"]
    assert 127 < moves.max() < algorithm.game.num_actions


def test_who_never_has_to_decide_learns_nothing(tmp_path: Path) -> None:
    fold = ("experiment=leduc_exploiter", "game=fhp", "algorithm.opponent=fold")  # player 1 acts first
    run = trained(*fold, "iterations=2", "trajectories=1", "run", cwd=tmp_path)
    assert [(line["value_loss"], line["won"] > 0) for line in metrics(run)] == [(None, True)] * 2


def test_what_draws_is_no_opponent() -> None:
    agent = make_agent("call", Kuhn())
    agent.draws = True
    with pytest.raises(ValueError, match="opponent draws what it plays"):
        ppo(Kuhn(), lambda game: agent).actor()


def test_it_learns_what_there_is_to_be_won_of_one_who_always_calls(tmp_path: Path) -> None:
    run = trained(
        "experiment=kuhn_exploiter", "iterations=40", "run",
        cwd=tmp_path,
    )  # fmt: skip
    last = metrics(run)[-1]
    assert last["gain_share"] > 0.95
    assert last["gain"] == pytest.approx(last["gain_share"] / 3)
    assert abs(last["won"] - last["gain"]) < 0.1

    ended = command(
        "evaluate", "run=run", "export=policy.json", "export_policy=policy_net", cwd=tmp_path, plots=False
    )
    assert (ended.code, ended.err) == (0, "")
    assert len(json.loads((tmp_path / "policy.json").read_text())) == 12
    match = ("match.against=call", "match.hands=20")
    assert command("evaluate", "run=run", *match, cwd=tmp_path, plots=False).code == 0
    assert json.loads(run.evaluation.read_text())["matches"][0]["exact"] == pytest.approx(
        last["gain"], abs=1e-6
    )
    message = refusal("evaluate", "run=run", *match, "match.play=search_average", cwd=tmp_path)
    assert message == "match.play=search_average: PPO plays policy_net, not search_average"
    message = refusal("train", "experiment=kuhn_exploiter", "model.value_loss=huber", cwd=tmp_path)
    assert message == (
        "model.value_loss=huber: PPO reads no model.value_loss: leave it out, or set it under algorithm"
    )
    message = refusal("evaluate", "run=run", "search_iterations=7", cwd=tmp_path)
    assert message == "search_iterations is of search, and policy_net of run does not: leave it out"

    # each decision is learned from as often as is said, however few there are
    often = ("updates=null", "draws_per_example=3", "evaluation.every=null")
    few = trained(*TINY, *often, "few", cwd=tmp_path)
    assert [(line["draws_per_example"], line["network_updates"]) for line in metrics(few)] == [
        (3, 3 * (iteration + 1)) for iteration in range(4)
    ]

    # the opponent of another run is this one, found again when that goes on
    runs = [
        trained(*TINY, "algorithm.opponent=run", "checkpoint_every=2", name, cwd=tmp_path)
        for name in ("straight", "resumed")
    ]
    assert command("train", "resume_from=2", "run_name=resumed", cwd=tmp_path, plots=False).code == 0
    assert_same_run(runs[1], runs[0])
    run.path.rename(tmp_path / "elsewhere")
    message = refusal("train", "resume_from=2", "run_name=resumed", cwd=tmp_path)
    assert message.startswith("algorithm.opponent=run: no run 'run' here")
    assert (
        command("evaluate", "run=resumed", cwd=tmp_path, plots=False).code == 0
    )  # the opponent is not needed


def test_self_play_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    straight, resumed = (
        trained(*TINY, *SELF_PLAY, "checkpoint_every=2", name, cwd=tmp_path) for name in ("one", "two")
    )
    assert command("train", "resume_from=2", "run_name=two", cwd=tmp_path, plots=False).code == 0
    assert_same_run(resumed, straight)
    message = refusal("train", "resume_from=two", "algorithm=rebel", cwd=tmp_path)
    assert message == "algorithm=rebel would change the run outputs/two: leave it out, or start a new run"


REFUSALS = {
    "algorithm.opponent=nobody": "algorithm.opponent=nobody: no run 'nobody' here",
    "algorithm.opponent=leduc": "algorithm.opponent=leduc: a run of another game: leduc, not kuhn",
    "algorithm.opponent=leduc:search_iteration": "algorithm.opponent=leduc:search_iteration: a",
    "algorithm.opponent=os:path": "algorithm.opponent=os:path: if you trust that module, say so",
    "algorithm.trace=2": "algorithm.trace must lie between 0 and 1, got 2",
    "algorithm.clip=0": "algorithm.clip must be positive, got 0",
    "algorithm.step=0": "algorithm.step must be positive, got 0",
    "algorithm.update=both": "algorithm.update must be one of clip, mirror, got 'both'",
    "algorithm.moves=0": "algorithm.moves must lie between 1 and 1000, got 0",
    "algorithm.moves=1001": "algorithm.moves must lie between 1 and 1000, got 1001",
    "algorithm.magnet=-1": "algorithm.magnet must not be negative, got -1",
    "algorithm.value_weight=-1": "algorithm.value_weight must not be negative, got -1",
    "algorithm.network=null": "algorithm.network must be a group with a _target_, got None",
    "algorithm.opponent=3": "algorithm.opponent must be text, got 3",
    "algorithm.opponent=[call]": "algorithm.opponent must be text, got ['call']",
    "algorithm.network.hidden=0": "algorithm.network.hidden must be an integer of at least 1, got 0",
}


@pytest.mark.parametrize("option", REFUSALS)
def test_what_cannot_be_is_refused_in_one_line(option: str, tmp_path: Path) -> None:
    message = refusal("train", *TINY, option, cwd=tmp_path)
    assert message.startswith(REFUSALS[option])
