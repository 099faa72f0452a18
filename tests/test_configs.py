"""conf/: every experiment trains, every key is read, phase1 is what it is said to be."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hydra
import pytest
from omegaconf import DictConfig, OmegaConf
from runs.fake_modal import FakeModal
from runs.harness import KUHN, config_of, metrics, trained

from pokerlab.config.command import CONF, compose
from pokerlab.evaluate import evaluate
from pokerlab.jobs.launch import launch
from pokerlab.solve import solve
from pokerlab.training.run import train
from pokerlab.training.start import start

EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "experiment")
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_trains(experiment: str, tmp_path: Path) -> None:
    small = ("trainer=cpu", "launcher=local", "profile=tiny")
    run = trained(f"experiment={experiment}", *small, "run", cwd=tmp_path)
    assert [line["iteration"] for line in metrics(run)] == [0, 1]
    assert run.read_job()["experiment"] == experiment


def test_phase1_is_the_cloud_run() -> None:
    config = compose("train", ["experiment=phase1"])
    keys = ("iterations", "trajectories", "workers", "resume_from", "checkpoint_every", "commit_every")
    assert [config[key] for key in keys] == [1000, 10000, 4, None, 100, 10]
    assert (config.trainer.accelerator, config.launcher.name) == ("cuda", "modal")
    assert (config.launcher.time_limit, config.launcher.retries) == (24 * 3600, 10)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_has_the_same_top_level_keys(experiment: str) -> None:
    config = compose("train", [f"experiment={experiment}"])
    assert set(config) == set(compose("train", []))
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


@contextmanager
def keys_read() -> Iterator[set[str]]:
    """Collects which keys code takes out of a config, by attribute, item, or as part of a group.

    Not what merely copies or checks a whole config: writing it as YAML, selecting a key to validate it.
    """
    read: set[str] = set()
    get, to_container = DictConfig._get_impl, OmegaConf.to_container

    def get_and_note(self: DictConfig, key: Any, *args: Any, **kwargs: Any) -> Any:
        read.add(str(self._get_full_key(key)))
        return get(self, key, *args, **kwargs)

    def to_container_and_note(config: Any, *args: Any, **kwargs: Any) -> Any:
        if (group := config._get_full_key(None)) and "throw_on_missing" not in kwargs:
            read.update(leaves(config, f"{group}."))
        return to_container(config, *args, **kwargs)

    def to_yaml(config: Any, **_: Any) -> str:
        with patch.object(DictConfig, "_get_impl", get):
            return plain_yaml(config)

    plain_yaml = OmegaConf.to_yaml
    with (
        patch.object(DictConfig, "_get_impl", get_and_note),
        patch.object(OmegaConf, "to_container", staticmethod(to_container_and_note)),
        patch.object(OmegaConf, "to_yaml", staticmethod(to_yaml)),
    ):
        yield read


def do_train(config: DictConfig) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        FakeModal(monkeypatch, Path("volume"))
        launch(config.copy(), "kuhn", [])
    train(start(config, "kuhn", []))


def do_evaluate(config: DictConfig) -> None:
    """A match, and without one."""
    evaluate(config)
    alone = config.copy()
    alone.match.against = None
    evaluate(alone)


def unread(name: str, overrides: list[str], do: Callable[[DictConfig], None], extra: str = "") -> set[str]:
    """The keys of a config that a command never reads."""
    config = compose(name, overrides)
    if extra:
        OmegaConf.update(config, extra, 3, force_add=True)
    everything = set(leaves(config))
    with keys_read() as read:
        do(config)
    others = {key for key in everything if re.match(r"launcher\.prices\.gpu\.(?!A10$)", key)}
    return everything - read - others


TRAIN = [*KUHN, "iterations=1", "launcher=modal"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pokerlab.evaluation.plots.save", lambda *_, **__: None)
    return tmp_path


def test_train_reads_every_key(here: Path) -> None:
    assert unread("train", TRAIN, do_train) == set()


@pytest.mark.parametrize("extra", ["dead", "selfplay.dead", "trainer.dead", "launcher.dead"])
def test_a_key_that_train_does_not_read_is_found(extra: str, here: Path) -> None:
    assert unread("train", TRAIN, do_train, extra) == {extra}


def test_solve_reads_every_key(here: Path) -> None:
    assert unread("solve", ["game=kuhn", "iterations=2"], solve) == set()
    assert unread("solve", ["game=kuhn", "iterations=2"], solve, "dead") == {"dead"}


def test_evaluate_reads_every_key(here: Path) -> None:
    trained(*KUHN, "iterations=1", "run", cwd=here)
    overrides = ["run=run", "solver=cfr", "search_iterations=2", "play_throughs=1"]
    overrides += ["match.against=lbr", "match.hands=2"]
    assert unread("evaluate", overrides, do_evaluate) == set()
    assert unread("evaluate", overrides, do_evaluate, "dead") == {"dead"}
    assert unread("evaluate", overrides, do_evaluate, "match.dead") == {"match.dead"}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_the_keys_that_its_group_has_or_its_target_takes(option: str) -> None:
    group, _, name = option.partition("=")
    config = option_of(group, name)
    for path, target in targets(config):
        parameters = inspect.signature(hydra.utils.get_class(target["_target_"])).parameters.values()
        named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        assert set(target) - {"_target_"} <= named, path
    if "_target_" not in config and group not in ("launcher", "sweep"):
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
    for key, value in config.items():
        if isinstance(value, DictConfig):
            yield from targets(value, f"{path}{key!s}.")


def test_a_run_can_be_made_again_from_its_config(tmp_path: Path) -> None:
    run = trained(*KUHN, "iterations=2", "run", cwd=tmp_path)
    stored = config_of(run)
    del stored["run_name"], stored["run_dir"]
    config = compose("train", [*KUHN, "iterations=2"])
    expected = OmegaConf.to_container(config, resolve=True)
    assert isinstance(expected, dict)
    del expected["run_name"], expected["run_dir"]
    assert stored == expected
