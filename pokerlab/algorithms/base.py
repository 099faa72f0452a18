"""What an algorithm is: examples it learns from, an actor that makes them, a module that learns, agents.

A run is put together from these and nothing else, so an algorithm is one class in an importable module and
one YAML in ``algorithm/`` (docs/new-algorithm.md).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import lightning
from torch import nn

from pokerlab.agents.base import Agent
from pokerlab.games.base import Game
from pokerlab.selfplay.actors.base import Actor
from pokerlab.selfplay.data import Stream

MakeAgent: TypeAlias = Callable[..., Agent]
"""Makes the agent of one way to play, of a module's networks and of options by name.

One that searches takes ``iterations`` of CFR a subgame and ``solver``.
"""


class Module(Protocol):
    """What an algorithm's LightningModule has besides what Lightning wants."""

    @property
    def networks(self) -> nn.Module:
        """What the actor and the agents ask."""
        ...


@runtime_checkable
class Algorithm(Protocol):
    """Made from a config as ``Algorithm(game, **options)``.

    Making it is quick; networks are made by :meth:`module`.
    """

    game: Game

    def streams(self) -> Mapping[str, Stream]:
        """The kinds of examples by their names: a replay is kept of each, and a batch has some of each."""
        ...

    def actor(self) -> Actor:
        """What plays, here or in other processes."""
        ...

    def module(self) -> lightning.LightningModule:
        """What learns from batches ``{stream: examples}``, a :class:`Module`.

        What it logs by ``self.log`` stands in training_metrics.jsonl. A checkpoint holds its weights and
        its optimiser, the replays, and nothing else.
        """
        ...

    @property
    def agents(self) -> Mapping[str, MakeAgent]:
        """The ways to play by their names; the first is the one whose strength is followed while training."""
        ...


UNITS: Mapping[str, str] = {"value_loss": "pot²", "policy_loss": "nats"}
"""Of losses that are squared errors in pots, and divergences."""


def units_of(algorithm: Algorithm) -> Mapping[str, str]:
    """What losses are measured in, by their names; an algorithm may say so in ``units``."""
    found: Mapping[str, str] = getattr(algorithm, "units", {})
    return found


def make_agent(make: MakeAgent, networks: Any, **options: Any) -> Agent:
    """The agent of one way to play; options that this way does not take are left out."""
    taken = inspect.signature(make).parameters
    return make(networks, **{name: value for name, value in options.items() if name in taken})
