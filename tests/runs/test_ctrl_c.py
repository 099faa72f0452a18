"""Ctrl-C, whatever a command is doing: exit code 130, nothing on standard error, no half-made run."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pokerlab.interrupts import SIGNALS
from pokerlab.jobs import detached
from pokerlab.store.folder import RunFolder
from runs.harness import KUHN, command, contents, copy, trained

SOLVE = ("solve", "game=kuhn", "iterations=2", "json=r.json")
EVALUATE = ("evaluate", "run=run", "search_iterations=2", "json=r.json")
MATCH = ("evaluate", "run=run", "json=r.json", "match.against=uniform", "match.hands=2")
TRAIN = ("train", *KUHN, "run_name=new")
LEAGUE = ("league", "game=kuhn", "rounds=3", "run_dir=league")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(*KUHN, "iterations=1", "run", cwd=tmp_path_factory.mktemp("place"))


def press_ctrl_c(monkeypatch: pytest.MonkeyPatch, place: str, number: int = signal.SIGINT) -> None:
    """When ``module:name`` is called; or another signal comes."""
    module, name = place.split(":")
    original = getattr(importlib.import_module(module), name)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(f"{module}.{name}", interrupted)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (SOLVE, "pokerlab.config.command:jobs_of"),
        (SOLVE, "pokerlab.solve:build"),
        (SOLVE, "pokerlab.spot.solving:build_tree"),
        (SOLVE, "pokerlab.solve:write_json"),
        (("solve", "-m", *SOLVE[1:3], "game=kuhn,leduc"), "pokerlab.spot.solving:build_tree"),
        (EVALUATE, "pokerlab.evaluate:load_run"),
        (EVALUATE, "pokerlab.evaluate:whole_game_strategy"),
        (MATCH, "pokerlab.evaluate:hold_contest"),
        (TRAIN, "pokerlab.config.command:jobs_of"),
        (TRAIN, "pokerlab.train:start"),
        (TRAIN, "pokerlab.training.start:write_config"),
    ],
)
def test_a_command_ends_quietly_and_leaves_nothing(
    arguments: tuple[str, ...], place: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(run, tmp_path)
    before = contents(tmp_path)
    press_ctrl_c(monkeypatch, place)
    ended = command(*arguments, cwd=tmp_path)
    assert (ended.code, ended.out.strip(), ended.err) == (130, "", "")
    after = contents(tmp_path)
    assert {name: after[name] for name in after if not name.startswith("outputs/sweeps")} == before


@pytest.fixture
def _ends() -> Iterator[None]:
    """What the process would be ended by ends the command."""

    def end(number: int, _: Any) -> None:
        sys.exit(-number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_ends")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("place", ["train:train", "training.run:open_loggers", "training.run:callbacks"])
def test_a_run_that_has_not_begun_to_train_says_that_it_was_stopped(
    place: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as once:
        press_ctrl_c(once, f"pokerlab.{place}", number)
        ended = command(*TRAIN, cwd=tmp_path)
    assert (ended.code, ended.err) == (130, "")
    stopped = RunFolder(tmp_path / "outputs/new")
    assert stopped.read_job()["state"] == "stopped"
    assert command("train", "resume_from=new", "iterations=1", cwd=tmp_path, plots=False).code == 0
    assert stopped.read_job()["state"] == "finished"


@pytest.mark.usefixtures("_ends")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_not_made_yet_leaves_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c(monkeypatch, "pokerlab.training.start:write_config", number)
    ended = command(*TRAIN, cwd=tmp_path)
    assert (ended.code, ended.err, contents(tmp_path)) == (130, "", {"outputs": None})


@pytest.mark.usefixtures("_ends")
@pytest.mark.parametrize(
    ("place", "number", "code"),
    [
        ("growing:logging_to", signal.SIGTERM, 130),
        ("loop:named_weights", signal.SIGINT, 130),
        ("loop:named_weights", signal.SIGTERM, 0),
        ("loop:named_weights", signal.SIGHUP, 0),
    ],
)
def test_a_league_ends_after_the_round(
    place: str, number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c(monkeypatch, f"pokerlab.league.{place}", number)
    ended = command(*LEAGUE, cwd=tmp_path, plots=False)
    assert (ended.code, ended.err) == (code, "")
    assert RunFolder(tmp_path / "league").read_job()["state"] == "stopped"


def test_a_league_that_has_not_begun_says_that_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pokerlab.league.growing.logging_to", interrupted)
    assert command(*LEAGUE, cwd=tmp_path).code == 130
    assert RunFolder(tmp_path / "league").read_job()["state"] == "stopped"


def test_what_comes_when_a_detached_run_is_finished_changes_nothing(
    tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = copy(run, tmp_path)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pokerlab.training.run.train", interrupted)
    monkeypatch.setattr("pokerlab.training.start.go_on", lambda *_: None)
    assert detached.main([str(finished.path)]) == 0
    assert finished.read_job()["state"] == "finished"
    finished.update_job(state="running")
    assert detached.main([str(finished.path)]) == detached.STOPPED
    assert finished.read_job()["state"] == "stopped"
