"""Deep CFR: its memories, its average, and runs that end near equilibrium and resume to the bit."""

import json
import pickle
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import pyspiel
import pytest
import torch
from runs.harness import (
    Moment,
    assert_same_run,
    command,
    copy,
    identical,
    interrupted,
    metrics,
    refusal,
    trained,
)

import pokerlab
from pokerlab.agents.base import Line
from pokerlab.agents.snapshots import SnapshotAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.algorithms.deep_cfr import DeepCFR, DeepCFRModule
from pokerlab.config.stored import read_config
from pokerlab.evaluation.policies import WholeGame
from pokerlab.games.base import CHANCE, TERMINAL
from pokerlab.learning.deep_cfr_networks import match_regrets
from pokerlab.learning.line_networks import HandsNetwork
from pokerlab.learning.snapshots import Snapshots
from pokerlab.selfplay.infostate_examples import InfostateSums
from pokerlab.selfplay.place import Place
from pokerlab.store.folder import RunFolder
from pokerlab.training.assemble import RunParts

DEEP = (
    "experiment=kuhn_deep_cfr", "iterations=6", "trajectories=20", "updates=4", "evaluation.every=2",
    "model.value_network.hidden=16", "model.policy_network.hidden=16",
)  # fmt: skip
NETWORK = "algorithm.advantage_network"


def deep_cfr(name: str) -> DeepCFR:
    network = partial(HandsNetwork, hidden=8, layers=1)
    return DeepCFR(
        pokerlab.make_game(name), advantage_network=network, strategy_network=network, iterations=4, seed=1
    )


