"""Where trajectories start: at the root of the game, or at the beginning of a later street.

An agent that knows nothing folds early, so that of trajectories from the root few see the last streets. Those
that start there start from belief states that are drawn at random, or from *stored* ones, which earlier
self-play came to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Generic, cast

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import CHANCE, Game, State
from pokerlab.games.parts import StreetStarts, street_names
from pokerlab.search.resolving import BeliefStates
from pokerlab.selfplay.examples import Examples

ROOT = "root"


@dataclass(frozen=True, slots=True)
class StartExamples(Examples):
    """Public belief states where a street begins, ``n`` of them."""

    distributions = ("beliefs",)
    state: Tensor
    """``[n, code_length]`` int64, see :class:`~pokerlab.games.parts.StreetStarts`."""
    beliefs: Tensor
    """``[n, 2, H]``."""


@dataclass(frozen=True, slots=True)
class Start(Generic[State]):
    """Where trajectories start that start on the same street, ``n`` of them."""

    street: int
    states: BeliefStates[State]
    subgame_of: Tensor
    """``[n]`` which of the states each trajectory starts at."""


class Starts(Generic[State]):
    """Draws where trajectories start.

    Args:
        game: the rules.
        shares: of the trajectories, by street: ``root`` and names of later streets; None: all at the root.
        stored: share of those that start on a later street which start from stored belief states, if there
            are any; the others start from random ones.

    Raises:
        ValueError: shares do not add up to 1, or the game has no such street.
    """

    def __init__(self, game: Game[State], shares: Mapping[str, float] | None, stored: float) -> None:
        shares = {ROOT: 1.0} if shares is None else shares
        names = street_names(game)
        if unknown := [name for name in shares if name not in names]:
            raise ValueError(
                f"starts must be shares of {', '.join(names)} in {game.name}, got {unknown[0]!r}"
            )
        said = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        if not all(0 <= share <= 1 for share in shares.values()) or not isclose(sum(shares.values()), 1):
            raise ValueError(f"starts must be shares that add up to 1, got {said or 'none'}")
        if not 0 <= stored <= 1:
            raise ValueError(f"stored must lie between 0 and 1, got {stored}")
        self.game, self.stored = game, stored
        self.shares = {names.index(name): share for name, share in shares.items() if share}
        """By number of the street, from the root's, which is 0."""
        self.names = {
            street: f"{names[street]}_starts" for street in sorted(self.shares) if street and stored
        }
        """Of the streams of stored belief states, by street; none, if none are wanted."""

    @property
    def _streets(self) -> StreetStarts[State]:
        return cast(StreetStarts[State], self.game)

    def none(self) -> StartExamples:
        """No examples; says what one looks like."""
        return StartExamples(
            state=torch.empty(0, self._streets.code_length, dtype=torch.int64),
            beliefs=torch.empty(0, 2, self.game.num_hands, dtype=torch.float32),
        )

    def draw(
        self,
        trajectories: int,
        generator: torch.Generator,
        stored: Mapping[str, StartExamples],
        like: Tensor,
    ) -> list[Start[State]]:
        """Where ``trajectories`` trajectories start, by street, ascending.

        Args:
            trajectories: how many.
            generator: of all that is random, on the CPU.
            stored: belief states to start from, by the names of their streams.
            like: a tensor with the device and dtype to search in.
        """
        root = BeliefStates.root(self.game, like)
        if self.shares.keys() == {0}:
            return [Start(0, root, torch.zeros(trajectories, dtype=torch.int64))]
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        streets = sorted(self.shares)
        cumulative = np.cumsum([self.shares[street] for street in streets])
        # every so many in turn: shares are as exact as whole numbers can be
        which = np.searchsorted(
            cumulative / cumulative[-1], (np.arange(trajectories) + draws.random()) / max(trajectories, 1)
        )
        starts = []
        for street, number in zip(streets, np.bincount(which, minlength=len(streets)).tolist(), strict=True):
            if street == 0:
                starts.append(Start(0, root, torch.zeros(number, dtype=torch.int64)))
            elif number:
                states = self._begin(street, number, draws, stored.get(self.names.get(street, "")), like)
                starts.append(Start(street, states, torch.arange(number)))
        return starts

    def _begin(
        self,
        street: int,
        number: int,
        draws: np.random.Generator,
        stored: StartExamples | None,
        like: Tensor,
    ) -> BeliefStates[State]:
        """Where ``number`` trajectories start that start on a street after the root's."""
        again = int(draws.binomial(number, self.stored)) if stored is not None and len(stored) else 0
        states, beliefs = list[State](), list[Tensor]()
        for _ in range(number - again):
            states.append(self._streets.draw_deal(street, draws))
            beliefs.append(torch.as_tensor(self._streets.draw_ranges(states[-1], draws)).to(like))
        if stored is not None and again:
            rows = draws.choice(len(stored), again, replace=again > len(stored))
            states += [self._streets.decode(code) for code in stored.state[rows].numpy()]
            kept = stored.beliefs[rows].to(like)
            beliefs += list(kept / kept.sum(2, keepdim=True))  # which may have been rounded
        return BeliefStates(states, torch.stack(beliefs, 1))

    def keep(self, reached: BeliefStates[State]) -> dict[str, StartExamples]:
        """What of a frontier is worth storing, by the names of the streams."""
        if not self.names or not len(reached) or self.game.actor(reached.states[0]) != CHANCE:
            return {}
        name = self.names.get(self._streets.street(reached.states[0]))
        if name is None:
            return {}
        codes = np.stack([self._streets.encode(state) for state in reached.states])
        return {name: StartExamples(torch.as_tensor(codes), reached.beliefs.transpose(0, 1).float().cpu())}
