"""Where trajectories start: at the root of the game, or at the beginning of a later street.

An agent that knows nothing folds early, so that of trajectories from the root few see the last streets. Those
that start there start from belief states that are drawn at random, or from *stored* ones, which earlier
self-play came to.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Generic, cast

import numpy as np
import torch
from torch import Tensor

from pokerlab.games.base import Game, State
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
        bottom_up: how many iterations at the beginning of a run have all trajectories start on one street:
            the last street first, then what leads to it, so that values are learned before they are needed;
            in the order given. In the first half of them they start after the deal: what that is worth is a
            mean of what the network says of the street, which knows nothing of it yet. None: none.

    Raises:
        ValueError: shares do not add up to 1, or the game has no such street.
    """

    def __init__(
        self,
        game: Game[State],
        shares: Mapping[str, float] | None,
        stored: float,
        bottom_up: Mapping[str, int] | None = None,
    ) -> None:
        shares, bottom_up = {ROOT: 1.0} if shares is None else shares, bottom_up or {}
        names = street_names(game)
        for what, given in (("starts must be shares", shares), ("bottom_up must be iterations", bottom_up)):
            if unknown := [name for name in given if name not in names]:
                raise ValueError(f"{what} of {', '.join(names)} in {game.name}, got {unknown[0]!r}")
        if negative := [name for name, number in bottom_up.items() if number < 0]:
            raise ValueError(f"bottom_up must not be negative, got {negative[0]} {bottom_up[negative[0]]}")
        said = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        if not all(0 <= share <= 1 for share in shares.values()) or not isclose(sum(shares.values()), 1):
            raise ValueError(f"starts must be shares that add up to 1, got {said or 'none'}")
        if not 0 <= stored <= 1:
            raise ValueError(f"stored must lie between 0 and 1, got {stored}")
        self.game, self.stored = game, stored
        self.shares = {names.index(name): share for name, share in shares.items() if share}
        """By number of the street, from the root's, which is 0."""
        self._last, self._on_last = len(names) - 1, cast(bool | None, None)
        self._stages = [({names.index(name): 1.0}, number) for name, number in bottom_up.items()]
        self.names = {
            street: f"{names[street]}_starts"
            for street in sorted(set().union(*self._all_shares))
            if street and stored
        }
        """Of the streams of stored belief states, by street; none, if none are wanted."""

    @property
    def _all_shares(self) -> list[dict[int, float]]:
        return [self.shares, *(shares for shares, _ in self._stages)]

    def shares_at(self, iteration: int) -> dict[int, float]:
        """The shares of an iteration, counted from 0."""
        shares, _ = self._stage(iteration)
        if self._on_last is None:
            return shares
        return {street: share for street, share in shares.items() if (street == self._last) == self._on_last}

    def _stage(self, iteration: int) -> tuple[dict[int, float], bool]:
        """Shares, and whether it is the first half of a stage of ``bottom_up``."""
        for shares, number in self._stages:
            if iteration < number:
                return shares, iteration < number // 2
            iteration -= number
        return self.shares, False

    def only(self, *, on_last: bool) -> "Starts[State]":
        """The same for trajectories that start on the last street, or for all others."""
        some = copy.copy(self)
        some._on_last = on_last
        return some

    def count_on_last(self, trajectories: int, iteration: int) -> int:
        """How many of an iteration's trajectories start on the last street, if that is not the root's."""
        share = self.shares_at(iteration).get(self._last, 0.0) if self._last else 0.0
        return round(trajectories * share)

    def largest_share(self, street: int) -> float:
        """Of any iteration."""
        return max(shares.get(street, 0.0) for shares in self._all_shares)

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
        iteration: int = 0,
    ) -> list[Start[State]]:
        """Where ``trajectories`` trajectories start, by street, ascending.

        Args:
            trajectories: how many.
            generator: of all that is random, on the CPU.
            stored: belief states to start from, by the names of their streams.
            like: a tensor with the device and dtype to search in.
            iteration: of the run, from 0.
        """
        root, shares = BeliefStates.root(self.game, like), self.shares_at(iteration)
        _, after_deal = self._stage(iteration)
        if shares.keys() == {0}:
            return [Start(0, root, torch.zeros(trajectories, dtype=torch.int64))]
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        streets = sorted(shares)
        cumulative = np.cumsum([shares[street] for street in streets])
        # every so many in turn: shares are as exact as whole numbers can be
        which = np.searchsorted(
            cumulative / cumulative[-1], (np.arange(trajectories) + draws.random()) / max(trajectories, 1)
        )
        starts = []
        for street, number in zip(streets, np.bincount(which, minlength=len(streets)).tolist(), strict=True):
            if number and street == 0:
                starts.append(Start(0, root, torch.zeros(number, dtype=torch.int64)))
            elif number:
                of_street = stored.get(self.names.get(street, ""))
                states = self._begin(street, number, draws, of_street, like, after_deal=after_deal)
                starts.append(Start(street, states, torch.arange(number)))
        return starts

    def _begin(
        self,
        street: int,
        number: int,
        draws: np.random.Generator,
        stored: StartExamples | None,
        like: Tensor,
        *,
        after_deal: bool,
    ) -> BeliefStates[State]:
        """Where ``number`` trajectories start that start on a street after the root's.

        Those that are not stored, after its deal if that is wanted, or if no subgame begins before it. Stored
        ones are before it, so that there are none if that is wanted.
        """
        some = stored is not None and len(stored) > 0 and not after_deal
        again = int(draws.binomial(number, self.stored)) if some else 0
        states, beliefs = list[State](), list[Tensor]()
        for _ in range(number - again):
            states.append(self._streets.draw_deal(street, draws))
            if after_deal or not self._streets.begins_street(states[-1]):
                dealt = self.game.chance_outcomes(states[-1])
                states[-1] = dealt[int(draws.integers(len(dealt)))]
            beliefs.append(torch.as_tensor(self._streets.draw_ranges(states[-1], draws)).to(like))
        if stored is not None and again:
            rows = draws.choice(len(stored), again, replace=again > len(stored))
            states += [self._streets.decode(code) for code in stored.state[rows].numpy()]
            kept = stored.beliefs[rows].to(like)
            beliefs += list(kept / kept.sum(2, keepdim=True))  # which may have been rounded
        return BeliefStates(states, torch.stack(beliefs, 1))

    def keep(self, reached: BeliefStates[State]) -> dict[str, StartExamples]:
        """What of a frontier is worth storing, by the names of the streams."""
        if not self.names or not len(reached):
            return {}
        first = reached.states[0]
        name = self.names.get(self._streets.street(first))
        if name is None or not self._streets.begins_street(first):
            return {}
        codes = np.stack([self._streets.encode(state) for state in reached.states])
        return {name: StartExamples(torch.as_tensor(codes), reached.beliefs.transpose(0, 1).float().cpu())}