@pytest.mark.quick
def test_strategies_are_in_proportion_to_positive_advantages_or_the_highest() -> None:
    advantages = torch.tensor([[1.0, 3.0, 9.0], [-2.0, -1.0, 9.0], [0.0, 0.0, 9.0]])[:, :, None]
    legal = torch.tensor([True, True, False]).expand(3, 3)
    expected = torch.tensor([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    torch.testing.assert_close(match_regrets(advantages, legal)[:, :, 0], expected)


@pytest.mark.quick
def test_snapshots_play_every_strategy_weighted_by_its_iteration_and_by_own_reach() -> None:
    """Against a recursion through Kuhn that knows nothing of trees."""
    algorithm = deep_cfr("kuhn")
    game, networks, listed = algorithm.game, algorithm.module().networks, algorithm.listed
    assert listed is not None
    states, _ = listed.lines
    played = []
    for iteration in range(4):
        torch.manual_seed(iteration)
        for network in networks.advantages:
            torch.nn.init.normal_(cast(HandsNetwork, network).to_hands.weight)
        networks.remember(listed, iteration + 1)
        played.append(dict(zip(states, networks.listed_strategy().double(), strict=True)))
    expected = {state: torch.zeros(game.num_actions, game.num_hands).double() for state in states}

    def visit(state: object, strategy: dict[object, torch.Tensor], own: torch.Tensor, weight: int) -> None:
        if (actor := game.actor(state)) == TERMINAL:
            return
        assert actor != CHANCE
        expected[state] += weight * own[actor] * strategy[state]
        for action in game.actions(state):
            reach = own.clone()
            reach[actor] *= strategy[state][action]
            visit(game.next_state(state, action), strategy, reach, weight)

    for number, strategy in enumerate(played):
        visit(game.root(), strategy, torch.ones(2, game.num_hands).double(), number + 1)
    agent = cast(TabularAgent, algorithm.agents["snapshots"](networks))
    for state in states:
        total = expected[state].sum(0)
        average = torch.where(total > 0, expected[state] / total, 1 / game.num_actions)
        torch.testing.assert_close(agent.table[state], average)


@pytest.mark.quick
def test_an_agent_of_snapshots_plays_what_the_table_plays() -> None:
    """Of Kuhn, where the average is exact: two strategies that are kept, with equal weights."""
    algorithm = deep_cfr("kuhn")
    networks, listed = algorithm.module().networks, algorithm.listed
    assert listed is not None
    kept = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        for network in networks.advantages:
            torch.nn.init.normal_(cast(HandsNetwork, network).to_hands.weight)
        networks.remember(listed, 1)
        kept.append(dict(zip(listed.lines[0], networks.listed_strategy().double(), strict=True)))

    def strategies(player: int, lines: Sequence[Line]) -> torch.Tensor:
        assert {algorithm.game.actor(line.state) for line in lines} == {player}
        return torch.stack([torch.stack([each[line.state] for each in kept]) for line in lines])

    whole = WholeGame(algorithm.game)
    table = whole.policy(algorithm.agents["snapshots"](networks))
    torch.testing.assert_close(whole.policy(SnapshotAgent(algorithm.game, strategies)), table)


@pytest.mark.quick
def test_iterations_are_kept_as_snapshots_in_proportion_to_their_weights() -> None:
    network, generator = torch.nn.Linear(1, 1, bias=False), torch.Generator().manual_seed(1)
    counts, runs, most, last = torch.zeros(41), 1000, 4, 40
    for _ in range(runs):
        snapshots = Snapshots(network, most)
        for iteration in range(1, last + 1):
            torch.nn.init.constant_(network.weight, iteration)
            snapshots.add(network, iteration, generator)
        found = [int(each.weight.item()) for each in snapshots.networks(network)]
        assert len(set(found)) == most
        counts[found] += 1
    chances = most * torch.arange(41) / (last * (last + 1) / 2)
    assert (counts / runs - chances)[10:].abs().max() < 4.5 * (0.2 / runs) ** 0.5


@pytest.mark.quick
def test_memories_are_sums_with_linear_weights_and_can_be_had_as_of_an_iteration_ago() -> None:
    algorithm = deep_cfr("leduc")
    actor, networks = algorithm.actor(), algorithm.module().networks
    stream = algorithm.streams()["advantages_0"]
    found = [actor.generate(networks, 50, Place(1, t))["advantages_0"] for t in (0, 2)]
    first, second = (cast(InfostateSums, examples) for examples in found)
    replay = stream.replay(1.0, None, "advantages_0")
    for examples in (first, second):
        replay.add(examples)
    sums = replay.sample(5, torch.Generator())
    torch.testing.assert_close(sums.targets, first.targets + second.targets)
    before = replay.contents(len(first))
    assert identical(before["columns"]["hand_weights"], first.hand_weights)
    assert not len(actor.generate(networks, 50, Place(1, 1))["advantages_0"])
    at_root = [examples.hand_weights[0].sum().item() for examples in (first, second)]
    assert at_root[1] / at_root[0] == pytest.approx(3)  # iterations count from 1


def test_a_short_run_plays_kuhn_nearly_at_equilibrium_and_openspiel_agrees(tmp_path: Path) -> None:
    short = ("iterations=60", "updates=15", "evaluation.every=60")
    run = trained("experiment=kuhn_deep_cfr", *short, "run", cwd=tmp_path)
    last = metrics(run)[-1]
    assert last["exploitability"] < 0.025
    assert last["exploitability_policy_net"] < 0.03
    assert last["nodes_touched"] > 100_000
    exported = tmp_path / "policy.json"
    ways = ("export_policy=snapshots", f"export={exported}", f"json={tmp_path / 'found.json'}")
    ended = command("evaluate", f"run={run.path}", *ways, cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, ""), ended
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["snapshots"]["exploitability"] == pytest.approx(last["exploitability"], rel=1e-9)
    assert found["policy_net"]["exploitability"] == pytest.approx(last["exploitability_policy_net"], rel=1e-6)
    policy = {
        state: [(int(action), chance) for action, chance in chances.items()]
        for state, chances in json.loads(exported.read_text()).items()
    }
    theirs = pyspiel.nash_conv(pyspiel.load_game("kuhn_poker"), pyspiel.TabularPolicy(policy), True)
    assert theirs == pytest.approx(found["snapshots"]["nash_conv"], abs=1e-9)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*DEEP, "commit_every=1", "run", cwd=tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize(
    ("moment", "number", "ends"),
    [
        (Moment("pokerlab.algorithms.deep_cfr:DeepCFRModule.losses", 15), signal.SIGINT, 130),
        (Moment("pokerlab.selfplay.traversing:ListedActor.generate", 5), signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_a_run_that_is_interrupted_or_killed_goes_on_to_the_same_bits(
    moment: Moment, number: int, ends: int, straight: RunFolder, tmp_path: Path
) -> None:
    assert interrupted(moment, number, *DEEP, "commit_every=1", "run_name=run", cwd=tmp_path) == ends
    ended = command("train", "resume_from=run", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, ""), ended
    assert_same_run(RunFolder(tmp_path / "outputs" / "run"), straight)


def test_reservoirs_go_on_to_the_same_bits(tmp_path: Path) -> None:
    small = ("experiment=fhp_deep_cfr", "iterations=4", "trajectories=4", "updates=2", "batch_size=8")
    full = ("selfplay.value_capacity=10", "selfplay.policy_capacity=10")
    run = trained(*small, *full, "checkpoint_every=3", "run", cwd=tmp_path)
    again = copy(run, tmp_path, "again")
    ended = command("train", "resume_from=3", "run_name=again", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, ""), ended
    assert_same_run(again, run)
    weights = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    assert [weights[f"all_networks.snapshots.{player}.count"].item() for player in (0, 1)] == [2, 2]
    assert metrics(run)[-1]["examples"] > 2 * 10  # more than reservoirs keep


def test_its_runs_are_refused_what_they_do_not_have(straight: RunFolder, tmp_path: Path) -> None:
    copy(straight, tmp_path)
    said = refusal("train", "algorithm=rebel", "resume_from=run", cwd=tmp_path)
    assert "algorithm=rebel would change the run" in said
    said = refusal("train", "resume_from=run", "algorithm.strategy_every=2", cwd=tmp_path)
    assert (
        said == "unknown key 'algorithm.strategy_every': a run that goes on keeps its algorithm, leave it out"
    )
    said = refusal("evaluate", "run=run", "agent=search_gadget", cwd=tmp_path)
    assert said == "DeepCFR plays snapshots or policy_net, not search_gadget"
    large = (*DEEP, "evaluation.every=null")
    said = refusal("train", *large, "game=hunl", cwd=tmp_path)
    assert said == "HandsNetwork is of games with few hands: hunl needs CardsNetwork"
    said = refusal("train", *large, "game=liars_dice_2x3f", "game.faces=9", cwd=tmp_path)
    assert said.startswith("liars_dice_2x9f is too large for Deep CFR: expected hold'em, or a game of")
    said = refusal("train", "experiment=fhp_deep_cfr", "selfplay.value_capacity=1000000000", cwd=tmp_path)
    assert said.startswith("selfplay.value_capacity 1,000,000,000 and 400,000 of strategies take")
    said = refusal("train", "experiment=fhp_deep_cfr", "algorithm.snapshots=1000000000", cwd=tmp_path)
    assert "GB with 1,000,000,000 snapshots, and the machine has" in said
    for wrong in ("algorithm.strategy_every=0", "model.value_network.layers=0"):
        assert wrong.partition("=")[0].rpartition(".")[2] in refusal("train", *DEEP, wrong, cwd=tmp_path)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("algorithm.advantage_capacity=0", "algorithm.advantage_capacity must be at least 1, got 0"),
        ("algorithm.strategy_capacity=-5", "algorithm.strategy_capacity must be at least 1, got -5"),
        ("algorithm.sampling=chance", "algorithm.sampling must be external or public_chance, got 'chance'"),
        ("algorithm.learning_rate=-1", "algorithm.learning_rate must be positive, got -1"),
        (
            "model=small",
            "model.value_network must be a LineNetwork (HandsNetwork or CardsNetwork), got ValueNetwork",
        ),
        ("trainer.compile=true", "trainer.compile: DeepCFRModule has no compile_losses"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(wrong: str, said: str, tmp_path: Path) -> None:
    assert refusal("train", *DEEP, wrong, cwd=tmp_path) == said


@pytest.mark.quick
def test_a_network_that_is_none_is_refused(tmp_path: Path) -> None:
    mine = [
        override for override in DEEP if not override.startswith("model.")
    ]  # of which nothing is read then
    said = refusal("train", *mine, f"{NETWORK}=3", cwd=tmp_path)
    assert said == f"{NETWORK} must be a group with a _target_, got 3"


@pytest.mark.quick
def test_a_turn_in_which_no_traversal_comes_to_the_player_teaches_it_nothing(tmp_path: Path) -> None:
    one = ("experiment=fhp_deep_cfr", "iterations=3", "trajectories=1", "updates=2", "batch_size=8")
    run = trained(*one, "algorithm.sampling=external", "seed=2", "run", cwd=tmp_path)
    first, second, third = metrics(run)
    assert first["value_loss"] is None  # player 1, who acts first, folded
    assert min(first["policy_loss"], second["value_loss"], third["policy_loss"]) >= 0
    algorithm = RunParts(read_config(run)).algorithm
    networks = cast(DeepCFRModule, algorithm.module()).networks  # which had no turns yet
    game, agent = algorithm.game, algorithm.agents["snapshots"](networks)
    root = Line((game.root(),), ())
    chances = agent.sit_down(game.actor(game.root()), 1).strategies([root])[0]
    legal = list(game.actions(game.root()))
    torch.testing.assert_close(chances[legal], torch.full((len(legal), game.num_hands), 1 / len(legal)))


def test_from_scratch_an_advantage_network_forgets(tmp_path: Path) -> None:
    runs = [
        trained(*DEEP, f"algorithm.from_scratch={value}", f"scratch_{value}", cwd=tmp_path)
        for value in ("true", "false")
    ]
    first, second = (metrics(run) for run in runs)
    assert [line["value_loss"] for line in first[:2]] == [line["value_loss"] for line in second[:2]]
    assert first[2]["value_loss"] != second[2]["value_loss"]


@pytest.mark.quick
def test_what_a_worker_is_sent_finds_the_same(tmp_path: Path) -> None:
    algorithm = deep_cfr("leduc")
    actor, networks = algorithm.actor(), algorithm.module().networks
    sent = pickle.loads(pickle.dumps((actor, networks)))
    here, there = (one.generate(each, 20, Place(1, 1)) for one, each in ((actor, networks), sent))
    assert all(identical(here[name].columns(), there[name].columns()) for name in here)
