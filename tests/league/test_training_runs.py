"""Members that are training runs: trained once each, however a league is killed and goes on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from runs.harness import command

from league import killing
from league.killing import Killed
from pokerlab.config.command import compose
from pokerlab.config.schema import LeagueConfig, RunConfig
from pokerlab.config.stored import read_config
from pokerlab.errors import UserError
from pokerlab.league import where
from pokerlab.league.budget import Budget, BudgetSpentError
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.start import make_parts
from pokerlab.league.status import status
from pokerlab.store.files import append_line
from pokerlab.store.folder import RunFolder
from pokerlab.training.run import train
from pokerlab.training.start import Start

SMALL = [
    "game=kuhn", "rounds=3", "run_name=L", "propose.run.experiment=kuhn_exploiter",
    "propose.run.iterations=2", "propose.run.trajectories=40", "+propose.run.batch_size=16",
    "+propose.run.commit_every=1", "+propose.run.algorithm.network.hidden=8", "+propose.run.updates=1",
]  # fmt: skip
TWO_ROLES = [
    "propose=exploiters", "~propose.roles.league_exploiter", "+propose.roles.main.run.iterations=3",
]  # fmt: skip
ROLES = [*TWO_ROLES, *SMALL]


@pytest.fixture(scope="module")
def config() -> LeagueConfig:
    found: LeagueConfig = compose("league", ROLES)
    return found


def run(config: LeagueConfig, at: Path) -> LeagueFolder:
    """What the command does, in a folder."""
    return LeagueFolder(killing.run(replace(config, run_name=None, run_dir=str(at))))


def essence(league: LeagueFolder) -> dict[str, Any]:
    """What must not depend on when it was killed."""
    rounds = [json.loads(line) for line in league.rounds.read_text().splitlines()]
    for line in rounds:
        del line["timestamp"], line["seconds"], line["cpu_seconds"]
    files = (league.members, league.results, league.policy, *league.path.glob("members/*/policy.npz"))
    return {"rounds": rounds, **{str(path.relative_to(league.path)): path.read_bytes() for path in files}}


@pytest.fixture(scope="module")
def straight(config: LeagueConfig, tmp_path_factory: pytest.TempPathFactory) -> LeagueFolder:
    return run(config, tmp_path_factory.mktemp("straight") / "L")


def test_members_are_runs_of_their_roles(straight: LeagueFolder) -> None:
    members = straight.read_members(3)
    assert [(member.name, member.origin, member.parent) for member in members] == [
        ("uniform", "start", None),
        ("r0001-main", "main", "uniform"),
        ("r0001-main_exploiter", "main_exploiter", "uniform"),
        ("r0002-main", "main", "r0001-main"),
        ("r0002-main_exploiter", "main_exploiter", "r0001-main"),
    ]
    runs = {member.name: RunFolder(straight.member(member.name)) for member in members[1:]}
    assert {run.read_summary()["total_iterations"] for run in runs.values()} == {2, 3}
    configs = {name: read_config(run) for name, run in runs.items()}
    assert configs["r0002-main"].start_from == str(runs["r0001-main"].checkpoints.resolve() / "last.ckpt")
    assert configs["r0001-main_exploiter"].start_from is None
    assert len({config.seed for config in configs.values()}) == len(configs)


def test_a_league_that_was_killed_while_it_trained_goes_on_to_the_same(
    config: LeagueConfig, straight: LeagueFolder, tmp_path: Path
) -> None:
    trained: list[str] = []
    moment = 0

    def die(*_: Any) -> None:
        raise Killed

    def dying(began: Start, **options: Any) -> Any:
        trained.append(began.run.path.name)
        if len(trained) != moment:
            return train(began, **options)
        lines = iter([append_line])  # it has done one iteration when it dies
        with patch("pokerlab.callbacks.metrics.append_line", lambda *line: next(lines, die)(*line)):
            return train(began, **options)

    folder = tmp_path / "L"
    with patch.object(where, "train", dying):
        for moment in (1, 4):  # of the run that is begun then
            with pytest.raises(Killed):
                run(config, folder)
            folder = folder.rename(tmp_path / f"moved{moment}")
        moment = 0
        league = run(config, folder)
    assert essence(league) == essence(straight)
    twice = ["r0001-main", "r0002-main"]
    assert sorted(trained) == sorted([*(member.name for member in league.read_members(3)[1:]), *twice])


def test_a_member_of_another_mixture_is_trained_anew(
    config: LeagueConfig, straight: LeagueFolder, tmp_path: Path
) -> None:
    league = LeagueFolder(shutil.copytree(straight.path, tmp_path / "L"))
    league.rounds.write_text("".join(league.rounds.read_text().splitlines(keepends=True)[:1]))
    name = "r0001-main"
    before = RunFolder(league.member(name)).metrics.read_text()
    shutil.copy(straight.member(name) / "policy.npz", league.member(name) / "opponent.npz")
    with patch.object(where, "train", wraps=train) as trains:
        assert essence(run(config, league.path)) == essence(straight)
    assert [call.args[0].run.path.name for call in trains.call_args_list] == [name]
    assert RunFolder(league.member(name)).metrics.read_text() != before  # at another time
    assert not list(league.path.glob("members/.*"))


@pytest.mark.parametrize("experiment", ["kuhn", "kuhn_deep_cfr"])
def test_members_play_themselves_by_other_algorithms_and_own_experiments(
    experiment: str, tmp_path: Path
) -> None:
    (tmp_path / "own/experiment").mkdir(parents=True)
    (tmp_path / "own/experiment/mine.yaml").write_text(
        f"# @package _global_\ndefaults: [{experiment}, _self_]\n"
        "updates: 2\nselfplay: {search_iterations: 4}\n"
    )
    roles = ["propose.roles.response.against=self", "propose.roles.response.start_from=response"]
    run = ["propose.run.experiment=mine", "propose.run.iterations=1", "propose.run.trajectories=8"]
    league = ["propose=training", "game=kuhn", "rounds=3", "run_dir=L", *run, *roles]
    ended = command("league", *league, "--config-dir", "own", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    members = LeagueFolder(tmp_path / "L").read_members(3)
    assert [member.parent for member in members] == [None, "uniform", "r0001"]
    assert all(member.exploitability is not None for member in members[1:])


LARGE = [
    "game=mini_holdem", "game.ranks=3", "game.stack=400", "game.bets=[[1]]", "game.most_raises=1",
    "game.deals=[0,1]", "evaluate=matches", "evaluate.deals=2", "evaluate.most=4", "measure=none",
    "start=[uniform,call]", "rounds=3", "propose.run.iterations=2",
]  # fmt: skip
HOLDEM = [*LARGE, *TWO_ROLES, "propose.run.trajectories=20", "+propose.run.algorithm.network.hidden=8"]


def test_members_of_large_games_are_agents_whose_opponents_come_along(tmp_path: Path) -> None:
    config = compose("league", HOLDEM)
    left = iter(range(3))  # of four

    def dying(began: Start, **options: Any) -> None:
        if next(left, None) is None:
            began.lock.release()
            raise Killed
        train(began, **options)

    with patch.object(where, "train", dying), pytest.raises(Killed):
        run(config, tmp_path / "L")
    with patch.object(where, "train", wraps=train) as trains:
        league = run(config, (tmp_path / "L").rename(tmp_path / "M"))
    assert trains.call_count == 1
    rounds = league.read_rounds()
    assert [line["members"] for line in rounds] == [2, 4, 6]
    opponent = league.member("r0002-main_exploiter") / "opponent"
    assert json.loads((opponent / "mixture.json").read_text())["weights"] == {"r0001-main": [1.0, 1.0]}
    assert [path.name for path in (opponent / "members").iterdir()] == ["r0001-main"]
    assert read_config(RunFolder(opponent.parent)).algorithm["opponent"] == f"policy:{opponent}"
    everybody = league.member("r0002-main") / "opponent" / "mixture.json"
    assert set(json.loads(everybody.read_text())["weights"]) <= {
        member.name for member in league.read_members(2)
    }


def test_a_budget_ends_a_league_and_a_larger_one_goes_on(
    config: LeagueConfig, straight: LeagueFolder, tmp_path: Path
) -> None:
    clock = iter(range(0, 10**6, 600))
    with patch("pokerlab.league.budget.time", SimpleNamespace(monotonic=lambda: next(clock))):
        small = replace(config, budget=replace(config.budget, hours=1.0))
        with pytest.raises(BudgetSpentError, match=r"^budget.hours=1 is spent: a larger one goes on$"):
            run(small, tmp_path / "L")
    done = len(list(tmp_path.glob("L/members/*/summary.json")))
    assert 0 < done < 4
    assert essence(run(config, tmp_path / "L")) == essence(straight)


def test_a_price_makes_usd_a_budget(tmp_path: Path) -> None:
    priced = ["+propose.run.launcher.price_per_hour=3600", "budget.usd=1000", "rounds=2"]
    league = run(compose("league", ["propose=training", *SMALL[:1], *SMALL[2:], *priced]), tmp_path / "L")
    (paid,) = league.path.glob("members/r0001/summary.json")
    assert Budget().spent(league)["usd"] == json.loads(paid.read_text())["cost_usd"] > 0
    assert read_config(RunFolder(paid.parent)).launcher.max_cost_usd == 1000


def test_the_command_says_how_it_ended(tmp_path: Path) -> None:
    arguments = ("propose=training", *SMALL, "json=l.json")

    def interrupted(began: Start, **_: Any) -> None:
        began.lock.release()
        raise KeyboardInterrupt

    with patch.object(where, "train", interrupted):
        assert command("league", *arguments, cwd=tmp_path, plots=False).code == 130
    league = LeagueFolder(tmp_path / "outputs" / "L")
    assert league.run.read_job()["state"] == "stopped"
    ended = command("league", *arguments, "budget.hours=1e-9", cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (2, "error: budget.hours=1e-09 is spent: a larger one goes on\n")
    assert league.run.read_job()["reason"] == "budget.hours=1e-09 is spent: a larger one goes on"
    found = status(league)
    assert (found["rounds"], found["state"], found["usd"]) == (1, "stopped", 0)
    with patch.object(Budget, "check", side_effect=[None, BudgetSpentError("spent")]):
        ended = command("league", *arguments, cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (0, "")
    assert "stopped: spent\n" in ended.out
    assert status(league)["training"] == []
    assert command("league", *arguments, cwd=tmp_path, plots=False).code == 0
    assert league.run.read_job() | {"state": "finished", "reason": None} == league.run.read_job()
    shutil.copytree(league.member("r0002"), league.member("r0003"))
    assert status(league)["training"] == ["r0003 2/2"]


def member(tmp_path: Path, config: RunConfig, name: str, **summary: float) -> RunConfig:
    folder = tmp_path / "members" / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    return replace(config, run_dir=str(folder))


def test_where_nothing_is_limited_nothing_is_added_up(tmp_path: Path) -> None:
    config: RunConfig = compose("train", [])
    with patch.object(Budget, "spent", side_effect=AssertionError):
        Budget().check(LeagueFolder(tmp_path))
        assert Budget().allot(LeagueFolder(tmp_path), config) is config


def limits(config: RunConfig) -> tuple[float | None, float | None]:
    return config.launcher.max_hours, config.launcher.max_cost_usd


def test_members_share_what_is_left(tmp_path: Path) -> None:
    league = LeagueFolder(tmp_path)
    budget = Budget(hours=10, usd=6)
    paid: RunConfig = compose("train", ["launcher.price_per_hour=2"])
    done = member(tmp_path, paid, "done", seconds=3600, cost_usd=2)
    first = budget.allot(league, member(tmp_path, paid, "first", seconds=1800, cost_usd=1), free=2)
    assert limits(first) == pytest.approx((0.5 + 8.5 / 2, 1 + 3 / 2))
    second = budget.allot(league, member(tmp_path, paid, "second"), [first])
    assert limits(second) == pytest.approx((8.5 / 2, 3 / 2))
    own = replace(paid, launcher=replace(paid.launcher, max_hours=0.25), run_dir=done.run_dir)
    assert budget.allot(league, own).launcher.max_hours == 0.25
    member(tmp_path, paid, "dear", cost_usd=3)
    with pytest.raises(BudgetSpentError, match=r"^budget.usd=6 is spent"):
        budget.check(league)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "launcher": ({"run": {"launcher": "here"}}, "propose: unknown launcher 'here': expected one of local, "),
    "slurm here": ({"run": {"launcher": "slurm"}}, "propose: members=here trains in this process: launcher="),
    "a role": ({"roles": {"a": {"against": "main"}}}, "roles.a.against must be one of mixture, "),
    "a key of a role": ({"roles": {"a": {"greed": 1}}}, "roles.a may have against, "),
    "a role's name": ({"roles": {"self": {}}}, "roles.self: that name means something else"),
    "no roles": ({"roles": {}}, "propose.roles must name at least one"),
    "way": (
        {"way": "search_average"},
        "propose: roles.response: way must be one of policy_net, got 'search_",
    ),
    "self-play": (
        {"run": {"experiment": "kuhn"}},
        "propose: roles.response: against=mixture: ReBeL learns by ",
    ),
    "a key of a run": ({"run": {"experiment": "kuhn", "seed": "x"}}, "propose: seed must be"),
}


@pytest.fixture(scope="module")
def response() -> LeagueConfig:
    found: LeagueConfig = compose("league", ["propose=training", *SMALL])
    return found


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_show_before_anything_is_written(mistake: str, response: LeagueConfig) -> None:
    changes, message = MISTAKES[mistake]
    with pytest.raises(UserError) as error:
        make_parts(replace(response, propose=response.propose | changes))
    assert str(error.value).startswith(message)


def test_budgets_and_jobs_are_looked_at_before_anything_is_written(response: LeagueConfig) -> None:
    with pytest.raises(UserError, match=r"^propose: budget.usd needs the price of members"):
        make_parts(replace(response, budget=replace(response.budget, usd=3.0)))
    jobs = {"_target_": "pokerlab.league.jobs.Jobs", "parallel": 0}
    with pytest.raises(UserError, match=r"^members.parallel must be at least 1, got 0$"):
        make_parts(replace(response, members=jobs))


def test_members_of_large_games_do_not_draw_what_they_play() -> None:
    searching = ["propose.run.experiment=leduc", "propose.way=search_iteration"]
    itself = "propose.roles.response.against=self"
    with pytest.raises(UserError, match=r"way=search_iteration draws what it plays: expected policy_net$"):
        make_parts(compose("league", [*LARGE, "propose=training", *searching, itself]))


def test_a_damaged_member_is_named(config: LeagueConfig, straight: LeagueFolder, tmp_path: Path) -> None:
    league = LeagueFolder(shutil.copytree(straight.path, tmp_path / "L"))
    league.rounds.write_text("".join(league.rounds.read_text().splitlines(keepends=True)[:2]))
    checkpoint = RunFolder(league.member("r0002-main")).checkpoints / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"r0002-main.checkpoints.last.ckpt is damaged"):
        run(config, league.path)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
