"""conf/: every experiment trains, every key is read, phase1 is what it is said to be."""

import inspect
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import hydra
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from runs.fake_modal import FakeModal
from runs.harness import KUHN, command, config_of, metrics, refusal, trained

from pokerlab.config import schema
from pokerlab.config.command import compose
from pokerlab.config.compose import CONF
from pokerlab.config.schema import plain
from pokerlab.errors import UserError
from pokerlab.evaluate import evaluate
from pokerlab.jobs.launch import check, launch
from pokerlab.league.command import grow
from pokerlab.solve import solve
from pokerlab.training.assemble import RunParts
from pokerlab.training.first_weights import take_weights
from pokerlab.training.run import train
from pokerlab.training.start import start

LEAGUES = sorted(path.stem for path in (CONF / "experiment").glob("phase2*.yaml"))
EXPERIMENTS = sorted({path.stem for path in (CONF / "experiment").glob("*.yaml")} - {*LEAGUES})
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "experiment")
IN_A_WORKER = ("leduc", "phase1")
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.usefixtures("_forked")
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_trains(experiment: str, tmp_path: Path) -> None:
    small = [f"experiment={experiment}", "trainer=cpu", "launcher=local", "profile=tiny"]
    pickle.loads(pickle.dumps(RunParts(compose("train", small)).actor))  # what a worker is sent
    if experiment not in IN_A_WORKER:  # each takes two seconds to start
        small.append("workers=0")
    run = trained(*small, "run", cwd=tmp_path)
    assert [line["iteration"] for line in metrics(run)] == [0, 1]
    assert run.read_job()["experiment"] == experiment


def test_phase1_is_the_cloud_run() -> None:
    config = compose("train", ["experiment=phase1"])
    keys = ("iterations", "trajectories", "workers", "resume_from", "checkpoint_every", "commit_every")
    assert [getattr(config, key) for key in keys] == [1000, 12000, 0, None, 100, 10]
    assert (config.trainer.accelerator, config.launcher.name) == ("cuda", "modal")
    assert (config.launcher.gpu, config.launcher.max_cost_usd) == ("H100", 100)
    assert (config.solver["leaf_rule"], config.solver["leaf_averaging"]) == ("linear_cfr", "quadratic")
    assert (config.launcher.time_limit, config.launcher.retries) == (24 * 3600, 10)


