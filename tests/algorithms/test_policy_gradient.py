"""PPO: its losses, what it wins of fixed opponents, and its runs at the commands."""

import json
import math
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from runs.harness import assert_same_run, command, metrics, refusal, trained
from torch import nn

from pokerlab.agents.base import Agent
from pokerlab.agents.registry import make_agent
from pokerlab.algorithms.policy_gradient import DECISIONS, PPO, RESULTS, PPOModule
from pokerlab.evaluation.exact import exact_value, whole_game_strategy
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import Game
from pokerlab.games.kuhn import Kuhn
from pokerlab.games.leduc import Leduc
from pokerlab.learning.decisions import DecisionExamples
from pokerlab.learning.infostates import InfostateNetwork
from pokerlab.selfplay.place import Place

pytestmark = pytest.mark.quick

TINY = (
    "experiment=kuhn_ppo", "iterations=4", "trajectories=200", "evaluation.every=2", "commit_every=1",
    "algorithm.network.hidden=8",
)  # fmt: skip


def ppo(
    game: Game, opponent: Callable[[Game], Agent] | None = None, hidden: int = 16, **options: float
) -> PPO:
    network = partial(InfostateNetwork, hidden=hidden, layers=1)
    return PPO(game, network=network, iterations=10, seed=1, opponent=opponent, moves=4, **options)  # type: ignore[arg-type]


def one_decision(module: PPOModule, advantages: list[float], counts: list[float]) -> DecisionExamples:
    """A king at the root, with what the policy plays there now."""
    none = DecisionExamples.none(Kuhn(), 4)
    found = DecisionExamples(
        features=torch.tensor([Kuhn().features(Kuhn().root())]),
        moves=torch.full((1, 4), -1, dtype=torch.int8),
        hand=torch.tensor([2]),
        legal=torch.ones(1, 2, dtype=torch.bool),
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


def test_the_losses_of_one_decision_are_those_of_the_paper() -> None:
    module = ppo(Kuhn()).module()
    found = one_decision(module, advantages=[-1.0, 2.0], counts=[1.0, 3.0])
    losses = {name: loss.item() for name, loss in module.losses({DECISIONS: found}, 0).items()}
    assert losses == pytest.approx({
        "policy_loss": -(0.25 * -1 + 0.75 * 2),
        "value_loss": 0.25,
        "magnet_divergence": 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75),
        "entropy": math.log(2),
    })  # fmt: skip
    with torch.no_grad():
        last(module.networks.policy).bias.copy_(torch.tensor([0.0, math.log(3)]))  # 0.25, 0.75
    ratios = 0.25 / 0.5, 1.2  # 1.5, clipped where it would gain
    assert module.losses({DECISIONS: found}, 0)["policy_loss"].item() == pytest.approx(
        -(0.25 * -1 * 0.8 + 0.75 * 2 * ratios[1]) if ratios[0] < 0.8 else 0.0
    )


def test_steps_on_one_decision_lead_to_the_best_response_as_far_as_the_clip_allows() -> None:
    module = ppo(Kuhn()).module()
    found = one_decision(module, advantages=[-1.0, 1.0], counts=[1.0, 1.0])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        module.losses({DECISIONS: found}, 0)["policy_loss"].backward()
        optimizer.step()
    chance = module.networks.policy(found.infostates).softmax(1)[0, 1].item()
    assert 0.6 < chance < 0.63  # the ratio is 1.2 at 0.6; the last step went past it


def test_the_temperature_falls_and_the_magnet_follows() -> None:
    module = ppo(Kuhn(), entropy=1.0, final_entropy=0.01, magnet_rate=0.25).module()
    for iteration, temperature in ((0, 1.0), (9, 0.01), (4.5, 0.1)):
        module.begin_iteration(iteration)  # type: ignore[arg-type]
        assert module.weights["entropy"] == pytest.approx(-temperature)
    networks = module.networks
    before = last(networks.magnet).bias.clone()
    with torch.no_grad():
        last(networks.policy).bias.add_(1)
    module.end_iteration()
    assert torch.allclose(last(networks.magnet).bias, before + 0.25)


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


def test_what_draws_is_no_opponent() -> None:
    agent = make_agent("call", Kuhn())
    agent.draws = True
    with pytest.raises(ValueError, match="opponent draws what it plays"):
        ppo(Kuhn(), lambda game: agent).actor()


def test_it_learns_what_there_is_to_be_won_of_one_who_always_calls(tmp_path: Path) -> None:
    run = trained(
        "experiment=kuhn_ppo", "algorithm.opponent=call", "iterations=40", "evaluation.every=null", "run",
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
    straight, resumed = (trained(*TINY, "checkpoint_every=2", name, cwd=tmp_path) for name in ("one", "two"))
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
    "algorithm.moves=0": "algorithm.moves must be at least 1, got 0",
    "algorithm.network.hidden=0": "algorithm.network.hidden must be an integer of at least 1, got 0",
}


@pytest.mark.parametrize("option", REFUSALS)
def test_what_cannot_be_is_refused_in_one_line(option: str, tmp_path: Path) -> None:
    message = refusal("train", *TINY, option, cwd=tmp_path)
    assert message.startswith(REFUSALS[option])
