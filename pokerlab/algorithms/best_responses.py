"""Approximate best responses by a policy gradient, in Python: an oracle for populations."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pokerlab.agents.base import Agent
from pokerlab.agents.infostates import InfostateAgent
from pokerlab.agents.tabular import TabularAgent
from pokerlab.algorithms.policy_gradient import PPO
from pokerlab.games.base import Game, State
from pokerlab.learning.infostates import InfostateNetwork
from pokerlab.learning.schedule import CosineSchedule
from pokerlab.selfplay.actors.here import Here
from pokerlab.selfplay.data import SelfPlayDataset


@dataclass(frozen=True, slots=True)
class Response:
    """What was found against an opponent."""

    agent: InfostateAgent
    """Plays it, from either seat."""
    gain: float | None
    """Chips a hand that it wins, the mean of both seats, exactly; None: the game is not small."""
    share: float | None
    """Of what the exact best response wins; NaN: that is next to nothing."""


def respond(
    game: Game[State],
    opponent: Agent[State] | Mapping[State, Tensor],
    *,
    iterations: int = 300,
    trajectories: int = 10_000,
    passes: float = 8,
    batch_size: int = 1024,
    hidden: int = 128,
    layers: int = 2,
    gradient_clip: float = 5.0,
    seed: int = 1,
    **options: Any,
) -> Response:
    """Learns to win from a fixed opponent, by PPO in this process.

    Args:
        game: the rules.
        opponent: an agent, or by public state what is done there, ``[actions of the game, H]``: of a mixture
            of strategies, their average by own reach.
        iterations: of play and of learning from it.
        trajectories: hands an iteration.
        passes: how often each decision is learned from.
        batch_size: decisions a batch.
        hidden: width of the networks.
        layers: hidden ones.
        gradient_clip: the most that the gradient's norm may be.
        seed: of everything random.
        options: see :class:`~pokerlab.algorithms.policy_gradient.PPO`.

    Raises:
        ValueError: the opponent draws what it plays.
    """
    agent = opponent if isinstance(opponent, Agent) else TabularAgent(game, opponent)
    algorithm = PPO(
        game,
        network=partial(InfostateNetwork, hidden=hidden, layers=layers),
        iterations=iterations,
        seed=seed,
        opponent=lambda _: agent,
        **options,
    )
    with torch.random.fork_rng(devices=[]):  # of first weights
        torch.manual_seed(seed)
        module = algorithm.module()
    made = module.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]
    assert isinstance(schedule, CosineSchedule)
    play = SelfPlayDataset(
        Here(algorithm.actor()),
        lambda: module.networks,
        {name: stream.replay(1.0, None, name) for name, stream in algorithm.streams().items()},
        trajectories=trajectories,
        updates=None,
        draws_per_example=passes,
        batch_size=batch_size,
        seed=seed,
    )
    for iteration in range(iterations):  # what Lightning does, in a fraction of the time
        schedule.go_to(iteration)
        module.begin_iteration(iteration)
        for number, batch in enumerate(play):
            optimizer.zero_grad()
            module.weigh(module.losses(batch, number)).backward()
            nn.utils.clip_grad_norm_(module.parameters(), gradient_clip)
            optimizer.step()
        module.end_iteration(iteration)
    found = module.measure(module.networks)
    played = algorithm.agents["policy_net"](module.networks)
    assert isinstance(played, InfostateAgent)
    return Response(played, found.get("gain"), found.get("gain_share"))