def test_phase1_laptop_begins_with_what_comes_with_the_package() -> None:
    config = compose("train", ["experiment=phase1_laptop"])
    parts = RunParts(config)
    before = [weight.clone() for weight in parts.module.parameters()]
    assert take_weights(config, parts) is not None
    assert not any(
        torch.equal(one, other) for one, other in zip(before, parts.module.parameters(), strict=True)
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_has_the_same_top_level_keys(experiment: str) -> None:
    config = plain(compose("train", [f"experiment={experiment}"]))
    assert set(config) == set(plain(compose("train", [])))
    assert {
        "iterations", "trajectories", "workers", "batch_size", "resume_from", "seed", "run_name", "run_dir",
        "checkpoint_every", "commit_every",
    } <= set(config)  # fmt: skip


def leaves(config: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of everything that is no group; a group with a ``_target_`` counts as one leaf."""
    for key, value in config.items():
        if isinstance(value, Mapping) and "_target_" not in value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


SECTIONS = [kind for kind in vars(schema).values() if is_dataclass(kind)]
COPYING = {plain.__code__, replace.__code__, *(vars(kind)["outputs"].fget.__code__ for kind in (
    schema.RunConfig, schema.SolveConfig, schema.EvaluateConfig, schema.LeagueConfig))}  # fmt: skip
"""Code that reads keys without doing anything by them."""


@contextmanager
def keys_read(config: Any) -> Iterator[set[str]]:
    """Collects which keys of a config code reads; not what merely copies or writes a whole config."""
    read: set[str] = set()
    prefixes: dict[type, str] = {}

    def name(section: Any, prefix: str) -> None:
        prefixes[type(section)] = prefix
        for field in fields(section):
            if is_dataclass(value := getattr(section, field.name)):
                name(value, f"{prefix}{field.name}.")

    def get_and_note(section: Any, attribute: str) -> Any:
        value = object.__getattribute__(section, attribute)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code not in COPYING:
            frame = frame.f_back
        if frame is None and type(section) in prefixes:
            read.add(f"{prefixes[type(section)]}{attribute}")
            if isinstance(value, Mapping):
                read.update(leaves({attribute: value}, prefixes[type(section)]))
        return value

    name(config, "")
    if isinstance(config, schema.RunConfig):
        read.update(*map(referred, ("algorithm", "actors")))
    with ExitStack() as stack:
        for section in SECTIONS:
            stack.enter_context(patch.object(section, "__getattribute__", get_and_note))
        yield read


def referred(group: str) -> set[str]:
    """The keys that a group's own YAML takes its values from."""
    text = "".join(path.read_text() for path in (CONF / group).glob("*.yaml"))
    return set(re.findall(r"\$\{([\w.]+)\}", text))


def do_train(config: schema.RunConfig) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        FakeModal(monkeypatch, Path("volume"))
        check(config)
        launch(config, "kuhn", [])
    train(start(config, "kuhn", []))


def do_evaluate(config: schema.EvaluateConfig) -> None:
    """A match, and without one."""
    evaluate(config)
    evaluate(replace(config, match=replace(config.match, against=None)))


def unread(name: str, overrides: list[str], do: Callable[[Any], None]) -> set[str]:
    """The keys of a config that a command never reads."""
    config = compose(name, overrides)
    everything = set(leaves(plain(config)))
    with keys_read(config) as read:
        do(config)
    return everything - read


TRAIN = [*KUHN, "iterations=1", "launcher=modal", "logger=csv", "callbacks=learning_rate_monitor"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pokerlab.evaluation.plots.save", lambda *_, **__: None)
    return tmp_path


def test_train_reads_every_key(here: Path) -> None:
    assert unread("train", TRAIN, do_train) == set()


def test_a_key_that_nothing_reads_is_found(here: Path) -> None:
    assert unread("solve", ["game=kuhn"], lambda config: solve(replace(config, iterations=1))) == set()
    assert unread("solve", ["game=kuhn"], lambda config: config.seed if config.dtype else None) == set(
        leaves(plain(compose("solve", ["game=kuhn"])))
    ) - {"dtype"}


@pytest.mark.parametrize("extra", ["dead", "selfplay.dead", "trainer.dead", "launcher.dead", "game.dead"])
def test_a_key_that_is_in_no_schema_is_refused(extra: str) -> None:
    values = plain(compose("train", TRAIN))
    *path, name = extra.split(".")
    group = values
    for part in path:
        group = group[part]
    group[name] = 3
    with pytest.raises(UserError, match=f"^unknown key '{extra}'"):
        check(schema.read_config("train", values))


def test_solve_reads_every_key(here: Path) -> None:
    assert unread("solve", ["game=kuhn", "iterations=2"], solve) == set()


def test_league_reads_every_key(here: Path) -> None:
    assert unread("league", ["game=kuhn", "rounds=2"], grow) == set()


OF_RUNS = ("propose.run.iterations=1", "propose.run.trajectories=20")
SMALLER = {
    **{key: ["profile=tiny"] for key in ("phase2", "phase2_laptop")},
    "phase2_leduc_pbt": [*OF_RUNS, "propose.agents=2"],
    "phase2_leduc_exploiters": OF_RUNS,
}


@pytest.mark.parametrize("experiment", LEAGUES)
def test_every_league_runs(experiment: str, tmp_path: Path) -> None:
    ended = command(
        "league",
        f"experiment={experiment}",
        *SMALLER.get(experiment, ()),
        "rounds=2",
        "run_dir=L",
        "json=l.json",
        cwd=tmp_path,
        plots=False,
    )
    assert (ended.code, ended.err) == (0, "")
    assert json.loads((tmp_path / "l.json").read_text())["rounds"] == 2


def test_evaluate_reads_every_key(here: Path) -> None:
    trained(*KUHN, "iterations=1", "run", cwd=here)
    search = ["run=run", "solver=cfr", "search_iterations=2"]
    match = [*search, "match.against=lbr", "match.hands=2", "match.play=search_average"]
    agent = ["game=fhp", "game.ranks=5", "agent=uniform", "threads=1"]
    of_agent = unread("evaluate", agent, evaluate)
    of_run = unread("evaluate", [*search, "play_throughs=1"], do_evaluate)
    assert unread("evaluate", match, do_evaluate) & of_run & of_agent == set()
    assert not any(key.startswith("game.") for key in of_agent)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_the_keys_that_its_group_has_or_its_target_takes(option: str) -> None:
    group, _, name = option.partition("=")
    config = option_of(group, name)
    for path, target in targets(config):
        parameters = inspect.signature(hydra.utils.get_class(target["_target_"])).parameters.values()
        named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        assert set(target) - {"_target_"} <= named, path
    if "_target_" not in config and group not in ("callbacks", "launcher", "logger", "sweep"):
        default = next(option for option in OPTIONS if option.startswith(f"{group}="))
        other = option_of(group, default.partition("=")[2])
        assert set(leaves(config)) == set(leaves(other))


def option_of(group: str, name: str) -> DictConfig:
    """An option with those of its group that it builds on."""
    config = OmegaConf.load(CONF / group / f"{name}.yaml")
    assert isinstance(config, DictConfig)
    bases = [base for base in config.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    for base in reversed(bases):
        merged = OmegaConf.merge(option_of(group, base), config)
        assert isinstance(merged, DictConfig)
        config = merged
    return config


def targets(config: DictConfig, path: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every group that is instantiated, with where it stands."""
    if "_target_" in config:
        yield path, config
    for key, value in config.items_ex(resolve=False):  # what is interpolated stands in another group
        if isinstance(value, DictConfig):
            yield from targets(value, f"{path}{key!s}.")


def test_a_run_can_be_made_again_from_its_config(tmp_path: Path) -> None:
    run = trained(*KUHN, "iterations=2", "run", cwd=tmp_path)
    stored = config_of(run)
    del stored["run_name"], stored["run_dir"]
    expected = plain(compose("train", [*KUHN, "iterations=2"]))
    del expected["run_name"], expected["run_dir"]
    assert stored == expected


@pytest.mark.quick
def test_a_population_is_not_trained_as_a_run(tmp_path: Path) -> None:
    told = "experiment=phase2 is a population's: pokerlab league run experiment=phase2"
    assert refusal("train", "experiment=phase2", cwd=tmp_path) == told
