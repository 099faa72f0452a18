"""Leagues of games too large for tables: members are agents, and payoffs are played for."""

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from runs.harness import command, refusal, trained

import pokerlab
from league.killing import Killed, essence, killing, run
from pokerlab.agents.mixture import MixtureAgent
from pokerlab.agents.opponents import MixedOpponent
from pokerlab.agents.registry import make_agent
from pokerlab.agents.stored_policy import agent_of
from pokerlab.api import exploitability
from pokerlab.config.command import compose
from pokerlab.errors import UserError
from pokerlab.evaluation.exact import exact_value
from pokerlab.games import make_game
from pokerlab.games.base import Game
from pokerlab.league import command as league_command
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.start import read_population
from pokerlab.search.sequence_game import sequence_game
from pokerlab.store import files
from pokerlab.training.stored_agents import agent_by_name

PHASE2 = ("experiment=phase2", "profile=tiny")
SIZES: dict[str, Any] = {"ranks": 3, "stack": 400, "bets": [[1]], "most_raises": 1, "deals": [0, 1]}
GAME = ("game=mini_holdem", *(f"game.{name}={value}" for name, value in SIZES.items()))
"""With 66 hands; it can be enumerated."""


def game() -> Game:
    return make_game("mini_holdem", **SIZES)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    ended = command("league", *PHASE2, *GAME, "run_dir=L", "json=l.json", cwd=folder, plots=False)
    assert (ended.code, ended.err) == (0, "")
    assert "a local best response wins" in ended.out
    return folder / "L"


@pytest.fixture
def league(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(good, tmp_path / "L"))


