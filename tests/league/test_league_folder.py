"""A league's folder: killed at any moment it goes on the same; what is wrong with it is said in one line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyspiel
import pytest
import torch
from runs.harness import KUHN, Ended, command, refusal, trained

from league.killing import Killed, essence, killing, run
from pokerlab.config.command import compose
from pokerlab.league import command as league_command
from pokerlab.league.view import grow_league
from pokerlab.store import files
from pokerlab.store.folder import local_runs
from pokerlab.store.lock import RunLock

KUHN_LEAGUE = ("game=kuhn", "rounds=5", "run_dir=L")


def grown(cwd: Path, *overrides: str) -> Path:
    ended = command("league", *KUHN_LEAGUE, *overrides, cwd=cwd, plots=False)
    assert (ended.code, ended.err) == (0, "")
    return cwd / "L"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grown(tmp_path_factory.mktemp("good"))


@pytest.fixture
def league(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(good, tmp_path / "L"))


KUHN_CONFIG = compose("league", KUHN_LEAGUE)


def look(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """A command of the league but ``run``."""
    capsys.readouterr()
    code = league_command.run(list(arguments))
    said = capsys.readouterr()
    return Ended(code, said.out, said.err)


@pytest.mark.parametrize("half", [False, True])
def test_a_league_that_was_killed_goes_on_to_the_same(
    half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    three = replace(KUHN_CONFIG, rounds=3)
    expected, moments = essence(run(replace(three, run_dir=str(tmp_path / "good")))), 0
    for after in range(1, 200):
        wrap = killing(after, half)
        append, atomic = wrap(files.append_line), wrap(files.write_atomically)
        config = replace(three, run_dir=str(tmp_path / str(after)))
        with (
            patch("pokerlab.league.folder.append_line", append),
            patch("pokerlab.league.folder.write_atomically", atomic),
            patch("pokerlab.league.start.write_atomically", atomic),
            patch("pokerlab.agents.stored_policy.write_atomically", atomic),
        ):
            try:
                run(config)
                break
            except Killed:
                moments = after
        assert essence(run(config)) == expected, after
    assert moments > 12


@pytest.mark.parametrize("after", [6, 8])
def test_a_league_that_learns_goes_on_to_the_same(after: int, tmp_path: Path) -> None:
    learning = ("propose=policy_gradient", "propose.iterations=2", "propose.hands=50", "rounds=3")
    config = compose("league", [*KUHN_LEAGUE, *learning])
    expected = essence(run(replace(config, run_dir=str(tmp_path / "straight"))))
    killed, append = replace(config, run_dir=str(tmp_path / "killed")), killing(after, half=False)
    with patch("pokerlab.league.folder.append_line", append(files.append_line)), pytest.raises(Killed):
        run(killed)
    assert essence(run(killed)) == expected


def test_a_league_goes_on(good: Path, league: Path, tmp_path: Path) -> None:
    shutil.rmtree(league)
    grown(tmp_path, "rounds=2")
    grown(tmp_path, "rounds=2")
    assert essence(grown(tmp_path)) == essence(good)


def test_resume_has_it_all_from_the_folder(
    good: Path,
    league: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pokerlab.league.growing.plot_league", lambda _: [])
    shutil.rmtree(league)
    grown(tmp_path, "rounds=2")
    ended = look(capsys, "resume", "L", "rounds=5")
    assert (ended.code, "5 rounds, " in ended.out) == (0, True)
    assert essence(league) == essence(good)
    refused = {
        "rounds=x": "rounds must be an integer",
        "rouns=9": "unknown key 'rouns': did you mean rounds?",
        "seed=2": "L holds a league with another seed: 1, not 2",
        "run_dir=M": "L goes on where it is: leave out run_dir",
    }
    for override, expected in refused.items():
        with pytest.raises(SystemExit, match="2"):
            look(capsys, "resume", "L", override)
        assert capsys.readouterr().err.startswith(f"error: {expected}")
    assert look(capsys, "resume", "L", "9").err == "error: '9' is not an override: expected key=value\n"
    assert essence(league) == essence(good)
    assert not (tmp_path / "M").exists()


def test_a_league_takes_so_many_threads_and_gives_the_others_back(tmp_path: Path) -> None:
    torch.set_num_threads(3)
    seen = []
    grow_league(
        "game=kuhn", "rounds=2", f"run_dir={tmp_path}/L", watch=lambda _: seen.append(torch.get_num_threads())
    )
    assert (set(seen), torch.get_num_threads()) == ({1}, 3)


def test_a_league_of_a_version_without_threads_goes_on(
    league: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = league / "config.yaml"
    config.write_text(config.read_text().replace("threads: 1\n", ""))
    assert look(capsys, "resume", str(league), "rounds=6").code == 0
    assert "threads: 1\n" in config.read_text()


def test_looking_at_leagues_is_quick() -> None:
    looks = "import sys, pokerlab.league.status, pokerlab.league.payoffs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looks], check=False).returncode == 0


@pytest.mark.parametrize("measure", ["none", "lbr"])
def test_what_is_not_measured_exactly_is_not_told(measure: str, tmp_path: Path) -> None:
    few = ("measure.deals=2",) if measure == "lbr" else ()
    league = grown(tmp_path, f"measure={measure}", "rounds=3", *few)
    rounds = [json.loads(line) for line in (league / "rounds.jsonl").read_text().splitlines()]
    assert [(line["exploitability"], line["response_share"]) for line in rounds] == [(None, None)] * 3


def test_leagues_that_start_in_one_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pokerlab.league.start.automatic_name", lambda _: "now")
    config = replace(KUHN_CONFIG, run_dir=None)
    assert [run(config).name for _ in range(2)] == ["now", "now-2"]


def test_results_are_told(good: Path, tmp_path: Path) -> None:
    grown(tmp_path, "json=l.json", "export=p.json", "rounds=30")
    policy = json.loads((tmp_path / "p.json").read_text())
    chances = {state: [(int(a), p) for a, p in of.items()] for state, of in policy.items()}
    kuhn = pyspiel.load_game("kuhn_poker")
    assert pyspiel.nash_conv(kuhn, pyspiel.TabularPolicy(chances)) == pytest.approx(0, abs=1e-9)
    found = json.loads((tmp_path / "l.json").read_text())
    assert found["members"] == ["uniform", *(f"r000{n}" for n in range(1, 7))]
    assert len(found["exploitability"]) == len(found["seconds"]) == found["rounds"] == 7
    assert found["exploitability"][0] == pytest.approx(0.916666 / 2, abs=1e-5)
    assert found["best_exploitability"] == found["exploitability"][-1] < 1e-9
    np.testing.assert_allclose(np.sum(list(found["weights"].values()), 0), 1)


def test_pictures_are_drawn(tmp_path: Path) -> None:
    assert command("league", *KUHN_LEAGUE, cwd=tmp_path).code == 0
    assert {path.name for path in (tmp_path / "L/plots").iterdir()} == {
        "exploitability.png", "lineage.png", "matrix.png", "weights.png",
    }  # fmt: skip


# Looking


def test_status(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(look(capsys, "status", "L", "--json").out)
    assert (found["state"], found["rounds"], found["members"]) == ("finished", 5, 5)
    assert found["best_exploitability"] == pytest.approx(0.0916666, abs=1e-6)
    assert "finished" in look(capsys, "status", str(league)).out


def test_matrix(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payoffs = np.array(json.loads(look(capsys, "matrix", "L", "--json").out)["payoffs"])
    np.testing.assert_allclose(payoffs, -payoffs.T, atol=1e-12)
    assert payoffs[1, 0] == pytest.approx(0.916666 / 2, abs=1e-5)  # a best response to the first member
    assert "+0.458" in look(capsys, "matrix", "L").out


def test_tree(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = json.loads(look(capsys, "tree", "L", "--json").out)
    assert [member["origin"] for member in members] == ["start", *["best_response"] * 4]
    assert members[1]["parent"] == "uniform"
    assert "r0001: best_response" in look(capsys, "tree", "L").out


def test_a_gap_shows(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (league / "results.jsonl").read_text().splitlines(keepends=True)
    (league / "results.jsonl").write_text("".join(lines[:-1]))
    payoffs = json.loads(look(capsys, "matrix", "L", "--json").out)["payoffs"]
    assert payoffs[4] == [None] * 5
    assert "–" in look(capsys, "matrix", "L").out
    again = grown(league.parent)  # has nothing to do but to find its last mixture: fills no gap
    assert (again / "results.jsonl").read_text() == "".join(lines)


# Members


def test_an_agent_joins(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(capsys, "add", "L", "equilibrium").out == "equilibrium is member 6 of L\n"
    found = json.loads(look(capsys, "tree", "L", "--json").out)[-1]
    assert (found["origin"], found["source"], found["round"]) == ("added", "equilibrium", 5)
    grown(league.parent, "rounds=6", "json=l.json")
    results = json.loads((league.parent / "l.json").read_text())
    assert results["members"][5:] == ["equilibrium", "r0005"]
    taken = look(capsys, "add", "L", "equilibrium")
    assert (taken.code, taken.err) == (
        2, "error: there is a member equilibrium already: give another name\n",
    )  # fmt: skip


def test_a_run_and_a_stored_policy_join(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(*KUHN, "iterations=1", "run", cwd=league.parent)
    assert look(capsys, "add", "L", "run:policy_net", "--name", "net").code == 0
    assert look(capsys, "add", "L", "policy:L", "--name", "itself").code == 0
    assert [m["source"] for m in json.loads(look(capsys, "tree", "L", "--json").out)[5:]] == [
        "run:policy_net", "policy:L",
    ]  # fmt: skip


def test_a_league_plays(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = look(capsys, "play", "L", "r0001", "policy:L", "--deals", "50", "--json")
    matches = json.loads(ended.out)["matches"]
    assert [match["agents"] for match in matches] == [
        ["L", "r0001"],
        ["L", "policy:L"],
        ["r0001", "policy:L"],
    ]
    assert matches[1]["exact"] == pytest.approx(0, abs=1e-12)
    assert matches[0]["exact"] > 0


def test_a_leagues_mixture_is_measured(league: Path, tmp_path: Path) -> None:
    ended = command("evaluate", "game=kuhn", "agent=policy:L", "json=e.json", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads((tmp_path / "e.json").read_text())["policy:L"]
    rounds = [json.loads(line) for line in (league / "rounds.jsonl").read_text().splitlines()]
    assert found["nash_conv"] == pytest.approx(min(line["nash_conv"] for line in rounds), abs=1e-12)


# What is wrong


def said(ended: Ended) -> str:
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    return ended.err.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("game=kuhn3", "weigh: Nash is for two players, kuhn3 has 3: expected regret_matching, correlated, "
         "projected_replicator, alpha_rank, uniform, restricted_game"),
        ("game=kuhn3 weigh=uniform evaluate=matches", "evaluate: Matches is for two players, kuhn3 has 3: "
         "expected exact"),
        ("game=kuhn3 weigh=uniform propose=policy_gradient", "propose: PolicyGradient is for two players, "
         "kuhn3 has 3: expected best_response"),
        ("propose=policy_gradient propose.iterations=0", "propose.iterations must be at least 1, got 0"),
        ("propose=policy_gradient propose.hands=1", "propose.hands must be at least 2, one for each seat, "
         "got 1"),
        ("propose=policy_gradient propose.hands=many", "propose.hands must be an integer, got 'many'"),
        ("propose=policy_gradient propose.passes=0", "propose.passes must be positive, got 0"),
        ("evaluate=matches evaluate.deals=1", "evaluate.deals must be at least 2, got 1"),
        ("game=mini_holdem", "evaluate: Exact needs tables of whole policies, for which mini_holdem is too "
         "large: expected matches"),
        ("game=mini_holdem evaluate=matches", "propose: BestResponse needs tables of whole policies, for "
         "which mini_holdem is too large: expected policy_gradient, local_best_response, training, "
         "exploiters, population_based"),
        ("game=mini_holdem evaluate=matches weigh=restricted_game", "weigh: RestrictedGame needs tables of "
         "whole policies, for which mini_holdem is too large: expected nash, uniform, regret_matching, "
         "projected_replicator, alpha_rank, correlated, prioritised"),
        ("experiment=phase2 measure=exploitability", "measure: hunl is too large to be enumerated: expected "
         "lbr, or none"),
        ("experiment=phase2 game=push_fold measure.deals=1", "measure.deals must be at least 2, got 1"),
        ("propose=local_best_response game=liars_dice_1x4f", "propose: liars_dice_1x4f has no calling"),
        ("propose=local_best_response propose.from_street=-1", "propose.from_street must be at "
         "least 0, got -1"),
        ("weigh=prioritised weigh.power=-1", "weigh.power must be at least 0, got -1"),
        ("select=strongest select.number=0", "select.number must be at least 1, got 0"),
        ("evaluate=matches evaluate.share=1", "evaluate.share must lie between 0 and 1, got 1"),
        ("evaluate=matches evaluate.seats=both", "evaluate.seats must be one of apart, together, got 'both'"),
        ("experiment=phase2 game=push_fold start=nobody", "start: no run 'nobody' here"),
        ("experiment=phase2 game=push_fold start=[call,call]", "start must name members, each once: "
         "got [call, call]"),
        ("experiment=phase2 export=p.json", "export=p.json: hunl is too large for tables of whole policies"),
        ("game=kuhn3 weigh=regret_matching measure=lbr", "measure: a local best response is for two players, "
         "kuhn3 has 3"),
        ("weigh=nush", "unknown weigh 'nush': did you mean nash?"),
        ("rounds=0", "rounds must be an integer of at least 1, got 0"),
        ("weigh=restricted_game weigh.share=2", "weigh.share must lie between 0 and 1, got 2"),
        ("weigh=restricted_game select=best game=kuhn", "select: Best needs weights of members, and "
         "RestrictedGame mixes actions: expected select=all"),
        ("weigh=restricted_game measure=none", "measure: Unmeasured needs weights of members, and "
         "RestrictedGame mixes actions: expected measure=exploitability"),
        ("start=[]", "start must name members, each once: got []"),
        ("start=[uniform,uniform]", "start must name members, each once: got [uniform, uniform]"),
        ("weigh=alpha_rank weigh.alpha=-1", "weigh.alpha must be at least 0, got -1"),
        ("weigh=projected_replicator weigh.step_size=2", "weigh.step_size must lie between 0 and 1, got 2"),
        ("weigh=projected_replicator weigh.least={}", "weigh.least must be a number, got {}"),
        ("weigh=regret_matching weigh.exploration=2", "weigh.exploration must lie between 0 and 1, got 2"),
        ("weigh=restricted_game weigh.precision=-1", "weigh.precision must be at least 0, got -1"),
        ("weigh=[1,2]", "unknown weigh '[1,2]': expected one of alpha_rank, correlated, nash, "),
        ("propose=training propose.run=abc", "propose.run must be a group of keys, got 'abc'"),
        ("propose=training propose.roles=null", "propose.roles must be a group of keys, got None"),
        ("propose=training propose.roles.response.run=abc", "roles.response.run must be a group of keys, "
         "got 'abc'"),
        ("propose=training propose.roles.response.greedy=abc", "roles.response.greedy must be true or false, "
         "got 'abc'"),
        ("propose=training propose.way={}", "propose.way must be text, got {}"),
        ("propose=population_based propose.search=abc", "propose.search must be a group of keys, got 'abc'"),
        ("propose=population_based propose.against=abc", "propose.against must be one of self, mixture, "
         "prioritised, agent0, agent1, agent2, agent3, agent4, agent5, agent6, agent7, got 'abc'"),
        ("start=best", "start must be one of uniform, response, first, got 'best'"),
        ("experiment=leduc", "unknown key 'iterations'"),
    ],
)  # fmt: skip
def test_a_league_that_cannot_be_is_refused(overrides: str, expected: str, tmp_path: Path) -> None:
    found = refusal("league", *overrides.split(" "), "run_dir=L", cwd=tmp_path)
    assert found.startswith(expected)


def test_a_league_goes_on_as_it_began(league: Path) -> None:
    before = essence(league)
    found = refusal("league", *KUHN_LEAGUE, "weigh=uniform", cwd=league.parent)
    assert found == (
        "L holds a league with another weigh: Nash(largest_entropy=False), not Uniform(); leave out what "
        "differs, or give another run_dir"
    )
    assert "another game: Kuhn(depth_limit=2), not Leduc" in refusal(
        "league", *KUHN_LEAGUE, "game=leduc", cwd=league.parent
    )
    assert essence(league) == before


def test_a_runs_folder_is_no_leagues(tmp_path: Path) -> None:
    trained(*KUHN, "iterations=1", "L", cwd=tmp_path)
    found = refusal("league", "game=kuhn", "run_name=L", cwd=tmp_path)
    assert found == "outputs/L already holds a run: give another run_name or run_dir"


def test_two_drivers_are_refused(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = RunLock(league)
    expected = f"L is running as process {os.getpid()}: stop that first"
    job = json.loads((league / "job.json").read_text()) | {"pid": os.getpid()}
    (league / "job.json").write_text(json.dumps(job))
    assert refusal("league", *KUHN_LEAGUE, cwd=league.parent) == expected
    assert said(look(capsys, "add", "L", "uniform")) == expected
    lock.release()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.unlink(), "is gone, or never was"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is truncated, or not a policy"),
        (lambda path: path.write_bytes(b"PK"), "is truncated, or not a policy"),
    ],
)
def test_a_damaged_member_is_named(
    league: Path, damage: Callable[[Path], Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(league / "members/r0002/policy.npz")
    path = "L/members/r0002/policy.npz"
    for found in (
        refusal("league", *KUHN_LEAGUE, "rounds=6", cwd=league.parent),
        said(look(capsys, "matrix", "L")),
    ):
        assert found == f"{path} {expected}"


@pytest.mark.parametrize("name", ["members", "results", "rounds"])
def test_a_damaged_line_is_named(league: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = league / f"{name}.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "{}\n", *lines[2:]]))
    assert said(look(capsys, "matrix", "L")).startswith(f"L/{name}.jsonl is damaged: line 2 ")


def test_paths_and_seeds_that_cannot_be_are_named(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (league.parent / "loop").symlink_to(league.parent / "loop")
    assert refusal("league", "game=kuhn", "run_dir=loop", cwd=league.parent).startswith(
        "cannot write run_dir"
    )
    assert said(look(capsys, "play", "L", "uniform", "--seed", "-1")) == "--seed must be at least 0, got -1"


def test_a_file_that_is_not_what_it_was_is_named(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads((league / "members.jsonl").read_text().splitlines()[0])
    first_round = (league / "rounds.jsonl").read_text().splitlines()[0]
    damages = {
        "members.jsonl": {
            "": "is damaged: it has 0 of 5 members",
            json.dumps(first | {"round": None})
            + "\n": "is damaged: line 1 is not of a member: round must be an integer, got None",
            json.dumps(first | {"name": "../x"}) + "\n": "is damaged: line 1 is not of a member",
        },
        "rounds.jsonl": {
            first_round.replace('"kept"', '"cept"') + "\n": "is damaged: line 1 is not of round 0"
        },
        "results.jsonl": {
            '{"picks": [[0, 0]], "payoffs": [[0, null]]}\n': "is damaged: line 1 is not of results"
        },
        "config.yaml": {"": "is not the config of a league", "[1]": "is not the config of a league"},
    }
    for name, expected in damages.items():
        before = (league / name).read_bytes()
        for content, message in expected.items():
            (league / name).write_text(content)
            assert said(look(capsys, "matrix", "L")) == f"L/{name} {message}"
            assert refusal("league", *KUHN_LEAGUE, "rounds=6", cwd=league.parent) == f"L/{name} {message}"
        (league / name).write_bytes(before)
    (league / "config.yaml").unlink()
    gone = "L/config.yaml is gone: the league's own command writes it anew"
    assert said(look(capsys, "tree", "L")) == gone


def test_a_member_of_another_game_is_refused(league: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("league", "game=leduc", "rounds=1", "run_dir=M", cwd=league.parent, plots=False).code == 0
    found = said(look(capsys, "add", "L", "policy:M"))
    assert found == "M/policy.npz is a policy of another game: of leduc, not of kuhn"
    found = said(look(capsys, "add", "L", "uniform", "--name", "../x"))
    assert found == "--name '../x' must consist of letters, digits and any of . , + - _ ="
    assert "no league 'N' here" in said(look(capsys, "status", "N"))
    assert said(look(capsys, "add", "L", "unifrom")).startswith("no run 'unifrom' here")


def test_a_league_is_no_run(league: Path) -> None:
    (league.parent / "outputs").mkdir()
    league.rename(league.parent / "outputs/L")
    assert local_runs() == []
    expected = "L is a league, not a run: pokerlab league status L shows it"
    assert refusal("evaluate", "run=L", cwd=league.parent) == expected


def test_a_league_that_does_not_run_cannot_be_stopped(
    league: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(look(capsys, "stop", "L")) == "L is not running: it is finished"
