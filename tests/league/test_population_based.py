"""Population-based training: who becomes a copy of whom, with which hyperparameters."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pokerlab.config.command import compose
from pokerlab.config.schema import LeagueConfig
from pokerlab.config.stored import write_config
from pokerlab.errors import UserError
from pokerlab.league.folder import LeagueFolder, Member
from pokerlab.league.population import Population
from pokerlab.league.population_based import PopulationBased, value_of
from pokerlab.league.start import make_parts, open_folder, open_league
from pokerlab.league.tables import TabularPopulation
from pokerlab.league.training import Proposal, RunOracle
from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.folder import RunFolder
from pokerlab.training.fork import fork
from pokerlab.training.run import train
from pokerlab.training.start import go_on, start

RATES, EXPLORATION = "algorithm.learning_rate,algorithm.final_learning_rate", "algorithm.exploration"
WIDTH = "algorithm.network.hidden"
STRENGTHS = [3.0, 1.0, 4.0, 2.0]


@pytest.fixture(scope="module")
def config() -> LeagueConfig:
    found: LeagueConfig = compose(
        "league", ["experiment=phase2_leduc_pbt", "game=kuhn", "propose.agents=4", "rounds=4"]
    )
    return found


def grown(config: LeagueConfig, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[Proposal]]:
    """What is proposed, where agents are as exploitable as they are said to be."""
    rounds: list[list[Proposal]] = []

    def train(
        _: RunOracle, population: Population, proposals: Sequence[Proposal]
    ) -> list[tuple[Member, Any]]:
        rounds.append(list(proposals))
        for each in proposals:
            (folder := population.folder.member(each.run.name)).mkdir(parents=True)
            write_config(RunFolder(folder), each.run.config)
        assert isinstance(population, TabularPopulation)
        uniform = population.game.uniform()
        return [
            (replace(each.member, exploitability=strength), uniform)
            for each, strength in zip(proposals, STRENGTHS, strict=True)
        ]

    monkeypatch.setattr(RunOracle, "_train", train)
    config = replace(config, run_dir=str(path))
    parts = make_parts(config)
    folder, lock = open_folder(config, None)
    monkeypatch.setattr("pokerlab.league.loop.NOTHING", -1)  # everybody plays alike
    open_league(config, parts, folder).run(config.rounds)
    lock.release()
    assert LeagueFolder(path).read_rounds()[-1]["kept"] == list(range(5, 13))
    return rounds


def test_the_worst_become_copies_of_the_best_and_explore(
    config: LeagueConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = grown(config, tmp_path / "L", monkeypatch)
    assert len(rounds) == 3
    drawn = [[value_of(each.run.config, key) for each in rounds[0]] for key in (RATES, EXPLORATION)]
    assert all(len({*values}) == 4 for values in drawn)
    assert all(1e-4 <= rate <= 1e-2 for rate in drawn[0])
    for number, (before, after) in enumerate(pairwise(rounds), 2):
        assert [each.run.weights_of for each in after] == [
            f"r{number - 1:04d}-agent{agent}" for agent in (0, 1, 1, 3)
        ]
        assert [each.member.parent for each in after] == [each.run.weights_of for each in after]
        for agent, parent in enumerate((0, 1, 1, 3)):
            old, new = before[parent].run.config, after[agent].run.config
            assert value_of(new, WIDTH) == value_of(old, WIDTH)
            for key in (RATES, EXPLORATION):
                assert (value_of(new, key) == value_of(old, key)) == (agent != 2)
            assert new.algorithm["learning_rate"] == new.algorithm["final_learning_rate"]
            assert new.seed != old.seed
    again = grown(config, tmp_path / "M", monkeypatch)
    assert [[each.run for each in proposed] for proposed in again] == [
        [each.run for each in proposed] for proposed in rounds
    ]


def test_without_copies_it_is_a_random_search(
    config: LeagueConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = grown(replace(config, propose=config.propose | {"share": 0.0}), tmp_path / "L", monkeypatch)
    for more, (before, after) in zip((100, 150), pairwise(rounds), strict=True):
        for agent, (old, new) in enumerate(zip(before, after, strict=True)):
            assert new.run.config == replace(old.run.config, seed=new.run.config.seed, iterations=more)
            assert new.run.weights_of == f"r{new.member.round - 1:04d}-agent{agent}"


def test_hyperparameters_reach_all_that_follows_from_them_and_stay_whole() -> None:
    config = compose(
        "league", ["propose=population_based_rebel", "game=kuhn", "propose.agents=1", "propose.share=0"]
    )
    oracle = make_parts(config).propose
    assert isinstance(oracle, PopulationBased)
    run = oracle._with({"selfplay.search_iterations": 321.4, "model.learning_rate": 0.5})
    assert run.selfplay.search_iterations == run.algorithm["search_iterations"] == 321
    assert run.model.learning_rate == run.algorithm["learning_rate"] == 0.5


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "share": ({"share": 0.6}, "propose.share must lie between 0 and 0.5, got 0.6"),
    "agents": ({"agents": 0}, "propose.agents must be at least 1, got 0"),
    "anew": ({"anew": 2.0}, "propose.anew must lie between 0 and 1, got 2.0"),
    "factors": ({"factors": [0.8, 0.0]}, r"propose.factors must be positive, got \[0.8, 0.0\]"),
    "a range": ({"search": {EXPLORATION: [0.5, 0.1]}}, "search.algorithm.exploration must be the least and"),
    "no values": ({"choices": {WIDTH: []}}, "choices.algorithm.network.hidden must be a list of values"),
    "no such key": ({"search": {"algorithm.x": [1, 2]}}, "propose: runs have no algorithm.x"),
    "a value": (
        {"search": {EXPLORATION: [0.5, 2]}},
        "propose: algorithm.exploration must lie between 0 and 1, got 2",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found_before_anything_is_trained(mistake: str, config: LeagueConfig) -> None:
    changes, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=f"^{message}"):
        make_parts(replace(config, propose=config.propose | changes))


def test_a_copy_goes_on_with_an_optimizer_of_its_own(tmp_path: Path) -> None:
    config = compose("train", [
        "experiment=kuhn_exploiter", "iterations=1", "trajectories=40", "batch_size=16", "updates=3",
        "algorithm.network.hidden=8", f"run_dir={tmp_path}/old",
    ])  # fmt: skip
    train(start(config, None, []), quiet=True)
    old, copy = RunFolder(tmp_path / "old"), RunFolder(tmp_path / "copy")
    changed = replace(config, iterations=2, seed=9, optimizer=config.optimizer | {"weight_decay": 0.5})
    fork(old, copy, changed)
    train(go_on(copy, None, copy.lock()), quiet=True)
    before, after = (
        read_checkpoint(run.checkpoints / "last.ckpt")["optimizer_states"][0] for run in (old, copy)
    )
    assert [each["param_groups"][0]["weight_decay"] for each in (before, after)] == [0, 0.5]
    assert [each["state"][0]["step"].item() for each in (before, after)] == [3, 6]
    assert [line["iteration"] for line in copy.read_metrics()] == [1]