def look(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command of the league but ``run`` says, if it does not fail."""
    capsys.readouterr()
    code, said = league_command.run(list(arguments)), capsys.readouterr()
    assert (code, said.err) == (0, "")
    return said.out


def test_a_mixture_wins_what_its_agents_win() -> None:
    kuhn = make_game("kuhn")
    found, random = sequence_game(kuhn), np.random.default_rng(3)
    policies = [found.average(random.random((found.num_edges, found.num_hands)) ** 4) for _ in range(3)]
    agents = [agent_of(found, policy) for policy in policies]
    shares = np.array([[0.5, 0.2, 0.3], [0, 0.4, 0.6]])
    won = [
        [exact_value(kuhn, MixtureAgent(kuhn, agents, np.stack([own, shares[1]])), other) for other in agents]
        for own in (*np.eye(3), shares[0])
    ]
    np.testing.assert_allclose(
        np.array(won[3], dtype=float), shares[0] @ np.array(won[:3], dtype=float), atol=1e-12
    )


def test_the_loop(good: Path) -> None:
    found = json.loads((good.parent / "l.json").read_text())
    assert found["members"] == ["uniform", "call", "equity", "r0001", "r0002"]
    assert found["exploitability"] == [None] * 3
    assert all(bound > 0 for bound in found["lower_bound"])
    assert [gain is None for gain in found["response_gain"]] == [True, False, False]
    population = read_population(LeagueFolder(good))
    won, half_width = population.head_to_head()
    np.testing.assert_allclose(won, -won.T, atol=1e-9)
    assert (half_width[np.triu_indices(5, 1)] >= 0).all()
    assert (np.diag(won) == 0).all()  # seats are weighed together


def test_a_league_that_was_killed_goes_on_to_the_same(tmp_path: Path) -> None:
    expected = essence(run(compose("league", [*PHASE2, f"run_dir={tmp_path / 'straight'}"])))
    for after in (4, 15):  # while members come, and while pairs play
        config = compose("league", [*PHASE2, f"run_dir={tmp_path / str(after)}"])
        append = killing(after, half=False)(files.append_line)
        with patch("pokerlab.league.folder.append_line", append), pytest.raises(Killed):
            run(config)
        assert essence(run(config)) == expected, after


def test_the_mixture_plays_by_its_name(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(look(capsys, "play", "L", "call", "r0001", "policy:L", "--deals", "2", "--json"))
    assert ["L", "policy:L"] in [match["agents"] for match in found["matches"]]
    [bound] = json.loads(look(capsys, "play", "L", "lbr", "--deals", "20", "--json"))["matches"]
    assert bound["agents"] == ["L", "lbr"]
    assert bound["chips"] < 0
    ended = command("evaluate", *GAME, "agent=policy:L", "json=e.json", cwd=league.parent)
    assert (ended.code, ended.err) == (0, "")
    measured = json.loads((league.parent / "e.json").read_text())["policy:L"]
    best = read_population(LeagueFolder(league)).best
    assert best is not None
    assert 0 < best["lower_bound"] < measured["exploitability"] + best["lower_bound_half_width"]


def test_a_league_is_opened_in_python(league: Path) -> None:
    found = pokerlab.open_league("L")
    assert repr(found).startswith("L, mini_holdem\n3 rounds, 5 members; ")
    assert [member["name"] for member in found.members][3:] == ["r0001", "r0002"]
    assert np.shape(found.matrix["payoffs"]) == np.shape(found.matrix["half_width"]) == (5, 5)
    assert sorted(found.figures()) == ["exploitability", "lineage", "matrix", "weights"]
    mixture, call = found.agent(), found.agent("call")
    assert isinstance(mixture, MixtureAgent)
    assert call.strategy()["call"].max() == 1
    with pytest.raises(ValueError, match="no member 'r9': expected one of uniform, call, equity, r0001"):
        found.agent("r9")


def test_where_it_can_be_exploitability_is_exact(tmp_path: Path) -> None:
    few = ("rounds=1", "start=[call]", "evaluate.deals=2", "evaluate.most=4", "run_dir=L", "json=l.json")
    options = ("experiment=phase2", "measure=exploitability", *GAME, *few)
    ended = command("league", *options, cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads((tmp_path / "l.json").read_text())
    call = exploitability(game(), make_agent("call", game())).exploitability
    assert found["exploitability"] == [pytest.approx(call)]


def test_local_best_responses_to_each_other(tmp_path: Path) -> None:
    few = ("start=[call]", "rounds=3", "evaluate.deals=10", "evaluate.most=10", "measure=none", "run_dir=L")
    options = ("experiment=phase2", *GAME, "propose=local_best_response", "select=strongest", *few)
    ended = command("league", *options, "json=l.json", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads((tmp_path / "l.json").read_text())
    assert found["members"] == ["call", "r0001", "r0002"]
    assert found["response_gain"][1] > 50  # of one who never folds there is much to be won
    described = json.loads((tmp_path / "L/members/r0002/agent.json").read_text())
    assert described["responds_to"] == {"r0001": [1.0, 1.0]}


def test_a_run_joins_and_stays_what_it_was(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ("experiment=leduc_exploiter", "profile=tiny", "workers=0", *GAME, "iterations=1")
    source = trained(*train, "run", cwd=league.parent)
    look(capsys, "add", "L", "run", "--name", "net")
    population = read_population(LeagueFolder(league))
    before = population.agent(5).strategy()
    checkpoint = source.checkpoints / "last.ckpt"
    checkpoint.write_bytes(b"trained on")
    again = read_population(LeagueFolder(league)).agent(5).strategy()
    np.testing.assert_array_equal(again["all-in"], before["all-in"])
    assert json.loads(look(capsys, "tree", "L", "--json"))[5]["source"] == "run"


def test_each_hand_meets_one_agent_of_a_mixture() -> None:
    agents = [make_agent(name, game()) for name in ("call", "uniform", "fold")]
    shares = np.array([[0.25, 0.75, 0], [0, 0.5, 0.5]])
    where = np.arange(8000)[:, None] % 2 == np.arange(2)
    opponent = MixedOpponent(MixtureAgent(game(), agents, shares))
    seats = opponent.seats(where, torch.Generator().manual_seed(1))
    masks = np.array([mask for _, mask in seats])
    np.testing.assert_array_equal(masks.sum(0), where)
    np.testing.assert_allclose(masks.sum(1).T, 4000 * shares, atol=150)


# What is wrong


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: (path / "agent.json").unlink(), "L/members/r0001/agent.json is gone, or never was"),
        (lambda path: (path / "agent.json").write_text("{}"), "L/members/r0001/agent.json is damaged"),
        (lambda path: (path / "weights.npz").write_bytes(b"PK"), "L/members/r0001/weights.npz is truncated"),
    ],
)
def test_a_damaged_member_is_named(league: Path, damage: object, expected: str) -> None:
    assert callable(damage)
    damage(league / "members/r0001")
    assert refusal("league", *PHASE2, *GAME, "rounds=4", "run_dir=L", cwd=league.parent).startswith(expected)


def test_agents_that_cannot_join_are_refused(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained("experiment=kuhn", "profile=tiny", "workers=0", "iterations=1", "kuhn", cwd=league.parent)
    for name, expected in (
        ("kuhn", "kuhn is a run of another game"),
        ("nobody", "no run 'nobody' here"),
        ("os:path", "os:path: if you trust that module, say so with --plugin os"),
        ("equilibrium", "mini_holdem is too large for it"),
    ):
        assert league_command.run(["add", "L", name]) == 2
        assert capsys.readouterr().err.startswith(f"error: {expected}")
    assert league_command.run(["play", "L", "lbr", "call"]) == 2
    assert capsys.readouterr().err == "error: lbr responds to the league, it cannot meet others\n"
    assert len(read_population(LeagueFolder(league)).members) == 5
    with pytest.raises(UserError, match="of mini_holdem: deck: '12 cards', not '20 cards'"):
        agent_by_name("policy:L", make_game("mini_holdem"))
