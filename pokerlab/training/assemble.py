"""From a run's config to its objects."""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import lightning
import torch
from omegaconf import DictConfig, OmegaConf

from pokerlab.algorithms.base import Algorithm
from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.config.build import (
    build,
    check_bool,
    check_enumerable,
    check_integer,
    check_numbers,
    check_positive,
    find_class,
    find_parameters,
)
from pokerlab.errors import UserError
from pokerlab.selfplay.actors.base import Actors
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import check_limits

PRECISIONS = ("32-true", "bf16-mixed")


class Assembled:
    """The objects of a run, built from its config; networks and replays when they are first asked for.

    Args:
        config: with all groups of ``conf/train.yaml``.
        run: the folder that a replay on disk is kept in, once something is played; None: in memory, for
            what does not train.

    Raises:
        UserError: a value is wrong.
    """

    def __init__(self, config: DictConfig, run: RunFolder | None = None) -> None:
        _check(config)
        self._config, self._run = config, run
        torch.set_num_threads(config.trainer.threads)
        self.game = build(config.game)
        self.solver = build(config.solver)
        if config.evaluation.every is not None:
            check_enumerable(self.game, f"evaluation.every={config.evaluation.every}")
        self.algorithm = self._algorithm()
        try:
            self.evaluation = ExploitabilityEvery(self.algorithm, seed=config.seed, **config.evaluation)
        except ValueError as error:
            raise UserError(f"evaluation.{error}") from error
        self.module  # noqa: B018  a mistake shows here
        self.data  # noqa: B018

    def _algorithm(self) -> Algorithm:
        config = self._config
        options = _options(config.algorithm)
        if "optimizer" in options:
            options["optimizer"] = _optimizer(config)
        facts = {"seed": config.seed, "iterations": config.iterations}
        wanted = find_parameters(config.algorithm)
        options = {name: value for name, value in facts.items() if name in wanted} | options
        try:
            made = find_class(config.algorithm)(self.game, **options)
        except (ValueError, TypeError) as error:
            raise _naming(error, config) from error
        return _with_methods(made, Algorithm, "algorithm")

    @cached_property
    def module(self) -> lightning.LightningModule:
        """What learns."""
        torch.manual_seed(self._config.seed)  # the networks' first weights; nothing later draws from it
        try:
            module = self.algorithm.module()
        except (ValueError, TypeError) as error:
            raise _naming(error, self._config) from error
        if not hasattr(module, "networks"):
            raise UserError(f"the module of algorithm {self._config.algorithm._target_} lacks networks")
        return module

    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that the module begins with."""
        made: Any = self.module.configure_optimizers()
        return made["optimizer"] if isinstance(made, dict) else made

    def compile(self) -> None:
        """Has torch compile what the module learns with.

        Raises:
            UserError: it has nothing that can be compiled.
        """
        if not hasattr(self.module, "compile_losses"):
            raise UserError(f"trainer.compile: {type(self.module).__qualname__} has no compile_losses")
        self.module.compile_losses()

    @cached_property
    def data(self) -> SelfPlayData:
        """What it learns from."""
        config, play = self._config, self._config.selfplay
        on_disk = self._run is not None and play.replay == "disk"
        try:
            actors = find_class(config.actors)(self.algorithm.actor(), **_options(config.actors))
            return SelfPlayData(
                self.algorithm.streams(),
                _with_methods(actors, Actors, "actors"),
                trajectories=config.trajectories,
                updates=config.updates,
                batch_size=config.batch_size,
                newest=play.newest,
                seed=config.seed,
                replay_folder=self._run.replay if self._run is not None and on_disk else None,
            )
        except (ValueError, TypeError) as error:
            raise _naming(error, config) from error


def _check(config: DictConfig) -> None:
    check_positive(config, "iterations", "trajectories", "updates", "batch_size")
    check_positive(config, "checkpoint_every", "commit_every", "trainer.threads")
    check_positive(config, "selfplay.value_capacity", "selfplay.policy_capacity", "selfplay.targets")
    check_positive(config, "selfplay.search_iterations", "evaluation.search_iterations")
    for key in ("evaluation.every", "selfplay.policy_examples"):
        if OmegaConf.select(config, key) is not None:
            check_positive(config, key)
    check_integer(config, "evaluation.play_throughs", least=0)
    check_integer(config, "workers", least=0)
    check_numbers(config, "selfplay.exploration", "selfplay.newest", "trainer.gradient_clip")
    check_numbers(config, "model.learning_rate", "model.final_learning_rate", "model.huber_delta")
    check_numbers(config, "model.policy_weight")
    check_integer(config, "seed", least=0)
    check_limits(config)
    if (replay := config.selfplay.replay) not in ("memory", "disk"):
        raise UserError(f"selfplay.replay must be memory or disk, got {replay!r}")
    if config.trainer.precision not in PRECISIONS:
        raise UserError(
            f"trainer.precision must be one of {', '.join(PRECISIONS)}, got {config.trainer.precision!r}"
        )
    for key in ("trainer.compile", "model.relabel"):
        check_bool(config, key)


def _options(component: DictConfig) -> dict[str, Any]:
    """The arguments that a component's config gives its class."""
    plain = OmegaConf.to_container(component, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): _part(value) for name, value in plain.items() if name != "_target_"}


def _part(value: Any) -> Any:
    """A nested component as an object; one that still lacks arguments as what makes it of those."""
    if not isinstance(value, Mapping) or "_target_" not in value:
        return value
    node = OmegaConf.create(dict(value))
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = find_parameters(node).values()
    needs = {each.name for each in parameters if each.default is each.empty and each.kind not in optional}
    return partial(build, node) if needs - node.keys() else build(node)


def _optimizer(config: DictConfig) -> Callable[..., torch.optim.Optimizer]:
    options = _options(config.optimizer)
    if options.get("fused", False) is None:
        options["fused"] = config.trainer.precision == "32-true"
    return partial(find_class(config.optimizer), **options)


def _naming(error: Exception, config: DictConfig) -> UserError:
    """What a class says of an argument, with the key that the argument comes from."""
    text = " ".join(str(error).split())
    groups = ("model", "selfplay", "algorithm", "actors")
    group = next((group for group in groups if text.partition(" ")[0] in config[group]), None)
    return UserError(text if group is None else f"{group}.{text}")


def _with_methods(made: Any, protocol: type, key: str) -> Any:
    """Raises a UserError unless an object has all that a protocol wants."""
    if not isinstance(made, protocol):
        wanted = [name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")]
        lacks = ", ".join(name for name in wanted if not hasattr(made, name))
        raise UserError(f"{key} {type(made).__qualname__} lacks {lacks} (docs/new-algorithm.md)")
    return made
