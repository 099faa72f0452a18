"""Members as jobs: so many at once, none submitted twice, whoever drives the league; on Modal too."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runs.fake_modal import FakeModal
from runs.fake_slurm import install
from runs.harness import ROOT

from league.killing import Killed
from league.test_training_runs import SMALL, essence, run
from pokerlab.config.command import compose
from pokerlab.config.schema import LeagueConfig, RunConfig
from pokerlab.errors import UserError
from pokerlab.league import jobs, volume
from pokerlab.league.budget import BudgetSpentError
from pokerlab.league.folder import LeagueFolder
from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.files import write_json
from pokerlab.store.folder import RunFolder
from pokerlab.store.process import process_record
from pokerlab.training.run import train
from pokerlab.training.start import Start, start

AGENTS = [
    "propose=population_based", *SMALL, "propose.agents=2", "propose.share=0.5", "rounds=3",
    "+propose.run.algorithm.opponent=null",
]  # fmt: skip


class Queue:
    """A launcher whose jobs run one after the other, while who submitted them sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[Start] = []
        self.submitted: list[str] = []
        self.most = 0
        self.ends: str | None = None
        """In what state, instead of being trained."""
        self.done: int | None = None
        """And after which iteration."""
        self.before: Callable[[RunFolder], None] = lambda _: None
        monkeypatch.setattr(jobs, "launch", self.launch)
        monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=self.sleep))

    def launch(self, config: RunConfig, *_: Any) -> None:
        began = start(config, None, [])
        began.run.update_job(launcher="local", state="submitted", **process_record(os.getpid()))
        self.waiting.append(began)
        self.submitted.append(began.run.path.name)
        self.most = max(self.most, len(self.waiting))

    def sleep(self, _: float) -> None:
        began = self.waiting[0]
        self.before(began.run)
        del self.waiting[0]
        if self.ends is None:
            train(began, quiet=True)
            return
        began.run.update_job(state=self.ends, reason="loss is nan")
        write_json(began.run.summary, {"latest_iteration": self.done})
        began.lock.release()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Queue:
    monkeypatch.chdir(tmp_path)
    return Queue(monkeypatch)


@pytest.fixture(scope="module")
def config() -> LeagueConfig:
    found: LeagueConfig = compose("league", AGENTS)
    return found


@pytest.fixture(scope="module")
def in_jobs(config: LeagueConfig) -> LeagueConfig:
    found: LeagueConfig = compose("league", ["members=jobs", "game=kuhn"])
    return replace(config, members=found.members)


@pytest.fixture(scope="module")
def straight(config: LeagueConfig, tmp_path_factory: pytest.TempPathFactory) -> LeagueFolder:
    return run(config, tmp_path_factory.mktemp("straight") / "L")


def test_what_is_trained_does_not_depend_on_where(
    in_jobs: LeagueConfig, straight: LeagueFolder, queue: Queue, tmp_path: Path
) -> None:
    def die(_: RunFolder) -> None:
        queue.before = lambda _: None
        raise Killed

    queue.before = die
    limited = replace(in_jobs, budget=replace(in_jobs.budget, hours=1000.0))
    with pytest.raises(Killed):
        run(limited, tmp_path / "L")
    assert len(queue.waiting) == 2  # who go on without it
    assert essence(run(limited, tmp_path / "L")) == essence(straight)
    assert queue.submitted == [member.name for member in straight.read_members(3)[1:]]
    assert queue.most == 2


def test_a_member_that_ends_early_is_named_and_goes_on(
    in_jobs: LeagueConfig, queue: Queue, tmp_path: Path
) -> None:
    one = replace(in_jobs, members=in_jobs.members | {"parallel": 1})
    for state, message in (
        ("failed", r"^member r0001-agent0 failed: loss is nan$"),
        ("stopped", r"^member r0001-agent0 was stopped: the same command goes on with it$"),
    ):
        queue.ends = state
        with pytest.raises(UserError, match=message):
            run(one, tmp_path / "L")
    queue.ends = None
    assert len(run(replace(one, rounds=2), tmp_path / "L").read_rounds()) == 2


def test_jobs_share_the_budget(in_jobs: LeagueConfig, queue: Queue, tmp_path: Path) -> None:
    limits = []

    def note(run: RunFolder) -> None:
        limits.append(queue.waiting[0].config.launcher.max_hours)
        queue.ends, queue.done = ("stopped", 0) if len(limits) == 1 else (None, None)

    queue.before = note
    run(replace(in_jobs, rounds=2, budget=replace(in_jobs.budget, hours=1.0)), tmp_path / "L")
    assert limits == pytest.approx([0.5, 0.5, 0.5], rel=0.05)  # the first one stopped, and went on
    queue.ends, queue.before = "stopped", lambda _: None
    with pytest.raises(BudgetSpentError, match=r"^the budget is too small for an iteration of r0002-agent0$"):
        run(replace(in_jobs, budget=replace(in_jobs.budget, hours=1.0)), tmp_path / "L")
    with pytest.raises(BudgetSpentError, match=r"^budget.hours=1e-06 is spent: a larger one goes on$"):
        run(replace(in_jobs, budget=replace(in_jobs.budget, hours=1e-6)), tmp_path / "L")


@pytest.mark.parametrize("what", ["weights", "all"])
def test_members_on_modal_come_back_with_their_checkpoints(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = FakeModal(monkeypatch, tmp_path / "volume")
    monkeypatch.setattr(volume, "RUNS", server.runs)
    wanted = ["propose=training", *SMALL, "propose.roles.response.start_from=response"]
    if what == "all":  # of the one before goes on
        wanted = [*AGENTS, "propose.agents=1", "propose.share=0"]
    straight = run(compose("league", wanted), tmp_path / "here" / "L")
    on_modal = compose(
        "league",
        [*wanted, "members=jobs", "+propose.run.launcher=modal", "+propose.run.trainer.accelerator=cpu"],
    )
    slept = 0

    def sleep(_: float) -> None:
        nonlocal slept
        slept += 1
        if slept in (1, 3):  # when one is submitted
            raise Killed
        server.run()

    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=sleep))
    for _ in range(2):
        with pytest.raises(Killed):
            run(on_modal, tmp_path / "L")
    league = run(on_modal, tmp_path / "L")
    assert essence(league) == essence(straight)
    names = [member.name for member in league.read_members(3)[1:]]
    assert [sent["run_name"] for sent, _ in server.spawned] == [f"L-{name}" for name in names]
    last = read_checkpoint(league.member(names[-1]) / "checkpoints" / "last.ckpt")
    assert last["pokerlab"]["iteration"] == (2 if what == "weights" else 4)


def test_members_are_jobs_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{install(tmp_path)}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    alone = ["propose=training", *SMALL, "rounds=2", "members=jobs", "members.seconds=0.1"]
    league = run(compose("league", [*alone, "+propose.run.launcher=slurm"]), tmp_path / "L")
    assert [member.name for member in league.read_members(2)] == ["uniform", "r0001"]
    job = RunFolder(league.member("r0001")).read_job()
    assert (job["launcher"], job["call_id"], job["state"]) == ("slurm", "1", "finished")
