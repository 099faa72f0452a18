"""From a run's config to its objects."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, partial
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn

from pokerlab.agents.base import Agent
from pokerlab.algorithms.base import Algorithm
from pokerlab.callbacks.exploitability import ExploitabilityEvery
from pokerlab.callbacks.strength import MatchesEvery, ValueErrorsEvery
from pokerlab.config.build import build, check, check_enumerable, parameters_of
from pokerlab.config.fields import convert
from pokerlab.config.machine import check_ranks, count_ranks
from pokerlab.config.schema import RunConfig, check_network_size
from pokerlab.errors import UserError
from pokerlab.evaluation.held_out import HeldOutSettings
from pokerlab.evaluation.policies import check_memory
from pokerlab.games.base import Game
from pokerlab.search.solver import Solver
from pokerlab.selfplay.actors.base import Actor, Actors, Lagging
from pokerlab.selfplay.data import SelfPlayData
from pokerlab.store.folder import RunFolder
from pokerlab.training.cost import check_limits

HOW_TO = "docs/new-algorithm.md"


class RunParts:
    """The objects of a run, built from its config; networks and replays when they are first asked for.

    Making it finds every mistake that can be found without those.

    Args:
        config: of the run.
        run: the folder that a replay on disk is kept in; it may be set until something is played. None: in
            memory.

    Raises:
        UserError: a value is wrong.
    """

    def __init__(self, config: RunConfig, run: RunFolder | None = None) -> None:
        self._config, self.run = config, run
        self.rank = 0
        """Of the process that it is for: may be set until something is played."""
        self.game: Game = build(config.game, key="game", kind=Game)
        self.solver: Solver = build(config.solver, key="solver", kind=Solver)
        if config.evaluation.every is not None:
            check_enumerable(self.game, f"evaluation.every={config.evaluation.every}")
        check_limits(config)
        check_ranks(config)
        for name in ("value_network", "policy_network"):
            network, key = getattr(config.model, name), f"model.{name}"
            check(network, key=key, kind=nn.Module, given=(0, "game"))
            check_network_size(network, key)
        for name, part in config.algorithm.items():
            if isinstance(part, dict):
                check_network_size(part, config.origin(f"algorithm.{name}"))
        self.algorithm: Algorithm = self._algorithm()
        check(config.actors, key="actors", origins=config.origins, given=(1,))
        wanted = config.evaluation
        self.evaluation = ExploitabilityEvery(
            self.algorithm,
            every=wanted.every,
            search_iterations=wanted.search_iterations,
            play_throughs=wanted.play_throughs,
            seed=config.seed,
        )
        settings = HeldOutSettings(wanted.held_out.states, wanted.held_out.iterations)
        try:
            self.value_errors = ValueErrorsEvery(self.game, every=wanted.held_out.every, settings=settings)
        except ValueError as error:
            raise UserError(f"evaluation.held_out.{error}") from error
        try:
            self.matches = MatchesEvery(self.algorithm, run, seed=config.seed, **asdict(wanted.matches))
        except ValueError as error:
            raise UserError(f"evaluation.matches.every={wanted.matches.every}: {error}") from error

    def _algorithm(self) -> Algorithm:
        config, component = self._config, dict(self._config.algorithm)
        if "optimizer" in component:
            component["optimizer"] = dict(config.optimizer)
        facts = {"seed": config.seed, "iterations": config.iterations}
        wanted = parameters_of(component, "algorithm").keys() - component.keys()
        given: dict[str, Any] = {name: value for name, value in facts.items() if name in wanted}
        if not isinstance(component.get("opponent"), Mapping | None):
            name = convert(str, component.pop("opponent"), "algorithm.opponent")
            given["opponent"] = partial(_find_opponent, name)
        made = build(component, self.game, key="algorithm", origins=config.origins, **given)
        found: Algorithm = _with_methods(made, Algorithm, "algorithm")
        return found

    @cached_property
    def module(self) -> Any:
        """What learns: a LightningModule that has ``networks``, see :class:`.Module`."""
        torch.set_num_threads(self._config.trainer.threads)
        torch.manual_seed(self._config.seed)  # the networks' first weights; nothing later draws from it
        try:
            module = self.algorithm.module()
        except (ValueError, TypeError) as error:
            raise _naming(error, self._config) from error
        kind = type(module).__qualname__
        if not isinstance(module, lightning.LightningModule):
            raise UserError(f"module {kind} is not a LightningModule ({HOW_TO})")
        lacks = [
            name for name in ("training_step", "configure_optimizers") if not is_overridden(name, module)
        ]
        if not isinstance(getattr(module, "networks", None), nn.Module):
            lacks.append("networks")
        if lacks:
            raise UserError(f"module {kind} lacks {', '.join(lacks)} ({HOW_TO})")
        return module

    @cached_property
    def actor(self) -> Actor:
        """What plays."""
        try:
            made = self.algorithm.actor()
        except (ValueError, TypeError) as error:
            raise _naming(error, self._config) from error
        found: Actor = _with_methods(made, Actor, "actor")
        return found

    def make(self) -> "RunParts":
        """Makes what checking a config does not: networks, whose mistakes show then, and what plays here.

        Raises:
            UserError: something is wrong with them.
        """
        if self._config.evaluation.every is not None:
            try:
                check_memory(self.game)
            except ValueError as error:
                raise UserError(f"evaluation.every={self._config.evaluation.every}: {error}") from error
        if self._config.evaluation.held_out.every is not None and not hasattr(self.module.networks, "at"):
            raise UserError("evaluation.held_out.every needs networks that value belief states")
        _ = self.module, self.actors
        if self._config.trainer.compile and not hasattr(self.module, "compile_losses"):
            raise UserError(f"trainer.compile: {type(self.module).__qualname__} has no compile_losses")
        return self

    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that the module begins with."""
        made = self.module.configure_optimizers()
        return made["optimizer"] if isinstance(made, dict) else made

    @cached_property
    def actors(self) -> Actors:
        """Where it plays; nothing is started yet."""
        try:
            made = build(self._config.actors, self.actor, key="actors", origins=self._config.origins)
        except (ValueError, TypeError) as error:
            raise _naming(error, self._config) from error
        if isinstance(made, Lagging) and made.staleness and getattr(self.algorithm, "takes_turns", False):
            kind = type(self.algorithm).__name__
            raise UserError(f"actors.staleness={made.staleness}: {kind} plays with the newest networks only")
        found: Actors = _with_methods(made, Actors, "actors")
        return found

    @cached_property
    def data(self) -> SelfPlayData:
        """What it learns from."""
        config, play = self._config, self._config.selfplay
        try:
            return SelfPlayData(
                self.algorithm.streams(),
                self.actors,
                trajectories=config.trajectories,
                updates=config.updates,
                draws_per_example=config.draws_per_example,
                batch_size=config.batch_size,
                newest=play.newest,
                seed=config.seed,
                replay_folder=self.run.replay if self.run is not None and play.replay == "disk" else None,
                device_bytes=play.device_gb * 1e9,
                rank=self.rank,
                ranks=count_ranks(config),
                iterations=config.iterations,
            )
        except (ValueError, TypeError) as error:
            raise _naming(error, config) from error


def _find_opponent(name: str, game: Game) -> Agent:
    """Whom an algorithm is to win from; looked for when it is to play."""
    from pokerlab.training.opponents import find_opponent  # which loads runs, and so assembles them

    return find_opponent(name, game)


def _naming(error: Exception, config: RunConfig) -> UserError:
    """What a class says of an argument, with the key where it was written."""
    text, plain = " ".join(str(error).split()), asdict(config)
    name, _, said = text.partition(" ")
    found = [f"{group}.{name}" for group in ("algorithm", "actors", "selfplay") if name in plain[group]]
    return UserError(f"{config.origin(found[0])} {said}" if found else text)


def _with_methods(made: Any, protocol: type, key: str) -> Any:
    """Raises a UserError unless an object has all that a protocol wants."""
    if not isinstance(made, protocol):
        wanted = [name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")]
        lacks = ", ".join(name for name in wanted if not hasattr(made, name))
        raise UserError(f"{key} {type(made).__qualname__} lacks {lacks} ({HOW_TO})")
    return made
